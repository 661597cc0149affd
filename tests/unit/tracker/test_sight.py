"""The optical flow beside the detector: what it may do, and what it must not."""

from __future__ import annotations

import numpy as np
import pytest

from core.records import Tracks, TrackState
from tests.unit.tracker.counter_world import LABELS, SIZE, by_id, detections, hand, item
from tracker.settings import COUNTER, TrackerSettings
from tracker.tracker import MultiObjectTracker


def _settings(when: str) -> TrackerSettings:
    flow = COUNTER.optical_flow.model_copy(update={"when": when})
    return COUNTER.model_copy(update={"optical_flow": flow})


def _texture(seed: int, width: int, height: int) -> np.ndarray:
    """Return a patch of blocks of random grey, rich in corners."""
    blocks = np.random.default_rng(seed).integers(30, 230, (height // 6 + 1, width // 6 + 1), dtype=np.uint8)
    return np.kron(blocks, np.ones((6, 6), np.uint8))[:height, :width]


TABLE = _texture(0, SIZE[0], SIZE[1])


def picture(*dishes: tuple[int, float, float, int]) -> np.ndarray:
    """Return a frame of the table with square dishes (seed of the texture, centre x, centre y, side)."""
    grey = TABLE.copy()
    for seed, cx, cy, side in dishes:
        x, y = round(cx - side / 2), round(cy - side / 2)
        grey[y : y + side, x : x + side] = _texture(seed, side, side)
    return np.repeat(grey[:, :, None], 3, axis=2)


def play(frames: list[tuple[list, np.ndarray]], when: str = "doubt") -> list[Tracks]:
    machine = MultiObjectTracker(_settings(when), LABELS, SIZE)
    return [machine.update(detections(items, k / 20.0, k), image) for k, (items, image) in enumerate(frames)]


@pytest.mark.parametrize("when", ["doubt", "always"])
def test_a_dish_that_the_detector_misses_is_not_lost_while_it_can_be_seen(when: str) -> None:
    shown = picture((1, 200, 150, 60), (2, 400, 200, 60))
    both, one = [item(200, 150), item(400, 200)], [item(400, 200)]
    frames = [(both, shown)] * 20 + [(one, shown)] * 14
    assert by_id(play(frames, when)[-1], 1).state is TrackState.CONFIRMED
    assert by_id(play(frames, "never")[-1], 1).state is TrackState.LOST


@pytest.mark.parametrize("when", ["doubt", "always"])
def test_a_dish_that_is_gone_is_lost_as_soon_as_without_pictures(when: str) -> None:
    full, empty = picture((1, 200, 150, 60), (2, 400, 200, 60)), picture((2, 400, 200, 60))
    both, one = [item(200, 150), item(400, 200)], [item(400, 200)]
    said = play([(both, full)] * 20 + [(one, empty)] * 12, when)
    lost = next(k for k in range(20, 32) if by_id(said[k], 1).state is TrackState.LOST)
    assert (lost - 19) / 20.0 <= 0.35


def test_a_missed_dish_goes_where_its_picture_goes() -> None:
    frames = [([item(200, 150), item(450, 250)], picture((1, 200, 150, 60), (2, 450, 250, 60)))] * 20
    for k in range(1, 15):
        frames.append(([item(450, 250)], picture((1, 200 + 3 * k, 150, 60), (2, 450, 250, 60))))
    followed, alone = by_id(play(frames)[-1], 1).box, by_id(play(frames, "never")[-1], 1).box
    assert abs((followed[0] + followed[2]) / 2 - 242) < 5
    assert abs((alone[0] + alone[2]) / 2 - 242) > 25, "the boxes alone know nothing of it"


def test_a_camera_that_is_pushed_takes_its_tracks_along() -> None:
    shown = picture((1, 200, 150, 60))
    frames = [([item(200, 150)], shown)] * 20
    frames += [([], np.roll(shown, (12 * k, 20 * k), axis=(0, 1))) for k in range(1, 4)]
    box = by_id(play(frames, "always")[-1], 1).box
    assert ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) == pytest.approx((260, 186), abs=4)


def test_a_still_picture_is_no_proof_of_what_is_under_a_hand() -> None:
    shown = picture((1, 200, 150, 60))
    said = play([([item(200, 150)], shown)] * 20 + [([hand(200, 150)], shown)] * 10, "always")
    assert by_id(said[-1], 1).state is TrackState.OCCLUDED


def test_no_picture_is_looked_at_without_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    from tracker import sight

    looked = []
    read = sight.OpticalFlow.read
    monkeypatch.setattr(sight.OpticalFlow, "read", lambda self, *args: looked.append(1) or read(self, *args))
    shown = picture((1, 200, 150, 60), (2, 400, 200, 60))
    both, one = [item(200, 150), item(400, 200)], [item(400, 200)]
    play([(both, shown)] * 20)
    assert not looked
    play([(both, shown)] * 10 + [(one, shown)] * 2 + [(both, shown)] * 10)
    assert 3 <= len(looked) <= 5


def test_smaller_pictures_than_the_boxes_say_the_same() -> None:
    frames = [([item(200, 150), item(450, 250)], picture((1, 200, 150, 60), (2, 450, 250, 60)))] * 20
    for k in range(1, 15):
        frames.append(([item(450, 250)], picture((1, 200 + 4 * k, 150, 60), (2, 450, 250, 60))))
    small = [(items, np.ascontiguousarray(image[::2, ::2])) for items, image in frames]
    full_box, small_box = by_id(play(frames)[-1], 1).box, by_id(play(small)[-1], 1).box
    assert small_box == pytest.approx(full_box, abs=6)
