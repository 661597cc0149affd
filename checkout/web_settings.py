"""Settings of the pages: where they are served, who must log in, and which proxy may log people in."""

from __future__ import annotations

import ipaddress
from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from core.settings import Settings

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_SECRET_LETTERS = 16


class ProxySettings(Settings):
    """A reverse proxy that logs people in (single sign-on) and tells their name in a header."""

    trusted: tuple[str, ...] = Field(
        default=(), description="Addresses or networks of the proxy, such as 127.0.0.1 or 10.0.0.0/24; none: no proxy"
    )
    header: str = Field(
        default="X-Remote-User", pattern=r"^[A-Za-z][A-Za-z0-9-]*$", description="Header in which it sends the name"
    )
    secret_header: str = Field(
        default="X-Traylane-Proxy-Secret",
        pattern=r"^[A-Za-z][A-Za-z0-9-]*$",
        description="Header in which it sends the shared secret",
    )
    secret: SecretStr = Field(
        default=SecretStr(""),
        description="What proves the proxy, as ${ENV}, 16 letters at least; without it nobody is logged in by header",
    )
    unknown_people: Literal["refuse", "make"] = Field(
        default="refuse", description="What happens to a name that is not among the people"
    )
    role: Literal["guest-display", "cashier", "operator", "annotator", "reviewer", "auditor"] = Field(
        default="cashier", description="The role of people who are made so; an admin gives more"
    )

    @field_validator("trusted")
    @classmethod
    def _are_networks(cls, trusted: tuple[str, ...]) -> tuple[str, ...]:
        for given in trusted:
            try:
                ipaddress.ip_network(given)
            except ValueError as err:
                raise ValueError(f"{given!r} is not an address or network; give 10.0.0.5 or 10.0.0.0/24") from err
        return trusted

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr) -> SecretStr:
        if 0 < len(secret.get_secret_value()) < _SECRET_LETTERS:
            raise ValueError(f"the secret is too short; give {_SECRET_LETTERS} letters at least")
        return secret


class AccountSettings(Settings):
    """Who must log in, and for how long that holds."""

    required: Literal["auto", "always"] = Field(
        default="auto",
        description="auto: everybody logs in, but not on a loopback address or trusted_network; always: there, too",
    )
    idle_h: float = Field(default=12, gt=0, le=168, description="A log-in ends when it is not used for so long (hours)")
    longest_h: float = Field(default=168, gt=0, le=2160, description="A log-in ends after so many hours in any case")
    display_days: float = Field(
        default=90, gt=0, le=400, description="A log-in of a guest display alone lasts so long, used or not (days)"
    )
    proxy: ProxySettings = Field(default=ProxySettings(), description="Single sign-on by a reverse proxy")


class WebSettings(Settings):
    """Where the pages are served, and who may see them."""

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on; beyond loopback (0.0.0.0 for all) everybody must log in",
    )
    port: int = Field(default=8080, ge=0, le=65535, description="TCP port; 0 takes any free one")
    trusted_network: bool = Field(
        default=False,
        description="Nobody logs in though host is not loopback: in a container whose port is published on loopback",
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=(), description="Names under which people open the pages, beside its addresses and own host name"
    )
    accounts: AccountSettings = Field(default=AccountSettings(), description="Who must log in")

    @property
    def log_in_required(self) -> bool:
        """Whether people must log in."""
        return self.accounts.required == "always" or not (self.host in LOOPBACK or self.trusted_network)

    @model_validator(mode="after")
    def _one_of_two(self) -> WebSettings:
        if self.trusted_network and self.accounts.required == "always":
            raise ValueError("trusted_network means that nobody logs in, accounts.required: always that all do")
        return self
