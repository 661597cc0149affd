"""What turns photos into vectors: nets with all their layers in one pass, a colour histogram, an embedder's card.

Each layer's map (C, H, W) is averaged over squares of k x k cells (the last ones may be smaller) and laid out flat:
C x ceil(H/k) x ceil(W/k) numbers, brought to length 1. A vector that is too long is no setting of the grid; how many
were left out is counted. Vectors are rounded to float16, as the cache keeps them, so that a run from the cache equals
one without.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.embedder import Embedder
from training.embedding_study.fitting import Fit, fitted

Pixels = NDArray[np.uint8]
Vectors = NDArray[np.float16]
#: Kernel of a vector that was flat before.
FLAT = 0


@dataclass(frozen=True)
class Setting:
    """One way to make a vector: a model, one of its layers, and the kernel that averages the layer's map.

    Attributes:
        model: name of the model.
        layer: name of the module in it.
        kernel: side of the averaged squares, in cells of the map; FLAT where there is no map.
        whole: whether the kernel covers the whole map.
        dims: length of the vector.
    """

    model: str
    layer: str
    kernel: int
    whole: bool
    dims: int

    @property
    def name(self) -> str:
        """Model, layer and kernel, such as "squeezenet1_1/features.12/global"."""
        return f"{self.model}/{self.layer}/{self.pooling}"

    @property
    def pooling(self) -> str:
        """The kernel for people."""
        return "as is" if self.kernel == FLAT else ("global" if self.whole else f"k{self.kernel}")


class Describer(Protocol):
    """Turns photos into the vectors of all settings of one model.

    Attributes:
        name: of the model.
        key: hash of all that the vectors depend on, but the photos.
        origin: where its weights come from, for people.
        settings: in the order of `describe`.
        left_out: how many settings have vectors that are too long.
        macs: multiply-adds of one photo.
    """

    name: str
    key: str
    origin: str
    settings: tuple[Setting, ...]
    left_out: int
    macs: int

    def describe(self, pixels: Pixels) -> Vectors:
        """Return the vectors of all settings, one behind the other, of one photo (H, W, 3) RGB."""
        ...


class NetDescriber:
    """A fixed net, looked at in all its named layers.

    Args:
        name: of the model.
        net: in evaluation mode.
        layers: names of its modules to look at.
        fit: what the net eats.
        origin: of the weights, for people.
        weights: hash of them, for the cache.
        kernels: squares to average over, besides the whole map.
        below: vectors are shorter than this.
    """

    def __init__(
        self,
        name: str,
        net: nn.Module,
        layers: Sequence[str],
        fit: Fit,
        origin: str,
        weights: str,
        kernels: Sequence[int],
        below: int,
    ) -> None:
        self.name, self.origin = name, origin
        self._net, self._fit, self._layers = net.eval().requires_grad_(False), fit, tuple(layers)
        shapes, self.macs = _shapes_and_macs(self._net, self._layers, fit)
        settings, self.left_out = [], 0
        for layer in self._layers:
            for kernel, whole, dims in poolings(shapes[layer], kernels):
                if dims < below:
                    settings.append(Setting(name, layer, kernel, whole, dims))
                else:
                    self.left_out += 1
        self.settings = tuple(settings)
        self._kernels = {layer: [s.kernel for s in settings if s.layer == layer] for layer in self._layers}
        self.key = key_of(name=name, weights=weights, fit=vars(fit), settings=[vars(s) for s in settings])

    @torch.inference_mode()
    def describe(self, pixels: Pixels) -> Vectors:
        """Return all vectors of one photo, from one pass of the net."""
        pooled: dict[str, list[NDArray[np.float32]]] = {}

        # Averaged inside the hook: the next layer may work in place and change the map.
        def look(layer: str, x: Tensor) -> None:
            pooled[layer] = [flat(x, kernel) for kernel in self._kernels[layer]]

        with _Hooks(self._net, self._layers, look):
            self._net(torch.from_numpy(fitted(pixels, self._fit))[None])
        # One picture a pass: sums may round by the size of a batch, and a race looks at other batches than the grid.
        return np.concatenate([unit(vector) for layer in self._layers for vector in pooled[layer]])


class HistogramDescriber:
    """Colours alone: how often each cell of hue, saturation and value occurs, of the photo or of its quarters.

    Roots are taken, so that the cosine of two histograms is Bhattacharyya's coefficient.
    """

    SIDE = 128
    BINS = ((8, 4, 4), (16, 4, 4), (8, 8, 8))

    def __init__(self, below: int) -> None:
        self.name, self.origin, self.macs = (
            "colour_histogram",
            "no weights: hue, saturation and value",
            3 * self.SIDE**2,
        )
        every = [
            Setting(
                self.name,
                f"hsv{'x'.join(map(str, bins))}",
                self.SIDE // cells,
                cells == 1,
                int(np.prod(bins)) * cells**2,
            )
            for bins in self.BINS
            for cells in (1, 2)
        ]
        self.settings = tuple(setting for setting in every if setting.dims < below)
        self.left_out = len(every) - len(self.settings)
        self.key = key_of(name=self.name, settings=[vars(s) for s in self.settings])

    def describe(self, pixels: Pixels) -> Vectors:
        """Return all histograms of one photo."""
        small = cv2.resize(pixels, (self.SIDE, self.SIDE), interpolation=cv2.INTER_AREA)
        hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV)
        vectors = []
        for setting in self.settings:
            bins = [int(n) for n in setting.layer.removeprefix("hsv").split("x")]
            side = setting.kernel
            cells = [
                hsv[y : y + side, x : x + side] for y in range(0, self.SIDE, side) for x in range(0, self.SIDE, side)
            ]
            counts = [cv2.calcHist([cell], [0, 1, 2], None, bins, [0, 180, 0, 256, 0, 256]).ravel() for cell in cells]
            vectors.append(unit(np.sqrt(np.concatenate(counts))))
        return np.concatenate(vectors)


class EmbedderDescriber:
    """An embedder as lanes use it: one vector, nothing to choose.

    Args:
        embedder: the model.
        weights: hash of its weights, for the cache.
        macs: multiply-adds of one photo.
    """

    def __init__(self, embedder: Embedder, weights: str, macs: int) -> None:
        self._embedder, self.macs, self.left_out = embedder, macs, 0
        self.name, self.origin = embedder.name, f"card (sha256 {weights[:16]})"
        self.settings: tuple[Setting, ...] = (Setting(self.name, "embedding", FLAT, True, embedder.dimensions),)
        self.key = key_of(name=self.name, weights=weights)

    def describe(self, pixels: Pixels) -> Vectors:
        """Return the embedding of one photo."""
        return unit(self._embedder.embed([pixels])[0])


def poolings(shape: Sequence[int], kernels: Sequence[int]) -> list[tuple[int, bool, int]]:
    """Return (kernel, covers all, length of the vector) of a map (C, H, W) or a vector (C,); each grid of cells once.

    >>> poolings((16, 8, 8), (1, 4, 8, 16))
    [(1, False, 1024), (4, False, 64), (8, True, 16)]
    """
    if len(shape) == 1:
        return [(FLAT, True, shape[0])]
    channels, height, width = shape
    found, seen = [], set()
    for kernel in [*kernels, max(height, width)]:
        cells = (-(-height // kernel), -(-width // kernel))
        if cells in seen or kernel > max(height, width):
            continue
        seen.add(cells)
        found.append((kernel, cells == (1, 1), channels * cells[0] * cells[1]))
    return found


def flat(x: Tensor, kernel: int) -> NDArray[np.float32]:
    """Return the averages (D,) of one map (1, C, H, W) over squares of `kernel` cells; of a vector itself."""
    if kernel == FLAT:
        return x[0].float().numpy().copy()
    pooled = functional.avg_pool2d(x, kernel, ceil_mode=True, count_include_pad=False) if kernel > 1 else x
    return pooled[0].flatten().float().numpy().copy()


def unit(vector: NDArray[Any]) -> Vectors:
    """Return the vector with length 1, rounded to float16; zeros stay zeros."""
    exact = vector.astype(np.float64)
    length = np.linalg.norm(exact)
    return (exact / length if length > 0 else exact).astype(np.float16)


def key_of(**made_of: Any) -> str:
    """Return 16 digits that tell apart what vectors are made of."""
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]


class _Hooks:
    """Shows the outputs of named modules to `look` while it is open."""

    def __init__(self, net: nn.Module, layers: Sequence[str], look: Any) -> None:
        self._net, self._layers, self._look = net, layers, look
        self._handles: list[Any] = []

    def __enter__(self) -> None:
        for layer in self._layers:

            def show(_: nn.Module, __: Any, out: Tensor, layer: str = layer) -> None:
                self._look(layer, out)

            self._handles.append(self._net.get_submodule(layer).register_forward_hook(show))

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()


@torch.inference_mode()
def _shapes_and_macs(net: nn.Module, layers: Sequence[str], fit: Fit) -> tuple[dict[str, tuple[int, ...]], int]:
    """Return the shape of each layer's output without the batch axis, and the multiply-adds of one picture."""
    shapes: dict[str, tuple[int, ...]] = {}
    counted = {name: m for name, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    macs = 0

    def look(layer: str, x: Tensor) -> None:
        nonlocal macs
        if layer in counted:
            weight = counted[layer].weight
            per_output = weight[0].numel() if isinstance(weight, Tensor) else 0
            macs += per_output * x[0].numel()
        shapes[layer] = tuple(x.shape[1:])

    with _Hooks(net, sorted({*layers, *counted}), look):
        net(torch.zeros(1, 3, fit.side, fit.side))
    return {layer: shapes[layer] for layer in layers}, macs
