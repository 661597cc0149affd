"""Start a recording in the middle so that nobody can tell from its frames: same index, same times, same pictures.

The stamps of all pictures are read first (demuxing only: a second or so for an hour of video), which gives index and
stream time of each frame exactly, at any frame rate. Then decoding starts at a key picture well before the wanted one.
Where a file does not allow that, it is decoded from its start; that is slow and always right.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import av

from core.errors import SourceError
from streams.av_reader import VideoReader
from streams.av_session import Session
from streams.source import SourceSettings
from streams.timeline import RecordingTimeline

_LOG = logging.getLogger(__name__)

#: A search goes back by this much more, so that pictures which lean on an earlier key picture are whole.
_MARGIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Start:
    """Where reading begins.

    Attributes:
        index: of the first picture, from 0.
        timeline: the time line as a full read would have it before that picture.
        pictures: from that picture on.
    """

    index: int
    timeline: RecordingTimeline
    pictures: Iterator[av.VideoFrame]


def start_at(session: Session, settings: SourceSettings, shown_url: str, stream_s: float) -> Start:
    """Return how to read on from the first picture at or after `stream_s`.

    It may begin earlier than asked (at the start of the file), so the caller still skips what is before `stream_s`.

    Raises:
        SourceError, SourceUnusable: the file cannot be opened again.
    """
    reader = session.reader
    first = RecordingTimeline(reader.time_base, reader.nominal_s)
    if stream_s <= 0:
        return Start(0, first, reader.pictures())
    found = _look_up(settings, shown_url, stream_s)
    if found is not None:
        index, pts, timeline = found
        pictures = _pictures_from(session, pts)
        if pictures is not None:
            return Start(index, timeline, pictures)
    _LOG.info("%s: cannot be searched exactly; read from its start up to %.3f s", shown_url, stream_s)
    session.reopen()
    return Start(0, first, session.reader.pictures())


def _look_up(settings: SourceSettings, shown_url: str, stream_s: float) -> tuple[int, int, RecordingTimeline] | None:
    """Return index, stamp and time line of the first picture at or after `stream_s`, or None if it is not sure."""
    reader = VideoReader(settings, shown_url, Counter())
    try:
        stamps = reader.stamps()
    finally:
        reader.close()
    timeline = RecordingTimeline(reader.time_base, reader.nominal_s)
    index = next((i for i, pts in enumerate(stamps or []) if timeline.stamp(pts) >= stream_s), None)
    if stamps is None or index is None:
        return None
    before = RecordingTimeline(reader.time_base, reader.nominal_s)
    for pts in stamps[:index]:
        before.stamp(pts)
    return index, stamps[index], before


def _pictures_from(session: Session, pts: int) -> Iterator[av.VideoFrame] | None:
    """Return the pictures from the one with the stamp `pts` on, or None if the search missed it."""
    reader = session.reader
    try:
        reader.seek(pts - round(_MARGIN_S / reader.time_base))
        pictures = reader.pictures()
        for picture in pictures:
            session.touch()
            if picture.pts is None or picture.pts > pts:
                return None
            if picture.pts == pts:
                return _again(picture, pictures)
    except SourceError as err:
        _LOG.info("%s", err)
    return None


def _again(first: av.VideoFrame, rest: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    yield first
    yield from rest
