"""Class names that a person typed, held against those of a set."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from core.errors import ConfigError


def check_classes_known(asked: Sequence[str], labels: Sequence[str]) -> None:
    """Refuse a class that a set does not have.

    Raises:
        ConfigError: names the nearest ones.
    """
    for name in asked:
        if name not in labels:
            near = get_close_matches(name, labels, n=3) or list(labels[:8])
            raise ConfigError(f"--classes {name}: no such class; did you mean {', '.join(map(repr, near))}?")
