"""Several sources in one run: their shares of a batch, what is chosen by, and a resume to the same weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ConfigError
from tests.unit.training.test_traynet_run import SIZE, TINY, Stopped, blocks, weights_of
from training import train_traynet
from training.assign import NO_CLASS, UNKNOWN_CLASS
from training.augment import Look
from training.synthetic_set import Pictures
from training.train_traynet import Source, balanced, batch_at, dealt, train, validate_items
from training.traynet import decode_boxes, grid


def classless(count: int, seed: int, label: int = NO_CLASS) -> Pictures:
    pictures = blocks(count, seed)
    for classes in pictures.classes:
        classes[:] = label
    return pictures


def two_sources() -> list[Source]:
    return [Source(blocks(10, 1), 3), Source(classless(8, 4, UNKNOWN_CLASS), 1, Look((-0.4, 0.2), turns=True))]


@given(batch=st.integers(4, 64), shares=st.lists(st.floats(0.01, 20), min_size=1, max_size=4))
def test_a_batch_is_dealt_whole_and_nobody_is_left_out(batch: int, shares: list[float]) -> None:
    counts = dealt(batch, shares)
    assert sum(counts) == batch
    assert min(counts) >= 1
    for count, share in zip(counts, shares, strict=True):
        wanted = batch * share / sum(shares)
        assert count < wanted + 1 + 1e-6 or count == 1
        assert count > wanted - len(shares) - 1


def test_shares_of_the_recipe() -> None:
    assert dealt(16, [9, 7]) == [9, 7]
    assert dealt(16, [8, 4, 2, 2]) == [8, 4, 2, 2]
    assert dealt(4, [8, 4, 4]) == [2, 1, 1]
    assert dealt(5, [1.0]) == [5]


def test_a_batch_smaller_than_the_sources_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"batch of 4.*5 sources"):
        train([Source(blocks(2, 1))] * 5, blocks(2, 2), TINY, tmp_path)


def test_sources_have_their_own_order_and_variation() -> None:
    row = np.arange(12)
    first, second = (batch_at(3, row, 8, (1, number)) for number in (0, 1))
    assert [i for i, _ in first] != [i for i, _ in second]
    assert [rng.random() for _, rng in first] != [rng.random() for _, rng in second]
    assert [i for i, _ in batch_at(3, row, 8, (1, 0))] == [i for i, _ in first]


def test_pictures_without_classes_are_all_alike_common() -> None:
    np.testing.assert_array_equal(balanced(classless(9, 3)), np.arange(9))


def test_each_batch_holds_every_source_in_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[tuple[int, ...]]] = []
    monkeypatch.setattr(train_traynet, "_check_finite", lambda losses, step, where: seen.append(where))
    lines: list[Mapping[str, Any]] = []
    train(two_sources(), blocks(3, 2), TINY, tmp_path, on_round=lines.append)
    assert len(seen) == 8
    assert all([number for number, _, _ in where] == [0, 0, 0, 1] for where in seen)
    assert len({where[-1] for where in seen}) == 8  # eight pictures, one a step: all of them once
    assert all(np.isfinite(line["loss"]) and line["loss_cls"] > 0 for line in lines)
    record = json.loads((tmp_path / "run.json").read_text())
    assert [part["pictures"] for part in record["data"]["train"]] == [10, 8]


def test_a_run_of_two_sources_killed_between_rounds_ends_as_one_left_alone(tmp_path: Path) -> None:
    items = classless(3, 9)
    calm = train(two_sources(), blocks(3, 2), TINY, tmp_path / "calm", item_set=items)

    def cut(line: Mapping[str, Any]) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        train(two_sources(), blocks(3, 2), TINY, tmp_path / "cut", on_round=cut, item_set=items)
    again = train(two_sources(), blocks(3, 2), TINY, tmp_path / "cut", resume=True, item_set=items)
    for name in ("last.pt", "best.pt"):
        one, other = weights_of(calm.with_name(name)), weights_of(again.with_name(name))
        assert all(torch.equal(one[key], other[key]) for key in one)


class FixedNet:
    """Finds what it is told to: (box, logit) in the stride-8 cells, nothing elsewhere; the classes say nothing."""

    def __init__(self, answers: list[list[tuple[list[float], float]]], size: tuple[int, int]) -> None:
        self.answers, self.size, self.seen = answers, size, 0

    def eval(self) -> None:
        """Do nothing."""

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        assert images.shape[-2:] == (self.size[1], self.size[0])
        cells, strides = grid(self.size[1], self.size[0])
        raw = torch.full((1, len(cells), 8), -12.0)
        for at, (box, logit) in enumerate(self.answers[self.seen]):
            b = torch.tensor(box)
            raw[0, at, :2] = (b[:2] + b[2:]) / 2 / strides[at] - cells[at]
            raw[0, at, 2:4] = ((b[2:] - b[:2]) / strides[at]).log()
            raw[0, at, 4] = logit
        torch.testing.assert_close(decode_boxes(raw, cells, strides)[0, 0], torch.tensor(self.answers[self.seen][0][0]))
        self.seen += 1
        return raw


def test_items_are_scored_without_classes() -> None:
    pictures = classless(4, 7)
    truth = [[(box.tolist(), 3.0) for box in boxes] for boxes in pictures.boxes]
    objects = sum(len(boxes) for boxes in truth)
    assert validate_items(FixedNet(truth, (96, 64)), pictures) == {"item_ap50": 1.0, "item_recall20": 1.0}  # type: ignore[arg-type]
    short = [*truth[:3], [([60.0, 40.0, 90.0, 60.0], 3.0)]]  # nothing of the last picture, and one from nothing
    scores = validate_items(FixedNet(short, (96, 64)), pictures)  # type: ignore[arg-type]
    assert scores["item_recall20"] == pytest.approx((objects - len(truth[3])) / objects, abs=1e-4)
    assert 0 < scores["item_ap50"] < 1
    few = validate_items(FixedNet(truth, (96, 64)), pictures, most=1)  # type: ignore[arg-type]
    assert few["item_recall1"] == pytest.approx(4 / objects, abs=1e-4)


def test_the_item_set_takes_part_in_the_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lanes get better from round to round, items get worse: with items the first weights are the best."""
    lanes, recalls = iter([0.5, 0.6] * 2), iter([0.9, 0.1])
    monkeypatch.setattr(
        train_traynet, "validate", lambda *_: {"ap50": next(lanes), "class_accuracy": 1.0, "ap50_easy": 0.0}
    )
    monkeypatch.setattr(train_traynet, "validate_items", lambda *_: {"item_ap50": 0.5, "item_recall20": next(recalls)})
    lines: list[Mapping[str, Any]] = []
    train([Source(blocks(4, 1))], blocks(2, 2), TINY, tmp_path / "items", item_set=blocks(2, 3), on_round=lines.append)
    train([Source(blocks(4, 1))], blocks(2, 2), TINY, tmp_path / "plain")
    steps = {
        name: torch.load(tmp_path / name / "best.pt", weights_only=True)["progress"]["step"]
        for name in ("items", "plain")
    }
    assert steps == {"items": 4, "plain": 8}
    assert [line["item_recall20"] for line in lines] == [0.9, 0.1]


def test_pictures_of_any_size_are_validated_on_a_canvas_of_their_own() -> None:
    pictures = blocks(2, 7)
    odd = Pictures(
        [pictures.images[0][:, :, :70]],
        pictures.where,
        [np.array([[2, 2, 20, 20]], np.float32)] * 2,
        [np.full(1, UNKNOWN_CLASS)] * 2,
        [np.ones(1, np.float32)] * 2,
        pictures.presets,
        pictures.seeds,
        pictures.labels,
        pictures.sha256,
    )
    answers = [[([2.0, 2.0, 20.0, 20.0], 2.0)]] * 2
    assert validate_items(FixedNet(answers, (96, 64)), odd)["item_recall20"] == 1.0  # type: ignore[arg-type]
    assert SIZE == (96, 64)
