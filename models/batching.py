"""One model for many lanes: calls that come while it is busy go into its next run together.

There is no thread of its own. The first lane that finds the model free runs it, for itself and for all that have come
meanwhile; the others wait for their answer. So a lone lane waits for nobody, and a crowd makes full batches.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from core.errors import TraylaneError
from core.records import Detections, Frame
from models.detector import Detector
from models.ort_detector import OrtDetector


class SharedDetector:
    """A detector that unites the calls of several lanes.

    Worth it on a GPU. On a CPU, lanes that run the model side by side use the cores better: see `share`.

    Args:
        detector: takes the frames of all lanes in one call.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._changed = threading.Condition()
        self._waiting: list[_Request] = []
        self._busy = False

    @property
    def name(self) -> str:
        """Name and version of the model."""
        return self._detector.name

    @property
    def labels(self) -> tuple[str, ...]:
        """What `class_ids` and `class_probs` index."""
        return self._detector.labels

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Return the detections of each frame; see `Detector.detect`.

        Raises:
            InferenceError: the run that these frames were part of failed.
        """
        request = _Request(frames)
        with self._changed:
            self._waiting.append(request)
            while self._busy and request.pending:
                self._changed.wait()
            if request.pending:
                self._busy = True
                together, self._waiting = self._waiting, []
        if request.pending:
            self._lead(request, together)
        if request.error is not None:
            raise request.error
        return request.answer

    def close(self) -> None:
        """Give the model's memory back; idempotent."""
        self._detector.close()

    def _lead(self, mine: _Request, together: list[_Request]) -> None:
        """Run the model for all of `together`, answer them, and let the next lane lead."""
        try:
            found = self._detector.detect([frame for request in together for frame in request.frames])
            start = 0
            for request in together:
                request.answer = found[start : start + len(request.frames)]
                request.pending = False
                start += len(request.frames)
        except TraylaneError as err:
            for request in together:
                request.error, request.pending = err, False
        finally:
            with self._changed:
                # After a bug (any other error) the others' frames wait for the next leader instead of hanging.
                self._waiting[:0] = [other for other in together if other.pending and other is not mine]
                self._busy = False
                self._changed.notify_all()


def share(detector: OrtDetector) -> Detector:
    """Return `detector` as lanes should share it: united on a GPU that takes batches, else as it is."""
    if detector.device.kind == "cuda" and detector.batches:
        return SharedDetector(detector)
    return detector


class _Request:
    """The frames of one call, and what became of them."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.frames = frames
        self.answer: list[Detections] = []
        self.error: TraylaneError | None = None
        self.pending = True
