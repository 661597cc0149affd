"""Sparse optical flow: what moved in the picture itself, whatever the detector says.

*Lucas and Kanade* (1981). If a small window W of picture I moves by d = (u, v) and keeps its brightness, then
I_now(p + d) = I_before(p) for all p in W. Linearised about d = 0 these are |W| equations in two unknowns,
Ix u + Iy v = -It, solved by least squares: G d = -e with G = sum of (Ix, Iy)(Ix, Iy)' and e = sum of It (Ix, Iy), and
iterated. G must be invertible, which is the texture that `flow_points.py` asks of a point.

*Pyramids* (Bouguet 2000). The linearisation holds for a pixel or so. Pictures are halved again and again; the motion
found on the smallest one begins the search on the next. Jumps of a camera or a tray that are too long even so begin
from a guess by phase correlation (`flow_follow.py`, `flow_picture.py`).

*Forward and backward* (Kalal et al. 2010). A point that is followed from before to now and from there back to before
must arrive where it began. Points that are covered, or that slide along an edge, mostly do not.

*What is still there.* Both checks hold for a point that a hand drags along over a dish: the hand is really there. So
each point keeps the patch it was seeded with, and is followed only while its surroundings correlate with that patch.
One that fails is not given up: it waits where the dish should be, and when its patch is seen there again it goes on.

The motion of a track is the median of its points, and the share that agrees with it says how far to trust it. The
motion of the camera comes from points outside of all boxes (`flow_camera.py`). When no 4x4 block of the picture changed
by more than noise and light, nothing is computed at all: the picture to compare with stays the one before, so that a
motion too slow to be seen from frame to frame is seen as soon as it has added up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.flow_camera import camera_motion
from tracker.flow_follow import follow
from tracker.flow_picture import PATCH, Image, Mask, Picture, Singles, changed_blocks, normalised, sample
from tracker.flow_points import BACKGROUND, FlowPoints, Ints
from tracker.flow_settings import FlowSettings
from tracker.kalman import Floats

__all__ = ["FlowReading", "FlowSettings", "OpticalFlow"]

#: A point that is this good a match elsewhere is found again there, working pixels around where it should be.
_SEARCH = np.array([(x, y) for y in (0, -1, 1) for x in (0, -1, 1)], np.float32)
#: While this share of a track's points is lost, it is covered; when the others hold, the lost ones were bad points.
_COVERED_SHARE = 0.5
#: Fewer points than this do not make a motion certain, however well they agree.
_ENOUGH = 3
#: Motions longer than this, working pixels, are held against what lies where they end.
_FAR = 8.0
#: So many readings a bad point of a track that is seen well is waited for.
_SHORT_PATIENCE = 4
#: Points that agree on the camera's motion are spread over this share of the frame's diagonal: a tray is smaller.
_WIDE_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class FlowReading:
    """What the flow from the frame before to this one says about N boxes.

    Attributes:
        still: the picture did not change: nothing was computed, all motions are zero and certain.
        camera: (2, 3) affine from the frame before to this one, pixels of the frame: the motion of the background;
            the identity where unknown.
        camera_certain: 0..1, the share of background points that agree with it; 0 where unknown.
        moved: (N, 2) displacement of each box's content, pixels of the frame.
        certain: (N,) 0..1, the share of its points that were followed there and back, look as they did, and agree with
            their median; 0 where nothing is known.
        points: (P, 4) x0 y0 x1 y1 of the points that were followed, pixels of the frame; only filled with `explain`.
    """

    still: bool
    camera: Floats
    camera_certain: float
    moved: Floats
    certain: Floats
    points: Floats

    @classmethod
    def unknown(cls, boxes: int) -> FlowReading:
        """Return the reading that says nothing."""
        return cls(False, np.eye(2, 3), 0.0, np.zeros((boxes, 2)), np.zeros(boxes), np.zeros((0, 4)))

    @classmethod
    def nothing_moved(cls, boxes: int) -> FlowReading:
        """Return the reading of a still picture."""
        return cls(True, np.eye(2, 3), 1.0, np.zeros((boxes, 2)), np.ones(boxes), np.zeros((0, 4)))


class OpticalFlow:
    """Follows points from frame to frame. Stateful: frames are given in order; equal frames give equal readings.

    Args:
        settings: of the flow.
        explain: fill `FlowReading.points`.
    """

    def __init__(self, settings: FlowSettings, explain: bool = False) -> None:
        self.settings = settings
        self._explain = explain
        self._points = FlowPoints(settings)
        self._before: Picture | None = None

    def forget(self) -> None:
        """Forget the picture before and all points: after a gap in the stream they say nothing any more."""
        self._before = None
        self._points.clear()

    def read(self, image: Image, boxes: Floats, track_ids: Ints, hidden: Mask) -> FlowReading:
        """Say what moved since the frame before.

        Args:
            image: (H, W, 3) uint8 RGB, this frame; it is not kept.
            boxes: (N, 4) xyxy pixels, the tracks as they were in the frame before; they may reach out of it.
            track_ids: (N,) unique, not negative.
            hidden: (N,) tracks that are thought to be covered: no points are seeded on them, but those they have are
                followed and looked for.

        Returns:
            The reading. The first one, and the first after `forget` or a change of the frame's size, says nothing.

        Raises:
            ValueError: an array has the wrong shape or type.
        """
        _check(image, boxes, track_ids, hidden)
        if self.settings.when == "never":
            return FlowReading.unknown(len(boxes))
        now, before = Picture.take(image, self.settings.width_px), self._before
        if before is None or before.size != now.size:
            self.forget()
            self._before = now
            return FlowReading.unknown(len(boxes))
        changed = changed_blocks(before, now, self.settings.still_threshold, self.settings.noise_share)
        if changed is None:
            return FlowReading.nothing_moved(len(boxes))
        # A box that is not a box (NaN, infinite) has no points.
        usable = np.isfinite(boxes.min(axis=1, initial=0.0) + boxes.max(axis=1, initial=0.0))
        working = np.where(usable[:, None], boxes, 0.0) * np.tile(before.scale, 2) - 0.5
        self._points.prune(working, track_ids)
        self._points.seed(before, working, track_ids, hidden | ~usable)
        reading = self._follow(before, now, changed, working, track_ids)
        self._before = now
        return reading

    def _follow(self, before: Picture, now: Picture, changed: Mask, boxes: Floats, track_ids: Ints) -> FlowReading:
        """Follow all points, draw the conclusions, and leave the points where they are now."""
        points = self._points
        row = points.rows(track_ids)
        seen = points.lost == 0
        ends = points.at.copy()
        good = np.zeros(len(points), dtype=bool)
        if seen.any():
            ends[seen], good[seen] = follow(
                before, now, changed, points.at[seen], points.step[seen], points.look[seen], self.settings
            )
        moved, certain, agrees = self._by_track(row, ends - points.at, good, len(track_ids))
        mistaken = _mistaken(boxes, moved)
        moved[mistaken], certain[mistaken] = 0.0, 0.0
        if mistaken.any():
            good &= ~((row >= 0) & mistaken[row])
        camera, camera_certain = self._camera(before, now, ends, good, seen)
        shown = np.zeros((0, 4))
        if self._explain:
            shown = np.column_stack([before.to_full(points.at[good]), now.to_full(ends[good])])
        self._settle(before, now, row, ends, good & agrees, moved, certain, camera)
        return FlowReading(False, camera, camera_certain, moved / now.scale, certain, shown)

    def _by_track(self, row: Ints, motion: Singles, good: Mask, tracks: int) -> tuple[Floats, Floats, Mask]:
        """Return the motion of each track (N, 2) in working pixels, its certainty (N,), and which points agree (P,)."""
        moved, certain, agrees = np.zeros((tracks, 2)), np.zeros(tracks), np.ones(len(row), dtype=bool)
        mine = np.flatnonzero((row >= 0) & good)
        if not len(mine):
            return moved, certain, agrees
        mine = mine[np.argsort(row[mine], kind="stable")]
        owner = row[mine]
        number = np.bincount(owner, minlength=tracks)
        slot = np.arange(len(mine)) - (np.cumsum(number) - number)[owner]
        # Motions of each track side by side, what is missing last: the middle of a sorted line is the median.
        table = np.full((tracks, int(number.max()), 2), np.inf)
        table[owner, slot] = motion[mine]
        table.sort(axis=1)
        some = np.flatnonzero(number)
        moved[some] = 0.5 * (table[some, (number[some] - 1) // 2] + table[some, number[some] // 2])
        tolerance = self.settings.agreement_px + self.settings.agreement_share * np.abs(moved).max(axis=1)
        close = np.abs(motion[mine] - moved[owner]).max(axis=1) < tolerance[owner]
        agrees[mine] = close
        votes = np.bincount(owner[close], minlength=tracks)
        held = np.bincount(row[row >= 0], minlength=tracks)
        certain = votes / np.maximum(held, min(_ENOUGH, self.settings.points_per_track))
        moved[votes == 0] = 0.0
        return moved, certain, agrees

    def _camera(self, before: Picture, now: Picture, ends: Singles, good: Mask, seen: Mask) -> tuple[Floats, float]:
        """Return the motion of the background in pixels of the frame, and the share of its points that agree."""
        back = self._points.owner == BACKGROUND
        which = back & good
        tolerance = self.settings.agreement_px / float(now.scale.min())
        start, end = before.to_full(self._points.at[which]), now.to_full(ends[which])
        camera, votes = camera_motion(start, end, tolerance, _WIDE_SHARE * float(np.hypot(*now.size)))
        return camera, votes / max(int(np.count_nonzero(back & seen)), 1)

    def _settle(
        self,
        before: Picture,
        now: Picture,
        row: Ints,
        ends: Singles,
        good: Mask,
        moved: Floats,
        certain: Floats,
        camera: Floats,
    ) -> None:
        """Move the points on: those that were followed to their ends, the others to where they should be now."""
        points = self._points
        full = before.to_full(points.at)
        expected = now.to_working(full @ camera[:, :2].T + camera[:, 2]).astype(np.float32)
        sure = (row >= 0) & (certain[row] >= _COVERED_SHARE) if len(certain) else np.zeros(len(row), dtype=bool)
        expected[sure] = points.at[sure] + moved[row[sure]].astype(np.float32)
        waiting = np.flatnonzero(~good & (points.lost > 0) & (row >= 0))
        place, back = self._look_for(now, expected[waiting], points.look[waiting])
        points.step = np.where(good[:, None], ends - points.at, 0.0).astype(np.float32)
        points.at = np.where(good[:, None], ends, expected).astype(np.float32)
        points.at[waiting[back]] = place[back]
        found = good.copy()
        found[waiting[back]] = True
        points.age = points.age + 1
        points.lost = np.where(found, 0, points.lost + 1)
        # The background is seeded anew at once: nothing there is worth waiting for.
        points.keep(((row >= 0) | found) & ~(sure & (points.lost > _SHORT_PATIENCE)))

    def _look_for(self, now: Picture, expected: Singles, look: Singles) -> tuple[Singles, Mask]:
        """Look for waiting points (K, 2) within a pixel of where they should be: their places, and which were found."""
        count = len(expected)
        places = (expected[:, None] + _SEARCH).reshape(-1, 2)
        seen = normalised(sample(now.grey, places, PATCH)).reshape(count, len(_SEARCH), PATCH * PATCH)
        likeness = (seen * look[:, None]).sum(axis=2)
        best = likeness.argmax(axis=1)
        found: Mask = likeness[np.arange(count), best] >= self.settings.likeness
        return places.reshape(count, len(_SEARCH), 2)[np.arange(count), best], found


def _mistaken(boxes: Floats, moved: Floats) -> Mask:
    """Say which tracks (N,) seem to have jumped onto another one that did not go along.

    Dishes of one kind look alike: when one is covered, its points are found on its neighbour.

    Args:
        boxes: (N, 4) in the last picture, working pixels.
        moved: (N, 2) motions, working pixels.
    """
    wrong: Mask = np.zeros(len(boxes), dtype=bool)
    for track in np.flatnonzero(np.abs(moved).max(axis=1, initial=0.0) > _FAR).tolist():
        there = (boxes[track, :2] + boxes[track, 2:]) / 2 + moved[track]
        taken = ((there > boxes[:, :2]) & (there < boxes[:, 2:])).all(axis=1)
        taken[track] = False
        alike = np.abs(moved - moved[track]).max(axis=1) < 0.5 * np.abs(moved[track]).max()
        wrong[track] = (taken & ~alike).any()
    return wrong


def _check(image: Image, boxes: Floats, track_ids: Ints, hidden: Mask) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ValueError(f"the image must be (H, W, 3) uint8, got {image.shape} {image.dtype}")
    count = len(boxes)
    if boxes.shape != (count, 4) or track_ids.shape != (count,) or hidden.shape != (count,):
        raise ValueError(
            f"boxes (N, 4), track_ids (N,) and hidden (N,) must belong together, got {boxes.shape}, "
            f"{track_ids.shape} and {hidden.shape}"
        )
    if count and track_ids.min() < 0:
        raise ValueError(f"track ids must not be negative, got {track_ids.min()}")
