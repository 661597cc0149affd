"""Logit adjustment: the formula, where it acts, and which way it moves decisions."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch

from training.finetune.detectors import make_detector
from training.finetune.logit_adjustment import adjust_logits, adjustments


def test_it_is_the_formula() -> None:
    counts = np.array([899, 89, 9])
    shares = [900 / 1000, 90 / 1000, 10 / 1000]
    wanted = [1.5 * (math.log(p / (1 - p)) - math.log((1 / 3) / (2 / 3))) for p in shares]
    np.testing.assert_allclose(adjustments(counts, 1.5), wanted)
    assert adjustments(counts, 0.0).tolist() == [0, 0, 0]
    assert adjustments(np.array([5]), 1.0).tolist() == [0]  # one class has no rivals
    assert np.isfinite(adjustments(np.array([10, 0]), 1.0)).all()


@pytest.mark.parametrize(
    "arch", ["traynet", "fasterrcnn_mobilenet_v3_large_320_fpn", "ssdlite320_mobilenet_v3_large", "fcos_resnet50_fpn"]
)
def test_it_acts_in_training_alone_and_leaves_no_trace_in_the_weights(arch: str) -> None:
    torch.manual_seed(1)
    net = make_detector(arch, ("a", "b"), (64, 64))
    before = copy.deepcopy(net.state_dict())
    layers = [net.get_submodule(name) for name in net.class_layers() if not name.endswith("bbox_pred")]
    layer = layers[0]
    wide = layer.in_features if isinstance(layer, torch.nn.Linear) else layer.in_channels
    inputs = torch.randn(2, wide) if isinstance(layer, torch.nn.Linear) else torch.randn(2, wide, 3, 3)  # type: ignore[arg-type]
    bare = layer(inputs)
    adjust_logits(net, np.array([989, 9]), 1.0)
    a = adjustments(np.array([989, 9]), 1.0)
    added = (net.train() and layer(inputs) - bare).transpose(0, 1).flatten(1)[:, 0]
    background = net.class_outputs - 2
    assert background in (0, 1)
    one = [0.0] * background + a.tolist()
    torch.testing.assert_close(added, torch.tensor(one * (len(added) // len(one))), atol=1e-4, rtol=1e-4)
    net.eval()
    assert torch.equal(layer(inputs), bare)
    assert before.keys() == net.state_dict().keys()
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in before.items())


def test_a_rare_class_wins_what_frequency_alone_had_decided() -> None:
    """One doubtful input, labelled A 9 times of 10: likelihoods are equal, only the frequencies speak."""
    counts = np.array([899, 99])
    labels = torch.tensor([[1.0, 0.0]] * 9 + [[0.0, 1.0]])
    decided = {}
    for tau in (0.0, 1.0):
        logits = torch.zeros(2, requires_grad=True)
        added = torch.from_numpy(adjustments(counts, tau)).float()
        optimiser = torch.optim.SGD([logits], lr=5.0)
        for _ in range(500):
            optimiser.zero_grad()
            torch.nn.functional.binary_cross_entropy_with_logits((logits + added).expand(10, 2), labels).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        decided[tau] = logits.detach().sigmoid()
    assert decided[0.0][0] == pytest.approx(0.9, abs=0.01)
    assert decided[1.0][0] == pytest.approx(0.5, abs=0.01)
    assert decided[1.0][1] == pytest.approx(0.5, abs=0.01)
