"""Writes the evidence of each bill while a lane runs.

Three hands touch it. The lane's *work* thread leaves the journal of a bill that closes (`note`); its *tell* thread
brings each update (`take`) and, with the closed bill, hands journal and pictures to a *writer* thread of the keeper's
own, which encodes and writes. The writer's queue is short: where a disk is too slow, a bill's pictures are left out
and counted, and the lane never waits. A disk that is full costs evidence, said in the log and counted, never a bill.
"""

from __future__ import annotations

import logging
import queue
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2

from checkout.evidence.archive import Archive
from checkout.evidence.camera_roll import CameraRoll, Image, Pictures
from checkout.evidence.journal import Entry
from checkout.evidence.packet import Rules, describe, write_packet
from checkout.evidence.settings import EvidenceSettings
from checkout.menu import Menu
from checkout.pipeline import LaneUpdate
from core.clock import Clock
from core.errors import StoreUnavailable
from core.records import Bill

_LOG = logging.getLogger(__name__)

#: Bills that may wait for the writer; beyond it their pictures are left out.
WAITING = 8
SWEEP_PERIOD_S = 3600.0
_JPEG_QUALITY = 85
#: Share of a bill's bytes that its clip may take, and how it is squeezed into it.
_CLIP_SHARE = 0.6
_RATES = (26, 33, 40)

_Job = tuple[Bill, Sequence[Entry], bool, Pictures, Menu]


class EvidenceKeeper:
    """Keeps the evidence of one lane.

    Args:
        settings: what is kept, and where.
        rules: what the lane decides by.
        menu: returns the menu in force.
        clock: UTC for the sweep.
    """

    def __init__(self, settings: EvidenceSettings, rules: Rules, menu: Callable[[], Menu], clock: Clock) -> None:
        self.archive = Archive(settings.folder)
        self._settings, self._rules, self._menu, self._clock = settings, rules, menu, clock
        self._roll = CameraRoll(settings, rules.zones)
        self._journals: dict[str, tuple[Sequence[Entry], bool]] = {}
        self._lock = threading.Lock()
        self._jobs: queue.Queue[_Job | None] = queue.Queue(WAITING)
        self._writer = threading.Thread(target=self._write_all, name=f"{rules.lane_id}-evidence", daemon=True)
        self._swept_s: float | None = None
        self._started = False
        self._kept = self._failed = 0

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Write what waits, then end the writer; return whether it ended in time."""
        if not self._writer.is_alive():
            return True
        try:
            self._jobs.put(None, timeout=timeout_s)
        except queue.Full:
            return False
        self._writer.join(timeout_s)
        return not self._writer.is_alive()

    @property
    def lane_id(self) -> str:
        """Whose evidence it keeps."""
        return self._rules.lane_id

    @property
    def kept(self) -> int:
        """Bills whose evidence was written."""
        return self._kept

    @property
    def failed(self) -> int:
        """Bills whose evidence, or pictures, could not be kept."""
        return self._failed

    def note(self, bill: Bill, entries: Sequence[Entry], whole: bool) -> None:
        """Take the journal of a bill that has just closed; called in the lane's working thread."""
        with self._lock:
            self._journals[bill.bill_id] = (entries, whole)

    def take(self, update: LaneUpdate) -> None:
        """Take one update; called in the lane's telling thread. The first one starts the writer."""
        if not self._started:
            self._started = True
            self._writer.start()
        self._roll.take(update)
        for bill in update.closed:
            pictures = self._roll.pictures(bill.bill_id)
            with self._lock:
                entries, whole = self._journals.pop(bill.bill_id, ((), False))
            job = (bill, entries, whole, pictures, self._menu())
            try:
                self._jobs.put_nowait(job)
            except queue.Full:
                self._failed += 1
                told = "lane %s: no evidence of bill %s: the disk is too slow"
                _LOG.warning(told, bill.lane_id, bill.bill_id, extra={"lane": bill.lane_id, "bill": bill.bill_id})

    def _write_all(self) -> None:
        while True:
            self._sweep()
            try:
                job = self._jobs.get(timeout=SWEEP_PERIOD_S / 10)
            except queue.Empty:
                continue
            if job is None:
                return
            bill = job[0]
            try:
                self._write(*job)
                self._kept += 1
            except (OSError, StoreUnavailable) as err:
                self._failed += 1
                named = {"lane": bill.lane_id, "bill": bill.bill_id}
                _LOG.error("lane %s: no evidence of bill %s: %s", bill.lane_id, bill.bill_id, err, extra=named)

    def _write(self, bill: Bill, entries: Sequence[Entry], whole: bool, pictures: Pictures, menu: Menu) -> None:
        if bill.closed_at_s is None:
            raise ValueError(f"bill {bill.bill_id} is still open")
        folder = self.archive.place(bill.lane_id, bill.bill_id, bill.closed_at_s)
        folder.mkdir(parents=True, exist_ok=True)
        crops = {track_id: _jpeg(view.crop) for track_id, view in pictures.crops.items()}
        clip = encode_clip(pictures.clip, pictures.fps, int(self._settings.most_bytes * _CLIP_SHARE))
        packet = describe(bill, self._rules, menu, whole)
        write_packet(folder, packet, entries, clip, crops, self._settings.most_bytes)

    def _sweep(self) -> None:
        now_s = self._clock.monotonic_s()
        if self._swept_s is not None and now_s - self._swept_s < SWEEP_PERIOD_S:
            return
        self._swept_s = now_s
        try:
            removed = self.archive.sweep(self._clock.utc_s(), self._settings.days)
        except StoreUnavailable as err:
            _LOG.error("lane %s: %s", self._rules.lane_id, err, extra={"lane": self._rules.lane_id})
            return
        if removed:
            _LOG.info("evidence: removed what was older than %g days: %d bills", self._settings.days, removed)


def encode_clip(images: Sequence[Image], fps: float, most_bytes: int) -> bytes | None:
    """Return pictures (H, W, 3) uint8 RGB of one size as an mp4 of at most `most_bytes`; None without, or if too large.

    Raises:
        StoreUnavailable: there is no room for it on the way.
    """
    if not images:
        return None
    # A lane that starts does not wait for an encoder.
    from streams.video_writer import VideoWriter

    height, width = images[0].shape[:2]
    with tempfile.TemporaryDirectory(prefix="traylane-clip-") as folder:
        path = Path(folder) / "clip.mp4"
        for crf in _RATES:
            with VideoWriter(path, width, height, fps, crf) as video:
                for image in images:
                    video.write(image)
            if path.stat().st_size <= most_bytes:
                return path.read_bytes()
    return None


def _jpeg(image: Image) -> bytes:
    done, buffer = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    )
    if not done:
        raise ValueError(f"cannot encode an image of shape {image.shape} as JPEG")
    return bytes(buffer)
