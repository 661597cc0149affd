"""How far a teacher is believed: scores as probabilities, learnt from labels that lack objects or are wrong.

**Missing labels.** A proposal with score s has a label with probability P(label | s) = c · t(s), where t(s) =
σ(a·logit s + b) says that an object is there (Platt 1999), and the labelled share c that somebody labelled it. All
three are fitted together by maximum likelihood. That no label explains a proposal is then no proof of background:

    π(s) = P(object | s, no label) = t (1 - c) / (1 - c t)            (Elkan & Noto 2008)

**Wrong classes.** A share ε of the labels has another class, each as likely. A net that learnt from them says
P(label j | x) = (1 - ε) q_j + ε/(C-1) (1 - q_j) instead of the true class's q_j, never more than 1 - ε: what it says at
its surest tells ε (anchor points; Patrini et al., Making deep neural networks robust to label noise, 2017), and the mix
can be undone. A label g then says of the true class j

    r_j ∝ q_j · P(g | j),   P(g | g) = 1 - ε,   P(g | j) = ε / (C - 1)

so a label stands unless the teacher is surer of another class than labels are trustworthy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: c lies between these: no set is perfect, and one without most of its labels is no set.
LEAST_LABELLED, MOST_LABELLED = 0.25, 0.998
#: Prior and lower bound of the slope a: scores are trained to be c · t · quality and thus never steeper than t itself;
#: a flat slope would pass the plateau c for a lack of objects.
_SLOPE, _SLOPE_PRECISION, _LEAST_SLOPE = 2.0, 2.0, 1.0
_OFFSET_PRECISION = 0.05
#: c starts at 0.9 and is weakly pulled there.
_START, _START_PRECISION = 2.2, 0.25
#: ε lies between these, and a net is at its surest in so many of a hundred looks: the very surest one is an accident.
LEAST_WRONG, MOST_WRONG = 0.005, 0.45
_SUREST = 0.97
#: No teacher rules a class out altogether.
LEAST_CHANCE = 1e-3


@dataclass(frozen=True)
class Belief:
    """A fitted model of missing labels.

    Attributes:
        slope: a.
        offset: b.
        labelled: c, the share of objects that have a label.
    """

    slope: float
    offset: float
    labelled: float

    def there(self, scores: NDArray[np.floating]) -> Floats:
        """Return t (N,): the probability that an object is there, from scores (N,) alone.

        >>> Belief(1.0, 0.0, 0.5).there(np.array([0.25, 0.75])).round(2).tolist()
        [0.25, 0.75]
        """
        return np.asarray(expit(self.slope * _logit(scores) + self.offset))

    def unlabelled(self, scores: NDArray[np.floating]) -> Floats:
        """Return π (N,): the same, for proposals that no label explains.

        >>> Belief(1.0, 0.0, 0.5).unlabelled(np.array([0.0, 0.5])).round(3).tolist()
        [0.0, 0.333]
        """
        there = self.there(scores)
        return np.asarray(there * (1 - self.labelled) / (1 - self.labelled * there))


def fit_belief(scores: NDArray[np.floating], explained: Bools, labelled: float | None = None) -> Belief:
    """Fit a, b and c to proposals.

    Args:
        scores: (N,) of the teacher, 0..1.
        explained: (N,) whether a label explains the proposal.
        labelled: c where it is known; None estimates it.
    """
    x, y = _logit(scores), explained.astype(np.float64)

    def loss(theta: Floats) -> tuple[float, Floats]:
        a, b, free = theta
        t, c = expit(a * x + b), _labelled(free) if labelled is None else labelled
        p = np.clip(c * t, 1e-9, 1 - 1e-9)
        by_p = (p - y) / (p * (1 - p))
        by_z = by_p * c * t * (1 - t)
        value = -(y * np.log(p) + (1 - y) * np.log(1 - p)).sum()
        value += 0.5 * (
            _SLOPE_PRECISION * (a - _SLOPE) ** 2 + _OFFSET_PRECISION * b**2 + _START_PRECISION * (free - _START) ** 2
        )
        share = expit(free)
        by_free = 0.0 if labelled is not None else (by_p * t).sum() * _SPAN * share * (1 - share)
        gradient = np.array([(by_z * x).sum(), by_z.sum(), by_free])
        gradient += np.array(
            [_SLOPE_PRECISION * (a - _SLOPE), _OFFSET_PRECISION * b, _START_PRECISION * (free - _START)]
        )
        return float(value), gradient

    bounds = [(_LEAST_SLOPE, 10.0), (-20.0, 20.0), (-12.0, 12.0)]
    best = minimize(loss, np.array([_SLOPE, 0.0, _START]), jac=True, method="L-BFGS-B", bounds=bounds)
    a, b, free = best.x
    return Belief(float(a), float(b), _labelled(free) if labelled is None else labelled)


def least_belief(
    beliefs: Floats, classes: Ints, expected: Floats, precision: float, most: float, floor: float = 0.5
) -> Floats:
    """Return for each class (C,) the belief from which a proposal becomes a pseudo-label.

    The lowest one, but not below `floor`, at which the mean belief of those kept (their expected precision, as beliefs
    are calibrated) is `precision` or more, and at which no more than `most` times the expected number is kept. The cap
    keeps a class that a teacher likes to see from taking over (class-wise thresholds: Xu et al., Dash, 2021).

    Args:
        beliefs: (N,) of proposals without a label.
        classes: (N,) what the teacher takes them for.
        expected: (C,) how many objects of each class should be among them.
        precision: 0..1.
        most: factor of the cap; one is always allowed.
        floor: below it a proposal is more likely no object.
    """
    wanted = np.full(len(expected), floor)
    for k in range(len(expected)):
        mine = np.sort(beliefs[(classes == k) & (beliefs >= floor)])[::-1]
        if not len(mine):
            continue
        fine = np.cumsum(mine) / np.arange(1, len(mine) + 1) >= precision
        fine &= np.arange(1, len(mine) + 1) <= max(1.0, most * expected[k])
        kept = int(fine.sum())  # both conditions hold up to a point and never again
        wanted[k] = mine[kept - 1] if kept else np.nextafter(mine[0], 2.0)
    return wanted


def wrong_share(said: Floats, given: Ints) -> float:
    """Return ε of labels (N,), from what a net that learnt from such labels says of them (N, C), rows summing to 1.

    It is no more than the share of labels that the net would not have given: clean labels of a net that is still
    unsure of everything are not called wrong.
    """
    surest = float(np.quantile(said.max(axis=1), _SUREST))
    against = float((said.argmax(axis=1) != given).mean())
    return float(np.clip(min(1 - surest, against), LEAST_WRONG, MOST_WRONG))


def unmixed(said: Floats, wrong: float) -> Floats:
    """Return q (N, C), rows summing to 1: what a net says of labels, without the share of wrong ones in it.

    >>> unmixed(np.array([[0.8, 0.1, 0.1]]), 0.2).round(3).tolist()
    [[0.998, 0.001, 0.001]]
    """
    each = wrong / max(said.shape[1] - 1, 1)
    q = np.maximum((said - each) / (1 - wrong - each), LEAST_CHANCE)
    return np.asarray(q / q.sum(axis=1, keepdims=True))


def true_class(q: Floats, given: Ints, noise: float) -> Floats:
    """Return r (N, C): the probability of each class, from the teacher's q (N, C), the labels (N,) and the share ε.

    >>> true_class(np.array([[0.1, 0.9], [0.3, 0.7]]), np.array([0, 1]), 0.2).round(3).tolist()
    [[0.308, 0.692], [0.097, 0.903]]
    """
    classes = q.shape[1]
    if classes < 2:
        return np.ones_like(q)
    says = np.full_like(q, noise / (classes - 1))
    says[np.arange(len(q)), given] = 1 - noise
    r = q * says
    return np.asarray(r / np.maximum(r.sum(axis=1, keepdims=True), 1e-12))


_SPAN = MOST_LABELLED - LEAST_LABELLED


def _labelled(free: float) -> float:
    return float(LEAST_LABELLED + _SPAN * expit(free))


def _logit(scores: NDArray[np.floating]) -> Floats:
    return np.asarray(logit(np.clip(scores.astype(np.float64), 1e-4, 1 - 1e-4)))
