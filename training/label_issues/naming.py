"""Is the class right? Calibrated class probabilities against the given label.

With raw probabilities p of a place, temperature T and the noise rate ε are fitted together to the given labels g:

maximise Σ log((1 - ε) q(g) + ε/(C-1) (1 - q(g))),   q = p_T R,  p_T ∝ p^(1/T)   (Guo et al. 2017, made robust)

R[j, k] = P(true k | said j) is counted between predictions and labels: what the detector mixes up time and again is the
detector's fault, not the label's. Only counts beyond those that p_T expects and that labels wrong at random would make
(ε N_j/(C-1), and one coincidence) enter R, and it is pulled to the identity. R and T are fitted in turns. Then

P(swapped | x, g) = ε' (1 - q_g) / ((1 - ε) q_g + ε' (1 - q_g)),   ε' = ε / (C - 1)

as in confident learning (Northcutt 2021), with the two faults kept apart: mix-ups of the detector and wrong labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.label_issues.places import Floats, Ints

_TEMPERATURES = np.geomspace(0.3, 5.0, 25)
_TEMPERATURE_SPREAD = 0.3
_NOISES = np.array([0.005, 0.01, 0.02, 0.04, 0.07, 0.1, 0.14, 0.2, 0.3])
#: So many counts of a class weigh as much as the belief that the detector means what it says.
_IDENTITY_COUNTS = 5.0


@dataclass(frozen=True)
class Naming:
    """A fitted model.

    Attributes:
        temperature: T.
        noise: ε, the share of labels with a wrong class.
        mixed: R (C, C), rows sum to 1.
        common: (C,) how frequent each class is; what is believed of a place that tells nothing.
    """

    temperature: float
    noise: float
    mixed: Floats
    common: Floats

    def posterior(self, raw: Floats, trust: Floats) -> Floats:
        """Return q (N, C) of raw probabilities (N, C), each believed as far as `trust` (N,) says."""
        known = sharpened(raw, self.temperature) @ self.mixed
        return np.asarray(trust[:, None] * known + (1 - trust[:, None]) * self.common[None, :])

    def swapped(self, q: Floats, given: Ints) -> Floats:
        """Return (N,): the probability that the given class is wrong."""
        if q.shape[1] < 2:
            return np.zeros(len(q))
        mine = q[np.arange(len(q)), given]
        each = self.noise / (q.shape[1] - 1)
        return np.asarray(each * (1 - mine) / ((1 - self.noise) * mine + each * (1 - mine) + 1e-12))


def sharpened(raw: Floats, temperature: float) -> Floats:
    """Return p^(1/T), rows summing to 1."""
    logits = np.log(raw) / temperature
    grown = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=1, keepdims=True))


def fit(raw: Floats, given: Ints, classes: int) -> Naming:
    """Fit to the raw probabilities (N, C) and given labels (N,) of places that surely are about their label."""
    common = (np.bincount(given, minlength=classes) + 1.0) / (len(given) + classes)
    if classes < 2:
        return Naming(1.0, float(_NOISES[0]), np.eye(classes), common)
    rows = np.arange(len(given))
    said = np.eye(classes)[raw.argmax(axis=1)]  # (N, C)
    counted = said.T @ np.eye(classes)[given]
    mixed, temperature, noise = np.eye(classes), 1.0, float(_NOISES[0])
    for _ in range(4):
        choices = [(float(t), (sharpened(raw, t) @ mixed)[rows, given]) for t in _TEMPERATURES]
        temperature, noise = _best_pair(choices, classes)
        mixed = _mix_ups(counted, said.T @ sharpened(raw, temperature), noise)
    return Naming(temperature, noise, mixed, common)


def _best_pair(mine: list[tuple[float, Floats]], classes: int) -> tuple[float, float]:
    """Return T and ε, given for each T the probability (N,) of the given classes."""
    best, temperature, noise = -np.inf, 1.0, float(_NOISES[0])
    for candidate, p in mine:
        for rate in _NOISES.tolist():
            value = np.log((1 - rate) * p + rate / (classes - 1) * (1 - p)).sum()
            # Weak priors for what few labels cannot tell apart: T near 1, and ten imagined labels, 1 % of them wrong.
            value -= 0.5 * (np.log(candidate) / _TEMPERATURE_SPREAD) ** 2
            value += 10 * (0.99 * np.log(1 - rate) + 0.01 * np.log(rate))
            if value > best:
                best, temperature, noise = value, float(candidate), rate
    return temperature, noise


def _mix_ups(counted: Floats, expected: Floats, noise: float) -> Floats:
    """Return R from counts [said, given] (C, C): only what neither p_T expects nor labels wrong at random explain."""
    classes = len(counted)
    by_chance = noise * counted.sum(axis=1, keepdims=True) / (classes - 1) + 1.0
    moved = np.where(np.eye(classes, dtype=bool), 0.0, np.maximum(counted - expected - by_chance, 0.0))
    stays = np.maximum(counted.sum(axis=1) - moved.sum(axis=1), 0.0) + _IDENTITY_COUNTS
    mixed = moved + np.diag(stays)
    return np.asarray(mixed / mixed.sum(axis=1, keepdims=True))
