"""Decide a bill again from its packet: the same rules must give the same bill; others show what they would change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from checkout.basket import event_id_for
from checkout.evidence.journal import Answered, Corrected, Entry, Looked, Resized
from checkout.evidence.packet import Packet, read_journal, read_packet
from checkout.menu import Menu
from checkout.policy import Policy
from checkout.settings import CheckoutSettings
from checkout.zones import make_zones
from core.records import Bill, Decision, Gap


@dataclass(frozen=True)
class Rerun:
    """A bill decided again.

    Attributes:
        packet: what was kept.
        bill: what was decided now; None where no such bill came to be.
        decisions: of that bill, in order.
        event_ids: ids of their events, as the store has them.
        differences: one line each; none if the bill is the same.
    """

    packet: Packet
    bill: Bill | None
    decisions: tuple[Decision, ...]
    event_ids: tuple[str, ...]
    differences: tuple[str, ...]


def rerun(folder: Path, checkout: CheckoutSettings | None = None) -> Rerun:
    """Decide the bill of one packet again.

    Args:
        folder: of the bill.
        checkout: other thresholds to decide by; those of the packet if None.

    Raises:
        DataError: the packet is missing, damaged or without a journal.
    """
    packet = read_packet(folder)
    entries = read_journal(folder, packet)
    policy = Policy(
        packet.lane_id, packet.stream_key, checkout or packet.checkout, make_zones(packet.zones), packet.menu()
    )
    decisions: list[Decision] = []
    ids: list[str] = []
    closed: list[Bill] = []
    for entry in entries:
        now = _tell(policy, entry)
        decisions += now
        ids += [event_id_for(packet.lane_id, packet.stream_key, one, ordinal) for ordinal, one in enumerate(now)]
        closed += policy.take_closed()
    bill = next((one for one in closed if one.bill_id == packet.bill_id), None) or _overlapping(closed, packet)
    mine = [i for i, one in enumerate(decisions) if bill is not None and one.bill_id == bill.bill_id]
    return Rerun(
        packet, bill, tuple(decisions[i] for i in mine), tuple(ids[i] for i in mine), tuple(_differences(packet, bill))
    )


def _tell(policy: Policy, entry: Entry) -> list[Decision]:
    if isinstance(entry, Looked):
        return policy.decide(entry.tracks, entry.stream_s, entry.size)
    if isinstance(entry, Gap):
        return policy.gap(entry)
    if isinstance(entry, Answered):
        return policy.answer(entry.track_id, entry.dish, entry.stream_s, entry.utc_s)
    if isinstance(entry, Corrected):
        return policy.correct(entry.correction, entry.stream_s, entry.utc_s)
    if isinstance(entry, Menu):
        policy.change_menu(entry)
    elif isinstance(entry, Resized):
        policy.resize(entry.old, entry.new)
    else:
        policy.restore(entry)
    return []


def _overlapping(closed: Sequence[Bill], packet: Packet) -> Bill | None:
    """Return the bill that shares most time with the packet's: under other rules it may open at another moment."""

    def shared(bill: Bill) -> float:
        return min(bill.closed_s or 0.0, packet.closed_s) - max(bill.opened_s, packet.opened_s)

    best = max(closed, key=shared, default=None)
    return best if best is not None and shared(best) > 0 else None


def _differences(packet: Packet, bill: Bill | None) -> list[str]:
    if bill is None:
        return ["no bill came to be"]
    told = []
    before = {line.line_no: line for line in packet.lines}
    now = {line.line_no: line for line in bill.lines}
    for number in sorted(before.keys() | now.keys()):
        was, is_now = before.get(number), now.get(number)
        if was is None and is_now is not None:
            told.append(f"line {number}: {is_now.dish} is new")
        elif was is not None and is_now is None:
            told.append(f"line {number}: {was.dish} is gone")
        elif was is not None and is_now is not None:
            pairs = [(key, getattr(was, key), getattr(is_now, key)) for key in ("dish", "quantity", "unit_price")]
            pairs += [(key, getattr(was, key), getattr(is_now, key)) for key in ("track_id", "t_s", "confidence")]
            told += [f"line {number}: {key} {old} -> {new}" for key, old, new in pairs if old != new]
    whole = (("opened", "opened_s"), ("closed", "closed_s"), ("revision", "revision"), ("reason", "close_reason"))
    for title, key in whole:
        old, new = getattr(packet, key), getattr(bill, key)
        if old != new:
            told.append(f"{title}: {old} -> {new}")
    return told
