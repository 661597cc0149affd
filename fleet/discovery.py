"""Announces lanes to Home Assistant by its MQTT discovery; only where the configuration asks for it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from fleet.messages import OFFLINE, ONLINE, Message, Topics


def announcements(site: str, lane_ids: Sequence[str], topics: Topics, prefix: str) -> list[Message]:
    """Return one retained message per entity: stream, state, bills, latest total, and a switch for detection."""
    said = []
    for lane_id in lane_ids:
        node = _slug(f"traylane_{site}_{lane_id}")
        device = {
            "identifiers": [node],
            "name": f"{site} {lane_id}",
            "manufacturer": "Traylane",
            "model": "checkout lane",
        }
        status, bill = topics.status(lane_id), topics.bill(lane_id)
        entities: list[tuple[str, str, dict[str, str]]] = [
            (
                "binary_sensor",
                "stream",
                {
                    "name": "Stream",
                    "device_class": "connectivity",
                    "state_topic": status,
                    "value_template": "{{ 'ON' if value_json.state in ('running', 'degraded') else 'OFF' }}",
                },
            ),
            ("sensor", "state", {"name": "State", "state_topic": status, "value_template": "{{ value_json.state }}"}),
            (
                "sensor",
                "bills",
                {
                    "name": "Bills",
                    "state_topic": status,
                    "value_template": "{{ value_json.bills }}",
                    "state_class": "total_increasing",
                },
            ),
            (
                "sensor",
                "total",
                {
                    "name": "Latest bill",
                    "device_class": "monetary",
                    "state_topic": bill,
                    "value_template": "{{ value_json.total }}",
                    "json_attributes_topic": bill,
                },
            ),
            (
                "switch",
                "detect",
                {
                    "name": "Detection",
                    "state_topic": topics.detect_state(lane_id),
                    "command_topic": f"{topics.prefix}/{lane_id}/detect/set",
                },
            ),
        ]
        for component, name, config in entities:
            shared = {
                "unique_id": f"{node}_{name}",
                "availability_topic": topics.available,
                "payload_available": ONLINE,
                "payload_not_available": OFFLINE,
                "device": device,
            }
            payload = json.dumps({**config, **shared}, ensure_ascii=False)
            said.append(Message(f"{prefix}/{component}/{node}/{name}/config", payload, retain=True))
    return said


def _slug(text: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", text).lower()
