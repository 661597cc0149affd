"""The quiet frame as plain loops: what numba compiles where it is installed (see `compiled.py`).

Each function does what some numpy stages of the engine do, number by number and in the same order of operations, so
that both give the same bits: `observe` is `observations.observe`; `pair` is the prediction of `kalman.py`,
`matching.possible_pairs` and, where it is plain who is who, `matching.match`; `measure` is `measuring.measure` where no
side is cut; `correct` is `TrackingEngine._correct`; `weigh` is the first half of `ClassEvidence.add`. Only sums,
products, quotients and square roots are taken, which IEEE 754 rounds alike everywhere. What it does not define so
(exponentials, logarithms, long sums) is left to numpy, and so is everything that is not quiet: each function says when,
and the numpy stages go on from there.

The functions call no other ones, so that each compiles by itself; without numba they run as they are, slowly, which is
how tests compare them where it is missing. The blocks are those of `table.py`; a track is a column, i, and a
detection is j.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

#: Rows of the blocks of `table.py`; a test holds them equal.
UNSEEN, UNCOVERED, HITS, WATCHED, COVERED, SCORE, LAST_SEEN = 2, 3, 4, 5, 6, 7, 9
DRIFT, UNSTEADY, VIEWED, WEIGHT, VIEWS, ANCHOR, SURPRISE = 10, 12, 13, 15, 16, 17, 19
STATE, LEFT_OVER, AT_EDGE, COMPANION, HELD = 1, 2, 4, 5, 6
TENTATIVE, CONFIRMED = 0, 1


def observe(  # noqa: C901 - one pass, for the compiler
    boxes: Floats, scores: Floats, class_ids: Integers, hand: int, limits: Floats
) -> tuple[int, Integers, Floats, Floats, Integers]:
    """Sort the detections by falling score, leave out what says nothing, and put hands last.

    Args:
        boxes: (N, 4) xyxy pixels.
        scores: (N,).
        class_ids: (N,).
        hand: class of hands, or -1.
        limits: (3,) least score, least side, and the farthest coordinate.

    Returns:
        The number M of detections that are no hands, -1 if numbers are out of range (numpy cleans them); the order of
        these and then of the hands; their measured boxes (4, M), scores (M,) and classes (M,).
    """
    least, thinnest, farthest = limits[0], limits[1], limits[2]
    order = np.empty(scores.shape[0], np.int64)
    count = 0
    for i in range(scores.shape[0]):
        usable = scores[i] <= 1.0
        for k in range(4):
            usable = usable and abs(boxes[i, k]) < farthest
        if not usable:
            return -1, order[:0], np.empty((4, 0)), np.empty(0), order[:0]
        thick = boxes[i, 2] - boxes[i, 0] >= thinnest and boxes[i, 3] - boxes[i, 1] >= thinnest
        if not (thick and scores[i] >= least):
            continue
        # Insertion: most detectors give the best first, so that little is moved. Equal scores go by box, then class.
        at = count
        while at > 0:
            j = order[at - 1]
            before = scores[i] > scores[j]
            if scores[i] == scores[j]:
                k = 0
                while k < 4 and boxes[i, k] == boxes[j, k]:
                    k += 1
                before = boxes[i, k] < boxes[j, k] if k < 4 else class_ids[i] < class_ids[j]
            if not before:
                break
            order[at] = j
            at -= 1
        order[at] = i
        count += 1
    sorted_order = np.empty(count, np.int64)
    kept = found = 0
    for hands_now in (False, True):
        for at in range(count):
            if (class_ids[order[at]] == hand) == hands_now:
                sorted_order[kept] = order[at]
                kept += 1
                found += not hands_now
    measured = np.empty((4, found))
    kept_scores, kept_classes = np.empty(found), np.empty(found, np.int64)
    for j in range(found):
        i = sorted_order[j]
        for k in range(2):
            measured[k, j] = (boxes[i, k] + boxes[i, k + 2]) * 0.5
            measured[k + 2, j] = boxes[i, k + 2] - boxes[i, k]
        kept_scores[j], kept_classes[j] = scores[i], class_ids[i]
    return found, sorted_order, measured, kept_scores, kept_classes


def predict(state: Floats, noise: Floats, decay: Floats, dt_s: float, keeps_size: bool) -> Floats:
    """Move the tracks on in place; see `Gaussians.predict` and `slow_down`.

    Args:
        state: (5, 4, N).
        noise: (3, 4) of the step, for a box of size 1.
        decay: (N,) of the rates; empty where every track is seen.
        dt_s: time step.
        keeps_size: whether sizes have no lasting rate.

    Returns:
        (4, N) squared sizes before the step.
    """
    count = state.shape[2]
    squares = np.empty((4, count))
    for i in range(count):
        width, height = state[0, 2, i], state[0, 3, i]
        squares[0, i] = squares[1, i] = width * height
        squares[2, i], squares[3, i] = width * width, height * height
        for axis in range(4):
            state[0, axis, i] += state[1, axis, i] * dt_s
            state[2, axis, i] += state[3, axis, i] * dt_s
            state[3, axis, i] += state[4, axis, i] * dt_s
            state[2, axis, i] += state[3, axis, i] * dt_s
            if keeps_size and axis >= 2:
                state[1, axis, i] = state[3, axis, i] = state[4, axis, i] = 0.0
            for k in range(3):
                state[2 + k, axis, i] += noise[k, axis] * squares[axis, i]
            if axis >= 2:
                state[0, axis, i] = max(state[0, axis, i], 1.0)
            elif decay.shape[0]:
                state[1, axis, i] *= decay[i]
                state[3, axis, i] *= decay[i]
                state[4, axis, i] *= decay[i] * decay[i]
    return squares


def pair(  # noqa: C901 - one pass, for the compiler
    mean: Floats,
    floats: Floats,
    integers: Integers,
    measured: Floats,
    scores: Floats,
    classes: Integers,
    dt_s: float,
    geometry: Floats,
    limits: Floats,
    logic: tuple[bool, bool, bool, bool],
) -> tuple[bool, Integers, Floats, Integers, Flags]:
    """List the pairs that are near enough, with their cost, and match where it is plain who is who.

    It is plain where no pair that may be chosen shares its track or its detection with another one, no class differs
    from what its track shows, nothing hints at a jump of the whole scene, and no duplicates are to be sought.

    Args:
        mean: (4, N) predicted tracks.
        floats: the block.
        integers: the block.
        measured: (4, M) of `observe`.
        scores: (M,).
        classes: (M,).
        dt_s: time step.
        geometry: (9,) reach, its rate, its maximum, buffer, distance weight, unseen weight, power of the heights (0, 1
            or 1.5), least overlap, cost of a detection that is out of place.
        limits: (6,) high score, match cost, low match cost, low overlap, cost of a young track at this time step, share
            of detections out of place that hints at a jump.
        logic: whether sizes are kept, classes count, jumps are looked for, and duplicates are.

    Returns:
        Whether it matched; pairs (2, P) as tracks and detections; their cost and overlap (2, P); the detection (N,) of
        each track, -1 for none; and the detections (M,) that nobody took. Without a match the last two say nothing.
    """
    reach, reach_rate, max_reach, buffer = geometry[0], geometry[1], geometry[2], geometry[3]
    keeps_size, class_counts, jumps_count, twice_counts = logic
    tracks, found = mean.shape[1], scores.shape[0]
    far = np.empty(tracks)
    farthest = 0.0
    for i in range(tracks):
        far[i] = min(reach + reach_rate * (min(floats[UNSEEN, i], 0.5) + dt_s), max_reach)
        farthest = max(farthest, far[i])
    touch = buffer if keeps_size else min(buffer, 0.5 * farthest - 0.5)
    half, grow = 0.5 + touch, 1.0 + 2.0 * buffer
    which, numbers = np.empty((2, 2 * (tracks + found) + 8), np.int64), np.empty((2, 2 * (tracks + found) + 8))
    pairs = 0
    plain = not twice_counts or found <= tracks + 1
    column, free, placed = np.full(tracks, -1, np.int64), np.ones(found, np.bool_), np.zeros(found, np.bool_)
    most = max(limits[1], limits[2], limits[4])
    candidate, of_column = np.zeros(tracks, np.int64), np.zeros(found, np.int64)
    low, high = np.empty((2, found)), np.empty((2, found))
    for j in range(found):
        for k in range(2):
            low[k, j], high[k, j] = (
                measured[k, j] - measured[2 + k, j] * half,
                measured[k, j] + measured[2 + k, j] * half,
            )
    for i in range(tracks):
        x, y, width, height = mean[0, i], mean[1, i], mean[2, i], mean[3, i]
        left, right, top, bottom = x - width * half, x + width * half, y - height * half, y + height * half
        for j in range(found):
            if not (left < high[0, j] and right > low[0, j] and top < high[1, j] and bottom > low[1, j]):
                continue
            across, down = abs(x - measured[0, j]), abs(y - measured[1, j])
            wide, tall = measured[2, j], measured[3, j]
            middle_x, middle_y = (width + wide) * 0.5, (height + tall) * 0.5
            shared_x = max(min(min(width, wide) * grow, middle_x * grow - across), 0.0)
            shared_y = max(min(min(height, tall) * grow, middle_y * grow - down), 0.0)
            both = shared_x * shared_y
            overlap = both / ((width * height + wide * tall) * (grow * grow) - both)
            if geometry[6] > 0.0:
                heights = shared_y / (middle_y * (2.0 * grow) - shared_y)
                overlap *= heights if geometry[6] == 1.0 else heights * np.sqrt(heights)
            if keeps_size:
                across = max(across - max(width - wide, 0.0) * 0.5, 0.0) / width
                down = max(down - max(height - tall, 0.0) * 0.5, 0.0) / height
            else:
                across, down = across / middle_x, down / middle_y
            distance = np.sqrt(across * across + down * down)
            if not (overlap >= geometry[7] and distance <= far[i]):
                continue
            cost = geometry[4] * distance + 1.0 - overlap
            if floats[UNSEEN, i] > 0.0:
                cost += geometry[5]
            if pairs == which.shape[1]:
                which, numbers = np.concatenate((which, which), axis=1), np.concatenate((numbers, numbers), axis=1)
            which[0, pairs], which[1, pairs], numbers[0, pairs], numbers[1, pairs] = i, j, cost, overlap
            pairs += 1
            plain = plain and not (class_counts and classes[j] != integers[HELD, i])
            placed[j] = placed[j] or cost < geometry[8]
            if cost < most:
                candidate[i] += 1
                of_column[j] += 1
                plain = plain and candidate[i] == 1 and of_column[j] == 1
    if jumps_count and tracks > 1 and found > 1:
        plain = plain and not found - np.count_nonzero(placed) >= max(2.0, limits[5] * found)
    if plain:
        for k in range(pairs):
            i, j, cost = which[0, k], which[1, k], numbers[0, k]
            known, sure = integers[STATE, i] != TENTATIVE, scores[j] >= limits[0]
            if known and sure:
                taken = cost < limits[1]
            elif known:
                taken = cost < limits[2] and numbers[1, k] >= limits[3]
            else:
                taken = sure and cost < limits[4]
            if taken:
                column[i], free[j] = j, False
    return plain, which[:, :pairs], numbers[:, :pairs], column, free


def measure(
    mean: Floats,
    at_edge: Integers,
    column: Integers,
    measured: Floats,
    scores: Floats,
    squares: Floats,
    noise: Floats,
    logic: tuple[bool, bool],
    border: Floats,
) -> tuple[bool, Floats, Floats, Integers]:
    """Turn matched detections into measurements, where they show whole objects; see `measuring.measure`.

    Args:
        mean: (4, N) predicted tracks.
        at_edge: (N,) edges that their latest detections touched.
        column: (N,) detection of each track, -1 for none.
        measured: (4, M), M > 0.
        scores: (M,).
        squares: (4, N) of `predict`.
        noise: (6,) variance of a sure detection of size 1 by axis, how it grows with doubt, share of a whole side.
        logic: whether sizes are kept, and whether the frame's border is known.
        border: (4,) low limit of touching, high limits in x and y, and how much larger shows two objects.

    Returns:
        Whether nothing was cut, merged or grown (else the numpy stage is to be asked); values and variances (4, N);
        edges touched (N,).
    """
    keeps_size, edged = logic
    tracks, found = column.shape[0], scores.shape[0]
    value, variance, touched = np.empty((4, tracks)), np.empty((4, tracks)), np.zeros(tracks, np.int64)
    whole = True
    for i in range(tracks):
        matched = column[i] >= 0
        j = column[i] if matched else found - 1
        doubt = 1.0 + noise[4] * (1.0 - scores[j])
        doubt *= doubt
        for axis in range(4):
            value[axis, i] = measured[axis, j]
            variance[axis, i] = noise[axis] * doubt * squares[axis, i] if matched else np.inf
        if not keeps_size or not matched:
            continue
        wide, tall = value[2, i] / mean[2, i], value[3, i] / mean[3, i]
        cut = wide < noise[5] or tall < noise[5]
        grown = at_edge[i] != 0 and (((at_edge[i] & 5) != 0 and wide > 1.0) or ((at_edge[i] & 10) != 0 and tall > 1.0))
        if cut or grown or wide * tall > border[3]:
            whole = False
            break
        if edged:
            half_x, half_y = value[2, i] * 0.5, value[3, i] * 0.5
            bits = 1 if value[0, i] - half_x <= border[0] else 0
            bits += 2 if value[1, i] - half_y <= border[0] else 0
            bits += 4 if value[0, i] + half_x >= border[1] else 0
            bits += 8 if value[1, i] + half_y >= border[2] else 0
            touched[i] = bits
    return whole, value, variance, touched


def correct(
    state: Floats,
    floats: Floats,
    integers: Integers,
    column: Integers,
    value: Floats,
    variance: Floats,
    touched: Integers,
    scores: Floats,
    fade: Floats,
    times: Floats,
    logic: tuple[bool, bool, bool, bool],
) -> tuple[Floats, Floats]:
    """Give the tracks their measurements and note that they were seen; see `TrackingEngine._correct`.

    Args:
        state: (5, 4, N), corrected in place.
        floats: the block, changed in place.
        integers: the block, changed in place.
        column: (N,) detection of each track, -1 for none.
        value: (4, N) of `measure`.
        variance: (4, N) likewise.
        touched: (N,) likewise.
        scores: (M,).
        fade: (N,) what the slow averages keep, exp(-elapsed / time constant); empty where nobody asks for them.
        times: (5,) time step, seconds that the sighting counts as watched, time of the frame, the high score, most
            surprise.
        logic: whether every track has a detection, whether measured centres are kept, whether surprise is learnt,
            whether sizes are kept.

    Returns:
        Seconds (N,) since each was matched before, and (4, N) products of successive surprises.
    """
    everyone, anchored, learns, keeps_size = logic
    tracks = column.shape[0]
    back = not everyone
    for i in range(tracks):
        back = back or floats[UNSEEN, i] > 1.5 * times[0] or integers[LEFT_OVER, i] != 0
    elapsed, product = np.empty(tracks), np.zeros((4 if learns else 0, tracks))
    for i in range(tracks):
        matched = column[i] >= 0
        elapsed[i] = floats[UNSEEN, i]
        score = scores[column[i]] if matched else 0.0
        well = 1.0 if matched and score >= times[3] and integers[STATE, i] == CONFIRMED else 0.0
        for axis in range(4):
            total = state[2, axis, i] + variance[axis, i]
            gain, rate_gain = state[2, axis, i] / total, state[3, axis, i] / total
            innovation = value[axis, i] - state[0, axis, i]
            state[0, axis, i] += gain * innovation
            state[1, axis, i] += rate_gain * innovation
            # The variance of the rate first: it needs p01 as it was.
            state[4, axis, i] -= rate_gain * state[3, axis, i]
            state[2, axis, i] -= gain * state[2, axis, i]
            state[3, axis, i] -= gain * state[3, axis, i]
            if learns:
                surprise = min(max(innovation / np.sqrt(total), -times[4]), times[4])
                product[axis, i] = surprise * floats[SURPRISE + axis, i] * well
                floats[SURPRISE + axis, i] = surprise
        if matched:
            if anchored:
                floats[ANCHOR, i], floats[ANCHOR + 1, i] = value[0, i], value[1, i]
            floats[UNSEEN, i] = floats[UNCOVERED, i] = floats[COVERED, i] = 0.0
            floats[HITS, i] += 1.0
            floats[WATCHED, i] += times[1]
            floats[SCORE, i] = score
            floats[LAST_SEEN, i] = times[2]
            if back:
                integers[LEFT_OVER, i] = integers[COMPANION, i] = 0
                if integers[STATE, i] != TENTATIVE:
                    integers[STATE, i] = CONFIRMED
            if keeps_size:
                integers[AT_EDGE, i] = touched[i]
            if fade.shape[0]:
                share = max(1.0 - fade[i], 1.0 / floats[HITS, i])
                change_x, change_y = state[1, 0, i] - floats[DRIFT, i], state[1, 1, i] - floats[DRIFT + 1, i]
                strayed = np.sqrt(change_x * change_x + change_y * change_y)
                floats[UNSTEADY, i] += share * (strayed - floats[UNSTEADY, i])
                floats[DRIFT, i] += share * change_x
                floats[DRIFT + 1, i] += share * change_y
    return elapsed, product


def weigh(
    mean: Floats,
    floats: Floats,
    integers: Integers,
    column: Integers,
    scores: Floats,
    classes: Integers,
    elapsed: Floats,
    unread_s: float,
    views: Floats,
    trust: Floats,
) -> tuple[bool, Floats, Floats, Integers]:
    """Weigh the views of this frame and name the likelihood ratios of which the logarithms are evidence.

    See `ClassEvidence.add`, and `_add_classes` for detections that name one class each.

    Args:
        mean: (4, N) corrected tracks.
        floats: the block, changed in place.
        integers: the block, changed in place.
        column: (N,) detection of each track, -1 for none.
        scores: (M,).
        classes: (M,).
        elapsed: (N,) seconds since each was matched before.
        unread_s: seconds since detections were read before.
        views: (7,) 1 / seconds of a new view, 1 / those of a moving one, shift of a new view, squared least movement,
            least weight of a view, least weight of what is hidden, most views.
        trust: (4,) reliability of a sure detection, share of the doubt on each other class, that on *unknown*, floor.

    Returns:
        Whether a detection names another class than its track shows; weights (N,); ratios (2, N) of the named class and
        of *unknown* against any other; and the classes (N,) named.
    """
    tracks, found = column.shape[0], scores.shape[0]
    weight, ratio, named = np.empty(tracks), np.empty((2, tracks)), np.empty(tracks, np.int64)
    differs = False
    for i in range(tracks):
        matched = column[i] >= 0
        j = column[i] if matched else found - 1
        since = max(elapsed[i], unread_s)
        new = since * views[0]
        away_x, away_y = mean[0, i] - floats[VIEWED, i], mean[1, i] - floats[VIEWED + 1, i]
        moved, area = away_x * away_x + away_y * away_y, mean[2, i] * mean[3, i]
        if matched and moved > views[3] * area:
            new += min(np.sqrt(moved / area) / views[2], since * views[1])
            floats[VIEWED, i], floats[VIEWED + 1, i] = mean[0, i], mean[1, i]
        new = min(new, 1.0)
        visible = max(1.0 - floats[COVERED, i], views[5])
        weight[i] = max(new, views[4]) * (visible * visible) if matched else 0.0
        if matched:
            floats[WEIGHT, i] += weight[i]
            floats[VIEWS, i] = min(floats[VIEWS, i] + new, views[6])
        sure = scores[j] * trust[0]
        doubt = 1.0 - sure
        other = max(doubt * trust[1], trust[3])
        ratio[0, i], ratio[1, i] = max(sure, trust[3]) / other, max(doubt * trust[2], trust[3]) / other
        named[i] = classes[j]
        differs = differs or (matched and named[i] != integers[HELD, i])
    return differs, weight, ratio, named
