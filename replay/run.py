"""One replay, start to end: open, run, judge, write. The folder appears whole or not at all."""

from __future__ import annotations

import dataclasses
import json
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from checkout.build import (
    build_detector,
    build_live_menu,
    build_pipeline,
    build_zones,
    default_config,
    stream_key_for,
)
from checkout.config import LaneConfig, LoadedConfig, load_config
from checkout.menu import Menu
from checkout.overlay import draw
from checkout.pipeline import LaneUpdate
from checkout.zones import Zone
from core.clock import Clock, SystemClock
from core.errors import ConfigError, SourceUnusable
from core.redact import redact_url
from replay.observe import updates
from replay.out_folder import check_out, whole_folder
from replay.progress import Progress, frames_in
from replay.recording import Recording
from replay.report import Heading, Wording, render
from replay.score import figures, score
from replay.stills import Stills
from replay.truth import Truth, load_truth
from replay.writers import TrackFile, write_bills, write_counts, write_events
from streams.factory import make_source
from streams.source import Source, SourceSettings
from streams.video_writer import VideoWriter

#: The frame rate of a marked-up video whose recording has none (a single frame).
_FALLBACK_FPS = 25.0


@dataclass(frozen=True, slots=True)
class Job:
    """What to replay, with what, and where to.

    Attributes:
        clip: path of the recording (or another address that ends).
        out: folder for the results.
        config: site file; None for the shipped default.
        lane: lane of the site file; None for its first.
        model: instead of the site file's models.detector.card.
        folder: where relative paths of the site file start; None: beside it.
        truth: TRUTH file, or None.
        stride: 1 decides each frame, K every K-th one, as a slower camera would give.
        video: whether to write marked.mp4.
    """

    clip: str
    out: Path
    config: Path | None = None
    lane: str | None = None
    model: str | None = None
    folder: Path | None = None
    truth: Path | None = None
    stride: int = 1
    video: bool = True


