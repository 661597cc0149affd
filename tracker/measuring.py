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
from tracker.table import CONFIRMED, OCCLUDED, Mask, Rows, TrackTable, corners

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
    """What the filter is given, for all tracks; those without a detection have a variance that is infinite.

    Attributes:
        value: (4, N) centre x, centre y, width, height of the whole objects.
        variance: (4, N) infinite where nothing is said.
        covered: (N,) share of each object that is not seen; None stands for nothing of any.
        merged: (K,) detections that show another known object too.
        at_edge: (N,) edges of the frame that the detections touch, as bits; None stands for none.
        renewed: (2, N) sides to be learnt anew, since the edge of the frame cut them until now; None stands for none.
    """

    value: Floats
    variance: Floats
    covered: Floats | None = None
    merged: Rows | None = None
    at_edge: NDArray[np.int64] | None = None
    renewed: Mask | None = None


def relative_variance(scores: Floats, settings: TrackerSettings) -> Floats:
    """Return how noisy measurements (4, K) are for boxes of size 1: low scores are noisier (NSA, Du et al., 2021)."""
    doubt = 1.0 + settings.score_noise * (1.0 - scores)
    doubt *= doubt
    place, side = settings.position_noise**2, settings.size_noise**2
    return np.multiply.outer((place, place, side, side), doubt)


def measure(
    table: TrackTable,
    column: Rows,
    everyone: bool,
    seen: Observations,
    squares: Floats,
    hands: Floats,
    edges: FrameEdges | None,
    settings: TrackerSettings,
) -> Measurement:
    """Turn the matched detections into measurements of whole objects.

    Args:
        table: tracks, predicted to this frame.
        column: (N,) their detections, -1 for none.
        everyone: whether no track is without.
        seen: the frame; at least one detection.
        squares: (4, N) of `kalman.squared_sizes`.
        hands: (H, 4) boxes of occluders.
        edges: the border of the frame, if known.
        settings: see there.
    """
    mean = table.motion.mean
    value = seen.measured.take(column, axis=1)
    variance = relative_variance(seen.scores.take(column), settings)
    variance *= squares
    if not everyone:
        # Column -1 took the last detection; nothing is learnt from it.
        variance[:, column < 0] = np.inf
    found = Measurement(value, variance)
    if not settings.keeps_size:
        return found
    matched = column >= 0
    if edges is not None:
        found.at_edge = edges.touched(value) if everyone else edges.touched(value) * matched
    ratio = value[2:] / mean[2:]
    short = ratio < CUT_SHARE
    if np.count_nonzero(short):
        some = ((short[0] | short[1]) & matched).nonzero()[0]
        if some.shape[0]:
            _complete(found, table, column, some, short[:, some], seen, hands)
    if np.count_nonzero(table.at_edge):
        renewed = cut_sides(table.at_edge) & (ratio > 1.0) & matched
        found.renewed = renewed if np.count_nonzero(renewed) else None
    large = ratio[0] * ratio[1] > MERGED_AREA
    if np.count_nonzero(large):
        merged = _merged(table, column, large & matched, seen)
        if found.renewed is not None:
            merged &= ~found.renewed.any(axis=0)
        if np.count_nonzero(merged):
            value[:, merged] = mean[:, merged]
            variance[2:, merged] = np.inf
            found.merged = column[merged]
    return found


def _complete(
    found: Measurement, table: TrackTable, column: Rows, some: Rows, short: Mask, seen: Observations, hands: Floats
) -> None:
    """Put the whole objects in place of the pieces that are seen of them.

    Args:
        found: changed in place.
        table: the tracks.
        column: (N,) their detections.
        some: (S,) tracks with a short side.
        short: (2, S) which.
        seen: the frame.
        hands: (H, 4) boxes of occluders.
    """
    mean, value = table.motion.mean.take(some, axis=1), found.value.take(some, axis=1)
    reason = _under_something(mean, seen, column.take(some), hands)
    reason = np.broadcast_to(reason, short.shape)
    if found.at_edge is not None:
        reason = reason | cut_sides(found.at_edge.take(some))
    slack = np.abs(mean[2:] - value[2:]) * 0.5
    inside = np.clip(mean[:2], value[:2] - slack, value[:2] + slack)
    cut = short & (reason | (value[2:] < UNEXPLAINED_CUT_SHARE * mean[2:]))
    found.value[:2, some] = np.where(cut, inside, value[:2])
    spread = found.variance[2:, some]
    found.variance[2:, some] = np.where(short, np.where(reason, np.inf, spread * SHRINK_NOISE**2), spread)
    missing = 1.0 - np.minimum(value[2:] / mean[2:], 1.0).prod(axis=0)
    found.covered = np.zeros(len(table))
    found.covered[some] = np.where(reason.any(axis=0), missing, 0.0)


def _under_something(mean: Floats, seen: Observations, column: Rows, hands: Floats) -> Mask:
    """Return which objects (S,) have a hand or another detection over the part of them that is missing."""
    boxes, everything = corners(mean[:2], mean[2:]), seen.boxes()
    own = everything[column]
    piece = np.concatenate([np.maximum(boxes[:, :2], own[:, :2]), np.minimum(boxes[:, 2:], own[:, 2:])], axis=1)
    missing = np.maximum(area(boxes) - area(piece), 1e-9)
    others = np.concatenate([everything, hands]) if len(hands) else everything
    hides = intersection(boxes, others) - intersection(piece, others)
    hides[np.arange(len(column)), column] = 0.0
    under: Mask = hides.max(axis=1) > EXPLAINING_SHARE * missing
    return under


def _merged(table: TrackTable, column: Rows, large: Mask, seen: Observations) -> Mask:
    """Return which tracks (N,) have a large detection over them and over another known object that is not seen."""
    alone = ((table.state == CONFIRMED) | (table.state == OCCLUDED)) & (column < 0)
    rows = large.nonzero()[0]
    if not np.count_nonzero(alone) or not rows.shape[0]:
        return np.zeros(len(table), dtype=bool)
    boxes = table.boxes(alone.nonzero()[0])
    share = intersection(boxes, seen.boxes(column.take(rows))) / np.maximum(area(boxes), 1e-9)[:, None]
    both = np.zeros(len(table), dtype=bool)
    both[rows] = (share > MERGED_COVER).any(axis=0)
    return both
