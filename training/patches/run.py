"""The study from a labelled set to its files: split, features, two heads, figures on the test part, report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.errors import ConfigError, DataError
from dataset.reading import Format, read_set
from dataset.records import DetectionSet
from dataset.splits import counts, leave_out, split
from training.finetune.checkpoints import BEST, KEPT, write_whole
from training.finetune.run_record import described, machine, now_utc, run_folder, versions, write_record
from training.patches.classes import check_classes_known
from training.patches.features import FeatureCache, load_backbone
from training.patches.head import whole_probabilities
from training.patches.outcome import Outcome, as_json
from training.patches.record import StudyRecord
from training.patches.report import render
from training.patches.scores import gain, image_scores, presence, rank
from training.patches.settings import StudySettings
from training.patches.tasks import Described, patch_task, patches_of, whole_task
from training.patches.training import Best, exact, history, train_head
from training.provenance import commit

HEADS: tuple[Literal["patches", "whole"], ...] = ("patches", "whole")
SCORES, REPORT = "scores.json", "report.html"
_SALT = "patches"
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """What a study is asked for.

    Attributes:
        data: the labelled set.
        format: of it.
        out: folder of the results.
        weights: of the backbone.
        cache: folder of the features.
        settings: all else that the result depends on.
        classes: whose heat maps the report must show; none: those of the picture with most classes.
        resume: go on from the checkpoints in `out`.
        overwrite: throw them away.
    """

    data: Path
    format: Format
    out: Path
    weights: Path
    cache: Path
    settings: StudySettings
    classes: tuple[str, ...] = ()
    resume: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class Parts:
    """The three parts of a set: to learn from, to choose by, and the fixed fifth to report on."""

    train: DetectionSet
    validation: DetectionSet
    test: DetectionSet
    warnings: tuple[str, ...]


def study(job: Job, tell: Tell) -> Outcome:
    """Run a study; return its outcome, which is also in `scores.json` and `report.html`.

    Raises:
        ConfigError: `out` holds another run, or a class is unknown.
        DataError: the set cannot be used.
        ModelError: the backbone's weights cannot be used.
        FolderUnusable: results cannot be written.
    """
    with run_folder(job.out), exact(job.settings.threads):
        whole = read_set(job.data, job.format)
        check_classes_known(job.classes, whole.labels)
        parts = cut(whole, job.settings.validation)
        for warning in parts.warnings:
            tell(f"note: {warning}")
        _make_room(job)
        backbone = load_backbone(job.weights, job.settings.backbone)
        record = StudyRecord(
            parameters=job.settings,
            weights_sha256=backbone.sha256,
            data={use: described(getattr(parts, use)) for use in ("train", "validation", "test")},
            git=commit(),
            machine=machine(),
            versions=versions(),
            started_utc=now_utc(),
            status="running",
        )
        write_record(job.out, record)
        cache = FeatureCache(job.cache, backbone, job.settings.sampler)
        learnt, chosen_by, judged = (describe(cache, one, tell) for one in (parts.train, parts.validation, parts.test))
        outcome = _judge(_trained(job, learnt, chosen_by, backbone.sha256, tell), judged, parts, job)
        write_whole(job.out / SCORES, json.dumps(as_json(outcome), indent=2, sort_keys=True) + "\n")
        write_whole(job.out / REPORT, render(outcome, learnt, judged, job.settings, job.classes, cache.load))
        write_record(job.out, record.model_copy(update={"status": "finished", "ended_utc": now_utc()}))
    return outcome


def cut(whole: DetectionSet, validation: float) -> Parts:
    """Cut a set by what its pictures show; the test part is the one that no training of ours ever sees.

    Raises:
        DataError: there is nothing to learn, or nothing to rank.
    """
    if not counts(whole).any():
        raise DataError(
            f"{whole.name}: no boxes but ignored ones; a study learns from labelled objects, so label some first"
        )
    rest, test = leave_out(whole)
    sets = split(rest, {"train": 1 - validation, "validation": validation}, _SALT)
    train, shown = sets["train"], presence(test)
    everywhere = [label for c, label in enumerate(whole.labels) if (shown[:, c] == 1).all()]
    if not any((shown[:, c] == 1).any() and (shown[:, c] == 0).any() for c in range(len(whole.labels))):
        raise DataError(
            f"{whole.name}: nothing to rank: no class is on some test pictures and absent from others "
            f"({len(test)} pictures; on all of them: {', '.join(everywhere) or 'none'}); add pictures without it"
        )
    learnt, asked = counts(train), (shown == 1).any(axis=0)
    warnings = [f"every test picture shows {label!r}: its AP is 1 in any order" for label in everywhere]
    warnings += [
        f"no training picture shows {label!r}: its AP counts, though it cannot be learnt"
        for c, label in enumerate(whole.labels)
        if asked[c] and learnt[c] == 0
    ]
    missing = [label for c, label in enumerate(whole.labels) if not asked[c]]
    if missing:
        warnings.append(f"no test picture shows {', '.join(map(repr, missing))}: nothing is measured about it")
    return Parts(train, sets["validation"], test, (*whole.warnings, *warnings))


def describe(cache: FeatureCache, pictures: DetectionSet, tell: Tell) -> Described:
    """Return a set with the features of its pictures."""
    features = []
    for i, sample in enumerate(pictures.samples):
        features.append(cache.of(sample))
        if (i + 1) % 20 == 0 or i + 1 == len(pictures):
            tell(f"{pictures.name}: features of {i + 1} of {len(pictures)} pictures")
    return Described(pictures, tuple(features))


def _trained(job: Job, learnt: Described, chosen_by: Described, weights: str, tell: Tell) -> dict[str, Best]:
    """Train both heads; return the best of each."""
    parameters = job.settings.model_dump(mode="json", exclude={"draws"})
    identity: dict[str, object] = {"settings": parameters, "weights": weights}
    identity |= {"training pictures": learnt.pictures.sha256, "validation pictures": chosen_by.pictures.sha256}
    best: dict[str, Best] = {}
    for name, make in zip(HEADS, (patch_task, whole_task), strict=True):
        folder = job.out / name
        folder.mkdir(exist_ok=True)

        def told(line: dict[str, Any], name: str = name) -> None:
            if line["step"] % 10 == 0 or line["step"] == job.settings.head.rounds:
                tell(f"{name}: round {line['step']}  loss {line['loss']:.3f}  validation mAP {line['map']:.3f}")

        task = make(learnt, chosen_by, job.settings, identity)
        best[name] = train_head(task, job.settings.head, job.settings.seed, folder, told)
    return best


def _judge(best: dict[str, Best], judged: Described, parts: Parts, job: Job) -> Outcome:
    """Measure both heads on the test part."""
    patches, whole = best["patches"], best["whole"]
    probabilities = patches_of(patches.head, judged.features)
    ours = image_scores(probabilities, patches.exponent)
    theirs = whole_probabilities(whole.head, judged.whole)
    draws, seed = job.settings.draws, job.settings.seed
    return Outcome(
        name=job.data.name,
        pictures=len(judged.pictures),
        patches=rank(ours, judged.pictures, draws, seed),
        whole=rank(theirs, judged.pictures, draws, seed),
        gain=gain(ours, theirs, judged.pictures, draws, seed),
        exponent=patches.exponent,
        rounds={"patches": patches.round, "whole": whole.round},
        history={name: history(job.out / name) for name in HEADS},
        probabilities=tuple(probabilities),
        scores=ours,
        warnings=parts.warnings,
    )


def _make_room(job: Job) -> None:
    """Refuse, or empty, a folder that holds another run's checkpoints.

    Raises:
        ConfigError: there are some, and nobody said --resume or --overwrite.
    """
    found = [job.out / name for name in HEADS if (job.out / name / KEPT).exists() or (job.out / name / BEST).exists()]
    if not found or job.resume:
        return
    if not job.overwrite:
        raise ConfigError(
            f"{found[0]}: holds the checkpoints of a study; go on with --resume, throw them away with --overwrite, or "
            "give another --out"
        )
    for folder in found:
        shutil.rmtree(folder)
