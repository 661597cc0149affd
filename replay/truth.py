"""What really happened in a recording: the TRUTH file, each part of which may be missing."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from core.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TruthItem:
    """One object and the time it spent in the zone, in stream seconds."""

    dish: str
    t_in_s: float
    t_out_s: float


@dataclass(frozen=True, slots=True)
class TruthBill:
    """What the cashier would have charged for one tray.

    Attributes:
        lines: dish -> quantity; empty for a tray that holds nothing to pay.
        t_in_s: stream seconds when the tray came into the zone, or None where nobody noted it.
        t_out_s: the same for its leaving.
    """

    lines: Mapping[str, int]
    t_in_s: float | None = None
    t_out_s: float | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """All that is known about a recording; None where a part was not noted.

    Attributes:
        fps: frames per second of the recording, for the frame numbers of `count_by_frame`.
        items: one entry per stay of an object in the zone.
        count_by_frame: (first frame, items from there on), ascending.
        bills: one per tray, in the order of the trays.
    """

    fps: float | None = None
    items: tuple[TruthItem, ...] | None = None
    count_by_frame: tuple[tuple[int, int], ...] | None = None
    bills: tuple[TruthBill, ...] | None = None

    @property
    def has_tray_times(self) -> bool:
        """Whether every tray says when it was there."""
        return bool(self.bills) and all(b.t_in_s is not None and b.t_out_s is not None for b in self.bills or ())


def load_truth(path: Path) -> Truth:
    """Read a TRUTH file.

    Raises:
        ConfigError: it is missing, not JSON, or a part has the wrong shape; names file and key.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as err:
        raise ConfigError(f"{path}: no such truth file; give an existing one with --truth, or leave it out") from err
    except json.JSONDecodeError as err:
        raise ConfigError(f"{path}:{err.lineno}: not valid JSON: {err.msg}") from err
    except UnicodeDecodeError as err:
        raise ConfigError(f"{path}: not UTF-8 text at byte {err.start}; a truth file is JSON") from err
    except OSError as err:
        raise ConfigError(f"{path}: cannot read the truth file: {err.strerror}") from err
    return parse_truth(content, str(path))


def parse_truth(content: object, name: str) -> Truth:
    """Check the decoded JSON of a truth file; `name` is what errors call the file. See `load_truth`."""
    if not isinstance(content, dict):
        raise ConfigError(f"{name}: a truth file is an object with fps, items, count_by_frame and bills")
    reader = _Reader(name)
    fps = None if content.get("fps") is None else reader.number(content["fps"], "fps")
    if fps is not None and fps <= 0:
        raise ConfigError(f"{name}: fps: must be above 0, got {fps}")
    items = reader.optional_list(content, "items", reader.item)
    counts = reader.optional_list(content, "count_by_frame", reader.count)
    bills = reader.optional_list(content, "bills", reader.bill)
    if counts is not None and fps is None:
        raise ConfigError(f"{name}: fps: needed to read count_by_frame; give the recording's frames per second")
    if counts is not None and any(a[0] >= b[0] for a, b in itertools.pairwise(counts)):
        raise ConfigError(f"{name}: count_by_frame: the frame numbers must ascend")
    return Truth(fps=fps, items=items, count_by_frame=counts, bills=bills)


@dataclass(frozen=True)
class _Reader:
    """Turns JSON values into records, with errors that name file and key."""

    name: str

    def fail(self, key: str, expected: str, value: object) -> ConfigError:
        return ConfigError(f"{self.name}: {key}: expected {expected}, got {json.dumps(value)[:60]}")

    def number(self, value: object, key: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.fail(key, "a number", value)
        return float(value)

    def whole(self, value: object, key: str) -> int:
        number = self.number(value, key)
        if number != int(number) or number < 0:
            raise self.fail(key, "a whole number of 0 or more", value)
        return int(number)

    def optional_list(
        self, content: Mapping[str, object], key: str, read: Callable[[object, str], T]
    ) -> tuple[T, ...] | None:
        value = content.get(key)
        if value is None:
            return None
        if not isinstance(value, list):
            raise self.fail(key, "a list", value)
        return tuple(read(entry, f"{key}[{i}]") for i, entry in enumerate(value))

    def item(self, value: object, key: str) -> TruthItem:
        if not isinstance(value, dict) or not isinstance(value.get("dish"), str):
            raise self.fail(key, '{"dish", "t_in_s", "t_out_s"}', value)
        t_in_s = self.number(value.get("t_in_s"), f"{key}.t_in_s")
        t_out_s = self.number(value.get("t_out_s"), f"{key}.t_out_s")
        if t_out_s < t_in_s:
            raise ConfigError(f"{self.name}: {key}: t_out_s {t_out_s} lies before t_in_s {t_in_s}")
        return TruthItem(value["dish"], t_in_s, t_out_s)

    def count(self, value: object, key: str) -> tuple[int, int]:
        if not isinstance(value, list) or len(value) != 2:
            raise self.fail(key, "[frame, items]", value)
        return self.whole(value[0], key), self.whole(value[1], key)

    def bill(self, value: object, key: str) -> TruthBill:
        lines = value.get("lines") if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(lines, dict):
            raise self.fail(key, '{"lines": {dish: quantity}}', value)
        quantities = {dish: self.whole(n, f"{key}.lines.{dish}") for dish, n in lines.items()}
        times = [None if value.get(k) is None else self.number(value[k], f"{key}.{k}") for k in ("t_in_s", "t_out_s")]
        if times[0] is not None and times[1] is not None and times[1] < times[0]:
            raise ConfigError(f"{self.name}: {key}: t_out_s {times[1]} lies before t_in_s {times[0]}")
        return TruthBill({dish: n for dish, n in quantities.items() if n}, times[0], times[1])
