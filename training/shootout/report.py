"""One self-contained HTML page about a shoot-out: what follows, fronts, comparisons with intervals, every cell."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from training import classify
from training.evaluation.wording import shown
from training.shootout.charts import front_chart, losses_chart, starts_chart
from training.shootout.outcome import Family, Outcome, front
from training.shootout.record import ShootoutRecord
from training.shootout.wording import interval, p_value, seconds, sentences

FAMILIES: tuple[tuple[Family, str, str], ...] = (
    ("start", "What real weights earn", "Accuracy of the pretrained net above that of the same net from scratch."),
    ("depth", "What fine-tuning all layers earns above a new head", "Both from the same weights."),
    ("schedule", "What cyclical rates earn", "Above a constant rate of the same mean."),
)


def render(outcome: Outcome, record: ShootoutRecord) -> str:
    """Return the page."""
    pages = environment(Path(__file__).parent)
    charts = {
        "train": front_chart(
            outcome, lambda row: row.train_cpu_s, "training, processor seconds", "Accuracy against training time", False
        ),
        "eval": front_chart(
            outcome, lambda row: row.eval_fps, "photos a processor second", "Accuracy against speed", True
        ),
        "starts": starts_chart(outcome),
        "losses": losses_chart(outcome),
    }
    return pages.get_template("report.html").render(
        o=outcome,
        record=record,
        settings=record.parameters,
        sentences=sentences(outcome),
        warnings=list(outcome.warnings),
        charts={name: Markup(chart) for name, chart in charts.items()},  # noqa: S704 - made by us
        families=FAMILIES,
        fronts=(
            front(outcome.rows, lambda row: row.train_cpu_s),
            front(outcome.rows, lambda row: -row.eval_fps),
        ),
        fastest=max(outcome.rows, key=lambda row: row.eval_fps),
        shown=shown,
        interval=interval,
        seconds=seconds,
        p_value=p_value,
    )


def environment(folder: Path) -> Environment:
    """Return what renders pages of a folder that build on `training/classify/page.html`."""
    shared = Path(classify.__path__[0])
    return Environment(
        loader=FileSystemLoader([folder, shared]), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
