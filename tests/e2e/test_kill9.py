"""A lane that is killed at any moment and started again gives the bills and events of an undisturbed run."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from bench.kill9 import LANE, Difference, Ledger, Setup, finish, kill_again_and_again, start
from bench.truth_lane import SIZE, Scene, film
from tests.media import make_clip
from tests.postgres import fresh_database, server_url, wait_for

_FPS = 10.0


@pytest.fixture(scope="module")
def scene() -> Scene:
    return film(seed=3, seconds=90.0, fps=_FPS)


@pytest.fixture(scope="module")
def calm(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """What an undisturbed run leaves."""
    folder = tmp_path_factory.mktemp("calm")
    setup = sqlite_in(folder, scene)
    finish(start(setup), 120)
    return Ledger.of(setup.url)


def sqlite_in(folder: Path, scene: Scene, clip: Path | None = None, fps: float | None = None) -> Setup:
    return Setup(scene, f"sqlite:///{folder}/lane.db", folder / "spool", clip, fps)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/lane.db"
        return
    with server_url() as server, fresh_database(server) as url:
        yield url


def test_the_scene_is_worth_it(scene: Scene, calm: Ledger) -> None:
    bills = len(calm.bills)
    assert abs(bills - len(scene.trays)) <= 2
    assert bills >= 6
    assert len(calm.events) >= 4 * bills
    assert calm.doubles == 0


def test_killed_at_random_moments(scene: Scene, calm: Ledger, store_url: str, tmp_path: Path) -> None:
    setup = Setup(scene, store_url, tmp_path / "spool")
    assert kill_again_and_again(setup, 8, 7) == 8
    assert Difference.between(calm, Ledger.of(store_url)) == Difference(0, 0, 0, 0, 0, 0)


def test_killed_while_a_file_is_decoded(scene: Scene, tmp_path: Path) -> None:
    """The way of recordings: seek, decode, and a lane that decides fewer frames than there are."""
    short, fps = replace(scene, frames=scene.frames[:450]), 0.7 * _FPS
    clip = make_clip(tmp_path / "lane.mp4", len(short.frames), _FPS, SIZE, gop=37, b_frames=2)
    (tmp_path / "calm").mkdir()
    calm, setup = sqlite_in(tmp_path / "calm", short, clip, fps), sqlite_in(tmp_path, short, clip, fps)
    finish(start(calm), 120)
    assert kill_again_and_again(setup, 4, 5) == 4
    truth = Ledger.of(calm.url)
    assert len(truth.bills) >= 3
    assert Difference.between(truth, Ledger.of(setup.url)) == Difference(0, 0, 0, 0, 0, 0)


def die_at(moment: str, number: int) -> Callable[[], None]:
    """Return a plan: kill this very process at the `number`-th commit, just before or just after it."""

    def plan() -> None:
        seen = [0]

        def count(*_: object) -> None:
            seen[0] += 1
            if seen[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)

        event.listen(Engine, {"before": "commit", "after": "checkin"}[moment], count)

    return plan


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_a_commit(scene: Scene, calm: Ledger, tmp_path: Path, moment: str) -> None:
    setup = sqlite_in(tmp_path, scene)
    for number in (1, 2, 4, 11):
        child = start(setup, die_at(moment, number))
        child.join(60)
        assert child.exitcode == -signal.SIGKILL
    finish(start(setup), 60)
    assert Difference.between(calm, Ledger.of(setup.url)) == Difference(0, 0, 0, 0, 0, 0)


def test_killed_while_the_store_is_away(
    scene: Scene, calm: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.engine.BUSY_TIMEOUT_S", 0.2)  # the child is forked and so has it too
    setup = sqlite_in(tmp_path, scene)
    database, spool_file = tmp_path / "lane.db", setup.spool_file
    child = start(setup)
    wait_for(spool_file.with_name("spool.lock").exists)  # the store is open by then
    holder = sqlite3.connect(database, isolation_level=None, timeout=10)
    holder.execute("BEGIN IMMEDIATE")
    wait_for(lambda: spool_file.exists() and spool_file.stat().st_size > 5_000)
    os.kill(child.pid or 0, signal.SIGKILL)
    child.join()
    holder.execute("ROLLBACK")
    holder.close()
    waiting = spool_file.read_bytes().count(b"\n")
    assert waiting >= 3
    finish(start(setup), 60)
    assert not spool_file.exists()
    assert Difference.between(calm, Ledger.of(setup.url)) == Difference(0, 0, 0, 0, 0, 0)


def test_a_difference_is_seen(calm: Ledger) -> None:
    first, *others = calm.bills
    fewer = Ledger({key: calm.bills[key] for key in others}, calm.events, 0)
    changed = Ledger({**calm.bills, first: "{}"}, calm.events, 1)
    assert Difference.between(calm, fewer) == Difference(1, 0, 0, 0, 0, 0)
    assert Difference.between(calm, changed) == Difference(0, 1, 1, 0, 0, 0)
    assert LANE in calm.bills[first]
