"""Everything that a policy was told, in order: from this alone its bills can be decided again, bit by bit.

A policy is a deterministic machine; its inputs are the tracks of each frame, gaps, answers and what an earlier process
left. The journal lies between pipeline and policy, notes each input and passes it on. It begins with the policy (an
epoch of the pipeline) and so covers a bill from before its first item. Tracks are immutable records: noting one is
keeping a reference.

On disk the tracks are columns of doubles, ordered by track, so that neighbours in time are neighbours in the file; each
is XORed with the one before and the bytes are sorted by significance, which leaves mostly zeros of what lies still
(the "byte shuffle" of Blosc and HDF5). No value is rounded: rounded tracks would decide otherwise now and then.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from checkout.correction import Action, Correction
from checkout.menu import Dish, Menu
from checkout.policy import Policy
from checkout.presence import FrameSize
from core.errors import FormatError
from core.records import Bill, Decision, Gap, LineItem, Track, Tracks, TrackState

#: Beyond this many frames since the pipeline's epoch began a bill's journal is not kept: memory has an end.
MOST_FRAMES = 12_000
_STATES = tuple(TrackState)
#: Columns of a track: step, id, box (4), velocity (2), score, flags, visibility, first and last seen.
_FIXED = 13
_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Looked:
    """One frame: what `Policy.decide` was given."""

    tracks: Tracks
    stream_s: float
    size: FrameSize


@dataclass(frozen=True, slots=True)
class Answered:
    """What `Policy.answer` was given."""

    track_id: int
    dish: str
    stream_s: float
    utc_s: float


@dataclass(frozen=True, slots=True)
class Resized:
    """What `Policy.resize` was given."""

    old: FrameSize
    new: FrameSize


@dataclass(frozen=True, slots=True)
class Corrected:
    """What `Policy.correct` was given."""

    correction: Correction
    stream_s: float
    utc_s: float


Entry = Looked | Gap | Answered | Corrected | Resized | Bill | Menu


class JournalSink(Protocol):
    """Who wants the journals of closed bills; called in the lane's working thread, so it only takes note."""

    def note(self, bill: Bill, entries: Sequence[Entry], whole: bool) -> None:
        """Take the journal of a bill that has just closed; `whole` is False where there was too much to keep."""
        ...


class JournalledPolicy:
    """A policy whose inputs are noted; it decides exactly what the policy inside decides.

    Args:
        policy: fresh.
        sink: gets each bill that closes, with everything that was noted up to then.
        menu: that the policy was made with.
    """

    def __init__(self, policy: Policy, sink: JournalSink, menu: Menu) -> None:
        self._policy, self._sink = policy, sink
        self._entries: list[Entry] = [menu]
        self._whole = True

    @property
    def bill(self) -> Bill | None:
        """The open bill."""
        return self._policy.bill

    @property
    def items_in_zone(self) -> int:
        """How many items are in the tray zone."""
        return self._policy.items_in_zone

    @property
    def quiet(self) -> bool:
        """Whether nothing would be lost if this policy began anew."""
        return self._policy.quiet

    def take_closed(self) -> tuple[Bill, ...]:
        """Return the bills that were closed since the last call, and hand their journals on."""
        closed = self._policy.take_closed()
        for bill in closed:
            self._sink.note(bill, tuple(self._entries), self._whole)
        return closed

    def restore(self, bill: Bill) -> None:
        """Go on with a bill that an earlier process left open."""
        self._note(bill)
        self._policy.restore(bill)

    def gap(self, gap: Gap) -> list[Decision]:
        """Take note of a break in the stream."""
        self._note(gap)
        return self._policy.gap(gap)

    def resize(self, old: FrameSize, new: FrameSize) -> None:
        """Take note that the frames have another size from now on."""
        self._note(Resized(old, new))
        self._policy.resize(old, new)

    def change_menu(self, menu: Menu) -> None:
        """Go on with another menu."""
        self._note(menu)
        self._policy.change_menu(menu)

    def decide(self, tracks: Tracks, stream_s: float, size: FrameSize) -> list[Decision]:
        """Take one frame's tracks and return what they change."""
        self._note(Looked(tracks, stream_s, size))
        return self._policy.decide(tracks, stream_s, size)

    def answer(self, track_id: int, dish: str, stream_s: float, utc_s: float) -> list[Decision]:
        """Take a person's answer."""
        self._note(Answered(track_id, dish, stream_s, utc_s))
        return self._policy.answer(track_id, dish, stream_s, utc_s)

    def correct(self, correction: Correction, stream_s: float, utc_s: float) -> list[Decision]:
        """Take a person's correction of the open bill. Raises what `Policy.correct` raises; then nothing is noted."""
        decisions = self._policy.correct(correction, stream_s, utc_s)
        self._note(Corrected(correction, stream_s, utc_s))
        return decisions

    def _note(self, entry: Entry) -> None:
        if len(self._entries) >= MOST_FRAMES:
            self._whole = False
            self._entries.clear()
        if self._whole:
            self._entries.append(entry)


