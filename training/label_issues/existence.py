"""Is something there? Scores as probabilities, learnt from labels that lack some objects.

A place has a label with probability P(label | x) = (1 - δ) · σ(w·x): something is there, and it was not overlooked.
x = (1, logit score, IoU with a stronger place, share inside one, log of the side against the picture's): the score is
Platt's (1999); the others tell doubles and parts from objects that stand close. w and δ are fitted together by maximum
likelihood, with a normal prior on w; closeness to a stronger place never speaks for an object. With t = σ(w·x), a place
without a label is an overlooked object with

P(overlooked | x, no label) = t·δ / (t·δ + 1 - t)        (Elkan & Noto 2008, learning from positive and unlabelled)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from training.label_issues.places import Bools, Floats, PlaceTable

#: δ is taken to be between these: no set is perfect, and one that lacks most of its labels is no set.
LEAST_MISSING, MOST_MISSING = 0.002, 0.6
#: Of w: the score may say what it likes, the rest needs evidence from more than one scene.
_PRIOR_PRECISION = np.array([0.05, 2.0, 1.0, 1.0, 4.0])
_BOUNDS = [(-20.0, 20.0), (0.05, 20.0), (-20.0, 0.0), (-20.0, 0.0), (-20.0, 20.0), (-20.0, 20.0)]


@dataclass(frozen=True)
class Existence:
    """A fitted model: weights w (5,), and missing, the share δ of objects without a label."""

    weights: Floats
    missing: float

    def there(self, x: Floats) -> Floats:
        """Return (P,): the probability that an object is there, from features (P, 5)."""
        return np.asarray(expit(x @ self.weights))

    def overlooked(self, x: Floats) -> Floats:
        """Return (P,): the same, for places that no label explains."""
        there = self.there(x)
        return np.asarray(there * self.missing / (there * self.missing + 1.0 - there + 1e-12))


def features(places: PlaceTable, picture_sides: Floats) -> Floats:
    """Return x (P, 5); `picture_sides` (pictures,) are the roots of the pictures' areas."""
    sides = np.sqrt(np.maximum((places.boxes[:, 2:] - places.boxes[:, :2]).prod(axis=1), 1.0))
    return np.stack(
        [
            np.ones(len(sides)),
            np.log(places.scores / (1 - places.scores)),
            4 * places.shadow,
            2 * places.inside,
            np.log(sides / picture_sides[places.picture]) + 2.0,
        ],
        axis=1,
    )


def fit(x: Floats, labelled: Bools) -> Existence:
    """Fit to places with features (P, 5) and whether each has a label."""
    y = labelled.astype(np.float64)
    # The slope of the score starts at 1 and is held there where nothing speaks against it.
    centre = np.array([0.0, 1.0, 0.0, 0.0, 0.0])

    def loss(theta: Floats) -> tuple[float, Floats]:
        weights, missing = theta[:5], _missing(theta[5])
        there = expit(x @ weights)
        p = np.clip((1 - missing) * there, 1e-9, 1 - 1e-9)
        by_p = (p - y) / (p * (1 - p))
        pull = _PRIOR_PRECISION * (weights - centre)
        by_weights = x.T @ (by_p * (1 - missing) * there * (1 - there)) + pull
        slope = (MOST_MISSING - LEAST_MISSING) * expit(theta[5]) * (1 - expit(theta[5]))
        # A weak pull of δ towards a few per cent: with few places the plateau cannot be told from the slope.
        by_missing = -(by_p * there).sum() * slope + (theta[5] + 2.5)
        value = -(y * np.log(p) + (1 - y) * np.log(1 - p)).sum() + 0.5 * pull @ (weights - centre)
        return float(value + 0.5 * (theta[5] + 2.5) ** 2), np.append(by_weights, by_missing)

    best = minimize(loss, np.append(centre, -2.5), jac=True, method="L-BFGS-B", bounds=_BOUNDS)
    return Existence(np.asarray(best.x[:5]), float(_missing(best.x[5])))


def _missing(theta: float) -> float:
    return float(LEAST_MISSING + (MOST_MISSING - LEAST_MISSING) * expit(theta))
