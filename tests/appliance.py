"""A real `traylane run` as a child process, for tests of the whole product."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    """Return a TCP port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Running:
    """A running appliance: where it answers, and its process."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def get(self, path: str) -> Any:
        """Return the JSON of a GET."""
        with urllib.request.urlopen(self.url + path, timeout=5) as response:
            return json.load(response)

    def wait_for(self, told: Callable[[dict[str, Any]], Any], lane: str, timeout_s: float, what: str) -> Any:
        """Poll a lane's state until `told` returns something true."""
        deadline_s = time.monotonic() + timeout_s
        state: dict[str, Any] = {}
        while time.monotonic() < deadline_s:
            assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.log.read_text()[-2000:]}"
            try:
                state = self.get(f"/api/v1/lanes/{lane}")
            except OSError:
                time.sleep(0.1)
                continue
            value = told(state)
            if value:
                return value
            time.sleep(0.1)
        raise AssertionError(f"{what} did not happen in {timeout_s} s: {state}\n{self.log.read_text()[-2000:]}")


@contextmanager
def appliance(
    folder: Path, config: dict[str, Any], first: Sequence[str] = (), more: Sequence[str] = (), port: int = 0
) -> Iterator[Running]:
    """Run `traylane run` with `config` (store and port are set here) until the block ends; it must stop when asked.

    Args:
        folder: for the store, the evidence, the log.
        config: of the site.
        first: words before the verb, such as `--log-level debug`.
        more: words after it.
        port: of the pages; a free one by default.
    """
    port = port or free_port()
    config = {
        **config,
        "menu": {"store": str(folder / "menu"), **config.get("menu", {})},
        "store": {"url": f"sqlite:///{folder}/t.db", "spool": str(folder / "spool")},
        "record": {"evidence": {"folder": str(folder / "evidence")}},
        "web": {**config.get("web", {}), "port": port},
    }
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump(config))
    log = folder / "log.txt"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", *first, "run", "--config", str(path), *more],
            cwd=ROOT,
            stdout=out,
            stderr=out,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        try:
            yield Running(f"http://127.0.0.1:{port}", process, log)
            killed = process.poll() == -signal.SIGKILL  # by the test, on purpose
            assert killed or process.poll() is None, log.read_text()[-2000:]
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                    raise
    assert process.returncode == (-signal.SIGKILL if killed else 0), log.read_text()[-2000:]


def demo(**changes: Any) -> dict[str, Any]:
    """Return the shipped demo configuration as plain values, its menu by absolute path."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "configs" / "demo.yaml").read_text())
    config["menu"] = {"file": str(ROOT / "configs" / "menu.yaml")}
    return {**config, **changes}
