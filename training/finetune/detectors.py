"""The nets that can be fine-tuned, behind one face: losses in training, detections in inference, both in pixels.

Classes are 0-based everywhere; that torchvision counts the background as class 0 stays inside its adapter.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from torch import Tensor, nn

from core.errors import ConfigError
from training.detection_scores import Found
from training.finetune.batches import Target

Norm = Literal["batch", "frozen", "group"]

ARCHITECTURES: tuple[str, ...] = (
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
    "fcos_resnet50_fpn",
    "ssd300_vgg16",
    "ssdlite320_mobilenet_v3_large",
    "traynet",
)
#: Detections below this score are left out by `predict`: low enough for a whole precision-recall curve.
MIN_SCORE = 0.02


@dataclass(frozen=True)
class DetectorShape:
    """What rebuilds a detector; stored in each checkpoint.

    Attributes:
        arch: one of ARCHITECTURES.
        labels: the classes, in the order of their numbers.
        size: width and height that pictures are fitted into. traynet: multiples of 32. SSD: pictures are stretched
            to it. Faster R-CNN, RetinaNet and FCOS: the shorter side becomes the smaller number, unless the longer
            one would exceed the larger number.
        norm: of torchvision nets. "batch": batch norm as built; needs some eight pictures a step. "frozen": the
            trunk's statistics and scales are the pretrained ones and never change (He et al., 2017); right for small
            batches, and only with pretrained weights. "group": group norm (Wu & He, 2018) in place of each batch
            norm; for small batches from scratch. traynet knows "batch" only; `freezing` holds its norms still.
        norm_eps: epsilon of frozen norms; torchvision's first COCO weights of ResNet50 detectors want 0.
        widths: channels of traynet's stem and stages; () for the standard ones.
        depths: residual blocks of traynet's stages; () for the standard ones.
        neck: channels of traynet's pyramid and head; 0 for the standard ones.
    """

    arch: str
    labels: tuple[str, ...]
    size: tuple[int, int]
    norm: Norm = "batch"
    norm_eps: float = 1e-5
    widths: tuple[int, ...] = ()
    depths: tuple[int, ...] = ()
    neck: int = 0

    def __post_init__(self) -> None:
        if self.arch not in ARCHITECTURES:
            raise ConfigError(f"arch {self.arch!r} is not known; use one of {', '.join(ARCHITECTURES)}")
        if not self.labels or len(set(self.labels)) != len(self.labels):
            raise ConfigError(f"a detector needs labels, each of them once; got {list(self.labels)}")
        if min(self.size) < 32:
            raise ConfigError(f"size {self.size[0]}x{self.size[1]}: both sides must be 32 or more")
        if self.norm not in get_args(Norm):
            raise ConfigError(f"norm {self.norm!r} is not known; use one of {', '.join(get_args(Norm))}")


class Detector(nn.Module, abc.ABC):
    """A net with its losses and its decoding. `net` is the bare one, whose names match published weights.

    Args:
        shape: what it was built from.
    """

    net: nn.Module
    #: Mean and deviation (RGB, of pixels 0..1) that the first layer's input is normalised by.
    input_mean: tuple[float, float, float]
    input_std: tuple[float, float, float]
    #: Whether the loss heeds weights and class probabilities of targets, and detections have class probabilities.
    takes_doubt = False

    def __init__(self, shape: DetectorShape) -> None:
        super().__init__()
        self.shape = shape
        #: Prefixes of the parts that `freezing.freeze` holds still.
        self.frozen: tuple[str, ...] = ()

    @property
    def arch(self) -> str:
        """The architecture's name."""
        return self.shape.arch

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of their numbers."""
        return self.shape.labels

    @property
    def size(self) -> tuple[int, int]:
        """Width and height that pictures are fitted into."""
        return self.shape.size

    def shape_config(self) -> dict[str, Any]:
        """Return plain values from which `detector_of` builds this detector again."""
        return asdict(self.shape)

    @abc.abstractmethod
    def losses(self, images: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        """Return the parts of the loss by name, scalars that carry gradients; what is made smaller is their sum.

        Args:
            images: (3, H, W) float RGB 0..1 each; sizes may differ.
            targets: one for each picture; ignored objects are neither positives nor background.
        """

    @abc.abstractmethod
    def predict(self, images: list[Tensor]) -> list[Found]:
        """Return the detections of each picture, best first, xyxy in pixels of the given picture, inside it."""

    @abc.abstractmethod
    def class_layers(self) -> tuple[str, ...]:
        """Return the names of the modules whose outputs number the classes."""

    @abc.abstractmethod
    def resize(self, size: tuple[int, int]) -> None:
        """Fit pictures into another width and height from now on; the weights stay."""

    @property
    @abc.abstractmethod
    def class_outputs(self) -> int:
        """How many classes the class layers score, with the background where it has an output."""

    @abc.abstractmethod
    def replace_class_layers(self, outputs: int) -> None:
        """Give the class layers new weights for `outputs` classes: the only layers that cannot be transferred."""

    @abc.abstractmethod
    def stages(self) -> tuple[tuple[str, ...], ...]:
        """Return the parts from the input to the output, each as module prefixes; all parameters are in one of them.

        The last stages are the pyramid (or extra layers) and the head; freezing and falling rates by depth count them.
        """

    def train(self, mode: bool = True) -> Detector:
        """Switch to training or inference; norms of frozen parts stay in inference."""
        super().train(mode)
        if self.frozen:
            for name, module in self.named_modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm) and within(name, self.frozen):
                    module.eval()
        return self


def within(name: str, prefixes: tuple[str, ...]) -> bool:
    """Return whether a module's or parameter's name is one of the prefixes or lies below one.

    >>> within("net.stem.0.weight", ("net.stem",)), within("net.stem2", ("net.stem",))
    (True, False)
    """
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def make_detector(
    arch: str,
    labels: tuple[str, ...],
    size: tuple[int, int],
    norm: Norm = "batch",
    norm_eps: float = 1e-5,
) -> Detector:
    """Build a detector with new weights from torch's random state; see `DetectorShape` for the arguments.

    Raises:
        ConfigError: an unknown architecture, or a size or norm that it cannot have.
    """
    return build(DetectorShape(arch, labels, size, norm, norm_eps))


def detector_of(config: Mapping[str, Any]) -> Detector:
    """Build the detector that `shape_config` described.

    Raises:
        ConfigError: the description is of another program or version.
    """
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in config.items()
    }
    try:
        return build(DetectorShape(**values))
    except TypeError as err:
        raise ConfigError(f"not the description of a detector: {err}; the checkpoint is of another version") from err


def build(shape: DetectorShape) -> Detector:
    """Build the detector of a shape."""
    # Here, since torchvision's detectors take a second to import and the edge net does not need them.
    if shape.arch == "traynet":
        from training.finetune.edge_detector import EdgeDetector

        return EdgeDetector(shape)
    from training.finetune.torchvision_detectors import TorchvisionDetector

    return TorchvisionDetector(shape)
