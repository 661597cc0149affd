"""Read a network's raw outputs: from tensors to candidate boxes with class scores, in numpy alone.

A decoder gets the outputs of one image and gives `Candidates`. Cheap tests come first: of thousands of cells only
those whose score can reach the threshold are looked at more closely.

Layouts: YOLOX (Ge et al. 2021, arXiv:2107.08430), YOLOv8-style transposed heads, DETR-style queries (Carion et al.
2020, arXiv:2005.12872) and the finished detections of torchvision; for its raw heads see
`anchor_decoders.py` and `regions.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.boxes import to_xyxy
from core.errors import InferenceError, ModelMismatch
from models.anchor_decoders import AnchorDecoder
from models.candidates import (
    Array,
    Candidates,
    Decoder,
    check_classes,
    logit,
    shape_text,
    share_out,
    sigmoid,
    softmax,
)
from models.card import ModelCard
from models.regions import RegionDecoder


def make_decoder(card: ModelCard) -> Decoder:
    """Return the decoder that the card names."""
    if card.decoder == "yolox":
        return YoloxDecoder(card)
    if card.decoder == "yolov8":
        return Yolov8Decoder(card)
    if card.decoder == "detr":
        return DetrDecoder(card)
    if card.decoder == "torchvision":
        return TorchvisionDecoder(card)
    if card.decoder == "fasterrcnn":
        return RegionDecoder(card)
    return AnchorDecoder(card)


def grid(width: int, height: int, strides: Sequence[int]) -> tuple[Array, Array]:
    """Return the cells' corners (A, 2), in cells, and their stride (A, 1): row by row, one head after the other."""
    cells, sizes = [], []
    for stride in strides:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        sizes.append(np.full((rows.size, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(sizes).astype(np.float32)


class YoloxDecoder:
    """Anchor-free heads, output (A, 5 + C): x, y, w, h per cell (log sizes), objectness, class scores."""

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self._cells, self._strides = grid(card.input.width, card.input.height, card.strides)
        self._half_strides = self._strides / 2
        # A longer side than the input is never right; the limit keeps exp() finite for any weights.
        self._longest = float(np.log(4 * max(card.input.width, card.input.height)))

    def check(self, outputs: Sequence[Array]) -> None:
        """Raise ModelMismatch when cells or classes differ from the card's."""
        shape = outputs[0].shape
        size = f"{self._card.input.width}x{self._card.input.height}"
        if len(shape) != 2 or shape[0] != len(self._cells):
            raise ModelMismatch(
                f"{self._card.full_name}: output is {shape_text(shape)}, but yolox heads with strides "
                f"{list(self._card.strides)} at {size} have {len(self._cells)} cells; correct input, strides or decoder"
            )
        check_classes(self._card, shape[1] - 5)

    def decode(self, outputs: Sequence[Array], min_score: float) -> Candidates:
        """Return the candidates; objectness alone rules out nearly all cells."""
        raw = outputs[0]
        logits = self._card.activation == "sigmoid"
        at = (raw[:, 4] >= (logit(min_score) if logits else min_score)).nonzero()[0]
        rows = raw[at]
        ratings = sigmoid(rows[:, 4:]) if logits else rows[:, 4:]
        classes = ratings[:, 1:]
        scores = classes * ratings[:, :1]
        centres = (rows[:, :2] + self._cells[at]) * self._strides[at]
        half = np.exp(np.minimum(rows[:, 2:4], self._longest)) * self._half_strides[at]
        boxes = np.empty((len(at), 4), dtype=np.float32)
        np.subtract(centres, half, out=boxes[:, :2])
        np.add(centres, half, out=boxes[:, 2:])
        return Candidates(boxes, scores, share_out(classes), ratings[:, 0])


class Yolov8Decoder:
    """Transposed heads without objectness, output (4 + C, A): centre x, y, width, height in pixels, class scores."""

    def __init__(self, card: ModelCard) -> None:
        self._card = card

    def check(self, outputs: Sequence[Array]) -> None:
        """Raise ModelMismatch when the output is not (4 + C, A)."""
        shape = outputs[0].shape
        if len(shape) != 2 or shape[0] < 5:
            raise ModelMismatch(
                f"{self._card.full_name}: output is {shape_text(shape)}, the yolov8 decoder reads (4 + classes, "
                "cells); correct the card's decoder"
            )
        check_classes(self._card, shape[0] - 4)

    def decode(self, outputs: Sequence[Array], min_score: float) -> Candidates:
        """Return the candidates whose best class reaches `min_score`."""
        raw = outputs[0]
        logits = self._card.activation == "sigmoid"
        best = raw[4:].max(axis=0)
        rows = raw[:, best >= (logit(min_score) if logits else min_score)].T
        scores = sigmoid(rows[:, 4:]) if logits else rows[:, 4:]
        return Candidates(to_xyxy(rows[:, :4]).astype(np.float32), scores, share_out(scores))


class DetrDecoder:
    """Queries: boxes (Q, 4) as centre and size relative to the image, logits (Q, C), or (Q, C + 1) with softmax."""

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self._size = np.array([card.input.width, card.input.height] * 2, dtype=np.float32)

    def check(self, outputs: Sequence[Array]) -> None:
        """Raise ModelMismatch when boxes and logits do not belong together."""
        boxes, logits = outputs
        if boxes.ndim != 2 or logits.ndim != 2 or boxes.shape[1] != 4 or len(boxes) != len(logits):
            shapes = f"{shape_text(boxes.shape)} and {shape_text(logits.shape)}"
            raise ModelMismatch(
                f"{self._card.full_name}: outputs are {shapes}, the detr decoder reads "
                "boxes (queries, 4) and logits (queries, classes); correct the card's decoder or outputs"
            )
        check_classes(self._card, logits.shape[1] - (self._card.activation == "softmax"))

    def decode(self, outputs: Sequence[Array], min_score: float) -> Candidates:
        """Return the queries whose best class reaches `min_score`."""
        boxes, logits = outputs
        if self._card.activation == "softmax":
            scores = softmax(logits)[:, :-1]
        else:
            scores = sigmoid(logits) if self._card.activation == "sigmoid" else logits
        keep = scores.max(axis=1) >= min_score
        scores = scores[keep]
        probs = share_out(scores)
        if self._card.activation == "softmax":
            probs = scores / np.maximum(scores.sum(axis=1, keepdims=True), np.float32(1e-9))
        return Candidates((to_xyxy(boxes[keep]) * self._size).astype(np.float32), scores, probs)


class TorchvisionDecoder:
    """Finished detections: boxes (N, 4) xyxy in input pixels, scores (N,), class numbers (N,)."""

    def __init__(self, card: ModelCard) -> None:
        self._card = card

    def check(self, outputs: Sequence[Array]) -> None:
        """Raise ModelMismatch when the three outputs are not N boxes, N scores and N class numbers."""
        boxes, scores, labels = outputs
        if boxes.shape != (len(scores), 4) or scores.ndim != 1 or labels.shape != scores.shape:
            shapes = ", ".join(shape_text(array.shape) for array in outputs)
            raise ModelMismatch(
                f"{self._card.full_name}: outputs are {shapes}, the torchvision decoder reads boxes (N, 4), scores "
                "(N,) and labels (N,); correct the card's decoder or outputs"
            )

    def decode(self, outputs: Sequence[Array], min_score: float) -> Candidates:
        """Return the finished detections; the class probability is the score, the rest is unknown."""
        boxes, scores, labels = outputs
        classes = labels.astype(np.int64) - self._card.class_offset
        keep = (scores >= min_score) & (classes >= 0)
        classes = classes[keep]
        count = len(self._card.classes)
        if len(classes) and classes.max() >= count:
            number = int(classes.max()) + self._card.class_offset
            raise InferenceError(
                f"{self._card.full_name} reported class number {number}, but its card names {count} classes from "
                f"{self._card.class_offset} on; correct classes or class_offset"
            )
        table = np.zeros((len(classes), count), dtype=np.float32)
        table[np.arange(len(classes)), classes] = scores[keep]
        return Candidates(boxes[keep].astype(np.float32, copy=False), table, table)
