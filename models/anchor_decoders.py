"""Read the raw heads of dense detectors with anchors: RetinaNet, FCOS and SSD, as `training/export.py` writes them.

An anchor is a box that a prediction starts from. With centre (cx, cy) and size (w, h) of the anchor, a row of the
regression d = (d0, d1, d2, d3) means

    retinanet, ssd   centre (cx + d0 w, cy + d1 h), size (w exp d2, h exp d3)         (Girshick et al. 2014)
    fcos             sides at cx - d0 w, cy - d1 h, cx + d2 w, cy + d3 h

(the weights of SSD's box code are folded into the graph) and the score of a class is

    retinanet   sigmoid(logit)                                     Lin et al. 2017, arXiv:1708.02002
    fcos        sqrt(sigmoid(logit) sigmoid(centerness))           Tian et al. 2019, arXiv:1904.01355, as in torchvision
    ssd         softmax over the logits, the background first      Liu et al. 2016, arXiv:1512.02325
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from core.errors import ModelMismatch
from models.candidates import Array, Candidates, check_classes, logit, shape_text, share_out, sigmoid, softmax
from models.card import AnchorLevel, ModelCard

#: A size grows at most so much beyond its anchor's: the limit of torchvision's box coder.
_LOG_GROWTH = math.log(1000.0 / 16)


class AnchorDecoder:
    """Heads of one regression and one row of logits for each anchor; FCOS with a centerness, too."""

    def __init__(self, card: ModelCard) -> None:
        self._card, self._kind = card, card.decoder
        self._centres, self._sizes = anchor_grid(card.anchors)

    def check(self, outputs: Sequence[Array]) -> None:
        """Raise ModelMismatch when anchors or classes differ from the card's."""
        count = len(self._centres)
        wanted = [(count, 4), (count, outputs[1].shape[-1]), (count, 1)][: len(outputs)]
        if [output.shape for output in outputs] != wanted:
            shapes = ", ".join(shape_text(output.shape) for output in outputs)
            raise ModelMismatch(
                f"{self._card.full_name}: outputs are {shapes}, its card has {count} anchors; correct `anchors`, or "
                "export the model again"
            )
        check_classes(self._card, outputs[1].shape[1] - (self._kind == "ssd"))

    def decode(self, outputs: Sequence[Array], min_score: float) -> Candidates:
        """Return the anchors that have a class score of at least `min_score`."""
        if self._kind == "ssd":
            every = softmax(outputs[1])[:, 1:]
            at = (every.max(axis=1) >= min_score).nonzero()[0]
            scores = every[at]
            probs: Array = scores / np.maximum(scores.sum(axis=1, keepdims=True), np.float32(1e-9))
            return Candidates(self._moved(outputs[0][at], at), scores, probs)
        if self._kind == "retinanet":
            at = (outputs[1].max(axis=1) >= logit(min_score)).nonzero()[0]
            scores = sigmoid(outputs[1][at])
            return Candidates(self._moved(outputs[0][at], at), scores, share_out(scores))
        # Centerness only lowers a score: who fails without it fails.
        at = (outputs[1].max(axis=1) >= logit(min_score**2)).nonzero()[0]
        classes = sigmoid(outputs[1][at])
        scores = np.sqrt(classes * sigmoid(outputs[2][at]))
        keep = scores.max(axis=1) >= min_score
        at = at[keep]
        return Candidates(self._stretched(outputs[0][at], at), scores[keep], share_out(classes[keep]))

    def _moved(self, deltas: Array, at: np.ndarray) -> Array:
        sizes = self._sizes[at]
        centres = self._centres[at] + deltas[:, :2] * sizes
        half = np.exp(np.minimum(deltas[:, 2:], np.float32(_LOG_GROWTH))) * sizes / 2
        return np.concatenate([centres - half, centres + half], axis=1)

    def _stretched(self, sides: Array, at: np.ndarray) -> Array:
        sizes, centres = self._sizes[at], self._centres[at]
        return np.concatenate([centres - sides[:, :2] * sizes, centres + sides[:, 2:] * sizes], axis=1)


def anchor_grid(levels: Sequence[AnchorLevel]) -> tuple[Array, Array]:
    """Return centres (A, 2) and sizes (A, 2) of all anchors in input pixels: level by level, row by row, size by size.

    >>> level = AnchorLevel(rows=1, columns=2, step=(8, 8), offset=(4, 4), sizes=((16, 16), (32, 8)))
    >>> centres, sizes = anchor_grid([level])
    >>> centres.tolist(), sizes[:2].tolist()
    ([[4.0, 4.0], [4.0, 4.0], [12.0, 4.0], [12.0, 4.0]], [[16.0, 16.0], [32.0, 8.0]])
    """
    centres, sizes = [], []
    for level in levels:
        rows, columns = np.mgrid[: level.rows, : level.columns]
        spots = np.stack([columns.ravel(), rows.ravel()], axis=1) * level.step + level.offset
        centres.append(np.repeat(spots, len(level.sizes), axis=0))
        sizes.append(np.tile(np.array(level.sizes), (len(spots), 1)))
    return np.concatenate(centres).astype(np.float32), np.concatenate(sizes).astype(np.float32)
