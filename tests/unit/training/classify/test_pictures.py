"""Which photos are learnt from and which are tested on; what is refused."""

from pathlib import Path

import numpy as np
import pytest

from core.errors import ConfigError, DataError
from dataset.classification import read_photos
from tests.painted_photos import paint_photos
from training.classify.pictures import ClassSet, choose, cut, portion
from training.classify.pixels import batch_at, steps_of_epoch
from training.classify.settings import PhotoSettings

FINE = PhotoSettings(level="fine", least_photos=4)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paint_photos(tmp_path_factory.mktemp("set") / "blocks", 10)


def test_coarse_classes_join_fine_ones_and_photos_are_capped(photos: Path) -> None:
    coarse = choose(read_photos(photos), PhotoSettings(most_photos=12))
    assert coarse.labels == ("cold", "warm")
    assert coarse.counts().tolist() == [12, 12]
    assert choose(read_photos(photos), FINE).labels == ("blue", "orange", "red", "teal")
    named = choose(read_photos(photos), FINE.model_copy(update={"classes": ("teal", "red")}))
    assert named.labels == ("red", "teal")


def test_the_cut_is_by_content_in_each_class_and_nothing_is_on_both_sides(photos: Path, tmp_path: Path) -> None:
    parts = cut(choose(read_photos(photos), FINE), 0.3)
    assert parts.test.counts().tolist() == [3, 3, 3, 3]
    assert parts.train.counts().tolist() == [7, 7, 7, 7]
    train, test = ({p.sha256 for p in part.photos} for part in (parts.train, parts.test))
    assert not train & test
    # Other names, same photos: same parts.
    renamed = tmp_path / "renamed"
    for old in sorted(photos.rglob("*.png")):
        new = renamed / old.relative_to(photos).parent / f"x{99 - int(old.stem):02d}.png"
        new.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(old.read_bytes())
    again = cut(choose(read_photos(renamed), FINE), 0.3)
    assert {p.sha256 for p in again.test.photos} == test


def test_photos_of_one_scene_stay_together(photos: Path) -> None:
    chosen = choose(read_photos(photos), FINE)
    # Pairs of one class show the same moment.
    paired = ClassSet(chosen.name, chosen.labels, chosen.photos, chosen.targets, np.arange(len(chosen)) // 2)
    parts = cut(paired, 0.4)
    assert not set(parts.train.scenes.tolist()) & set(parts.test.scenes.tolist())
    assert parts.test.counts().tolist() == [4, 4, 4, 4]
    one_scene = ClassSet(chosen.name, chosen.labels, chosen.photos, chosen.targets, chosen.targets)
    with pytest.raises(DataError, match="class 'blue' has no photo to be tested on: its 10 photos are 1 scenes"):
        cut(one_scene, 0.3)


def test_portions_are_nested_and_hold_every_class(photos: Path) -> None:
    train = cut(choose(read_photos(photos), FINE), 0.2).train
    sets = [portion(train, share, "curve-1") for share in (0.125, 0.25, 0.5, 1.0)]
    held = [{photo.sha256 for photo in part.photos} for part in sets]
    assert held[0] < held[1] < held[2] < held[3]
    assert [part.counts().tolist() for part in sets] == [[1] * 4, [2] * 4, [4] * 4, [8] * 4]
    assert sets[3].sha256 == train.sha256
    other = portion(train, 0.25, "curve-2")
    assert {photo.sha256 for photo in other.photos} != held[1]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"classes": ("tael", "red")}, ConfigError, "--classes tael: no such class; did you mean 'teal'"),
        ({"classes": ("teal", "red"), "least_photos": 11}, DataError, "class 'teal' has 10 photos, 11 are needed"),
        ({"least_photos": 11}, DataError, "0 classes have 11 photos or more"),
    ],
)
def test_sets_that_cannot_be_used(photos: Path, changes, error, message: str) -> None:
    with pytest.raises(error, match=message):
        choose(read_photos(photos), FINE.model_copy(update=changes))


def test_a_set_without_coarse_classes_is_told_what_to_do(tmp_path: Path, photos: Path) -> None:
    for name in ("red", "blue"):
        (tmp_path / "flat" / name).mkdir(parents=True)
        for i, path in enumerate(sorted(photos.rglob(f"{name}/*.png"))):
            (tmp_path / "flat" / name / f"{i}.png").write_bytes(path.read_bytes())
    with pytest.raises(ConfigError, match="has no coarse classes; tell its classes apart with --level fine"):
        choose(read_photos(tmp_path / "flat"), PhotoSettings())


@pytest.mark.parametrize(("count", "batch"), [(10, 4), (9, 4), (8, 4), (3, 16), (2, 16)])
def test_an_epoch_sees_every_photo_once_and_no_batch_is_a_lone_photo(count: int, batch: int) -> None:
    steps = steps_of_epoch(count, batch)
    for epoch in range(2):
        seen = [batch_at(count, epoch * steps + step, batch, 3) for step in range(steps)]
        assert sorted(np.concatenate(seen).tolist()) == list(range(count))
        assert min(map(len, seen)) >= 2
    assert batch_at(count, 1, batch, 3).tolist() == batch_at(count, 1, batch, 3).tolist()
