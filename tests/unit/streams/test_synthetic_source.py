"""The synthetic lane as a camera, as files and as a command."""

from __future__ import annotations

import argparse
import json

import av
import cv2
import numpy as np
import pytest

from app.commands import simulate
from checkout.menu import load_menu
from core.clock import ManualClock
from core.errors import ConfigError, SourceEnded, StoreUnavailable
from streams.factory import make_source
from streams.source import SourceSettings
from streams.synthetic.catalogue import DISHES
from streams.synthetic.export import write_lane
from streams.synthetic.source import SyntheticSource, parse_url

SMALL = "fps=10&size=128x72"


def source(url, clock=None, **settings):
    return SyntheticSource(SourceSettings(url=url, **settings), "lane1", clock or ManualClock(1000.0, 50.0))


def read_all(one):
    one.open()
    frames = []
    while True:
        try:
            frames.append(one.read())
        except SourceEnded:
            return frames


def test_a_fast_lane_is_a_recording_with_times_of_its_own():
    frames = read_all(source(f"synthetic://easy?seed=3&trays=1&pace=fast&{SMALL}", start_utc=500.0))
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert frames[20].stream_s == pytest.approx(2.0)
    assert frames[20].captured_at_s == pytest.approx(502.0)
    assert frames[0].image.shape == (72, 128, 3)
    assert not source("synthetic://easy?pace=fast").live


def test_a_live_lane_keeps_real_time():
    clock = ManualClock(1000.0, 50.0)
    camera = source(f"synthetic://easy?seed=3&{SMALL}", clock)
    camera.open()
    frames = [camera.read() for _ in range(11)]
    assert camera.live
    assert clock.monotonic_s() == pytest.approx(51.0)
    assert frames[10].captured_at_s == pytest.approx(1001.0)
    assert np.diff([frame.captured_at_s for frame in frames]) == pytest.approx(0.1)


def test_a_live_lane_that_was_late_does_not_hurry_to_catch_up():
    clock = ManualClock(1000.0, 50.0)
    camera = source(f"synthetic://easy?{SMALL}", clock)
    camera.open()
    camera.read()
    clock.advance(5.0)
    times = [camera.read().captured_at_s for _ in range(3)]
    assert np.diff(times) == pytest.approx(0.1)


def test_a_live_lane_that_is_opened_again_goes_on_in_time_and_count():
    clock = ManualClock(1000.0, 50.0)
    camera = source(f"synthetic://easy?{SMALL}", clock)
    camera.open()
    first = [camera.read() for _ in range(5)]
    camera.close()
    with pytest.raises(SourceEnded):
        camera.read()
    clock.advance(3.0)
    camera.open()
    again = camera.read()
    assert again.index == 5
    assert again.stream_s == pytest.approx(first[-1].stream_s + 3.0)


def test_a_recording_that_is_opened_again_starts_again():
    recording = source(f"synthetic://easy?pace=fast&{SMALL}")
    recording.open()
    first = recording.read()
    recording.read()
    recording.open()
    again = recording.read()
    assert (again.index, again.stream_s) == (first.index, first.stream_s)
    assert (again.image == first.image).all()


def test_stride_leaves_frames_out_and_counts_them():
    recording = source(f"synthetic://easy?trays=1&pace=fast&{SMALL}", stride=4)
    frames = read_all(recording)
    assert {frame.index % 4 for frame in frames} == {0}
    assert recording.dropped["stride"] >= 2 * len(frames)


def test_a_loop_begins_again_and_its_time_goes_on():
    recording = source(f"synthetic://easy?trays=1&pace=fast&{SMALL}", loop=True)
    recording.open()
    once = len(read_all(source(f"synthetic://easy?trays=1&pace=fast&{SMALL}")))
    frames = [recording.read() for _ in range(once + 5)]
    assert np.diff([frame.stream_s for frame in frames]) == pytest.approx(0.1)
    assert (frames[once].image == frames[0].image).all()


def test_the_factory_knows_the_scheme():
    assert isinstance(make_source(SourceSettings(url="synthetic://hard"), "lane1", ManualClock()), SyntheticSource)


