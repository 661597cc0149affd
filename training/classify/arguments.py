"""Flags that the studies of classifiers share, and how flags become settings with errors that name the flag."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from core.errors import ConfigError
from training.finetune_command import Flag

SHARED = (
    Flag("--level", "photos.level", str, "coarse (default) or fine classes"),
    Flag("--classes", "photos.classes", str, "classes that take part; default: those with most photos", "NAME,…"),
    Flag("--most-classes", "photos.most_classes", int, "how many of these; default 12"),
    Flag("--most-photos", "photos.most_photos", int, "most photos of a class; default 40"),
    Flag("--test", "photos.test", float, "share of each class that is the fixed test part; default 0.35"),
    Flag("--size", "recipe.px", int, "side of the square that photos are cut to, in pixels; default 64"),
    Flag("--epochs", "recipe.epochs", int, "passes over the training photos; default 12"),
    Flag("--batch", "recipe.batch", int, "photos of a step; default 16"),
    Flag("--rate", "recipe.rate", float, "mean learning rate; default: found by a range test for each net and depth"),
    Flag("--depth-decay", "recipe.depth_decay", float, "deep: factor of the rate per stage off the head; default 0.5"),
    Flag("--seeds", "seeds", int, "runs of each cell; default 3"),
    Flag("--draws", "draws", int, "bootstrap draws of an interval; default 1000"),
    Flag("--threads", "threads", int, "CPU threads; default 1"),
)
SettingsT = TypeVar("SettingsT", bound=BaseModel)


def add_flags(parser: argparse.ArgumentParser, flags: Sequence[Flag]) -> None:
    """Add flags to a parser."""
    for flag in flags:
        parser.add_argument(flag.name, type=flag.kind, metavar=flag.metavar, help=flag.text)


def settings_of(args: argparse.Namespace, flags: Sequence[Flag], model: type[SettingsT]) -> SettingsT:
    """Return the settings that the flags ask for; a setting that is a tuple takes its parts between commas.

    Raises:
        ConfigError: a value is out of range; names the flag.
    """
    values: dict[str, Any] = {}
    names = {}
    for flag in flags:
        value = given(args, flag)
        if value is None:
            continue
        names[flag.key] = flag.name
        place = values
        *path, last = flag.key.split(".")
        for part in path:
            place = place.setdefault(part, {})
        many = flag.metavar is not None and flag.metavar.endswith(",…")
        place[last] = tuple(part.strip() for part in value.split(",") if part.strip()) if many else value
    try:
        return model.model_validate(values)
    except ValidationError as err:
        told = []
        for error in err.errors():
            key = ".".join(str(part) for part in error["loc"])
            name = next((names[known] for known in names if key.startswith(known)), key)
            # A rule of several settings stands at their group: name the flags of it that were given.
            if key in ("photos", "recipe", ""):
                name = ", ".join(n for known, n in names.items() if known.startswith(key)) or name
            told.append(f"{name}: {error['msg'].removeprefix('Value error, ')}" + _got(error["input"]))
        raise ConfigError("\n".join(dict.fromkeys(told))) from err


def given(args: argparse.Namespace, flag: Flag) -> Any:
    """Return what was typed for a flag, or None."""
    return getattr(args, flag.name.removeprefix("--").replace("-", "_"))


def weights_of(texts: Sequence[str] | None) -> dict[str, Path]:
    """Return the files of `--weights ARCH=FILE`.

    Raises:
        ConfigError: not of that form, or a net has two files.
    """
    files: dict[str, Path] = {}
    for text in texts or ():
        arch, found, path = text.partition("=")
        if not found or not arch or not path:
            raise ConfigError(f"--weights {text}: give it as ARCH=FILE, such as resnet18=resnet18.pth")
        if arch in files:
            raise ConfigError(f"--weights {arch}=…: given twice")
        files[arch] = Path(path)
    return files


def _got(value: Any) -> str:
    return "" if isinstance(value, dict) else f", got {value!r}"
