"""The verb `traylane evidence`: why is a bill what it is? Look at what was kept of it, decide it again, erase it."""

from __future__ import annotations

import argparse
import datetime
import getpass
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from checkout.evidence.archive import Archive
    from checkout.settings import CheckoutSettings


def add(subparsers: Any) -> None:
    """Add the verb and its own verbs to the command line."""
    parser = subparsers.add_parser(
        "evidence",
        help="list, show and erase what was kept of bills, and decide a bill again",
        description="Of each bill a clip, a picture of each line and everything that the decisions were made from is "
        "kept for `record.evidence.days`. From these a bill can be decided again, bit by bit.",
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    listing = _verb(verbs, "list", "whose evidence there is, oldest first", _list)
    listing.add_argument("--lane", help="of this lane only")
    show = _verb(verbs, "show", "what was kept of one bill, and its files", _show)
    show.add_argument("bill", metavar="BILL", help="id of the bill")
    again = _verb(verbs, "rerun", "decide a bill again; exit code 1 if it comes out otherwise", _rerun)
    again.add_argument("bill", metavar="BILL", nargs="+", help="id of the bill, or all for each that there is")
    again.add_argument(
        "--with", dest="other", type=Path, metavar="CONFIG", help="decide by the first lane's rules of this file"
    )
    erase = _verb(verbs, "erase", "remove pictures and journal of a bill for good; hashes stay", _erase)
    erase.add_argument("bill", metavar="BILL", nargs="+", help="id of the bill")
    erase.add_argument("--reason", required=True, help="why; it is written down")
    _verb(verbs, "sweep", "remove what is older than record.evidence.days now", _sweep)


def _verb(verbs: Any, name: str, told: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=told, description=told[0].upper() + told[1:] + ".")
    parser.add_argument("--config", type=Path, help="configuration file; the shipped configs/lane.yaml if left out")
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.set_defaults(run=run)
    return parser


def _archive(args: argparse.Namespace) -> tuple[Archive, float]:
    """Return the archive of the configuration, and how many days it keeps."""
    from checkout.build import DEFAULT_CONFIG
    from checkout.config import load_config
    from checkout.evidence.archive import Archive

    settings = load_config(args.config or DEFAULT_CONFIG).site.record.evidence
    return Archive(settings.folder), settings.days


def _list(args: argparse.Namespace) -> int:
    archive, _ = _archive(args)
    rows = [
        {"bill_id": one.bill_id, "lane_id": one.lane_id, "day": one.day.isoformat(), "erased": one.erased}
        for one in archive.places(args.lane)
    ]
    if args.json:
        print(json.dumps({"evidence": rows}, indent=1))
        return 0
    for row in rows:
        print(f"{row['day']}  {row['lane_id']:12}  {row['bill_id']}{'  erased' if row['erased'] else ''}")
    print(f"{len(rows)} bills in {archive.folder}")
    return 0


def _show(args: argparse.Namespace) -> int:
    from checkout.evidence.archive import ERASED
    from checkout.evidence.packet import read_packet

    archive, _ = _archive(args)
    place = archive.find(args.bill)
    if place.erased:
        print((place.folder / ERASED).read_text())
        return 0
    packet = read_packet(place.folder)
    if args.json:
        print(packet.model_dump_json(indent=1))
        return 0
    when = datetime.datetime.fromtimestamp(packet.closed_at_s, datetime.UTC)
    print(f"bill {packet.bill_id} of {packet.lane_id}, closed {when:%Y-%m-%d %H:%M:%S} UTC: {packet.close_reason}")
    for line in packet.lines:
        title = packet.dishes[line.dish].title if line.dish in packet.dishes else line.dish
        crop = line.crop or "no picture"
        print(f"  {line.line_no:2}  {title:28} {line.unit_price:8.2f}  {line.confidence:.2f}  {crop}")
    print(f"decided by {packet.model} with configuration {packet.config_sha256[:12]}")
    for name, sha256 in packet.files.items():
        print(f"  {sha256[:12]}  {(place.folder / name).stat().st_size:8}  {place.folder / name}")
    return 0


def _rerun(args: argparse.Namespace) -> int:
    from checkout.evidence.rerun import rerun

    archive, _ = _archive(args)
    rules = None if args.other is None else _rules_of(args.other)
    bills = args.bill
    if bills == ["all"]:
        bills = [place.bill_id for place in archive.places() if not place.erased]
    changed, rows = 0, []
    for bill_id in bills:
        done = rerun(archive.find(bill_id).folder, rules)
        changed += bool(done.differences)
        rows.append({"bill_id": bill_id, "decisions": len(done.decisions), "differences": list(done.differences)})
        if not args.json:
            verdict = "differs" if done.differences else f"the same, {len(done.decisions)} decisions"
            print(f"{bill_id}: {verdict}")
            for difference in done.differences:
                print(f"  {difference}")
    if args.json:
        print(json.dumps({"rerun": rows}, indent=1))
    elif len(bills) > 1:
        print(f"{len(bills)} bills decided again, {changed} differ")
    return 1 if changed else 0


def _rules_of(path: Path) -> CheckoutSettings:
    from checkout.config import load_config

    return load_config(path).lane()[1].checkout


def _erase(args: argparse.Namespace) -> int:
    archive, _ = _archive(args)
    for bill_id in args.bill:
        left = archive.erase(bill_id, getpass.getuser(), args.reason, time.time())
        print(f"{bill_id}: erased; its hashes stay in {left}")
    return 0


def _sweep(args: argparse.Namespace) -> int:
    archive, days = _archive(args)
    removed = archive.sweep(time.time(), days)
    print(f"removed the evidence of {removed} bills older than {days:g} days from {archive.folder}")
    return 0
