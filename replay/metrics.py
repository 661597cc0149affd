"""The figures of a replay: pure functions of what we said and what was true.

Notation for bills: trays i = 1..N, dishes k; P[i, k] is how many of dish k we charged for tray i, G[i, k] how
many there were. Vectors are `Mapping[str, int]` without zero entries. A bill that belongs to no tray is a row
with G = 0: what it charges is overcharged. A figure that is not defined (no truth, no trays) is None.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from checkout import health
from replay.matching import Matching, Stay
from replay.truth import Truth, TruthItem
from replay.uncertainty import bootstrap, wilson

Vector = Mapping[str, int]
FloatArray = NDArray[np.float64]

#: Around a true change nobody can say to the frame who is right.
CHANGE_TOLERANCE_S = 0.5
#: A dish with at least this share of the true lines is a frequent one.
FREQUENT_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Lines:
    """Track 4 counts. F1 = 2 TP / (2 TP + FP + FN); precision = TP / (TP + FP); recall = TP / (TP + FN)."""

    tp: int
    fp: int
    fn: int

    @property
    def f1(self) -> float | None:
        """The pooled F1, or None when there was nothing on either side."""
        total = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / total if total else None


def count_lines(matching: Matching) -> Lines:
    """Return the counts of a Track 4 matching: pairs, lines without an item, items without a line."""
    return Lines(len(matching.pairs), len(matching.stays_left), len(matching.items_left))


def f1_interval(per_tray: Sequence[Lines], seed: int = 0) -> tuple[float, float] | None:
    """Return the 95 % bootstrap interval of the pooled F1 over trays."""
    groups = np.array([(tray.tp, tray.fp, tray.fn) for tray in per_tray], dtype=np.float64).reshape(-1, 3)

    def pooled(sums: FloatArray) -> FloatArray:
        total = 2 * sums[:, 0] + sums[:, 1] + sums[:, 2]
        with np.errstate(invalid="ignore", divide="ignore"):
            value: FloatArray = np.where(total > 0, 2 * sums[:, 0] / total, np.nan)
        return value

    return bootstrap(groups, pooled, seed)


def cart_accuracy(ours: Sequence[Vector], true: Sequence[Vector]) -> float | None:
    """Return cAcc = share of trays whose whole count vector is right (RPC, Wei et al. 2019)."""
    if not true:
        return None
    return sum(dict(p) == dict(g) for p, g in zip(ours, true, strict=True)) / len(true)


def average_count_distance(ours: Sequence[Vector], true: Sequence[Vector], trays: int | None = None) -> float | None:
    """Return ACD = (1/N) Σ_i Σ_k |P[i,k] − G[i,k]|: wrong items per tray.

    Args:
        ours: P.
        true: G.
        trays: N where rows for bills without a tray are among them; all rows by default.
    """
    count = len(true) if trays is None else trays
    return sum(distance(p, g) for p, g in zip(ours, true, strict=True)) / count if count else None


def distance(ours: Vector, true: Vector) -> int:
    """Return Σ_k |P[k] − G[k]| of one tray.

    >>> distance({"tea": 2}, {"tea": 1, "bread": 1})
    2
    """
    return sum(abs(ours.get(dish, 0) - true.get(dish, 0)) for dish in {*ours, *true})


def mean_class_distance(ours: Sequence[Vector], true: Sequence[Vector]) -> float | None:
    """Return mCCD = (1/K) Σ_k (Σ_i |P − G| / Σ_i G) over the dishes with Σ_i G > 0."""
    ratios = []
    for dish in sorted({dish for g in true for dish in g}):
        wrong = sum(abs(p.get(dish, 0) - g.get(dish, 0)) for p, g in zip(ours, true, strict=True))
        ratios.append(wrong / sum(g.get(dish, 0) for g in true))
    return float(np.mean(ratios)) if ratios else None


def mean_class_overlap(ours: Sequence[Vector], true: Sequence[Vector]) -> float | None:
    """Return mCIoU = (1/K) Σ_k (Σ_i min(P, G) / Σ_i max(P, G)) over all dishes of either side."""
    ratios = []
    for dish in sorted({dish for vector in (*ours, *true) for dish in vector}):
        pairs = [(p.get(dish, 0), g.get(dish, 0)) for p, g in zip(ours, true, strict=True)]
        ratios.append(sum(map(min, pairs)) / sum(map(max, pairs)))
    return float(np.mean(ratios)) if ratios else None


@dataclass(frozen=True, slots=True)
class Money:
    """Currency per tray: signed = mean(P − G), absolute = mean|P − G|, over and under = the two halves of it."""

    signed: float
    absolute: float
    over: float
    under: float


def money_error(charged: Sequence[float], due: Sequence[float], trays: int | None = None) -> Money | None:
    """Return the money error of bills. `absolute` = `over` + `under`, `signed` = `over` − `under`.

    Args:
        charged: our totals, one per tray.
        due: the true totals.
        trays: how many trays to share the error among; one per total by default.
    """
    count = len(due) if trays is None else trays
    if not count:
        return None
    error = np.asarray(charged, dtype=np.float64) - np.asarray(due, dtype=np.float64)
    over, under = float(np.maximum(error, 0).sum()) / count, float(np.maximum(-error, 0).sum()) / count
    return Money(signed=over - under, absolute=over + under, over=over, under=under)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many of the line items are the cashier's: hits of trials, the share, and its Wilson interval."""

    hits: int
    trials: int

    @property
    def share(self) -> float | None:
        """Hits over trials; None without trials."""
        return self.hits / self.trials if self.trials else None

    @property
    def ci95(self) -> tuple[float, float] | None:
        """The Wilson interval of the share."""
        return wilson(self.hits, self.trials)


