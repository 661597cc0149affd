"""The net, the assignment and the losses, on cases small enough to know the answer."""

from __future__ import annotations

import pytest
import torch

from training.assign import Truth, assign, pairwise_iou
from training.losses import detection_loss, giou
from training.traynet import ExportNet, TrayNet, TrayNetShape, decode_boxes, grid

SIZE = (64, 96)  # height, width
SMALL = TrayNetShape(classes=3, widths=(8, 8, 8, 8, 8), depths=(0, 0, 0, 0), neck=8)


def truth_of(*objects: tuple[list[float], int, bool]) -> Truth:
    """One picture with the objects (box, class, wanted)."""
    return Truth(
        boxes=torch.tensor([[box for box, _, _ in objects]]).reshape(1, -1, 4),
        classes=torch.tensor([[label for _, label, _ in objects]], dtype=torch.int64),
        wanted=torch.tensor([[wanted for _, _, wanted in objects]]),
        ignored=torch.tensor([[not wanted for _, _, wanted in objects]]),
    )


def raw_for(boxes: torch.Tensor, classes: int = 3, logit: float = 0.0) -> torch.Tensor:
    """Encode boxes (A, 4), one per cell, as the net's raw output (1, A, 5 + C)."""
    cells, strides = grid(*SIZE)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 / strides[:, None] - cells
    size = ((boxes[:, 2:] - boxes[:, :2]) / strides[:, None]).log()
    return torch.cat([centre, size, torch.full((len(boxes), 1 + classes), logit)], dim=1)[None]


def test_grid_counts_cells_level_by_level_row_by_row() -> None:
    cells, strides = grid(*SIZE)
    assert len(cells) == 8 * 12 + 4 * 6 + 2 * 3
    assert cells[1].tolist() == [1.0, 0.0]
    assert cells[12].tolist() == [0.0, 1.0]
    assert strides.unique().tolist() == [8.0, 16.0, 32.0]
    assert (strides.diff() >= 0).all()


def test_decoding_undoes_encoding_and_bounds_wild_sizes() -> None:
    cells, strides = grid(*SIZE)
    boxes = torch.tensor([[10.0, 12.0, 40.0, 33.0]]).expand(len(cells), 4)
    torch.testing.assert_close(decode_boxes(raw_for(boxes), cells, strides)[0], boxes, rtol=1e-4, atol=1e-3)
    wild = torch.full((1, len(cells), 9), 1e4)
    assert torch.isfinite(decode_boxes(wild, cells, strides)).all()


def test_the_net_predicts_one_row_per_cell_for_any_batch_and_size() -> None:
    torch.manual_seed(0)
    net = TrayNet(SMALL).eval()
    for batch, height, width in [(1, 64, 96), (3, 96, 64)]:
        out = net(torch.rand(batch, 3, height, width))
        assert out.shape == (batch, len(grid(height, width)[0]), 5 + 3)


def test_shipped_shape_holds_its_size() -> None:
    parameters = sum(p.numel() for p in TrayNet(TrayNetShape(classes=32)).parameters())
    assert parameters <= 1_200_000


def test_exported_scores_are_probabilities_and_boxes_stay_raw() -> None:
    torch.manual_seed(0)
    net = TrayNet(SMALL).eval()
    images = torch.rand(1, 3, *SIZE)
    with torch.no_grad():
        raw, shipped = net(images), ExportNet(net)(images)
    torch.testing.assert_close(shipped[..., :4], raw[..., :4])
    assert shipped[..., 4:].min() >= 0
    assert shipped[..., 4:].max() <= 1


def test_pairwise_iou_of_known_boxes() -> None:
    truth = torch.tensor([[[0.0, 0.0, 10.0, 10.0]]])
    predicted = torch.tensor([[[0.0, 0.0, 10.0, 10.0], [5.0, 0.0, 15.0, 10.0], [20.0, 20.0, 30.0, 30.0]]])
    torch.testing.assert_close(pairwise_iou(truth, predicted)[0, 0], torch.tensor([1.0, 1 / 3, 0.0]))


def test_giou_is_one_for_equal_boxes_and_below_zero_for_distant_ones() -> None:
    a = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 10.0]])
    b = torch.tensor([[0.0, 0.0, 10.0, 10.0], [30.0, 0.0, 40.0, 10.0]])
    torch.testing.assert_close(giou(a, b), torch.tensor([1.0, -0.5]))


