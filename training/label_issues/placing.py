"""Is the box in its place? The overlap with what was seen, against what is usual for such boxes.

For labels that are well placed logit IoU is taken as μ(z) + σ(z) · t4, with Student's t of 4 degrees of freedom (heavy
tails) and z = (1, log side, logit score, crowding): small, faint and covered things are found less exactly. μ also has
an offset for each class, shrunk by its number. μ is fitted by iterated reweighting (Lange et al. 1989), so that a tenth
of bad boxes hardly moves it. A badly placed label has logit IoU ~ N(logit 0.55, 0.8²), whatever its size. The share π
of bad labels is found by EM, and

P(badly placed | IoU, z) = π f_bad / (π f_bad + (1 - π) f_good(· | z))

Before that the detector's usual offset at each edge (as a share of the box's side) is taken off its boxes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from training.label_issues.places import Floats, Ints

_FREEDOM = 4.0
_BAD_MEAN, _BAD_SPREAD = float(np.log(0.55 / 0.45)), 0.8
_CLASS_COUNTS = 10.0
#: Median of |t4|, and the least spread believed: annotators are not exact, either.
_MEDIAN_ABS_T4, _LEAST_SPREAD = 0.7407, 0.25


@dataclass(frozen=True)
class Placing:
    """A fitted model: centre (4,) and spread (4,) weights on z, class offsets (C,), and the share bad."""

    centre: Floats
    spread: Floats
    of_class: Floats
    bad: float

    def usual(self, z: Floats, classes: Ints) -> Floats:
        """Return (N,): the IoU that is usual for such labels."""
        return np.asarray(1 / (1 + np.exp(-(z @ self.centre + self.of_class[classes]))))

    def misplaced(self, overlap: Floats, z: Floats, classes: Ints) -> Floats:
        """Return (N,): the probability that a label with so much overlap is badly placed."""
        good, wrong = _densities(self, _logit(overlap), z, classes)
        # Closer than usual is never bad, whatever the tails say.
        wrong = np.where(overlap >= self.usual(z, classes), 0.0, wrong)
        return np.asarray(self.bad * wrong / (self.bad * wrong + (1 - self.bad) * good + 1e-300))


def features(boxes: Floats, scores: Floats, crowding: Floats) -> Floats:
    """Return z (N, 4) of label boxes (N, 4), the scores of their places (N,) and their crowding (N,)."""
    sides = np.sqrt(np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1.0))
    odds = np.log(scores / (1 - scores))
    return np.stack([np.ones(len(boxes)), np.log(sides) - 4.0, odds / 3, crowding], axis=1)


def usual_offsets(labels: Floats, places: Floats) -> Floats:
    """Return (4,): the median of (label - place) at each edge, as a share of the place's width or height."""
    if not len(labels):
        return np.zeros(4)
    sides = np.tile(np.maximum(places[:, 2:] - places[:, :2], 1e-6), 2)
    return np.asarray(np.median((labels - places) / sides, axis=0))


def moved(places: Floats, offsets: Floats) -> Floats:
    """Return boxes (N, 4) with the usual offset put right."""
    return np.asarray(places + offsets * np.tile(places[:, 2:] - places[:, :2], 2))


def fit(overlap: Floats, z: Floats, classes: Ints, count: int) -> Placing:
    """Fit to the IoU (N,) of labels with their places, features (N, 4) and classes (N,), of `count` classes."""
    y = _logit(overlap)
    weight, scale = np.ones(len(y)), np.ones(len(y))
    # Start from the median, so that not even the first round follows the bad ones.
    centre, spread = np.array([np.median(y), 0.0, 0.0, 0.0]), np.zeros(4)
    for _ in range(15):
        off = y - z @ centre
        spread = _spread_weights(np.abs(off), z)
        scale = np.maximum(np.exp(z @ spread), _LEAST_SPREAD)
        weight = (_FREEDOM + 1) / (_FREEDOM + (off / scale) ** 2) / scale**2
        ridge = np.diag([1e-6, 2.0, 2.0, 2.0])
        centre = np.linalg.solve(z.T @ (weight[:, None] * z) + ridge, z.T @ (weight * y))
    off = y - z @ centre
    summed = np.bincount(classes, weights=weight * off, minlength=count)
    of_class = summed / (np.bincount(classes, weights=weight, minlength=count) + _CLASS_COUNTS * weight.mean())
    model = Placing(centre, spread, of_class, 0.05)
    good, wrong = _densities(model, y, z, classes)
    bad = 0.05
    for _ in range(50):
        share = bad * wrong / (bad * wrong + (1 - bad) * good + 1e-300)
        bad = float(np.clip((share.sum() + 0.2) / (len(y) + 10), 0.002, 0.5))
    return Placing(centre, spread, of_class, bad)


def _spread_weights(off: Floats, z: Floats) -> Floats:
    """Return weights of log spread: least squares on log |off|, then set so that the median fits."""
    logs = np.log(off + 0.05)
    ridge = np.diag([1e-6, 5.0, 5.0, 5.0])
    weights = np.linalg.solve(z.T @ z + ridge, z.T @ logs)
    ratio = float(np.median(off / np.exp(z @ weights)))
    weights[0] += np.log(max(ratio, 1e-6) / _MEDIAN_ABS_T4)
    return np.asarray(weights)


def _densities(model: Placing, y: Floats, z: Floats, classes: Ints) -> tuple[Floats, Floats]:
    scale = np.maximum(np.exp(z @ model.spread), _LEAST_SPREAD)
    off = y - z @ model.centre - model.of_class[classes]
    return student.pdf(off / scale, _FREEDOM) / scale, norm.pdf(y, _BAD_MEAN, _BAD_SPREAD)


def _logit(overlap: Floats) -> Floats:
    inside = np.clip(overlap, 0.02, 0.985)
    return np.asarray(np.log(inside / (1 - inside)))
