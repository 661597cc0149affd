"""A vector for each patch: the feature maps of a fixed torchvision net, averaged; computed once and kept on disk.

A file of the cache is named by the picture's hash and by a hash of all else that the vectors depend on. Numbers are
kept as float16 and always pass through it, so that a run from the cache equals one without.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision import models

from core.errors import DataError, FolderUnusable, FormatError, ModelMismatch
from core.files import sha256_of, write_atomic
from dataset.building import picture_sha256
from dataset.images import load_image
from dataset.records import Sample
from training.finetune.pretrained import read_weights
from training.patches.sampling import patch_grid
from training.patches.settings import BackboneSettings, SamplerSettings

#: Patches of one forward pass; always the same, as the sums of a batch may round by its size.
_AT_ONCE = 64
_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
_STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


@dataclass(frozen=True, eq=False)
class PictureFeatures:
    """What the backbone says of one picture.

    Attributes:
        patches: (N, D) float32, of the patches of `patch_grid`, in its order.
        whole: (D,) float32, of the whole picture.
    """

    patches: NDArray[np.float32]
    whole: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Backbone:
    """A fixed net, ready to describe; `sha256` is that of its weights file."""

    net: nn.Module
    settings: BackboneSettings
    sha256: str

    @torch.inference_mode()
    def describe(self, crops: Tensor) -> NDArray[np.float32]:
        """Return (N, D) features of crops (N, 3, H, W) float32 0..1, rounded as the cache rounds them."""
        parts = [self.net((part - _MEAN) / _STD).mean(dim=(2, 3)) for part in torch.split(crops, _AT_ONCE)]
        return torch.cat(parts).numpy().astype(np.float16).astype(np.float32)


def load_backbone(path: Path, settings: BackboneSettings) -> Backbone:
    """Return torchvision's net with the weights of a file.

    Raises:
        ModelNotFound: no such file.
        ModelMismatch: it holds other weights.
    """
    weights = read_weights(path)
    net: nn.Module = getattr(models, settings.arch)(weights=None)
    try:
        net.load_state_dict(dict(weights.state))
    except RuntimeError as err:
        told = str(err).splitlines()
        raise ModelMismatch(
            f"{path}: not the weights of torchvision's {settings.arch} ({told[min(1, len(told) - 1)].strip()[:160]}); "
            "give its ImageNet state dict with --weights, or name its net with --arch"
        ) from err
    features: nn.Module = net.get_submodule("features").eval().requires_grad_(False)
    return Backbone(features, settings, sha256_of(path))


@dataclass(frozen=True, eq=False)
class FeatureCache:
    """Features of pictures, from disk where they are there already.

    Args:
        folder: of the files; made when it is missing.
        backbone: makes what is not there.
        sampler: which patches.
        load: reads a picture as (H, W, 3) uint8 RGB.
    """

    folder: Path
    backbone: Backbone
    sampler: SamplerSettings
    load: Callable[[Path], NDArray[np.uint8]] = field(default=load_image)

    @property
    def key(self) -> str:
        """Return 16 digits that tell backbone and patches apart."""
        made_of = {
            "weights": self.backbone.sha256,
            "backbone": self.backbone.settings.model_dump(mode="json"),
            "grid": [list(self.sampler.scales), self.sampler.stride, self.sampler.most],
        }
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]

    def of(self, sample: Sample) -> PictureFeatures:
        """Return the features of a picture.

        Raises:
            DataError: the picture cannot be read, or is too small.
            FolderUnusable: the cache cannot be written.
        """
        path = self.folder / f"{picture_sha256(sample)}-{self.key}.npz"
        kept = _read(path)
        if kept is not None:
            return kept
        made = self._make(sample)
        sink = io.BytesIO()
        np.savez(sink, patches=made.patches.astype(np.float16), whole=made.whole.astype(np.float16))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomic(path, sink.getbuffer())
        except OSError as err:
            raise FolderUnusable(
                f"{path}: cannot be written: {err.strerror or err}; make room or give another --cache"
            ) from err
        return made

    def _make(self, sample: Sample) -> PictureFeatures:
        try:
            grid = patch_grid(sample.width, sample.height, self.sampler)
        except DataError as err:
            raise DataError(f"{sample.image}: {err}") from err
        pixels = self.load(sample.image)
        if pixels.shape[:2] != (sample.height, sample.width):
            text = f"is {pixels.shape[1]}x{pixels.shape[0]} pixels, but its boxes mean {sample.width}x{sample.height}"
            raise FormatError(str(sample.image), f"{text}; correct the size in the annotations")
        settings = self.backbone.settings
        crops = torch.stack([_scaled(crop(pixels, box), settings.patch_px) for box in grid.boxes])
        whole = _scaled(pixels, settings.whole_px)[None]
        return PictureFeatures(self.backbone.describe(crops), self.backbone.describe(whole)[0])


def crop(pixels: NDArray[np.uint8], box: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the pixels of a patch; its edges are rounded."""
    x1, y1, x2, y2 = (int(edge) for edge in np.rint(box))
    return pixels[y1:y2, x1:x2]


def _scaled(pixels: NDArray[np.uint8], side: int) -> Tensor:
    """Return (3, side, side) float32 0..1; a picture that is not square is squeezed."""
    smaller = max(pixels.shape[:2]) > side
    scaled = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1))).float() / 255


def _read(path: Path) -> PictureFeatures | None:
    """Return what a file of the cache holds; None when there is none, or it is broken."""
    try:
        # Opened here: numpy leaves the file open when it is broken.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return PictureFeatures(kept["patches"].astype(np.float32), kept["whole"].astype(np.float32))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
