"""What an evaluation of one model on one set holds, before it is summed up for the gate or drawn for a person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.gate import Figure
from training.evaluation.calibration import Reliability
from training.evaluation.coco_ap import CocoFigures
from training.evaluation.matching import MatchedSet
from training.evaluation.slices import Slice
from training.evaluation.stills import StillFigures
from training.evaluation.thresholds import Curve, Point
from training.evaluation.voc_ap import VocFigures


@dataclass(frozen=True)
class ClassScores:
    """One class by itself.

    Attributes:
        label: its name.
        objects: of it, to be found.
        ap: COCO's AP of it; None where the set has none.
        ap50: at IoU 0.5.
        point: counts at the threshold of the report.
        best: counts at its own best threshold; None without detections or objects.
    """

    label: str
    objects: int
    ap: float | None
    ap50: float | None
    point: Point
    best: Point | None


@dataclass(frozen=True)
class Details:
    """Everything that was measured; the report shows it, `SetScores` keeps the headline.

    Attributes:
        frozen_threshold: fixed beforehand; None where nobody fixed one.
        threshold: what tables and pictures use: the frozen one, else the best on these pictures.
        matched: the tables behind all figures.
        figures: the flat figures with their intervals.
        recall_at: detections a picture -> class-agnostic recall at IoU 0.5.
    """

    frozen_threshold: float | None
    threshold: float
    matched: MatchedSet
    coco: CocoFigures
    voc: VocFigures
    curve: Curve
    agnostic_curve: Curve
    recall_at: dict[int, float]
    classes: tuple[ClassScores, ...]
    sizes: tuple[Slice, ...]
    occlusions: tuple[Slice, ...]
    crowds: tuple[Slice, ...]
    score_trust: Reliability | None
    class_trust: Reliability | None
    confusion: NDArray[np.int64]
    stills: StillFigures
    figures: dict[str, Figure]
