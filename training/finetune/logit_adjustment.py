"""Rare classes, put right in the logits: the fat tail of a menu must not decide what a doubtful dish is.

In training τ · prior is added to each class logit, in inference nothing (Menon et al., Long-tail learning via logit
adjustment, ICLR 2021): the net learns what speaks for a class beside its frequency, and its scores are those of a
menu whose dishes are all alike frequent. For a softmax the prior of a class is log π; for one logistic unit per class
it is the log-odds, and what all classes would have in common is taken off, so that equal frequencies change nothing:

    a_c = τ · (logit π_c - logit 1/C)

The layers are hooked rather than rewritten, so that every architecture takes it, and exported weights know nothing.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logit
from torch import Tensor, nn

from training.finetune.detectors import Detector


def adjustments(counts: NDArray[np.integer], tau: float) -> NDArray[np.float64]:
    """Return a (C,): what is added to the logits of each class, from how often (C,) it is seen in training.

    A count of one is added to each class: one that was never seen has some finite prior.

    >>> adjustments(np.array([5, 5, 5]), 1.0).round(6).tolist()
    [0.0, 0.0, 0.0]
    >>> adjustments(np.array([989, 9]), 1.0).round(2).tolist()
    [4.6, -4.6]
    """
    if len(counts) < 2:
        return np.zeros(len(counts))
    share = (counts + 1.0) / (counts.sum() + len(counts))
    return np.asarray(tau * (logit(share) - logit(1 / len(counts))))


class _Adjust:
    """A hook that adds to a class layer's output in training. An object: copies of a net have copies of it."""

    def __init__(self, added: Tensor) -> None:
        self.added = added  # (outputs,)

    def __call__(self, layer: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        """Return (N, anchors x outputs, …) with the adjustment of each class."""
        if not layer.training:
            return output
        anchors = output.shape[1] // len(self.added)
        added = self.added.to(output.device, output.dtype).repeat(anchors)
        return output + added.view(1, -1, *[1] * (output.dim() - 2))


def adjust_logits(net: Detector, counts: NDArray[np.integer], tau: float) -> None:
    """Let a net learn with adjusted class logits from now on; its inference stays as it is. τ 0 changes nothing."""
    if tau == 0:
        return
    added = torch.from_numpy(adjustments(counts, tau)).float()
    background = net.class_outputs - len(net.labels)
    hook = _Adjust(torch.cat([torch.zeros(background), added]))
    for name in net.class_layers():
        if not name.endswith("bbox_pred"):
            net.get_submodule(name).register_forward_hook(hook)
