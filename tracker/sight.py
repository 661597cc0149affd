"""The eye beside the detector: when the optical flow is asked, and what the tracker makes of its answer.

A motion of the camera moves everything (as a control input to the prediction). The motion of an object's own points
stands in for its predicted one where the two differ, and for the measurement where the detector missed it. Points that
still look as they did are evidence that the object is there, though the detector does not say so: for a while it is
not counted as gone.

By default pictures are looked at only while there is doubt, that is from the frame after a miss until every object is
detected again; otherwise no more is kept than references to the two frames before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracker.flow import FlowReading, OpticalFlow
from tracker.flow_settings import FlowSettings
from tracker.kalman import Floats
from tracker.settings import TrackerSettings
from tracker.table import LOST, OCCLUDED, TENTATIVE, Mask, TrackTable

#: An object that is seen jumped if its points went farther than this (sizes) from where it was predicted.
JUMP = 0.4
#: Points of an unseen object that differ from its even motion by more than this share of it are not its own.
OFF_COURSE = 0.5


class Sight:
    """Asks the flow when it is worth its cost.

    Args:
        settings: of the flow.
        frame_size: width and height of the frames to which the boxes belong; None where images have that size.
    """

    def __init__(self, settings: FlowSettings, frame_size: tuple[int, int] | None) -> None:
        self._settings = settings
        self._frame_size = frame_size
        self._flow = OpticalFlow(settings)
        self._calm: NDArray[np.uint8] | None = None
        self._before: NDArray[np.uint8] | None = None
        self._watching = False
        # Tracks that the latest change of the picture did not show.
        self._refuted: frozenset[int] = frozenset()

    def forget(self) -> None:
        """Forget what was seen: after a gap it says nothing."""
        self._flow.forget()
        self._calm, self._before, self._watching, self._refuted = None, None, False, frozenset()

    def look(self, image: NDArray[np.uint8], table: TrackTable) -> FlowReading | None:
        """Return what moved since the frame before; None where nobody needs to know.

        Args:
            image: (H, W, 3) RGB; it must not change before the next call.
            table: the tracks as they were in the frame before.
        """
        calm, before = self._calm, self._before
        self._calm, self._before = before, image
        if self._settings.when == "doubt" and not self._doubt(table):
            if self._watching:
                self._flow.forget()
                self._watching, self._refuted = False, frozenset()
            return None
        width, height = self._frame_size or (image.shape[1], image.shape[0])
        scale = np.array([image.shape[1] / width, image.shape[0] / height])
        # Points are not sought on what is covered: they would lie on the cover.
        boxes, hidden = table.boxes() * np.tile(scale, 2), (table.state == OCCLUDED) | (table.covered > 0.0)
        # Nor where a hand has taken something: nothing of it is left there.
        hidden |= (table.state == LOST) & (table.handled > 0.0)
        if self._settings.when == "doubt" and not self._watching:
            # What was missed in the frame before was last detected in the one before that.
            if calm is None or before is None or not calm.shape == before.shape == image.shape:
                return None
            self._flow.read(calm, boxes, table.track_id, hidden)
            self._remember(self._flow.read(before, boxes, table.track_id, hidden), table)
            self._watching = True
        reading = self._flow.read(image, boxes, table.track_id, hidden)
        certain = self._remember(reading, table)
        turn = reading.camera[:, :2] * scale[None, :] / scale[:, None]
        camera = np.concatenate([turn, reading.camera[:, 2:] / scale[:, None]], axis=1)
        return FlowReading(
            reading.still, camera, reading.camera_certain, reading.moved / scale, certain, reading.points
        )

    def _remember(self, reading: FlowReading, table: TrackTable) -> Floats:
        """Return how certain the tracks (N,) are: a still picture says of each what the last one that changed said.

        Nothing moved, that is no evidence for an object whose points had gone before.
        """
        if not reading.still:
            self._refuted = frozenset(table.track_id[reading.certain < self._settings.believe].tolist())
            return reading.certain
        self._refuted &= frozenset(table.track_id[table.unseen_s > 0.0].tolist())
        refuted = np.isin(table.track_id, list(self._refuted))
        return np.where(refuted, 0.0, reading.certain)

    def _doubt(self, table: TrackTable) -> bool:
        """Return whether an object that should be in view was not detected."""
        missing = (table.unseen_s > 0.0) & (table.state != TENTATIVE) & (table.left_over == 0)
        return bool(np.count_nonzero(missing & (table.state != LOST)))


def follow_flow(
    reading: FlowReading, table: TrackTable, before: Floats, start: Floats, dt_s: float, settings: TrackerSettings
) -> Mask:
    """Let the tracks go where their points went.

    Args:
        reading: of this frame.
        table: predicted to this frame.
        before: (2, N) centres in the frame before.
        start: (2, N) the same, moved with the camera; changed in place for the tracks that are moved here.
        dt_s: seconds since then.
        settings: see there.

    Returns:
        (N,) tracks that were not detected lately and of which the picture shows that they are there.
    """
    flow = settings.optical_flow
    sure: Mask = reading.certain >= flow.believe
    mean, rate = table.motion.mean, table.motion.rate
    unseen = table.unseen_s > 0.0
    sure &= ~_stopped(reading, table, unseen, dt_s, settings)
    there = before + reading.moved.T
    off = there - mean[:2]
    jumped = off[0] * off[0] + off[1] * off[1] > JUMP**2 * mean[2] * mean[3]
    moved = sure & unseen if reading.still else sure & (unseen | jumped)
    if np.count_nonzero(moved):
        np.copyto(mean[:2], there, where=moved)
        np.copyto(start, there, where=moved)
        if np.count_nonzero(moved & unseen):
            np.copyto(rate[:2], reading.moved.T / dt_s, where=moved & unseen)
    witnessed = sure & (table.unseen_s < flow.witness_s) & (table.state != LOST)
    # A still picture says that nothing went; it does not say that something is under a hand.
    return np.asarray(witnessed & (table.state != OCCLUDED))


def _stopped(reading: FlowReading, table: TrackTable, unseen: Mask, dt_s: float, settings: TrackerSettings) -> Mask:
    """Return the tracks (N,) that moved evenly until they vanished, and whose points say that they do so no more.

    What rides on a belt does not stop because something covers it: these are points of the cover.
    """
    expected = table.drift * dt_s
    speed = expected[0] * expected[0] + expected[1] * expected[1]
    moving = speed > (settings.slow * dt_s) ** 2 * table.motion.mean[2] * table.motion.mean[3]
    moving &= table.moves_evenly()
    off = reading.moved.T - expected
    return np.asarray(unseen & moving & (off[0] * off[0] + off[1] * off[1] > OFF_COURSE**2 * speed))
