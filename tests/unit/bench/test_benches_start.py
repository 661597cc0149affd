"""Every bench can be imported: one that cannot is found here, not on the day of the measurement."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import bench

FOLDER = Path(bench.__path__[0])
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("name", NAMES)
def test_the_bench_can_be_imported(name: str) -> None:
    assert importlib.import_module(f"bench.{name}").__doc__
