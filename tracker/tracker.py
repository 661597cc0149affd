"""`MultiObjectTracker`: detections of one frame in, all live tracks out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.records import HAND, Detections, Track, Tracks
from tracker.engine import TrackingEngine
from tracker.history import Histories, ObjectHistory
from tracker.lifecycle import STATES
from tracker.settings import TrackerSettings

#: How many labels of a posterior a track carries.
TOP_LABELS = 5
#: Labels less probable than this are not listed.
LEAST_LISTED = 0.005


class MultiObjectTracker:
    """Follows the objects of one lane, under one id each, through hands, overlaps and missed detections.

    Deterministic: the same detections in any order give the same tracks. Memory is bounded by the number of live
    tracks. Not thread-safe; one instance a lane.

    Args:
        settings: what is assumed about the world.
        labels: the detector's labels; `HAND` among them marks occluders, which never become tracks.
        frame_size: width and height in pixels; None switches the logic of the frame's edges off.
    """

    def __init__(
        self, settings: TrackerSettings, labels: tuple[str, ...], frame_size: tuple[int, int] | None = None
    ) -> None:
        self.settings = settings
        self.labels = labels
        hand_class = labels.index(HAND) if HAND in labels else -1
        self._engine = TrackingEngine(settings, len(labels), hand_class, frame_size)
        self._histories = Histories()
        self._before_s: float | None = None

    def update(self, detections: Detections, image: NDArray[np.uint8] | None = None) -> Tracks:
        """Take in the detections of the next frame.

        Args:
            detections: of one frame; its `labels` must be those of the tracker. Boxes that are inverted or thinner than
                two pixels are left out, as are scores that are no numbers.
            image: the frame (H, W, 3) RGB, for optical flow; it must not change before the next call. Optional.

        Returns:
            All live tracks ordered by id, tentative and lost ones included.
        """
        if detections.labels != self.labels:
            raise ValueError(f"detections have labels {detections.labels}, the tracker was made for {self.labels}")
        probs = detections.class_probs
        self._engine.step(
            detections.boxes.astype(np.float64),
            detections.scores.astype(np.float64),
            detections.class_ids,
            None if probs is None else probs.astype(np.float64),
            detections.captured_at_s,
            image=image,
            embeddings=None if detections.embeddings is None else detections.embeddings.astype(np.float64),
        )
        elapsed_s = 0.0 if self._before_s is None else detections.captured_at_s - self._before_s
        self._before_s = detections.captured_at_s
        self._histories.follow(self._engine.table, detections.frame_index, min(max(elapsed_s, 0.0), 1.0))
        return self._records(detections)

    def history(self, track_id: int) -> ObjectHistory | None:
        """Return the path, visibility, best views and dwell time of a live track; None if there is no such track."""
        return self._histories.of(self._engine.table, track_id)

    def join(self) -> None:
        """Take note, before the first frame, that the scene ran before: what that frame shows may have just come."""
        self._engine.at_start = False

    def gap(self, seconds: float) -> None:
        """Take note of a stream break of `seconds`: nothing was seen, and nothing is concluded from it."""
        self._engine.gap(seconds)

    def _records(self, detections: Detections) -> Tracks:
        table = self._engine.table
        boxes = self._engine.boxes().tolist()
        rates = table.motion.rate[:2].T.tolist()
        visible = np.clip(1.0 - table.covered, 0.0, 1.0).tolist()
        posteriors = self._posteriors()
        scores, states, unseen_s = table.score.tolist(), table.state.tolist(), table.unseen_s.tolist()
        first, last = table.first_seen_s.tolist(), table.last_seen_s.tolist()
        tracks = tuple(
            Track(
                track_id=track_id,
                box=(box[0], box[1], box[2], box[3]),
                velocity_px_s=(rate[0], rate[1]),
                score=score,
                state=STATES[state],
                visibility=share,
                posterior=posterior,
                first_seen_s=first_s,
                last_seen_s=last_s,
                matched=unseen == 0.0,
            )
            for track_id, box, rate, score, state, share, posterior, first_s, last_s, unseen in zip(
                table.track_id.tolist(),
                boxes,
                rates,
                scores,
                states,
                visible,
                posteriors,
                first,
                last,
                unseen_s,
                strict=True,
            )
        )
        engine = self._engine
        return Tracks(detections.frame_index, detections.captured_at_s, tracks, engine.removed, engine.notes)

    def _posteriors(self) -> list[tuple[tuple[str, float], ...]]:
        """Return for each track the label that is shown, then the most probable ones; ties in the labels' order."""
        table = self._engine.table
        known = self._engine.evidence.posterior(table, np.arange(len(table)))[:-1].T
        first = known.copy()
        lines = np.arange(len(known))
        held = np.minimum(table.held, known.shape[1] - 1)
        first[lines, held] = np.where(table.held < known.shape[1], 2.0, first[lines, held])
        order = np.argsort(-first, axis=1, kind="stable")[:, :TOP_LABELS]
        best = np.take_along_axis(known, order, axis=1).tolist()
        return [
            tuple((self.labels[i], p) for i, p in zip(row, probs, strict=True) if p >= LEAST_LISTED)
            for row, probs in zip(order.tolist(), best, strict=True)
        ]
