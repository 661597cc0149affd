"""A camera's lane that is started again goes on with the open bill: none is lost, none is written twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from bench.truth_lane import Scene, film, make_truth_pipeline
from core.clock import ManualClock
from core.records import Bill
from store.engine import open_store
from store.sql_store import SqlStore
from tests.fakes import START_UTC, frame

_FPS = 10.0
_DOWN_S = 2.0


@pytest.fixture(scope="module")
def scene() -> Scene:
    return film(seed=5, seconds=42.0, fps=_FPS)


def play(scene: Scene, store: SqlStore, first: int, last: int, session: str) -> None:
    """Run one process of a live lane over the frames `first` to `last`, as `Lane` does, and end it without a word."""
    pipeline = make_truth_pipeline(replace(scene, key=session), "lane1", ManualClock())
    left = store.open_bill("lane1")
    if left is not None:
        pipeline.restore(left)
    for index in range(first, last):
        # A new session has a time line of its own; only UTC goes on.
        began = START_UTC + first / _FPS
        update = pipeline.step(frame(index, (index - first) / _FPS, start_utc=began))
        if update.events or (update.bill is not None and index % 10 == 0):
            bills = (*update.closed, update.bill) if update.bill is not None else update.closed
            store.append(update.events, bills)


def dishes(bills: list[Bill]) -> Counter[tuple[str, ...]]:
    return Counter(tuple(sorted(line.dish for line in bill.lines)) for bill in bills if bill.closed_s is not None)


def test_restarts_while_trays_stand(scene: Scene, tmp_path: Path) -> None:
    end = len(scene.frames)
    calm = open_store(f"sqlite:///{tmp_path}/calm.db")
    play(scene, calm, 0, end, "session-0")
    truth = dishes(calm.bills())
    assert truth.total() >= 3
    standing = [tray for tray in scene.trays if tray.t_out_s - tray.t_in_s > 6]
    assert len(standing) >= 3
    for number, tray in enumerate(standing[:3]):
        store = open_store(f"sqlite:///{tmp_path}/{number}.db")
        died = int((tray.t_in_s + 2.5) * _FPS)
        play(scene, store, 0, died, "session-0")
        left = store.open_bill("lane1")
        assert left is not None
        play(scene, store, died + int(_DOWN_S * _FPS), end, "session-1")
        again = next(bill for bill in store.bills() if bill.bill_id == left.bill_id)
        assert again.closed_s is not None
        assert dishes(store.bills()) == truth, f"died on tray {tray.tray_id}"
        store.close()
    calm.close()
