"""`python -m bench.kill9`: an hour of trays, killed with SIGKILL at 50 random moments; no bill may be lost or doubled.

A child process runs a whole lane (source, buffer, pipeline, spool, store) over a scene of `bench.truth_lane`. The
parent kills it, starts it again, and at the end compares the closed bills and the events with those of an undisturbed
run: not only as many, but equal in id, times, lines and totals.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from bench.results_file import row, write_results
from bench.truth_lane import Scene, TruthSource, film, make_truth_menu, make_truth_pipeline
from checkout.lane import Lane
from core.clock import SystemClock
from store.engine import open_store
from store.rows import bill_row, event_row, line_rows
from store.spool import Spool
from store.sql_store import SqlStore
from streams.factory import make_source
from streams.source import Source, SourceSettings

LANE = "lane1"
_EVERYTHING = 10_000_000


@dataclass(frozen=True)
class Setup:
    """What a run is made of.

    Attributes:
        scene: what happens.
        url: of the store.
        spool_file: of the lane.
        clip: a recording whose frames are those of the scene, to go through the decoder too; None plays the scene.
        fps: the lane's limit of decided frames per second.
        position: number of the frame that the lane is at, shared with the parent.
    """

    scene: Scene
    url: str
    spool_file: Path
    clip: Path | None = None
    fps: float | None = None
    position: Any = field(default_factory=lambda: multiprocessing.get_context("fork").RawValue("l", 0))

    def note(self, index: int) -> None:
        """Tell the parent where the lane is."""
        self.position.value = index


def open_lane(setup: Setup) -> tuple[Lane, Spool, SqlStore]:
    """Return the lane of a setup, not started, with what it writes to."""
    scene, clock = setup.scene, SystemClock()
    store = open_store(setup.url, clock)
    spool = Spool(store, setup.spool_file, clock)
    source: Source = TruthSource(scene, LANE, clock)
    if setup.clip is not None:
        source = make_source(SourceSettings(url=str(setup.clip)), LANE, clock)
    pipeline = make_truth_pipeline(scene, LANE, clock, setup.note)
    return Lane(source, pipeline, spool, make_truth_menu(), clock, fps=setup.fps), spool, store


def run_lane(setup: Setup, before: Callable[[], None] | None = None) -> None:
    """Run the lane from where it was to the end of the scene; this is what gets killed.

    Args:
        setup: scene and store.
        before: called when the process has begun, for tests that plan a death.
    """
    if before is not None:
        before()
    lane, spool, store = open_lane(setup)
    lane.start()
    lane.drain()
    lane.stop()
    failure = lane.health().why
    spool.close()
    store.close()
    if failure:
        sys.exit(f"the lane failed: {failure}")


def start(setup: Setup, before: Callable[[], None] | None = None) -> BaseProcess:
    """Start the lane in a process of its own. Forked, so that the scene need not be made again."""
    child = multiprocessing.get_context("fork").Process(target=run_lane, args=(setup, before))
    child.start()
    return child


def finish(child: BaseProcess, timeout_s: float) -> None:
    """Wait for the end of a run; raises RuntimeError when it does not end well."""
    child.join(timeout_s)
    if child.exitcode != 0:
        alive = child.is_alive()
        if alive:
            child.kill()
            child.join()
        raise RuntimeError("the lane did not end in time" if alive else f"the lane ended with code {child.exitcode}")


def kill_again_and_again(setup: Setup, kills: int, seed: int) -> int:
    """Kill the lane at `kills` random moments of the scene, then let it finish. Returns how often it was killed.

    The moments are positions in the scene, so that a busy machine does not change them, and then up to 20 ms: between
    frames, in the middle of a transaction. One in five comes while the lane is starting.
    """
    chance = random.Random(seed)
    targets = sorted(chance.randrange(len(setup.scene.frames)) for _ in range(kills))
    killed = 0
    for target in targets:
        child = start(setup)
        if chance.random() < 0.2:
            child.join(chance.uniform(0.0, 0.3))
        while child.is_alive() and setup.position.value < target:
            child.join(0.002)
        child.join(chance.uniform(0.0, 0.02))
        if child.is_alive():
            os.kill(child.pid or 0, signal.SIGKILL)
            killed += 1
        child.join()
    finish(start(setup), _timeout_s(setup.scene))
    return killed


def _timeout_s(scene: Scene) -> float:
    return 60 + 0.1 * len(scene.frames)


@dataclass(frozen=True)
class Ledger:
    """What a run left in its store: bills by id and events by id, as JSON."""

    bills: dict[str, str]
    events: dict[str, str]
    doubles: int

    @staticmethod
    def of(url: str) -> Ledger:
        """Read the closed bills and all events of a store."""
        store = open_store(url)
        bills, events = store.bills(closed=True, limit=_EVERYTHING), store.events(limit=_EVERYTHING)
        store.close()
        opened = {(bill.lane_id, bill.opened_s) for bill in bills}
        return Ledger(
            {bill.bill_id: json.dumps([bill_row(bill), line_rows(bill)]) for bill in bills},
            {stored.event.event_id: json.dumps(event_row(stored.event)) for stored in events},
            doubles=len(bills) - len(opened),
        )


@dataclass(frozen=True)
class Difference:
    """How a disturbed run differs from an undisturbed one; all zero is the promise."""

    lost_bills: int
    extra_bills: int
    changed_bills: int
    lost_events: int
    extra_events: int
    changed_events: int

    @staticmethod
    def between(truth: Ledger, found: Ledger) -> Difference:
        """Compare two ledgers."""
        bills, events = _differences(truth.bills, found.bills), _differences(truth.events, found.events)
        return Difference(bills[0], bills[1] + found.doubles, bills[2], *events)

    @property
    def total(self) -> int:
        """All differences together."""
        bills = self.lost_bills + self.extra_bills + self.changed_bills
        return bills + self.lost_events + self.extra_events + self.changed_events


def _differences(truth: dict[str, str], found: dict[str, str]) -> tuple[int, int, int]:
    common = truth.keys() & found.keys()
    return len(truth) - len(common), len(found) - len(common), sum(truth[key] != found[key] for key in common)


def main() -> int:
    """Run the bench; exit code 1 when a bill or an event differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0, help="length of the scene")
    parser.add_argument("--fps", type=float, default=10.0)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--postgres", metavar="URL", help="an empty PostgreSQL database for a second round")
    args = parser.parse_args()
    scene = film(args.seed, args.seconds, fps=args.fps)
    rows = [row("trays", len(scene.trays), "trays"), row("scene", scene.duration_s, "s")]
    worst = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        calm = Setup(scene, f"sqlite:///{folder}/calm.db", folder / "calm.spool")
        finish(start(calm), _timeout_s(scene))
        truth = Ledger.of(calm.url)
        rows.append(row("bills", len(truth.bills), "bills"))
        urls = {"sqlite": f"sqlite:///{folder}/killed.db"} | ({"postgresql": args.postgres} if args.postgres else {})
        for engine, url in urls.items():
            setup = Setup(scene, url, folder / f"{engine}.spool")
            killed = kill_again_and_again(setup, args.kills, args.seed)
            difference = Difference.between(truth, Ledger.of(url))
            worst = max(worst, difference.total, args.kills - killed)
            rows.append(row(f"{engine}_kills", killed, "kills"))
            for key, value in vars(difference).items():
                rows.append(row(f"{engine}_{key}", value, key.partition("_")[2], reference=0, better="lower"))
    write_results("kill9", rows)
    return 1 if worst else 0


if __name__ == "__main__":
    sys.exit(main())
