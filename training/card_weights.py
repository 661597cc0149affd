"""Start TrayNet from a shipped card: its ONNX's folded weights, unfolded so that the net can be trained on."""

from __future__ import annotations

import numpy as np
import torch

from core.errors import ModelMismatch
from training.augment import collate, varied_sample
from training.finetune.pretrained import read_card, unfold_norms
from training.synthetic_set import Pictures
from training.traynet import TrayNet

#: Pictures on which the norms' statistics are measured.
MEASURED = 96


@torch.no_grad()
def load_card_weights(
    net: TrayNet, labels: tuple[str, ...], ref: str, size: tuple[int, int], pictures: Pictures
) -> None:
    """Load the weights of a model card's ONNX into `net`; in inference it then says what the card's model says.

    Args:
        net: of the same shape as the one that was exported.
        labels: of the pictures; they must be the card's.
        ref: a shipped model (name@version) or the path of a card.
        size: width and height at which the norms' statistics are measured.
        pictures: to measure them on.

    Raises:
        ModelNotFound: no such card.
        ModelMismatch: the weights are another net's, or of other classes.
    """
    weights = read_card(ref)
    if weights.labels != labels:
        changed = sorted(set(weights.labels or ()) ^ set(labels))
        raise ModelMismatch(f"{ref}: its classes differ from the pictures' ({', '.join(changed) or 'order'})")
    try:
        net.load_state_dict(dict(weights.state), strict=False)
    except RuntimeError as err:
        raise ModelMismatch(
            f"{ref}: not an export of this TrayNet ({str(err).splitlines()[-1].strip()}); start from a checkpoint, or "
            "without --init"
        ) from err
    missing = [name for name in net.state_dict() if name not in weights.state and "num_batches" not in name]
    if missing:
        raise ModelMismatch(f"{ref}: not an export of this TrayNet: it lacks {', '.join(missing[:4])}")
    picked = np.linspace(0, len(pictures) - 1, min(MEASURED, len(pictures))).astype(int)
    samples = [varied_sample(pictures, int(i), size, np.random.default_rng([7, int(i)])) for i in picked]
    images, _ = collate(samples)
    net.eval()
    unfold_norms(net, lambda: net(images))
