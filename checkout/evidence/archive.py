"""Where packets lie: FOLDER/LANE/YYYY-MM-DD/BILL/ (UTC day of closing); finding, sweeping and erasing them."""

from __future__ import annotations

import datetime
import json
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from checkout.evidence.packet import PACKET, read_packet
from core.errors import DataError, StoreUnavailable
from core.files import sync_folder, write_atomic

ERASED = "erased.json"
#: A folder without a packet is being written, or was when the power went; after this long it is the latter.
STALE_S = 3600.0
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$")
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of one bill's evidence."""

    lane_id: str
    day: datetime.date
    bill_id: str
    folder: Path

    @property
    def erased(self) -> bool:
        """Whether only its hashes are left."""
        return not (self.folder / PACKET).exists() and (self.folder / ERASED).exists()


class Archive:
    """All evidence below one folder, which needs not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, lane_id: str, bill_id: str, closed_at_s: float) -> Path:
        """Return the folder for a bill that closed at `closed_at_s` (UTC epoch seconds)."""
        for name in (lane_id, bill_id):
            if not _NAME.match(name):
                raise ValueError(f"{name!r} cannot be a folder's name")
        return self.folder / lane_id / _day(closed_at_s).isoformat() / bill_id

    def places(self, lane_id: str | None = None) -> Iterator[Place]:
        """Yield what there is, by lane, oldest day first."""
        if not self.folder.is_dir():
            return
        for lane in sorted(self.folder.iterdir()):
            if not lane.is_dir() or (lane_id is not None and lane.name != lane_id):
                continue
            for day in sorted(lane.iterdir()):
                date = _parsed(day.name)
                if date is None or not day.is_dir():
                    continue
                for folder in sorted(day.iterdir()):
                    if folder.is_dir() and ((folder / PACKET).exists() or (folder / ERASED).exists()):
                        yield Place(lane.name, date, folder.name, folder)

    def of_bill(self, bill_id: str) -> list[Place]:
        """Return the evidence of a bill: one place, or none."""
        found = []
        if _NAME.match(bill_id) and self.folder.is_dir():
            for folder in self.folder.glob(f"*/*/{bill_id}"):
                date = _parsed(folder.parent.name)
                if date is not None and ((folder / PACKET).exists() or (folder / ERASED).exists()):
                    found.append(Place(folder.parent.parent.name, date, bill_id, folder))
        return found

    def find(self, bill_id: str) -> Place:
        """Return the evidence of a bill.

        Raises:
            DataError: there is none.
        """
        for place in self.of_bill(bill_id):
            return place
        raise DataError(
            f"{self.folder}: no evidence of bill {bill_id!r}: it is older than record.evidence.days, or was decided "
            "while evidence was off"
        )

    def sweep(self, now_s: float, days: float) -> int:
        """Remove what is older than `days` and the rests of crashes; return how many bills' evidence went.

        Raises:
            StoreUnavailable: a folder cannot be removed.
        """
        last = _day(now_s - days * _DAY_S)
        removed = 0
        lanes = [lane for lane in self.folder.iterdir() if lane.is_dir()] if self.folder.is_dir() else []
        try:
            for day in [day for lane in lanes for day in lane.iterdir()]:
                date = _parsed(day.name)
                if date is None or not day.is_dir():
                    continue
                for folder in list(day.iterdir()):
                    if date < last or self._is_rest_of_crash(folder):
                        removed += (folder / PACKET).exists()
                        shutil.rmtree(folder)
                if date < last:
                    day.rmdir()
        except OSError as err:
            raise StoreUnavailable(f"evidence: cannot remove {err.filename}: {err.strerror}; check its rights") from err
        return removed

    def erase(self, bill_id: str, by: str, reason: str, now_s: float) -> Path:
        """Remove the pictures and the journal of a bill for good; their hashes stay, to prove what there was.

        Returns:
            The record that is left.

        Raises:
            DataError: there is no evidence of this bill, or it is erased already.
            StoreUnavailable: a file cannot be removed; the record says so, and erasing again goes on.
        """
        place = self.find(bill_id)
        if place.erased:
            raise DataError(f"the evidence of bill {bill_id} is erased already: {place.folder / ERASED}")
        packet = read_packet(place.folder, check=False)
        record = {
            "bill_id": packet.bill_id,
            "lane_id": packet.lane_id,
            "closed_at_s": packet.closed_at_s,
            "files": packet.files,
            "erased_at_s": now_s,
            "by": by,
            "reason": reason,
        }
        try:
            write_atomic(place.folder / ERASED, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
            # The packet goes last: while it is there, erasing again finds what is left.
            for path in sorted(place.folder.iterdir(), key=lambda one: one.name == PACKET):
                if path.name != ERASED:
                    path.unlink()
            sync_folder(place.folder)
        except OSError as err:
            raise StoreUnavailable(f"evidence: cannot erase {err.filename}: {err.strerror}; try again") from err
        return place.folder / ERASED

    def _is_rest_of_crash(self, folder: Path) -> bool:
        if (folder / PACKET).exists() or (folder / ERASED).exists():
            return False
        return time.time() - folder.stat().st_mtime > STALE_S


def _day(utc_s: float) -> datetime.date:
    return datetime.datetime.fromtimestamp(utc_s, datetime.UTC).date()


def _parsed(name: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(name)
    except ValueError:
        return None
