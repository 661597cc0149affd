"""The motion of the camera from points of the background: the similarity on which most of them agree.

A camera that is shaken over a flat counter moves the picture by a similarity z' = a z + b, points taken as complex
numbers: the angle of a turns, its length scales, b shifts. Two points and where they went fix a and b. RANSAC
(Fischler and Bolles 1981) draws such pairs at random and keeps the hypothesis with which most other points agree; with
two dozen points all pairs can be tried, so that nothing is left to chance and equal frames give equal motions. Those
who agree are then fitted by least squares.

A similarity has four numbers where standing still has none, and each number that is not needed adds noise at the far
corners of the picture. So the agreeing points are fitted three times, standing, shifted and by a similarity, and the
simplest that explains them is taken, by the Bayesian information criterion (Schwarz 1978).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracker.kalman import Floats

Complex = NDArray[np.complex128]

#: So few agreeing points are chance.
_FEWEST = 4
#: The camera stands still when at least this share of the largest agreeing group does: counters are screwed down.
_STANDING_SHARE = 0.6
#: No more pairs than this are tried.
_MOST_PAIRS = 400
#: Pairs closer than this share of the points' extent turn noise into rotation.
_NEAR = 0.25
#: A camera does not grow or shrink a picture by more than this from frame to frame.
_MOST_GROWTH = 0.25
#: Points cannot be followed better than this share of the tolerance.
_FINEST = 0.05


def camera_motion(before: Floats, after: Floats, tolerance: float, extent: float) -> tuple[Floats, int]:
    """Fit the motion of the background.

    Args:
        before: (P, 2) points in the frame before, pixels.
        after: (P, 2) the same points in this frame.
        tolerance: how far off an agreeing point may be, pixels.
        extent: how far apart the agreeing points must reach (diagonal of their box), pixels: where a counter has no
            texture, most points outside of all dishes lie on a tray, and its motion is not the camera's.

    Returns:
        The affine matrix (2, 3) from before to after, and how many points agree with it; the identity and 0 where too
        few agree or too close together.
    """
    unknown = np.eye(2, 3)
    if len(before) < _FEWEST:
        return unknown, 0
    z0, z1 = before[:, 0] + 1j * before[:, 1], after[:, 0] + 1j * after[:, 1]
    inside = np.abs(z1 - z0) < tolerance
    if inside.sum() < _STANDING_SHARE * len(z0):
        a, b = _hypotheses(z0, z1)
        agrees = np.abs(a[:, None] * z0 + b[:, None] - z1) < tolerance
        votes = agrees.sum(axis=1)
        # Among equals the earlier, simpler one wins.
        if inside.sum() < _STANDING_SHARE * votes.max():
            inside = agrees[int(votes.argmax())]
    if inside.sum() < max(_FEWEST, 0.3 * len(before)) or np.hypot(*np.ptp(before[inside], axis=0)) < extent:
        return unknown, 0
    for _ in range(2):
        turn, shift = _simplest(z0[inside], z1[inside], (_FINEST * tolerance) ** 2)
        inside = np.abs(turn * z0 + shift - z1) < tolerance
        if inside.sum() < _FEWEST:
            return unknown, 0
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    return matrix, int(inside.sum())


def _hypotheses(z0: Complex, z1: Complex) -> tuple[Complex, Complex]:
    """Return a and b of the shift of each point and of the similarity of each pair."""
    first, second = np.triu_indices(len(z0), 1)
    apart = z0[second] - z0[first]
    far = np.abs(apart) > _NEAR * np.abs(apart).max(initial=0.0)
    first, second, apart = first[far], second[far], apart[far]
    if len(first) > _MOST_PAIRS:
        some = np.linspace(0, len(first) - 1, _MOST_PAIRS).astype(int)
        first, second, apart = first[some], second[some], apart[some]
    turn = (z1[second] - z1[first]) / apart
    plausible = np.abs(np.abs(turn) - 1.0) < _MOST_GROWTH
    turn, first = turn[plausible], first[plausible]
    a = np.concatenate([np.ones(len(z0), complex), turn])
    b = np.concatenate([z1 - z0, z1[first] - turn * z0[first]])
    return a, b


def _simplest(z0: Complex, z1: Complex, floor: float) -> tuple[complex, complex]:
    """Fit standing, a shift and a similarity by least squares; return a and b of the simplest that explains."""
    count = 2 * len(z0)
    middle0, middle1 = z0.mean(), z1.mean()
    c0, c1 = z0 - middle0, z1 - middle1
    turn = complex(np.vdot(c0, c1) / max(np.vdot(c0, c0).real, 1e-9))
    models = (
        (0, 1 + 0j, 0j),
        (2, 1 + 0j, complex(middle1 - middle0)),
        (4, turn, complex(middle1 - turn * middle0)),
    )
    costs = []
    for numbers, a, b in models:
        off = z1 - a * z0 - b
        costs.append(count * np.log(np.vdot(off, off).real / count + floor) + numbers * np.log(count))
    _, a, b = models[int(np.argmin(costs))]
    return a, b
