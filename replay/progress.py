"""How far a long run is: a bar on a terminal, a plain line now and then in a log."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import TextIO

import av
import av.error
from tqdm import tqdm

#: A log gets one line per this share of the work.
_LOG_SHARE = 0.1


def frames_in(path: Path) -> int | None:
    """Return how many frames a recording's container says it has; None where it does not say."""
    try:
        with av.open(str(path)) as container:
            return (container.streams.video[0].frames or None) if container.streams.video else None
    except (OSError, av.error.FFmpegError):
        return None  # the source will say what is wrong, in better words


class Progress:
    """Counts frames towards `total` (None: unknown). Use as a context manager, so that the bar is cleared on errors."""

    def __init__(self, label: str, total: int | None, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._label, self._total, self._frames, self._said = label, total, 0, 0.0
        self._bar = (
            tqdm(total=total, unit="frame", desc=label, file=self._stream, leave=False, dynamic_ncols=True)
            if self._stream.isatty()
            else None
        )

    def reach(self, frames: int) -> None:
        """Tell that so many frames of the recording are done."""
        if self._bar is not None:
            self._bar.update(frames - self._frames)
        elif self._total and frames / self._total >= self._said + _LOG_SHARE:
            self._said = frames / self._total
            print(f"{self._label}: {frames} of {self._total} frames ({100 * self._said:.0f} %)", file=self._stream)
        self._frames = frames

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
