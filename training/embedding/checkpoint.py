"""The state of an embedder's run on disk: whole or absent, and refused when it belongs to another net."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from core.errors import ConfigError, ModelNotFound
from core.files import write_atomic
from training.embedding.net import EmbedderNet, EmbedderShape


@dataclass(eq=False)
class RunParts:
    """What a run consists of; changed by `train` alone.

    Attributes:
        net: what learns.
        mean_net: the running mean of its weights, which is shipped.
        heads: the class vectors that are learnt along.
        optimiser: of net and heads.
        step: how many steps were made.
        spent_s: seconds they took.
    """

    net: EmbedderNet
    mean_net: EmbedderNet
    heads: nn.Module
    optimiser: torch.optim.Optimizer
    step: int = 0
    spent_s: float = 0.0


def save_weights(path: Path, parts: RunParts) -> None:
    """Write the mean weights alone."""
    _write(path, {"arch": "embedder", "shape": asdict(parts.net.shape), "weights": parts.mean_net.state_dict()})


def save_run(path: Path, parts: RunParts, classes: str) -> None:
    """Write everything that a resume needs; `classes` is the hash of what is learnt from."""
    _write(
        path,
        {
            "arch": "embedder",
            "shape": asdict(parts.net.shape),
            "weights": parts.mean_net.state_dict(),
            "net": parts.net.state_dict(),
            "heads": parts.heads.state_dict(),
            "optimiser": parts.optimiser.state_dict(),
            "step": parts.step,
            "spent_s": parts.spent_s,
            "classes": classes,
        },
    )


def load_run(path: Path, parts: RunParts, classes: str) -> None:
    """Restore a run into its parts.

    Raises:
        ModelNotFound: no such file.
        ConfigError: it is of another net, holds weights only, or learnt from other pictures.
    """
    content = _read(path)
    if EmbedderShape(**content["shape"]) != parts.net.shape or "optimiser" not in content:
        raise ConfigError(f"{path}: not the last.pt of a run of this net; start anew without --resume")
    if content["classes"] != classes:
        raise ConfigError(f"{path}: that run learnt from other pictures; start anew without --resume")
    parts.net.load_state_dict(content["net"])
    parts.mean_net.load_state_dict(content["weights"])
    parts.heads.load_state_dict(content["heads"])
    parts.optimiser.load_state_dict(content["optimiser"])
    parts.step, parts.spent_s = content["step"], content["spent_s"]


def net_of(path: Path) -> EmbedderNet:
    """Return the net of a checkpoint with its mean weights, ready to infer.

    Raises:
        ModelNotFound: no such file.
        ConfigError: not a checkpoint of an embedder.
    """
    content = _read(path)
    net = EmbedderNet(EmbedderShape(**content["shape"]))
    net.load_state_dict(content["weights"])
    return net.eval()


def _write(path: Path, content: dict[str, Any]) -> None:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomic(path, buffer.getvalue())


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ModelNotFound(f"{path}: no such checkpoint; give a best.pt or last.pt of `traylane train --embedder`")
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if content.get("arch") != "embedder":
        raise ConfigError(f"{path}: not a checkpoint of an embedder")
    return content
