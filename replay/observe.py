"""Take a recording through a lane's pipeline.

A recording shall be done soon, and a machine has more than one core: the detector looks at the next frames in a thread
of its own while the tracker, the policy and whoever draws are at work on this one. Nothing is decided out of order, so
the updates are those of `Pipeline.step` alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing

from checkout.pipeline import Found, LaneUpdate, Pipeline
from core.clock import Clock
from core.records import Frame, Gap
from replay.recording import Recording
from streams.ahead import ahead
from streams.reconnect import BackoffSettings
from streams.reconnect import frames as frames_of
from streams.source import Source

#: A frame or gap, the seconds that it took to read, and what was found in a frame.
_Piece = tuple[Frame | Gap, float, Found | None]


def updates(
    source: Source, pipeline: Pipeline, recording: Recording, clock: Clock
) -> Generator[LaneUpdate, None, None]:
    """Yield the pipeline's update for every frame and every gap of a recording; fill `recording`.

    The source is opened and closed here.

    Args:
        source: a recording; it blocks, nothing is dropped for load.
        pipeline: a fresh one.
        recording: what came out is added to it.
        clock: for the retry loop of the source.

    Raises:
        SourceError, SourceRefused, SourceUnusable: the recording cannot be read.
        ModelError: the detector failed.
    """
    started, stop = time.perf_counter(), threading.Event()
    with closing(ahead(_found(source, pipeline, clock, stop))) as pieces:
        try:
            for piece, read_s, found in pieces:
                update = pipeline.gap(piece) if isinstance(piece, Gap) else pipeline.step(piece, found)
                recording.add(update, read_s)
                yield update
        finally:
            # Whoever leaves early must not wait for a slow source.
            stop.set()
            source.close()
    recording.wall_s = time.perf_counter() - started
    recording.left_out = dict(source.dropped)


def _found(source: Source, pipeline: Pipeline, clock: Clock, stop: threading.Event) -> Iterator[_Piece]:
    """Read and detect; runs in the thread that is ahead."""
    mark = time.perf_counter()
    for piece in frames_of(source, stop, clock, BackoffSettings()):
        read_s = time.perf_counter() - mark
        yield piece, read_s, None if isinstance(piece, Gap) else pipeline.detect(piece)
        mark = time.perf_counter()
