"""What is said to the broker, and under which topic. Pure: events and states in, topics and JSON out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from checkout.health import LaneHealth
from checkout.menu import Menu
from core.clock import utc_text
from core.records import DecisionKind
from fleet.ledger import BillState, LineState
from store.store import StoredEvent

SCHEMA = 1
ONLINE, OFFLINE = "online", "offline"
Plain = float | int | str | bool | None
Json = Plain | Mapping[str, "Json"] | list["Json"]


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to publish."""

    topic: str
    payload: str
    retain: bool = False
    qos: int = 1


class Topics:
    """The topics below one prefix.

    >>> Topics("traylane").events("lane1")
    'traylane/lane1/events'
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.available = f"{prefix}/available"
        self.stats = f"{prefix}/stats"
        self.commands = (f"{prefix}/+/detect/set", f"{prefix}/+/events/resend")

    def events(self, lane_id: str) -> str:
        """Changes of bills: new, update, end."""
        return f"{self.prefix}/{lane_id}/events"

    def bill(self, lane_id: str) -> str:
        """The lane's latest bill, retained."""
        return f"{self.prefix}/{lane_id}/bill"

    def till(self, lane_id: str) -> str:
        """The same changes as a till reads them."""
        return f"{self.prefix}/{lane_id}/till"

    def status(self, lane_id: str) -> str:
        """How the lane does, retained."""
        return f"{self.prefix}/{lane_id}/status"

    def detect_state(self, lane_id: str) -> str:
        """ON while the lane decides frames, retained."""
        return f"{self.prefix}/{lane_id}/detect/state"

    def command(self, topic: str) -> tuple[str, str] | None:
        """Return the lane and the command (`detect/set`, `events/resend`) of a topic; None for another topic."""
        if not topic.startswith(self.prefix + "/"):
            return None
        lane_id, _, command = topic[len(self.prefix) + 1 :].partition("/")
        return (lane_id, command) if command in ("detect/set", "events/resend") else None


def messages_for(
    stored: StoredEvent,
    before: BillState | None,
    now: BillState | None,
    previous_seq: int,
    newest: bool,
    topics: Topics,
    menu: Menu,
) -> list[Message]:
    """Return what is said about one event, in the order in which it is to arrive; nothing for an event of no bill.

    Args:
        stored: the event.
        before: its bill before it.
        now: its bill after it.
        previous_seq: of the event of this lane that was said before: a receiver that does not know it missed some.
        newest: whether the lane has no later bill: a correction of an old one must not take the latest one's place.
        topics: where.
        menu: for titles, currency and article numbers.
    """
    event, decision = stored.event, stored.event.decision
    if now is None:
        return []
    kind = {DecisionKind.BILL_OPEN: "new", DecisionKind.BILL_CLOSE: "end"}.get(decision.kind, "update")
    change: dict[str, Json] = {
        "type": kind,
        "schema": SCHEMA,
        "event_id": event.event_id,
        "seq": stored.seq,
        "previous_seq": previous_seq,
        "lane_id": event.lane_id,
        "bill_id": decision.bill_id,
        "kind": str(decision.kind),
        "decided_at": utc_text(decision.decided_at_s),
        "reason": decision.reason,
        "confidence": decision.confidence,
        "track_id": decision.track_id,
        "dish": decision.dish or None,
        "detail": dict(decision.detail),
        "model": event.model,
        "config_sha256": event.config_sha256,
        "evidence_url": evidence_url(decision.bill_id),
        "before": None if before is None else _bill(before, menu),
        "after": _bill(now, menu),
    }
    said = [Message(topics.events(event.lane_id), _json(change))]
    said += [Message(topics.till(event.lane_id), _json(one)) for one in till_events(stored, before, now, menu)]
    if newest:
        said.append(Message(topics.bill(event.lane_id), _json(_bill(now, menu)), retain=True))
    return said


