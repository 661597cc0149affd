"""The words of the report: what each figure means, and what the figures say together."""

from __future__ import annotations

from dataclasses import dataclass

from training.evaluation.details import Details
from training.evaluation.worst import Kind

NOTHING = "–"


@dataclass(frozen=True)
class Explained:
    """A figure for people.

    Attributes:
        name: as in `SetScores.figures`.
        title: short.
        meaning: one line.
        group: headline under which it stands.
        lower_is_better: as for errors.
        optional: left out where it was not measured.
        judged: whether more or less of it is good or bad at all.
        of_classes: says nothing where there is one class only.
    """

    name: str
    title: str
    meaning: str
    group: str
    lower_is_better: bool = False
    optional: bool = False
    judged: bool = True
    of_classes: bool = False


_FROZEN = "At the frozen threshold: what a lane would see"
_RANKED = "Over all thresholds: what the model could do"
_ANY = "Without regard to the class"
_TRUST = "Trust"

EXPLAINED = (
    Explained("f1_frozen", "F1", "balance of precision and recall, class right, IoU 0.5", _FROZEN),
    Explained("precision_frozen", "Precision", "share of the boxes that are right", _FROZEN),
    Explained("recall_frozen", "Recall", "share of the objects that are found", _FROZEN),
    Explained(
        "class_accuracy", "Class accuracy", "share of the found objects that are called right", _FROZEN, of_classes=True
    ),
    Explained("cacc", "cAcc", "share of the pictures whose count of every class is right", _FROZEN),
    Explained("acd", "ACD", "wrong counts a picture", _FROZEN, lower_is_better=True),
    Explained("mccd", "mCCD", "wrong counts an object, mean over classes", _FROZEN, lower_is_better=True),
    Explained("mciou", "mCIoU", "overlap of counted and true counts, mean over classes", _FROZEN),
    Explained("ap", "AP", "COCO: mean over IoU 0.50 … 0.95 and classes", _RANKED),
    Explained("ap50", "AP50", "COCO at IoU 0.5", _RANKED),
    Explained("ap75", "AP75", "COCO at IoU 0.75: tight boxes", _RANKED),
    Explained("ar", "AR", "COCO: recall with 100 boxes a picture", _RANKED),
    Explained("ap_small", "AP small", "objects below 32² pixels", _RANKED, optional=True),
    Explained("ap_medium", "AP medium", "32² to 96² pixels", _RANKED, optional=True),
    Explained("ap_large", "AP large", "96² pixels and more", _RANKED, optional=True),
    Explained("ap_voc07", "VOC 2007 AP", "eleven points, IoU 0.5", _RANKED),
    Explained("ap_voc_area", "VOC AP", "area under the curve, IoU 0.5", _RANKED),
    Explained("f1_best", "Best F1", "at the threshold that suits these pictures best", _RANKED),
    Explained("f1_best_threshold", "Best threshold", "where that is", _RANKED, judged=False),
    Explained("ap50_agnostic", "AP50, any class", "is it found at all, whatever it is called", _ANY, of_classes=True),
    Explained("f1_frozen_agnostic", "F1, any class", "at the frozen threshold", _ANY, of_classes=True),
    Explained(
        "f1_best_agnostic",
        "Best F1, any class",
        "at the threshold that suits these pictures best",
        _ANY,
        of_classes=True,
    ),
    Explained("recall20_agnostic", "Recall@20", "share found by the 20 best boxes a picture, IoU 0.5", _ANY),
    Explained("ece", "ECE of scores", "how far scores are from the share that is right", _TRUST, lower_is_better=True),
    Explained(
        "ece_class",
        "ECE of classes",
        "the same for class probabilities of found objects",
        _TRUST,
        lower_is_better=True,
        optional=True,
        of_classes=True,
    ),
)

KIND_TITLES: dict[Kind, tuple[str, str]] = {
    "missed": ("Missed objects", "largest first: no box of this score fits them"),
    "wrong class": ("Wrong class", "surest first: the box fits, the name does not"),
    "false alarm": ("False alarms", "surest first: nothing is labelled there – or the label is missing"),
    "badly placed": ("Badly placed boxes", "surest first: too far off to be a hit"),
    "double": ("Doubles", "surest first: a second box on an object that has one"),
    "wrong count": ("Whole counts wrong", "most wrong first: what a till would charge from this picture"),
}


def shown(value: float | None) -> str:
    """Return a figure as people read it; unknown is shown as unknown."""
    return NOTHING if value is None else f"{value:.3f}"


def percent(value: float | None) -> str:
    """Return a share as per cent; a share that is not quite all never reads as all."""
    if value is None:
        return "unknown"
    rounded = round(100 * value)
    if rounded == 100 and value < 1:
        return f"{100 * min(value, 0.999):.1f} %"
    return f"{rounded} %"


def verdict_sentences(d: Details) -> list[str]:
    """Return what the figures say, in two or three sentences."""
    point = d.curve.at(d.threshold)
    if not point.hits:
        return [f"At a score of {d.threshold:.2f} and more the model finds none of the {d.matched.truths} objects."]
    wrong = None if point.precision is None else 1 - point.precision
    with_class, of_class = (" with the right class", "of every class ") if len(d.matched.labels) > 1 else ("", "")
    lines = [
        f"At a score of {d.threshold:.2f} and more the model finds {percent(point.recall)} of {d.matched.truths} "
        f"objects{with_class}; {percent(wrong)} of its boxes are wrong.",
        f"In {percent(d.stills.cacc)} of {d.matched.pictures} pictures the count {of_class}is right.",
    ]
    weak = [one for one in d.classes if one.objects >= 5 and one.point.f1 is not None and one.point.f1 < 0.8]
    if weak and len(d.classes) > 1:
        worst = sorted(weak, key=lambda one: one.point.f1 or 0.0)[:3]
        lines.append("Weakest classes: " + ", ".join(f"{one.label} (F1 {one.point.f1:.2f})" for one in worst) + ".")
    return lines
