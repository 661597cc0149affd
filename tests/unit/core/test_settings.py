"""Settings: each mistake in a file is named by file, line and key."""

from pathlib import Path

import pytest
from pydantic import Field

from core.errors import ConfigError
from core.settings import Settings, load_settings


class Camera(Settings):
    url: str
    fps: float = Field(20, gt=0, le=120)


class Site(Settings):
    name: str = "site"
    lanes: dict[str, Camera] = Field(default_factory=dict)


def load(tmp_path: Path, text: str, **env: str) -> Site:
    path = tmp_path / "lane.yaml"
    path.write_text(text)
    return load_settings(Site, path, env)[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lanes:\n  a: {url: x, fsp: 3}\n", "lane.yaml:2: lanes.a.fsp: unknown key"),
        ("lanes:\n  a:\n    url: x\n    fps: 500\n", "lane.yaml:4: lanes.a.fps: Input should be less than"),
        ("lanes:\n  a:\n    fps: 5\n", "lane.yaml:2: lanes.a.url: required key is missing"),
        ("name: [1\n", "lane.yaml:2: not valid YAML"),
        ("- a\n", "lane.yaml:1: the file must be a mapping"),
        (
            "name: s\nlanes:\n  a: {url: 'rtsp://${USER_X}@h'}\n",
            "lane.yaml:3: lanes.a.url: environment variable USER_X",
        ),
    ],
)
def test_a_mistake_names_file_line_and_key(tmp_path, text, expected):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert expected in str(caught.value)


def test_all_mistakes_come_at_once(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "nmae: x\nlanes:\n  a: {fps: 0}\n")
    assert len(str(caught.value).splitlines()) == 3


def test_environment_is_substituted_and_hash_is_of_the_bytes(tmp_path):
    path = tmp_path / "lane.yaml"
    path.write_text("lanes: {a: {url: 'rtsp://${U}:${P}@cam/1'}}")
    first, sha = load_settings(Site, path, {"U": "bob", "P": "x"})
    second, same_sha = load_settings(Site, path, {"U": "eve", "P": "y"})
    assert first.lanes["a"].url == "rtsp://bob:x@cam/1"
    assert second.lanes["a"].url == "rtsp://eve:y@cam/1"
    assert sha == same_sha
    assert len(sha) == 64


def test_missing_binary_and_empty_files(tmp_path):
    with pytest.raises(ConfigError, match="no such configuration file"):
        load_settings(Site, tmp_path / "absent.yaml")
    (tmp_path / "bin.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_settings(Site, tmp_path / "bin.yaml")
    assert load(tmp_path, "") == Site()


def test_a_folder_is_not_a_configuration(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        load_settings(Site, tmp_path)
