"""`traylane replay` on the bottle clip, and on everything that can be wrong."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import av
import pytest

from app.cli import main
from bench.bottle import truth_of
from tests.media import make_clip

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("TRAYLANE_DATA") or ROOT.parent / "shared" / "data")
CLIP = DATA / "videos" / "intel-bottle-detection.mp4"
CONFIG = ROOT / "configs" / "bottle.yaml"
DETECTOR = DATA / "detectors" / "yolox_nano.onnx"

needs_data = pytest.mark.skipif(
    not (CLIP.exists() and DETECTOR.exists()), reason=f"the bottle clip and its detector are not in {DATA}"
)


@pytest.fixture(scope="module")
def replays(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the folders of two replays of the clip at every 6th frame, one of them with video."""
    folder = tmp_path_factory.mktemp("replays")
    truth = folder / "truth.json"
    events = json.loads(CLIP.with_suffix(".events.json").read_text(encoding="utf-8"))
    truth.write_text(json.dumps(truth_of(events)), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAYLANE_DATA", str(DATA))
        for name, more in (("one", []), ("two", ["--no-video"])):
            line = ["replay", str(CLIP), "--config", str(CONFIG), "--truth", str(truth), "--stride", "6"]
            assert main([*line, "--out", str(folder / name), *more]) == 0
    return folder / "one", folder / "two"


@needs_data
@pytest.mark.slow
def test_a_replay_writes_what_the_contract_lists(replays: tuple[Path, Path]) -> None:
    one, two = replays
    names = {"events.jsonl", "bills.json", "counts.csv", "tracks.txt", "metrics.json", "report.html"}
    assert {path.name for path in one.iterdir()} == names | {"marked.mp4"}
    assert {path.name for path in two.iterdir()} == names
    assert sorted(path.name for path in one.parent.iterdir()) == ["one", "truth.json", "two"]
    with (one / "counts.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert [row["frame"] for row in rows[:3]] == ["0", "6", "12"]
    assert rows[-1]["items"] == "3"
    figures = json.loads((one / "metrics.json").read_text())
    assert figures["frames"] == len(rows) == 199
    assert figures["decoded_fps"] == pytest.approx(29.83, abs=0.01)
    assert figures["dropped"] == 0
    tracks = [line.split(",") for line in (one / "tracks.txt").read_text().splitlines()]
    assert all(len(track) == 9 and float(track[4]) > 0 and float(track[5]) > 0 for track in tracks)
    assert "<svg" in (one / "report.html").read_text()


@needs_data
@pytest.mark.slow
def test_two_replays_give_equal_bytes(replays: tuple[Path, Path]) -> None:
    one, two = replays
    for name in ("events.jsonl", "bills.json", "counts.csv", "tracks.txt"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


@needs_data
@pytest.mark.slow
def test_the_marked_video_is_h264_with_every_decided_frame(replays: tuple[Path, Path]) -> None:
    with av.open(str(replays[0] / "marked.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert (stream.width, stream.height, stream.frames) == (640, 360, 199)
        assert float(stream.average_rate or 0) == pytest.approx(29.83 / 6, rel=0.01)


@pytest.mark.parametrize(
    ("clip", "more", "code", "message"),
    [
        ("absent.mp4", [], 5, "absent.mp4"),
        ("empty.mp4", [], 5, "empty.mp4"),
        ("text.mp4", [], 5, "text.mp4"),
        ("rtsp://127.0.0.1:1/never", [], 5, "127.0.0.1:1"),
        ("clip.mp4", ["--stride", "0"], 2, "--stride 0"),
        ("clip.mp4", ["--config", "absent.yaml"], 2, "absent.yaml"),
        ("clip.mp4", ["--config", "broken.yaml"], 2, "broken.yaml"),
        ("clip.mp4", ["--config", "modelless.yaml"], 3, "no_such"),
        ("clip.mp4", ["--lane", "lane99"], 2, "lane99"),
        ("clip.mp4", ["--truth", "absent.json"], 2, "absent.json"),
        ("clip.mp4", ["--truth", "text.mp4"], 2, "text.mp4"),
        ("clip.mp4", ["--out", "text.mp4"], 2, "is a file"),
        ("clip.mp4", ["--out", "."], 2, "no replay wrote"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_and_a_code(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    clip: str,
    more: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRAYLANE_DATA", str(DATA))
    make_clip(tmp_path / "clip.mp4", frames=6)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video\n" * 50)
    (tmp_path / "broken.yaml").write_text("lanes: {lane1: {checkout: {clear_s: -1}}}")
    (tmp_path / "modelless.yaml").write_text(
        "models: {detector: {card: no_such@1}}\nlanes: {lane1: {}}\n"
        f"menu: {{file: {ROOT / 'configs' / 'menu.yaml'}}}\n"
    )
    before = sorted(path.name for path in tmp_path.iterdir())
    config = [] if "--config" in more or not CONFIG.exists() or not DETECTOR.exists() else ["--config", str(CONFIG)]
    out = [] if "--out" in more else ["--out", "out"]
    assert main(["replay", clip, *config, *more, *out]) == code
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert sorted(path.name for path in tmp_path.iterdir()) == before
