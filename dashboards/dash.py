#!/usr/bin/env python3
"""The dashboards' one command: a real Superset in an environment of its own, our assets in it, nothing clicked.

    dash.py up --store sqlite:///var/traylane.db     install (once), import, start, wait until it answers
    dash.py check                                    every chart gives rows, and some equal SQL on the tables
    dash.py shot FOLDER                              a picture of each dashboard, embedded as in the operator's page
    dash.py status | down | reset | install

Standard library only. A store that needs a password is given by DASH_STORE_URI, not on the command line, where other
users could read it. State lies in `.dash` (secrets with mode 0600), Superset in `.dash-venv`; both can be moved by
--home and --venv, but a virtual environment must stay where it was made.
"""

# ruff: noqa: S603, S310 - it runs programs that are named here, and asks addresses that its user gave
from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import http.server
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
LOCK, UV_LOCK = HERE / "requirements.lock", ROOT / "requirements-uv.lock"
START_S, STOP_S, STEP_S, PICTURE_S = 400.0, 15.0, 900.0, 400.0
PAGES = ("traylane-operations", "traylane-sales", "traylane-quality")


class Trouble(Exception):
    """Something that a person has to put right; its text is shown without a traceback."""


def say(what: str) -> None:
    """Tell a step."""
    print(f"dash: {what}", flush=True)


# --- installing ------------------------------------------------------------------------------------------------------


def _mark() -> str:
    """Return what an installed environment was made from."""
    return hashlib.sha256(LOCK.read_bytes() + UV_LOCK.read_bytes()).hexdigest()


def is_installed(venv: Path) -> bool:
    """Return whether the environment is there and made from today's lock."""
    mark = venv / "traylane.lock"
    return mark.exists() and mark.read_text() == _mark()


