"""Look at what a net gets to see: a batch of varied pictures with their boxes, in one PNG.

python -m training.finetune.contact_sheet --data FOLDER --out sheet.png --augment counter
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from core.files import write_atomic
from dataset.reading import read_set
from training.finetune.augmentations import AugmentSettings, Strength
from training.finetune.batches import Batch, Target
from training.finetune.loader import Loader, LoaderSettings

_COLUMNS = 4
_TILE = (400, 300)
_GAP = 4
#: Colours (RGB) of classes, again from the start after the last; ignored objects are grey.
_COLOURS = ((230, 60, 40), (40, 130, 230), (30, 170, 60), (200, 60, 200), (230, 150, 0), (0, 170, 170), (120, 90, 230))
_GREY = (128, 128, 128)


def sheet(batches: Sequence[Batch], labels: tuple[str, ...]) -> NDArray[np.uint8]:
    """Return (H, W, 3) uint8 RGB: the pictures of the batches in rows of four, with boxes and class names."""
    tiles = [
        _tile(image, target, labels)
        for batch in batches
        for image, target in zip(batch.images, batch.targets, strict=True)
    ]
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % _COLUMNS)
    rows = [np.concatenate(tiles[at : at + _COLUMNS], axis=1) for at in range(0, len(tiles), _COLUMNS)]
    return np.concatenate(rows, axis=0)


def _tile(image: Tensor, target: Target, labels: tuple[str, ...]) -> NDArray[np.uint8]:
    """Return one picture, its boxes drawn, on a white tile."""
    pixels = np.asarray((image * 255).round().byte().permute(1, 2, 0).numpy())
    ratio = min(_TILE[0] / pixels.shape[1], _TILE[1] / pixels.shape[0])
    size = (max(1, int(pixels.shape[1] * ratio)), max(1, int(pixels.shape[0] * ratio)))
    small = np.ascontiguousarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
    boxes = (target.boxes.numpy() * ratio).round().astype(int).tolist()
    for box, label, ignored in zip(boxes, target.classes.tolist(), target.ignored.tolist(), strict=True):
        colour = _GREY if ignored else _COLOURS[label % len(_COLOURS)]
        cv2.rectangle(small, (box[0], box[1]), (box[2] - 1, box[3] - 1), colour, 2)
        text = f"{labels[label]}{' (ignored)' if ignored else ''}"
        cv2.putText(small, text, (box[0] + 3, box[1] + 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
    tile = np.full((_TILE[1] + _GAP, _TILE[0] + _GAP, 3), 255, dtype=np.uint8)
    tile[: small.shape[0], : small.shape[1]] = small
    return tile


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the sheet that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of a COCO, Pascal VOC or YOLO set")
    parser.add_argument("--out", type=Path, required=True, help="the PNG to write")
    parser.add_argument("--augment", choices=get_args(Strength), default="counter", help="how much pictures vary")
    parser.add_argument("--pictures", type=int, default=16, help="how many are shown")
    parser.add_argument("--seed", type=int, default=0, help="another seed shows other pictures")
    parser.add_argument("--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="lay them into a canvas")
    given = parser.parse_args(arguments)
    whole = read_set(given.data)
    settings = LoaderSettings(batch=given.pictures, seed=given.seed, size=given.size, longest=640)
    batch = Loader(whole, settings, AugmentSettings.preset(given.augment)).batch(0)
    _, encoded = cv2.imencode(".png", cv2.cvtColor(sheet([batch], whole.labels), cv2.COLOR_RGB2BGR))
    write_atomic(given.out, encoded.tobytes())


if __name__ == "__main__":
    main()
