"""Scenes of things on no menu: they repeat, their boxes enclose what is drawn, and any painter works at any size."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.records import HAND
from streams.synthetic.paint import Canvas
from streams.synthetic.sprites import bake, lay
from training import randomised
from training.assign import NO_CLASS
from training.randomised import Scene, scene, scenes
from training.randomised_things import PAINTERS
from training.synthetic_set import LABELS, RANDOMISED, load_set, plan_randomised, render_set

SIDE = 80


@pytest.fixture(scope="module")
def some() -> list[Scene]:
    return list(itertools.islice(scenes(11, SIDE), 20))


def test_equal_seeds_draw_equal_bytes_and_others_do_not() -> None:
    first, again = (list(itertools.islice(scenes(5, SIDE), 3)) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        for name in ("image", "boxes", "hands", "visible"):
            assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
    assert first[0].image.tobytes() != first[1].image.tobytes()
    assert first[0].image.tobytes() != next(scenes(6, SIDE)).image.tobytes()


def test_a_scene_depends_on_its_number_alone() -> None:
    third = next(itertools.islice(scenes(5, SIDE), 2, None))
    assert third.image.tobytes() == scene(np.random.default_rng([5, 2]), SIDE).image.tobytes()


def test_records_of_scenes_fit_together(some: list[Scene]) -> None:
    for one in some:
        count = len(one.boxes)
        assert one.image.shape == (SIDE, SIDE, 3)
        assert one.image.dtype == np.uint8
        assert one.boxes.shape == (count, 4)
        assert one.boxes.dtype == np.float32
        assert one.hands.shape == one.visible.shape == (count,)
        assert (one.visible >= 0).all()
        assert (one.visible <= 1).all()
        assert (one.boxes >= 0).all()
        assert (one.boxes <= SIDE).all()
        assert (one.boxes[:, 2:] - one.boxes[:, :2] >= 3 - 1e-4).all()


@pytest.mark.parametrize("number", [13, 19, 22, 26])
def test_arms_stay_inside_pictures_of_odd_sides(number: int) -> None:
    """Arms are measured at half scale, where an odd side ends in half a cell."""
    drawn = scene(np.random.default_rng([3, number]), 51)
    assert drawn.hands.any()
    assert (drawn.boxes <= 51).all()


def test_there_are_empty_scenes_crowds_hands_and_hidden_things(some: list[Scene]) -> None:
    many = [*some, *itertools.islice(scenes(12, 48), 36)]
    counts = [int((~one.hands).sum()) for one in many]
    assert min(counts) == 0
    assert max(counts) >= 12
    assert sum(bool(one.hands.any()) for one in many) > 5
    assert any((one.visible < 0.25).any() for one in many)
    assert np.mean(np.concatenate([one.visible for one in many])) > 0.6


@pytest.mark.parametrize("seed", range(10))
def test_boxes_enclose_what_is_drawn(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What differs from the same counter without things lies in their boxes, but for their shadows."""
    before: list[np.ndarray] = []
    opaque = np.zeros((SIDE, SIDE), bool)
    true_lay = lay

    def watched(picture: np.ndarray, sprite: object, x: float, y: float) -> None:
        if picture.shape[0] == SIDE and before:
            alone = np.zeros((SIDE, SIDE, 3), np.uint8)
            solid = sprite.rgba.copy()  # type: ignore[attr-defined]
            solid[..., :3] = np.where(solid[..., 3:] > 250, 255, 0)  # a shadow is never that dark
            white = type(sprite)(solid, sprite.anchor, sprite.extent, sprite.solid, sprite.area)  # type: ignore[attr-defined]
            true_lay(alone, white, x, y)
            opaque[(alone == 255).all(axis=2)] = True
        true_lay(picture, sprite, x, y)  # type: ignore[arg-type]

    def counter(rng: np.random.Generator, side: int) -> np.ndarray:
        picture = true_counter(rng, side)
        before.append(picture.copy())
        return picture

    true_counter = randomised.counter
    monkeypatch.setattr(randomised, "counter", counter)
    monkeypatch.setattr(randomised, "lay", watched)
    monkeypatch.setattr(randomised, "lit", lambda rng, picture: picture)  # light and noise change every pixel
    drawn = scene(np.random.default_rng([77, seed]), SIDE)
    inside = np.zeros((SIDE, SIDE), bool)
    for x1, y1, x2, y2 in drawn.boxes:
        inside[max(int(y1) - 2, 0) : int(y2) + 3, max(int(x1) - 2, 0) : int(x2) + 3] = True  # owners are at half scale
    assert len(before) == 1
    # Things that show less than three pixels of themselves at the edge have no box.
    inside[[0, 1, 2, -3, -2, -1]] = True
    inside[:, [0, 1, 2, -3, -2, -1]] = True
    assert not (opaque & ~inside).any()
    assert opaque.any() or not len(drawn.boxes)
    changed = (drawn.image != before[0]).any(axis=2)
    for x1, y1, x2, y2 in drawn.boxes:  # and a box is about something
        assert changed[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))].any()


