"""Start and stop real RTSP cameras on the loopback, for tests and benches."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

_SCRIPT = Path(__file__).with_name("rtsp_server.py")
_PYTHON = "/usr/bin/python3"


def missing() -> str:
    """Return why no RTSP camera can be started on this machine; "" if it can."""
    if not Path(_PYTHON).exists():
        return f"{_PYTHON} is missing"
    code = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    done = subprocess.run([_PYTHON, "-c", code], capture_output=True, text=True, check=False)
    return (
        "" if done.returncode == 0 else "no GstRtspServer for /usr/bin/python3 (apt install gir1.2-gst-rtsp-server-1.0)"
    )


class RtspCamera:
    """An RTSP server process that shows `clip` in a loop, in step with the wall clock.

    Args:
        clip: an H.264 mp4 without B-frames.
        user: ask for this user and `password` (digest); "" lets everybody in.
        epoch_s: wall-clock moment at which the clip begins; None for now.
    """

    def __init__(self, clip: Path, user: str = "", password: str = "", epoch_s: float | None = None) -> None:
        self._arguments = [str(clip), "--epoch", str(time.time() if epoch_s is None else epoch_s)]
        if user:
            self._arguments += ["--user", user, "--password", password]
        self.port = 0
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def address(self) -> str:
        """Host, port and path, to be put behind rtsp://."""
        return f"127.0.0.1:{self.port}/cam"

    @property
    def url(self) -> str:
        """The address without user and password."""
        return f"rtsp://{self.address}"

    @property
    def pid(self) -> int:
        """The process, to be stopped for a while."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, on the same port as the time before."""
        self._process = subprocess.Popen(
            [_PYTHON, str(_SCRIPT), *self._arguments, "--port", str(self.port)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        word, _, port = self._process.stdout.readline().partition(" ")
        assert word == "ready", f"the camera did not start: {word!r}"
        self.port = int(port)

    def kill(self) -> None:
        """End the process at once (SIGKILL); a second call does nothing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def __enter__(self) -> RtspCamera:
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()
