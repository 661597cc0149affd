"""Says what lanes decided to an MQTT 5 broker: each event at least once, and each lane's in its order.

The source is the journal in the store, with a cursor per lane (`store/outbox.py`). An event counts as said when the
broker has acknowledged all its messages (QoS 1); only then does the cursor go on, so a process that is killed, a
broker that goes away and a network that breaks say an event again rather than never. A receiver that takes each
`event_id` once sees each event once, in order; one whose broker lost what it had acknowledged sees that
`previous_seq` is not what it had last, and asks for the rest at `PREFIX/LANE/events/resend`.

Each connection has a client of its own: what was in flight when one broke is forgotten by the client and read from the
journal again, so that there is one truth about what was said.
"""

from __future__ import annotations

import json
import logging
import re
import ssl
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from checkout.health import LaneHealth
from checkout.menu import Menu
from checkout.mqtt_settings import MqttSettings
from core.clock import Clock
from core.errors import StoreError
from fleet.discovery import announcements
from fleet.ledger import Ledger
from fleet.messages import OFFLINE, ONLINE, Message, Topics, messages_for, stats_message, status_message
from store.outbox import Cursor, Outbox
from store.store import StoredEvent

_LOG = logging.getLogger(__name__)

CONSUMER = "mqtt"
#: Messages that may be without acknowledgement: enough to hide a round trip, few enough to read again.
WINDOW = 400
_BATCH = 100
#: How long a look for news and acknowledgements waits at most.
_TICK_S = 0.05
#: How long the journal is left alone when nobody said that there is something new.
_POLL_S = 0.5
#: Settled events are written down at most so often while more are on their way: a crash says as many again.
_WRITE_S = 0.25
_STATUS_S = 1.0
#: How often the outbox is told what all consumers are done with.
_PEERS_S = 5.0
_FIRST_WAIT_S, _MOST_WAIT_S = 0.5, 30.0


class ControlledLane(Protocol):
    """What a broker's users may do to a lane."""

    def set_deciding(self, on: bool) -> None:
        """Let the lane decide frames, or leave them out."""
        ...

    @property
    def deciding(self) -> bool:
        """Whether frames are decided."""
        ...


@dataclass(frozen=True)
class Appliance:
    """What the publisher knows of the site.

    Attributes:
        site: its name.
        lanes: by id.
        healths: returns how each lane does.
        menu: returns the menu in force.
        events_of: returns all events of a bill.
        latest_before: returns, of the events of a lane that belong to bills, the number of the last one up to a number;
            0 if there is none.
    """

    site: str
    lanes: Mapping[str, ControlledLane]
    healths: Callable[[], Mapping[str, LaneHealth]]
    menu: Callable[[], Menu]
    events_of: Callable[[str], Sequence[StoredEvent]]
    latest_before: Callable[[str, int], int]


@dataclass(frozen=True, slots=True)
class PublisherHealth:
    """How the publisher does.

    Attributes:
        why: what is wrong; "" while connected.
        said: events that the broker acknowledged, since the start.
        connections: how often a connection was made.
    """

    connected: bool
    why: str
    said: int
    connections: int


class ConnectionLost(OSError):
    """The broker cannot be reached, refuses, or went away."""


@dataclass(slots=True)
class _OnItsWay:
    """An event whose messages are not all acknowledged."""

    seq: int
    mids: set[int]
    is_event: bool


@dataclass(slots=True)
class _LaneFeed:
    """How far one lane is.

    Attributes:
        cursor: as it is written down.
        read_seq: read and on its way.
        settled_seq: acknowledged, though perhaps not written down yet.
        settled: how many events that is, beyond the cursor.
        previous_seq: of the event of a bill that was said last.
        on_its_way: what is not acknowledged, oldest first.
        newest_opened_s: when the latest bill opened.
    """

    cursor: Cursor
    read_seq: int
    settled_seq: int
    previous_seq: int
    settled: int = 0
    on_its_way: deque[_OnItsWay] = field(default_factory=deque)
    newest_opened_s: float = float("-inf")


