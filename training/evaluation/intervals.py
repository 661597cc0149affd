"""How sure the figures are: 95 % percentile intervals of a bootstrap over pictures.

Objects of one picture stand and fall together, and so do pictures of one group (a video, a burst): whole groups are
drawn, with replacement, as many as there are. A draw is a row of weights: how often each picture came up. Every figure
is computed again from weighted counts, so no detection is matched twice. What was undefined in a draw is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from dataset.records import DetectionSet
from models.gate import Figure
from training.detection_scores import Found, pair
from training.evaluation.coco_ap import MOST_DETECTIONS
from training.evaluation.inputs import wanted_of
from training.evaluation.matching import Bools, Ints, MatchedSet

DRAWS = 500
#: COCO's ten overlaps and 101 recalls.
IOUS = np.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0.0, 1.0, 101)
#: Draws of one block: keeps the largest table near 50 MB.
_BLOCK_CELLS = 6_000_000

Weights = NDArray[np.int64]
Values = NDArray[np.float64]


def draw_pictures(group: Ints, draws: int = DRAWS, seed: int = 0) -> Weights:
    """Return (draws, P): how often each picture came up; the same seed gives the same draws."""
    groups = int(group.max()) + 1
    rng = np.random.default_rng(seed)
    return rng.multinomial(groups, np.full(groups, 1 / groups), size=draws)[:, group]


def figure_with_interval(value: float | None, drawn: Values) -> Figure:
    """Return a figure with the interval of its draws; without one where fewer than two draws could measure it."""
    drawn = drawn[np.isfinite(drawn)]
    if value is None or len(drawn) < 2:
        return Figure(value=value)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Figure(value=value, low=float(low), high=float(high))


def share_draws(weights: Weights, top: Ints, bottom: Ints) -> Values:
    """Return (draws,) of Σ top / Σ bottom, both (P,) per picture; NaN where nothing was below."""
    return _ratio((weights @ top).astype(np.float64), (weights @ bottom).astype(np.float64))


def best_f1_draws(matched: MatchedSet, weights: Weights, class_aware: bool = True) -> Values:
    """Return (draws,) of the highest F1 over thresholds, chosen anew in each draw."""
    links = matched.links(class_aware)
    counted = np.flatnonzero(~links.excused)
    order = counted[np.argsort(-matched.scores[counted], kind="stable")]
    if not len(order):
        return np.zeros(len(weights))
    hits, scores = links.hits[order], matched.scores[order]
    ends = np.append(scores[1:] != scores[:-1], True)
    truths = weights @ matched.objects_per_picture(matched.objects.wanted)

    def best(block: Weights, sought: NDArray[np.int64]) -> Values:
        drawn = block[:, matched.picture[order]]
        true = np.cumsum(drawn * hits, axis=1)[:, ends]
        kept = np.cumsum(drawn, axis=1)[:, ends]
        f1 = _ratio((2 * true).astype(np.float64), (kept + sought[:, None]).astype(np.float64), 0.0).max(axis=1)
        return np.where(sought > 0, f1, np.nan)

    return _in_blocks(weights, truths, len(order), best)


def coco_ap_draws(found: Sequence[Found], wanted: DetectionSet, weights: Weights, ious: Values = IOUS) -> Values:
    """Return (draws,) of COCO's AP over `ious`: the mean over classes and overlaps that a draw can measure.

    With all weights 1 it is what faster-coco-eval gives (a test holds the two together).
    """
    classes = len(wanted.labels)
    per_class = np.full((len(ious), classes, len(weights)), np.nan)
    for i, at_iou in enumerate(ious.tolist()):
        ranked = _ranked(found, wanted, at_iou)
        for k in range(classes):
            sought = np.array([int(((s.classes == k) & ~s.ignored).sum()) for s in wanted.samples], dtype=np.int64)
            if sought.any():
                per_class[i, k] = _class_ap_draws(ranked[k][0], ranked[k][1], sought, weights)
    measured = np.isfinite(per_class)
    total = np.where(measured, per_class, 0.0).sum(axis=(0, 1))
    return _ratio(total, measured.sum(axis=(0, 1)).astype(np.float64))


def _ranked(found: Sequence[Found], wanted: DetectionSet, at_iou: float) -> list[tuple[Ints, Bools]]:
    """Return for each class its counting detections by falling score: their picture and whether they hit."""
    pictures, hits = [np.zeros(0, np.int64)], [np.zeros(0, np.bool_)]
    scores, classes = [np.zeros(0, np.float32)], [np.zeros(0, np.int64)]
    for i, (one, sample) in enumerate(zip(found, wanted.samples, strict=True)):
        one = _best_of_each_class(one)
        pairs = pair(one, wanted_of(sample), at_iou, class_aware=True, excuse_cover=at_iou)
        counted = ~pairs.excused
        pictures.append(np.full(int(counted.sum()), i, dtype=np.int64))
        scores.append(one.scores[counted])
        classes.append(one.classes[counted])
        hits.append(pairs.truth[counted] >= 0)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    picture, of_class, hit = (
        np.concatenate(pictures)[order],
        np.concatenate(classes)[order],
        np.concatenate(hits)[order],
    )
    return [(picture[of_class == k], hit[of_class == k]) for k in range(len(wanted.labels))]


def _best_of_each_class(one: Found) -> Found:
    """Return COCO's share of a picture: the 100 best detections of each class, best first."""
    order = np.argsort(-one.scores, kind="stable")
    if len(order) > MOST_DETECTIONS:
        classes = one.classes[order]
        order = order[np.sort(np.concatenate([np.flatnonzero(classes == k)[:MOST_DETECTIONS] for k in set(classes)]))]
    return Found(one.boxes[order], one.scores[order], one.classes[order])


def _class_ap_draws(picture: Ints, hits: Bools, sought: Ints, weights: Weights) -> Values:
    """Return (draws,) of the AP of one class at one overlap; NaN where a draw has none of it."""
    truths = weights @ sought
    last = np.flatnonzero(hits)
    if not len(last):
        return np.where(truths > 0, 0.0, np.nan)
    # What comes after the last hit changes no recall, so no precision that counts.
    picture, hits = picture[: last[-1] + 1], hits[: last[-1] + 1]

    def ap(block: Weights, block_truths: NDArray[np.int64]) -> Values:
        drawn = block[:, picture]
        true = np.cumsum(drawn * hits, axis=1)
        precision = _ratio(true.astype(np.float64), np.cumsum(drawn, axis=1).astype(np.float64), 0.0)
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recall = true / np.maximum(block_truths, 1)[:, None]
        values = np.full(len(block), np.nan)
        for r in np.flatnonzero(block_truths > 0):
            at = np.searchsorted(recall[r], _RECALLS, side="left")
            values[r] = precision[r, at[at < len(hits)]].sum() / len(_RECALLS)
        return values

    return _in_blocks(weights, truths, len(hits), ap)


def _in_blocks(
    weights: Weights, truths: NDArray[np.int64], width: int, figure: Callable[[Weights, NDArray[np.int64]], Values]
) -> Values:
    """Return the figure of all draws, computed for so many at a time that memory stays small."""
    size = max(1, _BLOCK_CELLS // max(width, 1))
    starts = range(0, len(weights), size)
    return np.concatenate([figure(weights[s : s + size], truths[s : s + size]) for s in starts])


def _ratio(top: Values, bottom: Values, empty: float = np.nan) -> Values:
    return np.divide(top, bottom, out=np.full_like(top, empty), where=bottom > 0)
