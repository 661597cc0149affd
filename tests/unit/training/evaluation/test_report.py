"""The report: everything in one page, safe names, honest about what is unknown; and which errors it picks."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import FormatError
from dataset.records import DetectionSet
from models.gate import judge
from tests.unit.training.evaluation.scenes import BOX, FAR, found, noisy, random_set, sample, set_of
from training.detection_scores import Found
from training.evaluation.report import Origin, Rival, figure_rows, mix_ups, render
from training.evaluation.scores import detail, summary
from training.evaluation.wording import percent
from training.evaluation.worst import marks_of, worst_errors

ORIGIN = Origin("net@2", "a" * 64, "c0ffee+", "2026-01-01T00:00:00+00:00", "traylane evaluate net@2", "given")
NEAR = (0.0, 0.0, 10.0, 4.0)  # IoU 0.4 with BOX


def grey(_: Path) -> NDArray[np.uint8]:
    return np.full((400, 400, 3), 90, dtype=np.uint8)


def page(wanted: DetectionSet, detections: list[Found], frozen: float | None = 0.4, **more: object) -> str:
    measured = detail(detections, wanted, frozen)
    scores = summary(measured, wanted, wanted.name, "holdout")
    return render(measured, wanted, scores, ORIGIN, grey, **more)  # type: ignore[arg-type]


def test_a_page_holds_all_parts_and_needs_nothing_else() -> None:
    wanted = random_set(1, pictures=20)
    html = page(wanted, noisy(wanted, 1))
    for part in ("All figures", "Choosing a threshold", "Precision against recall", "Can scores be trusted?"):
        assert part in html
    for part in ("Where it is weak", "Classes", "What is taken for what", "The worst errors", "Missed objects"):
        assert part in html
    for origin in ("a" * 64, wanted.sha256, "c0ffee+", "traylane evaluate net@2"):
        assert origin in html
    assert "data:image/jpeg;base64," in html
    assert not re.search(r'(?:src|href)="(?!#|data:)', html)
    assert "url(http" not in html
    assert "@import" not in html
    assert html.count("<svg") == html.count("</svg>") > 6
    assert len(set(re.findall(r'\bid="([^"]+)"', html))) == len(re.findall(r'\bid="([^"]+)"', html))


def test_the_same_figures_give_the_same_page() -> None:
    wanted = random_set(2)
    assert page(wanted, noisy(wanted, 2)) == page(wanted, noisy(wanted, 2))


def test_names_cannot_break_the_page() -> None:
    evil = '<script>alert("x")</script>'
    wanted = set_of(sample((BOX, 0), (FAR, 1), name=f"{evil.replace('/', '_')}.png"), labels=(evil, "tea"), name=evil)
    html = page(wanted, [found((BOX, 0.9, 1), (FAR, 0.2, 1))], warnings=[evil])
    assert evil not in html
    assert html.count("<script>") == 1
    assert "&lt;script&gt;" in html


def test_unknown_is_shown_as_unknown() -> None:
    wanted = random_set(3)
    html = page(wanted, [found()] * len(wanted), None)
    assert "finds none of the" in html
    assert "No box with a score of 0.1 or more" in html
    assert "nan" not in re.sub(r"base64,[^\"]*", "", html).lower().split()
    assert "None" not in re.sub(r"<style.*?</style>", "", html, flags=re.DOTALL)


def test_one_class_has_no_talk_of_classes() -> None:
    wanted = random_set(4, classes=1)
    html = page(wanted, noisy(wanted, 4))
    assert "What is taken for what" not in html
    assert "with the right class" not in html
    assert "Class accuracy" not in html


def test_a_picture_that_cannot_be_read_is_told_in_its_place() -> None:
    def broken(path: Path) -> NDArray[np.uint8]:
        raise FormatError(str(path), "cut off")

    wanted = set_of(sample((BOX, 0)))
    measured = detail([found()], wanted, 0.5)
    html = render(measured, wanted, summary(measured, wanted, "s", "holdout"), ORIGIN, broken)
    assert "The picture cannot be read." in html


def test_a_rival_stands_beside_with_the_gates_reasons() -> None:
    from models.gate import ScoreRecord

    wanted = random_set(5)
    ours, theirs = detail(noisy(wanted, 5), wanted, 0.4), detail(noisy(wanted, 6), wanted, 0.4)
    records = [
        ScoreRecord(model=name, weights_sha256=name, evaluated_utc="now", sets=(summary(d, wanted, "s", "holdout"),))
        for name, d in (("net@2", ours), ("net@1", theirs))
    ]
    rival = Rival("net@1", records[1].sets[0], judge(*records))
    html = render(ours, wanted, records[0].sets[0], ORIGIN, grey, rival)
    assert ("May take the place of net@1" in html) is rival.verdict.passed
    assert rival.verdict.reasons[0].split(":")[0] in html
    rows = {row.explained.name: row for row in figure_rows(ours.figures, rival, 3)}
    change = ours.figures["ece"].value - theirs.figures["ece"].value  # type: ignore[operator]
    assert rows["ece"].better is (change < 0)
    assert rows["f1_best_threshold"].better is None


@pytest.mark.parametrize(
    ("row", "kind", "says"),
    [
        ((FAR, 0.9, 0), "false alarm", "“tea” with a score of 0.90 where nothing is labelled"),
        ((BOX, 0.9, 1), "wrong class", "“tea” taken for “bread” with a score of 0.90"),
        ((NEAR, 0.9, 0), "badly placed", "“tea” 0.90 overlaps “tea” by 0.40 only"),
        (((1.0, 1.0, 3.0, 3.0), 0.9, 0), "badly placed", "overlaps “tea” by 0.04 only"),
    ],
)
def test_each_error_has_its_kind_and_its_reason(
    row: tuple[tuple[float, ...], float, int], kind: str, says: str
) -> None:
    measured = detail([found(row)], set_of(sample((BOX, 0))), 0.5)
    kinds = {one.kind: one for one in worst_errors(measured)}
    assert kinds[kind].count == 1  # type: ignore[index]
    assert says in kinds[kind].worst[0].reason  # type: ignore[index]


def test_doubles_and_missed_objects_say_why() -> None:
    wanted = set_of(sample((BOX, 0), (FAR, 1), ((100, 100, 120, 120), 2)))
    seen = found((BOX, 0.9, 0), (BOX, 0.8, 0), (FAR, 0.3, 0))
    kinds = {one.kind: one for one in worst_errors(detail([seen], wanted, 0.5))}
    assert "a second box on “tea”, “tea” 0.80: overlaps it by 1.00, but it is taken" in kinds["double"].worst[0].reason
    assert kinds["missed"].count == 2
    assert kinds["missed"].worst[0].reason == "“soup” is not seen at any score"  # largest first, one a picture
    assert (
        kinds["wrong count"].worst[0].reason
        == "counts 2 instead of 1 × tea, 0 instead of 1 × bread, 0 instead of 1 × soup"
    )
    lone = detail([found((FAR, 0.3, 0))], set_of(sample((FAR, 1))), 0.5)
    missed = next(one for one in worst_errors(lone) if one.kind == "missed")
    assert [(mark.role, mark.text) for mark in marks_of(lone, missed.worst[0])] == [("missed", "missed: bread")]
    assert missed.worst[0].reason == "“bread” is seen as “tea” with a score of 0.30 only; 0.50 is asked"


def test_ignored_objects_are_no_errors_but_are_drawn() -> None:
    wanted = set_of(sample((BOX, 0), (FAR, 0), ignored=[1]))
    measured = detail([found(((0, 0, 10, 9), 0.9, 1), (FAR, 0.9, 0))], wanted, 0.5)
    kinds = worst_errors(measured)
    assert [one.kind for one in kinds] == ["wrong class", "wrong count"]
    marks = marks_of(measured, kinds[0].worst[0])
    assert [mark.role for mark in marks] == ["true", "ignored", "found", "fault"]
    assert marks[-1].text == "bread 0.90"


def test_worst_errors_are_of_different_pictures() -> None:
    wanted = set_of(*[sample((BOX, 0)) for _ in range(9)])
    clutter = found((FAR, 0.9, 0), ((200, 200, 230, 230), 0.8, 0), (BOX, 0.7, 0))
    false = next(k for k in worst_errors(detail([clutter] * 9, wanted, 0.5)) if k.kind == "false alarm")
    assert false.count == 18
    assert len({case.picture for case in false.worst}) == len(false.worst) == 6


def test_mix_ups_are_ordered_and_shares_are_of_the_true_class() -> None:
    confusion = np.array([[5, 3, 0, 2], [1, 9, 0, 0], [0, 0, 4, 0], [1, 1, 1, 0]])
    first, second = mix_ups(confusion, ("tea", "bread", "soup"))
    assert (first.true, first.said, first.count, first.share) == ("tea", "bread", 3, 0.3)
    assert (second.true, second.said, second.count) == ("bread", "tea", 1)


@pytest.mark.parametrize(
    ("share", "said"), [(None, "unknown"), (1.0, "100 %"), (0.998, "99.8 %"), (0.0, "0 %"), (0.914, "91 %")]
)
def test_nearly_all_is_not_all(share: float | None, said: str) -> None:
    assert percent(share) == said
