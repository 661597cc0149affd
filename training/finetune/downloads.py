"""Download the weights that torchvision publishes: cached, checked, whole or not at all.

Each published file's name holds the first digits of its SHA-256; what is downloaded is checked against them and
renamed into the cache when it is whole.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from torchvision import models
from tqdm import tqdm

from core.errors import ConfigError, ModelMismatch, ModelNotFound
from core.files import sha256_of

#: ImageNet weights of the trunk of each architecture.
TRUNKS = {
    "fasterrcnn_resnet50_fpn": models.ResNet50_Weights.IMAGENET1K_V1,
    "fasterrcnn_resnet50_fpn_v2": models.ResNet50_Weights.IMAGENET1K_V1,
    "fasterrcnn_mobilenet_v3_large_320_fpn": models.MobileNet_V3_Large_Weights.IMAGENET1K_V1,
    "retinanet_resnet50_fpn": models.ResNet50_Weights.IMAGENET1K_V1,
    "retinanet_resnet50_fpn_v2": models.ResNet50_Weights.IMAGENET1K_V1,
    "fcos_resnet50_fpn": models.ResNet50_Weights.IMAGENET1K_V1,
    "ssd300_vgg16": models.VGG16_Weights.IMAGENET1K_FEATURES,
    "ssdlite320_mobilenet_v3_large": models.MobileNet_V3_Large_Weights.IMAGENET1K_V1,
}
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Published:
    """A file that torchvision publishes.

    Attributes:
        url: where it lies; its name ends in "-", the first digits of its SHA-256, and a suffix.
    """

    url: str

    @property
    def name(self) -> str:
        """The file's name, also in the cache."""
        return self.url.rpartition("/")[2]

    @property
    def sha256_start(self) -> str:
        """The first digits of its SHA-256.

        Raises:
            ConfigError: the name has none.
        """
        found = re.search(r"-([0-9a-f]{8,64})\.[a-z]+$", self.name)
        if found is None:
            raise ConfigError(f"{self.url}: no hash in the file's name, so it cannot be checked; download it by hand")
        return found.group(1)


def published(arch: str, trunk: bool = False) -> Published:
    """Return the file of torchvision's COCO weights of a detector, or of its trunk's ImageNet weights.

    Raises:
        ConfigError: torchvision publishes none of this architecture.
    """
    if arch not in TRUNKS:
        raise ConfigError(f"torchvision has no weights of {arch}; start from a file or a card such as traynet@1")
    weights = TRUNKS[arch] if trunk else models.get_model_weights(arch).DEFAULT
    return Published(str(weights.url))


def fetch(file: Published, folder: Path, timeout_s: float = 30.0) -> Path:
    """Return the file's place in the cache; download it when it is not there whole.

    Args:
        file: what to get.
        folder: the cache; made when absent.
        timeout_s: the longest silence of the server that is borne.

    Raises:
        ModelNotFound: the server cannot be reached, refuses or falls silent; tells where to put the file by hand.
        ModelMismatch: what came is not the file.
    """
    place, start = folder / file.name, file.sha256_start
    if place.is_file() and sha256_of(place).startswith(start):
        return place
    if not file.url.startswith(("http://", "https://")):
        raise ConfigError(f"{file.url}: only http and https addresses can be downloaded")
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, part = tempfile.mkstemp(dir=folder, prefix=f".{file.name}.", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as handle:
            found = _download(file.url, handle, timeout_s)
            handle.flush()
            os.fsync(handle.fileno())
        if not found.startswith(start):
            raise ModelMismatch(
                f"{file.url}: SHA-256 of what came begins with {found[: len(start)]}, not {start}: a proxy's page or a "
                "broken download; try again, or check the network"
            )
        os.chmod(part, 0o644)
        os.replace(part, place)
    except (urllib.error.URLError, TimeoutError, ConnectionError, HTTPException) as err:
        why = getattr(err, "reason", None) or err
        if isinstance(err, urllib.error.HTTPError):
            err.close()  # it holds the connection
        raise ModelNotFound(
            f"cannot download {file.url} ({why}); offline, put this file at {place} by hand (its SHA-256 begins with "
            f"{start}), or start from weights on disk or from nothing"
        ) from err
    finally:
        Path(part).unlink(missing_ok=True)
    return place


def _download(url: str, handle: Any, timeout_s: float) -> str:
    """Write what lies at `url` and return its SHA-256."""
    # The caller has made sure that it is http or https.
    request = urllib.request.Request(url, headers={"User-Agent": "traylane"})  # noqa: S310
    digest = hashlib.sha256()
    with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
        total = int(answer.headers.get("Content-Length") or 0) or None
        # disable=None: a bar on a terminal, nothing in a log.
        with tqdm(total=total, unit="B", unit_scale=True, desc=url.rpartition("/")[2], disable=None) as bar:
            while chunk := answer.read(_CHUNK):
                handle.write(chunk)
                digest.update(chunk)
                bar.update(len(chunk))
    return digest.hexdigest()
