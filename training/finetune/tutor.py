"""Learning from poor labels: the running mean of the weights teaches where labels are missing or wrong.

Each step the teacher looks at the step's own pictures, and the targets are changed before the loss is computed:

    from SOFT_FROM of the run-in    soft background: where it sees what no label explains, background counts less, by
                                    the calibrated belief π that an object is there (Background Recalibration Loss,
                                    Zhang et al. 2020; Co-Student, Bai et al. 2024)
    after the run-in                pseudo-labels: proposals whose π passes the threshold of their class become boxes of
                                    weight π (Unbiased Teacher, Liu et al. 2021; Soft Teacher, Xu et al. 2021); the
                                    others stay a soft background, the ignore band between
    after the run-in, `noisy`       each class label becomes the posterior of label and teacher together (soft
                                    bootstrapping, Reed et al. 2015, with a forward noise model)

With weights π the objectness of a missing label has the target π · q in place of 0: an EM step for labels that are
there or not by chance, whose fixed point is the score that whole labels would have given. Everything is calibrated on a
window of the teacher's latest looks (`belief.py`). The teacher is the run's own mean net, and the window goes into
the checkpoint: a resumed run ends as one that was left alone. All code is our own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from core.errors import ConfigError
from training.detection_scores import Found
from training.finetune.batches import Batch, Target
from training.finetune.belief import Belief, Floats, fit_belief, least_belief, true_class, unmixed, wrong_share
from training.finetune.detectors import Detector
from training.finetune.distributed import World
from training.finetune.proposals import Sight, class_rows, looked_at
from training.finetune.settings import FinetuneSettings

#: Share of the run-in after which the soft background begins: before, a teacher sees nothing yet.
SOFT_FROM = 1 / 3
#: Looks that are remembered: proposals and labels for the belief; labels with what the teacher takes them for.
WINDOW = 3000
NAMED_WINDOW = 1200
#: Steps between two calibrations.
EVERY = 10
#: Fewer labels that the teacher saw say nothing.
LEAST_SEEN = 30
#: A teacher that is less sure that anything is there is not asked what it is.
SURE = 0.1
#: A softer background than this is background.
LEAST_BELIEF = 0.02
#: The same for a net that can only ignore a place whole or not at all.
LEAST_WHOLE = 0.25


#: What `Taught.figures` names.
TAUGHT = ("pseudo_boxes", "pseudo_precision", "soft_boxes", "labelled_share", "corrected_labels", "wrong_share")


@dataclass
class Taught:
    """What was done to one step's targets: sums that the journal shows as means."""

    pseudo_boxes: float = 0.0
    pseudo_precision: float = 0.0
    soft_boxes: float = 0.0
    corrected_labels: float = 0.0

    def figures(self, belief: Belief | None, wrong: float | None) -> dict[str, float]:
        """Return them with names of the journal; expected precision is 1 where there was no pseudo-label."""
        precision = self.pseudo_precision / self.pseudo_boxes if self.pseudo_boxes else 1.0
        return {
            "pseudo_boxes": self.pseudo_boxes,
            "pseudo_precision": precision,
            "soft_boxes": self.soft_boxes,
            "labelled_share": 1.0 if belief is None else belief.labelled,
            "corrected_labels": self.corrected_labels,
            "wrong_share": 0.0 if wrong is None else wrong,
        }


