"""All publishers of an appliance: a thread for each receiver, so that a slow one holds nobody up."""

from __future__ import annotations

import threading

from checkout.config import SiteConfig
from core.clock import Clock
from fleet.event_text import event_text
from fleet.webhooks import CONSUMER, Webhook
from store.outbox import Outbox
from store.sql_store import SqlStore


class Publishers:
    """Starts and stops them.

    Args:
        config: names the receivers.
        store: has the events.
        clock: both clocks.
    """

    def __init__(self, config: SiteConfig, store: SqlStore, clock: Clock) -> None:
        self._stop = threading.Event()
        self._clock = clock
        outbox = Outbox(store, clock)
        names = [CONSUMER + hook.name for hook in config.webhooks]
        self._hooks = [Webhook(hook, outbox, clock, event_text, names, self._stop) for hook in config.webhooks]
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start a thread for each receiver."""
        for hook in self._hooks:
            thread = threading.Thread(target=hook.run, name=f"webhook-{hook.settings.name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Let requests under way finish, at most `timeout_s`; return whether all did."""
        self._stop.set()
        deadline_s = self._clock.monotonic_s() + timeout_s
        for thread in self._threads:
            thread.join(max(deadline_s - self._clock.monotonic_s(), 0.01))
        return not any(thread.is_alive() for thread in self._threads)
