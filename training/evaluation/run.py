"""One evaluation from end to end: a set, a model (or its predictions) on it, figures, the record, the report.

`read -> detect -> threshold -> detail -> scores.json, predictions.json, report.html`
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from core.errors import ConfigError
from core.files import sha256_of, write_atomic
from dataset.images import load_image
from dataset.reading import VALIDATION_PARTS, Format, read_set, read_splits
from dataset.records import DetectionSet
from dataset.splits import leave_out, split
from models.bare_onnx import find_model
from models.card import ModelCard
from models.gate import Role, ScoreRecord, SetScores, Verdict, judge
from models.items import items_card
from models.ort_detector import OrtDetector
from models.registry import Registry
from models.settings import DetectorSettings
from training.detection_scores import Found
from training.evaluation.class_match import ClassMatch, match_any, match_classes
from training.evaluation.details import Details
from training.evaluation.figures import ANY_CLASS
from training.evaluation.inputs import check_inputs, set_of_one_class
from training.evaluation.matching import match_set
from training.evaluation.predictions import Numbering, detect_set, numbering_of, read_results, results_of
from training.evaluation.records import frozen_threshold_of, merged, read_record, write_record
from training.evaluation.report import Origin, Rival, render
from training.evaluation.scores import detail, summary
from training.revision import commit

#: Far below what a lane shows: AP wants the tail.
MIN_SCORE = 0.001
#: Parts that `traylane train` cuts where the set has none to choose by.
TRAIN_PARTS = ("train", "validation")
#: Parts that any set has: see `dataset.splits.leave_out`.
FIFTHS = ("rest", "aside")


@dataclass(frozen=True)
class Job:
    """What to evaluate; the fields are the arguments of `traylane evaluate`."""

    model: str | None
    data: Path
    out: Path | None
    format: Format = "auto"
    role: Role = "development"
    part: str | None = None
    holdout: float = 0.2
    salt: str = ""
    threshold: float | None = None
    against: str | None = None
    class_map: Mapping[str, str] | None = None
    agnostic: bool = False
    predictions: Path | None = None
    device: str = "auto"
    threads: int = 1
    size: tuple[int, int] | None = None
    precision: Literal["auto", "fp32", "int8"] = "fp32"
    registry: Path | None = None
    command: str = "traylane evaluate"


@dataclass(frozen=True)
class Result:
    """What came of a job.

    Attributes:
        record: all that is known of the model now, this set last.
        verdict: of the gate, where there was a rival.
        folder: where the files are.
        notes: what a reader of the figures must know.
    """

    record: ScoreRecord
    verdict: Verdict | None
    folder: Path
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Subject:
    """A model's (or a file's) detections on the set, in the set's classes."""

    name: str
    sha256: str
    found: list[Found]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Measured:
    details: Details
    scores: SetScores
    record: ScoreRecord
    threshold_from: str


def evaluate(job: Job, on_picture: Callable[[int, int], None] = lambda _done, _of: None) -> Result:
    """Run a job and write its files.

    Args:
        job: what to evaluate.
        on_picture: told how many pictures are done, of how many.

    Raises:
        ConfigError: an argument does not fit, or the files cannot be written.
        DataError: the set or the predictions cannot be used.
        ModelError: a model cannot be used.
    """
    whole = read_part(job)
    target = set_of_one_class(whole, ANY_CLASS) if job.agnostic else whole
    numbering = numbering_of(job.data, whole)
    subject = _subject(job, whole, numbering, on_picture)
    folder = job.out if job.out is not None else Path("var/evaluation") / subject.name
    mine = _measure(job, target, subject, folder / "scores.json")
    rival, rival_record, rival_path = None, None, None
    if job.against is not None:
        other = _by_model(job.against, job, whole, on_picture)
        rival_path = folder / "against" / other.name / "scores.json"
        theirs = _measure(job, target, other, rival_path)
        rival_record = theirs.record
        rival = Rival(other.name, theirs.scores, judge(mine.record, rival_record))
    notes = (*subject.notes, *whole.warnings)
    origin = Origin(
        model=subject.name,
        weights_sha256=subject.sha256,
        revision=commit(),
        evaluated_utc=mine.record.evaluated_utc,
        command=job.command,
        threshold_from=mine.threshold_from,
    )
    page = render(mine.details, target, mine.scores, origin, load_image, rival, notes)
    if job.agnostic:
        numbering = Numbering(numbering.pictures, (1,))
    rows = list(results_of(subject.found, target, numbering))
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        slug = "".join(c if c.isalnum() else "-" for c in f"{job.role}-{target.name}".lower()).strip("-")
        for name, content in (("predictions", _one_a_line(rows)), ("report", page)):
            suffix = "html" if name == "report" else "json"
            # The plain name is the latest set's; each set keeps its own beside it.
            write_atomic(folder / f"{name}-{slug}.{suffix}", content)
            write_atomic(folder / f"{name}.{suffix}", content)
        write_record(folder / "scores.json", mine.record)
        if rival_record is not None and rival_path is not None:
            rival_path.parent.mkdir(parents=True, exist_ok=True)
            write_record(rival_path, rival_record)
    return Result(mine.record, rival.verdict if rival else None, folder, notes)


