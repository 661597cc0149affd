"""The learning curve from a set to its files, for classifiers and for detectors."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from dataset.reading import Format
from training.finetune.checkpoints import write_whole
from training.finetune.run_record import machine, now_utc, run_folder, versions, write_record
from training.learning_curve.outcome import Outcome, outcome_of
from training.learning_curve.points import Tell
from training.learning_curve.record import CurveRecord
from training.learning_curve.report import render
from training.learning_curve.settings import CurveSettings
from training.learning_curve.tables import as_csv, as_json
from training.patches.training import exact
from training.revision import commit

TABLE, SCORES, REPORT = "points.csv", "scores.json", "report.html"


@dataclass(frozen=True)
class Job:
    """What a learning curve is asked for.

    Attributes:
        data: the set.
        out: folder of the results.
        settings: all else that the result depends on.
        weights: classification: files of weights by net, beside those of TRAYLANE_DATA.
        init: detection: what the pretrained start begins from.
        format: detection: of the set.
        overwrite: throw away what runs before left in `out`.
    """

    data: Path
    out: Path
    settings: CurveSettings
    weights: dict[str, Path]
    init: str = ""
    format: Format = "auto"
    overwrite: bool = False


def learning_curve(job: Job, tell: Tell) -> Outcome:
    """Run every point; return what they say, which is also in points.csv, scores.json and report.html.

    Raises:
        ConfigError: a model or class is unknown, or a pretrained start has no weights.
        DataError: the set cannot be used.
        ModelError: weights do not fit, or a run breaks.
        FolderUnusable: results cannot be written.
    """
    # Imported here, as only one of both is needed.
    from training.learning_curve.detection import detector_curves
    from training.learning_curve.photos import classifier_curves, weights_told

    settings = job.settings
    detects = settings.task == "detection"
    with run_folder(job.out), exact(settings.threads):
        record = CurveRecord(
            parameters=settings,
            weights=job.init if detects else weights_told(settings, job.weights),
            git=commit(),
            machine=machine(),
            versions=versions(),
            load=os.getloadavg(),
            started_utc=now_utc(),
        )
        write_record(job.out, record)
        if detects:
            points = detector_curves(job.data, job.format, job.init, job.out, settings, job.overwrite, tell)
        else:
            points = classifier_curves(job.data, job.out, job.weights, settings, job.overwrite, tell)
        outcome = outcome_of(points, settings)
        record = record.model_copy(update={"data": points.data})
        write_whole(job.out / TABLE, as_csv(outcome))
        write_whole(job.out / SCORES, as_json(outcome))
        write_whole(job.out / REPORT, render(outcome, record))
        write_record(job.out, record.model_copy(update={"status": "finished", "ended_utc": now_utc()}))
    return outcome
