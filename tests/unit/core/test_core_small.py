"""Boxes, files, redaction, clock."""

import hashlib
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.boxes import coverage, iou, nms, to_cxcywh, to_xyxy
from core.clock import ManualClock
from core.files import sha256_of, write_atomic
from core.redact import redact_text, redact_url

number = st.floats(-1000, 1000, width=32)
box = st.tuples(number, number, st.floats(0.5, 500, width=32), st.floats(0.5, 500, width=32)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
boxes = st.lists(box, min_size=1, max_size=6).map(lambda rows: np.array(rows, np.float64))


@given(boxes, boxes)
def test_iou_is_symmetric_bounded_and_one_for_itself(a, b):
    np.testing.assert_allclose(iou(a, b), iou(b, a).T)
    assert ((iou(a, b) >= 0) & (iou(a, b) <= 1 + 1e-9)).all()
    np.testing.assert_allclose(np.diag(iou(a, a)), 1)
    assert (coverage(a, b) + 1e-9 >= iou(a, b)).all()


@given(boxes)
def test_centre_form_and_back(a):
    np.testing.assert_allclose(to_xyxy(to_cxcywh(a)), a, atol=1e-6)


def test_nms_keeps_the_best_of_each_heap_and_other_classes():
    heap = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [30, 0, 40, 10]], float)
    scores = np.array([0.5, 0.9, 0.1])
    assert nms(heap, scores, None, 0.5).tolist() == [1, 2]
    assert nms(heap, scores, np.array([0, 1, 0]), 0.5).tolist() == [1, 0, 2]


def test_atomic_write_leaves_old_file_when_it_cannot_write(tmp_path):
    path = tmp_path / "bill.json"
    write_atomic(path, "old")
    with pytest.raises(TypeError):
        write_atomic(path, 5)  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["bill.json"]
    assert sha256_of(path) == hashlib.sha256(b"old").hexdigest()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://u:p%40ss@h/1", "rtsp://***@h/1"),
        ("rtsp://u:p@ss@h/1", "rtsp://***@h/1"),
        ("http://h/x?password=1&w=640", "http://h/x?password=***&w=640"),
        ("http://[::1/x?y", "http://[::1/x?y"),
        ("clip.mp4", "clip.mp4"),
    ],
)
def test_urls_are_redacted(url, shown):
    assert redact_url(url) == shown


def test_text_is_redacted():
    assert "secret" not in redact_text("open rtsp://bob:secret@h/1 and http://x:secret@y")


def test_manual_clock_waits_without_sleeping():
    clock, event = ManualClock(), threading.Event()
    assert clock.wait(event, 5) is False
    assert clock.monotonic_s() == 5
    event.set()
    assert clock.wait(event, 1) is True
    with pytest.raises(ValueError, match="moved by"):
        clock.advance(-1)
