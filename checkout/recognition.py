"""What the tracked objects are, from the detector's classes and the gallery of taught dishes together.

A stage between tracker and policy. Of each well visible track whose view is new the frame's crop is embedded (a few
crops a frame at most, tracks seen least first) and compared with the gallery. What each look says is a log posterior
over the taught dishes and *unknown* (`models/gallery.py`); over the object's life these are averaged, weighted by how
new the view is, how much of the object was visible and how sharp the crop is beside the object's sharpest one:

    g = softmax(sharp * sum(w log q) / sum(w)),   sharp = views ^ VIEW_POWER * clear

Thirty equal frames of a dish at rest are one view. `clear` is the mean weight of a view, as in `tracker/evidence.py`.

Detector and gallery are two witnesses, each with a blind spot of its own. Over the union of their labels

    p(k) ~ (d(k) g(k)) ^ (1 / T)

with d the tracker's class posterior. For a dish that the detector never learnt d(k) is the detector's *unknown* share,
and at least `foreign_floor`, since detectors name something else with confidence for what they never saw; for a dish
that was never taught g(k) is the gallery's *unknown* share. Where both know a dish, the gallery's doubt has a floor
(`gallery_floor`): one photo does not show all that a dish can look like. Dishes that are not on today's menu get
nothing. One temperature T calibrates the whole.

The vectors of the best looks are kept, so that a menu that is swapped judges objects that lie there already.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from checkout.live_menu import Knowledge
from checkout.presence import distance_in_boxes
from checkout.settings import RecognitionSettings
from core.errors import InferenceError
from core.records import HAND, ITEM, Box, Frame, Track, Tracks, TrackState
from models.dish_photo import cut, sharpness
from models.gallery import Floats, Gallery, Vectors

_LOG = logging.getLogger(__name__)

#: How many labels of a posterior a track carries, and how probable a label is at least to be listed (as the tracker's).
TOP_LABELS, LEAST_LISTED = 5, 0.005
#: Dishes of the gallery that are weighed for one object: the likeliest.
CANDIDATES = 24
#: No dish is ever impossible.
FLOOR = 1e-4
#: Odds by which another label must win before the shown one changes.
INERTIA = 1.5
#: Power with which independent views sharpen the evidence: looks at one object err alike.
VIEW_POWER = 0.5
#: A look weighs at least this much.
LEAST_WEIGHT = 1e-3

Shares = Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """One look at a track: its vector, what it weighs, and how new it was."""

    vector: NDArray[np.float32]
    weight: float
    new: float


@dataclass(slots=True)
class _Dossier:
    """What is remembered of one track."""

    looks: list[_Look] = field(default_factory=list)
    count: int = 0
    last_s: float = -math.inf
    last_box: Box = (0.0, 0.0, 0.0, 0.0)
    sharpest: float = 0.0
    log_sum: Floats | None = None
    weight: float = 0.0
    views: float = 0.0
    gallery: tuple[Shares, float] | None = None
    held: str = ""


class Recogniser:
    """Recognises the objects of one lane. Deterministic; memory is bounded by the number of live tracks.

    Args:
        labels: the detector's.
        knowledge: today's menu and gallery.
        settings: see there.
    """

    def __init__(self, labels: tuple[str, ...], knowledge: Knowledge, settings: RecognitionSettings) -> None:
        self._settings = settings
        self._labels = frozenset(label for label in labels if label not in (HAND, ITEM))
        self._dossiers: dict[int, _Dossier] = {}
        self._knowledge, self._taught = knowledge, _names(knowledge)
        self._trouble = ""

    @property
    def trouble(self) -> str:
        """Why crops are not looked at any more; "" while all is well."""
        return self._trouble

    @property
    def idle(self) -> bool:
        """Whether there is nothing to add to what the detector says: no gallery, and no dish that is not sold today."""
        return self._knowledge.gallery is None and not (self._knowledge.menu.off_today & self._labels)

    def change(self, knowledge: Knowledge) -> None:
        """Go on with another menu and gallery; what was seen of the objects is judged anew by it."""
        same = self._knowledge.embedder is knowledge.embedder
        self._knowledge, self._taught = knowledge, _names(knowledge)
        for dossier in self._dossiers.values():
            dossier.log_sum, dossier.gallery, dossier.weight, dossier.views = None, None, 0.0, 0.0
            if not same or knowledge.gallery is None:
                dossier.looks.clear()
                dossier.count, dossier.last_s = 0, -math.inf
            elif dossier.looks:
                self._add(dossier, dossier.looks)

    def forget(self) -> None:
        """Forget all tracks: a new epoch begins."""
        self._dossiers.clear()

    def recognise(self, frame: Frame, tracks: Tracks) -> Tracks:
        """Return the tracks of a frame with what is known of them now."""
        if self.idle:
            return tracks
        alive = {track.track_id for track in tracks.tracks}
        for gone in [track_id for track_id in self._dossiers if track_id not in alive]:
            del self._dossiers[gone]
        if self._knowledge.gallery is not None:
            self._look(frame, tracks)
        return replace(tracks, tracks=tuple(self._judged(track) for track in tracks.tracks))

    # --- looking -------------------------------------------------------------------------------------------------

    def _look(self, frame: Frame, tracks: Tracks) -> None:
        """Embed the crops that are due, and add what they say."""
        gallery, embedder = self._knowledge.gallery, self._knowledge.embedder
        if gallery is None or embedder is None:
            return
        due: list[tuple[int, float, int, Track, float]] = []
        for track in tracks.tracks:
            dossier = self._dossiers.get(track.track_id)
            new = self._novelty(track, dossier, frame)
            if new > 0.0:
                count, last_s = (0, 0.0) if dossier is None else (dossier.count, dossier.last_s)
                due.append((min(count, self._settings.first_looks), last_s, track.track_id, track, new))
        due.sort(key=lambda one: one[:3])
        chosen = due[: self._settings.crops_per_frame]
        if not chosen:
            return
        crops = [cut(frame.image, track.box) for *_, track, _ in chosen]
        try:
            vectors = embedder.embed(crops)
        except InferenceError as err:
            if not self._trouble:
                _LOG.error("%s; dishes are recognised by the detector alone until it works again", err)
            self._trouble = str(err)
            return
        self._trouble = ""
        for (*_, track, new), crop, vector in zip(chosen, crops, vectors, strict=True):
            self._note(track, frame.stream_s, new, sharpness(crop), vector)

    def _novelty(self, track: Track, dossier: _Dossier | None, frame: Frame) -> float:
        """Return how new a look at a track would be, 0..1; 0: not worth it."""
        settings, (x1, y1, x2, y2) = self._settings, track.box
        if not track.matched or track.state not in (TrackState.CONFIRMED, TrackState.TENTATIVE):
            return 0.0
        inside = max(min(x2, frame.width) - max(x1, 0.0), 0.0) * max(min(y2, frame.height) - max(y1, 0.0), 0.0)
        whole = (x2 - x1) * (y2 - y1)
        if min(x2 - x1, y2 - y1) < settings.least_side_px or inside < 0.9 * whole:
            return 0.0
        if track.visibility < settings.least_visible:
            return 0.0
        if dossier is None or not dossier.count:
            return 1.0
        elapsed_s = frame.stream_s - dossier.last_s
        pause_s = settings.look_s if dossier.count < settings.first_looks else settings.later_look_s
        if elapsed_s < pause_s:
            return 0.0
        moved = distance_in_boxes(track.box, dossier.last_box)
        return min(elapsed_s / settings.view_s + moved / settings.view_shift, 1.0)

    def _note(self, track: Track, now_s: float, new: float, sharp: float, vector: NDArray[np.float32]) -> None:
        dossier = self._dossiers.setdefault(track.track_id, _Dossier())
        dossier.sharpest = max(dossier.sharpest, sharp)
        clear = min(max(sharp / max(dossier.sharpest, 1e-9), 0.1), 1.0) * track.visibility**2
        look = _Look(vector, max(new * clear, LEAST_WEIGHT), new)
        dossier.count, dossier.last_s, dossier.last_box = dossier.count + 1, now_s, track.box
        dossier.looks.append(look)
        if len(dossier.looks) > self._settings.kept_looks:
            lightest = min(range(len(dossier.looks)), key=lambda at: dossier.looks[at].weight)
            del dossier.looks[lightest]
        self._add(dossier, [look])

    def _add(self, dossier: _Dossier, looks: list[_Look]) -> None:
        """Add what looks say to a dossier, and draw the conclusion."""
        gallery = self._knowledge.gallery
        if gallery is None:
            return
        vectors: Vectors = np.stack([look.vector for look in looks])
        weights = np.array([look.weight for look in looks])
        said = weights @ gallery.log_posterior(gallery.match(vectors))
        dossier.log_sum = said if dossier.log_sum is None else dossier.log_sum + said
        dossier.weight += float(weights.sum())
        dossier.views += sum(look.new for look in looks)
        dossier.gallery = self._conclusion(dossier, gallery)

    def _conclusion(self, dossier: _Dossier, gallery: Gallery) -> tuple[Shares, float] | None:
        """Return how probable the likeliest dishes and *unknown* are by the gallery alone."""
        if dossier.log_sum is None:
            return None
        views = min(dossier.views, self._settings.most_views)
        clear = min(dossier.weight / max(dossier.views, LEAST_WEIGHT), 1.0)
        sharp = max(views, 1.0) ** VIEW_POWER * clear
        logits = dossier.log_sum * (sharp / dossier.weight)
        logits = logits - logits.max()
        shares = np.exp(logits)
        shares /= shares.sum()
        best = np.argsort(-shares[:-1], kind="stable")[:CANDIDATES]
        return {gallery.names[i]: float(shares[i]) for i in best.tolist()}, float(shares[-1])

    # --- judging -------------------------------------------------------------------------------------------------

    def _judged(self, track: Track) -> Track:
        dossier = self._dossiers.get(track.track_id)
        witness = None if dossier is None else dossier.gallery
        if witness is None and not any(label in self._knowledge.menu.off_today for label, _ in track.posterior):
            return track
        taught = self._taught if witness is not None else frozenset[str]()
        posterior = combine(track.posterior, witness, self._labels, taught, self._knowledge, self._settings)
        held = "" if dossier is None else dossier.held
        ranked = sorted(posterior.items(), key=lambda one: (-one[1] * (INERTIA if one[0] == held else 1.0), one[0]))
        if dossier is not None and ranked:
            dossier.held = ranked[0][0]
        listed = tuple((label, p) for label, p in ranked[:TOP_LABELS] if p >= LEAST_LISTED)
        return replace(track, posterior=listed)


def _names(knowledge: Knowledge) -> frozenset[str]:
    return frozenset() if knowledge.gallery is None else frozenset(knowledge.gallery.names)


def combine(
    detector: tuple[tuple[str, float], ...],
    gallery: tuple[Shares, float] | None,
    learnt: frozenset[str],
    taught: frozenset[str],
    knowledge: Knowledge,
    settings: RecognitionSettings,
) -> dict[str, float]:
    """Return how probable each label is; what is missing to 1 is *unknown*. See the module.

    Args:
        detector: (label, probability) pairs of the tracker.
        gallery: the gallery's likeliest dishes, and its *unknown* share; None before the first look.
        learnt: labels of the detector.
        taught: dishes of the gallery.
        knowledge: today's menu.
        settings: floors and temperature.
    """
    menu = knowledge.menu
    seen = {label: p for label, p in detector if label in learnt}
    strange = max(1.0 - sum(seen.values()), 0.0)
    looks, rest = gallery if gallery is not None else ({}, 1.0)
    joint: dict[str, float] = {}
    for label in {*seen, *looks}:
        if label not in menu and label not in menu.ignored:
            continue
        d = seen.get(label, FLOOR) if label in learnt else max(strange, settings.foreign_floor)
        g = looks.get(label, FLOOR) if label in taught else rest
        if label in learnt and label in taught:
            # One photo does not show all that a dish can look like; the detector saw thousands.
            g = max(g, settings.gallery_floor)
        joint[label] = max(d, FLOOR) * max(g, FLOOR)
    unknown = max(strange, settings.unknown_floor) * max(rest, FLOOR)
    power = 1.0 / settings.temperature
    weights = {label: p**power for label, p in joint.items()}
    total = sum(weights.values()) + unknown**power
    return {label: weight / total for label, weight in weights.items()}
