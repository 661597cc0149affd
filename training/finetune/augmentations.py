"""A picture of a counter, a little different each time: place, scale, light, blur, and what lies beside what.

Order: several pictures become one (mosaic or pasted objects), then the light changes, the camera moves (mirror, quarter
turn, turn, zoom, shift; what comes into view is grey like the border of a net's input), and the lens blurs. All chance
comes from one generator that is given, so a sample repeats exactly; torchvision draws from torch's global generator,
which is seeded for the sample and put back afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from core.settings import Settings
from training.finetune.compositions import Draw, mosaic, paste
from training.finetune.pictures import PAD, Picture, settle

Strength = Literal["none", "light", "counter", "strong"]


class AugmentSettings(Settings):
    """What may happen to a picture; chances are 0..1 for each sample."""

    mirror: float = Field(default=0.0, ge=0, le=1, description="Chance of left and right changing places")
    flip: float = Field(default=0.0, ge=0, le=1, description="Chance of top and bottom changing places")
    quarter_turns: float = Field(default=0.0, ge=0, le=1, description="Chance of a turn by 90, 180 or 270 degrees")
    move: float = Field(default=0.0, ge=0, le=1, description="Chance of a turn, zoom and shift by the next three")
    turn_deg: float = Field(default=0.0, ge=0, le=45, description="Largest turn either way; boxes grow with it")
    zoom: tuple[float, float] = Field(default=(1.0, 1.0), description="Smallest and largest scale; above 1 is nearer")
    shift: float = Field(default=0.0, ge=0, le=0.5, description="Largest shift, as a share of the picture's side")
    stretch: float = Field(default=0.0, ge=0, le=0.5, description="Largest change of width to height; 0 keeps shapes")
    tone: float = Field(default=0.0, ge=0, le=1, description="Chance of other brightness, contrast, saturation, hue")
    brightness: float = Field(default=0.0, ge=0, lt=1, description="Largest change of brightness, as a share")
    contrast: float = Field(default=0.0, ge=0, lt=1, description="Largest change of contrast, as a share")
    saturation: float = Field(default=0.0, ge=0, lt=1, description="Largest change of saturation, as a share")
    hue: float = Field(default=0.0, ge=0, le=0.1, description="Largest turn of hue; colour tells dishes apart")
    cast: float = Field(default=0.0, ge=0, lt=1, description="Largest change of one colour channel: white balance")
    shade: float = Field(default=0.0, ge=0, le=1, description="Chance of light that falls off to one side")
    blur: float = Field(default=0.0, ge=0, le=1, description="Chance of an unsharp lens or a moved object")
    noise: float = Field(default=0.0, ge=0, le=1, description="Chance of sensor noise")
    jpeg: float = Field(default=0.0, ge=0, le=1, description="Chance of a stream's compression")
    mosaic: float = Field(default=0.0, ge=0, le=1, description="Chance of four pictures in one")
    paste: float = Field(default=0.0, ge=0, le=1, description="Chance of objects of other pictures on free places")
    paste_most: int = Field(default=3, ge=1, le=20, description="At most so many objects are pasted")
    min_visible: float = Field(default=0.25, ge=0, le=1, description="Less of an object than this is ignored")

    @field_validator("zoom")
    @classmethod
    def _zoom_is_a_range(cls, zoom: tuple[float, float]) -> tuple[float, float]:
        if not 0 < zoom[0] <= zoom[1]:
            raise ValueError(f"zoom must be smallest and largest scale, both above 0, got {list(zoom)}")
        return zoom

    @classmethod
    def preset(cls, strength: Strength) -> AugmentSettings:
        """Return the settings of a strength.

        "light" suits a fixed camera; "counter" a camera above a counter, where no direction is up; "strong" is for long
        runs on few pictures.
        """
        return cls.model_validate(_PRESETS[strength])


#: Ratio of sides from which on a picture is wide.
_WIDE = 1.4
_LIGHT: dict[str, object] = {
    "mirror": 0.5,
    "tone": 0.5,
    "brightness": 0.2,
    "contrast": 0.2,
    "saturation": 0.2,
    "hue": 0.01,
}
_COUNTER: dict[str, object] = {
    "mirror": 0.5,
    "flip": 0.3,
    "quarter_turns": 0.3,
    "move": 0.7,
    "turn_deg": 8.0,
    "zoom": (0.8, 1.4),
    "shift": 0.1,
    "tone": 0.8,
    "brightness": 0.25,
    "contrast": 0.25,
    "saturation": 0.25,
    "hue": 0.015,
    "cast": 0.06,
    "shade": 0.3,
    "blur": 0.15,
    "noise": 0.15,
    "jpeg": 0.15,
    "mosaic": 0.25,
    "paste": 0.3,
}
_STRONG = _COUNTER | {
    "quarter_turns": 0.5,
    "move": 0.9,
    "turn_deg": 15.0,
    "zoom": (0.5, 1.8),
    "shift": 0.2,
    "brightness": 0.45,
    "contrast": 0.45,
    "saturation": 0.45,
    "hue": 0.03,
    "cast": 0.15,
    "shade": 0.5,
    "blur": 0.3,
    "noise": 0.3,
    "jpeg": 0.3,
    "mosaic": 0.5,
    "paste": 0.5,
    "paste_most": 5,
}
_PRESETS: dict[Strength, dict[str, object]] = {"none": {}, "light": _LIGHT, "counter": _COUNTER, "strong": _STRONG}


def augmented(picture: Picture, settings: AugmentSettings, rng: np.random.Generator, draw: Draw) -> Picture:
    """Return a picture varied as `settings` allow and `rng` decides.

    Args:
        picture: left as it is.
        settings: what may happen.
        rng: where all chance comes from.
        draw: gives another picture of the set, chosen by the generator that it gets.
    """
    if rng.random() < settings.mosaic:
        picture = mosaic(picture, [draw(rng) for _ in range(3)], rng, settings.min_visible)
        # Its objects are half as large as they were: no smaller.
        settings = settings.model_copy(update={"zoom": (max(1.0, settings.zoom[0]), max(1.0, settings.zoom[1]))})
    elif rng.random() < settings.paste:
        picture = paste(picture, draw, settings.paste_most, rng)
    with seeded_torch(rng):
        return _through_lens(_moved(_lit(picture, settings, rng), settings), settings, rng)


@contextmanager
def seeded_torch(rng: np.random.Generator) -> Iterator[None]:
    """Seed torch from `rng` inside the block; afterwards its generator and its threads are as they were.

    One thread, because sums over a picture come out differently in their last bit with another number of threads.
    """
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        try:
            torch.set_num_threads(1)
            yield
        finally:
            torch.set_num_threads(threads)


def _moved(picture: Picture, settings: AugmentSettings) -> Picture:
    """Mirror, turn, zoom and shift; boxes follow, and those that leave the picture are ignored or left out."""
    image = tv_tensors.Image(torch.from_numpy(picture.image).permute(2, 0, 1))
    boxes = tv_tensors.BoundingBoxes(
        torch.from_numpy(picture.boxes),
        format="XYXY",
        canvas_size=(picture.height, picture.width),
        clamping_mode=None,  # how much of a box is left outside is looked at below
    )
    steps: list[Callable[..., object]] = [
        v2.RandomHorizontalFlip(settings.mirror),
        v2.RandomVerticalFlip(settings.flip),
    ]
    if _chance() < settings.quarter_turns:
        steps.append(_QuarterTurn(90 * int(torch.randint(1, 4, ()))))
    if _chance() < settings.move:
        steps.append(
            v2.RandomAffine(
                degrees=settings.turn_deg,
                translate=(settings.shift, settings.shift),
                scale=settings.zoom,
                interpolation=v2.InterpolationMode.BILINEAR,
                fill=PAD,
            )
        )
    if settings.stretch > 0:
        ratio = math.exp((2 * _chance() - 1) * math.log1p(settings.stretch))
        size = [max(1, round(picture.height / math.sqrt(ratio))), max(1, round(picture.width * math.sqrt(ratio)))]
        steps.insert(0, v2.Resize(size))
    for step in steps:
        image, boxes = step(image, boxes)  # type: ignore[misc]
    pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    return settle(
        Picture(pixels, np.asarray(boxes.numpy(), np.float32), picture.classes, picture.ignored, picture.where),
        settings.min_visible,
    )


class _QuarterTurn:
    """Turns picture and boxes by 90, 180 or 270 degrees, and the canvas with them.

    Of a wide picture only a square is turned on its side: upright it would be small in a net's wide input.
    """

    def __init__(self, angle: int) -> None:
        self._angle = angle

    def __call__(
        self, image: tv_tensors.Image, boxes: tv_tensors.BoundingBoxes
    ) -> tuple[tv_tensors.Image, tv_tensors.BoundingBoxes]:
        height, width = int(image.shape[-2]), int(image.shape[-1])
        if self._angle != 180 and max(width, height) > _WIDE * min(width, height):
            side = min(width, height)
            top, left = (int(_chance() * (length - side + 1)) for length in (height, width))
            image = functional.crop(image, top, left, side, side)
            boxes = functional.crop(boxes, top, left, side, side)
        image = functional.rotate(image, self._angle, expand=True)
        boxes = functional.rotate(boxes, self._angle, expand=True)
        # torchvision leaves the canvas as it was where there is no box.
        size = (int(image.shape[-2]), int(image.shape[-1]))
        return image, tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=size, clamping_mode=None)


def _lit(picture: Picture, settings: AugmentSettings, rng: np.random.Generator) -> Picture:
    """Change brightness and colours."""
    pixels = picture.image
    if rng.random() < settings.shade:
        pixels = _shaded(pixels, rng)
    image = torch.from_numpy(pixels).permute(2, 0, 1)
    if rng.random() < settings.tone:
        tones = (settings.brightness, settings.contrast, settings.saturation, settings.hue)
        image = v2.ColorJitter(*tones)(image)
        gains = torch.from_numpy(1 + rng.uniform(-settings.cast, settings.cast, 3)).float()
        image = (image * gains[:, None, None]).clamp_(0, 255).to(torch.uint8)
    return _with_pixels(picture, image)


def _through_lens(picture: Picture, settings: AugmentSettings, rng: np.random.Generator) -> Picture:
    """Blur, and add a sensor's noise and a stream's compression."""
    image = torch.from_numpy(picture.image).permute(2, 0, 1)
    if rng.random() < settings.blur:
        unsharp = rng.random() < 0.5
        image = v2.GaussianBlur(5, sigma=(0.4, 1.6))(image) if unsharp else _smeared(image, rng)
    if rng.random() < settings.noise:
        image = v2.GaussianNoise(sigma=float(rng.uniform(0.01, 0.05)))(image)
    picture = _with_pixels(picture, image)
    if rng.random() < settings.jpeg:
        # Not torchvision's: its encoders are on their way out.
        _, encoded = cv2.imencode(".jpg", picture.image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 91))])
        decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        picture = _with_pixels(picture, torch.from_numpy(decoded).permute(2, 0, 1))
    return picture


def _with_pixels(picture: Picture, image: torch.Tensor) -> Picture:
    """Return the picture with other pixels, (3, H, W) uint8, of the same size."""
    pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    return Picture(pixels, picture.boxes, picture.classes, picture.ignored, picture.where)


def _shaded(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Darken towards one side and brighten towards the other, as a lamp or a person beside the counter does."""
    height, width = pixels.shape[:2]
    angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 0.5)
    across = np.linspace(-1, 1, width, dtype=np.float32) * np.float32(np.cos(angle))
    down = np.linspace(-1, 1, height, dtype=np.float32) * np.float32(np.sin(angle))
    slope = 4 * (across[None, :] + down[:, None] - np.float32(rng.uniform(-0.5, 0.5)))
    light = 1 + np.float32(depth) * (np.float32(0.5) - 1 / (1 + np.exp(-slope)))
    return np.clip(pixels * light[:, :, None], 0, 255).astype(np.uint8)


def _smeared(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Blur along one direction by 3 to 9 pixels, as a hand's movement does."""
    length = 2 * int(rng.integers(1, 5)) + 1
    kernel = np.zeros((length, length), dtype=np.float32)
    angle = rng.uniform(0, np.pi)
    reach = np.array([np.cos(angle), np.sin(angle)]) * (length // 2)
    middle = length // 2
    ends = [tuple(round(middle + side * value) for value in reach) for side in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    return torch.from_numpy(cv2.filter2D(pixels, -1, kernel / kernel.sum())).permute(2, 0, 1)


def _chance() -> float:
    return float(torch.rand(()))
