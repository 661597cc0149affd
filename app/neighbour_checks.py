"""What `traylane doctor` looks at beyond this machine: broker, webhooks, dashboards.

None of them keeps lanes from running, so what is wrong there is a warning: events wait until it is better.
"""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from app.checks import Finding, Level, ok
from core.errors import TraylaneError
from core.redact import redact_text, redact_url

if TYPE_CHECKING:
    from checkout.config import DashboardsSettings
    from checkout.mqtt_settings import MqttSettings
    from checkout.webhook_settings import WebhookSettings

_LONGEST_S = 5.0


def check_broker(settings: MqttSettings) -> Finding:
    """Log in at the broker, as somebody else than the appliance that may run, and leave."""
    import ssl

    import paho.mqtt.client as paho
    from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

    where = f"{settings.host}:{settings.port}"
    answered, answers = threading.Event(), []

    def on_connect(_client: object, _userdata: object, _flags: object, reason: Any, _properties: object) -> None:
        answers.append(reason)
        answered.set()

    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5, reconnect_on_failure=False)
    client.on_connect = on_connect
    wait_s = client.connect_timeout = min(settings.timeout_s, _LONGEST_S)
    if settings.user:
        client.username_pw_set(settings.user, settings.password.get_secret_value())
    try:
        if settings.tls:
            client.tls_set_context(ssl.create_default_context(cafile=settings.ca_file))
        client.connect(settings.host, settings.port)
    except (OSError, ValueError) as err:
        return _warning("mqtt", f"cannot reach the broker {where}: {err}; events wait until it is there")
    client.loop_start()
    try:
        if not answered.wait(wait_s):
            return _warning("mqtt", f"the broker {where} does not answer within {wait_s:g} s; is it an MQTT 5 broker?")
    finally:
        client.disconnect()
        client.loop_stop()
    if answers[0].is_failure:
        return _warning("mqtt", f"the broker {where} refuses: {answers[0]}; check mqtt.user and mqtt.password")
    return ok("mqtt", f"the broker {where} lets us in")


def check_webhook(settings: WebhookSettings) -> Finding:
    """Look whether a receiver may be connected to, and can be; nothing is sent."""
    from fleet.addresses import judged_addresses

    topic, parts = f"webhook {settings.name}", urlsplit(settings.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        addresses = judged_addresses(parts.hostname or "", port, settings.allow_private)
        family, place = addresses[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(min(settings.timeout_s, _LONGEST_S))
            probe.connect(place)
    except (TraylaneError, OSError) as err:
        return _warning(topic, f"{redact_url(settings.url)}: {err}; events wait until it is there")
    return ok(topic, f"{redact_url(settings.url)}: can be connected to")


def check_dashboards(settings: DashboardsSettings) -> Finding:
    """Look whether the dashboards answer, and whether a viewer's pass can be signed."""
    import urllib.request

    if not settings.secret_file.is_file():
        return _warning("dashboards", f"{settings.secret_file}: no such file; `dashboards/dash.py up` makes it")
    try:
        address = f"{settings.url}/health"
        with urllib.request.urlopen(address, timeout=_LONGEST_S) as answer:  # noqa: S310 - http(s), the settings say so
            status = answer.status
    except (OSError, ValueError) as err:
        return _warning("dashboards", f"{settings.url}: {err}; start them with `dashboards/dash.py up`")
    if status != 200:
        return _warning("dashboards", f"{settings.url}/health answers {status}; see the dashboards' log")
    return ok("dashboards", f"{settings.url} answers")


def _warning(topic: str, text: str) -> Finding:
    return Finding(Level.WARN, topic, redact_text(" ".join(text.split())))
