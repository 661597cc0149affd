"""Words of the command line that several verbs of the lab read in the same way."""

from __future__ import annotations

from core.errors import ConfigError


def size_of(text: str) -> tuple[int, int]:
    """Return width and height, in pixels.

    Raises:
        ConfigError: it does not say them.

    >>> size_of("320x192")
    (320, 192)
    """
    width, cross, height = text.partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise ConfigError(f"--size {text}: give width and height in pixels, such as 320x320")
    return int(width), int(height)
