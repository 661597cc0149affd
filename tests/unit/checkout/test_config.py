"""The configuration file and the menu: every mistake names file, line and key."""

from pathlib import Path

import pytest

from checkout.build import DEFAULT_CONFIG, build_menu, default_config, stream_key_for
from checkout.config import load_config
from checkout.menu import load_menu
from core.clock import ManualClock
from core.errors import ConfigError, ModelMismatch
from core.records import HAND, ITEM
from streams.source import SourceSettings
from tests.fakes import ScriptedSource, menu

CONFIGS = DEFAULT_CONFIG.parent
GOOD = """\
site: {name: canteen-1}
store: {url: "sqlite:///var/traylane.db"}
web: {host: 127.0.0.1, port: 8080}
models: {detector: {card: traynet@1, device: auto}}
menu: {file: menu.yaml}
lanes:
  lane1:
    source: {url: "rtsp://10.0.0.7/h264", transport: tcp, timeout_s: 5}
    detect: {fps: 20, min_score: 0.3}
    zones:
      tray: {role: tray, polygon: "0.2,0.2,0.8,0.2,0.8,0.9,0.2,0.9"}
    checkout: {clear_s: 1.0, max_open_s: 120, commit_confidence: 0.9, ask_confidence: 0.6}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "lane.yaml"
    path.write_text(text)
    return path


def test_the_shape_that_the_product_promises_is_read(tmp_path):
    config = load_config(write(tmp_path, GOOD))
    lane_id, lane = config.lane()
    assert lane_id == "lane1"
    assert lane.source.url == "rtsp://10.0.0.7/h264"
    assert lane.checkout.commit_confidence == 0.9
    assert len(config.sha256) == 64


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("lanes:\n  lane1:", "lane:\n  lane1:", r"lane.yaml:1: lanes: required key is missing"),
        ("clear_s", "clear", r"lane.yaml:12: lanes.lane1.checkout.clear: unknown key"),
        ("clear_s: 1.0", "clear_s: -1", r"lane.yaml:12: lanes.lane1.checkout.clear_s: .*greater than 0, got -1"),
        ("clear_s: 1.0", "clear_s: soon", r"lane.yaml:12: lanes.lane1.checkout.clear_s: .*got 'soon'"),
        ("commit_confidence: 0.9", "commit_confidence: 1.5", r"lane.yaml:12: .*commit_confidence: .*got 1.5"),
        (
            "ask_confidence: 0.6",
            "ask_confidence: 0.95",
            r"lane.yaml:12: lanes.lane1.checkout: ask_confidence 0.95 is above",
        ),
        ("0.2,0.2,0.8,0.2,0.8,0.9,0.2,0.9", "0.2,0.2,0.8,0.2", r"lane.yaml:11: .*tray.polygon: polygon has 2 points"),
        ("0.8,0.9,0.2,0.9", "0.2,0.9,0.8,0.9", r"lane.yaml:11: .*polygon: polygon crosses itself: side 2 meets side 4"),
        ("0.8,0.9,0.2,0.9", "0.8,1.9,0.2,0.9", r"lane.yaml:11: .*polygon: .*1.9 is outside 0..1"),
        ("role: tray", "role: till", r"lane.yaml:11: lanes.lane1.zones.tray.role: .*'tray', 'belt' or 'exit'"),
        ("role: tray", "role: belt", r"lane.yaml:10: lanes.lane1.zones: no zone has the role tray"),
        ("port: 8080", "port: 80800", r"lane.yaml:3: web.port: .*65535, got 80800"),
        (
            "port: 8080",
            "trusted_network: true, accounts: {required: always}",
            r"lane.yaml:3: web: trusted_network means",
        ),
        ("fps: 20", "fps: 0", r"lane.yaml:9: lanes.lane1.detect.fps: .*greater than 0, got 0"),
        ("transport: tcp", "transport: smoke", r"lane.yaml:8: lanes.lane1.source.transport"),
        ("device: auto", "device: abacus", r"lane.yaml:4: models.detector.device"),
        ("  lane1:\n", "  lane one:\n", r"lane.yaml:6: lanes: lane id 'lane one'"),
        ("site: {name: canteen-1}", "site: {name: canteen-1", r"lane.yaml:\d+: not valid YAML"),
        ("rtsp://10.0.0.7/h264", "${TRAYLANE_NO_NAME}", r"yaml:8: lanes.lane1.source.url: .* TRAYLANE_NO_NAME"),
    ],
)
def test_each_mistake_names_file_line_and_key(tmp_path, old, new, says):
    assert old in GOOD
    with pytest.raises(ConfigError, match=says):
        load_config(write(tmp_path, GOOD.replace(old, new)))


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(ConfigError, match="no such configuration file"):
        load_config(tmp_path / "none.yaml")


def test_an_unknown_lane_is_named_with_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match="no lane 'lane2'; it has lane1"):
        load_config(write(tmp_path, GOOD)).lane("lane2")


def test_the_menu_is_looked_for_beside_the_file(tmp_path):
    config = load_config(write(tmp_path, GOOD))
    with pytest.raises(ConfigError, match=r"menu\.file: no file menu\.yaml"):
        build_menu(config)
    (tmp_path / "menu.yaml").write_text("dishes: {soup: {title: Soup, price: 3.5}}")
    assert build_menu(config)["soup"].price == 3.5


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_the_shipped_files_are_valid(path):
    if "menu" in path.name:
        assert load_menu(path).dishes
    else:
        assert build_menu(load_config(path)).dishes


def test_the_default_configuration_takes_the_whole_frame():
    _, lane = default_config().lane()
    assert lane.zones["tray"].polygon == "0,0,1,0,1,1,0,1"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("currency: EUR", r"menu.yaml:1: dishes: required key is missing"),
        ("dishes: {}", r"menu.yaml:1: dishes: .*at least 1 item"),
        ("dishes:\n  soup: {title: Soup}", r"menu.yaml:2: dishes.soup.price: required key is missing"),
        ("dishes:\n  soup: {title: Soup, price: -1}", r"menu.yaml:2: dishes.soup.price: .*got -1"),
        ("dishes:\n  soup: {title: Soup, price: 1.005}", r"menu.yaml:2: dishes.soup.price: .*whole number of cents"),
        ("dishes:\n  soup: {title: Soup, price: 1}\nignore: [soup]", r"menu.yaml:1: .*soup: both a dish and ignored"),
        ('dishes:\n  "@hand": {title: Hand, price: 1}', r"menu.yaml:1: .*@hand: names that start with @"),
        ("currency: Euro\ndishes:\n  soup: {title: Soup, price: 1}", r"menu.yaml:1: currency: "),
    ],
)
def test_each_mistake_in_a_menu_names_file_line_and_key(tmp_path, text, says):
    path = tmp_path / "menu.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        load_menu(path)


def test_a_model_must_speak_of_the_menu():
    known = menu("soup", ignored=["phone"])
    known.check_labels(("soup", "phone", HAND, ITEM), "m@1")
    with pytest.raises(ModelMismatch, match="does not know: pizza"):
        known.check_labels(("soup", "pizza"), "m@1")
    with pytest.raises(ModelMismatch, match="knows no dish"):
        known.check_labels(("phone", HAND), "m@1")


def test_a_recording_is_named_by_its_content_and_a_camera_by_its_start(tmp_path):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"some bytes")
    clock = ManualClock(utc_s=1_700_000_000.0)
    recording = stream_key_for(ScriptedSource([]), SourceSettings(url=str(clip)), clock)
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(b"some bytes")
    assert stream_key_for(ScriptedSource([]), SourceSettings(url=str(copy)), clock) == recording
    camera = ScriptedSource([], live=True)
    assert stream_key_for(camera, SourceSettings(url="rtsp://camera"), clock) == "live-1700000000.000000"
