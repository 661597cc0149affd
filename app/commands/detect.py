"""The verb `traylane detect`: run a model over pictures and videos, write COCO results."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(subparsers: Any) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "detect",
        help="run a model over pictures and videos",
        description="Run a model over pictures, videos and folders of them; write COCO results as JSON.",
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="picture, video, or folder of them")
    parser.add_argument(
        "--model", required=True, metavar="CARD_OR_ONNX", help="shipped model, model card or .onnx file"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="where the results go (JSON)")
    parser.add_argument("--min-score", type=float, default=0.1, help="leave out what scores less; default 0.1")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N; default auto")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; default 1")
    parser.add_argument("--stride", type=int, default=1, help="use every K-th frame of videos; default 1")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the verb; return the exit code. Raises what `app.detect.run` raises."""
    # Here, so that the list of verbs does not wait for OpenCV and ONNX Runtime.
    from app import detect

    return detect.run(args)
