"""The colours of the pages: every ink on every ground that it is used on has WCAG AA contrast, in both themes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CSS = (Path(__file__).resolve().parents[3] / "app" / "static" / "base.css").read_text()
TEXT, EDGE = 4.5, 3.0
PAIRS = [
    *[(ink, ground, TEXT) for ink in ("ink", "soft", "brand") for ground in ("ground", "card", "raised", "brand-bg")],
    ("ink", "new", TEXT),
    ("good", "good-bg", TEXT),
    ("warn", "warn-bg", TEXT),
    ("bad", "bad-bg", TEXT),
    ("bad", "card", TEXT),
    ("brand-ink", "brand", TEXT),
    ("field", "card", EDGE),
    ("focus", "card", EDGE),
    ("focus", "ground", EDGE),
]


def tokens(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))


def themes() -> dict[str, dict[str, str]]:
    blocks = re.findall(r"(:root[^{]*)\{([^}]*)\}", CSS)
    found = {selector.strip(): tokens(body) for selector, body in blocks}
    return {
        "light": found[":root"],
        "dark": found[':root[data-theme="dark"]'],
        "dark by the system": found[':root:not([data-theme="light"])'],
    }


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_black_on_white_is_the_known_figure():
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("ink", "ground", "least"), PAIRS)
def test_contrast(theme, ink, ground, least):
    colours = themes()[theme]
    got = contrast(colours[ink], colours[ground])
    assert got >= least, f"{theme}: {ink} on {ground} has {got:.2f} : 1"


def test_both_ways_to_the_dark_theme_are_the_same():
    assert themes()["dark"] == themes()["dark by the system"]
    assert set(themes()["dark"]) == set(themes()["light"])
