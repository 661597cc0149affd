"""A site's configuration file for tests, with one thing or another changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_DATA = Path(os.environ.get("TRAYLANE_DATA", _ROOT.parent / "shared" / "data"))
_NANO = _DATA / "detectors" / "yolox_nano.onnx"

needs_data = pytest.mark.skipif(not _NANO.is_file(), reason=f"{_NANO} is not there (set TRAYLANE_DATA)")

_SITE = """
store: {{url: "{store}", spool: "{folder}/spool"}}
web: {{port: {port}}}
models: {{detector: {{card: "{card}", device: "{device}"}}}}
menu: {{file: {menu}, store: "{folder}/menu"}}
record: {{evidence: {{folder: "{folder}/evidence"}}}}
lanes:
  lane1: {{source: {{url: "{source}", timeout_s: 2}}}}
"""


def write_site(folder: Path, **changes: object) -> Path:
    """Write a site that works into `folder`, `changes` apart, and return its path."""
    good = {
        "store": f"sqlite:///{folder}/lane.db",
        "folder": folder,
        "port": 0,
        "card": _ROOT / "configs" / "cards" / "yolox_nano.yaml",
        "device": "cpu",
        "menu": _ROOT / "configs" / "bottle-menu.yaml",
        "source": "synthetic://easy?seed=1&fps=20&size=320x180",
    }
    path = folder / "site.yaml"
    path.write_text(_SITE.format(**(good | changes)))
    return path
