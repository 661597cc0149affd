"""Items without classes: what a detector is sure is *there*, whatever it is.

For menus that the model was not trained on. A detector with an item head (objectness) says how sure it is that a box
holds a thing; its class scores then only tell hands from things. Other detectors are as sure as of their best class.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.records import HAND, ITEM
from models.candidates import Candidates
from models.card import ModelCard


def items_card(card: ModelCard) -> ModelCard:
    """Return the card as its detections look with `items_only`: `@item`, and `@hand` where the model knows hands."""
    classes = (ITEM, HAND) if HAND in card.labels else (ITEM,)
    return card.model_copy(update={"classes": classes, "class_map": None})


def as_items(candidates: Candidates, card: ModelCard) -> Candidates:
    """Return the candidates with the columns of `items_card`; those whose best class the card ignores are left out."""
    presence, shares = candidates.presence, candidates.probs
    if presence is None:
        presence = candidates.scores.max(axis=1, initial=0.0)
        # How sure the model is stands in `presence` already: an unsure hand is no half an item.
        shares = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-6)
    boxes = candidates.boxes
    label_of_class = np.array(card.label_of_class)
    if (label_of_class < 0).any() and len(presence):
        kept = label_of_class[candidates.scores.argmax(axis=1)] >= 0
        boxes, shares, presence = boxes[kept], shares[kept], presence[kept]
    if HAND not in card.labels:
        probs: NDArray[np.float32] = np.ones((len(presence), 1), dtype=np.float32)
    else:
        hand = shares[:, label_of_class == card.labels.index(HAND)].sum(axis=1)
        # A thing of no class has low class scores all over: what is not clearly a hand is an item.
        probs = np.stack([1 - hand, hand], axis=1)
    return Candidates(boxes, probs * presence[:, None], probs, presence)
