"""Boxes follow what is done to the picture; what is hidden or cut is ignored; a seed gives the same picture again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from core.boxes import area
from tests.unit.training.finetune.blocks import COLOURS, picture, random_picture, seen
from training.finetune.augmentations import AugmentSettings, augmented
from training.finetune.compositions import HIDDEN_IGNORED, mosaic, paste
from training.finetune.pictures import Picture, resize_to, scaled, settle

SLACK_PX = 2.0
seeds = st.integers(0, 2**32 - 1)


def draw(rng: np.random.Generator) -> Picture:
    return random_picture(rng)


def empty(width: int = 96, height: int = 72) -> Picture:
    return picture(width, height, {})


def check_boxes_hold_colours(found: Picture, tight: bool) -> None:
    """Each colour lies within its box; `tight`: and reaches its sides. Each class comes up at most once."""
    for box, label in zip(found.boxes, found.classes, strict=True):
        colour = seen(found.image, int(label))
        assert colour is not None, f"box of class {label} without its colour"
        assert (colour[:2] >= box[:2] - SLACK_PX).all(), (label, box, colour)
        assert (colour[2:] <= box[2:] + SLACK_PX).all(), (label, box, colour)
        if tight:
            assert np.abs(colour - box).max() <= SLACK_PX, (label, box, colour)
    gone = set(range(4)) - set(found.classes.tolist())
    for label in gone:
        colour = seen(found.image, label)
        # Thinner than a box may be: nothing that could be asked for.
        assert colour is None or (colour[2:] - colour[:2]).min() <= 3, (label, colour)


def check_in_place(found: Picture) -> None:
    count = len(found.boxes)
    assert found.boxes.dtype == np.float32
    assert found.image.dtype == np.uint8
    assert found.classes.shape == found.ignored.shape == (count,)
    assert (found.boxes >= 0).all()
    assert (found.boxes <= [found.width, found.height] * 2).all()
    assert (area(found.boxes) > 1).all()


MOVES = {
    "mirror": ({"mirror": 1.0}, True),
    "flip": ({"flip": 1.0}, True),
    "quarter turns": ({"quarter_turns": 1.0}, True),
    "zoom": ({"move": 1.0, "zoom": (0.5, 1.8)}, True),
    "shift": ({"move": 1.0, "shift": 0.4}, True),
    "stretch": ({"stretch": 0.4}, True),
    "turn": ({"move": 1.0, "turn_deg": 30.0}, False),
    "all of them": (
        {"mirror": 0.5, "flip": 0.5, "quarter_turns": 0.5, "move": 1.0, "turn_deg": 10.0, "zoom": (0.6, 1.6)},
        False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVES)
@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_boxes_follow_the_camera(name: str, seed: int) -> None:
    changes, tight = MOVES[name]
    rng = np.random.default_rng(seed)
    found = augmented(random_picture(rng), AugmentSettings.model_validate(changes), rng, draw)
    check_in_place(found)
    check_boxes_hold_colours(found, tight)


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_light_and_lens_leave_boxes_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before = random_picture(rng)
    changes = {"tone": 1.0, "brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.02, "cast": 0.1}
    settings_ = AugmentSettings.model_validate(changes | {"shade": 1.0, "blur": 1.0, "noise": 1.0, "jpeg": 1.0})
    after = augmented(before, settings_, rng, draw)
    assert np.array_equal(after.boxes, before.boxes)
    assert after.image.shape == before.image.shape
    assert not np.array_equal(after.image, before.image)


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_a_mosaic_holds_what_its_parts_show(seed: int) -> None:
    """Four pictures with one class each: a class's boxes are then its colour's."""
    rng = np.random.default_rng(seed)
    parts = []
    for label in range(4):
        x, y = rng.integers(0, 50), rng.integers(0, 30)
        parts.append(picture(96, 72, {label: (x, y, x + int(rng.integers(20, 44)), y + int(rng.integers(20, 40)))}))
    found = mosaic(parts[0], parts[1:], rng, 0.25)
    check_in_place(found)
    assert (found.width, found.height) == (96, 72)
    check_boxes_hold_colours(found, tight=True)


def test_a_part_of_a_mosaic_keeps_its_shape() -> None:
    square = picture(80, 80, {0: (30, 30, 50, 50)})
    for seed in range(20):
        found = mosaic(empty(160, 60), [empty(), empty(), square], np.random.default_rng(seed), 0.9)
        for box in found.boxes[~found.ignored]:
            inside = (box[:2] > 1).all() and (box[2:] < [159, 59]).all()
            if inside and not found.ignored.any():
                sides = box[2:] - box[:2]
                assert sides[0] == pytest.approx(sides[1], rel=0.15)


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_pasted_objects_lie_in_their_boxes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    source = picture(96, 72, {2: (20, 20, 50, 45)})
    before = picture(96, 72, {0: (4, 4, 40, 30)})
    found = paste(before, lambda _: source, 1, rng)
    check_in_place(found)
    pasted = found.boxes[found.classes == 2]
    if len(pasted) == 0:
        assert np.array_equal(found.image, before.image)
        return
    colour = seen(found.image, 2)
    assert colour is not None
    assert np.abs(colour - pasted[0]).max() <= SLACK_PX + 1  # its border is soft
    assert found.where == "made up + made up"
    assert np.array_equal(before.image, picture(96, 72, {0: (4, 4, 40, 30)}).image)


def test_pasted_objects_keep_away_where_there_is_room() -> None:
    before, source = picture(200, 200, {0: (0, 0, 60, 60)}), picture(200, 200, {1: (50, 50, 90, 90)})
    for seed in range(30):
        found = paste(before, lambda _: source, 1, np.random.default_rng(seed))
        assert not found.ignored.any()
        assert np.array_equal(found.image[:60, :60], before.image[:60, :60])


def test_what_lies_under_a_pasted_object_is_ignored_and_then_gone() -> None:
    """No free place at all: the small block is hidden by degrees."""
    before = picture(44, 44, {0: (12, 12, 32, 32)})
    source = picture(44, 44, {1: (4, 4, 34, 34)})
    ignored, gone = 0, 0
    for seed in range(60):
        found = paste(before, lambda _: source, 4, np.random.default_rng(seed))
        mine = np.flatnonzero(found.classes == 0)
        left = np.all(found.image == COLOURS[0], axis=2).sum() / 400
        if len(mine) == 0:
            gone += 1
            assert left < 0.35
        elif found.ignored[mine[0]]:
            ignored += 1
        else:
            assert left > 1 - HIDDEN_IGNORED - 0.1
    assert ignored
    assert gone


def test_only_free_objects_are_pasted() -> None:
    source = picture(96, 72, {0: (10, 10, 50, 50), 1: (30, 30, 60, 60), 2: (70, 5, 90, 25)})
    for seed in range(20):
        found = paste(empty(), lambda _: source, 3, np.random.default_rng(seed))
        assert set(found.classes.tolist()) <= {2}
    bare = paste(empty(), lambda _: empty(), 3, np.random.default_rng(0))
    assert len(bare.boxes) == 0


@pytest.mark.parametrize("strength", ["none", "light", "counter", "strong"])
def test_a_seed_gives_the_same_picture_and_leaves_torch_alone(strength: str) -> None:
    chosen = AugmentSettings.preset(strength)  # type: ignore[arg-type]
    torch.manual_seed(1)
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    pictures = [random_picture(np.random.default_rng(9)), empty()]
    for seed in range(12):
        before = pictures[seed % 2]
        first = augmented(before, chosen, np.random.default_rng(seed), draw)
        torch.rand(3)  # what others draw in between changes nothing
        torch.random.set_rng_state(state)
        again = augmented(before, chosen, np.random.default_rng(seed), draw)
        assert np.array_equal(first.image, again.image)
        assert np.array_equal(first.boxes, again.boxes)
        check_in_place(first)
        assert torch.equal(torch.random.get_rng_state(), state)
        assert torch.get_num_threads() == threads
        if strength == "none":
            assert np.array_equal(first.image, before.image)
            assert np.array_equal(first.boxes, before.boxes)


def test_seeds_differ() -> None:
    chosen = AugmentSettings.preset("counter")
    before = random_picture(np.random.default_rng(9))
    made = {augmented(before, chosen, np.random.default_rng(seed), draw).image.tobytes() for seed in range(8)}
    assert len(made) == 8


def test_an_upright_picture_without_boxes_turns_with_its_canvas() -> None:
    chosen = AugmentSettings(quarter_turns=1.0, move=1.0, zoom=(0.9, 1.1))
    shapes = {augmented(empty(), chosen, np.random.default_rng(s), draw).image.shape for s in range(12)}
    assert shapes == {(72, 96, 3), (96, 72, 3)}


@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_of_a_wide_picture_a_square_is_turned(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = augmented(random_picture(rng, 160, 90), AugmentSettings(quarter_turns=1.0), rng, draw)
    assert (found.width, found.height) in ((160, 90), (90, 90))
    check_in_place(found)
    check_boxes_hold_colours(found, tight=True)


def test_what_is_cut_off_is_ignored_and_then_gone() -> None:
    boxes = np.array([[-30, 0, 10, 20], [-10, 0, 30, 20], [-50, 0, 1, 20], [0, 0, 20, 20]], np.float32)
    ids = np.arange(4)
    cut = Picture(np.zeros((50, 50, 3), np.uint8), boxes, ids, np.array([False, False, False, True]), "")
    found = settle(cut, 0.5)
    assert found.classes.tolist() == [0, 1, 3]
    assert found.ignored.tolist() == [True, False, True]
    assert found.boxes[0].tolist() == [0, 0, 10, 20]


@pytest.mark.parametrize(
    ("place", "size"), [("topleft", (64, 64)), ("center", (64, 64)), ("center", (200, 100)), ("stretch", (50, 90))]
)
def test_boxes_lie_right_on_a_canvas(place: str, size: tuple[int, int]) -> None:
    before = random_picture(np.random.default_rng(4))
    found = resize_to(before, size, place)  # type: ignore[arg-type]
    assert found.image.shape == (size[1], size[0], 3)
    check_boxes_hold_colours(found, tight=True)
    shape = (before.boxes[:, 2] - before.boxes[:, 0]) / (before.boxes[:, 3] - before.boxes[:, 1])
    after = (found.boxes[:, 2] - found.boxes[:, 0]) / (found.boxes[:, 3] - found.boxes[:, 1])
    assert np.allclose(shape, after, rtol=0.05) == (place != "stretch")


def test_scaling_to_the_same_size_is_free() -> None:
    before = empty()
    assert scaled(before, 96, 72) is before


def test_unknown_and_wild_settings_are_refused() -> None:
    with pytest.raises(ValidationError, match="mirror"):
        AugmentSettings(mirror=1.5)
    with pytest.raises(ValidationError, match="mirrors"):
        AugmentSettings.model_validate({"mirrors": 0.5})
    with pytest.raises(ValidationError, match="zoom"):
        AugmentSettings(zoom=(1.4, 0.7))
