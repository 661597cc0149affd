"""Sets and detections for the tests of scoring: small, seeded, and written by hand where the answer is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dataset.records import DetectionSet, Sample
from training.detection_scores import Found

Row = tuple[Sequence[float], int]
ScoredRow = tuple[Sequence[float], float, int]

BOX = (0.0, 0.0, 10.0, 10.0)
FAR = (50.0, 50.0, 60.0, 60.0)


def sample(*rows: Row, ignored: Sequence[int] = (), group: str = "", name: str = "p.png", size: int = 400) -> Sample:
    """Return a picture with boxes of (box, class); `ignored` are row numbers."""
    mask = np.zeros(len(rows), dtype=np.bool_)
    mask[list(ignored)] = True
    return Sample(
        Path(name),
        size,
        size,
        np.array([row[0] for row in rows], dtype=np.float32).reshape(-1, 4),
        np.array([row[1] for row in rows], dtype=np.int64),
        mask,
        group,
    )


def found(*rows: ScoredRow) -> Found:
    return Found(
        np.array([row[0] for row in rows], dtype=np.float32).reshape(-1, 4),
        np.array([row[1] for row in rows], dtype=np.float32),
        np.array([row[2] for row in rows], dtype=np.int64),
    )


def set_of(*samples: Sample, labels: tuple[str, ...] = ("tea", "bread", "soup"), name: str = "hand") -> DetectionSet:
    return DetectionSet(name, labels, samples, "5" * 64)


def random_set(seed: int, pictures: int = 12, classes: int = 3, ignored: float = 0.1) -> DetectionSet:
    """Return pictures with up to eight objects each; the first has one at least that is to be found."""
    rng = np.random.default_rng(seed)
    samples = []
    for i in range(pictures):
        n = int(rng.integers(1 if i == 0 else 0, 9))
        corner, size = rng.uniform(0, 280, (n, 2)), rng.uniform(12, 110, (n, 2))
        mask = rng.random(n) < ignored
        if i == 0:
            mask[0] = False
        samples.append(
            Sample(
                Path(f"{i:03}.png"),
                400,
                400,
                np.concatenate([corner, corner + size], axis=1).astype(np.float32),
                rng.integers(0, classes, n),
                mask,
            )
        )
    return DetectionSet(f"random{seed}", tuple(f"dish{i}" for i in range(classes)), tuple(samples), f"{seed:064x}")


def noisy(wanted: DetectionSet, seed: int, extra: int = 6) -> list[Found]:
    """Return detections of most objects, a little off, with some wrong classes and `extra` false ones a picture."""
    rng = np.random.default_rng(seed + 1000)
    made = []
    for one in wanted.samples:
        seen = rng.random(len(one.boxes)) < 0.85
        boxes = one.boxes[seen] + rng.normal(0, 4, (int(seen.sum()), 4))
        classes = np.where(
            rng.random(len(boxes)) < 0.15, rng.integers(0, len(wanted.labels), len(boxes)), one.classes[seen]
        )
        corner, size = rng.uniform(0, 280, (extra, 2)), rng.uniform(12, 110, (extra, 2))
        made.append(
            Found(
                np.concatenate([boxes, np.concatenate([corner, corner + size], axis=1)]).astype(np.float32),
                rng.permutation(np.concatenate([rng.uniform(0.2, 1, len(boxes)), rng.uniform(0, 0.7, extra)])).astype(
                    np.float32
                ),
                np.concatenate([classes, rng.integers(0, len(wanted.labels), extra)]).astype(np.int64),
            )
        )
    return made


def perfect(wanted: DetectionSet) -> list[Found]:
    """Return exactly what is to be found, with scores that fall over all pictures."""
    rng = np.random.default_rng(7)
    made = []
    for one in wanted.samples:
        real = ~one.ignored
        made.append(Found(one.boxes[real], rng.uniform(0.5, 1, int(real.sum())).astype(np.float32), one.classes[real]))
    return made
