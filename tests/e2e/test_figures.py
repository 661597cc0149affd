"""A site that runs stores its minutes, and the one that is not over when it is told to stop."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tests.postgres import free_port

ROOT = Path(__file__).parents[2]
CONFIG = """
site: {{name: canteen-7, timezone: Europe/Berlin}}
store: {{url: "sqlite:///{folder}/lane.db", spool: "{folder}/spool"}}
web: {{port: {port}}}
models: {{registry: "{folder}/models"}}
menu: {{file: {root}/configs/menu.yaml}}
lanes:
  lane1:
    source: {{url: "synthetic://medium?seed=1&fps=10&size=320x180&trays=0"}}
"""


def test_sigterm_stores_the_minute_that_is_not_over_and_the_dimensions(tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "lane.yaml"
    config.write_text(CONFIG.format(folder=tmp_path, port=port, root=ROOT))
    command = [sys.executable, "-m", "app", "run", "--config", str(config)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE) as site:
        try:
            give_up_s = time.monotonic() + 120
            while not ready(port):
                assert site.poll() is None, site.stderr.read().decode() if site.stderr else ""
                assert time.monotonic() < give_up_s, "no lane became ready"
                time.sleep(0.2)
            time.sleep(2)
            site.send_signal(signal.SIGTERM)
            assert site.wait(60) == 0
        finally:
            if site.poll() is None:
                site.kill()
    with sqlite3.connect(tmp_path / "lane.db") as connection:
        frames, watched_s, up_s = connection.execute(
            "SELECT SUM(frames), SUM(watched_s), SUM(up_s) FROM lane_minutes WHERE lane_id = 'lane1'"
        ).fetchone()
        [counted] = connection.execute("SELECT SUM(frames) FROM lane_minute_latency").fetchone()
        place = connection.execute("SELECT DISTINCT site, lane FROM v_uptime").fetchall()
        [dishes] = connection.execute("SELECT COUNT(*) FROM dishes WHERE on_menu = 1").fetchone()
        [free_bytes] = connection.execute("SELECT MIN(storage_free_bytes) FROM site_minutes").fetchone()
    connection.close()
    assert frames == counted > 0
    assert 0 < up_s <= watched_s
    assert place == [("canteen-7", "lane1")]
    assert dishes > 30
    assert free_bytes > 0


def ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readiness", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
