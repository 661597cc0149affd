"""TrayNet: the small anchor-free detector that ships with Traylane.

A plain residual backbone, a feature pyramid with one way down and one way up, and a decoupled head at strides
8, 16 and 32. Only 3x3 and 1x1 convolutions with ReLU: they run well on a CPU, fuse in every runtime and quantise
well. Channels c, input 3 x 192 x 320 (RGB, 0..1):

    stem   s2    16 x 96 x 160        c3 s8   64 x 24 x 40  --+--> p3 --> head 8
    stage  s4    32 x 48 x  80        c4 s16  96 x 12 x 20  --+--> p4 --> head 16
                                      c5 s32 128 x  6 x 10  --+--> p5 --> head 32

Each cell of each level gives one prediction: `cx cy w h obj cls…`. The layout and the box code are those of YOLOX
(Ge et al., 2021): centre = (offset + cell index) x stride, size = exp(log size) x stride. `obj` says how sure the net
is that an item (of any class) with this box is there; the class scores are trained on items only, so that they are
probabilities given an item. The neck follows PANet (Liu et al., 2018); all code is our own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

STRIDES = (8, 16, 32)


@dataclass(frozen=True)
class TrayNetShape:
    """What fixes the size of the net; stored in each checkpoint.

    Attributes:
        classes: number of class scores.
        widths: channels of the stem and of the stages at strides 4, 8, 16, 32.
        depths: residual blocks of those four stages.
        neck: channels of the pyramid and of the head.
    """

    classes: int
    widths: tuple[int, int, int, int, int] = (16, 32, 64, 96, 128)
    depths: tuple[int, int, int, int] = (0, 1, 2, 1)
    neck: int = 48


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, relu: bool = True) -> nn.Sequential:
    """Build convolution + batch norm (+ ReLU): the one brick of the net."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03),
    ]
    if relu:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class Residual(nn.Module):
    """Two 3x3 convolutions around which the input is added (He et al., 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv(channels, channels)
        self.second = conv(channels, channels, relu=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H, W) of the same shape."""
        y: Tensor = self.relu(x + self.second(self.first(x)))
        return y


class Head(nn.Module):
    """The decoupled head of one level: one branch for the class, one for box and objectness."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.class_branch = conv(channels, channels)
        self.box_branch = conv(channels, channels)
        self.class_scores = nn.Conv2d(channels, classes, 1)
        self.box = nn.Conv2d(channels, 4, 1)
        self.objectness = nn.Conv2d(channels, 1, 1)
        # Rare positives: start near p = 0.01, or the background drowns the first steps.
        prior = -math.log(0.99 / 0.01)
        nn.init.constant_(self.objectness.bias, prior)  # type: ignore[arg-type]
        nn.init.constant_(self.class_scores.bias, -math.log(classes))  # type: ignore[arg-type]
        with torch.no_grad():  # a box starts as the cell's centre and four strides of size
            self.box.weight.mul_(0.1)
            self.box.bias.copy_(torch.tensor([0.5, 0.5, math.log(4.0), math.log(4.0)]))  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        """Return the raw predictions (B, 5 + C, H, W) of features (B, C, H, W)."""
        boxes = self.box_branch(x)
        parts = [self.box(boxes), self.objectness(boxes), self.class_scores(self.class_branch(x))]
        return torch.cat(parts, dim=1)


class TrayNet(nn.Module):
    """The detector. Input (B, 3, H, W) RGB 0..1 with H and W multiples of 32; output (B, A, 5 + C), raw logits.

    A is the number of cells of the three levels, level by level, each row by row; see `grid`.
    """

    def __init__(self, shape: TrayNetShape) -> None:
        super().__init__()
        self.shape = shape
        w0, w1, w2, w3, w4 = shape.widths
        d1, d2, d3, d4 = shape.depths
        neck = shape.neck
        self.stem = conv(3, w0, stride=2)
        self.stage4 = _stage(w0, w1, d1)
        self.stage8 = _stage(w1, w2, d2)
        self.stage16 = _stage(w2, w3, d3)
        self.stage32 = _stage(w3, w4, d4)
        self.lateral8, self.lateral16, self.lateral32 = (conv(w, neck, 1) for w in (w2, w3, w4))
        self.context = conv(neck, neck)
        self.up16, self.up8 = conv(neck, neck), conv(neck, neck)
        self.down16, self.down32 = conv(neck, neck, stride=2), conv(neck, neck, stride=2)
        self.out16, self.out32 = conv(neck, neck), conv(neck, neck)
        self.larger = nn.Upsample(scale_factor=2.0, mode="nearest")
        self.heads = nn.ModuleList(Head(neck, shape.classes) for _ in STRIDES)

    def forward(self, images: Tensor) -> Tensor:
        """Return raw predictions (B, A, 5 + C): offsets, log sizes and logits."""
        c4 = self.stage4(self.stem(images))  # (B,  32, H/4,  W/4)
        c8 = self.stage8(c4)  #                (B,  64, H/8,  W/8)
        c16 = self.stage16(c8)  #              (B,  96, H/16, W/16)
        c32 = self.stage32(c16)  #             (B, 128, H/32, W/32)
        top = self.context(self.lateral32(c32))
        middle = self.up16(self.lateral16(c16) + self.larger(top))
        p8 = self.up8(self.lateral8(c8) + self.larger(middle))  # (B, neck, H/8, W/8)
        p16 = self.out16(middle + self.down16(p8))
        p32 = self.out32(top + self.down32(p16))
        levels = [head(p) for head, p in zip(self.heads, (p8, p16, p32), strict=True)]
        return torch.cat([level.flatten(2) for level in levels], dim=2).transpose(1, 2)


class ExportNet(nn.Module):
    """TrayNet as it is exported: probabilities instead of logits, boxes still in the YOLOX code."""

    def __init__(self, net: TrayNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, A, 5 + C): cx cy w h (raw) and obj, cls (0..1)."""
        raw = self.net(images)
        return torch.cat([raw[..., :4], raw[..., 4:].sigmoid()], dim=2)


def _stage(inputs: int, outputs: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(conv(inputs, outputs, stride=2), *(Residual(outputs) for _ in range(blocks)))


def grid(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return the cell indices (A, 2) as x, y and the strides (A,) of an input of `height` x `width` pixels."""
    cells, strides = [], []
    for stride in STRIDES:
        rows, columns = height // stride, width // stride
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        cells.append(torch.stack([x, y], dim=2).reshape(-1, 2).float())
        strides.append(torch.full((rows * columns,), float(stride)))
    return torch.cat(cells), torch.cat(strides)


def decode_boxes(raw: Tensor, cells: Tensor, strides: Tensor) -> Tensor:
    """Return xyxy boxes (B, A, 4) in input pixels of raw predictions (B, A, >= 4).

    The log size is held below 5 (148 strides) so that one wild cell cannot overflow the loss.
    """
    centre = (raw[..., 0:2] + cells) * strides[:, None]
    half = raw[..., 2:4].clamp(max=5.0).exp() * strides[:, None] / 2
    return torch.cat([centre - half, centre + half], dim=-1)
