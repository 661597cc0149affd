"""The nouns of a labelled set: a Sample is one picture with its boxes, a DetectionSet many with one list of labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture and what is on it.

    Attributes:
        image: the picture's file.
        width: pixels across, as the boxes mean it.
        height: pixels down.
        boxes: (N, 4) float32 xyxy, pixels of the picture, inside it, each with an area.
        classes: (N,) int64, index into the set's labels.
        ignored: (N,) bool: neither to be found nor background (crowds, VOC's difficult).
        group: pictures of one group (a video, a burst) stay on one side of a split; "" is a group of its own.
        sha256: of the picture's bytes, as read with the annotations; "" where nobody read them.
    """

    image: Path
    width: int
    height: int
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    ignored: NDArray[np.bool_]
    group: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        count = len(self.boxes)
        if self.boxes.shape != (count, 4) or self.classes.shape != (count,) or self.ignored.shape != (count,):
            raise ValueError(
                f"boxes {self.boxes.shape}, classes {self.classes.shape} and ignored {self.ignored.shape} do not fit"
            )
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a picture of {self.width}x{self.height} pixels")


@dataclass(frozen=True, eq=False)
class DetectionSet:
    """A labelled set in memory; pictures stay on disk.

    Attributes:
        name: for people: the folder's name, and the split's.
        labels: class names, in the order of `Sample.classes`.
        samples: the pictures, in an order that does not depend on the file system.
        sha256: of labels, boxes and the bytes of all pictures: what a run record calls the data's hash.
        warnings: what the reader mended or left out, one line each, with the file it is about.
    """

    name: str
    labels: tuple[str, ...]
    samples: tuple[Sample, ...]
    sha256: str
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)
