"""A receiver as the documentation asks for one: takes each event once, sees what is missing, and asks for it."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


class Receiver:
    """Subscribes with a session that outlives connections; reconnects by itself.

    Attributes:
        events: per lane, the events in the order in which they were first seen.
        repeats: how often an event came again.
        asked: how often something was missing and was asked for.
        retained: latest payload by topic, of everything that is not an event.
        connected: whether it ever was.
        count: events seen, over all lanes.
    """

    def __init__(self, port: int, prefix: str = "traylane", name: str = "receiver") -> None:
        self.events: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.till: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.repeats = self.asked = 0
        self.retained: dict[str, str] = {}
        self.connected = False
        self.count = 0
        self._prefix, self._seen = prefix, set[str]()
        self._last: dict[str, int] = {}
        self._asked_s: dict[str, float] = {}
        self._till_seen: set[str] = set()
        self._changed = threading.Condition()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_connect, self._client.on_message = self._on_connect, self._on_message
        self._client.reconnect_delay_set(1, 1)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 3600
        self._client.connect_async("127.0.0.1", port, 10, clean_start=False, properties=properties)
        self._client.loop_start()

    def _on_connect(self, client: paho.Client, _: object, flags: paho.ConnectFlags, *__: object) -> None:
        client.subscribe(f"{self._prefix}/#", qos=1)
        with self._changed:
            self.connected = True
            self._changed.notify_all()
        if not flags.session_present:
            # The broker does not know us any more: what it had for us is gone.
            with self._changed:
                for lane_id, last in self._last.items():
                    self._ask(client, lane_id, last)

    def _on_message(self, client: paho.Client, _: object, message: paho.MQTTMessage) -> None:
        with self._changed:
            text = message.payload.decode()
            if message.topic.endswith("/events"):
                self._take(client, json.loads(text))
            elif message.topic.endswith("/till"):
                self._take_till(text)
            else:
                self.retained[message.topic] = text
            self._changed.notify_all()

    def _take(self, client: paho.Client, event: dict[str, Any]) -> None:
        lane_id = event["lane_id"]
        if event["event_id"] in self._seen:
            self.repeats += 1
            return
        last = self._last.get(lane_id)
        if last is not None and event["previous_seq"] != last:
            # Something between is missing: the broker lost what it had taken. Not again while an answer is on its way.
            if time.monotonic() - self._asked_s.get(lane_id, -9.0) > 1.0:
                self._ask(client, lane_id, last)
            return
        self._seen.add(event["event_id"])
        self._last[lane_id] = event["seq"]
        self.events[lane_id].append(event)
        self.count += 1

    def _ask(self, client: paho.Client, lane_id: str, last: int) -> None:
        self._asked_s[lane_id] = time.monotonic()
        self.asked += 1
        client.publish(f"{self._prefix}/{lane_id}/events/resend", json.dumps({"after": last}), qos=1)

    def _take_till(self, text: str) -> None:
        if text not in self._till_seen:
            self._till_seen.add(text)
            told = json.loads(text)
            self.till[told["lane_id"]].append(told)

    def wait(self, ready: Any, timeout_s: float, what: str) -> None:
        """Wait until `ready()` is true."""
        with self._changed:
            assert self._changed.wait_for(ready, timeout_s), f"{what} did not come in {timeout_s} s"

    def send(self, topic: str, payload: str) -> None:
        """Publish, and wait until the broker has it."""
        self._client.publish(topic, payload, qos=1).wait_for_publish(5)

    def close(self) -> None:
        """Go away; the broker keeps the session."""
        self._client.disconnect()
        self._client.loop_stop()
