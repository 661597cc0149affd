"""Pascal VOC: one XML file a picture (Everingham et al., 2010).

VOC counts pixels from 1 and means the last pixel of a box inclusively; a box of pixels 1..3 is 0..3 here. The XML files
lie in `Annotations/`, or beside the pictures (Roboflow's export); pictures in `JPEGImages/`, `images/` or beside them.
`ImageSets/Main/train.txt` names the parts of the set, `labelmap.txt` the classes; both may be missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from core.errors import FormatError
from dataset.building import RawBox, SetBuilder
from dataset.images import is_picture
from dataset.layout import SPLIT_NAMES, head_of

_XML_FOLDERS = ("Annotations", "annotations", "xmls")
_PICTURE_FOLDERS = ("JPEGImages", "images", "Images", "imgs")
#: Entries of a label map that are no classes of objects.
_NO_CLASSES = frozenset({"background", "ignored"})


def find_files(path: Path) -> list[Path]:
    """Return the VOC files of a folder, in a fixed order; empty when there are none."""
    if not path.is_dir():
        return []
    parts = [path, *(path / name for name in SPLIT_NAMES)]
    places = [place for part in parts for place in (part, *(part / name for name in _XML_FOLDERS))]
    return [
        file
        for place in places
        if place.is_dir()
        for file in sorted(place.glob("*.xml"))
        if "<annotation" in head_of(file)
    ]


def read(path: Path, labels: tuple[str, ...] | None) -> SetBuilder:
    """Read all VOC files under `path` into one set.

    Args:
        path: the folder.
        labels: class names in their order; None takes those that occur: in the order of `labelmap.txt` if there is one,
            by name otherwise.

    Raises:
        FormatError: something that cannot be mended; names file and line.
    """
    files = find_files(path)
    if not files:
        raise FormatError(str(path), "no VOC files here: expected XML files with <annotation> in it or in Annotations/")
    parsed = [(file, parse_xml(file)) for file in files]
    objects = {file: list(_objects(root, file)) for file, root in parsed}
    occurring = {box.label for boxes in objects.values() for box in boxes}
    builder = SetBuilder(path.name, path, labels or _ordered(occurring, path))
    parts = _parts(path)
    pictures = _Pictures(path)
    for file, root in parsed:
        image = pictures.of(file, root.text_of("filename"))
        folder = _part_folder(file)
        split = parts.get(file.stem, folder.name if folder != path else "")
        builder.add(image, builder.measure(image, file), objects[file], file, _size(root, file), split)
    for image in pictures.unlisted():
        builder.warn(image, "no XML file speaks of this picture: left out")
    return builder


@dataclass
class Element:
    """An XML element with the line that it begins at."""

    tag: str
    line: int
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def child(self, tag: str) -> Element | None:
        """Return the first child of that name."""
        return next((c for c in self.children if c.tag == tag), None)

    def text_of(self, tag: str) -> str:
        """Return the text of the first child of that name; "" when there is none."""
        found = self.child(tag)
        return "" if found is None else found.text.strip()


def parse_xml(file: Path) -> Element:
    """Parse a file into elements that know their lines; entities of its own are refused.

    Raises:
        FormatError: not well-formed, or it declares entities.
    """
    root = Element("", 1)
    stack = [root]
    parser = expat.ParserCreate()

    def start(tag: str, _attributes: dict[str, str]) -> None:
        element = Element(tag, parser.CurrentLineNumber)
        stack[-1].children.append(element)
        stack.append(element)

    def end(_tag: str) -> None:
        stack.pop()

    def text(content: str) -> None:
        stack[-1].text += content

    def refuse(name: str, *_rest: object) -> None:
        raise FormatError(
            str(file), f"declares the entity {name!r}, which can grow without end", parser.CurrentLineNumber
        )

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(file.read_bytes(), True)
    except expat.ExpatError as err:
        raise FormatError(str(file), f"not valid XML: {expat.ErrorString(err.code)}", err.lineno) from err
    except OSError as err:
        raise FormatError(str(file), f"cannot read the annotation: {err.strerror}") from err
    top = root.children[0]
    if top.tag != "annotation":
        raise FormatError(str(file), f"the outermost element must be <annotation>, not <{top.tag}>", top.line)
    return top


def _objects(root: Element, file: Path) -> Iterator[RawBox]:
    for element in root.children:
        if element.tag != "object":
            continue
        name = element.text_of("name")
        if not name:
            raise FormatError(str(file), "an object has no <name>; give it its class", element.line)
        corners = element.child("bndbox")
        if corners is None:
            raise FormatError(str(file), f"object {name!r} has no <bndbox>; draw its box or remove it", element.line)
        x1, y1, x2, y2 = (_number(corners, tag, file) for tag in ("xmin", "ymin", "xmax", "ymax"))
        ignored = element.text_of("difficult") not in ("", "0")
        yield RawBox((_from_zero(x1), _from_zero(y1), x2, y2), name, ignored, corners.line)


def _from_zero(value: float) -> float:
    """Return a coordinate that counts from 1 as one from 0; a 0, of tools that count from 0 anyway, stays."""
    return value - 1 if value >= 1 or value < 0 else 0.0


def _number(corners: Element, tag: str, file: Path) -> float:
    element = corners.child(tag)
    if element is None:
        raise FormatError(str(file), f"<bndbox> has no <{tag}>", corners.line)
    try:
        return float(element.text)
    except ValueError as err:
        raise FormatError(str(file), f"<{tag}> must be a number, got {element.text!r}", element.line) from err


def _size(root: Element, file: Path) -> tuple[int, int] | None:
    """Return the width and height that the file says; None when it says none, or 0 as some tools do."""
    size = root.child("size")
    if size is None:
        return None
    sides = []
    for tag in ("width", "height"):
        text = size.text_of(tag)
        if not text.isdecimal():
            raise FormatError(str(file), f"<{tag}> of <size> must be a whole number, got {text!r}", size.line)
        sides.append(int(text))
    return (sides[0], sides[1]) if all(sides) else None


class _Pictures:
    """Finds the picture of an XML file: by its <filename>, or by the XML file's own name."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files = {file for file in root.rglob("*") if is_picture(file)}
        self._by_stem = {(file.parent, file.stem): file for file in sorted(self._files)}
        self._taken: set[Path] = set()

    def of(self, file: Path, name: str) -> Path:
        """Return the picture of XML file `file` that calls it `name`."""
        part = _part_folder(file)
        folders = [file.parent, part, *(part / folder for folder in _PICTURE_FOLDERS)]
        named = [folder / name for folder in folders if folder / name in self._files]
        own = [self._by_stem[folder, file.stem] for folder in folders if (folder, file.stem) in self._by_stem]
        if not (named or own):
            text = f"picture {name or file.stem!r} is missing under {self._root}; put it there or remove this file"
            raise FormatError(str(file), text)
        found = (named or own)[0]
        self._taken.add(found)
        return found

    def unlisted(self) -> list[Path]:
        """Return the pictures beside those asked for that were not: perhaps full of objects, so no background."""
        folders = {file.parent for file in self._taken}
        return sorted(file for file in self._files - self._taken if file.parent in folders)


def _part_folder(file: Path) -> Path:
    """Return the folder that holds an XML file and its pictures, or their folders."""
    return file.parent.parent if file.parent.name in _XML_FOLDERS else file.parent


def _ordered(occurring: set[str], path: Path) -> tuple[str, ...]:
    """Return the class names in the order of `labelmap.txt`, or by name."""
    listing = path / "labelmap.txt"
    if not listing.is_file():
        return tuple(sorted(occurring))
    lines = listing.read_text(encoding="utf-8-sig").splitlines()
    names = [line.split(":", 1)[0].strip() for line in lines if line.strip() and not line.startswith("#")]
    names = [name for name in names if name not in _NO_CLASSES or name in occurring]
    return tuple(names)


def _parts(path: Path) -> dict[str, str]:
    """Return the part ("train") of each picture's stem, as ImageSets/Main tells."""
    parts: dict[str, str] = {}
    for split in SPLIT_NAMES:
        listing = path / "ImageSets" / "Main" / f"{split}.txt"
        if listing.is_file():
            for line in listing.read_text(encoding="utf-8-sig").splitlines():
                if line.strip():
                    parts.setdefault(line.split()[0], split)
    return parts
