"""Programs that are told of events over HTTP: `fleet/webhooks.py` does it, by the Standard Webhooks specification."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from core.records import DecisionKind
from core.settings import Settings

_SHORTEST_SECRET_BYTES = 16


class WebhookSettings(Settings):
    """One receiver of events."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", description="Its name; how far it is is remembered under it"
    )
    url: str = Field(min_length=1, max_length=2000, description="Where events are sent, http:// or https://")
    secret: str = Field(
        description='Key of the signatures, as "${NAME}": whsec_ and base64, or any text of 16 characters or more'
    )
    kinds: tuple[DecisionKind, ...] | None = Field(default=None, description="Only events of these kinds; all if unset")
    lanes: list[str] | None = Field(default=None, description="Only events of these lanes; all if unset")
    from_start: bool = Field(
        default=False, description="A new receiver gets all events that are stored, not only those from now on"
    )
    allow_private: bool = Field(
        default=False, description="Allow addresses of this machine and of private networks (a till in the house)"
    )
    timeout_s: float = Field(default=10.0, gt=0, le=120, description="A request that takes longer has failed")
    refusals: int = Field(
        default=6, ge=1, le=100, description="An event that is refused (4xx) so often becomes a dead letter"
    )
    give_up_s: float = Field(
        default=86_400.0, ge=1, description="An event whose receiver is away for this long becomes a dead letter"
    )
    first_s: float = Field(default=1.0, gt=0, le=3600, description="Pause after the first failure")
    factor: float = Field(default=2.0, ge=1, le=10, description="Each further pause is this much longer")
    max_s: float = Field(default=300.0, gt=0, le=86_400, description="Longest pause")

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as err:
            raise ValueError(f"not an address: {err}") from err
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise ValueError("give http://HOST/PATH or https://HOST/PATH")
        if parts.username or parts.password:
            raise ValueError("no user and password in the address; receivers check the signature")
        return url

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, secret: str) -> str:
        try:
            key = key_of(secret)
        except binascii.Error as err:
            raise ValueError("what follows whsec_ is not base64") from err
        if len(key) < _SHORTEST_SECRET_BYTES:
            raise ValueError(f"the secret is shorter than {_SHORTEST_SECRET_BYTES} bytes; make a longer one")
        return secret


def key_of(secret: str) -> bytes:
    """Return the bytes that signatures are made with.

    >>> key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")[:4].hex(), key_of("plain text")
    ('31f290f6', b'plain text')
    """
    if secret.startswith("whsec_"):
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    return secret.encode("utf-8")
