"""Trays of the synthetic lane with a menu that is ours to choose: how often each dish comes is part of the question.

Dishes are drawn one by one by their share of the menu and laid where there is room; hands, light and motion are those
of the "easy" lane. Pictures are kept sparsely, as a YOLO folder that any reader takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from core.files import write_atomic
from dataset.reading import read_set
from dataset.records import DetectionSet
from streams.synthetic.catalogue import kind_named
from streams.synthetic.lane import SyntheticLane
from streams.synthetic.script import Disc, Placed, TrayScript, discs, place

#: Twelve dishes of all sizes; soups, hot drinks and fruit are easily mixed up.
MENU = (
    *("schnitzel_fries", "spaghetti", "pizza", "tomato_soup", "pea_soup", "green_salad"),
    *("coffee", "tea", "cola_glass", "apple", "orange", "bread_roll"),
)
SIZE = (320, 180)
#: Less of a dish than this nobody would label.
LEAST_VISIBLE = 0.25
DISHES_OF_TRAY = (3, 6)
#: Seconds between two looks; a tray stands for DWELL_S.
LOOK_S = 2.4
DWELL_S = 4.8


def menu_lane(folder: Path, seed: int, trays: int, shares: Sequence[float]) -> DetectionSet:
    """Render a lane to `folder`, or take it from there, and return its pictures that show a dish.

    Args:
        folder: gets images, labels and data.yaml.
        seed: of trays and lane.
        trays: how many come.
        shares: of each dish of MENU among all dishes.
    """
    if not (folder / "data.yaml").is_file():
        _render(folder, seed, trays, np.asarray(shares, dtype=np.float64))
    return read_set(folder, labels=MENU)


def _render(folder: Path, seed: int, trays: int, shares: np.ndarray) -> None:
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, 22])
    scripts = [_tray(rng, shares / shares.sum()) for _ in range(trays)]
    lane = SyntheticLane(seed, "easy", *SIZE, fps=1.0 / LOOK_S, script=scripts)
    index = {name: i for i, name in enumerate(MENU)}
    for image, truth in lane:
        lines = []
        for (x1, y1, x2, y2), label, visible in zip(truth.boxes.tolist(), truth.labels, truth.visible, strict=True):
            if label in index and visible >= LEAST_VISIBLE:
                cx, cy, w, h = (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
                values = (cx / SIZE[0], cy / SIZE[1], w / SIZE[0], h / SIZE[1])
                lines.append(f"{index[label]} " + " ".join(f"{value:.6f}" for value in values) + "\n")
        if lines:
            cv2.imwrite(str(folder / "images" / f"{truth.index:04d}.png"), image[:, :, ::-1])
            write_atomic(folder / "labels" / f"{truth.index:04d}.txt", "".join(lines))
    write_atomic(folder / "data.yaml", f"names: [{', '.join(MENU)}]\n")  # last: it says that the folder is whole


def _tray(rng: np.random.Generator, shares: np.ndarray) -> TrayScript:
    count = int(rng.integers(DISHES_OF_TRAY[0], DISHES_OF_TRAY[1] + 1))
    kinds = [kind_named(str(name)) for name in rng.choice(MENU, count, p=shares)]
    items: list[Placed] = []
    taken: list[list[Disc]] = []
    for kind in sorted(kinds, key=lambda kind: -kind.radius_cm):
        spot = place(rng, kind, taken, 0.1)
        if spot is not None:
            items.append(Placed(kind.name, *spot))
            taken.append(discs(kind, *spot))
    return TrayScript(items=tuple(items), dwell_s=DWELL_S, tilt=float(rng.uniform(-0.1, 0.1)))
