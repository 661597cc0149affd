"""What is told to everybody who watches: computed once for all, pushed when it happens.

*State* is a value: who is slow gets the newest and misses nothing that still holds. *Events* are a journal: each
viewer has a bounded queue; who is slower than that is let go with the note `resync`, comes back with the number of
the last event it had, and reads the rest from the store. So a viewer that stalls costs the lanes nothing.

One thread per feed and process; it starts with the first viewer.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator

from app.site import Site
from checkout.pipeline import LaneUpdate
from core.errors import StoreError
from store.sql_store import SqlStore
from store.store import StoredEvent

_LOG = logging.getLogger(__name__)

#: A lane whose figures alone change (frames per second, latency) is told so often.
STATE_PERIOD_S = 0.2
KEEP_ALIVE_S = 10.0
#: Events stored by another process, or after the store was away, are found this much later.
LOOK_S = 1.0
QUEUE_EVENTS = 1000
_BATCH = 500
#: Two decisions so close together are told in one go.
_GATHER_S = 0.005


class StateFeed:
    """The newest state of each lane as JSON text, with a number that rises when it changes."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._changed = threading.Condition()
        self._decided = threading.Event()
        self._told: dict[str, tuple[int, str]] = {}
        self._number = self._watching = 0
        self._thread: threading.Thread | None = None

    def watch(self, lane_ids: list[str]) -> Iterator[str]:
        """Yield the state of lanes as server-sent events, now and whenever it changes, until the site closes."""
        seen: dict[str, int] = {}
        self._enter()
        try:
            while not self._site.closing.is_set():
                fresh = self._wait(lane_ids, seen)
                for lane_id, (number, text) in fresh.items():
                    seen[lane_id] = number
                    yield f"event: lane\ndata: {text}\n\n"
                if not fresh and not self._site.closing.is_set():
                    yield ": still here\n\n"
        finally:
            with self._changed:
                self._watching -= 1

    def _enter(self) -> None:
        with self._changed:
            self._watching += 1
            self._decided.set()
            if self._thread is None:
                self._site.watch(self._take)
                self._thread = threading.Thread(target=self._run, name="state-feed", daemon=True)
                self._thread.start()
        self._refresh()

    def _wait(self, lane_ids: list[str], seen: dict[str, int]) -> dict[str, tuple[int, str]]:
        def fresh() -> dict[str, tuple[int, str]]:
            told = {lane_id: self._told[lane_id] for lane_id in lane_ids if lane_id in self._told}
            return {lane_id: one for lane_id, one in told.items() if one[0] > seen.get(lane_id, 0)}

        with self._changed:
            self._changed.wait_for(lambda: bool(fresh()) or self._site.closing.is_set(), KEEP_ALIVE_S)
            return fresh()

    def _take(self, lane_id: str, update: LaneUpdate) -> None:
        """Wake the feed for what people wait for; the lane's figures can wait for the next round."""
        if update.events or update.closed:
            self._decided.set()

    def _run(self) -> None:
        while not self._site.closing.is_set():
            with self._changed:
                period_s = STATE_PERIOD_S if self._watching else KEEP_ALIVE_S
            self._decided.wait(period_s)
            if self._decided.is_set():
                self._site.closing.wait(_GATHER_S)
            self._decided.clear()
            with self._changed:
                watched = self._watching > 0
            if watched:
                self._refresh()
        with self._changed:
            self._changed.notify_all()

    def _refresh(self) -> None:
        texts = {lane_id: json.dumps(self._site.state(lane_id)) for lane_id in self._site.lane_ids}
        with self._changed:
            for lane_id, text in texts.items():
                if self._told.get(lane_id, (0, ""))[1] != text:
                    self._number += 1
                    self._told[lane_id] = self._number, text
            self._changed.notify_all()


class _Viewer:
    """One reader of the events: what waits for it, and whether it fell behind."""

    def __init__(self, lane_id: str | None, lane_ids: frozenset[str] | None) -> None:
        self.lane_id, self.lane_ids = lane_id, lane_ids
        self.waiting: deque[StoredEvent] = deque()
        self.behind = False

    def wants(self, lane_id: str) -> bool:
        """Return whether events of a lane are for this viewer."""
        return self.lane_id in (None, lane_id) and (self.lane_ids is None or lane_id in self.lane_ids)


