"""The parts of the embedder's lab: losses against slow loops, batches, augmentation, splits, figures."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from core.errors import ConfigError, DataError, FormatError, ModelMismatch, ModelNotFound
from streams.synthetic.catalogue import DISH_NAMES, kind_named
from tests.shared_data import DATA, DATASETS, needs_datasets
from training.embedding.augmentation import ABOVE, SHOP, Strength, varied
from training.embedding.corpus import Plan, joined
from training.embedding.crop_set import CropSet, crop_set, load, save, shrunk
from training.embedding.evaluation import auroc, class_scores, estimate, few_photos, turned
from training.embedding.lane_crops import (
    DEVELOPMENT_SEEDS,
    LEARNT,
    TAUGHT,
    TRAIN_SEEDS,
    lane_crops,
    teaching_render,
)
from training.embedding.losses import MarginSoftmax, contrast
from training.embedding.net import EmbedderNet, EmbedderShape, load_trunk
from training.embedding.photos import ASIDE_PHOTOS, is_shop, read_shop
from training.embedding.recipe import read_photos
from training.embedding.sampler import Source, batch_at, check_sources, picked_at
from training.embedding.train import EmbedSettings, rate_at
from training.embedding.views import FAMILY, lane_view, made_up_dish, made_up_packet, make_props, teaching_view
from training.synthetic_set import TEST_SEEDS_FROM
from training.synthetic_set import TRAIN_SEEDS as DETECTOR_SEEDS
from training.synthetic_set import VALIDATION_SEEDS as DETECTOR_VALIDATION_SEEDS

PAD = (124, 116, 104)


def units(count: int, dimensions: int = 6, seed: int = 0) -> torch.Tensor:
    vectors = torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(vectors, dim=1)


def painted(classes: int = 8, each: int = 3) -> CropSet:
    rng = np.random.default_rng(3)
    named = [
        (
            f"class {k}",
            np.full((20 + 3 * i, 30, 3), (20 * k, 255 - 20 * k, 90), np.uint8) + rng.integers(0, 9, 3, np.uint8),
        )
        for k in range(classes)
        for i in range(each)
    ]
    return crop_set("painted", named)


# --- losses ----------------------------------------------------------------------------------------------------------


def test_contrast_is_the_formula_of_its_paper() -> None:
    vectors, classes, t = units(7), torch.tensor([0, 0, 1, 1, 1, 2, 0]), 0.1
    losses = []
    for i in range(7):
        partners = [p for p in range(7) if p != i and classes[p] == classes[i]]
        if not partners:
            continue
        below = sum(math.exp(float(vectors[i] @ vectors[a]) / t) for a in range(7) if a != i)
        losses.append(-sum(float(vectors[i] @ vectors[p]) / t - math.log(below) for p in partners) / len(partners))
    assert float(contrast(vectors, classes, t)) == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_contrast_without_a_pair_is_nothing_and_has_a_gradient() -> None:
    vectors = units(3).requires_grad_()
    loss = contrast(vectors, torch.tensor([0, 1, 2]))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert vectors.grad is not None
    assert float(vectors.grad.abs().max()) == 0.0


def test_contrast_pulls_a_class_together() -> None:
    near = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    classes = torch.tensor([0, 0, 1, 1])
    assert float(contrast(near, classes)) < float(contrast(near, torch.tensor([0, 1, 0, 1])))


def test_margin_softmax_asks_for_the_margin() -> None:
    torch.manual_seed(1)
    head = MarginSoftmax(5, 6, scale=20.0, margin=0.3)
    vectors, classes = units(4), torch.tensor([0, 3, 2, 2])
    w = torch.nn.functional.normalize(head.weight.detach(), dim=1)
    losses = []
    for z, y in zip(vectors, classes.tolist(), strict=True):
        logits = [20.0 * (float(z @ w[c]) - (0.3 if c == y else 0.0)) for c in range(5)]
        losses.append(math.log(sum(math.exp(v) for v in logits)) - logits[y])
    assert float(head(vectors, classes).detach()) == pytest.approx(sum(losses) / 4, rel=1e-5)
    head.margin = 0.0
    assert float(head(vectors, classes).detach()) < sum(losses) / 4


# --- batches ---------------------------------------------------------------------------------------------------------


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    sources = [Source(painted(), 3), Source(painted(4), 2, SHOP)]
    pictures, classes = batch_at(5, 1, sources, 2, 48, PAD)
    again, same = batch_at(5, 1, sources, 2, 48, PAD)
    assert pictures.shape == (10, 48, 48, 3)
    assert np.array_equal(pictures, again)
    assert np.array_equal(classes, same)
    assert not np.array_equal(classes, batch_at(6, 1, sources, 2, 48, PAD)[1])
    assert not np.array_equal(pictures, batch_at(5, 2, sources, 2, 48, PAD)[0])
    assert set(classes[:6].tolist()) <= set(range(8))
    assert set(classes[6:].tolist()) <= set(range(8, 12))  # classes are numbered through the sources


def test_a_class_comes_with_so_many_crops_none_twice() -> None:
    source = Source(painted(8, 5), 4)
    picked = picked_at(0, 1, 0, source, 3)
    assert len(picked) == 12
    assert len(set(picked)) == 12
    for number, crop in picked:
        assert source.crops.classes[crop] == number
    few = picked_at(0, 1, 0, Source(painted(8, 2), 4), 3)
    assert len(few) == 12  # two crops cannot be three: one comes twice


def test_siblings_meet_in_a_batch() -> None:
    source = Source(painted(32), 8, family=4)
    classes = [number for number, _ in picked_at(3, 1, 0, source, 2)]
    chosen = list(dict.fromkeys(classes))
    assert len(chosen) == 8
    assert sorted(chosen.count(c) for c in chosen) == [1] * 8
    families = [c // 4 for c in chosen]
    assert all(families.count(f) == 2 for f in families)


def test_sources_that_cannot_fill_a_batch_are_refused() -> None:
    with pytest.raises(DataError, match="painted: has 8 classes, a batch asks for 9"):
        check_sources([Source(painted(), 9)])
    hollow = CropSet("hollow", [], np.zeros(0, np.int64), ("nothing",), np.zeros(0, np.int64))
    with pytest.raises(DataError, match="hollow: no crop of class 'nothing'"):
        check_sources([Source(hollow, 1)])


# --- augmentation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(128, 128, 3), (40, 150, 3), (5, 3, 3), (190, 20, 3)])
@pytest.mark.parametrize("strength", [ABOVE, SHOP])
def test_any_crop_can_be_varied(shape: tuple[int, int, int], strength: Strength) -> None:
    crop = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    before = crop.copy()
    for seed in range(20):
        picture = varied(crop, 64, PAD, np.random.default_rng(seed), strength)
        assert picture.shape == (64, 64, 3)
        assert picture.dtype == np.uint8
    assert np.array_equal(crop, before)


def test_augmentation_stays_in_its_ranges() -> None:
    crop = np.full((80, 80, 3), 128, np.uint8)
    cv2.circle(crop, (40, 40), 12, (255, 0, 0), -1)
    reds, means = [], []
    for seed in range(200):
        picture = varied(crop, 64, PAD, np.random.default_rng(seed), ABOVE).astype(int)
        red = (picture[..., 0] - picture[..., 1] > 50).mean()
        reds.append(red)
        means.append(picture.mean() / 128)
    share = math.pi * 12**2 / 80**2
    assert np.quantile(reds, 0.5) == pytest.approx(share, rel=0.6)  # the thing stays in the picture, about as large
    assert np.mean(np.array(reds) > 0.2 * share) > 0.9  # covered, or out of it: seldom
    assert np.abs(np.log(means)).mean() < 0.5
    assert np.std(means) > 0.05  # and it does vary


def test_words_are_not_mirrored_from_above() -> None:
    assert not ABOVE.mirror


# --- pictures --------------------------------------------------------------------------------------------------------


def test_equal_numbers_are_equal_dishes_and_servings_differ() -> None:
    props = make_props(np.random.default_rng(0), grounds=2, hands=1)
    one, other = (teaching_view(made_up_dish(7), np.random.default_rng(1), props) for _ in range(2))
    assert np.array_equal(one, other)
    serving = teaching_view(made_up_dish(7), np.random.default_rng(2), props)
    assert serving.shape != one.shape or not np.array_equal(serving, one)
    packets = [made_up_packet(4), made_up_packet(4), made_up_packet(5)]
    assert packets[0].seed == packets[1].seed != packets[2].seed


def test_families_have_one_ware_and_different_food() -> None:
    first = [made_up_dish(number) for number in range(FAMILY)]
    assert len({thing.wide_cm for thing in first}) == 1
    assert made_up_dish(FAMILY).wide_cm != first[0].wide_cm


def test_lane_views_are_crops_of_the_lanes_sizes() -> None:
    props = make_props(np.random.default_rng(0), grounds=2, hands=1)
    sizes = [max(lane_view(made_up_dish(n), np.random.default_rng(n), props).shape[:2]) for n in range(6)]
    assert 20 <= min(sizes) <= max(sizes) <= 128


def test_the_catalogue_is_split_once_and_for_all() -> None:
    assert (len(LEARNT), len(TAUGHT)) == (12, 24)
    assert sorted((*LEARNT, *TAUGHT)) == sorted(DISH_NAMES)
    kinds = {kind_named(name).container for name in LEARNT}
    assert kinds == {"plate", "bowl", "cup", "glass", "bottle", "bread", "fruit", "packet"}


def test_seeds_of_nobody_else() -> None:
    taken = (set(DETECTOR_SEEDS), set(DETECTOR_VALIDATION_SEEDS), set(TRAIN_SEEDS), set(DEVELOPMENT_SEEDS))
    assert sum(map(len, taken)) == len(set().union(*taken))
    assert max(DEVELOPMENT_SEEDS) < TEST_SEEDS_FROM


def test_crops_of_a_lane_of_learnt_dishes() -> None:
    crops = lane_crops(TRAIN_SEEDS[:1], 8, LEARNT)
    assert len(crops) > 4
    assert set(crops.names) <= set(LEARNT)
    again = lane_crops(TRAIN_SEEDS[:1], 8, LEARNT)
    assert crops.sha256 == again.sha256
    for group in np.unique(crops.groups):
        assert len(set(crops.classes[crops.groups == group].tolist())) == 1


def test_a_teaching_render_repeats() -> None:
    assert np.array_equal(teaching_render("pretzel"), teaching_render("pretzel"))
    assert teaching_render("coffee", 1).shape != teaching_render("pretzel", 1).shape


def test_sets_on_disk_are_what_they_were(tmp_path: Path) -> None:
    crops = painted()
    save(crops, tmp_path / "crops.npz")
    back = load(tmp_path / "crops.npz")
    assert back.sha256 == crops.sha256
    assert (back.name, back.names) == (crops.name, crops.names)
    content = (tmp_path / "crops.npz").read_bytes()
    (tmp_path / "crops.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(FormatError, match="missing or broken"):
        load(tmp_path / "crops.npz")
    with pytest.raises(FormatError, match="missing or broken"):
        load(tmp_path / "gone.npz")


def test_joined_sets_unite_classes_of_one_name() -> None:
    both = joined("both", [painted(3), painted(5)])
    assert both.names == tuple(f"class {k}" for k in range(5))
    assert np.bincount(both.classes).tolist() == [6, 6, 6, 3, 3]


def test_shrunk_keeps_small_crops() -> None:
    crop = np.zeros((30, 60, 3), np.uint8)
    assert shrunk(crop, 128).shape == (30, 60, 3)
    assert shrunk(np.zeros((300, 600, 3), np.uint8), 128).shape == (64, 128, 3)


@needs_datasets
def test_photos_aside_do_not_depend_on_names(tmp_path: Path) -> None:
    root = DATASETS / "grocerystore81"
    rows = (root / "classes.csv").read_text().splitlines()[:4]
    copies = []
    for rename in ("", "x"):
        copy = tmp_path / f"copy{rename}"
        copy.mkdir()
        (copy / "classes.csv").write_text("\n".join(rows) + "\n")
        for row in rows[1:]:
            icon = row.split(",")[4].lstrip("/")
            (copy / icon).parent.mkdir(parents=True)
            (copy / icon).write_bytes((root / icon).read_bytes())
            folder = next((root / "train").rglob(Path(icon).parent.name))
            target = copy / "train" / folder.name
            target.mkdir(parents=True)
            for photo in folder.iterdir():
                (target / f"{rename}{photo.stem}{rename}{photo.suffix}").write_bytes(photo.read_bytes())
        assert is_shop(copy)
        copies.append(read_shop(copy))
    one, other = copies
    assert one.aside.sha256 == other.aside.sha256
    assert len(one.aside) >= 3 * ASIDE_PHOTOS
    seen = {crop.tobytes() for crop in one.learnt.crops}
    assert not any(crop.tobytes() in seen for crop in one.aside.crops)
    assert len(one.iconic) == 3


def test_photos_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    (tmp_path / "classes.csv").write_text("a,b\nx\n")
    with pytest.raises(FormatError, match="not GroceryStore's table of classes"):
        read_photos([tmp_path])
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "classes.csv").write_text("")
    with pytest.raises(ConfigError, match="both classification sets; give one"):
        read_photos([tmp_path / "one", tmp_path / "two"])


# --- figures ---------------------------------------------------------------------------------------------------------


def test_auroc_counts_pairs() -> None:
    known, unknown = np.array([0.9, 0.5, 0.5]), np.array([0.5, 0.1])
    pairs = [(1.0 if a > b else 0.5 if a == b else 0.0) for a in known for b in unknown]
    assert auroc(known, unknown) == pytest.approx(np.mean(pairs))


def test_a_perfect_gallery_is_always_right_and_a_blind_one_seldom() -> None:
    vectors = np.eye(6, dtype=np.float32)[np.repeat(np.arange(6), 4)]
    classes = np.repeat(np.arange(6), 4)
    assert few_photos(vectors, classes, vectors, classes, 2).value == 1.0
    blind = np.random.default_rng(0).normal(size=(24, 6)).astype(np.float32)
    found = few_photos(vectors, classes, blind, classes, 1)
    assert found.low <= found.value <= found.high < 0.7


def test_the_two_best_photos_of_a_class_count() -> None:
    gallery = np.array([[1, 0], [0, 1], [-1, 0]], np.float32)
    scores = class_scores(gallery, [np.array([0, 1, 2]), np.array([1])], np.array([[1, 0]], np.float32))
    assert scores.tolist() == [[0.5, 0.0]]


def test_an_interval_over_clusters_is_wider() -> None:
    scores = np.repeat(np.array([0.0, 1.0, 1.0, 0.0, 1.0]), 40)
    alone, together = estimate(scores), estimate(scores, np.repeat(np.arange(5), 40))
    assert alone.value == together.value == pytest.approx(0.6)
    assert together.high - together.low > 3 * (alone.high - alone.low)


def test_turned_photos_keep_their_content() -> None:
    crop = np.zeros((40, 60, 3), np.uint8)
    crop[15:25, 20:40] = 255
    views = turned(crop, 4)
    assert [view.shape[:2] for view in views] == [(40, 60), (60, 40), (40, 60), (60, 40)]
    assert all(abs(int((view > 128).sum()) - int((crop > 128).sum())) < 200 for view in views)


# --- net and settings ------------------------------------------------------------------------------------------------


def test_the_net_starts_from_torchvisions_weights(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no such weights"):
        load_trunk(EmbedderNet(EmbedderShape()), tmp_path / "gone.pth")
    torch.save({"layer": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(ModelMismatch, match="not a state dict of torchvision's squeezenet1_1"):
        load_trunk(EmbedderNet(EmbedderShape()), tmp_path / "other.pth")


@needs_datasets
def test_the_trunk_computes_what_torchvision_does() -> None:
    import torchvision

    path = DATA / "backbones" / "squeezenet1_1_caffe_torchvision.pth"
    whole = torchvision.models.squeezenet1_1(weights=None)
    whole.load_state_dict(torch.load(path, weights_only=True))
    net = EmbedderNet(EmbedderShape())
    load_trunk(net, path)
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    wanted, found = whole.features(x), x
    for level in net.levels:
        found = level(found)
    assert torch.equal(found, wanted)


def test_rates_rise_and_fall() -> None:
    settings = EmbedSettings(warm_up=0.1, rate=1e-3)
    rates = [rate_at(at, settings) for at in (0.0, 0.05, 0.1, 0.5, 1.0)]
    assert rates[0] < rates[1] < rates[2] == pytest.approx(1e-3)
    assert rates[2] > rates[3] > rates[4] == pytest.approx(1e-5)


def test_settings_out_of_range() -> None:
    with pytest.raises(ConfigError, match="views 2 or more"):
        EmbedSettings(views=1)
    with pytest.raises(ConfigError, match="at least one class"):
        Plan(dishes=0, packets=0)
    with pytest.raises(ConfigError, match="at most"):
        Plan(lanes=1000)
