"""A bench that is killed takes its worker processes with it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import os, time
from bench.workers import worker_pool
with worker_pool(2) as pool:
    first = [pool.submit(os.getpid) for _ in range(2)]
    print(*{future.result() for future in first}, flush=True)
    for future in [pool.submit(time.sleep, 300) for _ in range(4)]:
        future.result()
"""


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended and was not collected yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143)])
def test_workers_end_with_their_bench(number, code):
    bench = subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        workers = [int(pid) for pid in bench.stdout.readline().split()]
        assert workers
        assert all(map(is_alive, workers))
        os.kill(bench.pid, number)
        assert bench.wait(20) == code
        give_up_s = time.monotonic() + 20
        while any(map(is_alive, workers)):
            assert time.monotonic() < give_up_s, f"{workers} are left"
            time.sleep(0.05)
    finally:
        bench.kill()
        bench.wait()
        bench.stdout.close()
