"""The gate lets a good run pass, and says what is wrong with others; bench/overfit_gate.py measures it at large."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.gate_cases import good
from bench.painted_scenes import SCENES, painted
from bench.seeded_bugs import SEEDED, narrowed
from core.errors import ConfigError
from training.detection_scores import Found
from training.finetune.batch_checks import check_batch
from training.finetune.batches import Batch, Target
from training.finetune.box_fit import check_fit
from training.finetune.by_heart import judged
from training.finetune.gate_plans import GateSettings, chosen
from training.finetune.overfit import overfit_gate


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def run(case, settings=None):
    return overfit_gate(case.make_net, case.batch, settings, case.make_optimiser, case.take_step)


def test_a_good_run_passes_and_leaves_no_trace():
    case = good("small traynet", "painted", 0)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    pixels = [image.clone() for image in case.batch.images]
    classes = [target.classes.clone() for target in case.batch.targets]
    result = run(case)
    assert result.passed, result.reasons
    assert result.skipped == ()
    assert result.loss[1] < 0.4 * result.loss[0]
    assert result.seconds < 10
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(case.batch.images, pixels, strict=True))
    assert all(torch.equal(t.classes, c) for t, c in zip(case.batch.targets, classes, strict=True))


@pytest.mark.parametrize(
    ("bug", "word"),
    [
        ("net normalises a second time", "normalised twice"),
        ("net takes BGR", "channels exchanged"),
        ("head frozen by mistake", "no one froze them"),
        ("batch norm in inference while training", "inference mode"),
        ("box loss detached", "box carries no gradient"),
        ("wrong sign of a loss", "sign is wrong"),
        ("prior of the bias lost", "lost prior"),
        ("optimiser made before the head", "another net"),
        ("learning rate 0", "must be above 0"),
        ("gradients clipped to nothing", "clipped or scaled from"),
        ("losses shift the classes", r"right class \(mostly off by"),
    ],
)
def test_a_mistake_is_called_by_its_name(bug, word):
    result = run(SEEDED[bug]())
    assert not result.passed
    assert any(re.search(word, reason) for reason in result.reasons), result.reasons


def changed(batch, images=None, **fields):
    images = batch.images if images is None else images
    return replace(
        batch, images=images, targets=[replace(t, **{k: f(t) for k, f in fields.items()}) for t in batch.targets]
    )


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda b: changed(b, [i * 255 for i in b.images]), "divide by 255 once"),
        (lambda b: changed(b, [i - 0.5 for i in b.images]), "the loader must not"),
        (lambda b: changed(b, [i / 255 for i in b.images]), "more than once"),
        (lambda b: changed(b, [i * 0 + 0.5 for i in b.images]), "show nothing"),
        (lambda b: changed(b, [i.half() * float("nan") for i in b.images]), "not finite"),
        (lambda b: changed(b, [(i * 255).byte() for i in b.images]), "floats"),
        (lambda b: replace(b, images=b.images[:1] * 8), "same one"),
        (lambda b: changed(b, boxes=lambda t: t.boxes[:, [2, 1, 0, 3]]), "is empty"),
        (lambda b: changed(b, boxes=lambda t: t.boxes * 3), "reaches out"),
        (lambda b: changed(b, boxes=lambda t: t.boxes / 400), "relative"),
        (lambda b: changed(b, classes=lambda t: t.classes + 1), "count from 0"),
        (lambda b: changed(b, classes=lambda t: t.classes - 1), "class -1"),
        (lambda b: replace(b, targets=b.targets[1:]), "8 pictures and 7 targets"),
    ],
)
def test_a_batch_is_looked_at_before_any_net_sees_it(change, word):
    batch = painted(1, 5)
    assert check_batch(batch, 5) == []
    wrong = check_batch(change(batch), 5)
    assert wrong
    assert word in wrong[0]


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("seed", [21, 22])
def test_no_kind_of_picture_raises_a_false_alarm(scene, seed):
    assert check_batch(painted(seed, 5, scene), 5) == []


@pytest.mark.parametrize("scene", ["painted", "flat on noise", "plain on weave", "transparent", "night"])
@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda image: image.flip(2), "mirrored left to right"),
        (lambda image: image.flip(1), "mirrored top to bottom"),
        (narrowed, "narrowed"),
    ],
)
def test_boxes_are_doubted_whether_things_are_rougher_or_smoother_than_the_counter(scene, change, word):
    # Eight pictures do not always suffice to be sure: most batches must be doubted, and none for another reason.
    said = []
    for seed in (1002, 1003, 1004):
        batch = painted(seed, 5, scene)
        said += check_fit(changed(batch, [change(image) for image in batch.images]))
    # In the dark, what is narrowed still fits nearly as well: there one batch of three is all that is promised.
    assert len(said) >= (1 if (scene, word) == ("night", "narrowed") else 2)
    assert all(word in wrong for wrong in said)


def test_few_pictures_or_none_with_objects_prove_nothing():
    batch = painted(1, 5, count=2)
    assert check_fit(changed(batch, [image.flip(2) for image in batch.images])) == []
    empty = changed(
        batch, boxes=lambda t: t.boxes[:0], classes=lambda t: t.classes[:0], ignored=lambda t: t.ignored[:0]
    )
    case = replace(good("small traynet", "painted", 1), batch=empty)
    result = run(case)
    assert result.passed
    assert "no picture of the batch has an object" in result.skipped[0]


def test_pictures_with_a_few_objects_are_learnt_and_both_ends_of_the_classes_are_among_them():
    batch = painted(2, 9)
    batch = changed(batch, classes=lambda t: t.classes.clamp(1, 7))
    images, targets = chosen(batch, GateSettings(), 160, 9)
    assert len(images) == 2
    names = torch.cat([target.classes for target in targets]).tolist()
    assert {0, 8} <= set(names)
    _, tiny = chosen(batch, GateSettings(least_side=500), 160, 9)
    assert all(bool(target.ignored.all()) for target in tiny)


def test_what_is_said_is_compared_with_what_was_learnt():
    boxes = np.array([[10, 30, 50, 60], [60, 10, 90, 60]], dtype=np.float32)
    target = Target(torch.from_numpy(boxes), torch.tensor([1, 2]), torch.tensor([False, False]))
    scores = np.array([0.9, 0.8], dtype=np.float32)

    def said(found_boxes, classes):
        return judged([Found(found_boxes, scores, np.array(classes))], [target], GateSettings())

    assert said(boxes, [1, 2]) == []
    assert "0 of 2 found objects have the right class (mostly off by +1)" in said(boxes, [2, 3])[0]
    nothing = Found(boxes[:0], scores[:0], np.array([], dtype=np.int64))
    (reason,) = judged([Found(boxes, scores, np.array([1, 2])), nothing], [target] * 2, GateSettings())
    assert "0 of 2 objects of picture 1 are found, and 2 of 4 in all" in reason
    (reason,) = said(boxes[:, [1, 0, 3, 2]], [1, 2])
    assert "0 of 2 objects are found" in reason
    assert "surest detection [30.0, 10.0, 60.0, 50.0]" in reason


def test_a_net_without_time_to_learn_is_not_refused_but_said_to_be_unchecked():
    result = run(good("small traynet", "painted", 0), GateSettings(budget_s=0.0))
    assert result.passed, result.reasons
    assert any("learning by heart: only 0 of 60" in why for why in result.skipped)


def test_a_mistake_in_the_settings_is_not_taken_for_one_of_the_net():
    def make_net():
        raise ConfigError("size 60x60")

    with pytest.raises(ConfigError):
        overfit_gate(make_net, Batch([], [], []))


@pytest.mark.slow
def test_a_heavy_net_is_checked_but_for_its_detections():
    result = run(good("retinanet_resnet50_fpn", "painted", 1))
    assert result.passed, result.reasons
    assert any("too slow" in why for why in result.skipped)
