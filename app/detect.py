"""Run a model over pictures and videos, write COCO results: what `traylane detect` does."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from checkout.config import ModelsSettings
from core.clock import SystemClock
from core.errors import ConfigError, DataError, FormatError, SourceEnded
from core.files import write_atomic
from core.records import Detections, Frame
from models.bare_onnx import find_model
from models.detector import Detector
from models.device import find_device
from models.ort_detector import OrtDetector
from models.registry import Registry
from models.settings import DetectorSettings
from streams.factory import make_source
from streams.source import SourceSettings

IMAGES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
VIDEOS = frozenset({".mp4", ".mkv", ".avi", ".mov", ".webm", ".m4v", ".ts", ".mpg", ".mpeg"})


def run(args: argparse.Namespace) -> int:
    """Run the verb; return the exit code.

    Raises:
        ConfigError: an argument is out of range, or the result cannot be written there.
        ModelError: the model cannot be used.
        DataError: a path is missing or not readable; nothing is written then.
        SourceError: a video cannot be read.
    """
    settings = _settings(args)
    if not args.out.parent.is_dir():
        raise ConfigError(f"--out {args.out}: the folder {args.out.parent} does not exist; create it first")
    files = find_files(args.paths)
    registry = Registry(ModelsSettings().registry)
    detector = OrtDetector(find_model(args.model, registry=registry), settings, find_device(args.device))
    rows: list[dict[str, Any]] = []
    try:
        for name, path in tqdm(files, unit="file", disable=None):
            if path.suffix.lower() in IMAGES:
                rows.extend(coco_rows(name, detector.detect([read_image(path)])[0]))
            else:
                rows.extend(_video_rows(name, path, detector, args.stride))
    finally:
        detector.close()
    try:
        write_atomic(args.out, json.dumps(rows, indent=1) + "\n")
    except OSError as err:
        raise ConfigError(f"--out {args.out}: cannot be written: {err.strerror}") from err
    print(f"{len(rows)} detections in {len(files)} files -> {args.out}")
    return 0


def find_files(paths: Sequence[Path]) -> list[tuple[str, Path]]:
    """Return (name in the results, path) of every picture and video, in a stable order.

    A file is named by its own name, a file in a folder by its path inside the folder.

    Raises:
        DataError: a path is missing, or there is nothing to look at.
    """
    files: list[tuple[str, Path]] = []
    for path in paths:
        if path.is_dir():
            inside = [entry for entry in sorted(path.rglob("*")) if entry.suffix.lower() in IMAGES | VIDEOS]
            if not inside:
                raise DataError(f"{path}: no pictures or videos in this folder")
            files.extend((entry.relative_to(path).as_posix(), entry) for entry in inside if entry.is_file())
        elif path.is_file():
            if path.suffix.lower() not in IMAGES | VIDEOS:
                raise FormatError(
                    str(path), f"not a picture or video that we read ({', '.join(sorted(IMAGES | VIDEOS))})"
                )
            files.append((path.name, path))
        else:
            raise DataError(f"{path}: no such file or folder")
    return files


def read_image(path: Path) -> Frame:
    """Return a picture as a frame, turned as its EXIF orientation says.

    Raises:
        FormatError: the file cannot be decoded.
    """
    try:
        packed = np.fromfile(path, dtype=np.uint8)
    except OSError as err:
        raise FormatError(str(path), f"cannot be read: {err.strerror}") from err
    image = cv2.imdecode(packed, cv2.IMREAD_COLOR_RGB) if len(packed) else None
    if image is None:
        raise FormatError(
            str(path), "not a readable picture (empty, truncated or another format); remove or replace it"
        )
    return Frame(path.name, 0, 0.0, 0.0, np.asarray(image, dtype=np.uint8))


def coco_rows(name: str, found: Detections) -> Iterator[dict[str, Any]]:
    """Yield one COCO result per detection; boxes are x, y, width, height in pixels, rounded to 1/100."""
    for box, score, class_id in zip(found.boxes.tolist(), found.scores.tolist(), found.class_ids.tolist(), strict=True):
        left, top, right, bottom = box
        yield {
            "file_name": name,
            "category": found.labels[class_id],
            "bbox": [round(left, 2), round(top, 2), round(right - left, 2), round(bottom - top, 2)],
            "score": round(score, 5),
        }


def _video_rows(name: str, path: Path, detector: Detector, stride: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of a video; each also says its frame (from 0) and its time in the recording."""
    source = make_source(SourceSettings(url=str(path), stride=stride), name, SystemClock())
    source.open()
    try:
        while True:
            try:
                frame = source.read()
            except SourceEnded:
                return
            for row in coco_rows(name, detector.detect([frame])[0]):
                yield row | {"frame": frame.index, "t_s": round(frame.stream_s, 4)}
    finally:
        source.close()


def _settings(args: argparse.Namespace) -> DetectorSettings:
    if args.stride < 1:
        raise ConfigError(f"--stride {args.stride}: must be 1 or more")
    if not 0.001 <= args.min_score < 1:
        raise ConfigError(f"--min-score {args.min_score}: must be from 0.001 to less than 1")
    if not 1 <= args.threads <= 64:
        raise ConfigError(f"--threads {args.threads}: must be from 1 to 64")
    return DetectorSettings(min_score=args.min_score, threads=args.threads)
