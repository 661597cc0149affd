"""One try to hand one event to one receiver: signed, with a time limit for all of it, no redirects."""

from __future__ import annotations

import enum
import http.client
import socket
import ssl
import threading
from dataclasses import dataclass
from urllib.parse import urlsplit

from checkout.webhook_settings import WebhookSettings, key_of
from core.redact import redact_text
from fleet.addresses import AddressRefused, judged_addresses
from fleet.signing import sign

_REPLY_BYTES = 64 * 1024


class Verdict(enum.StrEnum):
    """`TAKEN` 2xx; `REFUSED` the receiver does not want this event; `AWAY` it may want it later."""

    TAKEN = "taken"
    REFUSED = "refused"
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a try went: `why` for people, and how long to wait if the receiver said so (`Retry-After`)."""

    verdict: Verdict
    why: str = ""
    retry_after_s: float | None = None


def deliver(settings: WebhookSettings, message_id: str, body: bytes, now_s: float) -> Outcome:
    """Send a body; never raises for what a network or a receiver can do.

    Args:
        settings: of the receiver.
        message_id: the event's id: the same at each try.
        body: JSON.
        now_s: UTC epoch seconds, for the signature.
    """
    timestamp_s = int(now_s)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "traylane-webhooks/1",
        "Host": urlsplit(settings.url).netloc,
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": sign(key_of(settings.secret), message_id, timestamp_s, body),
    }
    try:
        return _post(settings, headers, body)
    except AddressRefused as err:
        return Outcome(Verdict.AWAY, str(err))
    except (OSError, http.client.HTTPException) as err:
        said = redact_text(" ".join(str(err).split()))[:300]
        return Outcome(Verdict.AWAY, f"{type(err).__name__}: {said}" if said else type(err).__name__)


def _post(settings: WebhookSettings, headers: dict[str, str], body: bytes) -> Outcome:
    parts = urlsplit(settings.url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    raw = _connect(judged_addresses(host, port, settings.allow_private), settings.timeout_s)
    # Time-outs of a socket are per step; who sends a byte now and then must not hold us: cut it off from outside.
    line = [raw]
    watchdog = threading.Timer(settings.timeout_s, _cut, (line,))
    watchdog.daemon = True
    watchdog.start()
    try:
        if secure:
            context = ssl.create_default_context()
            line[0] = context.wrap_socket(raw, server_hostname=host, do_handshake_on_connect=False)
            line[0].do_handshake()  # type: ignore[attr-defined]
        connection = http.client.HTTPConnection(host, port, timeout=settings.timeout_s)
        connection.sock = line[0]
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            response.read(_REPLY_BYTES)
            return _judge(response.status, response.reason, response.headers.get("Retry-After"))
        finally:
            connection.close()
    finally:
        watchdog.cancel()
        line[0].close()


def _connect(addresses: list[tuple[int, tuple[str, int]]], timeout_s: float) -> socket.socket:
    """Return a connection to the first address that answers. Raises OSError of the last one."""
    for number, (family, place) in enumerate(addresses, start=1):
        candidate = socket.socket(family, socket.SOCK_STREAM)
        candidate.settimeout(timeout_s)
        try:
            candidate.connect(place)
            return candidate
        except OSError:
            candidate.close()
            if number == len(addresses):
                raise
    raise OSError("no address")


def _cut(line: list[socket.socket]) -> None:
    """End a connection that takes too long: what it is at this moment, TLS or not."""
    try:
        line[0].shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is over already


def _judge(status: int, reason: str, retry_after: str | None) -> Outcome:
    """Return what an answer means.

    >>> _judge(204, "No Content", None).verdict, _judge(410, "Gone", None).verdict, _judge(429, "", "7").retry_after_s
    (<Verdict.TAKEN: 'taken'>, <Verdict.REFUSED: 'refused'>, 7.0)
    """
    if 200 <= status < 300:
        return Outcome(Verdict.TAKEN)
    why = f"answered {status} {reason}".strip()[:200]
    if status in (408, 425, 429) or status >= 500:
        wait_s = float(retry_after) if retry_after is not None and retry_after.isdecimal() else None
        return Outcome(Verdict.AWAY, why, wait_s)
    return Outcome(Verdict.REFUSED, f"{why}; a redirect is not followed" if status < 400 else why)