def agreement(ours: Sequence[Vector], true: Sequence[Vector], dishes: frozenset[str] | None = None) -> Agreement:
    """Return the share of line items that equal the cashier's.

    Per tray, hits = Σ_k min(P, G) and trials = max(Σ_k P, Σ_k G): a swapped, a missing and a surplus item
    each cost one.

    Args:
        ours: P.
        true: G.
        dishes: count these only; None counts all.
    """
    hits = trials = 0
    for p, g in zip(ours, true, strict=True):
        keep = {*p, *g} if dishes is None else {*p, *g} & dishes
        hits += sum(min(p.get(k, 0), g.get(k, 0)) for k in keep)
        trials += max(sum(p.get(k, 0) for k in keep), sum(g.get(k, 0) for k in keep))
    return Agreement(hits, trials)


def frequent_dishes(true: Sequence[Vector]) -> frozenset[str]:
    """Return the dishes with at least `FREQUENT_SHARE` of all true line items."""
    lines: Counter[str] = Counter()
    for vector in true:
        lines.update(vector)
    return frozenset(dish for dish, n in lines.items() if n >= FREQUENT_SHARE * lines.total())


def percentiles(seconds: Sequence[float], scale: float = 1.0) -> dict[str, float] | None:
    """Return p50, p95 and p99 of `seconds` times `scale` (1000 for milliseconds); None when empty."""
    found = health.percentiles(seconds)
    if found is None:
        return None
    return {name: round(getattr(found, name) * scale, 3) for name in ("p50", "p95", "p99")}


@dataclass(frozen=True, slots=True)
class CountError:
    """Frames with a wrong item count: `share` = wrong / judged; frames near a true change are not judged."""

    wrong: int
    judged: int

    @property
    def share(self) -> float | None:
        """Wrong over judged; None when no frame could be judged."""
        return self.wrong / self.judged if self.judged else None


def true_counts(frames: Sequence[int], truth: Truth) -> NDArray[np.int64]:
    """Return the true item count (F,) at each frame number, −1 before the first entry of the truth."""
    steps = truth.count_by_frame or ()
    starts = np.array([frame for frame, _ in steps], dtype=np.int64)
    values = np.array([-1, *(items for _, items in steps)], dtype=np.int64)
    found: NDArray[np.int64] = values[np.searchsorted(starts, np.asarray(frames, dtype=np.int64), side="right")]
    return found


