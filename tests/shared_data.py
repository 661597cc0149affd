"""Where real sets, videos and weights lie that some tests read: TRAYLANE_DATA, or shared/data beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("TRAYLANE_DATA") or ROOT.parent / "shared" / "data")
DATASETS = DATA / "datasets"

needs_datasets = pytest.mark.skipif(not DATASETS.is_dir(), reason=f"no {DATASETS}; set TRAYLANE_DATA")