@pytest.mark.parametrize("painter", sorted(set(PAINTERS), key=lambda p: p.__name__), ids=lambda p: p.__name__)
@given(
    seed=st.integers(0, 2**31 - 1),
    size=st.floats(4.0, 30.0),
    slender=st.floats(0.45, 1.0),
    px_cm=st.sampled_from([0.8, 1.6, 3.0]),
    angle=st.floats(0, 6.3),
)
@settings(max_examples=12, deadline=None)
def test_any_painter_works_at_any_size(painter, seed, size, slender, px_cm, angle) -> None:  # type: ignore[no-untyped-def]
    canvas = Canvas(size * 1.5, size * 1.5, 2 * px_cm, np.random.default_rng(seed))
    canvas.light_from(angle)
    height_cm = painter(canvas, size, size * slender)
    assert 0 < height_cm <= 30
    sprite = bake(canvas, px_cm, angle, height_cm, 0.3)
    left, top, right, bottom = sprite.extent
    assert right - left >= 1
    assert bottom - top >= 1
    # The extent encloses what is opaque: nothing outside it is more than the darkest shadow.
    rows, columns = np.nonzero(sprite.rgba[..., 3] > 200)
    x, y = columns - sprite.anchor[0], rows - sprite.anchor[1]
    assert (x >= left - 1e-6).all()
    assert (x < right + 1e-6).all()
    assert (y >= top - 1e-6).all()
    assert (y < bottom + 1e-6).all()
    # About as long as asked for; never more than its canvas.
    assert max(right - left, bottom - top) <= 1.5 * np.sqrt(2) * size * px_cm + 4


def test_painters_draw_equal_things_from_equal_seeds() -> None:
    for painter in set(PAINTERS):
        pair = [Canvas(15, 15, 3.0, np.random.default_rng(4)) for _ in range(2)]
        assert painter(pair[0], 10.0, 7.0) == painter(pair[1], 10.0, 7.0)
        assert pair[0].rgb.tobytes() == pair[1].rgb.tobytes()
        assert pair[0].alpha.tobytes() == pair[1].alpha.tobytes()
        assert pair[0].alpha.any()


def test_rolls_of_scenes_have_no_class_but_hands(tmp_path: Path) -> None:
    rolls = plan_randomised(range(300_000, 300_002), frames=2)
    assert [roll.stem for roll in rolls] == ["randomised-300000", "randomised-300001"]
    assert {(roll.preset, roll.camera, roll.size) for roll in rolls} == {(RANDOMISED, (320, 320), (320, 320))}
    assert render_set(rolls, tmp_path) == 2
    assert render_set(rolls, tmp_path) == 0
    pictures = load_set(rolls, tmp_path)
    assert len(pictures) == 4
    assert pictures.labels == LABELS
    assert set(pictures.presets) == {RANDOMISED}
    again = list(itertools.islice(scenes(300_001), 2))
    hand = LABELS.index(HAND)
    for index, wanted in enumerate(again, start=2):
        assert pictures.image(index).tobytes() == wanted.image.tobytes()
        np.testing.assert_array_equal(pictures.boxes[index], wanted.boxes)
        assert pictures.classes[index].dtype == np.int64
        np.testing.assert_array_equal(pictures.classes[index], np.where(wanted.hands, hand, NO_CLASS))
        np.testing.assert_array_equal(pictures.visible[index], wanted.visible)
    classes = np.concatenate(pictures.classes)
    assert set(classes) <= {NO_CLASS, hand}
    assert NO_CLASS in classes