def near_change(frames: Sequence[int], truth: Truth, tolerance_s: float = CHANGE_TOLERANCE_S) -> NDArray[np.bool_]:
    """Return for each frame number (F,) whether a true change lies within `tolerance_s` of it."""
    steps = truth.count_by_frame or ()
    changes = np.array([b[0] for a, b in itertools.pairwise(steps) if a[1] != b[1]], dtype=np.float64)
    numbers = np.asarray(frames, dtype=np.float64)
    if not len(changes) or truth.fps is None:
        return np.zeros(len(numbers), dtype=bool)
    distance_frames = np.abs(numbers[:, None] - changes[None, :]).min(axis=1)
    near: NDArray[np.bool_] = distance_frames <= tolerance_s * truth.fps
    return near


def count_error(
    frames: Sequence[int], items: Sequence[int], truth: Truth, tolerance_s: float = CHANGE_TOLERANCE_S
) -> CountError | None:
    """Return the share of frames whose item count is wrong, frames within `tolerance_s` of a true change left out.

    Args:
        frames: (F,) 0-based frame numbers that were decided.
        items: (F,) our counts after each of them.
        truth: with `count_by_frame`; None is returned without it.
        tolerance_s: seconds on both sides of a change.
    """
    if not truth.count_by_frame:
        return None
    known = true_counts(frames, truth)
    judged = (known >= 0) & ~near_change(frames, truth, tolerance_s)
    wrong = judged & (np.asarray(items, dtype=np.int64) != known)
    return CountError(int(wrong.sum()), int(judged.sum()))


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far the confidence of committed lines can be trusted.

    Attributes:
        ece: Σ_b (n_b / n) |accuracy_b − confidence_b| over ten equal bins of confidence.
        aurc: area under the risk-coverage curve: mean over c = 1..n of the error share of the c surest lines.
        curve: (coverage, risk) at each line, surest first.
    """

    lines: int
    ece: float
    aurc: float
    curve: tuple[tuple[float, float], ...]


def calibration(confidences: Sequence[float], right: Sequence[bool], bins: int = 10) -> Calibration | None:
    """Return expected calibration error (Guo et al. 2017) and risk-coverage (Geifman, El-Yaniv 2017) of lines.

    Args:
        confidences: (n,) 0..1, of the committed dish.
        right: (n,) whether the line is a true positive.
        bins: equal bins of confidence.
    """
    count = len(confidences)
    if not count:
        return None
    sure, hit = np.asarray(confidences, dtype=np.float64), np.asarray(right, dtype=np.float64)
    slot = np.minimum((sure * bins).astype(int), bins - 1)
    ece = sum(abs(float(hit[slot == b].sum() - sure[slot == b].sum())) for b in range(bins)) / count
    order = np.argsort(-sure, kind="stable")
    cover = np.arange(1, count + 1)
    risk = np.cumsum(1.0 - hit[order]) / cover
    return Calibration(count, ece, float(risk.mean()), tuple(zip((cover / count).tolist(), risk.tolist(), strict=True)))


def decision_delays(stays: Sequence[Stay], items: Sequence[TruthItem], matching: Matching) -> list[float]:
    """Return t_decision − t_in in seconds of all right lines."""
    return [stays[s].t_s - items[i].t_in_s for s, i in matching.pairs]


def confusion(stays: Sequence[Stay], items: Sequence[TruthItem], matching: Matching) -> dict[tuple[str, str], int]:
    """Return how often (true dish, our dish) occurred; "" stands for nothing on that side.

    Args:
        stays: our lines.
        items: the true items.
        matching: pairs without regard to the dish.
    """
    cells: Counter[tuple[str, str]] = Counter((items[i].dish, stays[s].dish) for s, i in matching.pairs)
    cells.update((items[i].dish, "") for i in matching.items_left)
    cells.update(("", stays[s].dish) for s in matching.stays_left)
    return dict(cells)
