"""One lane as it runs: source -> reconnect -> buffer -> pipeline -> spool -> subscribers, with start, drain and stop.

Four threads. *Capture* reads the source and fills the buffer; it never waits for the model of a live lane. *Work*
takes frames one by one through the pipeline and hands what was decided to the spool, which never fails because the
store is away. *Tell* calls the subscribers, so that a slow one costs pictures (counted) and never the lane's time.
*Menu* looks about once a second whether dishes were taught, loads and checks what is new, and lays it ready; work takes
it up between two frames. A frame that the model cannot compute is dropped and counted; the lane says so and goes on.
Nothing else in the house catches `Exception`.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from checkout.correction import Correction, CorrectionRefused, Ticket, check_dish
from checkout.health import LaneHealth, LaneState, Meter
from checkout.live_menu import Knowledge, LiveMenu
from checkout.menu import Menu
from checkout.pipeline import LaneUpdate, Pipeline
from checkout.presence import distance_in_boxes
from core.clock import Clock
from core.errors import DataError, InferenceError, SourceError, SourceRefused, SourceUnusable, StoreError
from core.records import Bill, Event, Frame, Gap
from store.spool import SpoolHealth
from store.store import Checkpoint
from streams.buffer import FrameBuffer
from streams.reconnect import BackoffSettings, StreamState, frames
from streams.source import SeekableSource, Source

_LOG = logging.getLogger(__name__)

Subscriber = Callable[[LaneUpdate], None]
_POLL_S = 0.25
_FULL_WAIT_S = 0.2
_TELL_CAPACITY = 8
_MOVED_BOXES = 0.25
#: How often the lane looks for a newly taught menu.
_MENU_S = 1.0


class Outlet(Protocol):
    """Where decided things go; `store.spool.Spool` is one."""

    def append(self, events: Sequence[Event], bills: Sequence[Bill], checkpoint: Checkpoint | None = None) -> int:
        """Store, or keep until the store is back."""
        ...

    def open_bill(self, lane_id: str) -> Bill | None:
        """Return the bill that a former process left open."""
        ...

    def checkpoint(self, lane_id: str, stream_key: str) -> Checkpoint | None:
        """Return how far a former process came on this stream."""
        ...

    @property
    def full(self) -> bool:
        """Whether the next event would be refused."""
        ...

    def health(self) -> SpoolHealth:
        """Return what waits."""
        ...

    def flush(self) -> bool:
        """Try the store now; return whether nothing waits any more."""
        ...


class Lane:
    """Runs one lane until its recording ends or it is stopped. `start` may be called once.

    Args:
        source: its camera or recording; owned by the lane from here on.
        pipeline: fresh.
        outlet: the spool of the lane.
        menu: to check answers against.
        clock: both clocks.
        backoff: how a lost camera is tried again.
        fps: decide at most so many frames per second of stream; None decides all.
        buffer_frames: how many frames may wait between capture and work.
        live_menu: followed while the lane runs; None: the menu stays.
    """

    def __init__(
        self,
        source: Source,
        pipeline: Pipeline,
        outlet: Outlet,
        menu: Menu,
        clock: Clock,
        backoff: BackoffSettings | None = None,
        fps: float | None = None,
        buffer_frames: int = 2,
        live_menu: LiveMenu | None = None,
    ) -> None:
        self.lane_id, self.menu = pipeline.lane_id, menu
        self._source, self._pipeline, self._outlet, self._clock = source, pipeline, outlet, clock
        self._backoff = backoff or BackoffSettings()
        self._step_s = 0.0 if fps is None else 1.0 / fps
        self._buffer = FrameBuffer(buffer_frames, "drop_oldest" if source.live else "block")
        self._meter = Meter()
        self._stop, self._done = threading.Event(), threading.Event()
        self._stream: StreamState | None = None
        self._failure, self._model_trouble, self._menu_trouble = "", "", ""
        self._latest: LaneUpdate | None = None
        self._stored_bill: Bill | None = None
        self._after_index, self._after_s = -1, None  # type: int, float | None
        self._answers: deque[tuple[int, str]] = deque()
        self._corrections: deque[Ticket] = deque()
        self._resting = threading.Event()
        self._rested_from: Frame | None = None
        self._teller = _Teller(self.lane_id)
        self._threads: list[threading.Thread] = []
        self._live_menu = live_menu
        self._ready: Knowledge | None = None

    @property
    def model(self) -> str:
        """Full name of the detector that runs, such as "traynet@2/int8"."""
        return self._pipeline.detector.name

    @property
    def latest(self) -> LaneUpdate | None:
        """The newest update that has a frame."""
        return self._latest

    @property
    def shown_url(self) -> str:
        """The source, without credentials."""
        return self._source.shown_url

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` with each update, in a thread of the lane that may lag but never slows the lane.

        A subscriber that lags loses frames (the update then comes without a picture, or not at all if nothing was
        decided in it); events and closed bills always come.

        Returns:
            A function that ends the subscription.
        """
        return self._teller.subscribe(subscriber)

    def start(self) -> None:
        """Take up what a former process left, then start the threads.

        Raises:
            StoreUnavailable: the store cannot tell what was left.
        """
        if self._threads:
            raise ValueError(f"lane {self.lane_id} was started before; make a new one")
        self._take_up()
        works = [("capture", self._capture), ("work", self._work), ("tell", self._teller.run)]
        if self._live_menu is not None:
            works.append(("menu", self._follow_menu))
        for name, work in works:
            thread = threading.Thread(target=self._guard, args=(name, work), name=f"{self.lane_id}-{name}", daemon=True)
            self._threads.append(thread)
        for thread in self._threads:
            thread.start()

    def drain(self, timeout_s: float | None = None) -> bool:
        """Wait until a recording is over and all of it is decided and handed on; return whether it is."""
        return self._done.wait(timeout_s)

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Stop reading, let the frame in work finish, hand on what was decided; return whether all ended in time."""
        deadline_s = self._clock.monotonic_s() + timeout_s
        self._stop.set()
        self._source.close()
        self._buffer.close(discard=True)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(deadline_s - self._clock.monotonic_s(), 0.01))
        ended = not any(thread.is_alive() for thread in self._threads)
        if not ended:
            _LOG.error("lane %s: did not stop within %.1f s", self.lane_id, timeout_s, extra=self._named())
        return ended

    def answer(self, track_id: int, dish: str) -> None:
        """Take a person's answer: what the object of `track_id` is, or "" for no goods. Decided with the next frame.

        Raises:
            DataError: the menu has no such dish.
        """
        if dish and dish not in self.menu:
            raise DataError(
                f"the menu has no dish {dish!r}; answer with one of its names, or with nothing for no goods"
            )
        self._answers.append((track_id, dish))

    def correct(self, correction: Correction) -> Ticket:
        """Take a person's correction of the open bill to the lane's thread; the ticket tells what came of it.

        Raises:
            DataError: the menu has no such dish.
            CorrectionRefused: the lane does not run.
        """
        check_dish(correction, self.menu)
        if self._done.is_set() or self._stop.is_set() or not self._threads:
            raise CorrectionRefused(f"lane {self.lane_id} does not run; start it to correct its open bill")
        ticket = Ticket(correction)
        self._corrections.append(ticket)
        return ticket

    @property
    def deciding(self) -> bool:
        """Whether frames are decided; False after `set_deciding(False)`."""
        return not self._resting.is_set()

    def set_deciding(self, on: bool) -> None:
        """Let the lane decide frames, or leave them out: counted as dropped, and a gap in the stream to the bill."""
        if on:
            self._resting.clear()
        else:
            self._resting.set()

    def health(self) -> LaneHealth:
        """Return how the lane does at this moment."""
        now_s, utc_s = self._clock.monotonic_s(), self._clock.utc_s()
        meter, stream, spool = self._meter, self._stream, self._outlet.health()
        state, why = self._state(spool)
        next_try_s = None if stream is None or stream.next_try_s is None else max(stream.next_try_s - utc_s, 0.0)
        with meter.lock:
            dropped = dict(meter.dropped)
            histogram = tuple(meter.latency_counts)
            last_s = meter.last_decided_s
        for reason, count in (*self._buffer.dropped.items(), *self._source.dropped.items()):
            dropped[reason] = dropped.get(reason, 0) + count
        return LaneHealth(
            lane_id=self.lane_id,
            shown_url=self._source.shown_url,
            live=self._source.live,
            state=state,
            why=why,
            since_s=None if stream is None else max(utc_s - stream.since_s, 0.0),
            next_try_s=next_try_s,
            fps=meter.fps(now_s),
            decided_frames=meter.decided_frames,
            last_decided_age_s=None if last_s is None else now_s - last_s,
            dropped={reason: count for reason, count in dropped.items() if count},
            reconnects=meter.reconnects,
            gaps=meter.gaps,
            asks=meter.asks,
            bills=meter.bills,
            stages=meter.stages(),
            latency=meter.latency(),
            latency_histogram=histogram,
            latency_sum_s=meter.latency_sum_s,
            queued=self._buffer.depth,
            spooled=spool.waiting_events,
            refused=spool.refused_events,
            skipped_updates=self._teller.skipped,
            menu_revision=self.menu.revision,
        )

    # --- what the threads do -------------------------------------------------------------------------------------

    def _take_up(self) -> None:
        """Go on where a former process of this lane ended."""
        if self._source.live:
            bill = self._outlet.open_bill(self.lane_id)
            if bill is not None:
                _LOG.info("lane %s: goes on with bill %s", self.lane_id, bill.bill_id, extra=self._named(bill))
                self._pipeline.restore(bill)
            return
        checkpoint = self._outlet.checkpoint(self.lane_id, self._pipeline.stream_key)
        if checkpoint is not None:
            where_s = checkpoint.stream_s
            _LOG.info("lane %s: goes on after %.2f s of the recording", self.lane_id, where_s, extra=self._named())
            self._pipeline.resume(checkpoint)
            self._after_index, self._after_s = checkpoint.frame_index, checkpoint.stream_s
            if isinstance(self._source, SeekableSource):
                self._source.seek(checkpoint.stream_s)

    def _guard(self, name: str, work: Callable[[], None]) -> None:
        """Run a thread; whatever ends it is said by the lane and ends the lane, not the program or the other lanes."""
        try:
            work()
        except (SourceError, SourceRefused, SourceUnusable, StoreError) as err:
            self._fail(str(err))
            _LOG.error("lane %s stops: %s", self.lane_id, err, extra=self._named())
        except Exception as err:
            told = "lane %s: a fault in the program ended its %s thread"
            _LOG.exception(told, self.lane_id, name, extra=self._named())
            if name == "tell":
                # Bills go on without those who watch.
                self._teller.mute()
            elif name == "menu":
                # And with the menu that they have.
                self._menu_trouble = f"the menu is not followed any more: {type(err).__name__}: {err}"
            else:
                self._fail(f"{type(err).__name__}: {err}")

    def _fail(self, why: str) -> None:
        self._failure = self._failure or why
        self._stop.set()
        self._source.close()
        self._buffer.close()
        self._teller.close()
        self._done.set()

    def _capture(self) -> None:
        slot = None if self._after_s is None else self._slot_of(self._after_s)
        try:
            for item in frames(self._source, self._stop, self._clock, self._backoff, self._note_stream):
                if isinstance(item, Frame):
                    if item.index <= self._after_index and not self._source.live:
                        continue
                    if self._step_s:
                        before, slot = slot, self._slot_of(item.stream_s)
                        if slot == before:
                            self._meter.count_drop("rate")
                            continue
                self._buffer.put(item)
        finally:
            self._buffer.close()

    def _slot_of(self, stream_s: float) -> int:
        """Return which period of the limited rate a frame falls into; the first frame of each is decided.

        It follows from the stream's time alone, so a lane that goes on in the middle decides the same frames.
        """
        return round(stream_s / self._step_s) if self._step_s else 0

    def _note_stream(self, state: StreamState) -> None:
        self._stream = state
        _LOG.debug("lane %s: %s %s", self.lane_id, state.state, state.why, extra=self._named())

    def _work(self) -> None:
        while not (self._buffer.ended or self._stop.is_set()):
            item = self._buffer.get(_POLL_S)
            self._take_menu()
            self._take_answers()
            if isinstance(item, Gap):
                self._meter.gaps += 1
                self._meter.reconnects += 1
                self._conclude(self._pipeline.gap(item))
            elif item is not None:
                self._decide(item)
            else:
                # Nothing to decide: a good moment to bring the store what waits for it.
                self._outlet.append((), ())
        self._outlet.flush()
        self._teller.close()
        self._done.set()

    def _decide(self, frame: Frame) -> None:
        while not self._source.live and self._outlet.full and not self._stop.is_set():
            # A recording waits for the store; a camera cannot.
            self._clock.wait(self._stop, _FULL_WAIT_S)
            self._outlet.flush()
        if self._rests(frame):
            return
        try:
            update = self._pipeline.step(frame)
        except InferenceError as err:
            if not self._model_trouble:
                told = "lane %s: %s; frames are left out until it works again"
                _LOG.error(told, self.lane_id, err, extra=self._named())
            self._model_trouble = str(err)
            self._meter.count_drop("model")
            return
        self._model_trouble = ""
        self._conclude(update)

    def _rests(self, frame: Frame) -> bool:
        """Return whether the frame is left out on request; the first one after a rest is preceded by a gap."""
        if self._resting.is_set():
            self._meter.count_drop("switched off")
            self._rested_from = self._rested_from or frame
            return True
        if self._rested_from is not None:
            first, self._rested_from = self._rested_from, None
            gap = Gap(
                self.lane_id, first.captured_at_s, frame.captured_at_s, first.stream_s, "detection was switched off"
            )
            self._meter.gaps += 1
            self._conclude(self._pipeline.gap(gap))
        return False

    def _follow_menu(self) -> None:
        """Lay ready what is newly taught, off the lane's hot path, until the lane ends."""
        live = self._live_menu
        if live is None:
            return
        while not (self._stop.is_set() or self._done.is_set()):
            latest = live.latest()
            self._menu_trouble = live.trouble
            if latest.menu is not self.menu:
                self._ready = latest
            self._clock.wait(self._stop, _MENU_S)

    def _take_menu(self) -> None:
        """Take up the menu that lies ready; between two frames, so that each is decided by one."""
        ready, self._ready = self._ready, None
        if ready is not None and ready.menu is not self.menu:
            self._pipeline.adopt(ready)
            self.menu = ready.menu
            _LOG.info("lane %s: menu revision %d is in force", self.lane_id, ready.revision)

    def _take_answers(self) -> None:
        while self._answers:
            update = self._pipeline.answer(*self._answers.popleft())
            if update.events:
                self._conclude(update)
        while self._corrections:
            ticket = self._corrections.popleft()
            if not ticket.claim():
                continue
            try:
                update = self._pipeline.correct(ticket.correction)
            except (CorrectionRefused, DataError) as err:
                ticket.settle(None, (), err)
                continue
            self._conclude(update)
            ticket.settle(update.bill, update.events)

    def _conclude(self, update: LaneUpdate) -> None:
        """Store what was decided, then show it: nobody sees a bill that a power cut could take back."""
        if update.events or update.checkpoint is not None:
            bills = (*update.closed, update.bill) if update.bill is not None else update.closed
            self._outlet.append(update.events, bills, update.checkpoint)
            self._stored_bill = update.bill
        elif self._source.live and update.bill is not None and self._has_moved(update.bill):
            # Not a fact for the journal, but a lane that is started again must know where to look.
            self._outlet.append((), (update.bill,))
            self._stored_bill = update.bill
        for bill in update.closed:
            told = "lane %s: bill %s closed: %d lines, %.2f"
            _LOG.info(told, self.lane_id, bill.bill_id, len(bill.lines), bill.total, extra=self._named(bill))
        if update.frame is not None:
            self._latest = update
        self._meter.count_update(update, self._latency_s(update))
        self._teller.tell(update)

    def _named(self, bill: Bill | None = None) -> dict[str, str]:
        """Return what a log line is about, for machines."""
        return {"lane": self.lane_id} | ({} if bill is None else {"bill": bill.bill_id})

    def _has_moved(self, bill: Bill) -> bool:
        """Return whether something lies elsewhere than in the stored state of the bill."""
        stored = self._stored_bill
        if stored is None or stored.bill_id != bill.bill_id:
            return False
        before = {line.line_no: line.box for line in stored.lines}
        return any(
            distance_in_boxes(before.get(line.line_no, line.box), line.box) > _MOVED_BOXES for line in bill.lines
        )

    def _latency_s(self, update: LaneUpdate) -> float | None:
        if update.frame is None:
            return None
        since_decode_s = update.decided_s - update.frame.received_s
        if not self._source.live:
            return max(since_decode_s, 0.0)
        return max(self._clock.utc_s() - update.frame.captured_at_s, since_decode_s, 0.0)

    def _state(self, spool: SpoolHealth) -> tuple[LaneState, str]:
        stream = self._stream
        if self._failure:
            return LaneState.FAILED, self._failure
        if self._done.is_set() or self._stop.is_set() or not self._threads:
            return LaneState.STOPPED, ""
        if stream is None or stream.state == "connecting":
            lost = stream is not None and stream.why
            return (LaneState.OFFLINE, stream.why) if stream is not None and lost else (LaneState.CONNECTING, "")
        if stream.state == "offline" and (self._source.live or stream.attempts):
            return LaneState.OFFLINE, stream.why
        if self._resting.is_set():
            return LaneState.OFF, "detection is switched off"
        if self._model_trouble:
            return LaneState.DEGRADED, self._model_trouble
        if spool.waiting_events or spool.refused_events:
            return LaneState.DEGRADED, f"{spool.waiting_events} events wait for the store: {spool.reason}"
        if self._menu_trouble or self._pipeline.trouble:
            return LaneState.DEGRADED, self._menu_trouble or self._pipeline.trouble
        return LaneState.RUNNING, ""


