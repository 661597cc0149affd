"""Recognition: near-identical frames are discounted, two witnesses are combined, what nobody knows stays unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from checkout.live_menu import Knowledge
from checkout.menu import Menu
from checkout.recognition import Recogniser, combine
from checkout.settings import RecognitionSettings
from core.errors import InferenceError
from core.records import HAND, ITEM, Box, Frame, Track, Tracks, TrackState
from models.gallery import Calibration, make_gallery
from tests.fakes import menu

EYE = np.eye(6, dtype=np.float32)
SETTINGS = RecognitionSettings()
TAUGHT = ("curry", "peas", "soup")
CALIBRATION = Calibration(0.6, 0.05, 0.9, 3)
IMAGE = np.random.default_rng(0).integers(0, 255, (200, 300, 3)).astype(np.uint8)


@dataclass
class Scripted:
    """An embedder that says of every crop what its script says next."""

    script: list[NDArray[np.float32]] = field(default_factory=list)
    name: str = "scripted@1"
    dimensions: int = 6
    crops: int = 0
    broken: bool = False

    def embed(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        if self.broken:
            raise InferenceError("scripted@1: broken")
        self.crops += len(crops)
        return np.stack([self.script[min(self.crops - 1, len(self.script) - 1)] for _ in crops])

    def close(self) -> None:
        """Nothing to let go."""


def looks_like(dish: str, similarity: float = 0.9) -> NDArray[np.float32]:
    """Return a vector at a similarity to a taught dish and 0 to the others."""
    vector = similarity * EYE[TAUGHT.index(dish)] + (1 - similarity**2) ** 0.5 * EYE[5]
    return vector.astype(np.float32)


def knowledge(embedder: Scripted, sold: Menu | None = None, taught: Sequence[str] = TAUGHT) -> Knowledge:
    gallery = make_gallery(embedder.name, [(n, EYE[TAUGHT.index(n)][None]) for n in taught], CALIBRATION)
    return Knowledge(sold or menu(*TAUGHT, "steak"), gallery, embedder)


def track(
    track_id: int = 1,
    box: Box = (100.0, 60.0, 160.0, 120.0),
    posterior: tuple[tuple[str, float], ...] = ((ITEM, 0.95),),
    visibility: float = 1.0,
    matched: bool = True,
) -> Track:
    return Track(track_id, box, (0.0, 0.0), 0.9, TrackState.CONFIRMED, visibility, posterior, 0.0, 0.0, matched)


def look(recogniser: Recogniser, at_s: float, *tracks: Track) -> tuple[Track, ...]:
    frame = Frame("lane1", round(at_s * 20), at_s, at_s, IMAGE, at_s)
    return recogniser.recognise(frame, Tracks(frame.index, at_s, tracks)).tracks


def test_a_taught_dish_is_recognised_at_first_sight() -> None:
    embedder = Scripted([looks_like("peas")])
    recogniser = Recogniser((ITEM, HAND), knowledge(embedder), SETTINGS)
    (seen,) = look(recogniser, 0.0, track())
    assert seen.label == "peas"
    assert seen.confidence > 0.9


def test_what_looks_like_nothing_taught_is_unknown() -> None:
    embedder = Scripted([looks_like("peas", 0.3)])
    recogniser = Recogniser((ITEM, HAND), knowledge(embedder), SETTINGS)
    for step in range(40):
        (seen,) = look(recogniser, step / 20, track())
    assert sum(p for _, p in seen.posterior) < 0.05


def test_thirty_equal_frames_are_few_looks_and_no_more_than_a_view_or_two() -> None:
    embedder = Scripted([looks_like("peas", 0.62)])
    recogniser = Recogniser((ITEM, HAND), knowledge(embedder), SETTINGS)
    (first,) = look(recogniser, 0.0, track())
    for step in range(1, 30):
        (seen,) = look(recogniser, step / 30, track())
    assert embedder.crops <= 5
    assert first.confidence <= seen.confidence < 0.8


def test_a_moved_dish_shows_a_new_view_sooner() -> None:
    at_rest, moving = Scripted([looks_like("peas")]), Scripted([looks_like("peas")])
    one, other = (Recogniser((ITEM, HAND), knowledge(embedder), SETTINGS) for embedder in (at_rest, moving))
    for step in range(8):
        look(one, step * 0.21, track())
        (seen,) = look(other, step * 0.21, track(box=(20.0 + 25 * step, 60.0, 80.0 + 25 * step, 120.0)))
    assert one._dossiers[1].views < other._dossiers[1].views
    assert seen.label == "peas"


def test_a_long_right_look_outvotes_a_short_wrong_one() -> None:
    embedder = Scripted([looks_like("soup"), *[looks_like("peas")] * 30])
    recogniser = Recogniser((ITEM, HAND), knowledge(embedder), SETTINGS)
    (seen,) = look(recogniser, 0.0, track())
    assert seen.label == "soup"
    for step in range(1, 60):
        (seen,) = look(recogniser, step / 10, track())
    assert seen.label == "peas"
    assert seen.confidence > 0.9


@pytest.mark.parametrize(
    "hidden",
    [
        track(visibility=0.2),
        track(matched=False),
        track(box=(-40.0, 60.0, 20.0, 120.0)),
        track(box=(100.0, 60.0, 108.0, 68.0)),
    ],
    ids=["covered", "not seen", "cut by the edge", "tiny"],
)
def test_what_is_not_seen_well_is_not_looked_at(hidden: Track) -> None:
    embedder = Scripted([looks_like("peas")])
    assert look(Recogniser((ITEM, HAND), knowledge(embedder), SETTINGS), 0.0, hidden) == (hidden,)
    assert embedder.crops == 0


def test_crops_of_a_frame_are_bounded_and_new_tracks_come_first() -> None:
    embedder = Scripted([looks_like("peas")])
    recogniser = Recogniser((ITEM, HAND), knowledge(embedder), RecognitionSettings(crops_per_frame=2))
    every = [track(k, (20.0 + 40 * k, 60.0, 50.0 + 40 * k, 100.0)) for k in range(1, 6)]
    counts = []
    for step in range(3):
        look(recogniser, step / 20, *every)
        counts.append(embedder.crops)
    assert counts == [2, 4, 5]
    look(recogniser, 1.0, *every[:2])
    assert set(recogniser._dossiers) == {1, 2}, "tracks that are gone are forgotten"


def test_a_broken_embedder_leaves_the_detectors_word_and_says_so() -> None:
    embedder = Scripted([looks_like("peas")], broken=True)
    recogniser = Recogniser(("peas", "steak"), knowledge(embedder), SETTINGS)
    own = track(posterior=(("steak", 0.9),))
    assert look(recogniser, 0.0, own) == (own,)
    assert "broken" in recogniser.trouble
    embedder.broken = False
    look(recogniser, 0.1, own)
    assert recogniser.trouble == ""


def test_without_anything_taught_tracks_are_passed_on_as_they_are() -> None:
    recogniser = Recogniser(("peas", "steak"), Knowledge(menu("peas", "steak")), SETTINGS)
    tracks = Tracks(0, 0.0, (track(posterior=(("steak", 0.9),)),))
    assert recogniser.idle
    assert recogniser.recognise(Frame("lane1", 0, 0.0, 0.0, IMAGE), tracks) is tracks


def test_a_dish_that_is_not_sold_today_gets_no_probability() -> None:
    sold = Menu("EUR", menu("peas").dishes, frozenset(), frozenset({"steak"}), 1)
    recogniser = Recogniser(("peas", "steak"), Knowledge(sold), SETTINGS)
    (seen,) = look(recogniser, 0.0, track(posterior=(("steak", 0.97), ("peas", 0.01))))
    assert "steak" not in dict(seen.posterior)
    assert seen.confidence < 0.5


def test_a_menu_that_is_swapped_judges_what_lies_there_already() -> None:
    embedder = Scripted([looks_like("soup")])
    recogniser = Recogniser((ITEM, HAND), knowledge(embedder, menu("peas"), ("peas",)), SETTINGS)
    (seen,) = look(recogniser, 0.0, track())
    assert seen.confidence < 0.3
    recogniser.change(knowledge(embedder))
    (seen,) = look(recogniser, 0.01, track())
    assert embedder.crops == 1
    assert seen.label == "soup"
    assert seen.confidence > 0.9


# --- two witnesses ---------------------------------------------------------------------------------------------------

LEARNT = frozenset({"peas", "steak"})
BOTH = frozenset({"peas", "soup"})
WORLD = Knowledge(Menu("EUR", menu("peas", "steak", "soup").dishes, frozenset({"phone"}), frozenset({"tea"})))


def joint(detector: dict[str, float], gallery: dict[str, float], rest: float) -> dict[str, float]:
    pairs = tuple(detector.items())
    return combine(pairs, (gallery, rest), LEARNT | {"phone", "tea"}, BOTH, WORLD, SETTINGS)


def test_both_agree() -> None:
    assert joint({"peas": 0.8}, {"peas": 0.8, "soup": 0.1}, 0.1)["peas"] > 0.9


def test_a_dish_that_only_the_gallery_knows_wins_over_a_detector_that_is_sure_of_another() -> None:
    found = joint({"steak": 0.97}, {"soup": 0.995, "peas": 0.001}, 0.002)
    assert max(found, key=lambda label: found[label]) == "soup"
    assert found["soup"] > 0.9


def test_a_dish_that_only_the_detector_knows_is_what_the_gallery_does_not_know() -> None:
    found = joint({"steak": 0.97}, {"soup": 0.01, "peas": 0.01}, 0.98)
    assert found["steak"] > 0.9


def test_a_plate_that_looks_unlike_its_photo_is_what_a_sure_detector_says() -> None:
    assert joint({"peas": 0.99}, {"peas": 0.002, "soup": 0.007}, 0.99)["peas"] > 0.6


def test_what_neither_knows_is_unknown() -> None:
    assert sum(joint({"steak": 0.1, "peas": 0.1}, {"soup": 0.02, "peas": 0.02}, 0.96).values()) < 0.4


def test_no_goods_stay_no_goods_and_what_is_off_today_is_off() -> None:
    assert max(joint({"phone": 0.95}, {"soup": 0.02}, 0.97).items(), key=lambda one: one[1])[0] == "phone"
    assert "tea" not in joint({"tea": 0.99}, {"soup": 0.3}, 0.7)


SHARES = st.floats(0.0, 1.0)


@given(st.tuples(SHARES, SHARES), st.tuples(SHARES, SHARES))
@settings(max_examples=80, deadline=None)
def test_the_combination_is_always_a_distribution(d: tuple[float, float], g: tuple[float, float]) -> None:
    scale_d, scale_g = max(sum(d), 1.0), max(sum(g), 1.0)
    found = joint(
        {"peas": d[0] / scale_d, "steak": d[1] / scale_d},
        {"peas": g[0] / scale_g, "soup": g[1] / scale_g},
        max(1.0 - sum(g) / scale_g, 0.0),
    )
    assert all(0.0 <= p <= 1.0 for p in found.values())
    assert sum(found.values()) <= 1.0 + 1e-9
