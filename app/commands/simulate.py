"""`traylane simulate`: a video of the synthetic lane with its truth."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from core.errors import ConfigError

_SIZE = re.compile(r"(\d{2,4})x(\d{2,4})")


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of `traylane simulate`."""
    parser = subparsers.add_parser(
        "simulate",
        help="render the synthetic lane to a video with its truth",
        description="Render the synthetic canteen lane: OUT/lane.mp4, OUT/truth.json and, with --coco, OUT/coco.",
    )
    parser.add_argument("--seed", type=int, default=1, help="equal seeds give equal lanes (default: %(default)s)")
    parser.add_argument("--trays", type=int, default=5, help="how many trays come (default: %(default)s)")
    parser.add_argument(
        "--preset", choices=("easy", "medium", "hard"), default="medium", help="how difficult (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write to, made if missing")
    parser.add_argument("--coco", action="store_true", help="also write every tenth frame as a COCO folder")
    parser.add_argument("--fps", type=float, default=20.0, help="frames per second (default: %(default)s)")
    parser.add_argument("--size", default="640x360", help="width x height in pixels (default: %(default)s)")
    parser.add_argument(
        "--zone",
        choices=("frame", "stop"),
        default="frame",
        help="what the truth takes for the tray zone: the whole frame, as `traylane replay` does without a "
        "configuration, or the stop position, as configs/demo.yaml does, where trays also wait in sight (default: "
        "%(default)s)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Render; return the exit code."""
    from tqdm import tqdm

    from streams.synthetic.export import write_lane

    size = _SIZE.fullmatch(args.size)
    if size is None or min(int(size[1]), int(size[2])) < 64:
        raise ConfigError(f"--size {args.size!r} is not like 640x360, each side 64 or more")
    if args.trays < 1 or args.seed < 0 or not 1 <= args.fps <= 120:
        raise ConfigError("--trays must be 1 or more, --seed 0 or more, --fps 1 to 120")
    with tqdm(total=args.trays, unit="tray", disable=not sys.stderr.isatty()) as bar:

        def show(frames: int, trays: int) -> None:
            bar.update(trays - bar.n)
            bar.set_postfix(frames=frames, refresh=False)

        written = write_lane(
            args.seed,
            args.trays,
            args.preset,
            args.out,
            args.coco,
            int(size[1]),
            int(size[2]),
            args.fps,
            on_frame=show,
            whole_frame=args.zone == "frame",
        )
    for path in written:
        print(path)
    return 0
