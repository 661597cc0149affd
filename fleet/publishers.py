"""All publishers of an appliance: a thread for each receiver, so that a slow one holds nobody up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from checkout.config import SiteConfig
from checkout.lane import Lane
from checkout.menu import Menu
from checkout.pipeline import LaneUpdate
from core.clock import Clock
from fleet.event_text import event_text
from fleet.webhooks import CONSUMER, Webhook
from store.outbox import Outbox
from store.sql_store import SqlStore

if TYPE_CHECKING:
    from fleet.mqtt import MqttPublisher

MQTT = "mqtt"


class Publishers:
    """Starts and stops them.

    Args:
        config: names the receivers.
        store: has the events.
        lanes: by id; what is decided in them is told at once.
        menu: returns the menu in force, for titles and prices.
        clock: both clocks.
    """

    def __init__(
        self, config: SiteConfig, store: SqlStore, lanes: Mapping[str, Lane], menu: Callable[[], Menu], clock: Clock
    ) -> None:
        self._stop = threading.Event()
        self._clock = clock
        outbox = Outbox(store, clock)
        names = [CONSUMER + hook.name for hook in config.webhooks] + ([MQTT] if config.mqtt is not None else [])
        self._hooks = [Webhook(hook, outbox, clock, event_text, names, self._stop) for hook in config.webhooks]
        self._threads: list[threading.Thread] = []
        self.mqtt = _mqtt(config, outbox, store, lanes, menu, names, clock)

    def start(self) -> None:
        """Start a thread for each receiver."""
        if self.mqtt is not None:
            self.mqtt.start()
        for hook in self._hooks:
            thread = threading.Thread(target=hook.run, name=f"webhook-{hook.settings.name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Let requests under way finish, at most `timeout_s`; return whether all did."""
        self._stop.set()
        deadline_s = self._clock.monotonic_s() + timeout_s
        ended = self.mqtt is None or self.mqtt.stop(timeout_s)
        for thread in self._threads:
            thread.join(max(deadline_s - self._clock.monotonic_s(), 0.01))
        return ended and not any(thread.is_alive() for thread in self._threads)


def _mqtt(
    config: SiteConfig,
    outbox: Outbox,
    store: SqlStore,
    lanes: Mapping[str, Lane],
    menu: Callable[[], Menu],
    peers: list[str],
    clock: Clock,
) -> MqttPublisher | None:
    """Return the publisher to the broker, not started; None where the configuration names none."""
    if config.mqtt is None:
        return None
    from fleet.mqtt import Appliance, MqttPublisher

    appliance = Appliance(
        site=config.site.name,
        lanes=lanes,
        healths=lambda: {lane_id: lane.health() for lane_id, lane in lanes.items()},
        menu=menu,
        events_of=lambda bill_id: store.events(bill_id=bill_id),
        latest_before=outbox.latest_of_bills,
    )
    publisher = MqttPublisher(config.mqtt, outbox, appliance, clock, peers)

    def wake(update: LaneUpdate) -> None:
        if update.events:
            publisher.wake()

    for lane in lanes.values():
        lane.subscribe(wake)
    return publisher
