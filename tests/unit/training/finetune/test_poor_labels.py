"""Missing and wrong labels: what is believed of them, what the loss makes of it, and that such a run still repeats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit

from bench.label_corruption import flipped, without_some
from core.errors import ConfigError
from dataset.records import DetectionSet
from tests.painted_sets import TINY, painted
from training.assign import Truth
from training.detection_scores import Found
from training.finetune.batches import Target
from training.finetune.belief import Belief, fit_belief, least_belief, true_class, unmixed, wrong_share
from training.finetune.checkpoints import read_pt
from training.finetune.distributed import World
from training.finetune.edge_detector import truth_of
from training.finetune.loop import finetune
from training.finetune.progress import Watchers
from training.finetune.proposals import looked_at
from training.finetune.settings import (
    CheckpointRecipe,
    FinetuneSettings,
    IncompleteRecipe,
    NetRecipe,
    NoisyRecipe,
    OptimiserRecipe,
)
from training.finetune.tutor import TAUGHT, tutor_of
from training.losses import Losses, detection_loss
from training.traynet import grid

SIZE = (64, 64)
CELLS, STRIDES = grid(*SIZE)
CENTRES = (CELLS + 0.5) * STRIDES[:, None]
BOX = [8.0, 8.0, 48.0, 48.0]
INSIDE = ((CENTRES > 8) & (CENTRES < 48)).all(dim=1)


class PowerCut(BaseException):
    """Ends a run at once."""


def target(*objects: tuple[list[float], int, bool], weights: list[float] | None = None) -> Target:
    return Target(
        torch.tensor([box for box, _, _ in objects]).reshape(-1, 4),
        torch.tensor([label for _, label, _ in objects], dtype=torch.int64),
        torch.tensor([ignored for _, _, ignored in objects], dtype=torch.bool),
        None if weights is None else torch.tensor(weights),
    )


def loss_and_gradient(truth: Truth) -> tuple[Losses, torch.Tensor]:
    raw = torch.zeros(1, len(CELLS), 8)
    raw[..., :2] = 0.5
    raw[..., 2:4] = torch.log(40 / STRIDES)[:, None]  # each cell proposes a box of 40 x 40 around itself
    raw.requires_grad_(True)
    losses = detection_loss(raw, truth, CELLS, STRIDES)
    losses.total.backward()  # type: ignore[no-untyped-call]
    assert raw.grad is not None
    return losses, raw.grad[0]


# ---- the loss


def test_a_soft_background_takes_its_share_of_the_gradient_away() -> None:
    def gradient(*weights: float) -> torch.Tensor:
        objects = [(BOX, 0, True)] if weights else []
        return loss_and_gradient(truth_of([target(*objects, weights=list(weights))], [(1.0, 1.0)]))[1][:, 4]

    plain = gradient()
    assert (plain > 0).all()  # without a proposal everything is background
    assert (gradient(1.0)[INSIDE] == 0).all()
    torch.testing.assert_close(gradient(0.7)[INSIDE], 0.3 * plain[INSIDE])
    torch.testing.assert_close(gradient(0.7)[~INSIDE], plain[~INSIDE])


def test_a_pseudo_label_teaches_by_its_weight() -> None:
    def parts(weight: float) -> tuple[Losses, torch.Tensor]:
        both = target((BOX, 1, False), ([50.0, 50.0, 62.0, 62.0], 0, False), weights=[weight, 1.0])
        return loss_and_gradient(truth_of([both], [(1.0, 1.0)]))

    _, whole_gradient = parts(1.0)
    none, none_gradient = parts(0.0)
    mine = INSIDE & (whole_gradient[:, 4] < 0)
    assert mine.any()
    assert (none_gradient[mine, 4] > 0).all()  # nothing is there: background
    assert (none_gradient[mine, :4] == 0).all()  # and its box and class teach nothing
    assert (none_gradient[mine, 5:] == 0).all()
    unlabelled = loss_and_gradient(truth_of([target(([50.0, 50.0, 62.0, 62.0], 0, False))], [(1.0, 1.0)]))[0]
    torch.testing.assert_close(none.total, unlabelled.total)


def test_without_doubt_the_loss_is_what_it_was() -> None:
    plain = target((BOX, 1, False), ([50.0, 50.0, 62.0, 62.0], 0, True))
    sure = Target(plain.boxes, plain.classes, plain.ignored, torch.ones(2), torch.eye(3)[plain.classes])
    one, a = loss_and_gradient(truth_of([plain], [(1.0, 1.0)]))
    two, b = loss_and_gradient(truth_of([sure], [(1.0, 1.0)]))
    assert torch.equal(one.total, two.total)
    assert torch.equal(a, b)


def test_class_probabilities_are_what_the_classes_are_drawn_to() -> None:
    unsure = Target(*(getattr(target((BOX, 0, False)), name) for name in ("boxes", "classes", "ignored")))
    unsure = Target(unsure.boxes, unsure.classes, unsure.ignored, None, torch.tensor([[0.25, 0.75, 0.0]]))
    _, gradient = loss_and_gradient(truth_of([unsure], [(1.0, 1.0)]))
    per_class = gradient[:, 5:].sum(dim=0)  # sigmoid(0) = 0.5 less its target, by weight
    assert per_class[0] > 0 > per_class[1]
    torch.testing.assert_close(per_class[0], -per_class[1])


# ---- belief


def proposals(labelled: float, count: int, seed: int) -> tuple[Any, Any, Any]:
    """Return scores, which are objects, and which of these have a label: two humps, as of a detector."""
    rng = np.random.default_rng(seed)
    there = rng.random(count) < 0.6
    scores = expit(np.where(there, rng.normal(1.0, 1.0, count), rng.normal(-3.0, 1.0, count)))
    return scores, there, there & (rng.random(count) < labelled)


@pytest.mark.parametrize("labelled", [0.5, 0.75, 0.95])
def test_the_labelled_share_and_the_belief_are_found_again(labelled: float) -> None:
    scores, there, explained = proposals(labelled, 4000, 3)
    belief = fit_belief(scores, explained)
    assert belief.labelled == pytest.approx(labelled, abs=0.04)
    free = ~explained
    told = belief.unlabelled(scores[free])
    for low, high in ((0.0, 0.2), (0.2, 0.6), (0.6, 1.0)):
        rows = (told >= low) & (told < high)
        if rows.sum() > 150:
            assert told[rows].mean() == pytest.approx(there[free][rows].mean(), abs=0.08)


def test_a_known_share_is_kept() -> None:
    scores, _, explained = proposals(0.5, 500, 4)
    assert fit_belief(scores, explained, 0.6).labelled == 0.6


def test_complete_labels_leave_nothing_to_believe_in() -> None:
    scores, there, _ = proposals(1.0, 3000, 5)
    belief = fit_belief(scores, there)
    assert belief.labelled > 0.97
    assert belief.unlabelled(scores[~there]).mean() < 0.02


def test_pseudo_labels_are_as_precise_as_asked_for_and_capped() -> None:
    beliefs, classes = np.array([0.95, 0.9, 0.6, 0.55, 0.4, 0.99, 0.98, 0.97]), np.array([0, 0, 0, 0, 0, 1, 1, 1])
    least = least_belief(beliefs, classes, np.array([100.0, 1.0, 5.0]), precision=0.8, most=2.0)
    assert least[0] == 0.6  # the mean of .95 .9 .6 is .817, with .55 it is .75
    assert least[1] == 0.98  # two times one
    assert least[2] == 0.5  # nobody saw any: the floor
    strict = least_belief(beliefs, classes, np.array([100.0, 1.0, 5.0]), precision=0.999, most=2.0)
    assert (strict[:2] > [0.95, 0.99]).all()


def test_a_label_yields_only_to_a_teacher_that_is_surer() -> None:
    q = np.array([[0.05, 0.95], [0.3, 0.7], [0.9, 0.1]])
    r = true_class(q, np.array([0, 0, 0]), noise=0.2)
    np.testing.assert_allclose(r[0], np.array([0.05 * 0.8, 0.95 * 0.2]) / (0.05 * 0.8 + 0.95 * 0.2))
    assert r.argmax(axis=1).tolist() == [1, 0, 0]
    np.testing.assert_allclose(true_class(q, np.array([0, 0, 0]), noise=0.0), [[1, 0]] * 3)


@pytest.mark.parametrize("wrong", [0.0, 0.1, 0.3])
def test_the_share_of_wrong_labels_is_told_by_what_is_said_at_the_surest(wrong: float) -> None:
    rng = np.random.default_rng(6)
    true = rng.integers(0, 8, 2000)
    given = np.where(rng.random(2000) < wrong, (true + rng.integers(1, 8, 2000)) % 8, true)
    sharp = rng.beta(20, 1, 2000)[:, None]  # how sure a net with clean labels would be
    q = np.where(np.eye(8, dtype=bool)[true], sharp, (1 - sharp) / 7)
    said = (1 - wrong) * q + wrong / 7 * (1 - q)  # a net that learnt from the wrong ones, too
    told = wrong_share(said, given)
    assert told == pytest.approx(max(wrong, 0.005), abs=0.02)
    np.testing.assert_allclose(unmixed(said, wrong), q, atol=0.03)
    kept = true_class(unmixed(said, told), given, told).argmax(axis=1)
    assert (kept != true).mean() <= 0.1 * wrong + 0.005


def test_a_net_that_is_unsure_of_everything_calls_no_label_wrong() -> None:
    said = np.full((100, 4), 0.2) + 0.2 * np.eye(4)[np.arange(100) % 4]
    assert wrong_share(said, np.arange(100) % 4) == 0.005


# ---- proposals


def found(*boxes: tuple[list[float], float]) -> Found:
    scores = np.array([score for _, score in boxes], dtype=np.float32)
    places = np.array([box for box, _ in boxes], dtype=np.float32)
    return Found(places, scores, np.zeros(len(boxes), dtype=np.int64))


def test_only_what_no_label_explains_is_a_proposal() -> None:
    labels = target(([0.0, 0.0, 20.0, 20.0], 0, False), ([100.0, 0.0, 140.0, 40.0], 0, True))
    sight = looked_at(
        found(
            ([0.0, 0.0, 20.0, 19.0], 0.9),  # 0: the label
            ([4.0, 4.0, 24.0, 24.0], 0.8),  # 1: a bad box of it
            ([5.0, 5.0, 9.0, 9.0], 0.7),  # 2: a part of it
            ([50.0, 50.0, 70.0, 70.0], 0.4),  # 3: something else, and
            ([52.0, 50.0, 72.0, 70.0], 0.6),  # 4: the same, seen better
            ([105.0, 5.0, 120.0, 20.0], 0.9),  # 5: on an ignored object
        ),
        labels,
    )
    assert sight.free.tolist() == [4]
    assert sight.of_label.tolist() == [0, -1]


def test_nothing_seen_and_nothing_labelled_is_no_trouble() -> None:
    nothing = Found(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    assert looked_at(nothing, target((BOX, 0, False))).of_label.tolist() == [-1]
    assert looked_at(found((BOX, 0.5)), target()).free.tolist() == [0]


def test_belief_is_monotone_and_within_bounds() -> None:
    belief = Belief(1.5, 0.3, 0.4)
    told = belief.unlabelled(np.linspace(0, 1, 50))
    assert (np.diff(told) >= 0).all()
    assert (told >= 0).all()
    assert (told <= 1).all()
    assert (told <= belief.there(np.linspace(0, 1, 50))).all()  # that nobody labelled it never speaks for it


# ---- runs


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[DetectionSet, DetectionSet]:
    folder = tmp_path_factory.mktemp("painted")
    return painted(folder / "train", 24, 1), painted(folder / "validation", 6, 2)


def recipe(**values: Any) -> FinetuneSettings:
    base = {"steps": 60, "optimiser": OptimiserRecipe(rate=0.01), "checkpoints": CheckpointRecipe(every_steps=7)}
    return TINY.model_copy(update={**base, **values})


POOR = {
    "incomplete": recipe(incomplete=IncompleteRecipe(on=True, run_in=0.5)),
    "noisy": recipe(noisy=NoisyRecipe(on=True, run_in=0.5)),
    "all": recipe(
        incomplete=IncompleteRecipe(on=True, run_in=0.4), noisy=NoisyRecipe(on=True, run_in=0.5), logit_adjustment=1.0
    ),
}


@pytest.mark.parametrize("name", POOR)
def test_such_a_run_repeats_and_resumes_byte_by_byte(
    sets: tuple[DetectionSet, DetectionSet], tmp_path: Path, name: str
) -> None:
    settings = POOR[name]
    poor = flipped(without_some(sets[0], 1, 0.4), 1, 0.2), sets[1]

    def cut(step: int, planned: int, loss: float) -> None:
        if step == 45:
            raise PowerCut

    for run in ("one", "two"):
        finetune(*poor, settings, tmp_path / run)
    with pytest.raises(PowerCut):
        finetune(*poor, settings, tmp_path / "cut", watchers=Watchers(stepped=cut))
    finetune(*poor, settings, tmp_path / "cut", resume=True)
    for other in ("two", "cut"):
        for file in ("metrics.jsonl", "best.pt"):
            assert (tmp_path / "one" / file).read_bytes() == (tmp_path / other / file).read_bytes(), (other, file)
    kept, again = (read_pt(tmp_path / run / "last.pt") for run in ("one", "cut"))
    assert all(torch.equal(kept["net"][key], again["net"][key]) for key in kept["net"])
    assert torch.equal(kept["tutor"]["looks"], again["tutor"]["looks"])
    lines = [json.loads(line) for line in (tmp_path / "one" / "metrics.jsonl").read_text().splitlines()]
    assert all(key in line for line in lines for key in TAUGHT)
    if settings.incomplete.on:
        assert lines[0]["pseudo_boxes"] == 0  # the run-in
        assert max(line["soft_boxes"] + line["pseudo_boxes"] for line in lines) > 0
    parts = sum(value for key, value in lines[-1].items() if key.startswith("loss_"))
    assert lines[-1]["loss"] == pytest.approx(parts, abs=1e-5)


def test_labels_that_are_as_they_should_be_are_hardly_touched(
    sets: tuple[DetectionSet, DetectionSet], tmp_path: Path
) -> None:
    settings = recipe(steps=90, incomplete=IncompleteRecipe(on=True), noisy=NoisyRecipe(on=True))
    finetune(*sets, settings, tmp_path)
    last = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["labelled_share"] > 0.9
    assert last["pseudo_boxes"] < 0.5
    assert last["corrected_labels"] < 0.5


def test_what_a_net_cannot_do_is_refused() -> None:
    class Plain:
        arch, labels, takes_doubt = "ssd300_vgg16", ("a", "b"), False

    net: Any = Plain()
    with pytest.raises(ConfigError, match="noisy: the loss of ssd300_vgg16"):
        tutor_of(recipe(noisy=NoisyRecipe(on=True)), net, 10, World())
    with pytest.raises(ConfigError, match="without torchrun"):
        tutor_of(recipe(incomplete=IncompleteRecipe(on=True)), net, 10, World(0, 2))
    assert tutor_of(recipe(incomplete=IncompleteRecipe(on=True)), net, 10, World()) is not None
    assert tutor_of(recipe(), net, 10, World()) is None


@pytest.mark.parametrize("arch", ["ssdlite320_mobilenet_v3_large"])
def test_a_net_of_torchvision_learns_from_whole_pseudo_labels(
    sets: tuple[DetectionSet, DetectionSet], tmp_path: Path, arch: str
) -> None:
    settings = recipe(
        net=NetRecipe(arch=arch, size=(96, 96)),
        steps=4,
        incomplete=IncompleteRecipe(on=True, labelled=0.5),
        logit_adjustment=1.0,
    )
    record = finetune(without_some(sets[0], 1, 0.5), sets[1], settings, tmp_path)
    assert record.status == "finished"
