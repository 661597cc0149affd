"""Where a net's first weights come from: torchvision's published ones, a file, or a shipped card.

Files are read with torch's `weights_only`: a weights file can run no code.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops.misc import FrozenBatchNorm2d

from core.errors import ModelMismatch, ModelNotFound
from core.files import sha256_of
from models.card import load_card
from training.finetune.detectors import Detector
from training.finetune.downloads import fetch, published
from training.finetune.transfer import ByName, TransferReport, transfer

#: torchvision's COCO weights of these were made with epsilon 0 in their frozen norms.
EPSILON_ZERO = ("fasterrcnn_resnet50_fpn", "retinanet_resnet50_fpn")


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights to start from.

    Attributes:
        state: names as of a detector's bare `net`.
        labels: the classes of their head; None when the file does not tell.
        origin: for the run record: file or address, and hash.
        folded: whether norms are folded into the convolutions (a shipped ONNX); see `unfold_norms`.
    """

    state: Mapping[str, Tensor]
    labels: tuple[str, ...] | None
    origin: str
    folded: bool = False


def read_weights(path: Path) -> Weights:
    """Read a state dict: bare, under "state_dict", "model" or "weights", a checkpoint of ours, or a card's ONNX.

    Prefixes that all names share ("module." of a parallel run, "net." of a `Detector`) are taken off.

    Raises:
        ModelNotFound: no such file.
        ModelMismatch: it holds no weights, or could only be read by running code from it.
    """
    if not path.is_file():
        raise ModelNotFound(f"{path}: no such file of weights; give a .pth, .pt, .th or .onnx file")
    if path.suffix == ".onnx":
        return Weights(_folded_state(path), None, _origin(path), folded=True)
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as err:
        raise ModelMismatch(
            f"{path}: not a file of plain weights ({(str(err) or 'it is cut off').splitlines()[0]}); save it anew as a "
            "state dict"
        ) from err
    labels = _labels_of(content)
    for key in ("state_dict", "weights", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not any(isinstance(value, Tensor) for value in content.values()):
        raise ModelMismatch(f"{path}: holds no state dict (names with tensors); save the net's state_dict()")
    state = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    for prefix in ("module.", "net."):
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return Weights(state, labels, _origin(path))


def read_card(ref: str, folder: Path | None = None) -> Weights:
    """Read the weights of a shipped traynet, such as "traynet@1".

    Raises:
        ModelNotFound: no such card or file.
        ModelMismatch: it is no export of traynet.
    """
    card = load_card(ref, folder)
    card.check_task("detect")
    read = read_weights(Path(card.file))
    return replace(read, labels=tuple(card.classes), origin=f"{card.full_name} {read.origin}")


def start_from(detector: Detector, weights: Weights, strict: bool = True) -> TransferReport:
    """Load weights of the same architecture whatever their number of classes; other class layers stay new.

    The head of another number of classes (or of other labels) is built, loaded, and then given new class layers, so
    that everything that does not count the classes is kept.

    Args:
        detector: is changed.
        weights: from `read_weights`, `read_card` or `fetch`.
        strict: refuse weights that do not fill the net; else what does not fit stays new and is named in the report.

    Raises:
        ModelMismatch: the weights do not fit.
    """
    first = detector.class_layers()[0]
    ours = detector.get_parameter(f"{first}.weight").shape[0] // detector.class_outputs  # anchors of each class
    theirs = weights.state.get(f"{first.removeprefix('net.')}.weight")
    outputs = detector.class_outputs if theirs is None else theirs.shape[0] // ours
    same = outputs == detector.class_outputs if weights.labels is None else weights.labels == detector.labels
    if not same:
        detector.replace_class_layers(outputs)
    try:
        report = transfer(detector.net, weights.state, ByName(), strict=strict)
    except ModelMismatch as err:
        raise ModelMismatch(f"{weights.origin} does not fit {detector.arch}: {err}") from err
    finally:
        if not same:
            detector.replace_class_layers(detector.class_outputs)
    return report


def start_from_published(
    detector: Detector, folder: Path, trunk: bool = False, timeout_s: float = 30.0
) -> TransferReport:
    """Load torchvision's COCO weights of this detector, or its trunk's ImageNet weights, into it.

    Raises:
        ConfigError: torchvision publishes none of this architecture.
        ModelNotFound: not in the cache, and no way to get it.
        ModelMismatch: a broken download, or norms that the weights do not fit ("group").
    """
    weights = read_weights(fetch(published(detector.arch, trunk), folder, timeout_s))
    if not trunk:
        report = start_from(detector, weights)
        if detector.arch in EPSILON_ZERO and detector.shape.norm == "frozen":
            set_norm_eps(detector, 0.0)
        return report
    return start_trunk(detector, weights)


def start_trunk(detector: Detector, weights: Weights) -> TransferReport:
    """Load a classifier's weights into a torchvision detector's trunk; the classifier itself is left over.

    The report's `missing` and `mismatched` are about the trunk alone. SSDlite's own trunk has fewer channels at its
    end than the classifier: its last blocks are reported as of another shape and stay new.
    """
    renames = trunk_names(detector.arch)
    prefixes = tuple(new for _, new in renames)
    rule = ByName(lambda name: name.startswith(prefixes), renames)
    return transfer(detector.net, weights.state, rule)


def trunk_names(arch: str) -> tuple[tuple[str, str], ...]:
    """Return (classifier's prefix, detector's prefix) pairs of a trunk, most special first."""
    if arch == "ssd300_vgg16":
        late = [(f"features.{i}.", f"backbone.extra.0.{i - 23}.") for i in range(24, 29)]
        return (*late, ("features.", "backbone.features."))
    if arch.startswith("ssdlite"):
        early = [(f"features.{i}.", f"backbone.features.0.{i}.") for i in range(13)]
        late = [(f"features.{i}.", f"backbone.features.1.{i - 13}.") for i in range(14, 17)]
        split = (("features.13.block.0.", "backbone.features.0.13."), ("features.13.block.", "backbone.features.1.0."))
        return (*early, *late, *split)
    if "mobilenet" in arch:
        return (("features.", "backbone.body."),)
    return tuple(
        (name, f"backbone.body.{name}") for name in ("conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4.")
    )


def set_norm_eps(detector: Detector, eps: float) -> None:
    """Set the epsilon of all frozen norms, and remember it in the detector's shape."""
    for module in detector.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.eps = eps
    detector.shape = replace(detector.shape, norm_eps=eps)


@torch.no_grad()
def unfold_norms(net: nn.Module, look: Callable[[], object]) -> None:
    """Give norms that were folded into convolutions statistics of these pictures, without changing what the net says.

    An export folds each norm into the convolution before it; read back, the norm does nothing (mean 0, deviation 1).
    Training would then normalise by its batches and change the net at once. With the mean m and the deviation s that
    the pictures have at this place, scale s and shift + m, the norm normalises and still does nothing.

    Args:
        net: is changed.
        look: runs the net once over some pictures, all of them at a time.
    """

    def settle(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        norm, x = module, inputs[0]
        if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None or norm.running_var is None:
            return
        before = norm.weight / (norm.running_var + norm.eps).sqrt()
        shift = norm.bias - norm.running_mean * before
        mean, variance = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), unbiased=False)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_(before * (variance + norm.eps).sqrt())
        norm.bias.copy_(shift + mean * before)

    training = net.training
    net.eval()
    hooks = [m.register_forward_pre_hook(settle) for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    try:
        look()
    finally:
        for hook in hooks:
            hook.remove()
        net.train(training)


def _origin(path: Path) -> str:
    return f"{path.name} (sha256 {sha256_of(path)[:16]})"


def _labels_of(content: Any) -> tuple[str, ...] | None:
    """Return the labels that a checkpoint of ours names, at its top or in its net's description."""
    if not isinstance(content, Mapping):
        return None
    for place in (content, *(value for value in content.values() if isinstance(value, Mapping))):
        labels = place.get("labels")
        if isinstance(labels, list | tuple) and all(isinstance(label, str) for label in labels):
            return tuple(labels)
    return None


def _folded_state(path: Path) -> dict[str, Tensor]:
    """Return traynet's tensors from its ONNX export: pixels of 0..255 become 0..1, folded norms do nothing."""
    # Here, since only this needs it.
    import onnx
    from onnx import numpy_helper

    tensors = {
        item.name: torch.from_numpy(numpy_helper.to_array(item).copy())
        for item in onnx.load(str(path)).graph.initializer
    }
    stem = "net.stem.0.weight"
    if stem not in tensors:
        raise ModelMismatch(f"{path}: not an export of traynet; start from its .pt checkpoint instead")
    tensors[stem] = tensors[stem] * 255.0
    state: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        plain = name.removeprefix("net.")
        if name.endswith(".0.weight_bias"):
            norm = plain.removesuffix(".0.weight_bias") + ".1"
            ones = torch.ones_like(tensor)
            state |= {f"{norm}.weight": ones, f"{norm}.bias": tensor, f"{norm}.running_mean": torch.zeros_like(tensor)}
            state[f"{norm}.running_var"] = ones - 1e-3  # traynet's epsilon is 0.001
        elif name.startswith("net.") and tensor.is_floating_point() and tensor.ndim > 0:
            state[plain] = tensor
    return state
