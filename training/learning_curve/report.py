"""One self-contained HTML page about a learning curve: what follows, the curve, every size, how many more."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from training.evaluation.wording import shown
from training.learning_curve.charts import curve_chart
from training.learning_curve.outcome import Outcome
from training.learning_curve.power_law import MOST_AHEAD
from training.learning_curve.record import CurveRecord
from training.learning_curve.wording import TITLES, sentences
from training.shootout.report import environment
from training.shootout.wording import interval


def render(outcome: Outcome, record: CurveRecord) -> str:
    """Return the page."""
    charts = {name: curve_chart(outcome, name) for name in outcome.points.runs}
    return (
        environment(Path(__file__).parent)
        .get_template("report.html")
        .render(
            o=outcome,
            p=outcome.points,
            mains=[one for one in outcome.curves if one.score == outcome.points.score],
            record=record,
            settings=record.parameters,
            sentences=sentences(outcome),
            warnings=list(outcome.points.warnings),
            charts={name: Markup(chart) for name, chart in charts.items()},  # noqa: S704 - made by us
            titles=TITLES,
            most_ahead=MOST_AHEAD,
            shown=shown,
            interval=interval,
        )
    )
