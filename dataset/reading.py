"""The face of the readers: which format a folder has, and the set in it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from core.errors import FormatError
from dataset import coco, voc, yolo
from dataset.building import SetBuilder
from dataset.records import DetectionSet

Format = Literal["auto", "coco", "voc", "yolo"]

#: What makers call the part to choose by, best name first, and the part to learn from.
VALIDATION_PARTS = ("valid", "val", "validation", "test", "testing")
TRAINING_PARTS = ("train", "training", "trainval")


def read_set(path: Path, format: Format = "auto", labels: tuple[str, ...] | None = None) -> DetectionSet:  # noqa: A002
    """Read a labelled set; parts that it comes in (train, valid, test) are joined.

    Args:
        path: its folder, the folder of one part, or a COCO JSON file.
        format: "auto" tells it from the files that lie there.
        labels: class names in their order, for a set that must have the classes of another; an annotation of any other
            class is an error. None takes the set's own.

    Raises:
        FormatError: no or more than one format, or a file that cannot be mended; names file and line.
    """
    return _read(path, format, labels).build()


def read_splits(path: Path, format: Format = "auto", labels: tuple[str, ...] | None = None) -> dict[str, DetectionSet]:  # noqa: A002
    """Read a labelled set by the parts that it comes in, as its maker calls them; "" is what belongs to none.

    All parts have the same labels. Raises as `read_set` does.
    """
    return _read(path, format, labels).build_splits()


def tell_format(path: Path) -> Literal["coco", "voc", "yolo"]:
    """Tell a set's format from the files that lie there.

    Raises:
        FormatError: the path is missing, or its files show no format, or more than one.
    """
    if not path.exists():
        raise FormatError(str(path), "no such file or folder; give the folder of a COCO, Pascal VOC or YOLO set")
    # Pictures with text files show YOLO; a list of classes alone does not, as COCO and VOC sets may have one, too.
    shown: dict[Literal["coco", "voc", "yolo"], bool] = {
        "coco": bool(coco.find_files(path)),
        "voc": bool(voc.find_files(path)),
        "yolo": bool(yolo.find_folders(path)),
    }
    found = [name for name, present in shown.items() if present]
    if len(found) > 1:
        text = f"more than one format here ({', '.join(found)}); say which with --format, or give the folder of one"
        raise FormatError(str(path), text)
    if not found:
        raise FormatError(
            str(path),
            "no known format here: looked for COCO (*.json, annotations/*.json, train/_annotations.coco.json), "
            "Pascal VOC (*.xml, Annotations/*.xml) and YOLO (images/ and labels/*.txt, or *.txt beside pictures)",
        )
    return found[0]


def _read(path: Path, format: Format, labels: tuple[str, ...] | None) -> SetBuilder:  # noqa: A002
    if not path.exists():
        raise FormatError(str(path), "no such file or folder; give the folder of a COCO, Pascal VOC or YOLO set")
    chosen = tell_format(path) if format == "auto" else format
    match chosen:
        case "coco":
            return coco.read(path, labels)
        case "voc":
            return voc.read(path, labels)
        case "yolo":
            return yolo.read(path, labels)
        case _:
            raise ValueError(f"no such format: {chosen!r}")
