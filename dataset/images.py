"""A picture from disk: its size from the header, its pixels as the viewer shows them.

Cameras that are held upright store lying pixels and a note to turn them (EXIF orientation 2..8). Here a picture's
width, height and pixels are always the shown ones, after turning; `Measured.stored` keeps the size before.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import FormatError

#: Endings, in lower case, of the pictures that readers look for.
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
_PNG = b"\x89PNG\r\n\x1a\n"
#: JPEG frame headers, which hold the size (ITU T.81, table B.1), without DHT, JPG and DAC.
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_END_OF_JPEG = b"\xff\xd9"
_ORIENTATION_TAG = 0x0112


@dataclass(frozen=True)
class Measured:
    """What a file's bytes tell without decoding its pixels.

    Attributes:
        width: pixels across, as shown.
        height: pixels down, as shown.
        orientation: EXIF orientation 1..8; 1 is upright.
        sha256: of the file's bytes.
    """

    width: int
    height: int
    orientation: int
    sha256: str

    @property
    def stored(self) -> tuple[int, int]:
        """Width and height before the picture is turned for showing."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def is_picture(path: Path) -> bool:
    """Tell whether a file's name says that it is a picture; hidden files are none."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def load_image(path: Path) -> NDArray[np.uint8]:
    """Read a picture as (H, W, 3) uint8 RGB, turned as its EXIF orientation says.

    Raises:
        FormatError: the file is missing, is cut off, or cannot be decoded.
    """
    raw = _bytes_of(path)
    _check_complete(raw, path)
    return _decode(raw, path)


def measure(path: Path) -> Measured:
    """Read a picture's size, orientation and hash; only formats other than JPEG, PNG and BMP are decoded for it.

    Raises:
        FormatError: the file is missing, is cut off, or is no picture.
    """
    raw = _bytes_of(path)
    _check_complete(raw, path)
    found = _from_header(raw)
    if found is None:
        pixels = _decode(raw, path)
        found = (pixels.shape[1], pixels.shape[0], 1)
    width, height, orientation = found
    if width < 1 or height < 1:
        raise FormatError(str(path), f"the header says {width}x{height} pixels; replace the picture or leave it out")
    if orientation >= 5:
        width, height = height, width
    return Measured(width, height, orientation, hashlib.sha256(raw).hexdigest())


def _bytes_of(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
    except FileNotFoundError as err:
        raise FormatError(str(path), "no such picture; put it there or take it out of the annotations") from err
    except OSError as err:
        raise FormatError(str(path), f"cannot read the picture: {err.strerror}") from err
    if not raw:
        raise FormatError(str(path), "the picture is an empty file; replace it or leave it out")
    return raw


def _decode(raw: bytes, path: Path) -> NDArray[np.uint8]:
    try:
        pixels = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as err:
        raise FormatError(
            str(path), f"not a picture that can be decoded: {err.err}; replace it or leave it out"
        ) from err
    if pixels is None:
        raise FormatError(str(path), "not a picture that can be decoded; replace it or leave it out")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _check_complete(raw: bytes, path: Path) -> None:
    """Refuse a JPEG or PNG that stops early: decoders fill the rest with grey and say nothing."""
    if raw.startswith(b"\xff\xd8"):
        # In coded pixels 0xFF is followed by 0x00 or a restart marker; a preview in the header ends before the scan.
        complete = raw.find(_END_OF_JPEG, _start_of_scan(raw)) >= 0
    elif raw.startswith(_PNG):
        complete = b"IEND" in raw[-64:]
    else:
        return
    if not complete:
        raise FormatError(str(path), f"the picture is cut off after {len(raw)} bytes; copy it again or leave it out")


def _start_of_scan(raw: bytes) -> int:
    """Return where the coded pixels of a JPEG begin, or its length."""
    return next((at for marker, at, _ in _jpeg_segments(raw) if marker == 0xDA), len(raw))


def _jpeg_segments(raw: bytes) -> list[tuple[int, int, int]]:
    """Return marker, start and length of the content of each JPEG segment, up to the start of the scan."""
    segments = []
    at = 2
    while at + 4 <= len(raw):
        if raw[at] != 0xFF:
            break
        marker = raw[at + 1]
        if marker == 0xFF:  # fill bytes may stand before a marker
            at += 1
            continue
        length = int.from_bytes(raw[at + 2 : at + 4])
        segments.append((marker, at + 4, length - 2))
        if marker == 0xDA:
            break
        at += 2 + length
    return segments


def _from_header(raw: bytes) -> tuple[int, int, int] | None:
    """Return stored width, stored height and orientation; None when the header is none that is known here."""
    if raw.startswith(b"\xff\xd8"):
        size, orientation = None, 1
        for marker, at, length in _jpeg_segments(raw):
            content = raw[at : at + length]
            if marker == 0xE1 and content.startswith(b"Exif\0\0"):
                orientation = _orientation(content[6:])
            elif marker in _FRAME_MARKERS and len(content) >= 5:
                size = (int.from_bytes(content[3:5]), int.from_bytes(content[1:3]))
        return None if size is None else (*size, orientation)
    # A PNG may hold an orientation too (chunk eXIf): rare enough to decode it.
    if raw.startswith(_PNG) and len(raw) >= 24 and b"eXIf" not in raw:
        return int.from_bytes(raw[16:20]), int.from_bytes(raw[20:24]), 1
    if raw.startswith(b"BM") and len(raw) >= 26 and int.from_bytes(raw[14:18], "little") >= 40:
        width, height = struct.unpack("<ii", raw[18:26])
        return width, abs(height), 1
    return None


def _orientation(tiff: bytes) -> int:
    """Return the orientation 1..8 that a TIFF block tells; 1 when it tells none or is broken."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 10:
        return 1
    start = struct.unpack(order + "I", tiff[4:8])[0]
    if start + 2 > len(tiff):
        return 1
    for entry in range(struct.unpack(order + "H", tiff[start : start + 2])[0]):
        field = tiff[start + 2 + 12 * entry : start + 14 + 12 * entry]
        if len(field) < 12:
            break
        tag, kind, count, value = struct.unpack(order + "HHIH2x", field)
        if tag == _ORIENTATION_TAG:
            return value if kind == 3 and count == 1 and 1 <= value <= 8 else 1
    return 1
