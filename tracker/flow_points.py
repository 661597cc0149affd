"""The points that the flow follows: where they are, whose they are, how they looked; and where new ones are taken.

A point is worth following where the picture changes in both directions, so that a shift of it cannot be mistaken: where
the smaller eigenvalue of its gradients' second moments is large (Shi and Tomasi 1994). A white plate has no such place
inside, gets no points, and the flow then says nothing about it.

All points of all tracks are parallel arrays, bounded by the number of points the settings allow.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tracker.flow_picture import PATCH, Mask, Picture, Singles, normalised, sample
from tracker.flow_settings import FlowSettings
from tracker.kalman import Floats

Ints = NDArray[np.int64]

#: The owner of points of the background; ids of tracks are never negative.
BACKGROUND = -1
#: Fewer points than this say too little about a track to be worth their cost.
FEWEST = 2
#: Points are seeded in the ellipse of this share of the box: its corners show the tray.
_INNER = 0.8
#: A point that is this share of the box's sides outside of it has left its object.
_OUTSIDE = 0.1
#: Points of the background keep this share of a box's sides away from it, for shadows and inexact boxes.
_MARGIN = 0.12
#: A box is parted into so many cells a side, the background into so many: one point each.
_BOX_CELLS, _BACK_CELLS = 3, (8, 5)
#: Points nearer to the frame's edge than this many working pixels are not seeded.
_EDGE = 4
#: A track without texture is looked at again after so many readings.
_RETRY = 4
#: New points of the background keep this distance from old ones, working pixels.
_APART = 12
#: Side of the block over which gradients are averaged, and OpenCV's value of a slope of one grey level per pixel in it:
#: Sobel gives 8 times the slope, scaled by 1 / (4 x block x 255), and the squares of the block are summed.
_BLOCK = 5
_EIGEN_UNIT = _BLOCK**2 * (8.0 / (4 * _BLOCK * 255)) ** 2
#: No more tracks than this are seeded in one reading; the others wait their turn.
_MOST_SEEDED = 24


class FlowPoints:
    """The points of all live tracks and of the background.

    Attributes:
        owner: (P,) track id, or `BACKGROUND`.
        at: (P, 2) float32, place in the last picture, working pixels.
        step: (P, 2) float32, the last displacement.
        look: (P, PATCH^2) float32, normalised patch at seeding.
        age: (P,) readings since seeding.
        lost: (P,) readings since the point was last found; 0 for one that is followed.
    """

    def __init__(self, settings: FlowSettings) -> None:
        self.settings = settings
        self._reading = 0
        self._tried: dict[int, int] = {}
        self.clear()

    def clear(self) -> None:
        """Drop all points."""
        self.owner: Ints = np.zeros(0, np.int64)
        self.at: Singles = np.zeros((0, 2), np.float32)
        self.step: Singles = np.zeros((0, 2), np.float32)
        self.look: Singles = np.zeros((0, PATCH * PATCH), np.float32)
        self.age: Ints = np.zeros(0, np.int64)
        self.lost: Ints = np.zeros(0, np.int64)
        self._tried.clear()

    def __len__(self) -> int:
        return len(self.owner)

    def keep(self, which: Mask) -> None:
        """Drop all other points than `which` (P,)."""
        if which.all():
            return
        self.owner, self.at, self.step = self.owner[which], self.at[which], self.step[which]
        self.look, self.age, self.lost = self.look[which], self.age[which], self.lost[which]

    def rows(self, track_ids: Ints) -> Ints:
        """Return for each point the row of its track in `track_ids` (N,), -1 for the background and for tracks gone."""
        if not len(track_ids):
            return np.full(len(self), -1, np.int64)
        order = np.argsort(track_ids, kind="stable")
        place = np.minimum(np.searchsorted(track_ids[order], self.owner), len(track_ids) - 1)
        row = order[place]
        return np.where(track_ids[row] == self.owner, row, -1)

    def prune(self, boxes: Floats, track_ids: Ints) -> None:
        """Drop points of tracks that are gone, that left their box, that are too old, or are lost for too long.

        Args:
            boxes: (N, 4) of the tracks in the last picture, working pixels.
            track_ids: (N,).
        """
        if len(self._tried) > len(track_ids):
            live = set(track_ids.tolist())
            self._tried = {track: when for track, when in self._tried.items() if track in live}
        row = self.rows(track_ids)
        own = row >= 0
        good = (own | (self.owner == BACKGROUND)) & (self.age < self.settings.oldest)
        good &= self.lost <= self.settings.patience
        if own.any():
            box = boxes[row[own]]
            slack = _OUTSIDE * (box[:, 2:] - box[:, :2]) + 1.0
            inside = (self.at[own] >= box[:, :2] - slack) & (self.at[own] <= box[:, 2:] + slack)
            good[own] &= inside.all(axis=1)
        back = np.flatnonzero(self.owner == BACKGROUND)
        if len(back) and len(boxes):
            good[back] &= ~_within(self.at[back], boxes, 0.0).any(axis=1)
        self.keep(good)

    def seed(self, picture: Picture, boxes: Floats, track_ids: Ints, hidden: Mask) -> None:
        """Give points to tracks and background that have too few, as far as the bound allows.

        Args:
            picture: the last picture.
            boxes: (N, 4) of the tracks in it, working pixels.
            track_ids: (N,).
            hidden: (N,) tracks that get no points: what is seen there is something else.
        """
        self._reading += 1
        settings = self.settings
        row = self.rows(track_ids)
        have = np.bincount(row[row >= 0], minlength=len(track_ids))
        for_back = min(settings.background_points, settings.most_points // 2)
        back = int(np.count_nonzero(self.owner == BACKGROUND))
        room = settings.most_points - for_back - (len(self) - back)
        quota = self._quota(len(track_ids), settings.most_points - for_back)
        last = np.array([self._tried.get(track, -_RETRY) for track in track_ids.tolist()], np.int64)
        wants = np.flatnonzero(~hidden & (have < quota) & (self._reading - last >= _RETRY))
        back_wants = back < for_back and (back == 0 or self._reading % _RETRY == 0)
        if not back_wants and (not len(wants) or room < 1):
            return
        corners = find_corners(picture, settings.least_corner)
        if len(wants) and room > 0:
            # Those with fewest points first, and among equals those that waited longest.
            turn = wants[np.lexsort((wants, last[wants], have[wants]))][:_MOST_SEEDED]
            self._seed_tracks(picture, corners, boxes, track_ids, turn, quota - have, room)
        if back_wants:
            free = ~_within(corners, boxes, _MARGIN).any(axis=1)
            chosen = self._background(picture, corners[free], for_back - back)
            self._add(picture, corners[free][chosen], BACKGROUND)

    def _quota(self, tracks: int, room: int) -> int:
        fair = max(room // max(tracks, 1), FEWEST)
        return min(self.settings.points_per_track, fair)

    def _seed_tracks(
        self, picture: Picture, corners: Singles, boxes: Floats, track_ids: Ints, turn: Ints, wanted: Ints, room: int
    ) -> None:
        """Seed the tracks `turn` in this order; `corners` come strongest first."""
        owned = _within(corners, boxes, 0.0)
        crowd = owned.sum(axis=1)
        for track in turn.tolist():
            if room < 1:
                return
            self._tried[int(track_ids[track])] = self._reading
            low, high = boxes[track, :2], boxes[track, 2:]
            around = np.flatnonzero(owned[:, track])
            place = (corners[around] - low) / np.maximum(high - low, 1e-6)
            inner = (((place - 0.5) / (0.5 * _INNER)) ** 2).sum(axis=1) <= 1.0
            around, place = around[inner], place[inner]
            alone = crowd[around] == 1
            if alone.any():
                around, place = around[alone], place[alone]
            mine = self.at[self.owner == track_ids[track]]
            taken = _cells((mine - low) / np.maximum(high - low, 1e-6), (_BOX_CELLS, _BOX_CELLS))
            chosen = _one_per_cell(_cells(place, (_BOX_CELLS, _BOX_CELLS)), taken)
            chosen = chosen[: min(int(wanted[track]), room)]
            room -= len(chosen)
            self._add(picture, corners[around[chosen]], int(track_ids[track]))

    def _background(self, picture: Picture, corners: Singles, wanted: int) -> NDArray[np.intp]:
        high, wide = picture.grey.shape
        size = np.array([wide, high])
        held = self.at[self.owner == BACKGROUND]
        free = _one_per_cell(_cells(corners / size, _BACK_CELLS), _cells(held / size, _BACK_CELLS))
        near = np.abs(corners[free, None] - held[None]).max(axis=2) < _APART
        chosen: NDArray[np.intp] = free[~near.any(axis=1)][:wanted]
        return chosen

    def _add(self, picture: Picture, places: Singles, owner: int) -> None:
        count = len(places)
        if not count:
            return
        look = normalised(sample(picture.grey, places, PATCH))
        self.owner = np.concatenate([self.owner, np.full(count, owner, np.int64)])
        self.at = np.concatenate([self.at, places])
        self.step = np.concatenate([self.step, np.zeros((count, 2), np.float32)])
        self.look = np.concatenate([self.look, look])
        self.age = np.concatenate([self.age, np.zeros(count, np.int64)])
        self.lost = np.concatenate([self.lost, np.zeros(count, np.int64)])


def find_corners(picture: Picture, least: float) -> Singles:
    """Return the places (C, 2) where the picture has texture in both directions, strongest first.

    A corner is the largest of its 5x5 neighbourhood; `least` is the smaller eigenvalue of
    the mean outer product of its gradients, (grey levels per pixel)^2: the square of the slope in the weaker direction.
    """
    strength = np.asarray(cv2.cornerMinEigenVal(picture.grey, blockSize=_BLOCK, ksize=3), np.float32) / _EIGEN_UNIT
    peak = np.asarray(cv2.dilate(strength, np.ones((5, 5), np.uint8)), np.float32)
    corner = (strength >= peak) & (strength > least)
    corner[:_EDGE] = corner[-_EDGE:] = False
    corner[:, :_EDGE] = corner[:, -_EDGE:] = False
    y, x = np.nonzero(corner)
    order = np.argsort(-strength[y, x], kind="stable")
    places: Singles = np.column_stack([x[order], y[order]]).astype(np.float32)
    return places


def _within(points: Singles, boxes: Floats, margin: float) -> Mask:
    """Say which points (P, 2) lie in which boxes (N, 4) grown by `margin` of their sides; (P, N)."""
    grow = margin * (boxes[:, 2:] - boxes[:, :2])
    low, high = boxes[:, :2] - grow, boxes[:, 2:] + grow
    x, y = points[:, 0, None], points[:, 1, None]
    inside: Mask = (x >= low[:, 0]) & (x <= high[:, 0]) & (y >= low[:, 1]) & (y <= high[:, 1])
    return inside


def _cells(place: Floats | Singles, shape: tuple[int, int]) -> Ints:
    """Number the cell of each relative place (P, 2) in a grid of `shape` (columns, rows)."""
    column = np.clip((place[:, 0] * shape[0]).astype(np.int64), 0, shape[0] - 1)
    line = np.clip((place[:, 1] * shape[1]).astype(np.int64), 0, shape[1] - 1)
    return line * shape[0] + column


def _one_per_cell(cells: Ints, taken: Ints) -> NDArray[np.intp]:
    """Return the first candidate of each cell that is not taken, in the order of the candidates."""
    free = np.flatnonzero(~np.isin(cells, taken))
    _, first = np.unique(cells[free], return_index=True)
    chosen: NDArray[np.intp] = free[np.sort(first)]
    return chosen
