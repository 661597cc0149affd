"""Write one bench's figures to `bench/results/NAME.json`, with the date, the machine and its load.

Every bench goes through `write_results`, so that all files have the one shape that the contract names:
`{date, machine, load, commit, rows: [{name, value, unit, reference, ratio}]}`.
"""

from __future__ import annotations

import datetime
import json
import math
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.files import write_atomic

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"


def row(
    name: str, value: float | int | None, unit: str, reference: float | None = None, better: str = "higher"
) -> dict[str, Any]:
    """Return one figure beside its mark.

    Args:
        name: of the figure, lower case with underscores; stable, other programs look it up.
        value: what was measured; None where it could not be, shown as null.
        unit: such as "ms", "frames/s", "ratio".
        reference: the mark to beat, or None.
        better: "higher" or "lower"; the ratio is made so that more than 1 beats the mark.
    """
    if better not in ("higher", "lower"):
        raise ValueError(f"better must be 'higher' or 'lower', got {better!r}")
    ratio = None
    if value is not None and reference is not None:
        over, under = (value, reference) if better == "higher" else (reference, value)
        ratio = over / under if under else None
    return {
        "name": name,
        "value": _rounded(value),
        "unit": unit,
        "reference": _rounded(reference),
        "ratio": _rounded(ratio),
    }


def write_results(name: str, rows: Sequence[dict[str, Any]], folder: Path = RESULTS) -> Path:
    """Write `rows` (see `row`) to `folder`/`name`.json, print them, and return the path."""
    content = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": machine(),
        "load": [round(value, 2) for value in os.getloadavg()],
        "commit": commit(),
        "rows": list(rows),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    write_atomic(path, (json.dumps(content, indent=2) + "\n").encode())
    for line in rows:
        mark = "" if line["reference"] is None else f"  (mark {line['reference']:g}, ratio {line['ratio']})"
        print(f"{name:>12}  {line['name']:<36} {line['value']!s:>10} {line['unit']}{mark}")
    return path


def machine() -> str:
    """Return the processor's name and how many cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_processor()}, {cores} cores, Python {platform.python_version()}"


def commit() -> str:
    """Return the commit of the checkout, with "+" when files differ from it; "" outside a checkout."""
    head = _git("rev-parse", "--short=12", "HEAD")
    return head + ("+" if head and _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _rounded(value: float | int | None) -> float | int | None:
    """Round to four significant digits; NaN and infinity, which JSON does not know, become None."""
    if value is None or isinstance(value, int):
        return value
    return float(f"{value:.4g}") if math.isfinite(value) else None
