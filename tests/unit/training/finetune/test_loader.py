"""Batches follow from the step alone; ranks share them out; workers change nothing; what is broken stops the run."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import DataError
from dataset.records import DetectionSet, Sample
from tests.unit.training.finetune.blocks import LABELS, write_set
from training.finetune.augmentations import AugmentSettings
from training.finetune.batches import Batch
from training.finetune.contact_sheet import main as contact_sheet
from training.finetune.contact_sheet import sheet
from training.finetune.loader import Loader, LoaderSettings
from training.finetune.pictures import Picture

STRONG = AugmentSettings.preset("strong")


@pytest.fixture(scope="module")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> DetectionSet:
    return write_set(tmp_path_factory.mktemp("twelve"), 12)


def same(a: Batch, b: Batch) -> bool:
    """Tell whether two batches are equal to the last bit."""
    return a.where == b.where and all(
        torch.equal(x, y)
        for one, other in zip([*a.targets], [*b.targets], strict=True)
        for x, y in ((one.boxes, other.boxes), (one.classes, other.classes), (one.ignored, other.ignored))
    ) and all(torch.equal(x, y) for x, y in zip(a.images, b.images, strict=True))  # fmt: skip


def test_a_batch_is_what_the_nets_expect(twelve: DetectionSet) -> None:
    batch = Loader(twelve, LoaderSettings(batch=3, size=(64, 48))).batch(0)
    assert [tuple(image.shape) for image in batch.images] == [(3, 48, 64)] * 3
    for image, target in zip(batch.images, batch.targets, strict=True):
        assert image.dtype == torch.float32
        assert image.is_contiguous()
        assert 0 <= float(image.min()) < float(image.max()) <= 1
        assert (target.boxes.dtype, target.classes.dtype, target.ignored.dtype) == (
            torch.float32,
            torch.int64,
            torch.bool,
        )
        assert target.boxes.shape == (4, 4)
        # Red is red: channel and class belong together.
        x1, y1, x2, y2 = target.boxes[0].int().tolist()
        colour = image[:, (y1 + y2) // 2, (x1 + x2) // 2]
        assert colour[0] > 0.9
        assert colour[1] < 0.1
    assert all(Path(where).is_file() for where in batch.where)


def test_a_batch_follows_from_its_step_alone(twelve: DetectionSet) -> None:
    settings = LoaderSettings(batch=2, seed=3)
    forward = [Loader(twelve, settings, STRONG).batch(step) for step in range(4)]
    loader = Loader(twelve, settings, STRONG)
    torch.manual_seed(5)
    for step in (3, 0, 2, 1):
        assert same(loader.batch(step), forward[step])
    resumed = list(loader.batches(2, 4))
    assert [same(a, b) for a, b in zip(resumed, forward[2:], strict=True)] == [True, True]
    assert not same(Loader(twelve, LoaderSettings(batch=2, seed=4), STRONG).batch(0), forward[0])


def test_an_epoch_shows_each_picture_and_no_two_epochs_are_alike(twelve: DetectionSet) -> None:
    loader = Loader(twelve, LoaderSettings(batch=4))
    assert loader.steps_per_epoch == 3
    epochs = [[i for step in range(e * 3, e * 3 + 3) for i in loader.indices(step)] for e in range(3)]
    assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_a_batch_may_reach_into_the_next_round(twelve: DetectionSet) -> None:
    loader = Loader(twelve, LoaderSettings(batch=5))
    assert loader.steps_per_epoch == 3
    row = [i for step in range(12) for i in loader.indices(step)]
    assert all(sorted(row[at : at + 12]) == list(range(12)) for at in range(0, 60, 12))


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_share_out_the_batches_of_one(twelve: DetectionSet, world: int) -> None:
    alone = Loader(twelve, LoaderSettings(batch=2 * world), STRONG)
    ranks = [Loader(twelve, LoaderSettings(batch=2), STRONG, rank, world) for rank in range(world)]
    for step in (0, 1, 5):
        whole, parts = alone.batch(step), [loader.batch(step) for loader in ranks]
        joined = Batch(
            [image for part in parts for image in part.images],
            [target for part in parts for target in part.targets],
            [where for part in parts for where in part.where],
        )
        assert same(joined, whole)
    assert {loader.steps_per_epoch for loader in ranks} == {alone.steps_per_epoch}


def test_once_shows_each_picture_once(twelve: DetectionSet) -> None:
    alone = Loader(twelve, LoaderSettings(batch=5))
    batches = list(alone.once())
    assert [len(batch.images) for batch in batches] == [5, 5, 2]
    assert [where for batch in batches for where in batch.where] == [str(s.image) for s in twelve.samples]
    ranks = [Loader(twelve, LoaderSettings(batch=5), rank=rank, world=2) for rank in range(2)]
    shown = [where for loader in ranks for batch in loader.once() for where in batch.where]
    assert sorted(shown) == sorted(str(s.image) for s in twelve.samples)


def test_rare_classes_come_up_more_often(twelve: DetectionSet) -> None:
    rare = twelve.samples[7]
    samples = tuple(
        s if s is rare else Sample(s.image, s.width, s.height, s.boxes[1:], s.classes[1:], s.ignored[1:])
        for s in twelve.samples
    )
    loader = Loader(DetectionSet("x", LABELS, samples, ""), LoaderSettings(batch=4, repeat=0.8))
    assert loader.steps_per_epoch == 4  # 11 + sqrt(.8 x 12) = 14.1 pictures
    row = [i for step in range(4) for i in loader.indices(step)]
    assert row.count(7) >= 3


def test_pictures_are_scaled_down_in_their_shape(twelve: DetectionSet) -> None:
    small = Loader(twelve, LoaderSettings(batch=1, shuffle=False, longest=48)).batch(0)
    large = Loader(twelve, LoaderSettings(batch=1, shuffle=False)).batch(0)
    assert tuple(small.images[0].shape) == (3, 36, 48)
    assert torch.allclose(small.targets[0].boxes * 2, large.targets[0].boxes)


def test_workers_change_nothing_and_draw_nothing(twelve: DetectionSet) -> None:
    here = Loader(twelve, LoaderSettings(batch=2, seed=8), STRONG)
    theirs = Loader(twelve, LoaderSettings(batch=2, seed=8, workers=2), STRONG)
    state = torch.random.get_rng_state()
    made = list(theirs.batches(1, 5))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert [same(a, b) for a, b in zip(made, here.batches(1, 5), strict=True)] == [True] * 4
    assert list(theirs.batches(5, 5)) == []


class Slow(Loader):
    """Sleeps over each picture, as a network drive that went away does."""

    def _sample(self, index: int, place: int) -> Picture:
        time.sleep(60)
        return super()._sample(index, place)


class Suicidal(Loader):
    """Its worker is killed, as the kernel does when memory runs out."""

    def _sample(self, index: int, place: int) -> Picture:
        os.kill(os.getpid(), signal.SIGKILL)
        return super()._sample(index, place)


def first_of(batches: Iterator[Batch]) -> None:
    next(batches)


def test_a_worker_that_hangs_or_dies_stops_the_run(twelve: DetectionSet) -> None:
    slow = Slow(twelve, LoaderSettings(batch=1, workers=1, timeout_s=1.0))
    started = time.monotonic()
    with pytest.raises(DataError, match=r"gave no batch of .*\.png: it took too long"):
        first_of(slow.batches(0, 3))
    dying = Suicidal(twelve, LoaderSettings(batch=1, workers=1, timeout_s=50))
    with pytest.raises(DataError, match=r"gave no batch of .*DataLoader worker .*Try fewer workers"):
        first_of(dying.batches(0, 3))
    assert time.monotonic() - started < 45


@pytest.mark.parametrize("workers", [0, 1])
def test_a_corrupt_picture_stops_the_run_by_its_name(tmp_path: Path, workers: int) -> None:
    whole = write_set(tmp_path, 3)
    loader = Loader(whole, LoaderSettings(batch=3, workers=workers))
    raw = (tmp_path / "001.png").read_bytes()
    (tmp_path / "001.png").write_bytes(raw[:80])
    with pytest.raises(DataError, match=r"001\.png: the picture is cut off after 80 bytes"):
        first_of(loader.batches(0, 1))


def test_a_picture_that_was_changed_since_is_refused(tmp_path: Path) -> None:
    whole = write_set(tmp_path, 2)
    write_set(tmp_path, 2, width=100)
    with pytest.raises(DataError, match=r"has 100x72 pixels, but its boxes were read for 96x72"):
        Loader(whole, LoaderSettings(batch=1)).batch(0)


def test_an_empty_set_and_wild_arguments_are_refused(twelve: DetectionSet) -> None:
    with pytest.raises(DataError, match="the set is empty"):
        Loader(DetectionSet("none", LABELS, (), ""), LoaderSettings())
    with pytest.raises(ValueError, match="rank 2 of 2"):
        Loader(twelve, LoaderSettings(), rank=2, world=2)
    with pytest.raises(ValueError, match="steps count from 0"):
        Loader(twelve, LoaderSettings()).batch(-1)


def test_a_sheet_shows_each_picture(twelve: DetectionSet) -> None:
    batch = Loader(twelve, LoaderSettings(batch=5)).batch(0)
    drawn = sheet([batch], LABELS)
    assert drawn.shape == (2 * 304, 4 * 404, 3)
    assert np.all(drawn[304:, 404:] == 255)  # three of eight places stay blank
    assert not np.all(drawn[304:608, :400] == 255)


def test_the_sheet_is_written(tmp_path: Path, twelve: DetectionSet) -> None:
    folder = twelve.samples[0].image.parent
    for sample in twelve.samples:
        lines = [
            f"{c} {(b[0] + b[2]) / 192} {(b[1] + b[3]) / 144} {(b[2] - b[0]) / 96} {(b[3] - b[1]) / 72}"
            for b, c in zip(sample.boxes, sample.classes, strict=True)
        ]
        sample.image.with_suffix(".txt").write_text("\n".join(lines))
    (folder / "classes.txt").write_text("\n".join(LABELS))
    contact_sheet(["--data", str(folder), "--out", str(tmp_path / "sheet.png"), "--pictures", "4"])
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
