"""What a detection tells about the whole object, when part of it may be cut off or two are seen as one.

An object that keeps its size W and shows only a piece [l, r] of itself lies somewhere between r - W/2 and l + W/2. The
prediction is believed as far as it fits into that interval, and the size is not learnt from the piece.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.boxes import area, intersection
from tracker.edges import FrameEdges, cut_sides
from tracker.kalman import Floats
from tracker.observations import Observations
from tracker.settings import TrackerSettings
from tracker.table import CONFIRMED, OCCLUDED, Mask, Rows, Selection, TrackTable

#: A side shorter than this share of the known one is cut if something explains it ...
CUT_SHARE = 0.94
#: ... and if nothing does, only below this.
UNEXPLAINED_CUT_SHARE = 0.8
#: How much less a short side without explanation counts: the object may have been measured too large before.
SHRINK_NOISE = 4.0
#: What lies over an object explains a cut when it covers this share of the part that is missing.
EXPLAINING_SHARE = 0.25
#: A detection that is so many times larger than its track, and holds an unseen object too, shows both.
MERGED_AREA = 1.35
MERGED_COVER = 0.65


@dataclass(slots=True)
class Measurement:
    """What the filter is given.

    Attributes:
        value: (K, 4) centre x, centre y, width, height of the whole objects.
        noise: (K, 4) standard deviations; infinite where a detection says nothing.
        covered: (K,) share of each object that is not seen.
        merged: (K,) detections that show another known object too.
        at_edge: (K,) edges of the frame that the detections touch, as bits.
        renewed: (K, 2) sides to be learnt anew: the edge of the frame cut them until now.
    """

    value: Floats
    noise: Floats
    covered: Floats
    merged: Mask
    at_edge: NDArray[np.int8]
    renewed: Mask


def measurement_noise(size: Floats, scores: Floats, settings: TrackerSettings) -> Floats:
    """Return standard deviations (K, 4) for boxes with sides `size` (K, 2); low scores are noisier."""
    scale = np.sqrt(size[:, :1] * size[:, 1:])
    doubt = (1.0 + 2.0 * (1.0 - scores))[:, None]
    place, side = settings.position_noise * doubt, settings.size_noise * doubt
    return np.concatenate([scale * place, scale * place, size * side], axis=1)


def measure(
    table: TrackTable,
    rows: Selection,
    seen: Observations,
    columns: Rows,
    hands: Floats,
    edges: FrameEdges | None,
    settings: TrackerSettings,
) -> Measurement:
    """Turn the matched detections into measurements of whole objects.

    Args:
        table: tracks, predicted to this frame.
        rows: (K,) tracks.
        seen: the frame.
        columns: (K,) their detections.
        hands: (H, 4) boxes of occluders.
        edges: the border of the frame, if known.
        settings: see there.
    """
    mean, value = table.motion.mean[rows], seen.measured[columns].copy()
    noise = measurement_noise(mean[:, 2:], seen.scores[columns], settings)
    count = len(columns)
    covered, nowhere = np.zeros(count), np.zeros(count, dtype=np.int8)
    merged, renewed = np.zeros(count, dtype=bool), np.zeros((count, 2), dtype=bool)
    if not settings.keeps_size:
        return Measurement(value, noise, covered, merged, nowhere, renewed)
    at_edge = nowhere if edges is None else edges.touched(seen.boxes[columns])
    ratio = value[:, 2:] / mean[:, 2:]
    short = ratio < CUT_SHARE
    some = np.flatnonzero(short[:, 0] | short[:, 1])
    if len(some):
        under = _under_something(mean[some], seen, columns[some], hands)
        reason = under[:, None] | cut_sides(at_edge[some])
        _complete(value, noise, some, mean[some], short[some], reason)
        covered[some] = np.where(reason.any(axis=1), 1.0 - np.minimum(ratio[some], 1.0).prod(axis=1), 0.0)
    if table.at_edge[rows].any():
        renewed = cut_sides(table.at_edge[rows]) & (ratio > 1.0)
    if (ratio[:, 0] * ratio[:, 1] > MERGED_AREA).any():
        merged = _merged(table, rows, seen, columns) & ~renewed.any(axis=1)
        value[merged] = mean[merged]
        noise[merged, 2:] = np.inf
    return Measurement(value, noise, covered, merged, at_edge, renewed)


def _complete(value: Floats, noise: Floats, some: Rows, mean: Floats, short: Mask, reason: Mask) -> None:
    """Put the whole objects in place of the pieces that are seen of them, in `value` and `noise`.

    Args:
        value: (K, 4) changed in place, as is `noise`.
        noise: (K, 4).
        some: (S,) rows of both that have a short side; the rest has one row for each of these.
        mean: (S, 4) the predicted objects.
        short: (S, 2) short sides.
        reason: (S, 2) whether something explains them.
    """
    slack = (mean[:, 2:] - value[some, 2:]) * 0.5
    centre = value[some, :2]
    inside = np.clip(mean[:, :2], centre - np.abs(slack), centre + np.abs(slack))
    cut = short & (reason | (value[some, 2:] < UNEXPLAINED_CUT_SHARE * mean[:, 2:]))
    value[some, :2] = np.where(cut, inside, centre)
    side_noise = noise[some, 2:]
    noise[some, 2:] = np.where(short, np.where(reason, np.inf, side_noise * SHRINK_NOISE), side_noise)


def _under_something(mean: Floats, seen: Observations, columns: Rows, hands: Floats) -> Mask:
    """Return which objects (S,) have a hand or another detection over the part of them that is missing."""
    half = mean[:, 2:] * 0.5
    boxes = np.concatenate([mean[:, :2] - half, mean[:, :2] + half], axis=1)
    own = seen.boxes[columns]
    piece = np.concatenate([np.maximum(boxes[:, :2], own[:, :2]), np.minimum(boxes[:, 2:], own[:, 2:])], axis=1)
    missing = np.maximum(area(boxes) - area(piece), 1e-9)
    others = np.concatenate([seen.boxes, hands]) if len(hands) else seen.boxes
    hides = intersection(boxes, others) - intersection(piece, others)
    hides[np.arange(len(columns)), columns] = 0.0
    under: Mask = hides.max(axis=1) > EXPLAINING_SHARE * missing
    return under


def _merged(table: TrackTable, rows: Selection, seen: Observations, columns: Rows) -> Mask:
    """Return which pairs (K,) are one large detection over two known objects, of which the other one is not seen."""
    alone = (table.state == CONFIRMED) | (table.state == OCCLUDED)
    alone[rows] = False
    large = seen.measured[columns, 2:].prod(axis=1) > MERGED_AREA * table.motion.mean[rows, 2:].prod(axis=1)
    if not alone.any():
        return np.zeros(len(columns), dtype=bool)
    boxes = table.boxes()[alone]
    share = intersection(boxes, seen.boxes[columns]) / np.maximum(area(boxes), 1e-9)[:, None]
    both: Mask = large & (share > MERGED_COVER).any(axis=0)
    return both
