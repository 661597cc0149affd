"""Things whose class is unknown, or that have none: what they teach, and what they must not."""

from __future__ import annotations

import pytest
import torch

from tests.unit.training.test_traynet_parts import SIZE, raw_for, truth_of
from training.assign import NO_CLASS, UNKNOWN_CLASS, Assignment, Truth, assign
from training.losses import Losses, detection_loss
from training.traynet import decode_boxes, grid

BOX = [8.0, 8.0, 48.0, 48.0]
CELLS, STRIDES = grid(*SIZE)
CENTRES = (CELLS + 0.5) * STRIDES[:, None]


def raw() -> torch.Tensor:
    """Return boxes of 40 pixels around each cell, a little presence, and all classes as sure as each other."""
    boxes = torch.cat([CENTRES - 20, CENTRES + 20], dim=1)
    return raw_for(boxes, logit=-0.5).requires_grad_()


def loss_of(answer: torch.Tensor, label: int) -> Losses:
    return detection_loss(answer, truth_of((BOX, label, True)), CELLS, STRIDES)


def given_for(answer: torch.Tensor, truth: Truth) -> Assignment:
    return assign(truth, decode_boxes(answer, CELLS, STRIDES).detach(), answer[..., 4:].detach(), CENTRES, STRIDES)


def slope(answer: torch.Tensor, label: int) -> torch.Tensor:
    """Return the gradient (A, 5 + C) of the whole loss."""
    (gradient,) = torch.autograd.grad(loss_of(answer, label).total, answer)
    return gradient[0]


def test_an_unknown_class_gets_cells_and_no_class_loss() -> None:
    answer = raw()
    given = given_for(answer, truth_of((BOX, UNKNOWN_CLASS, True)))
    assert given.positive.sum() == 9
    losses = loss_of(answer, UNKNOWN_CLASS)
    assert losses.classes.item() == 0.0
    assert losses.box.item() > 0
    assert losses.objectness.item() > 0
    gradient = slope(answer, UNKNOWN_CLASS)
    assert (gradient[:, 5:] == 0).all()
    assert (gradient[given.positive[0], 4] < 0).any()  # presence is pulled up


def test_no_class_pulls_all_class_scores_down_and_a_class_only_the_others() -> None:
    answer = raw()
    positive = given_for(answer, truth_of((BOX, NO_CLASS, True))).positive[0]
    assert positive.sum() == 9
    gradient = slope(answer, NO_CLASS)
    assert (gradient[positive, 5:] > 0).all()
    assert (gradient[~positive, 5:] == 0).all()
    known = slope(answer, 1)
    lifted = known[:, 6] < 0
    assert lifted.any()
    assert (known[lifted][:, [5, 7]] > 0).all()


@pytest.mark.parametrize("label", [UNKNOWN_CLASS, NO_CLASS])
def test_presence_and_box_losses_are_those_of_a_class_that_the_net_is_sure_of(label: int) -> None:
    answer = raw().detach()
    answer[..., 6] = 40.0  # probability 1: how sure of the class then plays no part in the assignment
    mine, known = loss_of(answer, label), loss_of(answer, 1)
    torch.testing.assert_close(mine.box, known.box)
    torch.testing.assert_close(mine.objectness, known.objectness)
    one, other = (given_for(answer, truth_of((BOX, at, True))) for at in (label, 1))
    assert torch.equal(one.positive, other.positive)
    torch.testing.assert_close(one.quality, other.quality)


@pytest.mark.parametrize("label", [UNKNOWN_CLASS, NO_CLASS])
def test_what_the_class_scores_say_does_not_move_things_without_a_class(label: int) -> None:
    answer = raw().detach()
    shouting = answer.clone()
    shouting[..., 5:] = torch.linspace(-9, 9, len(CELLS))[None, :, None]
    one, other = (given_for(a, truth_of((BOX, label, True))) for a in (answer, shouting))
    assert torch.equal(one.positive, other.positive)
    torch.testing.assert_close(one.quality, other.quality)


def test_a_picture_of_all_kinds_adds_class_loss_for_those_that_teach_one() -> None:
    left, middle, right = [0.0, 0.0, 28.0, 60.0], [32.0, 0.0, 60.0, 60.0], [64.0, 0.0, 94.0, 60.0]
    answer = raw()

    def class_loss(*labels: int) -> float:
        objects = [(box, label, True) for box, label in zip((left, middle, right), labels, strict=True)]
        return detection_loss(answer, truth_of(*objects), CELLS, STRIDES).classes.item()

    assert class_loss(*[UNKNOWN_CLASS] * 3) == 0
    assert 0 < class_loss(UNKNOWN_CLASS, NO_CLASS, UNKNOWN_CLASS) < class_loss(0, NO_CLASS, UNKNOWN_CLASS)


def test_an_ignored_thing_of_unknown_class_is_neither_found_nor_background() -> None:
    given = given_for(raw(), truth_of((BOX, UNKNOWN_CLASS, False)))
    inside = ((CENTRES > 8) & (CENTRES < 48)).all(dim=1)
    assert not given.positive.any()
    assert not given.counted[0][inside].any()
