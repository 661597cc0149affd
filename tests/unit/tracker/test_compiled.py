"""The compiled path gives what numpy gives, to the last bit, and never stands in anybody's way."""

from __future__ import annotations

import copy
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.tracker_speed import SEQ, scene
from tracker import compiled, kernels, table
from tracker.compiled import Kernels, Loader, QuietFrame, compile_kernels
from tracker.engine import TrackingEngine
from tracker.kalman import Gaussians
from tracker.settings import COUNTER, PEDESTRIAN, TrackerSettings

CLASSES, HAND = 6, 5
ROOT = Path(__file__).parents[3]
PRESETS = {"counter": COUNTER, "pedestrian": PEDESTRIAN}
both_presets = pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)


@pytest.fixture(scope="module")
def made() -> Kernels:
    """The compiled kernels; the same functions as they are where numba is not installed."""
    return Kernels() if importlib.util.find_spec("numba") is None else compile_kernels()


def _engines(preset: TrackerSettings, made: Kernels) -> tuple[TrackingEngine, TrackingEngine]:
    numpy_alone = preset.model_copy(update={"compiled": "never"})
    plain, quick = (TrackingEngine(numpy_alone, CLASSES, HAND, (1280, 720)) for _ in range(2))
    quick.use(made)
    return plain, quick


def _same(plain: TrackingEngine, quick: TrackingEngine) -> None:
    for name in ("floats", "integers", "log_likelihood", "embedding"):
        np.testing.assert_array_equal(getattr(quick.table, name), getattr(plain.table, name), err_msg=name)
    np.testing.assert_array_equal(quick.table.motion.state, plain.table.motion.state)
    np.testing.assert_array_equal(quick.boxes(), plain.boxes())
    assert quick.removed == plain.removed


