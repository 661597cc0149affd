"""Photos of made-up dishes: plates with coloured food on a plain table."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]


def blank(height: int = 360, width: int = 640, colour: Colour = (176, 170, 160)) -> NDArray[np.uint8]:
    """Return an empty table."""
    noise = np.random.default_rng(0).normal(0, 2, (height, width, 3))
    return np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)


def plate(
    food: Colour = (190, 60, 40), second: bool = False, scale: int = 1, seed: int = 0, garnish: Colour = (60, 140, 50)
) -> NDArray[np.uint8]:
    """Return a white plate of 200 pixels (times `scale`) with food on it, in the middle; or two plates."""
    image = np.ascontiguousarray(blank(360 * scale, 640 * scale))
    for x in (160, 480) if second else (320,):
        draw_plate(image, x * scale, 180 * scale, 100 * scale, food, seed, garnish)
    return image


def draw_plate(
    image: NDArray[np.uint8], x: int, y: int, radius: int, food: Colour, seed: int = 0, garnish: Colour = (60, 140, 50)
) -> None:
    """Draw a plate with food, and pieces of another colour on it, into a picture."""
    rng = np.random.default_rng(seed)
    cv2.circle(image, (x, y), radius, (240, 240, 236), -1, cv2.LINE_AA)
    cv2.circle(image, (x, y), round(0.8 * radius), (215, 215, 212), max(radius // 40, 1), cv2.LINE_AA)
    cv2.circle(image, (x, y), round(0.7 * radius), food, -1, cv2.LINE_AA)
    for _ in range(14):
        angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.55) * radius
        at = (round(x + away * np.cos(angle)), round(y + away * np.sin(angle)))
        cv2.circle(image, at, max(round(0.08 * radius), 1), garnish, -1, cv2.LINE_AA)


def jpeg(image: NDArray[np.uint8], quality: int = 92) -> bytes:
    """Return a picture as the bytes of a JPEG file."""
    done, packed = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return packed.tobytes()
