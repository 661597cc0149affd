"""Events to a real broker: once, in order, through lost brokers; states, commands, Home Assistant, refusals."""

import itertools
import json
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from checkout.health import LaneHealth, LaneState
from checkout.mqtt_settings import MqttSettings
from core.clock import SystemClock
from core.records import DecisionKind
from fleet.mqtt import Appliance, MqttPublisher
from store.engine import open_store
from store.outbox import Outbox
from tests.appliance import appliance, demo
from tests.fakes import menu
from tests.mosquitto import Broker, needs_broker
from tests.mqtt_receiver import Receiver
from tests.store_records import make_event

pytestmark = needs_broker
MENU = menu("soup", "bread")
LANES = ("lane1", "lane2")


class FakeLane:
    deciding = True

    def set_deciding(self, on: bool) -> None:
        self.deciding = on


def health(lane_id: str, state: LaneState = LaneState.RUNNING) -> LaneHealth:
    return LaneHealth(
        lane_id,
        "rtsp://***@cam/1",
        True,
        state,
        "",
        1.0,
        None,
        20.0,
        7,
        0.1,
        {},
        0,
        0,
        0,
        3,
        {},
        None,
        (),
        0.0,
        0,
        0,
        0,
        0,
    )


def bill_events(lane_id: str, number: int):
    """A bill with a soup and a bread, one of them taken off again."""
    base = make_event(number * 10, lane_id).decision
    bill_id = f"{lane_id}-bill-{number}"

    def event(step: int, kind: DecisionKind, dish: str = "", price: float | None = None, **detail):
        decision = replace(
            base, kind=kind, bill_id=bill_id, revision=step, dish=dish, price=price, track_id=step, detail=detail,
            decided_at_s=base.decided_at_s + step, zone="tray", reason="", confidence=0.9,
        )  # fmt: skip
        return replace(make_event(number * 10 + step, lane_id), event_id=f"{bill_id}-{step}", decision=decision)

    return [
        event(1, DecisionKind.BILL_OPEN),
        event(2, DecisionKind.LINE_ADD, "soup", 1.0, line_no=1),
        event(3, DecisionKind.LINE_ADD, "bread", 2.0, line_no=2),
        event(4, DecisionKind.LINE_REVISE, "soup", 1.0, line_no=2),
        event(5, DecisionKind.LINE_REMOVE, "soup", 1.0, line_no=1),
        event(6, DecisionKind.BILL_CLOSE, lines=1, total=1.0),
    ]


@pytest.fixture
def broker(tmp_path):
    running = Broker(tmp_path)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path}/lane.db")
    yield opened
    opened.close()


@pytest.fixture
def receiver(broker):
    listening = Receiver(broker.port)
    yield listening
    listening.close()


@pytest.fixture
def publish(store, broker):
    running = []

    def start(lanes=None, **changes) -> MqttPublisher:
        settings = MqttSettings(host="127.0.0.1", port=broker.port, stats_s=1, timeout_s=3, **changes)
        outbox = Outbox(store, SystemClock())
        lanes = lanes or {lane_id: FakeLane() for lane_id in LANES}
        appliance = Appliance(
            "canteen 1",
            lanes,
            lambda: {lane_id: health(lane_id) for lane_id in lanes},
            lambda: MENU,
            lambda bill_id: store.events(bill_id=bill_id),
            outbox.latest_of_bills,
        )
        publisher = MqttPublisher(settings, outbox, appliance, SystemClock())
        publisher.start()
        running.append(publisher)
        return publisher

    yield start
    for publisher in running:
        assert publisher.stop(10)


def wait_until(true, timeout_s: float, what: str) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline_s, f"{what} did not happen in {timeout_s} s"
        time.sleep(0.02)


