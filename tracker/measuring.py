"""What a detection tells about the whole object, when part of it may be cut off or two are seen as one.

An object that keeps its size W and shows only a piece [l, r] of itself lies somewhere between r - W/2 and l + W/2. The
prediction is believed as far as it fits into that interval, and the size is not learnt from the piece.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.boxes import area, intersection
from tracker.edges import FrameEdges
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
#: How much something must overlap an object to explain a cut.
EXPLAINING_COVER = 0.03
#: A detection that is so many times larger than its track, and holds another track too, shows both.
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
    """

    value: Floats
    noise: Floats
    covered: Floats
    merged: Mask


def measurement_noise(size: Floats, scores: Floats, settings: TrackerSettings) -> Floats:
    """Return standard deviations (K, 4) for boxes with sides `size` (K, 2); low scores are noisier."""
    scale = np.sqrt(size[:, :1] * size[:, 1:])
    doubt = (1.0 + 2.0 * (1.0 - scores))[:, None]
    return np.concatenate([scale, scale, size], axis=1) * doubt * _relative_noise(settings)


def _relative_noise(settings: TrackerSettings) -> Floats:
    position, size = settings.position_noise, settings.size_noise
    return np.array([position, position, size, size])


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
    if not settings.keeps_size:
        return Measurement(value, noise, np.zeros(len(columns)), np.zeros(len(columns), dtype=bool))
    known, found = mean[:, 2:], value[:, 2:].copy()
    ratio = found / known
    short = ratio < CUT_SHARE
    covered = np.zeros(len(columns))
    if short.any():
        reason = _explained(mean, seen, columns, hands, edges)
        cut = short & (reason[:, None] | (ratio < UNEXPLAINED_CUT_SHARE))
        slack = (known - found) * 0.5
        predicted = mean[:, :2]
        inside = np.clip(predicted, value[:, :2] - slack, value[:, :2] + slack)
        value[:, :2] = np.where(cut, inside, value[:, :2])
        noise[:, 2:] = np.where(short, np.where(reason[:, None], np.inf, noise[:, 2:] * SHRINK_NOISE), noise[:, 2:])
        covered = np.where(reason, 1.0 - np.minimum(ratio, 1.0).prod(axis=1), 0.0)
    merged = np.zeros(len(columns), dtype=bool)
    if (ratio.prod(axis=1) > MERGED_AREA).any():
        merged = _merged(table, rows, seen, columns)
        value[merged] = mean[merged]
        noise[merged, 2:] = np.inf
    return Measurement(value, noise, covered, merged)


def _explained(mean: Floats, seen: Observations, columns: Rows, hands: Floats, edges: FrameEdges | None) -> Mask:
    """Return which objects (K,) have a hand, another detection or the border over part of their place."""
    half = mean[:, 2:] * 0.5
    boxes = np.concatenate([mean[:, :2] - half, mean[:, :2] + half], axis=1)
    whole = np.maximum(area(boxes), 1e-9)
    others = intersection(boxes, seen.boxes) / whole[:, None]
    others[np.arange(len(columns)), columns] = 0.0
    reason: Mask = others.max(axis=1) > EXPLAINING_COVER
    if len(hands):
        reason |= (intersection(boxes, hands) / whole[:, None]).max(axis=1) > EXPLAINING_COVER
    if edges is not None:
        reason |= edges.touched(seen.boxes[columns]) != 0
    return reason


def _merged(table: TrackTable, rows: Selection, seen: Observations, columns: Rows) -> Mask:
    """Return which pairs (K,) are one large detection over two known objects."""
    boxes = table.boxes()
    known = (table.state == CONFIRMED) | (table.state == OCCLUDED)
    share = intersection(boxes[known], seen.boxes[columns]) / np.maximum(area(boxes[known]), 1e-9)[:, None]
    large = seen.measured[columns, 2:].prod(axis=1) > MERGED_AREA * table.motion.mean[rows, 2:].prod(axis=1)
    both: Mask = large & ((share > MERGED_COVER).sum(axis=0) >= 2)
    return both