def till_events(stored: StoredEvent, before: BillState | None, now: BillState, menu: Menu) -> list[dict[str, Json]]:
    """Return an event as a till reads it, in the shape of Intel's RTSF: basket-open, scanned-item, basket-close.

    RTSF knows no way to take an item back; `removed-item` has the same fields. A line that turns out to be another dish
    is removed and scanned.
    """
    event, decision = stored.event, stored.event.decision
    head: dict[str, Json] = {
        "lane_id": event.lane_id,
        "basket_id": decision.bill_id,
        "event_time": utc_text(decision.decided_at_s),
        "revision": decision.revision,
        "event_id": event.event_id,
    }
    if decision.kind is DecisionKind.BILL_OPEN:
        return [{"event": "basket-open", **head}]
    if decision.kind is DecisionKind.BILL_CLOSE:
        total: dict[str, Json] = {"total": now.total, "currency": menu.currency, "items": len(now.lines)}
        return [{"event": "basket-close", **head, **total}]
    was = {line.line_no: line for line in before.lines} if before is not None else {}
    has = {line.line_no: line for line in now.lines}
    told: list[dict[str, Json]] = []
    for number in sorted(was.keys() | has.keys()):
        old, new = was.get(number), has.get(number)
        if old is not None and new is not None and (old.dish, old.unit_price) == (new.dish, new.unit_price):
            continue
        if old is not None:
            told.append({"event": "removed-item", **head, **_item(old, menu, decision.bill_id)})
        if new is not None:
            told.append({"event": "scanned-item", **head, **_item(new, menu, decision.bill_id)})
    return told


def status_message(health: LaneHealth, topics: Topics) -> Message:
    """Return how a lane does; what is unknown is null."""
    state: dict[str, Json] = {
        "lane_id": health.lane_id,
        "state": str(health.state),
        "why": health.why,
        "source": health.shown_url,
        "live": health.live,
        "reconnects": health.reconnects,
        "gaps": health.gaps,
        "bills": health.bills,
        "asks": health.asks,
        "spooled": health.spooled,
    }
    return Message(topics.status(health.lane_id), _json(state), retain=True)


def stats_message(healths: Mapping[str, LaneHealth], utc_s: float, outbox_depth: int | None, topics: Topics) -> Message:
    """Return the figures of all lanes; not retained, since old figures are no figures."""
    lanes: dict[str, Json] = {}
    for lane_id, health in healths.items():
        latency = health.latency
        lanes[lane_id] = {
            "fps": None if health.fps is None else round(health.fps, 2),
            "decided_frames": health.decided_frames,
            "dropped": dict(sorted(health.dropped.items())),
            "latency_ms": None
            if latency is None
            else {name: round(1000 * getattr(latency, name), 1) for name in ("p50", "p95", "p99")},
        }
    return Message(topics.stats, _json({"at": utc_text(utc_s), "outbox_depth": outbox_depth, "lanes": lanes}), qos=0)


def evidence_url(bill_id: str) -> str:
    """Return where the evidence of a bill is served, relative to the appliance."""
    return f"/api/v1/bills/{bill_id}/evidence"


def _bill(state: BillState, menu: Menu) -> dict[str, Json]:
    return {
        "bill_id": state.bill_id,
        "lane_id": state.lane_id,
        "revision": state.revision,
        "opened_at": utc_text(state.opened_at_s),
        "closed_at": None if state.closed_at_s is None else utc_text(state.closed_at_s),
        "currency": menu.currency,
        "total": state.total,
        "lines": [
            {
                "line_no": line.line_no,
                "track_id": line.track_id,
                "dish": line.dish,
                "title": _title(line.dish, menu),
                "unit_price": line.unit_price,
                "confidence": line.confidence,
            }
            for line in state.lines
        ],
    }


def _item(line: LineState, menu: Menu, bill_id: str) -> dict[str, Json]:
    return {
        "product_id": (menu[line.dish].plu or line.dish) if line.dish in menu else line.dish,
        "product_name": _title(line.dish, menu),
        "quantity": 1,
        "unit_price": line.unit_price,
        "line_no": line.line_no,
        "confidence": line.confidence,
        "track_id": line.track_id,
        "evidence_url": evidence_url(bill_id),
    }


def _title(dish: str, menu: Menu) -> str:
    return menu[dish].title if dish in menu else dish


def _json(value: Mapping[str, Json]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