def pack(entries: Sequence[Entry]) -> bytes:
    """Return the entries as compressed bytes; `unpack` gives equal ones back."""
    names: dict[str, int] = {}
    rows: list[tuple[float, ...]] = []
    beliefs: list[list[float]] = []
    steps: list[dict[str, object]] = []
    for entry in entries:
        steps.append(_step(entry))
        if isinstance(entry, Looked):
            for track in entry.tracks.tracks:
                rows.append(_row(len(steps) - 1, track))
                pairs = ((names.setdefault(label, len(names)), share) for label, share in track.posterior)
                beliefs.append([float(number) for pair in pairs for number in pair])
    table = np.asarray(rows, np.float64).reshape(-1, _FIXED)
    order = np.lexsort((table[:, 0], table[:, 1]))
    posterior = np.asarray([number for i in order.tolist() for number in beliefs[i]], np.float64).reshape(-1, 2)
    head = {"schema": _SCHEMA, "labels": list(names), "steps": steps, "tracks": len(table), "beliefs": len(posterior)}
    text = json.dumps(head, separators=(",", ":"), allow_nan=False).encode()
    numbers = np.concatenate([_shuffled(table[order].T.ravel()), _shuffled(posterior.T.ravel())])
    payload = len(text).to_bytes(4, "big") + text + numbers.tobytes()
    return lzma.compress(payload, format=lzma.FORMAT_XZ, preset=1)


def unpack(packed: bytes, name: str) -> list[Entry]:
    """Return the entries that `pack` was given.

    Raises:
        FormatError: the bytes are damaged or of a later program; names `name`.
    """
    try:
        payload = lzma.decompress(packed)
        length = int.from_bytes(payload[:4], "big")
        head = json.loads(payload[4 : 4 + length])
        if head["schema"] != _SCHEMA:
            raise FormatError(name, f"a journal of version {head['schema']}; this program reads {_SCHEMA}")
        count = head["tracks"]
        numbers = np.frombuffer(payload, np.uint8, offset=4 + length)
        cut = count * _FIXED * 8
        table = _unshuffled(numbers[:cut]).reshape(_FIXED, count).T
        posterior = _unshuffled(numbers[cut:]).reshape(2, head["beliefs"]).T
        return _entries(head, table, posterior)
    except (lzma.LZMAError, ValueError, KeyError, TypeError, IndexError) as err:
        if isinstance(err, FormatError):
            raise
        raise FormatError(name, f"damaged: {err}; the bill cannot be decided again from it") from err


def _step(entry: Entry) -> dict[str, object]:
    if isinstance(entry, Looked):
        tracks = entry.tracks
        step: dict[str, object] = {"f": tracks.frame_index, "u": tracks.captured_at_s, "s": entry.stream_s}
        step |= {"wh": entry.size, "n": len(tracks.tracks)}
        if tracks.removed:
            step["gone"] = tracks.removed
        return step
    if isinstance(entry, Gap):
        return {"gap": [entry.lane_id, entry.from_s, entry.to_s, entry.stream_s, entry.reason]}
    if isinstance(entry, Answered):
        return {"answer": [entry.track_id, entry.dish, entry.stream_s, entry.utc_s]}
    if isinstance(entry, Corrected):
        one = entry.correction
        said = [one.bill_id, str(one.action), one.line_no, one.dish, one.by, one.reason, one.revision]
        return {"correct": [*said, entry.stream_s, entry.utc_s]}
    if isinstance(entry, Menu):
        dishes = [[one.name, one.title, one.price, one.plu, one.category] for one in entry.dishes.values()]
        return {"menu": [entry.currency, dishes, sorted(entry.ignored), sorted(entry.off_today), entry.revision]}
    if isinstance(entry, Resized):
        return {"resize": [entry.old, entry.new]}
    lines = [
        [one.line_no, one.track_id, one.dish, one.quantity, one.unit_price, one.t_s, one.confidence, one.box]
        for one in entry.lines
    ]
    times = [entry.opened_s, entry.closed_s, entry.opened_at_s, entry.closed_at_s]
    return {"bill": [entry.bill_id, entry.lane_id, *times, entry.revision, lines, entry.close_reason]}