def test_the_url_says_everything():
    url = parse_url("synthetic://hard?seed=9&fps=25&size=800x600&trays=12&pace=fast")
    assert (url.preset, url.seed, url.fps, url.width, url.height, url.trays, url.pace) == (
        "hard",
        9,
        25.0,
        800,
        600,
        12,
        "fast",
    )
    assert parse_url("synthetic://").preset == "medium"


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("synthetic://brutal", "easy, medium, hard"),
        ("synthetic://easy?speed=3", "speed"),
        ("synthetic://easy?fps=fast", "fps is a number"),
        ("synthetic://easy?fps=0", "1 to 120"),
        ("synthetic://easy?seed=-4", "0 or more"),
        ("synthetic://easy?size=640", "640x360"),
        ("synthetic://easy?size=10x10", "64 or more"),
        ("synthetic://easy?pace=slow", "real or fast"),
        ("synthetic://easy/path", "synthetic://"),
    ],
)
def test_a_wrong_url_is_told(url, word):
    with pytest.raises(ConfigError, match=word):
        parse_url(url)


def test_write_lane_makes_a_video_a_truth_and_a_coco_folder(tmp_path):
    out = tmp_path / "new" / "lane"
    write_lane(4, 2, "medium", out, coco=True, width=160, height=90, fps=10.0)
    truth = json.loads((out / "truth.json").read_text())
    assert truth.keys() == {"fps", "items", "count_by_frame", "bills", "boxes"}
    with av.open(str(out / "lane.mp4")) as container:
        pictures = sum(1 for _ in container.decode(video=0))
        assert container.streams.video[0].codec_context.name == "h264"
    assert pictures == len(truth["boxes"])
    assert len(truth["bills"]) == 2
    for bill in truth["bills"]:
        inside = [i for i in truth["items"] if bill["t_in_s"] <= i["t_in_s"] <= bill["t_out_s"] and i["billed"]]
        assert sum(bill["lines"].values()) == len(inside)
    counts = dict(truth["count_by_frame"])
    assert all(sum(row[7] for row in truth["boxes"][frame]) == count for frame, count in counts.items())
    coco = json.loads((out / "coco" / "annotations.json").read_text())
    assert len(coco["images"]) == -(-pictures // 10)
    assert len(coco["categories"]) == len(DISHES) + 1
    assert coco["annotations"]
    for image in coco["images"]:
        assert cv2.imread(str(out / "coco" / "images" / image["file_name"])).shape == (90, 160, 3)


def test_write_lane_leaves_nothing_half_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable, match="file"):
        write_lane(4, 1, "easy", tmp_path / "file", width=128, height=72, fps=5.0)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def simulate_arguments(*words):
    parser = argparse.ArgumentParser()
    simulate.add(parser.add_subparsers())
    return parser.parse_args(["simulate", *words])


def test_the_command_writes_the_lane(tmp_path, capsys):
    args = simulate_arguments(
        "--seed", "2", "--trays", "1", "--preset", "easy", "--out", str(tmp_path), "--fps", "5", "--size", "128x72"
    )
    assert args.run(args) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lane.mp4", "truth.json"]
    assert str(tmp_path / "lane.mp4") in capsys.readouterr().out


@pytest.mark.parametrize("words", [("--size", "big"), ("--trays", "0"), ("--fps", "0"), ("--seed", "-1")])
def test_the_command_refuses_nonsense(tmp_path, words):
    args = simulate_arguments("--out", str(tmp_path / "out"), *words)
    with pytest.raises(ConfigError, match="--"):
        args.run(args)
    assert not (tmp_path / "out").exists()


def test_the_demo_menu_has_each_dish_of_the_catalogue(request):
    menu = load_menu(request.config.rootpath / "configs" / "menu.yaml")
    assert set(menu.dishes) == {kind.name for kind in DISHES}
    for kind in DISHES:
        dish = menu[kind.name]
        assert (dish.title, dish.price, dish.category) == (kind.title, kind.price, kind.category)
    assert len({dish.plu for dish in menu.dishes.values()}) == len(DISHES)
