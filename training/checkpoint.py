"""Weights and the state of a run on disk: whole or absent, and refused when they belong to another net."""

from __future__ import annotations

import io
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import torch

from core.errors import ConfigError, ModelNotFound
from core.files import write_atomic
from training.traynet import TrayNet, TrayNetShape


class RunState(Protocol):
    """The counters of a run, as `train_traynet.Progress` has them."""

    step: int
    planned_steps: int
    spent_s: float
    best: float


def save_checkpoint(
    path: Path,
    net: TrayNet,
    mean_net: TrayNet,
    optimiser: torch.optim.Optimizer | None,
    progress: RunState,
    labels: tuple[str, ...],
) -> None:
    """Write the run's state; without an optimiser only what is needed to use the weights."""
    content: dict[str, Any] = {
        "arch": "traynet",
        "shape": asdict(net.shape),
        "labels": list(labels),
        "weights": mean_net.state_dict(),
        "progress": {name: getattr(progress, name) for name in ("step", "planned_steps", "spent_s", "best")},
    }
    if optimiser is not None:
        content |= {"net": net.state_dict(), "optimiser": optimiser.state_dict(), "torch_rng": torch.get_rng_state()}
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomic(path, buffer.getvalue())


def load_checkpoint(
    path: Path,
    net: TrayNet,
    mean_net: TrayNet,
    optimiser: torch.optim.Optimizer,
    progress: RunState,
    labels: tuple[str, ...],
) -> None:
    """Restore a run from `last.pt` into the objects given.

    Raises:
        ModelNotFound: no such file.
        ConfigError: it belongs to another net, or has no optimiser's state.
    """
    content = _read(path)
    _check_fits(content, net, labels, path)
    if "optimiser" not in content:
        raise ConfigError(f"{path}: holds weights only; resume from a last.pt, or start anew with --init")
    net.load_state_dict(content["net"])
    mean_net.load_state_dict(content["weights"])
    optimiser.load_state_dict(content["optimiser"])
    torch.set_rng_state(content["torch_rng"])
    for name, value in content["progress"].items():
        setattr(progress, name, value)


def load_weights(net: TrayNet, labels: tuple[str, ...], path: Path) -> None:
    """Load the (mean) weights of a checkpoint into `net`.

    Raises:
        ModelNotFound: no such file.
        ConfigError: they belong to another net or other labels.
    """
    content = _read(path)
    _check_fits(content, net, labels, path)
    net.load_state_dict(content["weights"])


def net_of(path: Path) -> tuple[TrayNet, tuple[str, ...]]:
    """Return the net of a checkpoint with its (mean) weights, ready to infer, and its labels.

    Raises:
        ModelNotFound: no such file.
        ConfigError: not a checkpoint of a TrayNet.
    """
    content = _read(path)
    if content.get("arch") != "traynet":
        raise ConfigError(f"{path}: not a checkpoint of traynet")
    net = TrayNet(TrayNetShape(**content["shape"]))
    net.load_state_dict(content["weights"])
    return net.eval(), tuple(content["labels"])


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ModelNotFound(f"{path}: no such checkpoint; give a best.pt or last.pt of `traylane train`")
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content


def _check_fits(content: dict[str, Any], net: TrayNet, labels: tuple[str, ...], path: Path) -> None:
    if content.get("arch") != "traynet" or TrayNetShape(**content["shape"]) != net.shape:
        raise ConfigError(f"{path}: weights of another net ({content.get('arch')}, {content.get('shape')})")
    if tuple(content["labels"]) != labels:
        changed = sorted(set(content["labels"]) ^ set(labels))
        raise ConfigError(f"{path}: its classes differ from the pictures' ({', '.join(changed) or 'order'})")
