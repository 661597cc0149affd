"""Records are checked once, when they are made, and cannot change afterwards."""

import dataclasses

import numpy as np
import pytest

from core.records import ITEM, Bill, Detections, Frame, LineItem, Track, TrackState


def detections(**changes):
    fields = {
        "frame_index": 0,
        "captured_at_s": 0.0,
        "boxes": np.array([[0, 0, 2, 2]], np.float32),
        "scores": np.array([0.5], np.float32),
        "class_ids": np.array([0]),
        "labels": ("soup",),
    }
    return Detections(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boxes": np.zeros((1, 5), np.float32)}, r"\(N, 4\)"),
        ({"scores": np.zeros(2, np.float32)}, "must be"),
        ({"class_ids": np.array([1])}, "class_ids"),
        ({"boxes": np.full((1, 4), np.nan, np.float32)}, "NaN"),
        ({"class_probs": np.zeros((1, 2), np.float32)}, "class_probs"),
        ({"embeddings": np.zeros((2, 8), np.float32)}, "embeddings"),
    ],
)
def test_wrong_arrays_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        detections(**changes)


def test_frame_is_read_only_and_frozen():
    frame = Frame("a", 0, 0.0, 0.0, np.zeros((2, 3, 3), np.uint8))
    assert (frame.width, frame.height) == (3, 2)
    with pytest.raises(ValueError, match="read-only"):
        frame.image[0, 0, 0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        frame.index = 2
    with pytest.raises(ValueError, match="uint8"):
        Frame("a", 0, 0.0, 0.0, np.zeros((2, 3), np.uint8))


def track(**changes):
    fields = {
        "track_id": 1,
        "box": (0.0, 0.0, 1.0, 1.0),
        "velocity_px_s": (0.0, 0.0),
        "score": 0.5,
        "state": TrackState.CONFIRMED,
        "visibility": 1.0,
        "posterior": (),
        "first_seen_s": 0.0,
        "last_seen_s": 0.0,
        "matched": True,
    }
    return Track(**{**fields, **changes})


def test_track_without_evidence_is_an_item_of_unknown_dish():
    assert track().label == ITEM
    assert track().confidence == 0.0
    assert track(posterior=(("soup", 0.8), ("cup", 0.1))).label == "soup"


@pytest.mark.parametrize("changes", [{"box": (0.0, 0.0, float("nan"), 1.0)}, {"visibility": 1.5}])
def test_impossible_track_is_refused(changes):
    with pytest.raises(ValueError, match="track 1"):
        track(**changes)


def test_bill_total_is_exact_to_the_cent():
    line = LineItem(1, 1, "soup", 3, 0.1, 0.0, 0.9, (0.0, 0.0, 1.0, 1.0))
    assert Bill("b", "a", 0.0, None, 0.0, None, 1, (line,)).total == 0.3
