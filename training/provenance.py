"""Where a trained model comes from: `run.json`, written before the first step."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import torch

from core.files import sha256_of, write_atomic
from models.bare_onnx import find_model
from training.revision import commit as commit
from training.synthetic_set import Pictures


def write_run_card(
    out: Path,
    settings: Any,
    shape: dict[str, Any],
    train_sets: Sequence[Pictures],
    validation_set: Pictures,
    init: Path | None,
) -> None:
    """Write `out`/run.json: parameters, data hashes, commit, seed, threads and versions.

    Args:
        out: the run's folder.
        settings: a dataclass with at least `seed` and `threads`.
        shape: what fixes the net.
        train_sets: pictures learnt from, source by source.
        validation_set: pictures chosen by.
        init: checkpoint or card started from, or None.
    """
    if not is_dataclass(settings) or isinstance(settings, type):
        raise TypeError("settings must be an instance of a dataclass")
    parameters = asdict(settings)
    card = {
        "arch": "traynet",
        "shape": shape,
        "parameters": parameters,
        "seed": parameters["seed"],
        "threads": parameters["threads"],
        "data": {"train": [_described(pictures) for pictures in train_sets], "validation": _described(validation_set)},
        "init": None if init is None else init.name,
        "init_sha256": None if init is None else weights_sha256(init),
        "git": commit(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    write_atomic(out / "run.json", json.dumps(card, indent=2, sort_keys=True) + "\n")


def weights_sha256(init: Path) -> str:
    """Return the SHA-256 of a checkpoint's file, or of the weights that a card names."""
    return sha256_of(init) if init.suffix == ".pt" else find_model(str(init)).sha256


def _described(pictures: Pictures) -> dict[str, Any]:
    presets = {preset: pictures.presets.count(preset) for preset in sorted(set(pictures.presets))}
    return {
        "sha256": pictures.sha256,
        "pictures": len(pictures),
        "presets": presets,
        "seeds": [int(pictures.seeds.min()), int(pictures.seeds.max())],
        "labels": list(pictures.labels),
    }
