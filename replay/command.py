"""The verb `traylane replay`: a recording through the pipeline of a lane, faster than real time."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(subparsers: Any) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "replay",
        help="run a recording through today's pipeline and judge it",
        description="Run a recording through the same pipeline as a live lane, faster than real time. Writes "
        "events.jsonl, bills.json, counts.csv, tracks.txt, metrics.json, marked.mp4 and report.html.",
    )
    parser.add_argument("clip", metavar="CLIP", help="the recording (mp4, mkv, ...)")
    parser.add_argument("--config", type=Path, metavar="CFG", help="site file; by default the shipped demo lane")
    parser.add_argument("--lane", metavar="NAME", help="which lane of the site file; by default its first")
    parser.add_argument("--model", metavar="NAME@VERSION", help="another model than the site file's")
    parser.add_argument(
        "--config-folder", type=Path, metavar="DIR", help="where relative paths of CFG start; by default beside it"
    )
    parser.add_argument("--truth", type=Path, metavar="TRUTH", help="what really happened, as JSON; makes the figures")
    parser.add_argument("--stride", type=int, default=1, metavar="K", help="decide every K-th frame only; default 1")
    parser.add_argument("--no-video", action="store_true", help="leave out marked.mp4, which takes the most time")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the verb; return the exit code.

    Raises:
        ConfigError: an argument, the site file, the truth or the out folder is not usable.
        ModelError: the model is not usable.
        SourceError, SourceRefused, SourceUnusable: the recording is not.
        StoreUnavailable: the disk is full.
    """
    from replay.run import Job, replay

    job = Job(
        clip=args.clip,
        out=args.out,
        config=args.config,
        lane=args.lane,
        model=args.model,
        folder=args.config_folder,
        truth=args.truth,
        stride=args.stride,
        video=not args.no_video,
    )
    figures = replay(job)
    print(summary(figures, args.out))
    return 0


def summary(figures: Any, out: Path) -> str:
    """Return the few lines that a person wants to read after a replay."""
    lines = [
        f"{figures['frames']} frames at {figures['replay_fps'] or 0:.1f} frames/s "
        f"({figures['realtime_factor'] or 0:.2f} x real time), {figures['bills']} bills, {figures['lines']} lines"
    ]
    known = {
        "wrong counts": figures["count_error"],
        "T4-F1": figures["t4"]["f1"],
        "cAcc": figures["cacc"],
        "money error a tray": figures["money"]["absolute"],
    }
    said = [f"{name} {value:.4g}" for name, value in known.items() if value is not None]
    if said:
        lines.append(", ".join(said))
    return "\n".join([*lines, f"{out}/report.html"])
