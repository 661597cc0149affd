"""Worker processes of a bench that end when the bench does, however it ends."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import types
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

_PR_SET_PDEATHSIG = 1  # of prctl(2)
_TERMINATED = 128 + signal.SIGTERM


@contextmanager
def worker_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Give a pool of spawned processes; on an error, Ctrl-C or SIGTERM they are ended at once, not waited for.

    When the bench itself is killed, Linux kills the workers. Call it in the main thread.
    """
    before = signal.signal(signal.SIGTERM, _leave)
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_end_with, initargs=(os.getpid(),)
    )
    try:
        yield pool
    except BaseException:
        for worker in multiprocessing.active_children():
            worker.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        signal.signal(signal.SIGTERM, before)


def _leave(number: int, frame: types.FrameType | None) -> None:
    """Turn SIGTERM into an exit that unwinds the stack."""
    raise SystemExit(_TERMINATED)


def _end_with(parent_pid: int) -> None:
    """Ask the kernel to kill this process when its parent is gone; it may be gone already."""
    # A worker is ended by its parent: it must not take the parent's way out.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent_pid:
            os._exit(1)
