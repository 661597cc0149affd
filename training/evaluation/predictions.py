"""Detections of a whole set: made by a model, written as COCO results, and read back from such a file.

A result names its picture and class twice: `file_name` and `category` for people and other tools of this product, and
the numbers `image_id` and `category_id` of the set's COCO file. A set that is none gets numbers from 1, in the order of
its pictures and labels.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigError, FormatError
from core.records import Frame
from dataset import coco
from dataset.records import DetectionSet
from models.detector import Detector
from training.detection_scores import Found
from training.evaluation.class_match import ClassMatch

#: Pictures of one run of the model.
BATCH = 8


@dataclass(frozen=True)
class Numbering:
    """The numbers that COCO results use: of each picture of a set in its order, and of each of its labels."""

    pictures: tuple[int, ...]
    classes: tuple[int, ...]


def detect_set(
    detector: Detector,
    wanted: DetectionSet,
    classes: ClassMatch,
    load: Callable[[Path], NDArray[np.uint8]],
    on_picture: Callable[[int], None] = lambda _: None,
) -> list[Found]:
    """Return the model's detections on each picture, in the set's classes.

    Args:
        detector: the model.
        wanted: the set; its truth is not looked at.
        classes: what the model's labels are in the set.
        load: reads a picture as (H, W, 3) RGB.
        on_picture: told how many are done.

    Raises:
        FormatError: a picture cannot be read, or is not of the size that its labels are for.
        InferenceError: the model failed.
    """
    found: list[Found] = []
    for start in range(0, len(wanted), BATCH):
        frames = []
        for i, sample in enumerate(wanted.samples[start : start + BATCH], start=start):
            image = load(sample.image)
            if image.shape[:2] != (sample.height, sample.width):
                raise FormatError(
                    str(sample.image),
                    f"is {image.shape[1]}x{image.shape[0]} pixels, its labels are for {sample.width}x{sample.height}",
                )
            frames.append(Frame(wanted.name, i, 0.0, 0.0, image))
        found += [classes.translate(detections) for detections in detector.detect(frames)]
        on_picture(len(found))
    return found


def numbering_of(data: Path, wanted: DetectionSet) -> Numbering:
    """Return the numbers of the set's COCO file, or 1, 2, 3 … where there is none, or more than one."""
    plain = Numbering(tuple(range(1, len(wanted) + 1)), tuple(range(1, len(wanted.labels) + 1)))
    files = coco.find_files(data)
    if len(files) != 1:
        return plain
    content = json.loads(files[0].read_text(encoding="utf-8-sig"))
    numbers = {PurePosixPath(str(row["file_name"])).name: int(row["id"]) for row in content["images"]}
    categories = {str(row["name"]).strip(): int(row["id"]) for row in content["categories"]}
    pictures = [numbers.get(sample.image.name) for sample in wanted.samples]
    classes = [categories.get(label) for label in wanted.labels]
    if None in pictures or None in classes or len(set(pictures)) < len(pictures):
        return plain
    return Numbering(tuple(n for n in pictures if n is not None), tuple(n for n in classes if n is not None))


def results_of(found: Sequence[Found], wanted: DetectionSet, numbering: Numbering) -> Iterator[dict[str, Any]]:
    """Yield the detections as COCO results; boxes are x, y, width, height in pixels, to 1/1000, scores as they are."""
    for i, (one, sample) in enumerate(zip(found, wanted.samples, strict=True)):
        sides = np.concatenate([one.boxes[:, :2], one.boxes[:, 2:] - one.boxes[:, :2]], axis=1).tolist()
        for box, score, class_id in zip(sides, one.scores, one.classes.tolist(), strict=True):
            yield {
                "image_id": numbering.pictures[i],
                "category_id": numbering.classes[class_id],
                "bbox": [round(value, 3) for value in box],
                # The shortest number that reads back the same: a threshold may be exactly this score.
                "score": float(str(score)),
                "file_name": sample.image.name,
                "category": wanted.labels[class_id],
            }


