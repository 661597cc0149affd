"""Follow points from one picture to the next: Lucas and Kanade there and back, and a look at what arrived."""

from __future__ import annotations

import cv2
import numpy as np

from tracker.flow_picture import PATCH, Mask, Picture, Singles, best_guesses, common_jumps, normalised, sample
from tracker.flow_settings import FlowSettings

#: A step of Lucas and Kanade ends after so many iterations, or below this change, working pixels.
_ITERATIONS, _CHANGE_PX = 15, 0.03
#: Its smallest allowed eigenvalue of G, in OpenCV's units: the seeds are textured, their places may become flat.
_LEAST_EIGEN = 1e-4
#: A point that begins from a guess is followed on so many halved pictures only.
_GUIDED_LEVELS = 1
#: Last steps shorter than this are no guess of their own, working pixels.
_LONG_STEP = 6.0
#: When so many points are not found, something may have jumped.
_MANY_MISSED = 3


def follow(
    before: Picture, now: Picture, changed: Mask, start: Singles, step: Singles, look: Singles, settings: FlowSettings
) -> tuple[Singles, Mask]:
    """Find points again.

    First all are followed from where they were, those that moved far lately from where that would bring them if that
    looks better. When several are not found, the common jumps of the picture are tried with them.

    Args:
        before: the last picture.
        now: this one.
        changed: where they differ.
        start: (K, 2) places in the last picture, working pixels.
        step: (K, 2) the last displacements.
        look: (K, PATCH^2) normalised patches that must be seen where the points arrive.
        settings: of the flow.

    Returns:
        Places now (K, 2), and which points passed the checks (K,).
    """
    guess = np.zeros_like(start)
    habit = np.flatnonzero(np.abs(step).max(axis=1, initial=0.0) > _LONG_STEP)
    if len(habit):
        guess[habit] = best_guesses(before, now, start[habit], _with_none(step[habit, None]))
    ends, good = _there_and_back(before, now, start, guess, look, settings.levels, settings)
    missed = np.flatnonzero(~good)
    if len(missed) < _MANY_MISSED:
        return ends, good
    jumps = common_jumps(before, now, changed, settings.jumps).astype(np.float32)
    guess = best_guesses(before, now, start[missed], _with_none(np.repeat(jumps[None], len(missed), axis=0)))
    jumped = guess.any(axis=1)
    if jumped.any():
        again = missed[jumped]
        # A good guess needs no small pictures, on which what stands around a small thing would hold it back.
        levels = min(settings.levels, _GUIDED_LEVELS)
        ends[again], good[again] = _there_and_back(
            before, now, start[again], guess[jumped], look[again], levels, settings
        )
    return ends, good


def _with_none(guesses: Singles) -> Singles:
    """Put the guess of no displacement before the others (K, G, 2)."""
    return np.concatenate([np.zeros((len(guesses), 1, 2), np.float32), guesses], axis=1)


def _there_and_back(
    before: Picture, now: Picture, start: Singles, guess: Singles, look: Singles, levels: int, settings: FlowSettings
) -> tuple[Singles, Mask]:
    """Follow points (K, 2) to the new picture and back; return their places there and which passed all checks."""
    ends, found = _lucas_kanade(before, now, start, start + guess, levels, settings)
    back, found_back = _lucas_kanade(now, before, ends, ends - guess, levels, settings)
    off = back - start
    good = found & found_back & (np.hypot(off[:, 0], off[:, 1]) < settings.round_trip_px)
    high, wide = now.grey.shape
    good &= ((ends >= 0) & (ends <= np.array([wide - 1, high - 1]))).all(axis=1)
    likeness = (normalised(sample(now.grey, ends, PATCH)) * look).sum(axis=1)
    return ends, good & (likeness >= settings.likeness)


def _lucas_kanade(
    first: Picture, second: Picture, start: Singles, begin: Singles, levels: int, settings: FlowSettings
) -> tuple[Singles, Mask]:
    """Return where points (K, 2) of the first picture are in the second, begun at `begin`, and which were found."""
    ends, status, _ = cv2.calcOpticalFlowPyrLK(
        first.grey,
        second.grey,
        start.reshape(-1, 1, 2),
        begin.reshape(-1, 1, 2).copy(),
        winSize=(settings.window_px, settings.window_px),
        maxLevel=levels,
        criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _ITERATIONS, _CHANGE_PX),
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        minEigThreshold=_LEAST_EIGEN,
    )
    places = np.asarray(ends, np.float32).reshape(-1, 2)
    found = (np.asarray(status).ravel() == 1) & np.isfinite(places).all(axis=1)
    return np.where(found[:, None], places, start), found
