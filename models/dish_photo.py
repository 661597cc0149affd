"""From one photo to the views of a dish: find it, judge whether the photo can teach anything, turn and scale it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from core.records import HAND, Box, Frame
from models.detector import Detector

Image = NDArray[np.uint8]
Cut = Callable[[Image, Box], Image]

#: Photos larger than this are not decoded, bytes and pixels.
MOST_BYTES, MOST_PIXELS = 30_000_000, 80_000_000
#: A dish that is smaller than this, in pixels, shows too little.
LEAST_SIDE = 24
#: Mean brightness (0..255) below which a photo is too dark, and share of pure white above which it is burnt out.
DARK, BURNT = 38.0, 0.6
#: Least share of fine detail (see `sharpness`) of a photo that is not blurred.
BLURRED = 0.012
#: A thing that the detector is this sure of is there.
SURE = 0.4
#: A detector is shown the photo on a canvas of this size, filling it by these shares.
_CANVAS, _SHARES = (640, 360), (1.0, 0.6, 0.36)
#: A box that lies in another by more than this share is part of it; two that share more than `_SAME` are one.
_NESTED, _SAME, _LEAST_AREA = 0.3, 0.5, 16.0
#: A stored photo is no larger than this on its long side, and has this much around the dish (its share).
KEPT_SIDE, KEPT_MARGIN = 640, 0.35
#: A crop has this much around the box, as a share of its sides; the same at the lane and in the gallery.
CROP_MARGIN = 0.02
#: Turns, and what else is varied along with them: scale, light, and side in pixels to which a view is shrunk.
TURNS = 16
_SCALES = (1.0, 0.9, 1.12, 1.0)
_LIGHTS = (1.0, 0.82, 1.0, 1.15)
_SIDES = (0, 72, 48, 0)


@dataclass(frozen=True, slots=True, eq=False)
class DishPhoto:
    """A photo that can teach: the dish with a little around it.

    Attributes:
        image: (h, w, 3) uint8 RGB.
        box: of the dish in it, pixels.
        found: how it was found, for people.
        warnings: what could be better about the photo.
    """

    image: Image
    box: Box
    found: str
    warnings: tuple[str, ...] = ()


def decode_photo(content: bytes, name: str = "the photo") -> Image:
    """Return the picture (H, W, 3) RGB of a JPEG, PNG, WebP, BMP or TIFF file, turned the way its EXIF says.

    Raises:
        DataError: it is none, or is too large.
    """
    if not content:
        raise DataError(f"{name}: the file is empty; take the photo again")
    if len(content) > MOST_BYTES:
        raise DataError(f"{name}: {len(content) / 1e6:.0f} MB is more than {MOST_BYTES / 1e6:.0f} MB; make it smaller")
    try:
        bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as err:
        raise DataError(f"{name}: the picture cannot be read ({err.err}); save it as JPEG or PNG") from err
    if bgr is None:
        raise DataError(f"{name}: not a picture that can be read; save it as JPEG or PNG")
    if bgr.shape[0] * bgr.shape[1] > MOST_PIXELS:
        raise DataError(f"{name}: {bgr.shape[1]}x{bgr.shape[0]} pixels are too many; make the photo smaller")
    if min(bgr.shape[:2]) < LEAST_SIDE:
        raise DataError(
            f"{name}: {bgr.shape[1]}x{bgr.shape[0]} pixels are too few; a dish needs {LEAST_SIDE} or more each way"
        )
    return np.ascontiguousarray(bgr[..., ::-1])


def sharpness(image: Image) -> float:
    """Return the share of a picture's contrast that lies in its finest details, at 96 pixels of its longer side.

    Variance of the Laplacian (Pech-Pacheco 2000) over the variance of the picture, so that neither the size of the
    photo nor its contrast counts.
    """
    scale = 96.0 / max(image.shape[:2])
    size = (max(round(image.shape[1] * scale), 8), max(round(image.shape[0] * scale), 8))
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR).astype(np.float32)
    spread = float(small.var())
    return float(cv2.Laplacian(small, cv2.CV_32F).var()) / (spread + 25.0)


def cut(image: Image, box: Box, margin: float = CROP_MARGIN) -> Image:
    """Return the part of a picture that a box shows, with a margin, cut at the picture's edges; at least one pixel."""
    x1, y1, x2, y2 = box
    mx, my = (x2 - x1) * margin, (y2 - y1) * margin
    height, width = image.shape[:2]
    left, top = min(max(math.floor(x1 - mx), 0), width - 1), min(max(math.floor(y1 - my), 0), height - 1)
    right, bottom = max(min(math.ceil(x2 + mx), width), left + 1), max(min(math.ceil(y2 + my), height), top + 1)
    return image[top:bottom, left:right]


