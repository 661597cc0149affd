"""What all decoders share: their result, their face, and the maths of scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelMismatch
from models.card import ModelCard

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What may be an object, before classes are mapped and doubles are removed.

    Attributes:
        boxes: (M, 4) float32 xyxy, pixels of the network's input.
        scores: (M, C) float32 0..1: how sure the model is that here is an object of this class.
        probs: (M, C) float32, rows sum to at most 1: the class, given that there is an object.
        presence: (M,) float32 0..1: how sure the model is that here is anything; None where it does not tell.
    """

    boxes: Array
    scores: Array
    probs: Array
    presence: Array | None = None


class Decoder(Protocol):
    """Turns the outputs of one image into candidates."""

    def check(self, outputs: Sequence[Array]) -> None:
        """Raise ModelMismatch when the shapes are not what the card promises."""
        ...

    def decode(self, outputs: Sequence[Array], min_score: float) -> Candidates:
        """Return every candidate that has a class score of at least `min_score`."""
        ...


def check_classes(card: ModelCard, found: int) -> None:
    """Raise ModelMismatch unless the model has as many classes as its card names."""
    if found != len(card.classes):
        raise ModelMismatch(
            f"{card.full_name}: the model has {found} classes, its card names {len(card.classes)}; correct `classes`"
        )


def share_out(scores: Array) -> Array:
    """Return independent class scores as probabilities: rows that sum to more than 1 are scaled down to 1."""
    total = scores.sum(axis=1, keepdims=True)
    shares: Array = scores / np.maximum(total, np.float32(1))
    return shares


def sigmoid(logits: Array) -> Array:
    """Return 1 / (1 + exp(-x)), without overflow."""
    # exp(-88) is the smallest that float32 holds; beyond it the answer is 0 or 1 anyway.
    values: Array = np.float32(1) / (np.float32(1) + np.exp(-np.clip(logits, -80, 80)))
    return values


def softmax(logits: Array) -> Array:
    """Return rows of probabilities that sum to 1."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    values: Array = powers / powers.sum(axis=1, keepdims=True)
    return values


def logit(score: float) -> float:
    """Return what `sigmoid` makes `score` of."""
    return float(np.log(score / (1 - score)))


def shape_text(shape: tuple[int, ...]) -> str:
    """Return a shape as people read it."""
    return "(" + ", ".join(map(str, shape)) + ")"