def replay(job: Job, clock: Clock | None = None) -> dict[str, Any]:
    """Replay a recording, write the results, and return the content of metrics.json.

    Raises:
        ConfigError: stride, site file, truth or out folder are not usable.
        ModelError: the model is not usable, or does not fit the menu.
        SourceError, SourceRefused, SourceUnusable: the recording cannot be read.
        StoreUnavailable: the disk is full.
    """
    if job.stride < 1:
        raise ConfigError(f"--stride {job.stride}: must be 1 or more")
    check_out(job.out)
    config = _configuration(job)
    lane_id, lane = config.lane(job.lane)
    truth = Truth() if job.truth is None else load_truth(job.truth)
    clock = clock or SystemClock()
    settings = source_settings(lane, job.clip, job.stride)
    source = make_source(settings, lane_id, clock)
    if source.live:
        raise SourceUnusable(
            f"{source.shown_url}: a camera never ends; replay takes recordings, `traylane run` cameras"
        )
    live_menu = build_live_menu(config, clock)
    knowledge = live_menu.load()
    menu = knowledge.menu
    detector = build_detector(config, lane_id=lane_id)
    try:
        key = stream_key_for(source, settings, clock)
        pipeline = build_pipeline(config, lane_id, key, clock, detector, knowledge=knowledge)
        with whole_folder(job.out) as part:
            sketch = Sketch(build_zones(lane), menu)
            stills = Stills(truth.bills or ())
            recording = Recording(lane_id)
            with _Files(part, job, source, detector.labels) as files:
                for update in updates(source, pipeline, recording, clock):
                    files.add(update, sketch, stills)
            judged = score(recording, truth, {dish: menu[dish].price for dish in menu.dishes})
            result = figures(recording, judged, detector.labels)
            write_events(part / "events.jsonl", recording.events)
            write_bills(part / "bills.json", list(recording.bills.values()))
            write_counts(part / "counts.csv", recording.rows)
            (part / "metrics.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
            heading = _heading(job, config, detector.name, lane_id)
            wording = Wording({dish: menu[dish].title for dish in menu.dishes}, menu.currency)
            page = render(heading, recording, judged, truth, result, wording, stills.pictures)
            (part / "report.html").write_text(page, encoding="utf-8")
    finally:
        detector.close()
        live_menu.close()
    return result


def _configuration(job: Job) -> LoadedConfig:
    config = default_config() if job.config is None else load_config(job.config)
    if job.folder is not None:
        config = dataclasses.replace(config, folder=job.folder.resolve())
    if job.model is None:
        return config
    detector = config.site.models.detector.model_copy(update={"card": job.model})
    models = config.site.models.model_copy(update={"detector": detector})
    return dataclasses.replace(config, site=config.site.model_copy(update={"models": models}))


def source_settings(lane: LaneConfig, clip: str, stride: int) -> SourceSettings:
    """Return the lane's source settings, aimed at a recording that is read once, as fast as it can be."""
    base = lane.source or SourceSettings(url=clip)
    changes = {"url": clip, "stride": stride, "loop": False, "realtime": False, "live": False}
    return base.model_copy(update=changes)


def _heading(job: Job, config: LoadedConfig, model: str, lane_id: str) -> Heading:
    clip = redact_url(job.clip) if "://" in job.clip else Path(job.clip).name
    return Heading(clip, Path(config.name).name, config.sha256, model, lane_id, job.stride)


class Sketch:
    """Draws an update's frame as the live page does."""

    def __init__(self, zones: tuple[Zone, ...], menu: Menu) -> None:
        self._zones, self._menu = zones, menu

    def draw(self, update: LaneUpdate) -> NDArray[np.uint8]:
        """Return the marked-up frame (H, W, 3) uint8 RGB of an update that has one."""
        if update.frame is None:
            raise ValueError("an update without a frame cannot be drawn")
        return draw(update.frame.image, update.tracks, update.bill, self._zones, self._menu, panel=True)


class _Files:
    """What is written while the recording runs: tracks, the marked-up video, the progress."""

    def __init__(self, part: Path, job: Job, source: Source, labels: tuple[str, ...]) -> None:
        self._part, self._job = part, job
        self._stack = ExitStack()
        self._tracks = self._stack.enter_context(TrackFile(part / "tracks.txt", labels))
        total = frames_in(Path(job.clip)) if Path(job.clip).is_file() else None
        self._progress = self._stack.enter_context(Progress(f"replay {source.shown_url}", total))
        self._video: VideoWriter | None = None
        self._waiting: list[tuple[float, NDArray[np.uint8]]] = []

    def add(self, update: LaneUpdate, sketch: Sketch, stills: Stills) -> None:
        """Write one update."""
        frame = update.frame
        if frame is None:
            return
        picture = cache(lambda: sketch.draw(update))
        self._tracks.add(update.tracks)
        stills.see(update, picture)
        if self._job.video:
            self._show(frame.stream_s, picture())
        self._progress.reach(frame.index + 1)

    def _show(self, t_s: float, picture: NDArray[np.uint8]) -> None:
        """Append a picture to the video, whose rate is known when the second frame has come."""
        if self._video is None:
            self._waiting.append((t_s, picture))
            if len(self._waiting) == 2:
                step_s = self._waiting[1][0] - self._waiting[0][0]
                self._start(1.0 / step_s if step_s > 0 else _FALLBACK_FPS)
        else:
            self._video.write(picture)

    def _start(self, fps: float) -> None:
        height, width = self._waiting[0][1].shape[:2]
        self._video = self._stack.enter_context(VideoWriter(self._part / "marked.mp4", width, height, fps))
        for _, picture in self._waiting:
            self._video.write(picture)
        self._waiting.clear()

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *error: Any) -> None:
        if error[0] is None and self._waiting:
            self._start(_FALLBACK_FPS)
        self._stack.__exit__(*error)
