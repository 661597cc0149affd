"""The numpy between and behind the two graphs of Faster R-CNN (Ren et al. 2015, arXiv:1506.01497).

First stage: each anchor has an objectness logit and a regression; the best on each level of the pyramid, freed of
doubles, are the proposals. Second stage: each proposal has logits (the background first) and a regression for each
class. A regression d moves a box with centre (cx, cy) and size (w, h) as in `anchor_decoders.py`:

    centre (cx + d0 w, cy + d1 h), size (w exp d2, h exp d3)

A proposal is pooled from the level floor(k0 + log2(sqrt(w h) / s0)) of the pyramid (Lin et al. 2017,
arXiv:1612.03144, eq. 1). Steps and order are torchvision's, so that the detections are, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.boxes import area
from core.errors import InferenceError, ModelMismatch
from models.anchor_decoders import anchor_grid
from models.candidates import Array, Candidates, check_classes, shape_text, sigmoid, softmax
from models.card import AnchorLevel, ModelCard
from models.second_stage import ProposalRules
from models.suppression import suppress

#: A size grows at most so much beyond its box's: the limit of torchvision's box coder.
_LOG_GROWTH = np.float32(math.log(1000.0 / 16))
#: Proposals and detections with a shorter side in pixels are no boxes (torchvision's numbers).
_LEAST_PROPOSAL, _LEAST_DETECTION = np.float32(1e-3), np.float32(1e-2)
#: Keeps a proposal of exactly the canonical size on its level.
_LEVEL_EPSILON = np.float32(1e-6)


@dataclass(frozen=True, slots=True, eq=False)
class Proposals:
    """Regions of one image that the second stage shall look at, best first.

    Attributes:
        boxes: (N, 4) float32 xyxy, pixels of the network's input.
        levels: (N,) int64, the pooled feature map of each, 0 for the finest.
    """

    boxes: Array
    levels: NDArray[np.int64]


class Proposer:
    """Chooses the proposals of one image.

    Args:
        name: of the model, for messages.
        size: width and height of the network's input.
        anchors: of the first stage, level by level.
        rules: how it is chosen among them.
    """

    def __init__(self, name: str, size: tuple[int, int], anchors: Sequence[AnchorLevel], rules: ProposalRules) -> None:
        self._name, self._rules = name, rules
        self._centres, self._sizes = anchor_grid(anchors)
        counts = [level.rows * level.columns * len(level.sizes) for level in anchors]
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        self._edge = np.array(size * 2, dtype=np.float32)

    def propose(self, objectness: Array, regression: Array) -> Proposals:
        """Return the proposals of the first stage's heads: (A,) logits and (A, 4).

        Raises:
            ModelMismatch: the heads are not those of the card's anchors.
            InferenceError: the heads gave no numbers.
        """
        count = len(self._centres)
        if objectness.shape != (count,) or regression.shape != (count, 4):
            raise ModelMismatch(
                f"{self._name}: the first stage gives {shape_text(objectness.shape)} and "
                f"{shape_text(regression.shape)}, its card has {count} anchors; correct `anchors`, or export the model "
                "again"
            )
        _check_finite(self._name, objectness, regression)
        # Scores are compared as torchvision compares them: after the sigmoid, where large logits may be equal.
        scores = sigmoid(objectness)
        boxes, ratings = [], []
        for start, end in zip(self._starts, self._starts[1:], strict=False):
            at = start + (-objectness[start:end]).argsort(kind="stable")[: self._rules.before_nms]
            moved = np.clip(move(regression[at], self._centres[at], self._sizes[at]), 0, self._edge)
            keep = _has_sides(moved, _LEAST_PROPOSAL) & (scores[at] >= self._rules.min_score)
            moved, rated = moved[keep], scores[at[keep]]
            alive = suppress(moved, np.array(self._rules.nms_iou, dtype=np.float32))
            boxes.append(moved[alive])
            ratings.append(rated[alive])
        order = (-np.concatenate(ratings)).argsort(kind="stable")[: self._rules.most]
        chosen = np.concatenate(boxes)[order]
        return Proposals(chosen, pyramid_levels(chosen, self._rules))


class RegionDecoder:
    """Outputs of both stages: proposals (K, 4), regression (K, 4 C), logits (K, 1 + C); empty proposals are padding."""

    def __init__(self, card: ModelCard) -> None:
        if card.second_stage is None:
            raise ValueError(f"{card.full_name} has no second stage")
        self._card, self._stage = card, card.second_stage
        self._edge = np.array([card.input.width, card.input.height] * 2, dtype=np.float32)

    def check(self, outputs: Sequence[Array]) -> None:
        """Raise ModelMismatch when the outputs do not belong together, or have other classes than the card."""
        count, classes = len(outputs[0]), outputs[2].shape[-1] - 1
        if [output.shape for output in outputs] != [(count, 4), (count, 4 * classes), (count, 1 + classes)]:
            shapes = ", ".join(shape_text(output.shape) for output in outputs)
            raise ModelMismatch(
                f"{self._card.full_name}: outputs are {shapes}, the fasterrcnn decoder reads proposals (K, 4), "
                "regression (K, 4 classes) and logits (K, 1 + classes); export the model again"
            )
        check_classes(self._card, classes)

    def decode(self, outputs: Sequence[Array], min_score: float) -> Candidates:
        """Return the best boxes that no better one of their class covers; a row scores in its own class alone.

        Raises:
            InferenceError: the second stage gave no numbers.
        """
        proposals, regression, logits = outputs
        _check_finite(self._card.full_name, regression, logits)
        every = softmax(logits)[:, 1:]
        real = _has_sides(proposals, _LEAST_PROPOSAL)
        rows, classes = ((every >= min_score) & real[:, None]).nonzero()
        corners = proposals[rows]
        sizes: Array = corners[:, 2:] - corners[:, :2]
        deltas = regression.reshape(len(proposals), -1, 4)[rows, classes]
        centres: Array = corners[:, :2] + sizes / np.float32(2)
        boxes = np.clip(move(deltas, centres, sizes), 0, self._edge)
        seen = _has_sides(boxes, _LEAST_DETECTION)
        boxes, rows, classes = boxes[seen], rows[seen], classes[seen]
        kept = self._suppressed(boxes, every[rows, classes], classes)
        rows, classes = rows[kept], classes[kept]
        scores = np.zeros((len(kept), every.shape[1]), dtype=np.float32)
        scores[np.arange(len(kept)), classes] = every[rows, classes]
        shares = every[rows]
        probs: Array = shares / np.maximum(shares.sum(axis=1, keepdims=True), np.float32(1e-9))
        return Candidates(boxes[kept], scores, probs)

    def _suppressed(self, boxes: Array, scores: Array, classes: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the indices of the boxes that stay, best first."""
        limit = np.array(self._stage.nms_iou, dtype=np.float32)
        kept = [np.zeros(0, dtype=np.intp)]
        for number in np.unique(classes):
            at = np.flatnonzero(classes == number)
            at = at[(-scores[at]).argsort(kind="stable")]
            kept.append(at[suppress(boxes[at], limit)])
        alive = np.concatenate(kept)
        best: NDArray[np.intp] = alive[(-scores[alive]).argsort(kind="stable")[: self._stage.most]]
        return best