def _wild_scene(seed: int, frames: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, float]]:
    """Return boxes, scores, classes and times: objects that cross the border, hands, twins, clutter, odd numbers."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(0, 9))
    centre, side = rng.uniform(0, (1280, 720), (count, 2)), rng.uniform(30, 200, (count, 2))
    speed, label = rng.normal(0, 60, (count, 2)), rng.integers(0, 5, count)
    restless, misses, now_s, made = rng.choice([0.005, 0.03]), rng.choice([0.0, 0.1, 0.4]), 0.0, []
    for _ in range(frames):
        now_s += float(rng.choice([1 / 30, 1 / 30, 1 / 20, 0.2, 1.4], p=[0.5, 0.3, 0.15, 0.04, 0.01]))
        centre = centre + speed / 30 + (rng.random() < 0.03) * 90.0
        seen = rng.random(count) >= misses
        at = (centre + rng.normal(0, restless, (count, 2)) * side)[seen]
        whole = side[seen] * rng.choice([1.0, 1.0, 1.0, 0.7], (len(at), 2))
        boxes = np.concatenate([at - whole / 2, at + whole / 2], axis=1)
        scores = np.round(rng.uniform(0.05, 1.0, len(at)), int(rng.choice([1, 9])))
        classes = np.where(rng.random(len(at)) < 0.1, rng.integers(0, 5, len(at)), label[seen])
        extra = int(rng.integers(0, 3))
        if extra:
            low = rng.uniform(0, 700, (extra, 2))
            boxes = np.concatenate([boxes, np.concatenate([low, low + rng.uniform(-5, 300, (extra, 2))], axis=1)])
            scores = np.append(scores, rng.choice([0.3, 0.7, 0.9, 1.3, np.nan], extra, p=[0.3, 0.3, 0.3, 0.05, 0.05]))
            classes = np.append(classes, rng.integers(0, CLASSES, extra))
        made.append((boxes, scores, classes.astype(np.int64), now_s))
    return made


@both_presets
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_scene_gives_the_same_bits(preset: TrackerSettings, made: Kernels, seed: int) -> None:
    plain, quick = _engines(preset, made)
    rng = np.random.default_rng(seed)
    says_all, looks = rng.random() < 0.3, rng.random() < 0.3
    for boxes, scores, classes, now_s in _wild_scene(seed, 30):
        probs = rng.dirichlet(np.ones(CLASSES), len(scores)) if says_all else None
        vectors = rng.normal(0, 1, (len(scores), 4)) if looks else None
        for engine in (plain, quick):
            engine.step(boxes.copy(), scores.copy(), classes, probs, now_s, embeddings=vectors)
        _same(plain, quick)


@both_presets
@pytest.mark.parametrize("objects", [10, 50])
def test_quiet_scenes_are_the_kernels_work(
    preset: TrackerSettings, made: Kernels, objects: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, quick = _engines(preset, made)
    matched, whole = [], []
    pairs, measure = QuietFrame.pairs, QuietFrame.measure

    def watched_pairs(*args: object) -> object:
        said = pairs(*args)  # type: ignore[arg-type]
        matched.append(said[1] is not None)
        return said

    def watched_measure(*args: object) -> object:
        said = measure(*args)  # type: ignore[arg-type]
        whole.append(said is not None)
        return said

    monkeypatch.setattr(QuietFrame, "pairs", watched_pairs)
    monkeypatch.setattr(QuietFrame, "measure", watched_measure)
    for k, rows in enumerate(scene(objects, 60)):
        for engine in (plain, quick):
            engine.step(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64), None, k / SEQ["fps"])  # type: ignore[operator]
        _same(plain, quick)
    assert np.mean(matched) > 0.9
    assert np.mean(whole) > 0.9


def test_kernels_that_come_in_the_middle_change_nothing(made: Kernels) -> None:
    plain, late = _engines(COUNTER, made)
    late._quiet = None
    for k, (boxes, scores, classes, now_s) in enumerate(_wild_scene(11, 60)):
        if k == 25:
            late.use(made)
        for engine in (plain, late):
            engine.step(boxes, scores, classes, None, now_s)
        _same(plain, late)


def test_the_rows_are_those_of_the_table() -> None:
    born = table.TrackTable.born(np.array([1]), Gaussians(np.zeros((5, 4, 1))), 0.0, np.zeros(1), 3)
    born.floats[:, 0] = np.arange(len(born.floats))
    born.integers[:, 0] = np.arange(len(born.integers))
    floats = ("unseen_s", "uncovered_s", "hits", "watched_s", "covered", "score", "last_seen_s")
    rows = (kernels.UNSEEN, kernels.UNCOVERED, kernels.HITS, kernels.WATCHED, kernels.COVERED, kernels.SCORE)
    assert [getattr(born, name)[0] for name in floats] == [*rows, kernels.LAST_SEEN]
    wide = ("drift", "viewed", "anchor", "surprise")
    at = [kernels.DRIFT, kernels.VIEWED, kernels.ANCHOR, kernels.SURPRISE]
    assert [getattr(born, name)[0, 0] for name in wide] == at
    assert [born.unsteady[0], born.weight[0], born.views[0]] == [kernels.UNSTEADY, kernels.WEIGHT, kernels.VIEWS]
    integers = ("state", "left_over", "at_edge", "companion", "held")
    rows = (kernels.STATE, kernels.LEFT_OVER, kernels.AT_EDGE, kernels.COMPANION, kernels.HELD)  # type: ignore[assignment]
    assert [getattr(born, name)[0] for name in integers] == list(rows)
    assert (kernels.TENTATIVE, kernels.CONFIRMED) == (table.TENTATIVE, table.CONFIRMED)


def test_a_copy_of_a_tracker_shares_its_kernels(made: Kernels) -> None:
    assert copy.deepcopy(made) is made


def test_without_numba_numpy_does_the_work_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    alone = Loader()
    assert alone.wait(0.0) is None
    assert "traylane[fast]" in str(alone.problem)


def test_settings_that_the_kernels_do_not_know_stay_with_numpy() -> None:
    assert QuietFrame.supports(COUNTER)
    assert QuietFrame.supports(PEDESTRIAN)
    assert not QuietFrame.supports(COUNTER.model_copy(update={"reupdate_s": 0.3}))
    assert not QuietFrame.supports(COUNTER.model_copy(update={"height_weight": 0.7}))


@pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="numba is not installed (extra: fast)")
def test_a_compiler_that_fails_is_a_problem_told_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("no folder for the cache")

    monkeypatch.setattr(compiled, "_stamp", broken)
    failed = Loader()
    assert failed.wait(60.0) is None
    assert "no folder for the cache" in str(failed.problem)


def test_an_engine_does_not_import_numba_at_its_start() -> None:
    code = (
        "import sys, tracker.engine as e, tracker.settings as s;"
        "e.TrackingEngine(s.COUNTER, 3, -1, None);"
        "raise SystemExit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=120).returncode == 0