def test_a_bill_is_told_as_new_updates_and_end(publish, receiver, store):
    publisher = publish()
    wait_until(lambda: publisher.health().connected, 10, "a connection")
    store.append(bill_events("lane1", 1), [])
    publisher.wake()
    receiver.wait(lambda: len(receiver.events["lane1"]) == 6, 10, "the bill")
    told = receiver.events["lane1"]
    assert [one["type"] for one in told] == ["new", "update", "update", "update", "update", "end"]
    assert told[0]["before"] is None
    for earlier, later in itertools.pairwise(told):
        assert later["before"] == earlier["after"]
        assert later["previous_seq"] == earlier["seq"]
    assert [line["dish"] for line in told[2]["after"]["lines"]] == ["soup", "bread"]
    assert told[5]["after"]["total"] == 1.0
    assert told[1]["evidence_url"] == "/api/v1/bills/lane1-bill-1/evidence"
    receiver.wait(lambda: len(receiver.till["lane1"]) == 7, 5, "the till's events")
    till = [(one["event"], one.get("product_id")) for one in receiver.till["lane1"]]
    assert till == [
        ("basket-open", None),
        ("scanned-item", "soup"),
        ("scanned-item", "bread"),
        ("removed-item", "bread"),
        ("scanned-item", "soup"),
        ("removed-item", "soup"),
        ("basket-close", None),
    ]
    scanned = receiver.till["lane1"][1]
    assert {"lane_id", "basket_id", "product_id", "product_name", "quantity", "unit_price", "event_time"} <= set(
        scanned
    )
    wait_until(lambda: publisher.health().said == 6, 5, "the count")
    receiver.wait(lambda: json.loads(receiver.retained["traylane/lane1/bill"])["closed_at"] is not None, 5, "the bill")


def test_a_broker_that_dies_and_a_publisher_that_begins_again_lose_and_double_nothing(publish, receiver, store, broker):
    publisher = publish()
    wait_until(lambda: publisher.health().connected, 10, "a connection")
    first = {lane_id: bill_events(lane_id, 0) for lane_id in LANES}
    for lane_id in LANES:
        store.append(first[lane_id], [])
    receiver.wait(lambda: all(len(receiver.events[lane_id]) == 6 for lane_id in LANES), 10, "the first bills")
    expected = {lane_id: [one.event_id for one in first[lane_id]] for lane_id in LANES}
    stop = threading.Event()

    def sell() -> None:
        for number in range(1, 60):
            for lane_id in LANES:
                for one in bill_events(lane_id, number):
                    store.append([one], [])
                    expected[lane_id].append(one.event_id)
            stop.wait(0.02)

    selling = threading.Thread(target=sell)
    selling.start()
    for _ in range(3):
        time.sleep(0.5)
        broker.kill()
        time.sleep(0.1)
        broker.start()
    publisher.stop()
    again = publish()
    selling.join()
    receiver.wait(
        lambda: all(len(receiver.events[lane_id]) == len(expected[lane_id]) for lane_id in LANES), 60, "everything"
    )
    for lane_id in LANES:
        assert [one["event_id"] for one in receiver.events[lane_id]] == expected[lane_id]
    assert again.health().connections >= 1


def test_a_receiver_that_missed_something_asks_for_it(publish, store, broker):
    publisher = publish()
    wait_until(lambda: publisher.health().connected, 10, "a connection")
    late = Receiver(broker.port, name="late")
    late.wait(lambda: "traylane/available" in late.retained, 5, "a subscription")
    store.append(bill_events("lane1", 1), [])
    late.wait(lambda: len(late.events["lane1"]) == 6, 10, "the first bill")
    late._last["lane1"] = late.events["lane1"][1]["seq"]  # as if the broker had lost what came after the second
    del late.events["lane1"][2:]
    late._seen = {one["event_id"] for one in late.events["lane1"]}
    store.append(bill_events("lane1", 2), [])
    late.wait(lambda: len(late.events["lane1"]) == 12, 15, "all of both bills")
    assert late.asked >= 1
    told = [one["event_id"] for one in late.events["lane1"]]
    assert told == [one.event_id for number in (1, 2) for one in bill_events("lane1", number)]
    late.close()


def test_the_will_says_that_the_appliance_is_gone(broker, tmp_path, receiver):
    script = f"""
import sys, time
from checkout.mqtt_settings import MqttSettings
from core.clock import SystemClock
from fleet.mqtt import Appliance, MqttPublisher
from store.engine import open_store
from store.outbox import Outbox
from tests.appliance import appliance, demo
from tests.fakes import menu
store = open_store("sqlite:///{tmp_path}/w.db")
outbox = Outbox(store, SystemClock())
settings = MqttSettings(host="127.0.0.1", port={broker.port})
site = Appliance("s", {{}}, dict, lambda: menu("soup"), lambda b: [], outbox.latest_of_bills)
MqttPublisher(settings, outbox, site, SystemClock()).start()
time.sleep(60)
"""
    child = subprocess.Popen([sys.executable, "-c", script])
    try:
        receiver.wait(lambda: receiver.retained.get("traylane/available") == "online", 60, "online")
    finally:
        child.kill()
        child.wait()
    receiver.wait(lambda: receiver.retained["traylane/available"] == "offline", 30, "offline")