class _Teller:
    """Hands updates to subscribers in a thread of its own; bounded, and never loses an event."""

    def __init__(self, lane_id: str) -> None:
        self._lane_id = lane_id
        self._subscribers: list[Subscriber] = []
        self._queue: deque[LaneUpdate] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._skipped = 0

    @property
    def skipped(self) -> int:
        """Updates whose picture was left out for slow subscribers."""
        with self._changed:
            return self._skipped

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        with self._changed:
            self._subscribers.append(subscriber)

        def end() -> None:
            with self._changed:
                if subscriber in self._subscribers:
                    self._subscribers.remove(subscriber)

        return end

    def tell(self, update: LaneUpdate) -> None:
        """Queue an update; returns at once."""
        with self._changed:
            if not self._subscribers:
                return
            self._queue.append(update)
            self._thin_out()
            self._changed.notify()

    def _thin_out(self) -> None:
        """Bound the pictures that wait: the oldest go first; what was decided in them stays."""
        pictures = [i for i, waiting in enumerate(self._queue) if waiting.frame is not None]
        if len(pictures) <= _TELL_CAPACITY:
            return
        oldest = pictures[0]
        waiting = self._queue[oldest]
        self._skipped += 1
        if waiting.events or waiting.closed:
            self._queue[oldest] = replace(waiting, frame=None, detections=None)
        else:
            del self._queue[oldest]

    def run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or bool(self._queue))
                if not self._queue:
                    return
                update, subscribers = self._queue.popleft(), tuple(self._subscribers)
            for subscriber in subscribers:
                subscriber(update)

    def mute(self) -> None:
        """Tell nobody any more."""
        with self._changed:
            self._subscribers.clear()
            self._queue.clear()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
