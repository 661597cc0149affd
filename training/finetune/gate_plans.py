"""What the overfit gate asks of each architecture, and the small batch and the cheap copies that it asks it of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from torch import Tensor

from training.finetune.batches import Batch, Target
from training.finetune.detectors import Detector


@dataclass(frozen=True)
class Plan:
    """What one architecture can do in ten seconds of a CPU.

    Attributes:
        longest: side of the pictures it learns, pixels.
        steps: of learning by heart; as many again when it has not learnt it yet and there is time.
        rate: of AdamW, in these steps.
        falls_to: share of the first loss that must be reached.
        own_steps: steps of the run's own optimiser.
        predicts: whether detections can be asked for.
    """

    longest: int
    steps: int
    rate: float
    falls_to: float
    own_steps: int
    predicts: bool


PLANS = {
    "traynet": Plan(160, 60, 4e-3, 0.4, 3, True),
    "ssdlite320_mobilenet_v3_large": Plan(128, 30, 2e-3, 0.4, 3, True),
    "fasterrcnn_mobilenet_v3_large_320_fpn": Plan(96, 12, 1e-3, 0.9, 2, False),
    "fasterrcnn_resnet50_fpn_v2": Plan(64, 2, 1e-4, 0.99, 1, False),
    "ssd300_vgg16": Plan(268, 0, 1e-4, 1.0, 1, False),
}
#: The other ResNet50 nets.
HEAVY = Plan(64, 4, 1e-4, 0.99, 1, False)


@dataclass(frozen=True)
class GateSettings:
    """How strict the gate is.

    Attributes:
        pictures: learnt by heart; 2 or more.
        most_objects: on these pictures: others are preferred.
        recall: share of the objects that must be found, with a box of IoU 0.5.
        recall_each: share of each picture's objects that must.
        class_accuracy: share of the found boxes whose class must be right.
        least_side: objects with a shorter side at the gate's picture size are not asked for.
        budget_s: CPU seconds after which learning by heart ends; what is not learnt by then counts as not checked.
    """

    pictures: int = 2
    most_objects: int = 8
    recall: float = 0.5
    recall_each: float = 0.25
    class_accuracy: float = 0.6
    least_side: float = 8.0
    budget_s: float = 8.0


def chosen(batch: Batch, settings: GateSettings, longest: int, classes: int) -> tuple[list[Tensor], list[Target]]:
    """Return the pictures to learn by heart, such with a few objects first, and their targets.

    Objects that are too small when a picture's longest side is `longest` pixels are ignored. When the first class or
    the last one is not among the objects, one of them is called so: mistakes by one show at the ends.
    """

    def cost(i: int) -> tuple[bool, int]:
        count = int((~batch.targets[i].ignored).sum())
        return count == 0, abs(count - settings.most_objects // 2)

    order = sorted(range(len(batch.images)), key=cost)[: max(2, settings.pictures)]
    if len(order) == 1:
        order *= 2  # norms of small maps need two
    images, targets = [batch.images[i] for i in order], []
    for image, target in zip(images, (batch.targets[i] for i in order), strict=True):
        scale = min(1.0, longest / max(image.shape[1:]))
        sides = (target.boxes[:, 2:] - target.boxes[:, :2]).amin(dim=1) * scale
        targets.append(Target(target.boxes, target.classes.clone(), target.ignored | (sides < settings.least_side)))
    wanted = [(t, j) for t in targets for j in range(len(t.boxes)) if not bool(t.ignored[j])]
    for end in (0, classes - 1):
        counts = Counter(int(t.classes[j]) for t, j in wanted)
        if end not in counts and len(wanted) > 1:
            # Of a class that has the most objects, so that the other end is not taken again.
            often = counts.most_common(1)[0][0]
            target, j = next((t, j) for t, j in wanted if int(t.classes[j]) == often)
            target.classes[j] = end
    return images, targets


def fitted(net: Detector, plan: Plan) -> Detector:
    """Make a copy cheap: smaller pictures, and for Faster R-CNN fewer proposals."""
    scale = plan.longest / max(net.size)
    if scale < 1:
        width, height = (max(64, 32 * round(side * scale / 32)) for side in net.size)
        net.resize((width, height) if net.arch != "ssd300_vgg16" else (plan.longest, plan.longest))
    if net.arch.startswith("fasterrcnn"):
        parts = dict(net.net.named_children())
        parts["rpn"]._post_nms_top_n = {"training": 32, "testing": 32}  # type: ignore[assignment]
        parts["roi_heads"].fg_bg_sampler.batch_size_per_image = 16  # type: ignore[union-attr]
    return net