def test_detection_is_switched_by_topic_and_its_state_is_retained(publish, receiver):
    lanes = {"lane1": FakeLane()}
    publish(lanes)
    receiver.wait(lambda: receiver.retained.get("traylane/lane1/detect/state") == "ON", 10, "the state")
    receiver.send("traylane/lane1/detect/set", "off")
    receiver.wait(lambda: receiver.retained["traylane/lane1/detect/state"] == "OFF", 5, "off")
    assert not lanes["lane1"].deciding
    receiver.send("traylane/lane1/detect/set", "perhaps")
    receiver.send("traylane/nobody/detect/set", "ON")
    receiver.send("traylane/lane1/events/resend", "[]")
    receiver.send("traylane/lane1/detect/set", "ON")
    receiver.wait(lambda: receiver.retained["traylane/lane1/detect/state"] == "ON", 5, "on again")
    status = json.loads(receiver.retained["traylane/lane1/status"])
    assert status["state"] == "running"
    assert "cam" in status["source"]
    receiver.wait(lambda: "traylane/stats" in receiver.retained, 5, "figures")
    assert json.loads(receiver.retained["traylane/stats"])["lanes"]["lane1"]["fps"] == 20.0


def test_home_assistant_is_told_only_when_asked_for(publish, receiver, broker):
    publish(home_assistant=True, discovery_prefix="traylane/ha")
    topic = "traylane/ha/switch/traylane_canteen_1_lane1/detect/config"
    receiver.wait(lambda: topic in receiver.retained, 10, "the switch")
    config = json.loads(receiver.retained[topic])
    assert config["command_topic"] == "traylane/lane1/detect/set"
    assert config["availability_topic"] == "traylane/available"


def test_a_broker_that_refuses_is_named_and_the_password_is_not(tmp_path, store):
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "bob", "right"], check=True, capture_output=True)
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Broker(folder, passwords)
    broker.start()
    outbox = Outbox(store, SystemClock())
    site = Appliance("s", {}, dict, lambda: MENU, lambda bill_id: [], outbox.latest_of_bills)
    settings = MqttSettings(host="127.0.0.1", port=broker.port, user="bob", password="s3cr3t-pa55")  # noqa: S106
    publisher = MqttPublisher(settings, outbox, site, SystemClock())
    publisher.start()
    try:
        wait_until(lambda: "refuses" in publisher.health().why, 10, "a refusal")
        assert "s3cr3t-pa55" not in publisher.health().why + repr(settings)
    finally:
        assert publisher.stop(10)
        broker.stop()


def test_no_broker_at_all_is_said_and_waited_for(publish, store, broker, receiver):
    publisher = publish()
    wait_until(lambda: publisher.health().connected, 10, "a connection")
    store.append(bill_events("lane1", 1), [])
    receiver.wait(lambda: len(receiver.events["lane1"]) == 6, 10, "the first bill")
    broker.kill()
    wait_until(lambda: "cannot reach the broker" in publisher.health().why, 10, "trouble")
    store.append(bill_events("lane1", 2), [])
    broker.start()
    receiver.wait(lambda: len(receiver.events["lane1"]) == 12, 60, "the second bill, late")


def test_a_running_appliance_tells_its_bills(broker, receiver, tmp_path):
    config = demo(mqtt={"host": "127.0.0.1", "port": broker.port})
    config["lanes"]["lane1"]["source"]["url"] = "synthetic://easy?seed=900900&fps=10&size=640x360"
    with appliance(tmp_path, config):
        receiver.wait(lambda: any(one["type"] == "end" for one in receiver.events["lane1"]), 120, "a closed bill")
        status = json.loads(receiver.retained["traylane/lane1/status"])
        assert status["state"] == "running"
    receiver.wait(lambda: receiver.retained["traylane/available"] == "offline", 10, "the goodbye")
