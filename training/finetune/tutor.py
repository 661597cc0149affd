"""Learning from poor labels: the running mean of the weights tells what is missing or wrong.

Each step the teacher looks at the step's own pictures, and the targets are changed before the loss is computed:

    `incomplete`                    each label weighs 1 / c, where c is the estimated share of objects that have one:
                                    where objects are left out by chance, the gradient then has the mean of whole
                                    labels (inverse propensity; du Plessis et al., Convex formulation for learning from
                                    positive and unlabeled data, 2015)
    `fill_in`, from SOFT_FROM of    soft background: where it sees what no label explains, background counts less, by
    the run-in                      the calibrated belief π that an object is there (Background Recalibration Loss,
                                    Zhang et al. 2020; Co-Student, Bai et al. 2024)
    `fill_in`, after the run-in     pseudo-labels: proposals whose π passes the threshold of their class become boxes of
                                    weight π (Unbiased Teacher, Liu et al. 2021; Soft Teacher, Xu et al. 2021); the
                                    others stay a soft background, the ignore band between. Labels weigh what their
                                    twins without a label then still lack (`Belief.twin_weights`)
    `noisy`, after the run-in       each class label becomes the posterior of label and teacher together (soft
                                    bootstrapping, Reed et al. 2015, with a forward noise model); labels that the
                                    teacher does not see get unbiased targets

The first needs of the teacher no more than c, one number from thousands of looks; the second learns the teacher's
faults, too, and is for teachers that are good. Everything is calibrated on a window of the teacher's latest looks
(`belief.py`). The teacher is the run's own mean net, and the window goes into the checkpoint: a resumed run ends as one
that was left alone. All code is our own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import ConfigError
from training.detection_scores import Found
from training.finetune.batches import Batch, Target
from training.finetune.belief import Belief, Floats, Naming, fit_belief, fit_naming, least_belief, true_class, unbiased
from training.finetune.detectors import Detector
from training.finetune.distributed import World
from training.finetune.proposals import Sight, class_rows, looked_at
from training.finetune.settings import FinetuneSettings

#: `fill_in`: share of the run-in after which the soft background begins; before, a teacher sees nothing yet.
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

    def figures(self, belief: Belief | None, naming: Naming | None) -> dict[str, float]:
        """Return them with names of the journal; expected precision is 1 where there was no pseudo-label."""
        precision = self.pseudo_precision / self.pseudo_boxes if self.pseudo_boxes else 1.0
        return {
            "pseudo_boxes": self.pseudo_boxes,
            "pseudo_precision": precision,
            "soft_boxes": self.soft_boxes,
            "labelled_share": 1.0 if belief is None else belief.labelled,
            "corrected_labels": self.corrected_labels,
            "wrong_share": 0.0 if naming is None else naming.wrong,
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
        self._fills_in = self._missing.fill_in or not soft
        self._run_in = round(
            max(self._missing.run_in * self._missing.on, self._wrong.run_in * self._wrong.on) * planned
        )
        self._looks = np.zeros((0, 3))  # score, class, explained: 1 a label that was seen, 0 no label; -1 unseen label
        self._named = np.zeros((0, 1 + self._classes))  # given class, class probabilities
        self._belief: Belief | None = None
        self._naming: Naming | None = None
        self._least: Floats = np.full(self._classes, 2.0)

    def taught(
        self, batches: Sequence[Batch], teacher: Detector, step: int, world: World
    ) -> tuple[list[Batch], dict[str, float]]:
        """Return the batches of a step with changed targets, and what the journal says of it."""
        told = Taught()
        changed = [self._taught(batch, teacher, step, world, told) for batch in batches]
        if step % EVERY == 0 or step == self._run_in:
            self._calibrate(step)
        return changed, told.figures(self._belief, self._naming)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: plain numbers and tensors."""
        belief, naming = self._belief, self._naming
        return {
            "looks": torch.from_numpy(self._looks.copy()),
            "named": torch.from_numpy(self._named.copy()),
            "least": torch.from_numpy(self._least.copy()),
            "belief": None if belief is None else [belief.slope, belief.offset, belief.labelled],
            "naming": None if naming is None else [naming.sharpness, naming.wrong],
        }

    def put_back(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""
        self._looks, self._named = state["looks"].numpy().copy(), state["named"].numpy().copy()
        self._least = state["least"].numpy().copy()
        self._belief = None if state["belief"] is None else Belief(*state["belief"])
        self._naming = None if state["naming"] is None else Naming(*state["naming"])

    def _taught(self, batch: Batch, teacher: Detector, step: int, world: World, told: Taught) -> Batch:
        found = teacher.predict([image.to(world.device) for image in batch.images])
        targets = []
        for one, target in zip(found, batch.targets, strict=True):
            sight = looked_at(one, target)
            self._remember(one, sight, target)
            if self._wrong.on and self._naming is not None and step >= self._run_in:
                target = self._renamed(one, sight, target, self._naming, told)
            labelled = self._missing.labelled or (None if self._belief is None else self._belief.labelled)
            if self._missing.on and labelled is not None and not self._fills_in:
                # Each label stands for those that are missing, too.
                target = replace(target, weights=torch.where(target.ignored, 1.0, 1 / labelled).float())
            elif self._missing.on and self._belief is not None and step >= SOFT_FROM * self._run_in:
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
        if not self._soft:
            whole = np.ones(int(kept.sum()), dtype=np.float32)
            return target.joined(found.boxes[sight.free][kept], classes[kept], soft[kept], whole)
        completed = replace(target, weights=torch.from_numpy(self._weights(found, sight, target, model, pseudo_from)))
        weights = belief[kept].astype(np.float32)
        return completed.joined(found.boxes[sight.free][kept], classes[kept], soft[kept], weights)

    def _weights(
        self, found: Found, sight: Sight, target: Target, model: Belief, pseudo_from: Floats
    ) -> NDArray[np.float32]:
        """Return the weights (n,) of labels that make up for those like them that are missing; 1 for ignored ones."""
        seen = sight.of_label >= 0
        scores, classes = np.zeros(len(seen)), np.zeros(len(seen), dtype=np.int64)
        scores[seen], classes[seen] = found.scores[sight.of_label[seen]], found.classes[sight.of_label[seen]]
        twins = model.unlabelled(scores)
        weights = model.twin_weights(scores, seen & (twins >= pseudo_from[classes]), seen & (twins >= LEAST_BELIEF))
        return np.where(target.ignored.numpy(), 1.0, weights).astype(np.float32)

    def _renamed(self, found: Found, sight: Sight, target: Target, naming: Naming, told: Taught) -> Target:
        """Return the target with the posterior of label and teacher for each label that the teacher saw."""
        classes = target.classes.numpy()
        posteriors = unbiased(classes, self._classes, naming.wrong)
        rows = np.flatnonzero(sight.of_label >= 0)
        rows = rows[found.scores[sight.of_label[rows]] >= SURE]
        if len(rows):
            q = naming.chances(class_rows(found, sight.of_label[rows]))
            posteriors[rows] = true_class(q, classes[rows], naming.wrong)
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
        """Fit to the windows."""
        scores, classes, explained = self._looks[:, 0], self._looks[:, 1].astype(np.int64), self._looks[:, 2]
        seen = explained >= 0
        if self._missing.on and (explained == 1).sum() >= LEAST_SEEN:
            known = self._missing.labelled or None
            if known is None and self._belief is not None and self._fills_in and step > self._run_in:
                # From here on the teacher sees its own pseudo-labels again: c fitted to them would run away.
                known = self._belief.labelled
            self._belief = fit_belief(scores[seen], explained[seen] == 1, known)
            there = np.bincount(classes[explained != 0], minlength=self._classes).astype(np.float64)
            free = explained == 0
            self._least = least_belief(
                self._belief.unlabelled(scores[free]),
                classes[free],
                there * (1 - self._belief.labelled) / self._belief.labelled,
                self._missing.precision,
                self._missing.most,
            )
        if self._wrong.on and len(self._named) >= LEAST_SEEN:
            self._naming = fit_naming(self._named[:, 1:], self._named[:, 0].astype(np.int64), self._wrong.wrong or None)


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
