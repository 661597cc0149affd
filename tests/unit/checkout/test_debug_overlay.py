"""The picture for people who debug: everything is in it, whatever the size of the frame."""

import numpy as np
import pytest

from checkout.debug_overlay import LEAST_WIDTH, draw_debug
from checkout.pen import ON_BILL, ZONE
from checkout.pipeline import LaneUpdate
from checkout.zones import Zone, parse_polygon
from core.records import Bill, Frame, LineItem, Track, Tracks, TrackState
from tests.fakes import detections, menu, seen

MENU = menu("soup", "bread")
ZONES = (Zone("tray", "tray", parse_polygon("0.1,0.1,0.9,0.1,0.9,0.9,0.1,0.9")),)


def update(size=(360, 640), things=(), state=TrackState.CONFIRMED, visibility=1.0) -> LaneUpdate:
    found = detections(things, ("soup", "bread"), 3, 0.0)
    posterior = (("soup", 0.8), ("bread", 0.15), ("@item", 0.05))
    tracks = tuple(
        Track(n, thing.box, (40.0, 0.0), 0.9, state, visibility, posterior, 0.0, 0.0, True)
        for n, thing in enumerate(things, 1)
    )
    lines = tuple(LineItem(n, n, "soup", 1, 1.0, 0.0, 0.9, (0.0, 0.0, 1.0, 1.0)) for n, _ in enumerate(things, 1))
    bill = Bill("b", "lane1", 0.0, None, 0.0, None, 1, lines)
    frame = Frame("lane1", 3, 0.0, 0.0, np.full((*size, 3), 120, np.uint8))
    stages = {"detect": 0.0123, "track": 0.002, "decide": 0.0004}
    return LaneUpdate(frame, found, Tracks(3, 0.0, tracks), (), bill, (), stages, len(things), 0.0)


def near(image, colour, part) -> float:
    return float((np.abs(image[part].astype(int) - colour).sum(axis=2) < 60).mean())


def test_small_frames_are_drawn_larger_and_stay_as_they_are():
    one = update(things=[seen("soup", 300, 200, 100)])
    image = draw_debug(one, ZONES, MENU)
    assert image.shape == (720, LEAST_WIDTH, 3)
    assert (one.frame.image == 120).all()
    assert near(image, ON_BILL, np.s_[320:480, 495:505]) > 0.2  # the left side of the box, twice as large
    assert near(image, ZONE, np.s_[300:400, 126:132]) > 0.2


def test_the_bar_is_as_high_as_what_is_seen():
    full, half = (
        near(draw_debug(update(things=[seen("soup", 300, 200, 100)], visibility=share), (), MENU), ON_BILL,
             np.s_[300:500, 488:500])
        for share in (1.0, 0.5)
    )  # fmt: skip
    assert full > half * 1.3


@pytest.mark.parametrize("size", [(2, 2), (48, 64), (1080, 1920)])
@pytest.mark.parametrize("state", list(TrackState))
def test_any_size_and_state_can_be_drawn(size, state):
    things = [seen("soup", 10, 10, 300), seen("bread", -50, 4000, 80)]
    image = draw_debug(update(size, things, state), ZONES, MENU)
    assert image.shape[1] == max(size[1], LEAST_WIDTH)


def test_an_update_without_a_frame_has_no_picture():
    gap = LaneUpdate(None, None, Tracks(0, 0.0, ()), (), None, (), {}, 0, 0.0)
    with pytest.raises(ValueError, match="without a frame"):
        draw_debug(gap, (), MENU)
