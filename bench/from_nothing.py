"""How long a new user waits: clone, `make run`, first marked-up frame; size of the edge environment; warm start.

Run from a clean checkout: `.venv/bin/python -m bench.from_nothing`. Clones HEAD into an empty folder, so commit first.
The port of configs/demo.yaml must be free.
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from bench.mjpeg import pictures
from bench.results_file import row, write_results

HOST, PORT = "127.0.0.1", 8080
WAIT_S = 600.0


def first_frame_s(command: list[str], folder: Path) -> float:
    """Start `command` in `folder` and return the seconds until its first marked-up frame; then stop it."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as log:
        environment = {k: v for k, v in os.environ.items() if k not in {"VIRTUAL_ENV", "PYTHONPATH"}}
        child = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            while time.monotonic() - started < WAIT_S:
                if child.poll() is not None:
                    log.seek(0)
                    raise RuntimeError(f"{command} ended with {child.returncode}: {log.read()[-2000:].decode()}")
                try:
                    for _, captured_at_s, jpeg in pictures(HOST, PORT, "/lanes/lane1/video.mjpg", timeout_s=5):
                        # The dark picture that stands in for a frame has no capture time.
                        if jpeg[:2] == b"\xff\xd8" and captured_at_s > 0:
                            return time.monotonic() - started
                except OSError:
                    pass
                time.sleep(0.05)
            raise RuntimeError(f"no frame within {WAIT_S} s")
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGTERM)
                child.wait(timeout=30)


def main() -> None:
    """Measure and write bench/results/from_nothing.json."""
    repository = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory(prefix="traylane-fresh-") as name:
        folder = Path(name) / "traylane"
        subprocess.run(["git", "clone", "-q", str(repository), str(folder)], check=True)
        cold_s = first_frame_s(["make", "run"], folder)
        size = sum(p.lstat().st_size for p in (folder / ".venv").rglob("*") if p.is_file() and not p.is_symlink())
        shutil.rmtree(folder / "var", ignore_errors=True)
        warm = [first_frame_s([".venv/bin/traylane", "run", "--config", "configs/demo.yaml"], folder) for _ in range(5)]
    write_results(
        "from_nothing",
        [
            row("make_run_first_frame", cold_s, "s", 60, "lower"),
            row("edge_environment", size / 1e9, "GB", 1.2, "lower"),
            row("warm_start_median", statistics.median(warm), "s", 3, "lower"),
        ],
    )


if __name__ == "__main__":
    main()
