"""Ten thousand requests made from the OpenAPI document, half of them broken: no 5xx, no answer outside the document.

The appliance is a real lane with an open bill and stored bills, in this process; the store is SQLite on disk. The two
endless streams are left out (tests of the live feeds look at them).

    .venv/bin/python -m bench.api_fuzz [--cases 10000] [--seed 1]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from bench.results_file import row, write_results
from tests.api_fuzz import fuzz
from tests.api_site import api_site


def main() -> int:
    """Fuzz, write bench/results/api_fuzz.json, and say what is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="traylane-fuzz-") as name, api_site(Path(name), bills=40) as site:
        site.open_bill()
        told = fuzz(site.app, arguments.cases, arguments.seed)
    took_s = time.monotonic() - began_s
    rows = [
        row("cases", told.cases, "requests", 10_000),
        row("answers_5xx", sum(n for status, n in told.statuses.items() if status >= 500), "answers", 0, "lower"),
        row("operations_that_break_the_document", len(told.broken), "operations", 0, "lower"),
        row("seconds", took_s, "s"),
        *[row(f"answers_{status}", count, "answers") for status, count in sorted(told.statuses.items())],
    ]
    write_results("api_fuzz", rows)
    for operation, why in told.broken.items():
        print(f"\n{operation}\n{why[:2000]}")
    return 1 if told.broken else 0


if __name__ == "__main__":
    sys.exit(main())