def read_part(job: Job) -> DetectionSet:
    """Return the pictures that a job is about: the whole set, one part of it, or what was kept aside.

    What `traylane train` chose by are the parts `train` and `validation`; `aside` is the fixed fifth that figures are
    reported on (`dataset.splits.leave_out`), `rest` the others.

    Raises:
        ConfigError: there is no such part.
        DataError: the set cannot be read.
    """
    if job.part is None:
        return read_set(job.data, job.format)
    parts = read_splits(job.data, job.format)
    if job.part in TRAIN_PARTS and not set(VALIDATION_PARTS) & set(parts):
        shares = {"train": 1 - job.holdout, "validation": job.holdout}
        return split(read_set(job.data, job.format), shares, job.salt)[job.part]
    if job.part in parts and job.part:
        return parts[job.part]
    if job.part in FIFTHS and not parts.get(job.part):
        return leave_out(read_set(job.data, job.format))[FIFTHS.index(job.part)]
    names = ", ".join(name for name in parts if name) or "none"
    raise ConfigError(
        f"--split {job.part}: {job.data} has no such part (its parts: {names}); name one of them, or leave --split out"
    )


def _subject(job: Job, whole: DetectionSet, numbering: Numbering, on_picture: Callable[[int, int], None]) -> _Subject:
    if job.predictions is None:
        if job.model is None:
            raise ConfigError("give a model card or .onnx file, or --predictions FILE")
        return _by_model(job.model, job, whole, on_picture)
    found, classes = read_results(job.predictions, whole, numbering, lambda labels: _classes(job, labels, whole))
    return _Subject(job.model or job.predictions.stem, sha256_of(job.predictions), found, classes.notes)


def _by_model(ref: str, job: Job, whole: DetectionSet, on_picture: Callable[[int, int], None]) -> _Subject:
    registry = None if job.registry is None else Registry(job.registry)
    card: ModelCard = find_model(ref, precision=job.precision, registry=registry)
    # Whether an item is there is asked of the item head, unless classes are to be left out or renamed.
    items_only = job.agnostic and not job.class_map
    # Before the model runs for minutes: does it know what is asked?
    classes = _classes(job, (items_card(card) if items_only else card).labels, whole)
    settings = DetectorSettings(
        min_score=MIN_SCORE, device=job.device, threads=job.threads, items_only=items_only, size=job.size
    )
    detector = OrtDetector(card, settings)
    try:
        found = detect_set(detector, whole, classes, load_image, lambda done: on_picture(done, len(whole)))
    finally:
        detector.close()
    return _Subject(card.full_name, card.sha256, found, classes.notes)


def _classes(job: Job, labels: Sequence[str], whole: DetectionSet) -> ClassMatch:
    class_map = job.class_map or {}
    return match_any(labels, class_map) if job.agnostic else match_classes(labels, whole.labels, class_map)


def _measure(job: Job, target: DetectionSet, subject: _Subject, record_path: Path) -> _Measured:
    old = read_record(record_path)
    record = ScoreRecord(
        model=subject.name,
        weights_sha256=subject.sha256,
        evaluated_utc=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    merged(old, record, record_path)  # refuses a stranger's file before minutes are spent
    check_inputs(subject.found, target)
    threshold, origin = _threshold(job, target, subject, old)
    details = detail(subject.found, target, threshold)
    scores = summary(details, target, target.name, job.role)
    new = merged(old, record.model_copy(update={"sets": (scores,)}), record_path)
    return _Measured(details, scores, new, origin)


def _threshold(job: Job, target: DetectionSet, subject: _Subject, old: ScoreRecord | None) -> tuple[float | None, str]:
    """Return the frozen threshold and where it comes from, for a person."""
    if job.threshold is not None:
        return job.threshold, "given with --threshold"
    if job.role == "development":
        best = match_set(subject.found, target).curve().best
        return (
            best.threshold if best else None
        ), "the best F1 on these development pictures; it is frozen from here on"
    frozen = frozen_threshold_of(old)
    if frozen is None:
        return None, (
            "the best on these very pictures, as none was frozen: figures at the frozen threshold are unknown; "
            "evaluate a development set into the same folder first, or give --threshold"
        )
    return frozen[0], f"frozen on {frozen[1]}"


def _one_a_line(rows: Sequence[object]) -> str:
    """Return a JSON list with a result a line."""
    return "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n"


class _writing:
    """Turns what the disk refuses into a ConfigError that names the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, _: object) -> None:
        if isinstance(err, OSError):
            raise ConfigError(f"--out {self._folder}: cannot be written: {err.strerror or err}") from err
