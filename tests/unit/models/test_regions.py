"""The numpy of Faster R-CNN: proposals as torchvision chooses them, bad outputs and cards refused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from pydantic import ValidationError

from core.errors import InferenceError, ModelMismatch
from models.card import AnchorLevel, ModelCard
from models.device import Device
from models.regions import Proposer, RegionDecoder
from models.second_stage import ProposalRules
from models.session import TensorSpec
from models.two_stage import TwoStages, padded

LEVELS = (
    AnchorLevel(rows=4, columns=4, step=(16, 16), offset=(8, 8), sizes=((16, 16),)),
    AnchorLevel(rows=2, columns=2, step=(32, 32), offset=(16, 16), sizes=((40, 40),)),
)
RULES = ProposalRules(before_nms=6, most=5, nms_iou=0.7, min_score=0.1, levels=(3, 4), canonical_size=32)


def card(**changes):
    second = {
        "file": "b.onnx",
        "sha256": "1" * 64,
        "proposals": RULES.model_dump(mode="json"),
        "nms_iou": 0.5,
        "most": 3,
    }
    content = {
        "name": "two",
        "file": "a.onnx",
        "sha256": "0" * 64,
        "decoder": "fasterrcnn",
        "input": {"width": 64, "height": 64},
        "classes": ["cup", "plate"],
        "anchors": [level.model_dump(mode="json") for level in LEVELS],
        "second_stage": second,
        "licence": "MIT",
        "source": "a test",
    }
    return ModelCard.model_validate(content | changes)


def proposer(rules=RULES):
    return Proposer("two@1", (64, 64), LEVELS, rules)


def test_proposals_are_the_best_of_each_level_without_doubles():
    objectness = np.full(20, -9.0, dtype=np.float32)
    objectness[[0, 5, 6, 16]] = [1.0, 2.0, 3.0, 0.5]
    moves = np.zeros((20, 4), dtype=np.float32)
    moves[5, 0] = 0.95  # all but onto its right neighbour, who is surer
    moves[16, :2] = -0.5
    found = proposer().propose(objectness, moves)
    np.testing.assert_allclose(found.boxes, [[32, 16, 48, 32], [0, 0, 16, 16], [0, 0, 16, 16]], atol=1e-4)
    # The last was 40 px wide before it was cut: its level follows what is left.
    assert found.levels.tolist() == [0, 0, 0]


def test_the_least_score_the_least_side_and_the_number_of_proposals_hold():
    objectness = np.arange(20, dtype=np.float32)
    moves = np.zeros((20, 4), dtype=np.float32)
    moves[19, 0] = -5.0  # outside of the picture: nothing is left of it
    found = proposer().propose(objectness, moves)
    wanted = [[0, 28, 36, 64], [28, 0, 64, 36], [0, 0, 36, 36], [48, 48, 64, 64], [32, 48, 48, 64]]
    np.testing.assert_allclose(found.boxes, wanted, atol=1e-4)
    assert found.levels.tolist() == [1, 1, 1, 0, 0]
    assert len(proposer().propose(np.full(20, -3.0, dtype=np.float32), moves).boxes) == 0


def test_the_same_proposals_as_torchvision():
    torch = pytest.importorskip("torch")
    rpn = pytest.importorskip("torchvision.models.detection.rpn")
    rng = np.random.default_rng(3)
    objectness = rng.normal(0, 2, 20).astype(np.float32)
    moves = rng.normal(0, 0.4, (20, 4)).astype(np.float32)
    net = rpn.RegionProposalNetwork(
        None, None, 0.7, 0.3, 256, 0.5, {"testing": 6, "training": 6}, {"testing": 5, "training": 5}, 0.7, 0.1
    ).eval()
    anchors = []
    for level in LEVELS:
        for row in range(level.rows):
            for column in range(level.columns):
                x, y = level.offset[0] + column * level.step[0], level.offset[1] + row * level.step[1]
                w, h = level.sizes[0]
                anchors.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
    boxes = net.box_coder.decode(torch.from_numpy(moves), [torch.tensor(anchors)]).view(1, -1, 4)
    (wanted,), _ = net.filter_proposals(boxes, torch.from_numpy(objectness)[None], [(64, 64)], [16, 4])
    found = proposer().propose(objectness, moves)
    assert len(wanted) == 5
    np.testing.assert_allclose(found.boxes, wanted.numpy(), atol=1e-4)


def test_each_class_is_suppressed_by_itself_and_padding_is_left_out():
    proposals = np.array([[0, 0, 20, 20], [1, 0, 21, 20], [40, 40, 60, 60], [0, 0, 0, 0]], dtype=np.float32)
    logits = np.log(np.array([[1, 8, 1], [1, 6, 3], [2, 1, 7], [0.1, 9, 0.9]], dtype=np.float32) / 10)
    found = RegionDecoder(card()).decode([proposals, np.zeros((4, 8), dtype=np.float32), logits], 0.25)
    np.testing.assert_allclose(found.boxes, proposals[[0, 2, 1]], atol=1e-4)
    np.testing.assert_allclose(found.scores, [[0.8, 0], [0, 0.7], [0, 0.3]], atol=1e-5)
    np.testing.assert_allclose(found.probs, [[8 / 9, 1 / 9], [1 / 8, 7 / 8], [6 / 9, 3 / 9]], atol=1e-5)


def test_outputs_that_cannot_be_read_are_told():
    decoder = RegionDecoder(card())
    zeros = [np.zeros(shape, dtype=np.float32) for shape in ((3, 4), (3, 8), (3, 3))]
    decoder.check(zeros)
    with pytest.raises(ModelMismatch, match=r"outputs are \(3, 4\), \(3, 8\), \(3, 4\)"):
        decoder.check([*zeros[:2], np.zeros((3, 4), dtype=np.float32)])
    with pytest.raises(ModelMismatch, match="the model has 3 classes"):
        decoder.check([zeros[0], np.zeros((3, 12), dtype=np.float32), np.zeros((3, 4), dtype=np.float32)])
    with pytest.raises(InferenceError, match="not numbers"):
        decoder.decode([zeros[0], zeros[1], np.full((3, 3), np.nan, dtype=np.float32)], 0.1)
    with pytest.raises(InferenceError, match="not numbers"):
        proposer().propose(np.full(20, np.nan, dtype=np.float32), np.zeros((20, 4), dtype=np.float32))
    with pytest.raises(ModelMismatch, match="its card has 20 anchors"):
        proposer().propose(np.zeros(19, dtype=np.float32), np.zeros((19, 4), dtype=np.float32))


def test_cards_of_one_stage_or_two():
    assert card().second_stage.proposals == RULES
    with pytest.raises(ValidationError, match="decoder fasterrcnn needs a second_stage"):
        card(second_stage=None)
    with pytest.raises(ValidationError, match="decoder retinanet has no second_stage"):
        card(decoder="retinanet")
    with pytest.raises(ValidationError, match="decoder fasterrcnn needs anchors"):
        card(anchors=[])
    with pytest.raises(ValidationError, match="levels must be the finest, then the coarsest"):
        ProposalRules(before_nms=1, most=1, nms_iou=0.7, levels=(5, 2))


def test_nothing_proposed_is_padded_to_one_place():
    none = proposer().propose(np.full(20, -9.0, dtype=np.float32), np.zeros((20, 4), dtype=np.float32))
    boxes, levels = padded([none])
    assert boxes.shape == (1, 1, 4)
    assert levels.tolist() == [[0]]


@dataclass
class Graph:
    """A graph of which only the names matter."""

    inputs: list
    outputs: list
    device: Device

    def run(self, outputs, feed):
        raise AssertionError("names are checked before anything runs")


def graph(inputs, outputs):
    specs = [[TensorSpec(name, (None,), "float") for name in names.split()] for names in (inputs, outputs)]
    return Graph(specs[0], specs[1], Device("cpu"))


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("features0 objectness", "proposals levels features0", "the first stage has no anchor_regression"),
        ("features0 objectness anchor_regression", "proposals features0", "the second stage has no levels"),
        ("features0 objectness anchor_regression", "proposals levels", "has no features"),
        ("objectness anchor_regression", "proposals levels features0", "the first stage has no features0"),
    ],
)
def test_graphs_that_do_not_belong_together(first, second, message):
    with pytest.raises(ModelMismatch, match=message):
        TwoStages("two@1", proposer(), graph("images", first), graph(second, "regression logits"))