class EventFeed:
    """Stored events in the order of the store, each viewer from where it was.

    Args:
        site: tells when something was decided.
        store: where events are read.
        write: an event as JSON text.
    """

    def __init__(self, site: Site, store: SqlStore, write: Callable[[StoredEvent], str]) -> None:
        self._site, self._store, self._write = site, store, write
        self._changed = threading.Condition()
        self._stored = threading.Event()
        self._viewers: list[_Viewer] = []
        self._seq: int | None = None
        self._thread: threading.Thread | None = None

    def watch(
        self, lane_id: str | None, after_seq: int | None, lane_ids: frozenset[str] | None = None
    ) -> Iterator[str]:
        """Yield events as server-sent events until the site closes or the viewer falls behind.

        Args:
            lane_id: of this lane only.
            after_seq: the last one the viewer has; None begins with the next one that happens.
            lane_ids: the only lanes that the viewer may see; None means all.

        Raises:
            StoreUnavailable: the store does not answer; before the first piece.
        """
        viewer = _Viewer(lane_id, lane_ids)
        now_seq = self._enter(viewer)
        return self._pieces(viewer, now_seq if after_seq is None else after_seq, now_seq)

    def _pieces(self, viewer: _Viewer, after_seq: int, now_seq: int) -> Iterator[str]:
        try:
            # A comment at once: the client knows that it is connected, and where it stands.
            yield f"retry: 1000\nid: {after_seq}\n: connected\n\n"
            last = after_seq
            for stored in self._missed(viewer, after_seq, now_seq):
                last = stored.seq
                yield self._piece(stored)
            while not self._site.closing.is_set():
                fresh = self._wait(viewer)
                for stored in fresh:
                    if stored.seq > last:
                        last = stored.seq
                        yield self._piece(stored)
                if viewer.behind:
                    yield f"event: resync\nid: {last}\ndata: {json.dumps({'after': last})}\n\n"
                    return
                if not fresh and not self._site.closing.is_set():
                    yield ": still here\n\n"
        finally:
            with self._changed:
                if viewer in self._viewers:
                    self._viewers.remove(viewer)

    def _piece(self, stored: StoredEvent) -> str:
        return f"id: {stored.seq}\nevent: {stored.event.decision.kind}\ndata: {self._write(stored)}\n\n"

    def _missed(self, viewer: _Viewer, after_seq: int, until_seq: int) -> Iterator[StoredEvent]:
        """Yield what was stored between the viewer's last event and its entering."""
        while after_seq < until_seq:
            page = self._store.events(viewer.lane_id, after_seq, _BATCH, None, viewer.lane_ids)
            for stored in page:
                if stored.seq > until_seq:
                    return
                yield stored
            if len(page) < _BATCH:
                return
            after_seq = page[-1].seq

    def _enter(self, viewer: _Viewer) -> int:
        """Add a viewer; return the number up to which it must read for itself."""
        with self._changed:
            if self._seq is None:
                self._seq = self._store.last_seq()
            self._viewers.append(viewer)
            if self._thread is None:
                self._site.watch(self._take)
                self._thread = threading.Thread(target=self._run, name="event-feed", daemon=True)
                self._thread.start()
            return self._seq

    def _wait(self, viewer: _Viewer) -> list[StoredEvent]:
        def ready() -> bool:
            return bool(viewer.waiting) or viewer.behind or self._site.closing.is_set()

        with self._changed:
            self._changed.wait_for(ready, KEEP_ALIVE_S)
            fresh = list(viewer.waiting)
            viewer.waiting.clear()
            return fresh

    def _take(self, lane_id: str, update: LaneUpdate) -> None:
        if update.events:
            self._stored.set()

    def _run(self) -> None:
        """Read what was stored and hand it to the viewers, until the site closes."""
        away = False
        while not self._site.closing.is_set():
            self._stored.wait(LOOK_S)
            self._stored.clear()
            try:
                while self._hand_out():
                    pass
                away = False
            except StoreError as err:
                if not away:
                    _LOG.warning("live events wait: %s", err)
                away = True
        with self._changed:
            self._changed.notify_all()

    def _hand_out(self) -> bool:
        """Hand out one batch; return whether there may be more."""
        with self._changed:
            seq = self._seq or 0
            if not self._viewers:
                self._seq = None  # nobody waits; who comes next begins at the store's end of then
                return False
        page = self._store.events(after_seq=seq, limit=_BATCH)
        if not page:
            return False
        with self._changed:
            if self._seq is not None:
                self._seq = page[-1].seq
            for viewer in self._viewers:
                self._give(viewer, page)
            self._changed.notify_all()
        return len(page) == _BATCH

    def _give(self, viewer: _Viewer, page: list[StoredEvent]) -> None:
        if viewer.behind:
            return
        wanted = [one for one in page if viewer.wants(one.event.lane_id)]
        if len(viewer.waiting) + len(wanted) > QUEUE_EVENTS:
            viewer.behind = True
            viewer.waiting.clear()
        else:
            viewer.waiting.extend(wanted)
