"""The answer teaches it: what a person says an object is becomes a photo of that dish, for the next time.

An answer is worth a photo only where looks decide: for dishes that were taught (`menu.learn_from_answers: taught`, the
default) or for every dish of the menu (`all`). The photo is judged as any other: one that is dark, blurred or equal to
a known one teaches nothing, and a dish that has its 20 photos learns no more. Each is a revision of the menu with its
own line in the history, so that a wrong answer is taken back by `traylane menu undo` or on the page.

A thread of its own does it, one answer at a time; the lane and the person who answered wait for nothing.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from checkout.menu_records import same_name
from checkout.teaching import Teacher, TeachRequest
from core.errors import DataError, TraylaneError
from core.records import Box

_LOG = logging.getLogger(__name__)

#: Answers that may wait; a person answers slower than a photo is taught.
WAITING = 8
_LOOK_S = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """One answer.

    Attributes:
        dish: what the object is.
        image: (H, W, 3) uint8 RGB, the frame.
        box: where it is, pixels.
        who: answered.
    """

    dish: str
    image: NDArray[np.uint8]
    box: Box
    who: str


class AnswerLearner:
    """Teaches from answers until the site closes.

    Args:
        make_teacher: returns what teaches; called with the first lesson.
        which: for which dishes.
        closing: ends it.
    """

    def __init__(
        self, make_teacher: Callable[[], Teacher], which: Literal["taught", "all"], closing: threading.Event
    ) -> None:
        self._make_teacher, self._which, self._closing = make_teacher, which, closing
        self._lessons: queue.Queue[Lesson] = queue.Queue(WAITING)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._learnt = self._left_out = 0

    @property
    def learnt(self) -> int:
        """Answers that became photos."""
        return self._learnt

    @property
    def left_out(self) -> int:
        """Answers that did not: their picture was not good enough, or the dish is not to be learnt."""
        return self._left_out

    def take(self, lesson: Lesson) -> None:
        """Take note of an answer; returns at once."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="answers", daemon=True)
                self._thread.start()
        try:
            self._lessons.put_nowait(lesson)
        except queue.Full:
            self._left_out += 1

    def _run(self) -> None:
        teacher: Teacher | None = None
        while not self._closing.is_set():
            try:
                lesson = self._lessons.get(timeout=_LOOK_S)
            except queue.Empty:
                continue
            try:
                teacher = teacher or self._make_teacher()
                self._learn(teacher, lesson)
            except TraylaneError as err:
                # A picture that teaches nothing is no fault: the bill has the answer in any case.
                self._left_out += 1
                level = logging.INFO if isinstance(err, DataError) else logging.WARNING
                _LOG.log(level, "the answer %r taught nothing: %s", lesson.dish, err)
        if teacher is not None:
            teacher.close()

    def _learn(self, teacher: Teacher, lesson: Lesson) -> None:
        taught = same_name(lesson.dish, teacher.store.current().dishes)
        if self._which == "taught" and taught is None:
            self._left_out += 1
            return
        done, buffer = cv2.imencode(".png", cv2.cvtColor(lesson.image, cv2.COLOR_RGB2BGR))
        if not done:
            raise ValueError(f"cannot encode an image of shape {lesson.image.shape}")
        # A person has just told it apart from what it looks like: that is what the warning would ask for.
        request = TeachRequest(lesson.dish, box=lesson.box, force_lookalike=True, who=f"answer of {lesson.who}")
        outcome = teacher.teach([bytes(buffer)], request)
        self._learnt += 1
        _LOG.info("menu revision %d: an answer taught %s", outcome.revision, outcome.name)
