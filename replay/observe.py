"""Take a recording through a lane's pipeline."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from checkout.pipeline import LaneUpdate, Pipeline
from core.clock import Clock
from core.records import Gap
from replay.recording import Recording
from streams.reconnect import BackoffSettings
from streams.reconnect import frames as frames_of
from streams.source import Source


def updates(source: Source, pipeline: Pipeline, recording: Recording, clock: Clock) -> Iterator[LaneUpdate]:
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
    started = mark = time.perf_counter()
    for piece in frames_of(source, threading.Event(), clock, BackoffSettings()):
        read_s = time.perf_counter() - mark
        update = pipeline.gap(piece) if isinstance(piece, Gap) else pipeline.step(piece)
        recording.add(update, read_s)
        yield update
        mark = time.perf_counter()
    recording.wall_s = time.perf_counter() - started
    recording.left_out = dict(source.dropped)