def install(venv: Path) -> None:
    """Make the environment from the hashed lock, unless it is there already; only one process at a time does."""
    venv.parent.mkdir(parents=True, exist_ok=True)
    with (venv.parent / f"{venv.name}.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if is_installed(venv):
            return
        say(f"installing Superset into {venv} (about 800 MB)")
        python = venv / "bin" / "python"
        pip = (python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes", "-r", UV_LOCK)
        uv = (venv / "bin" / "uv", "pip", "install", "-q", "--python", python, "--require-hashes")
        for command in (
            (sys.executable, "-m", "venv", "--clear", venv),
            pip,
            (*uv, "--compile-bytecode", "-r", LOCK),
        ):
            done = subprocess.run([str(word) for word in command], stderr=subprocess.PIPE, text=True, timeout=STEP_S)
            if done.returncode:
                raise Trouble(f"{Path(str(command[0])).name} failed:\n{done.stderr.strip()[-2000:]}")
        (venv / "traylane.lock").write_text(_mark())


# --- running ---------------------------------------------------------------------------------------------------------


def read_only(store: str) -> str:
    """Return the address under which Superset reads a store and cannot change it.

    >>> read_only("postgresql://reader@db/traylane")
    'postgresql://reader@db/traylane?options=-c%20default_transaction_read_only%3Don'
    """
    if store.startswith("sqlite:///"):
        path = Path(store.removeprefix("sqlite:///")).resolve()
        if not path.is_file():
            raise Trouble(f"no store at {path}; start `traylane run` once, or give another --store")
        return f"sqlite:///file:{quote(str(path))}?mode=ro&uri=true"
    if store.startswith(("postgresql://", "postgres://")):
        options = quote("-c default_transaction_read_only=on")
        return f"postgresql://{store.split('://', 1)[1]}{'&' if '?' in store else '?'}options={options}"
    raise Trouble(f"{store.split(':')[0]!r}: not a store; give sqlite:///FILE or postgresql://USER@HOST/DATABASE")


class Server:
    """One Superset: where it lives, how it is started and stopped.

    Args:
        args: the command line.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.home, self.venv = Path(args.home).resolve(), Path(args.venv).resolve()
        self.url, self.store = args.url.rstrip("/"), args.store
        self.shot_origin = f"http://127.0.0.1:{args.shot_port or (urlsplit(self.url).port or 80) + 1}"
        self.origins = [*args.operator, self.shot_origin]
        self._pid_file = self.home / "pid"
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        host = urlsplit(self.url).hostname
        if host not in ("127.0.0.1", "localhost", "::1") and not args.trusted_network:
            raise Trouble(f"--url {self.url}: not loopback; put a proxy with TLS in front, or say --trusted-network")

    def environment(self) -> dict[str, str]:
        """Return the variables that Superset is run with; makes the administrator's password if there is none."""
        password = self.home / "admin_password"
        if not password.exists():
            password.touch(mode=0o600)
            password.write_text(os.environ.get("DASH_ADMIN_PASSWORD") or secrets.token_urlsafe(18))
        zone = self.home / "timezone"
        return os.environ | {
            "DASH_HOME": str(self.home),
            "DASH_STORE_URI": read_only(self.store),
            "DASH_ADMIN_PASSWORD": password.read_text().strip(),
            "DASH_ORIGINS": " ".join(self.origins),
            "DASH_FRAME_ANCESTORS": " ".join(["'self'", *self.origins]),
            "SUPERSET_CONFIG_PATH": str(HERE / "superset_config.py"),
            "FLASK_APP": "superset.app:create_app()",
            # "Today" begins at the site's midnight.
            "TZ": zone.read_text().strip() if zone.exists() else "UTC",
            "PYTHONWARNINGS": "ignore",
            "PYTHONPATH": "",
        }

    def pid(self) -> int | None:
        """Return the process that we started, if it lives."""
        try:
            number = int(self._pid_file.read_text())
            os.kill(number, 0)
            words = Path(f"/proc/{number}/cmdline")
            # A number may have been given to another program since.
            if words.exists() and b"superset.app" not in words.read_bytes():
                return None
        except (OSError, ValueError):
            return None
        return number

    def healthy(self) -> bool:
        """Return whether Superset answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def bootstrap(self) -> None:
        """Import the assets."""
        log = self.home / "bootstrap.log"
        with log.open("w") as out:
            command = [str(self.venv / "bin" / "python"), str(HERE / "bootstrap.py"), str(HERE / "assets")]
            done = subprocess.run(command, env=self.environment(), stdout=out, stderr=out, timeout=STEP_S)
        if done.returncode:
            raise Trouble(f"the import failed ({log}):\n{_tail(log)}")

    def start(self) -> None:
        """Start the web server and wait until it answers."""
        log = self.home / "superset.log"
        address = self.url.split("//", 1)[1]
        command = [str(self.venv / "bin" / "gunicorn"), "--workers", "1", "--worker-class", "gthread", "--threads", "8"]
        command += ["--timeout", "120", "--graceful-timeout", "3", "--no-control-socket", "--bind", address]
        with log.open("w") as out:
            process = subprocess.Popen(
                [*command, "superset.app:create_app()"],
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._pid_file.write_text(str(process.pid))
        give_up_s = time.monotonic() + START_S
        while not self.healthy():
            if process.poll() is not None or time.monotonic() > give_up_s:
                self.stop()
                raise Trouble(f"Superset did not start ({log}):\n{_tail(log)}")
            time.sleep(0.2)

    def stop(self) -> bool:
        """Stop what we started; return whether there was anything to stop."""
        number = self.pid()
        if number is None:
            self._pid_file.unlink(missing_ok=True)
            return False
        os.kill(number, signal.SIGTERM)
        give_up_s = time.monotonic() + STOP_S
        while self.pid() is not None and not _is_zombie(number):
            if time.monotonic() > give_up_s:
                os.kill(number, signal.SIGKILL)
                break
            time.sleep(0.1)
        self._pid_file.unlink(missing_ok=True)
        return True


def _is_zombie(number: int) -> bool:
    """Return whether a process has ended and only its parent has not noticed."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def _tail(log: Path) -> str:
    return "".join(log.read_text(errors="replace").splitlines(keepends=True)[-15:])


def up(server: Server, args: argparse.Namespace) -> None:
    """Install, import, start."""
    started_s = time.monotonic()
    read_only(server.store)  # a wrong address is told before minutes are spent
    install(server.venv)
    say(f"Superset is installed ({time.monotonic() - started_s:.0f} s)")
    server.stop()
    if server.healthy():
        raise Trouble(f"another program answers at {server.url}; stop it, or give another --url")
    server.bootstrap()
    say(f"assets are imported ({time.monotonic() - started_s:.0f} s)")
    server.start()
    say(f"ready ({time.monotonic() - started_s:.0f} s): user admin, password in {server.home}/admin_password")
    for page in PAGES:
        print(f"      {server.url}/superset/dashboard/{page}/")


def down(server: Server, args: argparse.Namespace) -> None:
    """Stop."""
    say("stopped" if server.stop() else "was not running")


def status(server: Server, args: argparse.Namespace) -> None:
    """Say what is there; exit 1 unless it answers."""
    number = server.pid()
    say(f"installed: {'yes' if is_installed(server.venv) else 'no'} ({server.venv})")
    say(f"process: {number or 'none'}; answers at {server.url}: {'yes' if server.healthy() else 'no'}")
    if not server.healthy():
        raise Trouble("not running; start it with `dash.py up`")


def reset(server: Server, args: argparse.Namespace) -> None:
    """Forget Superset's own database (users, hand-made charts); secrets stay. The next `up` makes it new."""
    server.stop()
    for name in (
        "superset.db",
        "superset.db-wal",
        "superset.db-shm",
        "imported.json",
        "timezone",
        "bootstrap.log",
        "superset.log",
    ):
        (server.home / name).unlink(missing_ok=True)
    say(f"Superset's own database in {server.home} is gone; `dash.py up` makes a new one")


def check(server: Server, args: argparse.Namespace) -> None:
    """Ask every chart by REST, and compare some with SQL."""
    if not server.healthy():
        raise Trouble(f"nothing answers at {server.url}; start it with `dash.py up`")
    command = [str(server.venv / "bin" / "python"), str(HERE / "check.py"), server.url, *PAGES]
    if subprocess.run(command, env=server.environment(), timeout=STEP_S).returncode:
        raise Trouble("some charts are wrong (above)")


# --- pictures --------------------------------------------------------------------------------------------------------

_PAGE = """<!doctype html><meta charset="utf-8"><title>shot</title>
<style>html,body,#d,iframe{margin:0;width:100%;height:100%;border:0}</style><div id="d"></div>
<script src="/sdk.js"></script><script>
supersetEmbeddedSdk.embedDashboard({id: "@ID@", supersetDomain: "@URL@", mountPoint: document.getElementById("d"),
  fetchGuestToken: () => Promise.resolve("@TOKEN@"), dashboardUiConfig: {hideTitle: false, filters: {expanded: false}},
  referrerPolicy: "strict-origin-when-cross-origin"});</script>"""


@contextlib.contextmanager
def _page_server(origin: str, pages: dict[str, str]) -> Iterator[None]:
    """Serve the embedding pages on loopback."""
    sdk = (ROOT / "app" / "static" / "superset-embedded-sdk.js").read_bytes()

    class Pages(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = sdk if self.path == "/sdk.js" else pages.get(self.path.strip("/"), "").encode()
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/javascript" if self.path == "/sdk.js" else "text/html")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Stay silent."""

    host, port = origin.split("//")[1].split(":")
    listener = http.server.ThreadingHTTPServer((host, int(port)), Pages)
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join(5)


def embed_ids() -> dict[str, str]:
    """Return the embed id of each dashboard: its UUID, the last but one line of its file."""
    found = {}
    for page in PAGES:
        lines = (HERE / "assets" / "dashboards" / f"{page}.yaml").read_text().splitlines()
        found[page] = next(line.split(": ")[1] for line in reversed(lines) if line.startswith("uuid: "))
    return found


def shot(server: Server, args: argparse.Namespace) -> None:
    """Take a picture of each dashboard with a headless browser, as a guest."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        raise Trouble("no Chromium here; install the package chromium")
    if not server.healthy():
        raise Trouble(f"nothing answers at {server.url}; start it with `dash.py up`")
    sys.path.insert(0, str(ROOT))
    from app.embed import guest_token

    folder = Path(args.out).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    secret = os.environ.get("DASH_GUEST_SECRET") or (server.home / "dash_guest_secret").read_text().strip()
    pages = {
        page: _PAGE.replace("@ID@", key)
        .replace("@URL@", server.url)
        .replace("@TOKEN@", guest_token(secret, key, "picture", time.time()))
        for page, key in embed_ids().items()
    }
    with _page_server(server.shot_origin, pages):
        for page in args.page or PAGES:
            with tempfile.TemporaryDirectory() as profile:
                command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
                command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
                command += ["--hide-scrollbars", f"--user-data-dir={profile}", f"--window-size={args.size}"]
                picture = folder / f"{page}.png"
                command += ["--virtual-time-budget=40000", f"--screenshot={picture}", f"{server.shot_origin}/{page}"]
                done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=PICTURE_S)
            if done.returncode or not picture.exists():
                raise Trouble(f"Chromium made no picture of {page}")
            say(f"{picture}")


def main(argv: list[str] | None = None) -> int:
    """Run one job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    jobs = {"up": up, "check": check, "shot": shot, "status": status, "down": down, "reset": reset}
    parser.add_argument("job", choices=["install", *jobs])
    parser.add_argument("out", nargs="?", default=".dash/pictures", help="folder for pictures")
    env = os.environ
    parser.add_argument("--store", default=env.get("DASH_STORE_URI", "sqlite:///var/traylane.db"))
    parser.add_argument("--home", default=env.get("DASH_HOME", ".dash"), help="state and secrets")
    parser.add_argument("--venv", default=env.get("DASH_VENV", ".dash-venv"), help="where Superset is installed")
    parser.add_argument("--url", default=env.get("DASH_URL", "http://127.0.0.1:8088"), help="where it answers")
    parser.add_argument(
        "--operator",
        action="append",
        default=None,
        metavar="ORIGIN",
        help="page that may embed the dashboards; may be given again (default http://127.0.0.1:8080 and localhost)",
    )
    parser.add_argument("--shot-port", type=int, help="port of the page that `shot` embeds in; one above --url")
    parser.add_argument("--trusted-network", action="store_true", help="allow --url beyond loopback")
    parser.add_argument("--page", action="append", choices=PAGES, help="for `shot`: this dashboard only")
    parser.add_argument("--size", default="1680,2200", help="of the pictures")
    args = parser.parse_args(argv)
    args.operator = args.operator or ["http://127.0.0.1:8080", "http://localhost:8080"]
    try:
        if args.job == "install":
            install(Path(args.venv).resolve())
        else:
            jobs[args.job](Server(args), args)
    except (Trouble, subprocess.TimeoutExpired) as err:
        print(f"dash: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
