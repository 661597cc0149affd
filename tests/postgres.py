"""A PostgreSQL database for tests: a given server, the loopback one, or one of our own; dropped afterwards.

`TRAYLANE_TEST_PG` names a server (`postgresql://user@host:port/database`) on which databases may be made.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

_LOOPBACK = ("postgresql://root@127.0.0.1:5432/postgres", "postgresql://postgres@127.0.0.1:5432/postgres")


def _reachable(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2, autocommit=True) as connection:
            row = connection.execute("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user")
            found = row.fetchone()
            return bool(found and found[0])
    except psycopg.OperationalError:
        return False


def free_port() -> int:
    """Return a TCP port of the loopback interface that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class OwnServer:
    """A throwaway PostgreSQL server on loopback that can be stopped and started again."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self._folder, self._binaries, self.port = folder, binaries, free_port()
        # initdb and postgres refuse to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            account = pwd.getpwnam(self._user)
            os.chown(folder, account.pw_uid, account.pw_gid)
        self._call("initdb", "-D", str(folder / "db"), "-A", "trust", "-U", "postgres", "--no-sync")

    @property
    def url(self) -> str:
        """The maintenance database of this server."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder} -c fsync=off"
        log = str(self._folder / "log")
        self._call("pg_ctl", "-D", str(self._folder / "db"), "-l", log, "-w", "-o", options, "start")

    def stop(self) -> None:
        """Stop it at once, as a crash would."""
        self._call("pg_ctl", "-D", str(self._folder / "db"), "-m", "immediate", "-w", "stop")

    def _call(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), *arguments]
        done = subprocess.run(
            command, user=self._user, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr.decode()}")


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


@contextmanager
def own_server() -> Iterator[OwnServer]:
    """Give a running server of our own; skip the test where PostgreSQL is not installed."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed here (no initdb)")
    folder = Path(tempfile.mkdtemp(prefix="traylane-pg-"))
    try:
        folder.chmod(0o700)
        server = OwnServer(folder, binaries)
        server.start()
        try:
            yield server
        finally:
            if (folder / "db" / "postmaster.pid").exists():
                server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def server_url() -> Iterator[str]:
    """Give the url of a server on which databases may be made."""
    given = os.environ.get("TRAYLANE_TEST_PG")
    if given:
        yield given
        return
    reachable = next((url for url in _LOOPBACK if _reachable(url)), None)
    if reachable is not None:
        yield reachable
        return
    with own_server() as server:
        yield server.url


@contextmanager
def fresh_database(server: str, template: str = "template1") -> Iterator[str]:
    """Give the url of a new database on `server`; it is dropped at the end, whoever is still connected.

    Args:
        server: a database on it.
        template: the database that it is a copy of; nobody may be connected to that one.
    """
    name = f"traylane_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


def wait_for(condition: object, timeout_s: float = 10.0) -> None:
    """Wait until `condition()` is true; for integration tests that watch another process."""
    assert callable(condition)
    give_up_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up_s, "waited in vain"
        time.sleep(0.02)
