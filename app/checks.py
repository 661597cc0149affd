"""The single checks of `traylane doctor`: each looks at one thing and says what it found and what to do.

Everything that is heavy or may be broken on this machine is imported inside the check that is about it.
"""

from __future__ import annotations

import ctypes
import enum
import importlib
import shutil
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.clock import SystemClock
from core.errors import PortTaken, StoreUnavailable, TraylaneError
from core.redact import redact_url

if TYPE_CHECKING:
    from checkout.config import LoadedConfig
    from streams.source import SourceSettings

# The recorder and the store of a busy lane need this much for a day or so.
_FEW_BYTES, _TOO_FEW_BYTES = 2 * 2**30, 200 * 2**20
# No machine that runs this program lives before its first release: its clock battery is empty.
_EARLIEST_UTC_S = 1_760_000_000
_TIME_ERROR = 5


class Level(enum.StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report.

    Attributes:
        topic: what was looked at.
        text: what was found, and what to do unless it is ok.
        exit_code: of the error that `traylane run` would end with; 0 unless it failed.
    """

    level: Level
    topic: str
    text: str
    exit_code: int = 0


def ok(topic: str, text: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(Level.OK, topic, text)


def failed(topic: str, err: TraylaneError) -> Finding:
    """Return the finding of an expected error."""
    return Finding(Level.FAIL, topic, " ".join(str(err).split()), err.exit_code)


def check_python() -> Finding:
    """Look at the interpreter's version."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < (3, 11):  # noqa: UP036 - the doctor is for machines that are not as they should be
        return Finding(Level.FAIL, "python", f"{found} is too old; install Python 3.11 or newer", 1)
    return ok("python", f"{found} at {sys.executable}")


def check_library(module: str, package: str) -> Finding:
    """Import one library that lanes need."""
    try:
        loaded = importlib.import_module(module)
    except (ImportError, OSError) as err:
        reason = " ".join(str(err).split())
        return Finding(Level.FAIL, package, f"cannot be imported ({reason}); install it: pip install {package}", 1)
    return ok(package, str(getattr(loaded, "__version__", "imported")))


def check_device(wanted: str) -> Finding:
    """Find the processor that inference will use."""
    from models.device import count_gpus, find_device

    try:
        device = find_device(wanted)
    except TraylaneError as err:
        return failed("device", err)
    count = count_gpus()
    if device.kind == "cpu":
        return ok("device", "CPU, as asked for" if wanted == "cpu" else "CPU: the CUDA driver finds no GPU")
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return Finding(
            Level.WARN, "device", f"{count} GPU found, but this onnxruntime cannot use it; install onnxruntime-gpu"
        )
    return ok("device", f"{device} of {count} GPU")


def check_space(folder: Path, topic: str = "disk") -> Finding:
    """Look at the free space and the right to write where `folder` is or will be."""
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=existing) as probe:
            probe.write(bytes(65536))
            probe.flush()
        free_bytes = shutil.disk_usage(existing).free
    except OSError as err:
        reason = f"{folder}: cannot be written: {err.strerror}; make it writable or choose another folder"
        return failed(topic, StoreUnavailable(reason))
    told = f"{folder}: {free_bytes / 2**30:.1f} GiB free, writable"
    if free_bytes < _TOO_FEW_BYTES:
        return Finding(Level.FAIL, topic, f"{told}; too little for a day: free space", StoreUnavailable.exit_code)
    if free_bytes < _FEW_BYTES:
        return Finding(Level.WARN, topic, f"{told}; this is little: free space")
    return ok(topic, told)


def check_store(url: str) -> Finding:
    """Look at the database without making or changing it."""
    from store.engine import SchemaState, look_at_store

    try:
        state = look_at_store(url)
    except TraylaneError as err:
        return failed("store", err)
    meaning = {
        SchemaState.ABSENT: "no tables yet; `traylane run` makes them",
        SchemaState.OLDER: "an older schema; `traylane run` migrates it",
        SchemaState.CURRENT: "reachable, schema is current",
    }
    return ok("store", f"{redact_url(url)}: {meaning[state]}")


def check_clock() -> Finding:
    """Look whether the machine's time can be believed: bills carry it."""
    now_s = time.time()
    if now_s < _EARLIEST_UTC_S:
        told = time.strftime("%Y-%m-%d", time.gmtime(now_s))
        return Finding(Level.FAIL, "clock", f"it says {told}, which is past; set the time and start NTP", 1)
    told = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now_s))
    synchronised = _is_clock_synchronised()
    if synchronised is None:
        return ok("clock", f"{told} (this system does not tell whether NTP runs)")
    if not synchronised:
        return Finding(
            Level.WARN, "clock", f"{told}, not synchronised; start an NTP service (systemd-timesyncd, chrony)"
        )
    return ok("clock", f"{told}, synchronised")


def _is_clock_synchronised() -> bool | None:
    """Ask the kernel (adjtimex(2) with nothing to set); None where it does not answer."""
    try:
        ask = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    timex = ctypes.create_string_buffer(512)  # the struct is 208 bytes on 64-bit Linux; modes = 0 sets nothing
    state = int(ask(timex))
    return None if state < 0 else state != _TIME_ERROR


def check_port(host: str, port: int) -> Finding:
    """Look whether the web port is free."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as err:
        told = f"{host}:{port}: {err.strerror}; stop the other program or choose another web.port"
        return failed("port", PortTaken(told))
    return ok("port", f"{host}:{port} is free")


def check_model(config: LoadedConfig) -> Finding:
    """Load the models as the lanes would: hash checked, run once, labels compared with the menu."""
    from checkout.build import build_detectors, build_menu

    try:
        began_s = time.monotonic()
        detectors = {detector.name: detector for detector in build_detectors(config).values()}
        took_s = time.monotonic() - began_s
        try:
            menu = build_menu(config)
            for detector in detectors.values():
                menu.check_labels(detector.labels, detector.name)
        finally:
            for detector in detectors.values():
                detector.close()
    except TraylaneError as err:
        return failed("model", err)
    told = "; ".join(f"{name}: {len(detector.labels)} labels" for name, detector in detectors.items())
    return ok("model", f"{told}, all on the menu, loads in {took_s:.1f} s")


def check_source(lane_id: str, settings: SourceSettings | None) -> Finding:
    """Open a lane's source and read one frame, within its own time-out."""
    from streams.factory import make_source

    topic = f"source {lane_id}"
    if settings is None:
        return Finding(Level.WARN, topic, f"none; fine for replays, `traylane run` needs lanes.{lane_id}.source.url")
    try:
        source = make_source(settings, lane_id, SystemClock())
        began_s = time.monotonic()
        try:
            source.open()
            frame = source.read()
        finally:
            source.close()
    except TraylaneError as err:
        return failed(topic, err)
    took_s = time.monotonic() - began_s
    return ok(topic, f"{source.shown_url}: {frame.width}x{frame.height}, first frame after {took_s:.1f} s")