def prepare_photo(
    content: bytes, detector: Detector | None, box: Box | None = None, name: str = "the photo"
) -> DishPhoto:
    """Return what a photo teaches.

    Args:
        content: of the file.
        detector: finds things whatever they are (`items_only`); None: only plain backgrounds and boxes can be told.
        box: where the dish is, pixels of the photo; found out if not given.
        name: what messages call the photo.

    Raises:
        DataError: no dish, more than one, too dark, too blurred or too small; says how much, and what to do.
    """
    image = decode_photo(content, name)
    if box is not None:
        box, found = _checked(box, image, name), "given"
    else:
        box, found = find_dish(image, detector, name)
    warnings = _judge(cut(image, box, 0.0), name)
    around = cut(image, box, KEPT_MARGIN)
    x, y = (
        max(math.floor(box[0] - (box[2] - box[0]) * KEPT_MARGIN), 0),
        max(math.floor(box[1] - (box[3] - box[1]) * KEPT_MARGIN), 0),
    )
    scale = min(KEPT_SIDE / max(around.shape[:2]), 1.0)
    if scale < 1.0:
        size = (round(around.shape[1] * scale), round(around.shape[0] * scale))
        around = np.asarray(cv2.resize(around, size, interpolation=cv2.INTER_AREA), np.uint8)
    inner = tuple((value - origin) * scale for value, origin in zip(box, (x, y, x, y), strict=True))
    return DishPhoto(np.ascontiguousarray(around), (inner[0], inner[1], inner[2], inner[3]), found, warnings)


def _checked(box: Box, image: Image, name: str) -> Box:
    height, width = image.shape[:2]
    x1, y1, x2, y2 = max(box[0], 0.0), max(box[1], 0.0), min(box[2], float(width)), min(box[3], float(height))
    if not all(map(math.isfinite, box)) or x2 - x1 < 1 or y2 - y1 < 1:
        shown = ",".join(f"{value:g}" for value in box)
        raise DataError(f"{name}: box {shown} is not inside the photo of {width}x{height} pixels; give x1,y1,x2,y2")
    return x1, y1, x2, y2


def _judge(crop: Image, name: str) -> tuple[str, ...]:
    """Return what could be better about a dish's picture.

    Raises:
        DataError: it is too small, dark or blurred to teach anything.
    """
    height, width = crop.shape[:2]
    if min(height, width) < LEAST_SIDE // 2 or max(height, width) < LEAST_SIDE:
        raise DataError(
            f"{name}: the dish is only {width}x{height} pixels; go nearer ({LEAST_SIDE} pixels or more each way)"
        )
    grey = cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY)
    light, burnt = float(grey.mean()), float((grey >= 252).mean())
    # Dark food in good light has bright spots: a rim, a reflection, the table.
    bright = float(np.quantile(grey, 0.98))
    if light < DARK and bright < 2.2 * DARK:
        raise DataError(
            f"{name}: too dark (brightness {light:.0f} of 255, {DARK:.0f} or more needed); switch a light on"
        )
    if burnt > BURNT:
        raise DataError(f"{name}: {burnt:.0%} of the dish is pure white; take the photo with less light or no flash")
    fine = sharpness(crop)
    if fine < BLURRED:
        raise DataError(
            f"{name}: too blurred (sharpness {fine:.3f}, {BLURRED:g} or more needed); hold the camera still, let it "
            "focus and take the photo again"
        )
    warnings = []
    if light < 1.5 * DARK:
        warnings.append(f"{name}: rather dark (brightness {light:.0f}); more light would teach better")
    if fine < 2.0 * BLURRED:
        warnings.append(f"{name}: rather blurred (sharpness {fine:.3f}); a sharper photo would teach better")
    return tuple(warnings)


# --- where the dish is -----------------------------------------------------------------------------------------------


