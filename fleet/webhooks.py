"""One receiver of webhooks: each event of each lane in order, at least once, and nothing is lost in silence.

The loop goes over the lanes. In each it sends what waits, oldest first, until nothing does or a try fails; then that
lane (of this receiver) waits, longer after each failure, with jitter so that many appliances do not come at the same
moment. An event that is refused `refusals` times, or whose receiver was away for `give_up_s`, becomes a dead letter,
and the lane goes on with the next. The cursor moves after the receiver took an event, never before: who is killed in
between sends one event again, under the same id.
"""

from __future__ import annotations

import json
import logging
import random
import threading
from collections.abc import Callable, Sequence

from checkout.webhook_settings import WebhookSettings
from core.clock import Clock
from core.errors import StoreUnavailable
from fleet.delivery import Outcome, Verdict, deliver
from store.outbox import Cursor, Outbox
from store.store import StoredEvent

_LOG = logging.getLogger(__name__)

CONSUMER = "webhook:"
_BATCH = 50
_LOOK_S = 1.0
_LONGEST_RETRY_AFTER_S = 3600.0

Send = Callable[[WebhookSettings, str, bytes, float], Outcome]


class Webhook:
    """Brings events to one receiver.

    Args:
        settings: of the receiver.
        outbox: where events wait.
        clock: both clocks.
        write: an event as JSON text.
        peers: all consumers of this appliance: an event is settled when every one of them is done with it.
        stop: ends the loop.
        send: one try; another one in tests of the waiting.
        chance: 0..1, for the jitter.
    """

    def __init__(
        self,
        settings: WebhookSettings,
        outbox: Outbox,
        clock: Clock,
        write: Callable[[StoredEvent], str],
        peers: Sequence[str],
        stop: threading.Event,
        send: Send = deliver,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.settings, self.consumer = settings, CONSUMER + settings.name
        self._outbox, self._clock, self._write, self._stop = outbox, clock, write, stop
        self._peers = peers
        self._send, self._chance = send, chance
        self._kinds = None if settings.kinds is None else [str(kind) for kind in settings.kinds]

    def run(self) -> None:
        """Work until stopped; a store that is away is waited for."""
        told = False
        registered = False
        while not self._stop.is_set():
            try:
                if not registered:
                    self._outbox.register(self.consumer, self.settings.from_start)
                    registered = True
                worked = self.step()
                told = False
            except StoreUnavailable as err:
                if not told:
                    _LOG.warning("webhook %s waits for the store: %s", self.settings.name, err)
                told, worked = True, False
            if not worked:
                self._clock.wait(self._stop, _LOOK_S)

    def step(self) -> bool:
        """Go over all lanes once; return whether anything was delivered or given up.

        Raises:
            StoreUnavailable: the store is away; what was delivered since the last cursor comes again.
        """
        worked = False
        for cursor in self._outbox.cursors(self.consumer):
            worked |= self._lane(cursor)
        for letter in self._outbox.letters(self.consumer, limit=_BATCH, due=True):
            if self._stop.is_set():
                break
            outcome = self._try(letter.stored)
            self._outbox.settle_letter(letter, None if outcome.verdict is Verdict.TAKEN else outcome.why)
            worked = True
        if worked:
            self._outbox.settle(self._peers)
        return worked

    def _lane(self, cursor: Cursor) -> bool:
        """Send what waits in one lane; return whether the cursor moved."""
        if cursor.next_try_s is not None and self._clock.utc_s() < cursor.next_try_s:
            return False
        waiting, reach = self._outbox.waiting(cursor, self._kinds, _BATCH)
        if self.settings.lanes is not None and cursor.lane_id not in self.settings.lanes:
            waiting, reach = [], max([reach, *(one.seq for one in waiting)])
        moved = False
        for stored in waiting:
            if self._stop.is_set():
                return moved
            after = self._hand_over(cursor, stored)
            if after is None:
                _LOG.error("webhook %s: another process moves its cursor; run it once", self.settings.name)
                return moved
            if after.done_seq != stored.seq:
                return moved
            cursor, moved = after, True
        if reach > cursor.done_seq:
            # What is not wanted is settled, too; it would be looked at again for ever.
            moved |= self._outbox.advance(cursor, reach, 0) is not None
        return moved

    def _hand_over(self, cursor: Cursor, stored: StoredEvent) -> Cursor | None:
        outcome = self._try(stored)
        if outcome.verdict is Verdict.TAKEN:
            return self._outbox.advance(cursor, stored.seq, 1)
        now_s = self._clock.utc_s()
        first_s = cursor.first_try_s if cursor.first_try_s is not None else now_s
        refused = outcome.verdict is Verdict.REFUSED and cursor.attempts + 1 >= self.settings.refusals
        if refused or now_s - first_s >= self.settings.give_up_s:
            told, named = "webhook %s: event %s is a dead letter: %s", _named(stored)
            _LOG.error(told, self.settings.name, stored.seq, outcome.why, extra=named)
            return self._outbox.give_up(cursor, stored, outcome.why)
        if cursor.attempts == 0:
            told, named = "webhook %s: event %s: %s; trying again", _named(stored)
            _LOG.warning(told, self.settings.name, stored.seq, outcome.why, extra=named)
        return self._outbox.put_off(cursor, outcome.why, now_s + self._pause_s(cursor.attempts, outcome))

    def _pause_s(self, attempts: int, outcome: Outcome) -> float:
        """Return how long a lane waits after a failure: between half and all of the back-off, or as asked."""
        settings = self.settings
        longest_s = min(settings.first_s * settings.factor ** min(attempts, 60), settings.max_s)
        asked_s = min(outcome.retry_after_s or 0.0, _LONGEST_RETRY_AFTER_S)
        return max(longest_s * (0.5 + 0.5 * self._chance()), asked_s)

    def _try(self, stored: StoredEvent) -> Outcome:
        event = stored.event
        content = {"type": str(event.decision.kind), "data": json.loads(self._write(stored))}
        body = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
        return self._send(self.settings, event.event_id, body, self._clock.utc_s())


def _named(stored: StoredEvent) -> dict[str, str]:
    """Return what a log line is about, for machines."""
    return {"lane": stored.event.lane_id, "bill": stored.event.decision.bill_id}
