"""What all readers share: pictures are measured, boxes checked, and the set gets its hash.

A reader turns its format into `RawBox`es; here they are clipped, doubles and boxes without an area left out (each with
a warning), and what cannot be mended is a FormatError that names file and line.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.boxes import clip
from core.errors import FormatError
from dataset.images import Measured, measure
from dataset.records import DetectionSet, Sample

#: Boxes may stick out by this much without a word: annotation tools round.
ROUNDING_PX = 1.0
#: A box with a thinner side has no area.
THINNEST_PX = 0.5


@dataclass(frozen=True)
class RawBox:
    """One annotation as it stands in its file.

    Attributes:
        xyxy: x1, y1, x2, y2 in pixels of the picture.
        label: class name.
        ignored: crowd or difficult.
        line: 1-based line in the annotation file; None where lines say nothing.
        name: what else tells people which annotation is meant ("annotation id 7"); "" for nothing.
    """

    xyxy: tuple[float, float, float, float]
    label: str
    ignored: bool = False
    line: int | None = None
    name: str = ""


@dataclass
class SetBuilder:
    """Collects the pictures of a set.

    Attributes:
        name: of the set to be.
        root: the folder that paths in warnings and the order of the pictures are relative to.
        labels: class names in their order.
        warnings: what was mended or left out so far.
    """

    name: str
    root: Path
    labels: tuple[str, ...]
    warnings: list[str] = field(default_factory=list)
    _samples: list[tuple[str, str, Sample]] = field(default_factory=list)
    _seen: dict[Path, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        doubles = [label for label, count in Counter(self.labels).items() if count > 1]
        if doubles:
            raise FormatError(str(self.root), f"class {doubles[0]!r} stands twice in the list of classes; name it once")
        if any(not label.strip() for label in self.labels):
            raise FormatError(str(self.root), f"a class has no name in {list(self.labels)}; name each class")

    def warn(self, path: Path, text: str, line: int | None = None) -> None:
        """Note what was mended or left out."""
        where = self._shown(path)
        self.warnings.append(f"{where}: {text}" if line is None else f"{where}:{line}: {text}")

    def measure(self, image: Path, source: Path, line: int | None = None) -> Measured:
        """Measure a picture that `source` (line `line`) speaks of."""
        if not image.exists():
            raise FormatError(
                str(source), f"picture {image} is missing; put it there or take it out of the annotations", line
            )
        return measure(image)

    def add(
        self,
        image: Path,
        measured: Measured,
        boxes: Iterable[RawBox],
        source: Path,
        declared: tuple[int, int] | None = None,
        split: str = "",
    ) -> None:
        """Check one picture's annotations and take it in.

        Args:
            image: the picture.
            measured: what `measure` found.
            boxes: its annotations.
            source: the file that they stand in.
            declared: width and height that the annotations say; None when they do not.
            split: part of the set ("train", "valid"); "" when there are none.

        Raises:
            FormatError: a size, class or number that cannot be.
        """
        place = image.resolve()
        if place in self._seen:
            raise FormatError(
                str(source), f"picture {image} is annotated twice (also in {self._seen[place]}); keep one"
            )
        self._seen[place] = source
        turn = self._turn(image, measured, declared, source)
        size = measured.stored if turn else (measured.width, measured.height)
        rows = [(raw, box) for raw in boxes if (box := self._clipped(raw, size, image, source)) is not None]
        rows = self._without_doubles(rows, source)
        table = np.array([box for _, box in rows], dtype=np.float32).reshape(-1, 4)
        if turn:
            table = turned(table, measured)
        sample = Sample(
            image,
            measured.width,
            measured.height,
            table,
            np.array([self.labels.index(raw.label) for raw, _ in rows], dtype=np.int64),
            np.array([raw.ignored for raw, _ in rows], dtype=np.bool_),
            sha256=measured.sha256,
        )
        self._samples.append((self._shown(image), split, sample))

    def build(self, strict: bool = True) -> DetectionSet:
        """Return the whole set, ordered by path; `strict` refuses one without any box."""
        return self._set(self.name, [sample for _, _, sample in sorted(self._samples, key=_by_path)], strict)

    def build_splits(self) -> dict[str, DetectionSet]:
        """Return a set for each part of the whole, by its name."""
        ordered = sorted(self._samples, key=_by_path)
        names = sorted({split for _, split, _ in ordered})
        return {
            split: self._set(
                f"{self.name}/{split}" if split else self.name, [s for _, mine, s in ordered if mine == split], False
            )
            for split in names
        }

    def _set(self, name: str, samples: Sequence[Sample], strict: bool) -> DetectionSet:
        if not samples:
            raise FormatError(str(self.root), "the set is empty: no annotated picture in it; check the folder")
        used = {int(c) for sample in samples for c in sample.classes[~sample.ignored]}
        if strict and not used:
            raise FormatError(str(self.root), f"none of the {len(samples)} pictures has a box; nothing can be learnt")
        warnings = list(self.warnings)
        warnings += [f"{name}: no box of class {label!r}" for i, label in enumerate(self.labels) if i not in used]
        bare = [sample.image.name for sample in samples if len(sample.boxes) == 0]
        if bare:
            shown = ", ".join(bare[:5]) + (" …" if len(bare) > 5 else "")
            warnings.append(f"{name}: {len(bare)} pictures have no box and count as background: {shown}")
        return DetectionSet(name, self.labels, tuple(samples), set_sha256(self.labels, samples), tuple(warnings))

    def _shown(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.as_posix()

    def _turn(self, image: Path, measured: Measured, declared: tuple[int, int] | None, source: Path) -> bool:
        """Tell whether the boxes are in stored pixels and have to be turned with the picture."""
        shown = (measured.width, measured.height)
        if declared is not None and declared != shown:
            if declared != measured.stored:
                raise FormatError(
                    str(source),
                    f"says that {image.name} has {declared[0]}x{declared[1]} pixels, but it has {shown[0]}x{shown[1]}: "
                    "the boxes belong to another version of the picture; put that one there",
                )
            self.warn(image, f"boxes turned with the picture (EXIF orientation {measured.orientation})")
            return True
        if measured.orientation != 1 and (declared is None or shown == measured.stored):
            self.warn(image, f"EXIF orientation {measured.orientation}: boxes are taken as drawn on the turned picture")
        return False

    def _clipped(
        self, raw: RawBox, size: tuple[int, int], image: Path, source: Path
    ) -> tuple[float, float, float, float] | None:
        """Return the box cut to the picture; None when it has no area in it."""
        which = f"{raw.name}: " if raw.name else ""
        if raw.label not in self.labels:
            known = ", ".join(self.labels)
            raise FormatError(str(source), f"{which}unknown class {raw.label!r}; known are {known}", raw.line)
        if not all(isfinite(value) for value in raw.xyxy):
            raise FormatError(str(source), f"{which}box {list(raw.xyxy)} is not finite; correct or remove it", raw.line)
        x1, y1, x2, y2 = raw.xyxy
        if x2 < x1 or y2 < y1:
            self.warn(source, f"{which}box {_short(raw.xyxy)} of {image.name} is inside out: left out", raw.line)
            return None
        cut = clip(np.array([raw.xyxy], dtype=np.float64), *size)[0]
        if cut[2] - cut[0] < THINNEST_PX or cut[3] - cut[1] < THINNEST_PX:
            self.warn(source, f"{which}box {_short(raw.xyxy)} of {image.name} has no area: left out", raw.line)
            return None
        if np.abs(cut - raw.xyxy).max() > ROUNDING_PX:
            text = f"{which}box {_short(raw.xyxy)} sticks out of {image.name} ({size[0]}x{size[1]}): clipped"
            self.warn(source, text, raw.line)
        return float(cut[0]), float(cut[1]), float(cut[2]), float(cut[3])

    def _without_doubles(
        self, rows: list[tuple[RawBox, tuple[float, float, float, float]]], source: Path
    ) -> list[tuple[RawBox, tuple[float, float, float, float]]]:
        """Leave out boxes that stand there twice; two classes on one box are kept, with a warning."""
        labels_at: dict[tuple[float, float, float, float], set[str]] = {}
        kept = []
        for raw, box in rows:
            mine = labels_at.setdefault(box, set())
            if raw.label in mine:
                self.warn(source, f"{raw.label!r} {_short(box)} is annotated twice: one left out", raw.line)
                continue
            if mine:
                self.warn(source, f"box {_short(box)} has two classes: {sorted(mine)[0]!r} and {raw.label!r}", raw.line)
            mine.add(raw.label)
            kept.append((raw, box))
        return kept


def set_sha256(labels: Sequence[str], samples: Sequence[Sample]) -> str:
    """Return the hash of labels, boxes and picture bytes, in the order of the samples; paths do not count."""
    digest = hashlib.sha256("\0".join(labels).encode())
    for sample in samples:
        digest.update(picture_sha256(sample).encode())
        digest.update(np.array([sample.width, sample.height, len(sample.boxes)], dtype="<i8").tobytes())
        digest.update(sample.boxes.astype("<f4").tobytes())
        digest.update(sample.classes.astype("<i8").tobytes() + sample.ignored.tobytes())
    return digest.hexdigest()


def picture_sha256(sample: Sample) -> str:
    """Return the hash of a sample's picture file, read now unless it is known."""
    return sample.sha256 or measure(sample.image).sha256


def turned(boxes: NDArray[np.float32], measured: Measured) -> NDArray[np.float32]:
    """Return boxes (N, 4) of stored pixels as they lie on the picture that EXIF orientation turned."""
    x1, y1, x2, y2 = boxes.T
    if measured.orientation >= 5:  # rows are columns
        x1, y1, x2, y2 = y1, x1, y2, x2
    width, height = measured.width, measured.height
    if measured.orientation in (2, 3, 6, 7):
        x1, x2 = width - x2, width - x1
    if measured.orientation in (3, 4, 7, 8):
        y1, y2 = height - y2, height - y1
    return np.stack([x1, y1, x2, y2], axis=1).astype(np.float32)


def _by_path(entry: tuple[str, str, Sample]) -> str:
    return entry[0]


def _short(box: Sequence[float]) -> str:
    return "[" + ", ".join(f"{value:g}" for value in box) + "]"
