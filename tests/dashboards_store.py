"""Stores with the sample's days, for tests of the views and of the dashboards."""

from __future__ import annotations

from checkout.menu import load_menu
from dashboards.sample import MENU, fill
from store.engine import open_store

#: Wednesday 2026-11-25 14:20 in Berlin.
NOW_S = 1_795_612_800.0
ZONE = "Europe/Berlin"


def fill_store(url: str, days: int, pace: float, now_s: float = NOW_S) -> int:
    """Fill a new store at `url`; return its number of bills."""
    store = open_store(url)
    try:
        return fill(store, load_menu(MENU), days, now_s, seed=3, timezone=ZONE, pace=pace)
    finally:
        store.close()
