"""The benchmarks' face: camera motion that is given, and boxes that follow their detections."""

from __future__ import annotations

import numpy as np
import pytest

from tracker.mot import Step, make
from tracker.settings import PEDESTRIAN

PEOPLE = np.array([[100.0 + 90 * k, 120.0, 140.0 + 90 * k, 240.0, 0.9, 0.0] for k in range(5)])


def _seq(gmc: dict[int, np.ndarray] | None) -> dict[str, object]:
    return {"name": "s", "fps": 30.0, "w": 1280, "h": 720, "n": 60, "gmc": gmc}


def _moved(rows: np.ndarray, dx: float) -> np.ndarray:
    return rows + np.array([dx, 0.0, dx, 0.0, 0.0, 0.0])


def test_a_camera_that_jumps_keeps_identities_where_its_motion_is_given() -> None:
    jump = np.array([[1.0, 0.0, 70.0], [0.0, 1.0, 0.0]])
    told, untold = make(_seq({21: jump})), make(_seq(None))
    for _ in range(20):
        before = told(PEOPLE)
        untold(PEOPLE)
    after, without = told(_moved(PEOPLE, 70.0)), untold(_moved(PEOPLE, 70.0))
    assert after[:, 4].tolist() == before[:, 4].tolist()
    assert after[:, 0] == pytest.approx(before[:, 0] + 70.0, abs=3.0)
    assert without[:, 4].tolist() != before[:, 4].tolist() or len(without) < len(before)


def test_a_camera_at_rest_is_not_moved_by_the_noise_of_measuring_it() -> None:
    rng = np.random.default_rng(0)
    noise = {k: np.array([[1.0, 0.0, x], [0.0, 1.0, y]]) for k, (x, y) in enumerate(rng.normal(0, 0.3, (61, 2)), 1)}
    told, untold = make(_seq(noise)), make(_seq(None))
    for _ in range(40):
        np.testing.assert_array_equal(told(PEOPLE), untold(PEOPLE))


def test_a_camera_that_zooms_takes_sizes_along() -> None:
    zoom = np.array([[1.5, 0.0, 0.0], [0.0, 1.5, 0.0]])
    step = make(_seq({21: zoom}))
    for _ in range(20):
        before = step(PEOPLE)
    larger = PEOPLE.copy()
    larger[:, :4] *= 1.5
    after = step(larger)
    assert after[:, 4].tolist() == before[:, 4].tolist()
    assert after[:, 3] - after[:, 1] == pytest.approx(180.0, abs=4.0)


def test_the_reported_box_follows_its_detection_more_closely_than_the_filter() -> None:
    smooth = Step(_seq(None), PEDESTRIAN.model_copy(update={"sharpness": 0.0}))
    sharp = Step(_seq(None), PEDESTRIAN.model_copy(update={"sharpness": 0.6}))
    rng = np.random.default_rng(1)
    off = {"smooth": 0.0, "sharp": 0.0}
    for k in range(60):
        rows = _moved(PEOPLE, 4.0 * k) + np.concatenate([rng.normal(0, 3, (5, 4)), np.zeros((5, 2))], axis=1)
        a, b = smooth(rows), sharp(rows)
        if k > 10:
            order = np.argsort(rows[:, 0])
            off["smooth"] += float(np.abs(np.sort(a[:, 0]) - rows[order, 0]).sum())
            off["sharp"] += float(np.abs(np.sort(b[:, 0]) - rows[order, 0]).sum())
    assert off["sharp"] < off["smooth"]
