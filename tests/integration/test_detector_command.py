"""`traylane detect`: COCO results from pictures, folders and videos; clear errors and nothing half-written."""

import argparse
import json

import cv2
import numpy as np
import pytest

from app.commands import detect
from core.errors import ConfigError, DataError, FormatError, ModelError, ModelNotFound, SourceError, SourceUnusable
from streams.video_writer import VideoWriter
from tests.onnx_graphs import put_yolox, write_card, write_graph, yolox_heads


@pytest.fixture
def model(tmp_path):
    heads = put_yolox(yolox_heads(), (4, 4, 20, 20), 0.9, (1.0, 0.0))
    put_yolox(heads, (30, 30, 60, 50), 0.5, (0.1, 0.9))
    path = write_graph(tmp_path / "net.onnx", {"output": heads})
    return write_card(path)


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    (folder / "inner").mkdir(parents=True)
    for name in ("b.png", "a.jpg", "inner/c ä.PNG"):
        ok, packed = cv2.imencode(name[-4:].lower(), np.full((128, 128, 3), 90, np.uint8))
        assert ok
        (folder / name).write_bytes(packed.tobytes())
    (folder / "notes.txt").write_text("not a picture")
    return folder


def call(*arguments):
    parser = argparse.ArgumentParser()
    detect.add(parser.add_subparsers(required=True))
    args = parser.parse_args(["detect", *map(str, arguments)])
    return args.run(args)


def test_pictures_in_a_folder(tmp_path, model, pictures, capsys):
    out = tmp_path / "results.json"
    assert call(pictures, "--model", model, "--out", out) == 0
    rows = json.loads(out.read_text())
    assert [row["file_name"] for row in rows] == ["a.jpg"] * 2 + ["b.png"] * 2 + ["inner/c ä.PNG"] * 2
    assert set(rows[0]) == {"file_name", "category", "bbox", "score"}
    assert [row["category"] for row in rows[:2]] == ["cup", "plate"]
    np.testing.assert_allclose(rows[0]["bbox"], [8, 8, 32, 32], atol=0.01)
    np.testing.assert_allclose([rows[0]["score"], rows[1]["score"]], [0.9, 0.45], atol=1e-4)
    assert "6 detections in 3 files" in capsys.readouterr().out


def test_single_files_threshold_and_bare_weights(tmp_path, model, pictures):
    model.unlink()
    out = tmp_path / "results.json"
    weights = model.with_suffix(".onnx")
    assert call(pictures / "b.png", pictures / "a.jpg", "--model", weights, "--out", out, "--min-score", 0.6) == 0
    rows = json.loads(out.read_text())
    assert [(row["file_name"], row["category"]) for row in rows] == [("b.png", "class 0"), ("a.jpg", "class 0")]


def test_videos_say_frame_and_time(tmp_path, model):
    clip = tmp_path / "clip.mp4"
    writer = VideoWriter(clip, 128, 128, 10)
    for i in range(5):
        writer.write(np.full((128, 128, 3), 40 * i, np.uint8))
    writer.close()
    out = tmp_path / "results.json"
    assert call(clip, "--model", model, "--out", out, "--stride", 2) == 0
    rows = json.loads(out.read_text())
    assert [(row["frame"], row["t_s"]) for row in rows[::2]] == [(0, 0.0), (2, 0.2), (4, 0.4)]
    assert {row["file_name"] for row in rows} == {"clip.mp4"}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["gone.jpg"], DataError, r"gone\.jpg: no such file or folder"),
        (["empty"], DataError, "empty: no pictures or videos in this folder"),
        (["notes.txt"], FormatError, r"notes\.txt: not a picture or video that we read"),
        (["broken.jpg"], FormatError, r"broken\.jpg: not a readable picture"),
        (["zero.png"], FormatError, r"zero\.png: not a readable picture"),
        (["zero.mp4"], (SourceError, SourceUnusable), r"zero\.mp4"),
        (["good.png", "--model", "none.yaml"], ModelNotFound, r"none\.yaml: no such model card"),
        (["good.png", "--model", "none.onnx"], ModelNotFound, r"none\.onnx: no such model file"),
        (["good.png", "--model", "broken.jpg.onnx"], ModelError, r"broken\.jpg\.onnx: ONNX Runtime cannot load it"),
        (["good.png", "--device", "gpu"], ModelError, "device 'gpu' is not known"),
        (["good.png", "--min-score", "0"], ConfigError, r"--min-score 0\.0: must be"),
        (["good.png", "--threads", "0"], ConfigError, "--threads 0: must be"),
        (["good.png", "--stride", "0"], ConfigError, "--stride 0: must be"),
        (["good.png", "--out", "no/such/folder.json"], ConfigError, "the folder no/such does not exist"),
        (["good.png", "--out", "empty"], ConfigError, "--out empty: cannot be written: Is a directory"),
    ],
)
def test_errors_are_clear_and_write_nothing(tmp_path, model, monkeypatch, arguments, error, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture follows")
    (tmp_path / "broken.jpg.onnx").write_bytes(b"no model")
    (tmp_path / "zero.png").touch()
    (tmp_path / "zero.mp4").touch()
    cv2.imwrite("good.png", np.zeros((32, 32, 3), np.uint8))
    before = sorted(tmp_path.rglob("*"))
    defaults = [] if "--model" in arguments else ["--model", str(model)]
    defaults += [] if "--out" in arguments else ["--out", "results.json"]
    with pytest.raises(error, match=message):
        call(*arguments, *defaults)
    assert sorted(tmp_path.rglob("*")) == before
