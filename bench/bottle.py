"""The bottle clip through the product: counts, removals and returns, at every, every 2nd and every 6th frame.

    python -m bench.bottle [--config configs/bottle.yaml] [--keep FOLDER]

Runs `traylane replay` in process at strides 1, 2 and 6, and stride 1 twice for the byte comparison. Truth is made at
run time from `videos/intel-bottle-detection.events.json`. Reference moments, in the clip's own seconds:

- a removal is due at `done_frame`, when the bottle has left the table for good (its count changes there);
- a return is due at `lift_or_enter_frame`, when the bottle comes into the picture (its count changes there).

Writes bench/results/bottle.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.results_file import ROOT, row, write_results
from replay.run import Job, replay

DATA = Path(os.environ.get("TRAYLANE_DATA", ROOT.parent / "shared" / "data"))
CLIP = DATA / "videos" / "intel-bottle-detection.mp4"
TRUTH = DATA / "videos" / "intel-bottle-detection.events.json"
STRIDES = (1, 2, 6)
#: Bars of the yardstick: share of wrong frames by stride, seconds of delay, bottles at the end.
WRONG_SHARE = {1: 0.02, 2: 0.04, 6: 0.04}
DELAY_S = 0.7
LAST_BILL = 3
#: An event that is further from its moment than this is another event.
REACH_S = 2.0


def truth_of(events: dict[str, Any]) -> dict[str, Any]:
    """Return the TRUTH file of the clip: the count, and one item per stay of a bottle on the table."""
    fps = events["fps"]
    since = {"left": 0, "mid": 0, "right": 0}
    stays = []
    for event in events["events"]:
        if event["type"] == "REMOVE":
            stays.append((since.pop(event["slot"]), event["done_frame"]))
        else:
            since[event["slot"]] = event["lift_or_enter_frame"]
    stays += [(start, events["frames"]) for start in since.values()]
    items = [{"dish": "bottle", "t_in_s": a / fps, "t_out_s": b / fps} for a, b in sorted(stays)]
    return {
        "fps": fps,
        "count_by_frame": events["visible_count_by_frame"],
        "items": items,
        "bills": [{"lines": {"bottle": LAST_BILL}, "t_in_s": 0.0, "t_out_s": events["frames"] / fps}],
    }


def due_moments(events: dict[str, Any]) -> list[tuple[str, float]]:
    """Return (event kind, second) of every true removal and return, in order."""
    moments = []
    for event in events["events"]:
        removal = event["type"] == "REMOVE"
        frame = event["done_frame"] if removal else event["lift_or_enter_frame"]
        moments.append(("line_remove" if removal else "line_add", frame / events["fps"]))
    return moments


def delays(told: Sequence[tuple[str, float]], due: Sequence[tuple[str, float]]) -> list[float | None]:
    """Return for each due moment the seconds until its event (negative: told before), None where none came.

    Each event answers one moment; moments take the nearest event of their kind within reach, in order.
    """
    free = list(told)
    found: list[float | None] = []
    for kind, at_s in due:
        near = [event for event in free if event[0] == kind and abs(event[1] - at_s) <= REACH_S]
        best = min(near, key=lambda event: abs(event[1] - at_s), default=None)
        if best is not None:
            free.remove(best)
        found.append(None if best is None else best[1] - at_s)
    return found


def rows_of(stride: int, out: Path, figures: dict[str, Any], events: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the bench rows of one replay from the files it wrote."""
    told = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    changes = [(event["kind"], event["t_s"]) for event in told if event["kind"] in ("line_add", "line_remove")]
    due = due_moments(events)
    found = delays([change for change in changes if change[1] > 1.0 or change[0] == "line_remove"], due)
    late: dict[str, list[float | None]] = {"line_remove": [], "line_add": []}
    for (kind, _), delay in zip(due, found, strict=True):
        late[kind].append(delay)
    last = json.loads((out / "bills.json").read_text())[-1]
    bottles = sum(line["quantity"] for line in last["lines"] if line["dish"] == "bottle")
    adds = sum(kind == "line_add" for kind, _ in changes)
    true_adds = LAST_BILL + len(late["line_add"])
    name = f"stride{stride}"
    rows = [
        row(f"count_error_{name}", figures["count_error"], "share", WRONG_SHARE[stride], "lower"),
        row(f"removals_{name}", sum(d is not None for d in late["line_remove"]), "of 4", 4),
        row(f"returns_{name}", sum(d is not None for d in late["line_add"]), "of 4", 4),
    ]
    for kind, moment in (("line_remove", "removal"), ("line_add", "return")):
        known = [abs(d) for d in late[kind] if d is not None]
        rows.append(row(f"{moment}_delay_max_{name}", max(known, default=None), "s", DELAY_S, "lower"))
        rows += [row(f"{moment}_{i}_delay_{name}", d, "s") for i, d in enumerate(late[kind], start=1)]
    rows += [
        row(f"last_bill_{name}", bottles, "bottles", LAST_BILL),
        row(f"extra_lines_{name}", adds - true_adds, "lines"),
        row(f"extra_removals_{name}", len(changes) - adds - len(late["line_remove"]), "lines"),
        row(f"foreign_lines_{name}", sum(line["dish"] != "bottle" for line in last["lines"]), "lines"),
        row(f"bills_{name}", figures["bills"], "bills", 1),
    ]
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench; return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "bottle.yaml")
    parser.add_argument("--keep", type=Path, help="folder to keep the replays in")
    args = parser.parse_args(arguments)
    events = json.loads(TRUTH.read_text(encoding="utf-8"))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        truth = folder / "truth.json"
        truth.write_text(json.dumps(truth_of(events)), encoding="utf-8")
        for stride in STRIDES:
            out = folder / f"stride{stride}"
            figures = replay(Job(str(CLIP), out, config=args.config, truth=truth, stride=stride, video=False))
            rows += rows_of(stride, out, figures, events)
            if stride == 1:
                rows.append(row("count_error", figures["count_error"], "share", WRONG_SHARE[1], "lower"))
                rows.append(row("replay_fps", figures["replay_fps"], "frames/s"))
        again = folder / "again"
        replay(Job(str(CLIP), again, config=args.config, truth=truth, video=False))
        same = (again / "events.jsonl").read_bytes() == (folder / "stride1" / "events.jsonl").read_bytes()
        rows.append(row("events_byte_identical", int(same), "yes/no", 1))
    write_results("bottle", rows)
    missed = [line["name"] for line in rows if not holds(line)]
    if missed:
        print("missed: " + ", ".join(missed))
    return 1 if missed else 0


def holds(line: dict[str, Any]) -> bool:
    """Return whether a row reaches its mark; rows of surplus lines have the mark zero."""
    if line["name"].startswith(("extra_", "foreign_")):
        return bool(line["value"] == 0)
    if line["reference"] is None:
        return True
    if line["value"] == 0:  # a ratio to zero is not defined: nothing wrong is right, nothing found is not
        return line["unit"] == "share"
    return line["ratio"] is not None and line["ratio"] >= 1


if __name__ == "__main__":
    sys.exit(main())
