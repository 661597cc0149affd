"""Replays of stored recordings as jobs: one at a time, in a process of their own, so that no lane loses time to them.

A job is a folder: `job.json` says what was asked and how it goes, `result/` is what `traylane replay` wrote, `log.txt`
what it said. Jobs therefore outlive the program; one that was running when it ended is told as interrupted.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from app.replay_compare import ReplayedBill, read_bills
from checkout.config import ReplaySettings
from core.clock import Clock
from core.errors import DataError, FolderUnusable
from core.files import write_atomic
from core.redact import redact_text

State = Literal["waiting", "running", "done", "failed", "cancelled"]
_SUFFIXES = (".mp4", ".mkv", ".mov", ".avi", ".webm", ".ts")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
_TOLD = re.compile(r"(\d+) of (\d+) frames")
_LOG_BYTES = 4000
_POLL_S = 0.2
_STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Recording:
    """A stored recording: its name, size, and when it was written (UTC epoch seconds)."""

    name: str
    size_bytes: int
    written_at_s: float


@dataclass(frozen=True, slots=True)
class Job:
    """One replay.

    Attributes:
        lane_id: whose settings are used.
        stride: every so many frames one is decided.
        model: instead of the configuration's, or "".
        settings_sha256: of a former configuration that is used instead of today's, or "".
        why: of a failure, or "".
    """

    job_id: str
    recording: str
    lane_id: str
    stride: int
    by: str
    state: State
    asked_at_s: float
    began_at_s: float | None = None
    ended_at_s: float | None = None
    why: str = ""
    model: str = ""
    settings_sha256: str = ""


class TooManyJobs(Exception):
    """So many jobs wait already that another one would not help."""


class ReplayJobs:
    """The jobs of one appliance.

    Args:
        config: the configuration file that replays use.
        settings: where recordings and results are.
        clock: dates the jobs.
        closing: set when the program ends.
    """

    def __init__(self, config: Path, settings: ReplaySettings, clock: Clock, closing: threading.Event) -> None:
        self._config, self._settings, self._clock, self._closing = config, settings, clock, closing
        self._lock = threading.Lock()
        self._asked = threading.Event()
        self._thread: threading.Thread | None = None
        self._cancelled: set[str] = set()

    def recordings(self) -> list[Recording]:
        """Return the stored recordings by name."""
        folder = self._settings.recordings
        if not folder.is_dir():
            return []
        found = [path for path in sorted(folder.iterdir()) if _NAME.fullmatch(path.name)]
        clips = [path for path in found if path.suffix.lower() in _SUFFIXES and path.is_file()]
        return [Recording(path.name, path.stat().st_size, path.stat().st_mtime) for path in clips]

    def ask(
        self, recording: str, lane_id: str, stride: int, by: str, model: str = "", former: tuple[str, str] | None = None
    ) -> Job:
        """Queue a replay.

        Args:
            recording: its name.
            lane_id: whose settings are used.
            stride: decide every so many frames.
            by: who asks.
            model: instead of the configuration's.
            former: hash and text of a former configuration that is used instead of today's.

        Raises:
            DataError: there is no such recording.
            TooManyJobs: the queue is full.
            FolderUnusable: the job cannot be written.
        """
        if all(one.name != recording for one in self.recordings()):
            raise DataError(f"no recording {recording!r} in {self._settings.recordings}; see GET /recordings")
        with self._lock:
            if self._thread is None:
                for left in self._read_all():
                    self._write(left)
            if sum(job.state == "waiting" for job in self._read_all()) >= self._settings.waiting_jobs:
                raise TooManyJobs
            sha256, text = former or ("", "")
            job = Job(
                str(uuid.uuid4()), recording, lane_id, stride, by, "waiting", self._clock.utc_s(),
                model=model, settings_sha256=sha256,
            )  # fmt: skip
            self._write(job)
            if former is not None:
                self._keep_settings(job, text)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="replays", daemon=True)
                self._thread.start()
        self._asked.set()
        return job

    def jobs(self) -> list[Job]:
        """Return all jobs, latest first."""
        with self._lock:
            return sorted(self._read_all(), key=lambda job: (job.asked_at_s, job.job_id), reverse=True)

    def job(self, job_id: str) -> Job | None:
        """Return one job."""
        return next((job for job in self.jobs() if job.job_id == job_id), None)

    def cancel(self, job_id: str) -> Job | None:
        """Stop a job that waits or runs; return it, None if there is none."""
        job = self.job(job_id)
        if job is None:
            return None
        with self._lock:
            current = self._read(job_id)
            if current is not None and current.state == "waiting":
                self._write(replace(current, state="cancelled", ended_at_s=self._clock.utc_s()))
            elif current is not None and current.state == "running":
                self._cancelled.add(job_id)
        return self.job(job_id)

    def metrics(self, job: Job) -> dict[str, Any] | None:
        """Return the figures of a job that is done."""
        path = self._folder(job.job_id) / "result" / "metrics.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def report(self, job: Job) -> Path | None:
        """Return the page that a replay wrote for people."""
        path = self._folder(job.job_id) / "result" / "report.html"
        return path if path.is_file() else None

    def bills(self, job: Job) -> tuple[ReplayedBill, ...] | None:
        """Return the bills of a job that is done, None before.

        Raises:
            FormatError: the file is damaged.
        """
        path = self._folder(job.job_id) / "result" / "bills.json"
        return read_bills(path) if path.is_file() else None

    def video(self, job: Job) -> Path | None:
        """Return the marked-up video of a job that is done."""
        path = self._folder(job.job_id) / "result" / "marked.mp4"
        return path if path.is_file() else None

    def progress(self, job: Job) -> float:
        """Return the share of the recording that is done, 0 to 1, as the replay told it last."""
        if job.state != "running":
            return 1.0 if job.state == "done" else 0.0
        told = _TOLD.findall(self.log(job))
        return int(told[-1][0]) / max(1, int(told[-1][1])) if told else 0.0

    def log(self, job: Job) -> str:
        """Return the end of what the replay said."""
        path = self._folder(job.job_id) / "log.txt"
        if not path.is_file():
            return ""
        return redact_text(path.read_bytes()[-_LOG_BYTES:].decode("utf-8", "replace").replace("\x00", ""))

    def _folder(self, job_id: str) -> Path:
        return self._settings.results / job_id

    def _read_all(self) -> list[Job]:
        if not self._settings.results.is_dir():
            return []
        found = [self._read(path.name) for path in self._settings.results.iterdir() if path.is_dir()]
        return [job for job in found if job is not None]

    def _read(self, job_id: str) -> Job | None:
        path = self._folder(job_id) / "job.json"
        if not path.is_file():
            return None
        job = Job(**json.loads(path.read_text(encoding="utf-8")))
        if job.state in ("running", "waiting") and self._thread is None:
            # This process has not taken a job up yet: a former one left it.
            job = replace(job, state="failed", why="the program ended before the replay did; ask for it again")
        return job

    def _write(self, job: Job) -> None:
        folder = self._folder(job.job_id)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(folder / "job.json", json.dumps(asdict(job), indent=1))
        except OSError as err:
            raise FolderUnusable(f"{folder}: cannot be written: {err.strerror}; free space or change replays") from err

    def _keep_settings(self, job: Job, text: str) -> None:
        path = self._folder(job.job_id) / "settings.yaml"
        try:
            write_atomic(path, text)
        except OSError as err:
            raise FolderUnusable(f"{path}: cannot be written: {err.strerror}; free space or change replays") from err

    def _run(self) -> None:
        while not self._closing.is_set():
            self._asked.wait(1.0)
            self._asked.clear()
            while not self._closing.is_set():
                with self._lock:
                    waiting = [job for job in self._read_all() if job.state == "waiting"]
                    if not waiting:
                        break
                    job = replace(
                        min(waiting, key=lambda one: one.asked_at_s), state="running", began_at_s=self._clock.utc_s()
                    )
                    self._write(job)
                ended = self._replay(job)
                with self._lock:
                    self._write(ended)

    def _replay(self, job: Job) -> Job:
        """Run one replay to its end, its cancellation, its time limit, or the end of the program."""
        folder = self._folder(job.job_id)
        config = self._folder(job.job_id) / "settings.yaml" if job.settings_sha256 else self._config
        command = [
            sys.executable, "-m", "app", "replay", str(self._settings.recordings / job.recording),
            "--config", str(config), "--config-folder", str(self._config.resolve().parent), "--lane", job.lane_id,
            "--stride", str(job.stride), "--out", str(folder / "result"),
            *(["--model", job.model] if job.model else []),
        ]  # fmt: skip
        with (folder / "log.txt").open("wb") as log:
            child = subprocess.Popen(  # noqa: S603 - our own program, no shell, names are checked
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, preexec_fn=_stand_back
            )
        give_up_s = self._clock.monotonic_s() + self._settings.timeout_s
        why = ""
        while child.poll() is None and not why:
            if job.job_id in self._cancelled:
                why = "cancelled"
            elif self._closing.wait(_POLL_S):
                why = "the program ended before the replay did; ask for it again"
            elif self._clock.monotonic_s() > give_up_s:
                why = f"took longer than {self._settings.timeout_s:g} s"
        if why:
            _stop(child)
        state: State = "cancelled" if why == "cancelled" else "done" if child.returncode == 0 and not why else "failed"
        if state == "failed" and not why:
            said = self.log(job).strip().splitlines()
            why = said[-1] if said else f"ended with {child.returncode}"
        return replace(job, state=state, why="" if state != "failed" else why, ended_at_s=self._clock.utc_s())


def _stand_back() -> None:
    """Let the lanes go first."""
    os.nice(10)


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