def _row(step: int, track: Track) -> tuple[float, ...]:
    return (
        *(step, track.track_id, *track.box, *track.velocity_px_s, track.score),
        # Small whole numbers share one column: state, matched, and how many labels follow.
        float(_STATES.index(track.state) * 2 + track.matched + 16 * len(track.posterior)),
        *(track.visibility, track.first_seen_s, track.last_seen_s),
    )


def _entries(head: dict[str, Any], table: NDArray[np.float64], posterior: NDArray[np.float64]) -> list[Entry]:
    """Return the entries; tracks and posteriors come ordered by track."""
    labels = [str(label) for label in head["labels"]]
    seen: dict[int, list[Track]] = {}
    at = 0
    for row in table.tolist():
        count = int(row[9]) // 16
        pairs = tuple((labels[int(index)], share) for index, share in posterior[at : at + count].tolist())
        seen.setdefault(int(row[0]), []).append(_track(row, pairs))
        at += count
    entries: list[Entry] = []
    for number, step in enumerate(head["steps"]):
        if "f" not in step:
            entries.append(_told(step))
            continue
        tracks = tuple(seen.get(number, ()))
        if len(tracks) != step["n"]:
            raise ValueError(f"{len(tracks)} tracks at step {number}, {step['n']} announced")
        looked = Tracks(step["f"], step["u"], tracks, tuple(step.get("gone", ())))
        entries.append(Looked(looked, step["s"], tuple(step["wh"])))
    return entries


def _track(row: list[float], posterior: tuple[tuple[str, float], ...]) -> Track:
    flags = int(row[9]) % 16
    return Track(
        track_id=int(row[1]),
        box=(row[2], row[3], row[4], row[5]),
        velocity_px_s=(row[6], row[7]),
        score=row[8],
        state=_STATES[flags // 2],
        visibility=row[10],
        posterior=posterior,
        first_seen_s=row[11],
        last_seen_s=row[12],
        matched=bool(flags % 2),
    )


def _told(step: dict[str, Any]) -> Entry:
    (kind, given), *_ = step.items()
    if kind == "gap":
        return Gap(*given)
    if kind == "answer":
        return Answered(*given)
    if kind == "correct":
        bill_id, action, line_no, dish, by, reason, revision, stream_s, utc_s = given
        return Corrected(Correction(bill_id, Action(action), line_no, dish, by, reason, revision), stream_s, utc_s)
    if kind == "menu":
        currency, dishes, ignored, off_today, revision = given
        known = {name: Dish(name, title, price, plu, category) for name, title, price, plu, category in dishes}
        return Menu(currency, known, frozenset(ignored), frozenset(off_today), revision)
    if kind == "resize":
        return Resized(*(tuple(size) for size in given))
    if kind != "bill":
        raise ValueError(f"unknown step {kind!r}")
    *start, lines, reason = given
    items = []
    for line_no, track_id, dish, quantity, price, t_s, confidence, box in lines:
        items.append(LineItem(line_no, track_id, dish, quantity, price, t_s, confidence, tuple(box)))
    bill_id, lane_id, opened_s, closed_s, opened_at_s, closed_at_s, revision = start
    return Bill(bill_id, lane_id, opened_s, closed_s, opened_at_s, closed_at_s, revision, tuple(items), reason)


def _shuffled(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return doubles as bytes: each XORed with the one before, sorted by significance."""
    bits = values.view(np.uint64).copy()
    bits[1:] ^= values.view(np.uint64)[:-1]
    return np.ascontiguousarray(bits.view(np.uint8).reshape(-1, 8).T).ravel()


def _unshuffled(shuffled: NDArray[np.uint8]) -> NDArray[np.float64]:
    bits = np.ascontiguousarray(shuffled.reshape(8, -1).T).view(np.uint64).ravel()
    return np.bitwise_xor.accumulate(bits).view(np.float64)
