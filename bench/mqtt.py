"""`python -m bench.mqtt`: 10,000 bills to a receiver, through 20 killed brokers and 5 killed publishers.

A child process writes bills into a store, event by event, as lanes do, and publishes them; it is ended with SIGKILL at
random moments and started again. A real broker (mosquitto) is ended with SIGKILL at random moments, so that it loses
what it had not written down although it had acknowledged it. The receiver is the one that docs/mqtt.md describes. At
the end its events must be those of the store, in the store's order per lane, each once.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import tempfile
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

from bench.results_file import row, write_results
from checkout.menu import Dish, Menu
from checkout.mqtt_settings import MqttSettings
from core.clock import SystemClock
from core.records import Decision, DecisionKind, Event
from fleet.mqtt import Appliance, MqttPublisher
from store.engine import open_store
from store.outbox import Outbox
from tests.mosquitto import Broker
from tests.mqtt_receiver import Receiver

LANES = ("lane1", "lane2", "lane3")
MENU = Menu("EUR", {name: Dish(name, name.title(), 1.0 + n) for n, name in enumerate(("soup", "bread", "tea"))})
_EVERYTHING = 100_000_000


class _BenchLane:
    """A lane that nobody switches."""

    deciding = True

    def set_deciding(self, on: bool) -> None:
        """Leave it as it is."""


def bill_events(lane_id: str, number: int) -> list[Event]:
    """Return the events of a bill: opened, two lines, closed."""
    bill_id = f"{lane_id}-{number:06d}"
    start_s = 1_700_000_000.0 + number * 10.0

    def event(step: int, kind: DecisionKind, dish: str = "", line_no: int = 0) -> Event:
        price = MENU[dish].price if dish else None
        detail = {"line_no": line_no} if line_no else {}
        decision = Decision(
            kind, line_no or None, start_s + step, number * 10.0 + step, "tray", 0.95, "", bill_id, dish, price, step,
            detail,
        )  # fmt: skip
        return Event(f"{bill_id}-{step}", lane_id, decision, "bench@1", "0" * 64)

    return [
        event(1, DecisionKind.BILL_OPEN),
        event(2, DecisionKind.LINE_ADD, "soup", 1),
        event(3, DecisionKind.LINE_ADD, "tea" if number % 2 else "bread", 2),
        event(4, DecisionKind.BILL_CLOSE),
    ]


def sell_and_publish(url: str, port: int, bills: int, pace_s: float) -> None:
    """Write what is missing of `bills` per lane, publish all, and wait until the broker has acknowledged it."""
    clock = SystemClock()
    store = open_store(url, clock)
    outbox = Outbox(store, clock)
    settings = MqttSettings(host="127.0.0.1", port=port, timeout_s=5)
    lanes = {lane_id: _BenchLane() for lane_id in LANES}
    site = Appliance(
        "bench", lanes, dict, lambda: MENU, lambda bill: store.events(bill_id=bill), outbox.latest_of_bills
    )
    outbox.register("mqtt", from_start=True)
    publisher = MqttPublisher(settings, outbox, site, clock)
    publisher.start()
    done = {lane_id: len(store.events(lane_id, limit=_EVERYTHING)) // 4 for lane_id in LANES}
    for number in range(min(done.values()), bills):
        for lane_id in LANES:
            # Events of a bill that was cut off are stored again: those that are there are left out.
            events = bill_events(lane_id, number)
            store.append(events[:2], [])
            store.append(events[2:], [])
        publisher.wake()
        time.sleep(pace_s)
    while outbox.depth("mqtt"):
        time.sleep(0.1)
    publisher.stop()
    store.close()


def start_child(url: str, port: int, bills: int, pace_s: float) -> BaseProcess:
    """Start the publishing process."""
    child = multiprocessing.get_context("spawn").Process(target=sell_and_publish, args=(url, port, bills, pace_s))
    child.start()
    return child


def main() -> int:
    """Run; return 1 if anything was lost, doubled or out of order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bills", type=int, default=10_000, help="in all; default 10000")
    parser.add_argument("--broker-kills", type=int, default=20)
    parser.add_argument("--kills", type=int, default=5, help="of the publisher")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pace", type=float, default=0.002, help="seconds between bills of a lane")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    per_lane = -(-args.bills // len(LANES))
    with tempfile.TemporaryDirectory(prefix="traylane-mqtt-") as name:
        folder = Path(name)
        url = f"sqlite:///{folder}/bench.db"
        open_store(url).close()
        broker = Broker(folder)
        broker.start()
        receiver = Receiver(broker.port)
        receiver.wait(lambda: receiver.connected, 10, "the broker")
        began_s = time.monotonic()
        child = start_child(url, broker.port, per_lane, args.pace)
        deaths = ["broker"] * args.broker_kills + ["publisher"] * args.kills
        rng.shuffle(deaths)
        for number, victim in enumerate(deaths):
            # Spread over the run: the next one dies when so many events have come.
            share = (number + rng.random()) / (len(deaths) + 1)
            wanted = int(share * 4 * per_lane * len(LANES))
            receiver.wait(lambda wanted=wanted: receiver.count >= wanted, 600, f"{wanted} events")  # type: ignore[misc]
            if victim == "broker":
                broker.kill()
                time.sleep(rng.random() * 0.5)
                broker.start()
            else:
                child.kill()
                child.join()
                child = start_child(url, broker.port, per_lane, args.pace)
            print(f"{number + 1:3} {victim} killed at {receiver.count} events", flush=True)
        total = 4 * per_lane * len(LANES)
        receiver.wait(lambda: receiver.count >= total, 600, f"all {total} events")
        child.join(60)
        seconds = time.monotonic() - began_s
        time.sleep(1.0)
        store = open_store(url)
        lost = doubled = disordered = 0
        for lane_id in LANES:
            stored = [one.event.event_id for one in store.events(lane_id, limit=_EVERYTHING)]
            told = [one["event_id"] for one in receiver.events[lane_id]]
            lost += len(set(stored) - set(told))
            doubled += len(told) - len(set(told)) + len(set(told) - set(stored))
            disordered += told != stored
        store.close()
        receiver.close()
        broker.stop()
    write_results(
        "mqtt",
        [
            row("bills", per_lane * len(LANES), "bills"),
            row("events", total, "events"),
            row("broker_kills", args.broker_kills, "kills"),
            row("publisher_kills", args.kills, "kills"),
            row("events_lost", lost, "events", 0, "lower"),
            row("events_doubled", doubled, "events", 0, "lower"),
            row("lanes_out_of_order", disordered, "lanes", 0, "lower"),
            row("repeats_that_the_receiver_left_out", receiver.repeats, "events"),
            row("times_the_receiver_asked_again", receiver.asked, "times"),
            row("events_per_s", total / seconds, "events/s"),
        ],
    )
    return 1 if lost or doubled or disordered else 0


if __name__ == "__main__":
    sys.exit(main())
