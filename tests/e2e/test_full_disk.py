"""A disk that is full or read-only: one clear line and the right code at the start, nothing lost in the middle."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.kill9 import Difference, Ledger, Setup, open_lane
from bench.truth_lane import Scene, film
from checkout.health import LaneHealth, LaneState
from checkout.pipeline import LaneUpdate
from store.engine import open_store
from tests.sites import needs_data, write_site

_ROOT = Path(__file__).parents[2]


def mount(*arguments: str) -> bool:
    try:
        return subprocess.run(["mount", *arguments], capture_output=True, timeout=20).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)):
        pytest.skip("mounting a small disk needs the rights of root")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True, timeout=20)


def fill(disk: Path) -> None:
    """Take the last byte of the disk."""
    with (disk / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while ballast.write(bytes(4096)):
            pass
    assert os.statvfs(disk).f_bavail == 0


@pytest.fixture(scope="module")
def scene() -> Scene:
    return film(seed=4, seconds=80.0, fps=10.0)


def play(setup: Setup, disk: Path | None = None) -> LaneHealth | None:
    """Run a lane to its end. With a disk: it is full from the second bill to the fifth. Returns the health then."""
    lane, spool, store = open_lane(setup)
    closed: list[str] = []
    troubled: list[LaneHealth] = []

    def watch(update: LaneUpdate) -> None:
        for bill in update.closed:
            closed.append(bill.bill_id)
            if disk is not None and len(closed) == 2:
                fill(disk)
            if disk is not None and len(closed) == 5:
                troubled.append(lane.health())
                (disk / "ballast").unlink()

    lane.subscribe(watch)
    lane.start()
    assert lane.drain(120)
    lane.stop()
    assert lane.health().state is LaneState.STOPPED
    assert spool.flush()
    spool.close()
    store.close()
    return troubled[0] if troubled else None


def test_a_lane_goes_on_over_a_full_disk(scene: Scene, small_disk: Path, tmp_path: Path) -> None:
    calm = Setup(scene, f"sqlite:///{tmp_path}/calm.db", tmp_path / "calm.spool")
    play(calm)
    truth = Ledger.of(calm.url)
    assert len(truth.bills) >= 6
    setup = Setup(scene, f"sqlite:///{small_disk}/lane.db", small_disk / "spool")
    troubled = play(setup, small_disk)
    assert troubled is not None
    assert troubled.spooled > 0
    assert troubled.state is LaneState.DEGRADED
    assert "the disk is full; free space" in troubled.why
    assert Difference.between(truth, Ledger.of(setup.url)) == Difference(0, 0, 0, 0, 0, 0)


def run_cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app", *arguments]
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=90)


@needs_data
@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_the_program_says_so_at_the_start(small_disk: Path, tmp_path: Path, trouble: str) -> None:
    url = f"sqlite:///{small_disk}/var/lane.db"
    if trouble == "full":
        fill(small_disk)
    else:
        assert mount("-o", "remount,ro", str(small_disk))
    done = run_cli("run", "--config", str(write_site(tmp_path, store=url)))
    errors = [line for line in done.stderr.splitlines() if line.startswith("traylane: error: ")]
    assert (done.returncode, len(errors)) == (4, 1), done.stderr
    assert str(small_disk) in errors[0]
    assert "Traceback" not in done.stderr
    if trouble == "full":
        (small_disk / "ballast").unlink()
        open_store(url).close()  # what was begun can be finished
