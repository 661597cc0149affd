"""An event as other programs get it: the same fields over the API, in the live stream and by webhooks."""

from __future__ import annotations

import json

from core.clock import utc_text
from store.store import StoredEvent


def event_content(stored: StoredEvent) -> dict[str, object]:
    """Return an event as JSON-able values."""
    event, decision = stored.event, stored.event.decision
    return {
        "seq": stored.seq,
        "event_id": event.event_id,
        "lane_id": event.lane_id,
        "kind": str(decision.kind),
        "at": utc_text(decision.decided_at_s),
        "bill_id": decision.bill_id,
        "revision": decision.revision,
        "track_id": decision.track_id,
        "dish": decision.dish,
        "price": decision.price,
        "confidence": decision.confidence,
        "zone": decision.zone,
        "reason": decision.reason,
        "detail": dict(decision.detail),
        "model": event.model,
        "config_sha256": event.config_sha256,
    }


def event_text(stored: StoredEvent) -> str:
    """Return an event as JSON text."""
    return json.dumps(event_content(stored), ensure_ascii=False, separators=(",", ":"))
