"""From a shipped ONNX back to a net that can be trained: the weights of an export are folded, here they are unfolded.

An export has no batch norm: each is folded into the convolution before it, y = W'x + b'. To train on, every norm needs
its statistics back. They are measured on some pictures: with m and v the mean and variance of W'x on these,

    weight = W',  running_mean = m,  running_var = v,  gamma = sqrt(v + eps),  beta = b' + m

gives the same y in inference, and nearly the same in training, where the statistics are those of the batch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from core.errors import ModelMismatch
from models.bare_onnx import find_model
from training.augment import LANE, collate, varied_sample
from training.synthetic_set import Pictures
from training.traynet import TrayNet

#: Pictures that the statistics are measured on.
MEASURED = 96


def load_card_weights(
    net: TrayNet, labels: tuple[str, ...], ref: str, size: tuple[int, int], pictures: Pictures
) -> None:
    """Load the weights of a model card's ONNX into `net`.

    Args:
        net: of the same shape as the one that was exported.
        labels: of the pictures; they must be the card's.
        ref: a shipped model (name@version) or the path of a card.
        size: width and height at which the norms' statistics are measured.
        pictures: to measure them on.

    Raises:
        ModelNotFound: no such card.
        ModelMismatch: the weights are another net's, or of other classes.
    """
    card = find_model(ref)
    if card.classes != labels:
        changed = sorted(set(card.classes) ^ set(labels))
        raise ModelMismatch(f"{ref}: its classes differ from the pictures' ({', '.join(changed) or 'order'})")
    graph = onnx.load(card.file).graph
    arrays = {tensor.name.removeprefix("net."): numpy_helper.to_array(tensor) for tensor in graph.initializer}
    convolutions = _convolutions(net)
    with torch.no_grad():
        for name, module in convolutions.items():
            weight = _array(arrays, f"{name}.weight", tuple(module.weight.shape), ref)
            # The export takes pixels of 0..255, the net 0..1.
            module.weight.copy_(torch.from_numpy(weight * (255.0 if name == "stem.0" else 1.0)))
            norm = _norm_after(net, name)
            if norm is None:
                bias = _array(arrays, f"{name}.bias", (module.out_channels,), ref)
                assert module.bias is not None  # noqa: S101 - convolutions without a norm have one
                module.bias.copy_(torch.from_numpy(bias))
                continue
            bias = _array(arrays, f"{name}.weight_bias", (module.out_channels,), ref)
            norm.running_mean.zero_()  # type: ignore[union-attr]
            norm.running_var.fill_(1.0 - norm.eps)  # type: ignore[union-attr]
            norm.weight.fill_(1.0)
            norm.bias.copy_(torch.from_numpy(bias))
        _measure_norms(net, size, pictures)


def _convolutions(net: nn.Module) -> dict[str, nn.Conv2d]:
    return {name: module for name, module in net.named_modules() if isinstance(module, nn.Conv2d)}


def _norm_after(net: nn.Module, name: str) -> nn.BatchNorm2d | None:
    """Return the batch norm behind a convolution: in a brick `x` they are x.0 and x.1."""
    parent, _, last = name.rpartition(".")
    if last != "0":
        return None
    norm = net.get_submodule(f"{parent}.1")
    return norm if isinstance(norm, nn.BatchNorm2d) else None


def _array(arrays: dict[str, NDArray[np.float32]], name: str, shape: tuple[int, ...], ref: str) -> NDArray[np.float32]:
    if name not in arrays or arrays[name].shape != shape:
        found = arrays[name].shape if name in arrays else "nothing"
        raise ModelMismatch(
            f"{ref}: {name} should be {shape}, the file has {found}; it is not an export of this TrayNet: "
            "start from a checkpoint, or without --init"
        )
    return np.array(arrays[name])


def _measure_norms(net: TrayNet, size: tuple[int, int], pictures: Pictures) -> None:
    """Give each norm the statistics of what its convolution says, without changing what the net computes."""
    normed = {name: module for name, module in _convolutions(net).items() if _norm_after(net, name) is not None}
    sums = {name: torch.zeros(module.out_channels, dtype=torch.float64) for name, module in normed.items()}
    squares = {name: torch.zeros_like(total) for name, total in sums.items()}
    counts = dict.fromkeys(normed, 0)

    def listener(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def listen(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            values = output.double()
            sums[name] += values.sum(dim=(0, 2, 3))
            squares[name] += values.square().sum(dim=(0, 2, 3))
            counts[name] += values.numel() // values.shape[1]

        return listen

    hooks = [module.register_forward_hook(listener(name)) for name, module in normed.items()]
    picked = np.linspace(0, len(pictures) - 1, min(MEASURED, len(pictures))).astype(int)
    net.eval()
    for start in range(0, len(picked), 16):
        chosen = picked[start : start + 16]
        samples = [varied_sample(pictures, int(i), size, np.random.default_rng([7, int(i)]), LANE) for i in chosen]
        net(collate(samples)[0])
    for hook in hooks:
        hook.remove()
    for name in normed:
        norm = _norm_after(net, name)
        assert norm is not None  # noqa: S101 - they were chosen for having one
        mean = sums[name] / counts[name]
        variance = (squares[name] / counts[name] - mean.square()).clamp(min=1e-6)
        norm.running_mean.copy_(mean)  # type: ignore[union-attr]
        norm.running_var.copy_(variance)  # type: ignore[union-attr]
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.add_(mean)