def move(deltas: Array, centres: Array, sizes: Array) -> Array:
    """Return the boxes (N, 4) xyxy that regressions (N, 4) make of boxes with centres and sizes (N, 2)."""
    moved = centres + deltas[:, :2] * sizes
    half = np.exp(np.minimum(deltas[:, 2:], _LOG_GROWTH)) * sizes / 2
    return np.concatenate([moved - half, moved + half], axis=1)


def pyramid_levels(boxes: Array, rules: ProposalRules) -> NDArray[np.int64]:
    """Return which pooled feature map each box (N, 4) is looked at in, 0 for the finest.

    >>> rules = ProposalRules(before_nms=1, most=1, nms_iou=0.7, levels=(2, 5))
    >>> boxes = np.array([[0, 0, 56, 56], [0, 0, 111, 112], [0, 0, 112, 112], [0, 0, 224, 224], [0, 0, 999, 999]])
    >>> pyramid_levels(boxes.astype(np.float32), rules).tolist()
    [0, 0, 1, 2, 3]
    """
    finest, coarsest = rules.levels
    octaves = np.log2(np.sqrt(area(boxes)) / np.float32(rules.canonical_size))
    levels = np.floor(np.float32(rules.canonical_level) + octaves + _LEVEL_EPSILON)
    at: NDArray[np.int64] = np.clip(levels, finest, coarsest).astype(np.int64) - finest
    return at


def _has_sides(boxes: Array, least: np.float32) -> NDArray[np.bool_]:
    sides: Array = boxes[:, 2:] - boxes[:, :2]
    seen: NDArray[np.bool_] = np.all(sides >= least, axis=1)
    return seen


def _check_finite(name: str, *outputs: Array) -> None:
    if not all(np.isfinite(output).all() for output in outputs):
        raise InferenceError(f"{name} gave outputs that are not numbers; check its weights")