def find_dish(image: Image, detector: Detector | None, name: str = "the photo") -> tuple[Box, str]:
    """Return the box of the one dish in a photo, pixels, and how it was found.

    Raises:
        DataError: there is none, or more than one; says where, and what to do.
    """
    boxes = [] if detector is None else _detected(image, detector)
    how = "detected"
    if not boxes:
        boxes, how = _on_plain_ground(image), "stands out from a plain background"
    height, width = image.shape[:2]
    if not boxes:
        raise DataError(
            f"{name}: no dish found; photograph it from above on a plain surface, or say where it is: "
            f"--box x1,y1,x2,y2 (the whole photo is --box 0,0,{width},{height})"
        )
    if len(boxes) > 1:
        shown = "; ".join(",".join(f"{value:.0f}" for value in box) for box in boxes[:4])
        count = {2: "two", 3: "three"}.get(len(boxes), str(len(boxes)))
        raise DataError(f"{name}: {count} things seen, one wanted; take the others away, or give one of --box {shown}")
    return boxes[0], how


def _detected(image: Image, detector: Detector) -> list[Box]:
    """Return what a detector finds, in the whole photo and in shrunk ones.

    Detectors know things of the size in which they lie on a counter. Of a dish that fills the photo they find parts,
    such as the cream on a pudding; shrunk, the whole. What is found in both is the larger one, with the parts in it.
    """
    height, width = image.shape[:2]
    boxes: list[NDArray[np.float64]] = []
    for share in _SHARES:
        shown, (left, top), scale = _shrunk(image, share)
        found = detector.detect([Frame("teach", 0, 0.0, 0.0, shown)])[0]
        hands = np.array([label == HAND for label in detector.labels])[found.class_ids]
        sure = (found.scores >= SURE) & ~hands
        here = (found.boxes[sure].astype(np.float64) - np.array([left, top, left, top])) / scale
        edges = np.stack([here[:, 0], here[:, 1], width - here[:, 2], height - here[:, 3]], axis=1)
        # What reaches over the photo's edges on three sides is the table.
        ground = (edges < 0.02 * min(width, height)).sum(axis=1) >= 3
        boxes.append(np.clip(here[~ground], 0.0, [width, height, width, height]))
    return _apart(np.concatenate(boxes))


def _shrunk(image: Image, share: float) -> tuple[Image, tuple[int, int], float]:
    """Return a picture of `_CANVAS` pixels that a photo fills by `share`, where it lies there, and its scale."""
    (wide, high), (height, width) = _CANVAS, image.shape[:2]
    scale = min(share * wide / width, share * high / height)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = (wide - size[0]) // 2, (high - size[1]) // 2
    # The photo's edges go on, so that the photo is no thing of its own.
    rest = (top, high - size[1] - top, left, wide - size[0] - left)
    shown = cv2.copyMakeBorder(small, *rest, borderType=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(shown, np.uint8), (left, top), scale


def _apart(boxes: NDArray[np.float64]) -> list[Box]:
    """Return boxes (N, 4), the largest first, each grown by those that lie in it: what is on a plate is part of it."""
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    kept: list[NDArray[np.float64]] = []
    for i in np.argsort(-areas, kind="stable").tolist():
        if areas[i] < _LEAST_AREA:
            continue
        for at, whole in enumerate(kept):
            low, high = np.maximum(boxes[i, :2], whole[:2]), np.minimum(boxes[i, 2:], whole[2:])
            shared = float(np.prod(np.maximum(high - low, 0.0)))
            if shared > _NESTED * float(areas[i]):
                grown = np.concatenate([np.minimum(boxes[i, :2], whole[:2]), np.maximum(boxes[i, 2:], whole[2:])])
                # Of a box that lies almost inside only the detector's noise sticks out.
                kept[at] = grown if shared < 0.9 * float(areas[i]) and shared < _SAME * _area(whole) else whole
                break
        else:
            kept.append(boxes[i])
    return [(float(a), float(b), float(c), float(d)) for a, b, c, d in kept]


def _area(box: NDArray[np.float64]) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _border(image: Image) -> NDArray[np.float32]:
    """Return the pixels (N, 3) along a picture's edges."""
    rim = max(min(image.shape[:2]) // 40, 2)
    sides: Sequence[Image] = (image[:rim], image[-rim:], image[:, :rim], image[:, -rim:])
    return np.concatenate([side.reshape(-1, 3) for side in sides]).astype(np.float32)


def _on_plain_ground(image: Image) -> list[Box]:
    """Return what stands out from a background of one colour; nothing if the background is not plain."""
    scale = min(256.0 / max(image.shape[:2]), 1.0)
    size = (max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1))
    small = cv2.GaussianBlur(cv2.resize(image, size, interpolation=cv2.INTER_AREA), (0, 0), 1.0)
    lab = cv2.cvtColor(np.asarray(small, np.uint8), cv2.COLOR_RGB2LAB)
    ground = np.median(_border(np.asarray(lab, np.uint8)), axis=0)
    away = np.linalg.norm(lab.astype(np.float32) - ground, axis=2)
    rim = np.linalg.norm(_border(np.asarray(lab, np.uint8)) - ground, axis=1)
    limit = max(14.0, 2.5 * float(np.quantile(rim, 0.9)))
    if float((rim < limit).mean()) < 0.85 or limit > 45.0:
        return []
    mask = (away > limit).astype(np.uint8)
    mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8)), np.uint8)
    mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    whole = float(mask.size)
    parts = [row for row in stats[1:].tolist() if row[4] >= 0.012 * whole]
    largest = max((row[4] for row in parts), default=0)
    boxes = [(x / scale, y / scale, (x + w) / scale, (y + h) / scale) for x, y, w, h, n in parts if n > 0.2 * largest]
    return boxes if largest <= 0.97 * whole else []


