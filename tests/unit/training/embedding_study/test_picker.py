"""The race: the same for the same seed, never above its budget, and right where one model is plainly better."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from core.errors import DataError
from training.embedding_study.describers import Setting, Vectors, unit
from training.embedding_study.grid import Cost, grid_cost
from training.embedding_study.metrics import Ints
from training.embedding_study.picker import Pick, Track, race

CLASSES, EACH, DIMS = 12, 6, 16


@dataclass
class NoisyModel:
    """Vectors that are the class's direction plus noise; two settings, the second one noisier."""

    name: str
    noise: float
    macs: int
    key: str = ""
    origin: str = "made up"
    left_out: int = 0
    settings: tuple[Setting, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.settings = tuple(Setting(self.name, layer, 1, True, DIMS) for layer in ("good", "bad"))

    def describe(self, pixels: np.ndarray) -> Vectors:  # type: ignore[type-arg]
        raise AssertionError("a race asks its track")

    def all_vectors(self, fine: Ints) -> Vectors:
        rng = np.random.default_rng([len(self.name), self.macs])
        centres = rng.normal(size=(CLASSES, DIMS))[fine]
        parts = [centres + noise * rng.normal(size=centres.shape) for noise in (self.noise, self.noise + 3)]
        return np.concatenate([np.stack([unit(row) for row in part]) for part in parts], axis=1)


class Lane:
    """A track that notes what was computed."""

    def __init__(self) -> None:
        self.fine = np.repeat(np.arange(CLASSES), EACH)
        self.models = [
            NoisyModel("coarse", 2.0, 10_000),
            NoisyModel("sharp", 0.2, 50_000),
            NoisyModel("dull", 2.5, 90_000),
        ]
        self.vectors = [model.all_vectors(self.fine) for model in self.models]
        self.computed: list[tuple[int, int]] = []
        photos = np.arange(len(self.fine))
        self.whole = grid_cost(self.models, [0.1, 0.5, 0.9], len(photos))
        self.track = Track(self.models, self.compute, photos, self.fine, photos, "mrr")

    def compute(self, m: int, photos: Ints) -> tuple[Vectors, float]:
        self.computed += [(m, int(i)) for i in photos]
        return self.vectors[m][photos], 0.1 * len(photos)

    def race(self, seed: int, share: float = 0.4) -> Pick:
        self.computed.clear()
        budget = Cost(int(share * self.whole.photo_forwards), int(share * self.whole.macs), 0, 0.0)
        return race(self.track, budget, seed)


def test_the_plainly_better_model_wins_in_every_race() -> None:
    lane = Lane()
    assert {lane.race(seed).setting.name for seed in range(10)} == {"sharp/good/global"}


def test_a_race_is_the_same_for_the_same_seed() -> None:
    assert Lane().race(3) == Lane().race(3)
    samples = []
    for seed in (3, 4):
        lane = Lane()
        lane.race(seed)
        samples.append(sorted(lane.computed))
    assert samples[0] != samples[1]


@pytest.mark.parametrize("share", [0.25, 0.4, 1.0])
def test_what_is_spent_is_what_was_computed_and_within_the_budget(share: float) -> None:
    lane = Lane()
    pick = lane.race(1, share)
    assert pick.cost.photo_forwards == len(lane.computed) == len(set(lane.computed))  # nothing twice
    assert pick.cost.forward_macs == sum(lane.models[m].macs for m, _ in lane.computed)
    scored = sum(r.photos**2 * 2 * DIMS * len(r.models) for r in pick.rounds)
    assert pick.cost.scoring_macs == scored
    assert max(pick.cost.shares_of(lane.whole)[:2]) <= share
    assert [len(r.models) for r in pick.rounds][:2] == [3, 1]


def test_too_small_a_budget_is_told() -> None:
    with pytest.raises(DataError, match="too few to pick"):
        Lane().race(1, 0.01)