class Tutor:
    """Changes targets by what the teacher sees.

    Args:
        settings: of the run.
        labels: class names.
        planned: optimiser steps of the run.
        soft: whether the net's loss takes weights and class probabilities; else pseudo-labels are whole boxes, and
            what is doubtful is ignored.
    """

    def __init__(self, settings: FinetuneSettings, labels: tuple[str, ...], planned: int, soft: bool) -> None:
        self._missing, self._wrong = settings.incomplete, settings.noisy
        self._classes, self._soft = len(labels), soft
        self._run_in = round(
            max(self._missing.run_in * self._missing.on, self._wrong.run_in * self._wrong.on) * planned
        )
        self._looks = np.zeros((0, 3))  # score, class, explained: 1 a label that was seen, 0 no label; -1 unseen label
        self._named = np.zeros((0, 1 + self._classes))  # given class, class probabilities
        self._belief: Belief | None = None
        self._wrong_share: float | None = None
        self._least: Floats = np.full(self._classes, 2.0)

    def taught(
        self, batches: Sequence[Batch], teacher: Detector, step: int, world: World
    ) -> tuple[list[Batch], dict[str, float]]:
        """Return the batches of a step with changed targets, and what the journal says of it."""
        told = Taught()
        changed = [self._taught(batch, teacher, step, world, told) for batch in batches]
        if step % EVERY == 0 or step == self._run_in:
            self._calibrate(step)
        return changed, told.figures(self._belief, self._wrong_share)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: plain numbers and tensors."""
        belief = self._belief
        return {
            "looks": torch.from_numpy(self._looks.copy()),
            "named": torch.from_numpy(self._named.copy()),
            "least": torch.from_numpy(self._least.copy()),
            "belief": None if belief is None else [belief.slope, belief.offset, belief.labelled],
            "wrong_share": self._wrong_share,
        }

    def put_back(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""
        self._looks, self._named = state["looks"].numpy().copy(), state["named"].numpy().copy()
        self._least = state["least"].numpy().copy()
        self._belief = None if state["belief"] is None else Belief(*state["belief"])
        self._wrong_share = state["wrong_share"]

    def _taught(self, batch: Batch, teacher: Detector, step: int, world: World, told: Taught) -> Batch:
        found = teacher.predict([image.to(world.device) for image in batch.images])
        targets = []
        for one, target in zip(found, batch.targets, strict=True):
            sight = looked_at(one, target)
            self._remember(one, sight, target)
            if self._wrong.on and self._wrong_share is not None and step >= self._run_in:
                target = self._renamed(one, sight, target, self._wrong_share, told)
            if self._missing.on and self._belief is not None and step >= SOFT_FROM * self._run_in:
                pseudo_from = self._least if step >= self._run_in else np.full(self._classes, np.inf)
                target = self._completed(one, sight, target, self._belief, pseudo_from, told)
            targets.append(target)
        return Batch(batch.images, targets, batch.where)

    def _completed(
        self, found: Found, sight: Sight, target: Target, model: Belief, pseudo_from: Floats, told: Taught
    ) -> Target:
        """Return the target with pseudo-labels, and with soft background where the belief is too weak for one."""
        belief = model.unlabelled(found.scores[sight.free])
        classes = found.classes[sight.free]
        pseudo = belief >= pseudo_from[classes]
        soft = ~pseudo & (belief >= (LEAST_BELIEF if self._soft else LEAST_WHOLE))
        told.pseudo_boxes += float(pseudo.sum())
        told.pseudo_precision += float(belief[pseudo].sum())
        told.soft_boxes += float(soft.sum())
        kept = pseudo | soft
        weights = belief[kept] if self._soft else np.ones(int(kept.sum()))
        return target.joined(found.boxes[sight.free][kept], classes[kept], soft[kept], weights.astype(np.float32))

    def _renamed(self, found: Found, sight: Sight, target: Target, wrong: float, told: Taught) -> Target:
        """Return the target with the posterior of label and teacher for each label that the teacher saw."""
        classes = target.classes.numpy()
        posteriors = np.eye(self._classes)[classes]
        rows = np.flatnonzero(sight.of_label >= 0)
        rows = rows[found.scores[sight.of_label[rows]] >= SURE]
        if len(rows):
            q = unmixed(class_rows(found, sight.of_label[rows]), wrong)
            posteriors[rows] = true_class(q, classes[rows], wrong)
        told.corrected_labels += float((posteriors.argmax(axis=1) != classes).sum())
        return replace(target, posteriors=torch.from_numpy(posteriors.astype(np.float32)))

    def _remember(self, found: Found, sight: Sight, target: Target) -> None:
        """Add a look at one picture to the windows."""
        wanted = np.flatnonzero(~target.ignored.numpy())
        given, seen = target.classes.numpy()[wanted], sight.of_label[wanted]
        scores = (
            np.where(seen >= 0, found.scores[np.maximum(seen, 0)], 0.0) if len(found.scores) else np.zeros(len(seen))
        )
        labels = np.stack([scores, given, np.where(seen >= 0, 1.0, -1.0)], axis=1)
        free = sight.free
        others = np.stack([found.scores[free], found.classes[free], np.zeros(len(free))], axis=1)
        self._looks = np.concatenate([self._looks, labels, others])[-WINDOW:]
        if self._wrong.on:
            sure = np.flatnonzero((seen >= 0) & (scores >= SURE))
            rows = np.concatenate([given[sure, None].astype(np.float64), class_rows(found, seen[sure])], axis=1)
            self._named = np.concatenate([self._named, rows])[-NAMED_WINDOW:]

    def _calibrate(self, step: int) -> None:
        """Fit to the windows. What share of labels is wrong is settled at the end of the run-in."""
        scores, classes, explained = self._looks[:, 0], self._looks[:, 1].astype(np.int64), self._looks[:, 2]
        seen = explained >= 0
        if self._missing.on and (explained == 1).sum() >= LEAST_SEEN:
            before, known = self._belief, self._missing.labelled or None
            self._belief = fit_belief(scores[seen], explained[seen] == 1, known)
            # What a net knows by heart makes labels look complete: after the run-in c only ever falls.
            if before is not None and step > self._run_in and self._belief.labelled > before.labelled:
                self._belief = fit_belief(scores[seen], explained[seen] == 1, before.labelled)
            there = np.bincount(classes[explained != 0], minlength=self._classes).astype(np.float64)
            free = explained == 0
            self._least = least_belief(
                self._belief.unlabelled(scores[free]),
                classes[free],
                there * (1 - self._belief.labelled) / self._belief.labelled,
                self._missing.precision,
                self._missing.most,
            )
        settled = self._wrong_share is not None and step > self._run_in
        if self._wrong.on and not settled and len(self._named) >= LEAST_SEEN:
            estimated = wrong_share(self._named[:, 1:], self._named[:, 0].astype(np.int64))
            self._wrong_share = self._wrong.wrong or estimated


def tutor_of(settings: FinetuneSettings, net: Detector, planned: int, world: World) -> Tutor | None:
    """Return who teaches in a run; None where labels are taken as they are.

    Raises:
        ConfigError: the net's loss has no room for it, or several processes share the run.
    """
    if not (settings.incomplete.on or settings.noisy.on):
        return None
    if settings.noisy.on and not net.takes_doubt:
        raise ConfigError(
            f"noisy: the loss of {net.arch} takes no class probabilities; use traynet, or look for wrong labels first "
            "(python -m training.label_issues)"
        )
    if world.size > 1:
        raise ConfigError("incomplete, noisy: one process calibrates the teacher; start the run without torchrun")
    return Tutor(settings, net.labels, planned, net.takes_doubt)
