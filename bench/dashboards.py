"""How long a new user waits for the dashboards, what they cost, and how fast they answer; pictures beside the figures.

`python -m bench.dashboards`: from nothing (no environment, no state) to the first answer of `/health`, on a store with
14 days of the sample; then a second start, the REST check of every chart, and the memory of the server. Ten minutes.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from bench.results_file import row, write_results
from tests.dashboards_store import fill_store
from tests.postgres import free_port

ROOT = Path(__file__).resolve().parent.parent


def timed(command: list[str]) -> tuple[float, float, str]:
    """Run a job; return wall seconds, CPU seconds of it and its children, and what it said."""
    before, started_s = psutil.Process().cpu_times(), time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800)
    after = psutil.Process().cpu_times()
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - started_s, cpu_s, done.stdout


def memory_mb(home: Path) -> float:
    """Return the resident memory of the server with its worker."""
    master = psutil.Process(int((home / "pid").read_text()))
    return sum(one.memory_info().rss for one in (master, *master.children(recursive=True))) / 1e6


def main() -> None:
    """Measure and write bench/results/dashboards.json."""
    with tempfile.TemporaryDirectory(prefix="traylane-dash-") as name:
        folder = Path(name)
        store = f"sqlite:///{folder}/lane.db"
        bills = fill_store(store, days=14, pace=1.0, now_s=time.time())
        job = [sys.executable, str(ROOT / "dashboards" / "dash.py")]
        where = ["--store", store, "--home", str(folder / "home"), "--venv", str(folder / "venv")]
        where += ["--url", f"http://127.0.0.1:{free_port()}", "--shot-port", str(free_port())]
        installed_s, installed_cpu_s, _ = timed([*job, "install", "--venv", str(folder / "venv")])
        first_s, first_cpu_s, _ = timed([*job, "up", *where])
        try:
            again_s, _, _ = timed([*job, "up", *where])
            check_s, _, said = timed([*job, "check", *where])
            used_mb = memory_mb(folder / "home")
        finally:
            timed([*job, "down", *where])
        charts_ms = sorted(int(found) for found in re.findall(r"rows +(\d+) ms", said))
        size = sum(path.lstat().st_size for path in (folder / "venv").rglob("*") if not path.is_symlink())
    rows = [
        row("from_nothing_to_dashboards", installed_s + first_s, "s", 120, better="lower"),
        row("of_it_install", installed_s, "s"),
        row("of_it_import_and_start", first_s, "s"),
        row("cpu_of_both", installed_cpu_s + first_cpu_s, "s"),
        row("start_again", again_s, "s"),
        row("check_all_charts", check_s, "s"),
        row("charts", len(charts_ms), ""),
        row("chart_answer_median", charts_ms[len(charts_ms) // 2], "ms"),
        row("chart_answer_slowest", charts_ms[-1], "ms"),
        row("environment", size / 1e9, "GB"),
        row("memory_of_the_server", used_mb, "MB"),
        row("bills_in_the_store", bills, ""),
    ]
    write_results("dashboards", rows)


if __name__ == "__main__":
    main()
