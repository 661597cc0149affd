"""Sites and people for the tests of accounts: real store, real argon2 (at its least cost), no lanes' threads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.accounts.accounts import Accounts, make_accounts
from app.accounts.passwords import Passwords
from app.accounts.person import Person, Via
from app.permissions import Action, Role
from app.site import Site
from checkout.lane import Lane
from checkout.pipeline import Pipeline
from checkout.policy import Policy
from checkout.settings import CheckoutSettings
from checkout.web_settings import WebSettings
from checkout.zones import WHOLE_FRAME, ZoneSettings, make_zones
from core.clock import Clock, SystemClock
from store.engine import open_store
from store.spool import Spool
from tests.fakes import FixedDetector, ScriptedSource, frames, menu
from tests.migrated import migrated
from tracker.settings import TrackerSettings
from tracker.tracker import MultiObjectTracker

LANES = ("lane1", "lane2")
PASSWORD = "seven green hats"  # noqa: S105
#: argon2id as in the product, at the least cost that the library takes.
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
TERMINAL = Person("", "test", frozenset(), frozenset(Action), None, via=Via.TERMINAL)
#: Everybody logs in.
OPEN = WebSettings(host="0.0.0.0")  # noqa: S104 - nothing listens


def accounts_of(site: Site, web: WebSettings = OPEN) -> Accounts:
    """Return accounts of a site, where everybody logs in by default."""
    return make_accounts(site.store.accounts(), web, Passwords(CHEAP))


def add_person(
    accounts: Accounts, name: str, *roles: Role, lanes: Iterable[str] | None = None, password: str = PASSWORD
) -> str:
    """Add a person who need not change the password first; return the id."""
    row = accounts.people.add(TERMINAL, name, roles, lanes, "made by an admin 1")
    person = accounts.by_session(accounts.sessions.start(row, "", ""), "")[0]
    accounts.people.change_own_password(person, "made by an admin 1", password, "")
    return row.person_id


class Browser:
    """A browser that keeps cookies and sends the form's token, as the pages do."""

    def __init__(self, app: Flask, address: str = "192.0.2.1", https: bool = False) -> None:
        self.client: FlaskClient = app.test_client()
        self.address, self.base = address, f"{'https' if https else 'http'}://localhost"

    def get(self, path: str, **options) -> TestResponse:
        """Load a page."""
        headers = {"Accept": "text/html", **options.pop("headers", {})}
        environ = {"REMOTE_ADDR": self.address}
        return self.client.get(path, headers=headers, base_url=self.base, environ_base=environ, **options)

    def token(self, path: str = "/login") -> str:
        """Return the form's token that a page holds."""
        page = self.get(path, follow_redirects=True).get_data(as_text=True)
        return re.search(r'name="csrf-token" content="([^"]+)"', page)[1]

    def post(self, path: str, form: dict | None = None, **options) -> TestResponse:
        """Send a form with its token."""
        form = {"csrf_token": options.pop("token", None) or self.token(), **(form or {})}
        headers = {"Accept": "text/html", **options.pop("headers", {})}
        environ = {"REMOTE_ADDR": self.address}
        return self.client.post(path, data=form, headers=headers, base_url=self.base, environ_base=environ, **options)

    def log_in(self, name: str, password: str = PASSWORD) -> TestResponse:
        """Send the log-in form."""
        return self.post("/login", {"name": name, "password": password})


@contextmanager
def still_site(
    folder: Path, clock: Clock | None = None, store_url: str | None = None, loopback_only: bool = False
) -> Iterator[Site]:
    """Give a site with two lanes that are built and not started."""
    clock = clock or SystemClock()
    known = menu("soup", "cup")
    zones = make_zones({"tray": ZoneSettings(polygon=WHOLE_FRAME)})
    store = open_store(store_url or migrated(folder / "t.db"), clock)
    spools, lanes = [], []
    for lane_id in LANES:
        pipeline = Pipeline(
            lane_id,
            "key",
            FixedDetector(("soup", "cup"), lambda _: []),
            lambda size: MultiObjectTracker(TrackerSettings(), ("soup", "cup"), size),
            lambda lane_id=lane_id: Policy(lane_id, "key", CheckoutSettings(), zones, known),
            clock,
        )
        source = ScriptedSource(frames(1))
        source.lane_id = lane_id
        spool = Spool(store, folder / f"{lane_id}.jsonl", clock, 1000)
        spools.append(spool)
        lanes.append(Lane(source, pipeline, spool, known, clock))
    pictures = dict.fromkeys(LANES, lambda update: np.zeros((8, 8, 3), np.uint8))
    site = Site("Test site", known, lanes, pictures, store, clock, folder, loopback_only=loopback_only)
    try:
        yield site
    finally:
        site.stop(1.0)
        for spool in spools:
            spool.close()
        store.close()