class MqttPublisher:
    """Publishes until it is stopped; `run` is the body of its thread.

    Args:
        settings: of the broker.
        outbox: of the store.
        appliance: what it tells about.
        clock: both clocks.
        peers: all consumers of this appliance: an event is settled when every one of them is done with it.
    """

    def __init__(
        self,
        settings: MqttSettings,
        outbox: Outbox,
        appliance: Appliance,
        clock: Clock,
        peers: Sequence[str] = (CONSUMER,),
    ) -> None:
        self._peers = tuple(peers)
        self._settings, self._outbox, self._appliance, self._clock = settings, outbox, appliance, clock
        self._topics = Topics(settings.topic_prefix)
        self._stop, self._news = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._connected, self._why = False, "not connected yet"
        self._said = self._connections = 0

    def start(self) -> None:
        """Start publishing in a thread of its own; the broker needs not be there."""
        self._thread = threading.Thread(target=self.run, name="mqtt", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Say goodbye; return whether the thread ended in time."""
        self._stop.set()
        self._news.set()
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def wake(self) -> None:
        """Take note that there is something new in the journal."""
        self._news.set()

    def health(self) -> PublisherHealth:
        """Return how it does."""
        return PublisherHealth(self._connected, self._why, self._said, self._connections)

    def run(self) -> None:
        """Connect and publish, again and again, until stopped."""
        wait_s = _FIRST_WAIT_S
        while not self._stop.is_set():
            began_s = self._clock.monotonic_s()
            try:
                self._outbox.register(CONSUMER)
                _Session(self).run()
            except (OSError, StoreError) as err:
                self._trouble(str(err))
            if self._clock.monotonic_s() - began_s > _MOST_WAIT_S:
                wait_s = _FIRST_WAIT_S
            self._clock.wait(self._stop, wait_s)
            wait_s = min(wait_s * 2, _MOST_WAIT_S)

    def _trouble(self, why: str) -> None:
        self._connected = False
        if why != self._why:
            _LOG.warning("mqtt: %s; events wait in the store", why)
        self._why = why


class _Session:
    """One connection, from its beginning to its end."""

    def __init__(self, publisher: MqttPublisher) -> None:
        self._of, self._settings, self._topics = publisher, publisher._settings, publisher._topics
        self._appliance, self._clock, self._outbox = publisher._appliance, publisher._clock, publisher._outbox
        self._ledger = Ledger(self._appliance.events_of)
        self._feeds: dict[str, _LaneFeed] = {}
        self._unacknowledged: dict[int, float] = {}
        # Filled by the client's thread. No lock: the client calls back while it holds one that publishing wants.
        self._acknowledged: deque[int] = deque()
        self._commands: deque[tuple[str, str, bytes]] = deque()
        self._connected, self._lost = threading.Event(), threading.Event()
        self._why = ""
        self._shown: dict[str, str] = {}
        self._polled_s = self._status_s = self._stats_s = self._write_s = self._peers_s = float("-inf")
        self._client = self._make_client()

    def run(self) -> None:
        """Publish until stopped.

        Raises:
            ConnectionLost: the broker refused or went away.
            StoreError: the journal cannot be read.
        """
        self._connect()
        try:
            self._greet()
            while not self._of._stop.is_set():
                if self._lost.is_set():
                    raise ConnectionLost(self._why)
                self._step()
            self._farewell()
        finally:
            self._of._connected = False
            self._client.disconnect()
            self._client.loop_stop()

    # --- connecting ----------------------------------------------------------------------------------------------

    def _make_client(self) -> paho.Client:
        settings = self._settings
        name = settings.client_id or re.sub(r"\W+", "-", f"traylane-{self._appliance.site}")[:48]
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5, reconnect_on_failure=False
        )
        client.max_inflight_messages_set(WINDOW * 4)
        client.connect_timeout = settings.timeout_s
        if settings.user:
            client.username_pw_set(settings.user, settings.password.get_secret_value())
        if settings.tls:
            context = ssl.create_default_context(cafile=None if settings.ca_file is None else str(settings.ca_file))
            client.tls_set_context(context)
        client.will_set(self._topics.available, OFFLINE, qos=1, retain=True)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_publish, client.on_message = self._on_publish, self._on_message
        return client

    def _connect(self) -> None:
        settings = self._settings
        where = f"{settings.host}:{settings.port}"
        try:
            self._client.connect(settings.host, settings.port, settings.keepalive_s, clean_start=True)
        except (OSError, ValueError) as err:
            raise ConnectionLost(f"cannot reach the broker {where}: {err}") from err
        self._client.loop_start()
        waited = self._connected.wait(settings.timeout_s)
        if not waited or self._lost.is_set():
            self._client.loop_stop()
            raise ConnectionLost(self._why or f"the broker {where} does not answer within {settings.timeout_s:g} s")

    def _greet(self) -> None:
        self._send(Message(self._topics.available, ONLINE, retain=True))
        if self._settings.remote_control:
            for topic in self._topics.commands:
                self._client.subscribe(topic, qos=1)
        if self._settings.home_assistant:
            prefix = self._settings.discovery_prefix
            for message in announcements(self._appliance.site, sorted(self._appliance.lanes), self._topics, prefix):
                self._send(message)
        for lane_id, lane in self._appliance.lanes.items():
            self._tell_deciding(lane_id, lane)
        # Lanes that were taken out of the configuration may have left something to say.
        for cursor in self._outbox.cursors(CONSUMER):
            self._feed(cursor)
        for lane_id in self._appliance.lanes:
            if lane_id not in self._feeds:
                self._feed(self._outbox.cursor(CONSUMER, lane_id))
        self._of._connected, self._of._why = True, ""
        self._of._connections += 1
        _LOG.info("mqtt: connected to %s:%d", self._settings.host, self._settings.port)

    def _farewell(self) -> None:
        info = self._client.publish(self._topics.available, OFFLINE, qos=1, retain=True)
        try:
            info.wait_for_publish(min(self._settings.timeout_s, 2.0))
        except (RuntimeError, ValueError) as err:
            _LOG.info("mqtt: the broker was gone before the goodbye: %s", err)
        self._settle()

    # --- publishing ----------------------------------------------------------------------------------------------

    def _step(self) -> None:
        """Look for commands, news, acknowledgements and states, once."""
        while self._commands:
            self._obey(*self._commands.popleft())
        now_s = self._clock.monotonic_s()
        if self._of._news.is_set() or now_s - self._polled_s >= _POLL_S:
            self._of._news.clear()
            self._polled_s = now_s
            if self._read():
                self._of._news.set()
        self._settle()
        if now_s - self._status_s >= _STATUS_S:
            self._status_s = now_s
            self._tell_states()
        if now_s - self._stats_s >= self._settings.stats_s:
            self._stats_s = now_s
            depth = self._outbox.depth(CONSUMER)
            self._send(stats_message(self._appliance.healths(), self._clock.utc_s(), depth, self._topics))
        oldest_s = min(self._unacknowledged.values(), default=None)
        if oldest_s is not None and now_s - oldest_s > self._settings.timeout_s:
            raise ConnectionLost(f"no acknowledgement from the broker for {self._settings.timeout_s:g} s")
        if now_s - self._peers_s >= _PEERS_S:
            self._peers_s = now_s
            self._outbox.settle(self._of._peers)
        if self._unacknowledged:
            self._lost.wait(_TICK_S / 10)
        else:
            self._of._news.wait(_TICK_S)

    def _feed(self, cursor: Cursor) -> _LaneFeed:
        before = self._appliance.latest_before(cursor.lane_id, cursor.done_seq)
        feed = self._feeds[cursor.lane_id] = _LaneFeed(cursor, cursor.done_seq, cursor.done_seq, before)
        return feed

    def _read(self) -> bool:
        """Send what the journal has and the window allows; return whether there may be more."""
        more = False
        for feed in self._feeds.values():
            room = WINDOW - len(self._unacknowledged)
            if room <= 0:
                return True
            ahead = Cursor(feed.cursor.consumer, feed.cursor.lane_id, feed.read_seq)
            found, reached = self._outbox.waiting(ahead, None, min(_BATCH, max(room // 4, 1)))
            for stored in found:
                self._say(feed, stored)
            if reached > feed.read_seq:
                feed.read_seq = reached
                if not found or found[-1].seq < reached:
                    feed.on_its_way.append(_OnItsWay(reached, set(), False))
            more = more or bool(found)
        return more

    def _say(self, feed: _LaneFeed, stored: StoredEvent) -> None:
        before, now = self._ledger.take(stored)
        newest = False
        if now is not None:
            newest = now.opened_at_s >= feed.newest_opened_s
            feed.newest_opened_s = max(feed.newest_opened_s, now.opened_at_s)
        said = messages_for(stored, before, now, feed.previous_seq, newest, self._topics, self._appliance.menu())
        mids = {self._send(message) for message in said}
        feed.on_its_way.append(_OnItsWay(stored.seq, mids, bool(said)))
        if now is not None:
            feed.previous_seq = stored.seq
        feed.read_seq = stored.seq

    def _send(self, message: Message) -> int:
        """Hand a message to the client; return its number, which is acknowledged later."""
        info = self._client.publish(message.topic, message.payload.encode(), message.qos, message.retain)
        if info.rc not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN):
            raise ConnectionLost(f"cannot send to the broker: {paho.error_string(info.rc)}")
        if message.qos:
            # The answer may be here already: it is looked at in this thread, later.
            self._unacknowledged[info.mid] = self._clock.monotonic_s()
        return info.mid

    def _settle(self) -> None:
        """Move each lane's cursor over what is acknowledged, in order."""
        while self._acknowledged:
            self._unacknowledged.pop(self._acknowledged.popleft(), None)
        open_mids = self._unacknowledged.keys()
        now_s = self._clock.monotonic_s()
        settled: dict[str, tuple[int, int]] = {}
        for lane_id, feed in self._feeds.items():
            seq, count = feed.settled_seq, 0
            while feed.on_its_way and feed.on_its_way[0].mids.isdisjoint(open_mids):
                first = feed.on_its_way.popleft()
                seq, count = first.seq, count + first.is_event
            feed.settled_seq, feed.settled = max(feed.settled_seq, seq), feed.settled + count
            if feed.settled_seq > feed.cursor.done_seq and (now_s >= self._write_s or not feed.on_its_way):
                settled[lane_id] = feed.settled_seq, feed.settled
                feed.settled = 0
        if settled:
            self._write_s = now_s + _WRITE_S
        for lane_id, (seq, count) in settled.items():
            feed = self._feeds[lane_id]
            moved = self._outbox.advance(feed.cursor, seq, count)
            if moved is None:
                raise ConnectionLost(f"another process publishes lane {lane_id} to this broker; stop one of them")
            feed.cursor = moved
            self._of._said += count

    # --- states and commands -------------------------------------------------------------------------------------

    def _tell_states(self) -> None:
        for lane_id, health in self._appliance.healths().items():
            message = status_message(health, self._topics)
            if self._shown.get(lane_id) != message.payload:
                self._shown[lane_id] = message.payload
                self._send(message)

    def _tell_deciding(self, lane_id: str, lane: ControlledLane) -> None:
        self._send(Message(self._topics.detect_state(lane_id), "ON" if lane.deciding else "OFF", retain=True))

    def _obey(self, lane_id: str, command: str, payload: bytes) -> None:
        text = payload.decode("utf-8", "replace").strip()
        if command == "detect/set":
            lane = self._appliance.lanes.get(lane_id)
            if lane is None or text.upper() not in ("ON", "OFF"):
                _LOG.warning("mqtt: %s/%s: %r is not understood; send ON or OFF to a lane", lane_id, command, text[:40])
                return
            lane.set_deciding(text.upper() == "ON")
            _LOG.info("mqtt: detection of lane %s set %s", lane_id, text.upper())
            self._tell_deciding(lane_id, lane)
            return
        feed, after_seq = self._feeds.get(lane_id), _after(text)
        if feed is None or after_seq is None or after_seq < 0:
            _LOG.warning('mqtt: %s/%s: %r is not understood; send {"after": SEQ}', lane_id, command, text[:40])
            return
        moved = self._outbox.advance(feed.cursor, min(after_seq, feed.cursor.done_seq), 0)
        if moved is None:
            raise ConnectionLost(f"another process publishes lane {lane_id} to this broker; stop one of them")
        # What is on its way arrives before what is said again; a receiver that takes each once is right either way.
        feed.on_its_way.clear()
        _LOG.info("mqtt: lane %s: events after %d are said again", lane_id, moved.done_seq)
        self._feed(moved)
        self._of._news.set()

    # --- what the client's own thread calls ----------------------------------------------------------------------

    def _on_connect(
        self, client: paho.Client, userdata: Any, flags: Any, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._why = f"the broker {self._settings.host}:{self._settings.port} refuses: {reason}"
            self._lost.set()
        self._connected.set()

    def _on_disconnect(
        self, client: paho.Client, userdata: Any, flags: Any, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self._why = self._why or f"lost the broker {self._settings.host}:{self._settings.port}: {reason}"
        self._lost.set()

    def _on_publish(
        self, client: paho.Client, userdata: Any, mid: int, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._why = f"the broker does not take a message: {reason}; check its rights for this user"
            self._lost.set()
            return
        self._acknowledged.append(mid)

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        command = self._topics.command(message.topic)
        if command is not None and not message.retain:
            self._commands.append((*command, bytes(message.payload)))


def _after(text: str) -> int | None:
    """Return the number in `{"after": 12}` or `12`; None for anything else."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if isinstance(value, dict):
        value = value.get("after")
    return value if type(value) is int else None