def test_positives_lie_inside_their_object_and_the_best_one_gets_its_iou() -> None:
    cells, strides = grid(*SIZE)
    centres = (cells + 0.5) * strides[:, None]
    truth = truth_of(([8.0, 8.0, 48.0, 48.0], 1, True))
    boxes = torch.cat([centres - 16, centres + 16], dim=1)[None]  # each cell proposes 32 x 32 around itself
    given = assign(truth, boxes, torch.zeros(1, len(cells), 4), centres, strides)
    inside = ((centres > 8) & (centres < 48)).all(dim=1)
    assert given.positive.sum() == 9
    assert not (given.positive[0] & ~inside).any()
    best = pairwise_iou(truth.boxes, boxes)[0, 0][given.positive[0]].max()
    torch.testing.assert_close(given.quality.max(), best)
    assert (given.quality[~given.positive] == 0).all()


def test_a_contested_cell_goes_to_the_object_that_it_fits() -> None:
    cells, strides = grid(*SIZE)
    centres = (cells + 0.5) * strides[:, None]
    truth = truth_of(([0.0, 0.0, 40.0, 40.0], 0, True), ([12.0, 12.0, 28.0, 28.0], 1, True))
    boxes = torch.tensor([12.0, 12.0, 28.0, 28.0]).expand(1, len(cells), 4)
    given = assign(truth, boxes, torch.zeros(1, len(cells), 4), centres, strides)
    inner = ((centres > 12) & (centres < 28)).all(dim=1)
    assert given.positive[0][inner].any()
    assert (given.owner[0][inner & given.positive[0]] == 1).all()


def test_a_sliver_without_a_cell_centre_is_still_learnt() -> None:
    cells, strides = grid(*SIZE)
    centres = (cells + 0.5) * strides[:, None]
    truth = truth_of(([0.0, 10.0, 3.0, 40.0], 0, True))
    boxes = torch.cat([centres - 8, centres + 8], dim=1)[None]
    assert assign(truth, boxes, torch.zeros(1, len(cells), 4), centres, strides).positive.any()


def test_hardly_visible_objects_are_neither_positive_nor_background() -> None:
    cells, strides = grid(*SIZE)
    centres = (cells + 0.5) * strides[:, None]
    box = [8.0, 8.0, 48.0, 48.0]
    boxes = torch.cat([centres - 16, centres + 16], dim=1)[None]
    given = assign(truth_of((box, 1, False)), boxes, torch.zeros(1, len(cells), 4), centres, strides)
    inside = ((centres > 8) & (centres < 48)).all(dim=1)
    assert not given.positive.any()
    assert not given.counted[0][inside].any()
    assert given.counted[0][~inside].all()


def test_an_empty_picture_teaches_background_only() -> None:
    cells, strides = grid(*SIZE)
    nothing = Truth(torch.zeros(1, 0, 4), torch.zeros(1, 0, dtype=torch.int64), *(torch.zeros(1, 0).bool(),) * 2)
    raw = torch.zeros(1, len(cells), 8, requires_grad=True)
    losses = detection_loss(raw, nothing, cells, strides)
    assert losses.box.item() == 0
    assert losses.classes.item() == 0
    assert losses.objectness.item() > 0


def test_the_right_answer_costs_less_than_a_wrong_one() -> None:
    cells, strides = grid(*SIZE)
    truth = truth_of(([8.0, 8.0, 48.0, 48.0], 1, True))
    boxes = truth.boxes[0, 0].expand(len(cells), 4)
    centres = (cells + 0.5) * strides[:, None]
    inside = ((centres > 8) & (centres < 48)).all(dim=1)
    right = raw_for(boxes, logit=-6.0)
    right[0, inside, 4] = 6.0
    right[0, :, 6] = 6.0
    wrong_class = right.clone()
    wrong_class[0, :, 5:] = wrong_class[0, :, [6, 5, 7]]
    moved = raw_for(boxes + 16.0, logit=-6.0)
    moved[..., 4:] = right[..., 4:]
    base = detection_loss(right, truth, cells, strides)
    assert base.box.item() == pytest.approx(0, abs=1e-3)
    assert detection_loss(wrong_class, truth, cells, strides).classes > base.classes + 1
    assert detection_loss(moved, truth, cells, strides).box > base.box + 0.5
