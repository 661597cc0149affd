"""Small labelled sets, written to a folder in any format, for tests that then break them."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def noise(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """A picture (H, W, 3) of coarse coloured noise: no two seeds look alike."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (max(2, height // 8), max(2, width // 8), 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST), dtype=np.uint8)


def write_picture(path: Path, image: NDArray[np.uint8], orientation: int = 1) -> None:
    """Write RGB pixels; a JPEG may carry an EXIF orientation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    raw = encoded.tobytes()
    if orientation != 1:
        tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
        content = b"Exif\0\0" + tiff
        raw = raw[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + raw[2:]
    path.write_bytes(raw)


def write_coco(
    path: Path,
    images: Sequence[Mapping[str, Any]],
    annotations: Sequence[Mapping[str, Any]],
    categories: Sequence[Mapping[str, Any]] = ({"id": 1, "name": "soup"}, {"id": 2, "name": "rice"}),
) -> None:
    """Write a COCO file; annotations get ids, unless they have some."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"id": i + 1, "iscrowd": 0} | dict(row) for i, row in enumerate(annotations)]
    content = {"images": list(images), "annotations": rows, "categories": list(categories)}
    path.write_text(json.dumps(content), encoding="utf-8")


def voc_xml(name: str, size: tuple[int, int] | None, objects: Sequence[tuple[str, Sequence[object], int]]) -> str:
    """A VOC file: objects are (class, [xmin, ymin, xmax, ymax], difficult)."""
    lines = ["<annotation>", f"  <filename>{name}</filename>"]
    if size is not None:
        lines.append(f"  <size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>")
    for label, box, difficult in objects:
        corners = "".join(f"<{t}>{v}</{t}>" for t, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
        lines.append(f"  <object><name>{label}</name><difficult>{difficult}</difficult>")
        lines.append(f"    <bndbox>{corners}</bndbox>")
        lines.append("  </object>")
    return "\n".join([*lines, "</annotation>"]) + "\n"


def write_yolo(folder: Path, lines: Mapping[str, str | None], names: str = "names: [soup, rice]\nnc: 2\n") -> None:
    """Write images/ and labels/ with one 64x48 picture for each name; None writes no text file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data.yaml").write_text(names, encoding="utf-8")
    (folder / "labels").mkdir(exist_ok=True)
    for seed, (name, text) in enumerate(lines.items()):
        write_picture(folder / "images" / f"{name}.jpg", noise(64, 48, seed))
        if text is not None:
            (folder / "labels" / f"{name}.txt").write_text(text, encoding="utf-8")
