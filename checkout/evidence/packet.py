"""The files of one bill: `packet.json`, `journal.xz`, `clip.mp4` and a crop per line, whole or absent.

`packet.json` says what was decided, by what (program, model, configuration), with which rules and prices, and the
SHA-256 of each other file. It is written last: a folder without it is the rest of a crash and is swept away.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from checkout.evidence.journal import Entry, pack, unpack
from checkout.menu import Dish, Menu
from checkout.settings import CheckoutSettings
from checkout.zones import Zone, ZoneSettings
from core.errors import DataError, FormatError
from core.files import sha256_of, write_atomic
from core.records import Bill
from core.settings import Settings

PACKET, JOURNAL, CLIP = "packet.json", "journal.xz", "clip.mp4"
_SCHEMA = 1


class PacketDish(Settings):
    """One dish of the menu that was in force."""

    title: str
    price: float
    plu: str = ""
    category: str = ""


class PacketLine(Settings):
    """One line of the bill as it closed."""

    line_no: int
    track_id: int
    dish: str
    quantity: int
    unit_price: float
    t_s: float
    confidence: float
    crop: str | None = Field(default=None, description="File of its best view")


class Packet(Settings):
    """All that is known of why a bill is what it is.

    Attributes are described in docs/evidence.md.
    """

    schema_version: int = _SCHEMA
    bill_id: str
    lane_id: str
    stream_key: str
    opened_at_s: float
    closed_at_s: float
    opened_s: float
    closed_s: float
    revision: int
    close_reason: str
    lines: list[PacketLine]
    model: str
    config_sha256: str
    checkout: CheckoutSettings
    zones: dict[str, ZoneSettings]
    currency: str
    dishes: dict[str, PacketDish]
    ignored: list[str]
    journal_whole: bool = Field(description="False where the bill was too long: it cannot be decided again")
    files: dict[str, str] = Field(default_factory=dict, description="SHA-256 by file name")

    def menu(self) -> Menu:
        """Return the menu that was in force."""
        dishes = {
            name: Dish(name, one.title, one.price, one.plu, one.category) for name, one in sorted(self.dishes.items())
        }
        return Menu(self.currency, dishes, frozenset(self.ignored))


@dataclass(frozen=True)
class Rules:
    """What a lane decides by: goes into each of its packets."""

    lane_id: str
    stream_key: str
    checkout: CheckoutSettings
    zones: tuple[Zone, ...]
    model: str
    config_sha256: str


def describe(bill: Bill, rules: Rules, menu: Menu, whole: bool) -> Packet:
    """Return the packet of a closed bill, without its files yet."""
    if bill.closed_s is None or bill.closed_at_s is None:
        raise ValueError(f"bill {bill.bill_id} is still open")
    zones = {
        zone.name: ZoneSettings(role=zone.role, polygon=",".join(f"{x!r},{y!r}" for x, y in zone.points))
        for zone in rules.zones
    }
    dishes = {
        dish.name: PacketDish(title=dish.title, price=dish.price, plu=dish.plu, category=dish.category)
        for dish in menu.dishes.values()
    }
    return Packet(
        bill_id=bill.bill_id,
        lane_id=rules.lane_id,
        stream_key=rules.stream_key,
        opened_at_s=bill.opened_at_s,
        closed_at_s=bill.closed_at_s,
        opened_s=bill.opened_s,
        closed_s=bill.closed_s,
        revision=bill.revision,
        close_reason=bill.close_reason,
        lines=[
            PacketLine(
                line_no=line.line_no,
                track_id=line.track_id,
                dish=line.dish,
                quantity=line.quantity,
                unit_price=line.unit_price,
                t_s=line.t_s,
                confidence=line.confidence,
            )
            for line in bill.lines
        ],
        model=rules.model,
        config_sha256=rules.config_sha256,
        checkout=rules.checkout,
        zones=zones,
        currency=menu.currency,
        dishes=dishes,
        ignored=sorted(menu.ignored),
        journal_whole=whole,
    )


def write_packet(
    folder: Path, packet: Packet, entries: Sequence[Entry], clip: bytes | None, crops: dict[int, bytes], most_bytes: int
) -> Packet:
    """Write a bill's files into `folder`; what does not fit into `most_bytes` is left out, pictures first.

    Args:
        folder: exists.
        packet: of the bill.
        entries: its journal; empty where it was too long to keep.
        clip: the mp4, or None.
        crops: JPEG by track id.
        most_bytes: of all files together.

    Returns:
        The packet as written, with its files.

    Raises:
        OSError: the disk is full or gone.
    """
    files: dict[str, bytes] = {}
    if packet.journal_whole and entries:
        files[JOURNAL] = pack(entries)
    lines = []
    for line in packet.lines:
        picture = crops.get(line.track_id)
        name = f"line-{line.line_no}.jpg"
        if picture is not None and _size(files) + len(picture) <= most_bytes:
            files[name] = picture
            line = line.model_copy(update={"crop": name})
        lines.append(line)
    if clip is not None and _size(files) + len(clip) <= most_bytes:
        files[CLIP] = clip
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    whole = packet.journal_whole and JOURNAL in files
    written = packet.model_copy(update={"lines": lines, "files": hashes, "journal_whole": whole})
    for name, content in files.items():
        write_atomic(folder / name, content)
    write_atomic(folder / PACKET, json.dumps(written.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n")
    return written


def read_packet(folder: Path, check: bool = True) -> Packet:
    """Read a bill's packet.

    Args:
        folder: of the bill.
        check: whether to compare each file with its hash.

    Raises:
        DataError: there is none, it is damaged, or a file is not what was written.
    """
    path = folder / PACKET
    try:
        packet = Packet.model_validate_json(path.read_bytes())
    except FileNotFoundError as err:
        raise DataError(f"{folder}: holds no {PACKET}; give the folder of one bill's evidence") from err
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise FormatError(str(path), f"not a packet of this version: {where}: {first['msg']}") from err
    if packet.schema_version != _SCHEMA:
        raise FormatError(str(path), f"a packet of version {packet.schema_version}; this program reads {_SCHEMA}")
    if check:
        for name, expected in packet.files.items():
            file = folder / name
            if not file.is_file() or sha256_of(file) != expected:
                raise DataError(f"{file}: missing, or not what was written; this evidence cannot be relied upon")
    return packet


def read_journal(folder: Path, packet: Packet) -> list[Entry]:
    """Read everything that the policy was told.

    Raises:
        DataError: the bill was too long to keep its journal, or the file is damaged.
    """
    if JOURNAL not in packet.files:
        raise DataError(f"{folder}: the bill was too long for its journal to be kept; it cannot be decided again")
    path = folder / JOURNAL
    try:
        return unpack(path.read_bytes(), str(path))
    except OSError as err:
        raise DataError(f"{path}: cannot be read: {err.strerror}") from err


def _size(files: dict[str, bytes]) -> int:
    return sum(map(len, files.values()))
