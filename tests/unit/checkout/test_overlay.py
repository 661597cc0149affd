"""The marked-up picture: what is drawn where, and that nothing makes it fail."""

import numpy as np
import pytest

from checkout.overlay import draw
from checkout.pen import NO_GOODS, ON_BILL, PENDING, UNKNOWN, ZONE
from checkout.zones import WHOLE_FRAME, Zone, parse_polygon
from core.records import Bill, LineItem, Track, Tracks, TrackState
from tests.fakes import menu

MENU = menu("soup", "bread", ignored=["phone"])
ZONES = (Zone("tray", "tray", parse_polygon("0.1,0.1,0.9,0.1,0.9,0.9,0.1,0.9")),)


def track(track_id, label="soup", sure=0.95, box=(100.0, 150.0, 200.0, 250.0), state=TrackState.CONFIRMED) -> Track:
    return Track(track_id, box, (0.0, 0.0), 0.9, state, 1.0, ((label, sure),), 0.0, 0.0, True)


def bill_of(*track_ids: int) -> Bill:
    lines = tuple(LineItem(n, i, "soup", 1, 1.0, 0.0, 0.9, (0.0, 0.0, 1.0, 1.0)) for n, i in enumerate(track_ids, 1))
    return Bill("b", "lane1", 0.0, None, 0.0, None, 1, lines)


def picture(*tracks: Track, bill: Bill | None = None, zones=(), size=(360, 640), panel=False):
    image = np.full((*size, 3), 120, dtype=np.uint8)
    image.flags.writeable = False
    return draw(image, Tracks(0, 0.0, tracks), bill, zones, MENU, panel)


def share_near(image, colour, part=np.s_[:, :]) -> float:
    return float((np.abs(image[part].astype(int) - colour).sum(axis=2) < 60).mean())


@pytest.mark.parametrize(
    ("label", "bill", "colour"),
    [
        ("soup", bill_of(1), ON_BILL),
        ("soup", None, PENDING),
        ("@item", None, UNKNOWN),
        ("phone", None, NO_GOODS),
    ],
)
def test_a_box_has_the_colour_of_its_standing(label, bill, colour):
    image = picture(track(1, label), bill=bill)
    assert share_near(image, colour, np.s_[170:240, 95:105]) > 0.15
    assert share_near(image, colour, np.s_[270:350, 300:600]) == 0


def test_a_covered_object_is_dashed_and_a_lost_one_dotted():
    solid, dashed, dotted = (
        share_near(picture(track(1, state=state), bill=bill_of(1)), ON_BILL, np.s_[170:240, 95:105])
        for state in (TrackState.CONFIRMED, TrackState.OCCLUDED, TrackState.LOST)
    )
    assert solid > dashed > dotted > 0


def test_tentative_tracks_and_lost_ones_that_are_no_lines_are_not_drawn():
    blank = picture()
    assert (picture(track(1, state=TrackState.TENTATIVE)) == blank).all()
    assert (picture(track(1, state=TrackState.LOST)) == blank).all()


def test_the_zone_is_drawn_unless_it_is_the_whole_frame():
    assert share_near(picture(zones=ZONES), ZONE) > 0
    assert (picture(zones=[Zone("tray", "tray", parse_polygon(WHOLE_FRAME))]) == picture()).all()


def test_the_bar_is_as_long_as_the_confidence():
    sure = share_near(picture(track(1, sure=0.95)), PENDING)
    unsure = share_near(picture(track(1, sure=0.2)), PENDING)
    assert sure > unsure


def test_the_panel_takes_the_upper_right_corner_only():
    plain, panel = picture(bill=bill_of(1, 2)), picture(bill=bill_of(1, 2), panel=True)
    changed = (plain != panel).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert len(rows)
    assert rows.max() < 180
    assert columns.min() > 320


@pytest.mark.parametrize("size", [(64, 64), (96, 128), (360, 640), (1080, 1920)])
def test_any_size_and_any_box_can_be_drawn(size):
    height, width = size
    boxes = [
        (-50.0, -50.0, 20.0, 20.0), (width - 5.0, height - 5.0, width + 90.0, height + 90.0),
        (-1e4, 10.0, 1e4, 12.0), (5.0, 5.0, 5.0, 5.0), (width + 10.0, 0.0, width + 20.0, 10.0),
    ]  # fmt: skip
    states = [TrackState.CONFIRMED, TrackState.OCCLUDED, TrackState.LOST]
    tracks = [track(n, box=box, state=states[n % 3]) for n, box in enumerate(boxes)]
    image = picture(*tracks, bill=bill_of(0, 1, 2, 3, 4), zones=ZONES, size=size, panel=True)
    assert image.shape == (*size, 3)


def test_the_captured_frame_is_not_changed():
    image = np.full((360, 640, 3), 120, dtype=np.uint8)
    draw(image, Tracks(0, 0.0, (track(1),)), bill_of(1), ZONES, MENU, True)
    assert (image == 120).all()
