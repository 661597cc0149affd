"""Two small nets that torchvision does not have, written so that published weights load into them by name.

`ShuffleTrunk`: ShuffleNet V2 (Ma et al., ECCV 2018) without its last convolution, as FastestDet uses it. `CifarResNet`:
the ResNets for 32 x 32 pixels of He et al. (CVPR 2016, section 4.2) with parameter-free shortcuts (option A).
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

SHUFFLE_WIDTHS = (24, 48, 96, 192)
SHUFFLE_BLOCKS = (4, 8, 4)
CIFAR_WIDTHS = (16, 32, 64)


class ShuffleBlock(nn.Module):
    """One block: half of the channels pass by, or, where the map is halved, two branches side by side."""

    def __init__(self, inputs: int, outputs: int, halves: bool) -> None:
        super().__init__()
        middle, stride = outputs // 2, 2 if halves else 1
        into = inputs if halves else inputs // 2
        grown = outputs - into
        self.branch_main = nn.Sequential(
            nn.Conv2d(into, middle, 1, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Conv2d(middle, middle, 3, stride, 1, groups=middle, bias=False),
            nn.BatchNorm2d(middle),
            nn.Conv2d(middle, grown, 1, bias=False),
            nn.BatchNorm2d(grown),
            nn.ReLU(),
        )
        self.branch_proj = (
            nn.Sequential(
                nn.Conv2d(into, into, 3, 2, 1, groups=into, bias=False),
                nn.BatchNorm2d(into),
                nn.Conv2d(into, into, 1, bias=False),
                nn.BatchNorm2d(into),
                nn.ReLU(),
            )
            if halves
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, H', W')."""
        if self.branch_proj is not None:
            return torch.cat([self.branch_proj(x), self.branch_main(x)], dim=1)
        # Channels are dealt out in turn: even ones pass by, odd ones are worked on. That is the shuffle.
        return torch.cat([x[:, 0::2], self.branch_main(x[:, 1::2])], dim=1)


class ShuffleTrunk(nn.Module):
    """The trunk of FastestDet: a convolution, a maximum, and three stages."""

    def __init__(self) -> None:
        super().__init__()
        width = SHUFFLE_WIDTHS[0]
        self.first_conv = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        stages = []
        for outputs, blocks in zip(SHUFFLE_WIDTHS[1:], SHUFFLE_BLOCKS, strict=True):
            stages.append(
                nn.Sequential(*(ShuffleBlock(width if i == 0 else outputs, outputs, i == 0) for i in range(blocks)))
            )
            width = outputs
        self.stage2, self.stage3, self.stage4 = stages

    def forward(self, x: Tensor) -> Tensor:
        """Return the last map (B, 192, H/32, W/32)."""
        out: Tensor = self.stage4(self.stage3(self.stage2(self.maxpool(self.first_conv(x)))))
        return out


class CifarBlock(nn.Module):
    """Two convolutions and a shortcut; where the map is halved, the shortcut skips pixels and pads channels with 0."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.halves = inputs != outputs
        self.pad = (outputs - inputs) // 2
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 2 if self.halves else 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, H', W')."""
        out = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.halves:
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        return functional.relu(out + x)


class CifarResNet(nn.Module):
    """The net of 6 n + 2 layers: n = 3 is ResNet-20, n = 9 is ResNet-56."""

    def __init__(self, n: int) -> None:
        super().__init__()
        width = CIFAR_WIDTHS[0]
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        stages = []
        for outputs in CIFAR_WIDTHS:
            blocks = [(str(i), CifarBlock(width if i == 0 else outputs, outputs)) for i in range(n)]
            stages.append(nn.Sequential(OrderedDict(blocks)))
            width = outputs
        self.layer1, self.layer2, self.layer3 = stages
        self.linear = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, 10)."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.linear(x.mean(dim=(2, 3)))
        return logits
