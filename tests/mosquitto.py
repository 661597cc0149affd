"""A real MQTT broker for tests: on loopback, on a port of its own, and it can be killed and come back."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.appliance import free_port

_PATH = shutil.which("mosquitto") or ("/usr/sbin/mosquitto" if Path("/usr/sbin/mosquitto").exists() else None)
needs_broker = pytest.mark.skipif(_PATH is None, reason="mosquitto is not installed (apt-get install mosquitto)")


class Broker:
    """One mosquitto; what it acknowledged may be lost when it is killed, as with any broker that does not sync.

    Args:
        folder: for its configuration, its log and what it keeps.
        password_file: made by mosquitto_passwd; anybody may come if None.
    """

    def __init__(self, folder: Path, password_file: Path | None = None) -> None:
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        lines = [
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {'false' if password_file else 'true'}",
            "persistence true",
            f"persistence_location {folder}/",
            "autosave_interval 1",
            "max_queued_messages 0",
            "max_inflight_messages 0",
            "set_tcp_nodelay true",
            "user root",
        ]
        if password_file is not None:
            lines.append(f"password_file {password_file}")
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")

    def start(self, timeout_s: float = 10.0) -> None:
        """Start it, or start it again on the same port with what it kept."""
        log = (self._folder / "mosquitto.log").open("ab")
        self._process = subprocess.Popen(
            [str(_PATH), "-c", str(self._folder / "mosquitto.conf")], stdout=log, stderr=subprocess.STDOUT
        )
        log.close()
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.5).close()
            except OSError:
                assert self._process.poll() is None, (self._folder / "mosquitto.log").read_text()[-2000:]
                time.sleep(0.02)
            else:
                return
        raise AssertionError("mosquitto does not listen")

    def kill(self) -> None:
        """End it at once, like a power cut."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def stop(self) -> None:
        """End it in order: it writes down what it has."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(10)
