"""The recipe of the shipped embedder, from pictures to weights: `traylane train --embedder`.

Every batch holds classes of each source: made-up dishes and things (endlessly many that nobody sells), LEARNT dishes on
the synthetic lane, and real photos. GroceryStore's iconic pictures are crops of their class, so that a price list's
picture and a photo in a shop come out alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import ConfigError
from training.embedding.augmentation import SHOP
from training.embedding.corpus import Plan, development_lane, joined, render, training_sets
from training.embedding.crop_set import CropSet
from training.embedding.evaluation import Embed, Estimate, few_photos, lane_figures, quick_figures
from training.embedding.photos import Shop, box_crops, is_shop, read_shop
from training.embedding.sampler import Source
from training.embedding.train import EmbedSettings, train
from training.embedding.views import FAMILY

#: Classes of each source in a batch.
SHARES = {"dishes": 8, "things": 3, "lane": 5, "shop": 6, "boxes": 2}
#: Every so many-th crop of the development lane is scored during a run.
_EVERY = 3


@dataclass(frozen=True, eq=False)
class Photos:
    """Real photos to learn from and to be judged by.

    Attributes:
        shop: of a classification set; None without one.
        boxes: crops of detection sets.
        held_out: classes of the shop that are not learnt, by number; for a figure on classes never seen.
    """

    shop: Shop | None
    boxes: CropSet | None
    held_out: tuple[int, ...] = ()


def read_photos(paths: Sequence[Path], hold_out: bool = False) -> Photos:
    """Read folders of photos: one GroceryStore tree, and any number of detection sets.

    Args:
        paths: the folders.
        hold_out: leave every third class of the shop out of training.

    Raises:
        DataError: they cannot be read.
        ConfigError: two classification sets.
    """
    shops = [path for path in paths if is_shop(path)]
    if len(shops) > 1:
        raise ConfigError(f"--photos: {shops[0]} and {shops[1]} are both classification sets; give one")
    shop = read_shop(shops[0]) if shops else None
    others = [box_crops(path)[0] for path in paths if path not in shops]
    held = held_out_classes(shop) if shop is not None and hold_out else ()
    return Photos(shop, joined("boxes", others) if others else None, held)


def held_out_classes(shop: Shop) -> tuple[int, ...]:
    """Return the classes, every third, that a run with held-out classes does not learn."""
    return tuple(range(2, len(shop.learnt.names), 3))


def make_sources(plan: Plan, cache: Path, photos: Photos) -> list[Source]:
    """Return what a batch is made of."""
    sources = [
        Source(crops, SHARES[name], family=FAMILY if name == "dishes" else 1)
        for name, crops in training_sets(plan, cache).items()
    ]
    if photos.shop is not None:
        sources.append(Source(_shop_classes(photos.shop, photos.held_out), SHARES["shop"], SHOP))
    if photos.boxes is not None:
        sources.append(Source(photos.boxes, SHARES["boxes"]))
    return [replace(source, classes=min(source.classes, len(source.crops.names))) for source in sources]


def make_embedder(
    settings: EmbedSettings,
    plan: Plan,
    out: Path,
    cache: Path,
    photos: Photos,
    init: Path | None,
    resume: bool = False,
    on_shard: Callable[[int, int], None] = lambda done, of: None,
    on_round: Callable[[Mapping[str, Any]], None] = lambda line: None,
) -> Path:
    """Render what is missing, train, and return the path of the weights; see `train` for errors."""
    render(plan, cache, settings.threads, on_shard)
    lane = development_lane(plan, cache)
    some = lane.subset(np.arange(0, len(lane), _EVERY), lane.name)

    def score(embed: Embed) -> dict[str, float | None]:
        figures = lane_figures(embed, some)
        if photos.shop is not None:
            figures |= shop_figures(embed, photos.shop, photos.held_out, draws=5)
        return quick_figures(figures)

    return train(make_sources(plan, cache, photos), score, settings, out, init, resume, on_round)


def shop_figures(embed: Embed, shop: Shop, held_out: Sequence[int] = (), draws: int = 20) -> dict[str, Estimate]:
    """Return what photos kept aside say; with `held_out` of these classes alone, which were not learnt."""
    learnt, aside, iconic = shop.learnt, shop.aside, shop.iconic
    if held_out:
        learnt, aside, iconic = (
            part.subset(np.flatnonzero(np.isin(part.classes, held_out)), part.name) for part in (learnt, aside, iconic)
        )
    gallery, asked, icons = embed(learnt.crops), embed(aside.crops), embed(iconic.crops)
    return {
        "one_photo": few_photos(gallery, learnt.classes, asked, aside.classes, 1, draws),
        "five_photos": few_photos(gallery, learnt.classes, asked, aside.classes, 5, draws),
        "iconic": few_photos(icons, iconic.classes, asked, aside.classes, 1, 1),
    }


def _shop_classes(shop: Shop, held_out: Sequence[int]) -> CropSet:
    """Return photos and (twice, as there is but one of each class) iconic pictures of the classes that are learnt."""
    parts = []
    for part in (shop.learnt, shop.iconic, shop.iconic):
        parts.append(part.subset(np.flatnonzero(~np.isin(part.classes, held_out)), part.name))
    return joined(shop.learnt.name, parts)