def read_results(
    path: Path,
    wanted: DetectionSet,
    numbering: Numbering,
    classes_by_name: Callable[[Sequence[str]], ClassMatch],
) -> tuple[list[Found], ClassMatch]:
    """Read COCO results (a JSON list) as detections of each picture of a set.

    Args:
        path: the file.
        wanted: the set that it is about.
        numbering: what `image_id` and `category_id` mean where a result has no names.
        classes_by_name: matches the class names of the file to those of the set.

    Returns:
        The detections and how classes were matched.

    Raises:
        ConfigError: no such file.
        FormatError: not JSON, not results, or about other pictures or classes; names the entry.
    """
    rows = _rows(path)
    name_of = dict(zip(numbering.classes, wanted.labels, strict=True))
    names = [_class_name(path, i, row, name_of) for i, row in enumerate(rows)]
    known = tuple(dict.fromkeys(names))
    classes = classes_by_name(known) if known else ClassMatch(np.zeros(0, np.int64), len(wanted.labels))
    index = {name: int(at) for name, at in zip(known, classes.of_label, strict=True)}
    picture_of = _picture_finder(path, wanted, numbering)
    gathered: list[list[tuple[list[float], float, int]]] = [[] for _ in wanted.samples]
    for i, (row, name) in enumerate(zip(rows, names, strict=True)):
        box, score = _box_and_score(path, i, row)
        place = picture_of(i, row)
        if index[name] >= 0:
            gathered[place].append((box, score, index[name]))
    return [_found(one) for one in gathered], classes


def _rows(path: Path) -> list[Mapping[str, Any]]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as err:
        raise ConfigError(f"--predictions {path}: no such file") from err
    except OSError as err:
        raise ConfigError(f"--predictions {path}: cannot be read: {err.strerror}") from err
    except json.JSONDecodeError as err:
        raise FormatError(str(path), f"not valid JSON: {err.msg}; write it again", err.lineno) from err
    except UnicodeDecodeError as err:
        raise FormatError(str(path), f"not UTF-8 text at byte {err.start}; save it as UTF-8") from err
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise FormatError(str(path), "not COCO results: expected a list of objects with bbox, score and their picture")
    return rows


def _class_name(path: Path, i: int, row: Mapping[str, Any], name_of: Mapping[int, str]) -> str:
    if isinstance(row.get("category"), str):
        return str(row["category"])
    number = row.get("category_id")
    if not isinstance(number, int) or number not in name_of:
        known = ", ".join(f"{n} {name}" for n, name in list(name_of.items())[:8])
        raise FormatError(str(path), f"entry {i}: category_id {number!r} is none of the set's ({known})")
    return name_of[number]


def _box_and_score(path: Path, i: int, row: Mapping[str, Any]) -> tuple[list[float], float]:
    try:
        x, y, width, height = (float(value) for value in row["bbox"])
        score = float(row["score"])
    except (KeyError, TypeError, ValueError) as err:
        raise FormatError(str(path), f"entry {i}: needs bbox [x, y, width, height] and score") from err
    if not all(map(math.isfinite, (x, y, width, height, score))) or width < 0 or height < 0 or not 0 <= score <= 1:
        raise FormatError(
            str(path), f"entry {i}: bbox {row['bbox']} and score {row['score']} must be numbers, sides >= 0, score 0..1"
        )
    return [x, y, x + width, y + height], score


def _picture_finder(path: Path, wanted: DetectionSet, numbering: Numbering) -> Callable[[int, Mapping[str, Any]], int]:
    """Return a function that finds a result's picture: by the path or name that it says, else by its number."""
    names = [sample.image.as_posix() for sample in wanted.samples]
    short = Counter(PurePosixPath(name).name for name in names)
    by_name = {PurePosixPath(name).name: i for i, name in enumerate(names) if short[PurePosixPath(name).name] == 1}
    by_number = {number: i for i, number in enumerate(numbering.pictures)}

    def find(i: int, row: Mapping[str, Any]) -> int:
        said = row.get("file_name", row.get("image_id"))
        if isinstance(said, int) and said in by_number:
            return by_number[said]
        if isinstance(said, str):
            if (at := by_name.get(PurePosixPath(said).name)) is not None:
                return at
            ends = [at for at, name in enumerate(names) if name.endswith("/" + said)]
            if len(ends) == 1:
                return ends[0]
        raise FormatError(str(path), f"entry {i}: picture {said!r} is not one of {wanted.name}; give the set it is of")

    return find


def _found(rows: Sequence[tuple[list[float], float, int]]) -> Found:
    return Found(
        np.array([row[0] for row in rows], dtype=np.float32).reshape(-1, 4),
        np.array([row[1] for row in rows], dtype=np.float32),
        np.array([row[2] for row in rows], dtype=np.int64),
    )