# --- views -----------------------------------------------------------------------------------------------------------


def views_of(photo: DishPhoto) -> list[Image]:
    """Return crops of a photo's dish as a lane would see it: turned full circle, nearer and farther, in other light."""
    image, (x1, y1, x2, y2) = photo.image, photo.box
    centre, width, height = ((x1 + x2) / 2, (y1 + y2) / 2), x2 - x1, y2 - y1
    views = []
    for turn in range(TURNS):
        angle = 2 * math.pi * turn / TURNS
        # Between an ellipse, which round things are, and a rectangle, which packets are.
        c, s = abs(math.cos(angle)), abs(math.sin(angle))
        round_w, round_h = math.hypot(width * c, height * s), math.hypot(width * s, height * c)
        long = 0.5 if max(width, height) > 1.4 * min(width, height) else 0.0
        w = (1 - long) * round_w + long * (width * c + height * s)
        h = (1 - long) * round_h + long * (width * s + height * c)
        scale = _SCALES[turn % len(_SCALES)]
        w, h = w * (1 + 2 * CROP_MARGIN) * scale, h * (1 + 2 * CROP_MARGIN) * scale
        size = (max(round(w), 8), max(round(h), 8))
        matrix = cv2.getRotationMatrix2D(centre, math.degrees(angle), 1.0)
        matrix[:, 2] += np.array([size[0] / 2 - centre[0], size[1] / 2 - centre[1]])
        view = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        side, light = _SIDES[(turn // 4 + turn) % len(_SIDES)], _LIGHTS[(turn // 2) % len(_LIGHTS)]
        if side and max(size) > side:
            shrink = side / max(size)
            view = cv2.resize(
                view, (max(round(size[0] * shrink), 8), max(round(size[1] * shrink), 8)), interpolation=cv2.INTER_AREA
            )
        lit = np.clip(view.astype(np.float32) * light, 0, 255).astype(np.uint8)
        views.append(np.ascontiguousarray(lit))
    return views


def encode_photo(photo: DishPhoto) -> bytes:
    """Return the photo as JPEG bytes, the same for the same photo."""
    return _jpeg(photo.image, 95)


def thumbnail(photo: DishPhoto, side: int = 160) -> bytes:
    """Return a square JPEG of the dish for pages and lists."""
    crop = cut(photo.image, photo.box)
    scale = side / max(crop.shape[:2])
    size = (max(round(crop.shape[1] * scale), 1), max(round(crop.shape[0] * scale), 1))
    small = cv2.resize(np.ascontiguousarray(crop), size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    square = np.full((side, side, 3), 245, np.uint8)
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = small
    return _jpeg(square, 85)


def content_hash(content: bytes) -> str:
    """Return what names a photo's file: the hexadecimal SHA-256 of its bytes."""
    return hashlib.sha256(content).hexdigest()


def _jpeg(image: Image, quality: int) -> bytes:
    done, packed = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"the JPEG encoder refused a picture of {image.shape}")
    return packed.tobytes()
