"""What the dish embedder is worth: photos in shops, dishes it never saw, crops of lanes, and milliseconds.

    python -m bench.embedder [--card dish-embed@1] [--data DIR] [--held-out var/embedder-held-out] [--scores]

- GroceryStore, 81 classes, 243 photos that no training saw (`training/embedding/photos.py`): a gallery of one photo of
  each class (mean over 20 draws), of five, and of the iconic picture alone. Beside it the ImageNet trunk as it was
  (`--init`), in the same protocol.
- Classes never seen: `--held-out` names a run of `traylane train --embedder --hold-out`; its weights are asked for the
  27 classes and the 24 dishes that this run left out, among each other.
- Lane: 24 dishes taught from one clean render each (`three_renders`: three), crops of fresh lanes (true boxes as loose
  as a detector's, hands and covered dishes left in); the other 12 are unknown. By crop, and by the mean of a dish's.
- Cosines of the same dish, the nearest other and of unknown ones: what a lane's probabilities are made from.
- Milliseconds a crop, batch 1, one thread, with fitting; the median, and the CPU time, which other work disturbs less.

Writes `bench/results/embedder.json`; with `--scores` the card's score record, too.
"""

from __future__ import annotations

import argparse
import datetime
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from bench.results_file import row, write_results
from core.files import sha256_of
from models.card import SHIPPED, ModelCard, load_card
from models.gate import Figure, ScoreRecord, SetScores
from models.ort_embedder import OrtEmbedder
from models.settings import EmbedderSettings
from training.embedding.checkpoint import net_of
from training.embedding.crop_set import Crop, CropSet
from training.embedding.evaluation import Embed, Estimate, lane_cosines, lane_figures
from training.embedding.lane_crops import DEVELOPMENT_SEEDS, lane_crops
from training.embedding.net import EmbedderNet, EmbedderShape, load_trunk
from training.embedding.photos import Shop, read_shop
from training.embedding.recipe import held_out_classes, shop_figures
from training.embedding.train import embed_with, input_spec
from training.evaluation.records import write_record

#: Lanes that no run looked at.
FRESH = DEVELOPMENT_SEEDS[60:]
MARKS = {"one_photo": 0.45, "iconic": 0.35, "five_photos": 0.60, "agreement_track": 0.95, "auroc_track": 0.95}
MS, MB = 4.0, 8.0


def main() -> None:
    """Run the bench from the command line."""
    data = Path(os.environ.get("TRAYLANE_DATA", "../shared/data"))
    parser = argparse.ArgumentParser(description="What the dish embedder is worth.")
    parser.add_argument("--card", default="dish-embed@1")
    parser.add_argument("--photos", type=Path, default=data / "datasets" / "grocerystore81")
    parser.add_argument("--init", type=Path, default=data / "backbones" / "squeezenet1_1_caffe_torchvision.pth")
    parser.add_argument("--held-out", type=Path, help="folder of a run with --hold-out")
    parser.add_argument("--lanes", type=int, default=16, help="fresh lanes, 1..40")
    parser.add_argument("--frames", type=int, default=24, help="looks at each")
    parser.add_argument("--threads", type=int, default=1, help="of torch, for --held-out and the trunk")
    parser.add_argument("--scores", action="store_true", help="write the shipped card's score record, too")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    card = load_card(args.card)
    embedder = OrtEmbedder(card, EmbedderSettings(device="cpu"))
    shop = read_shop(args.photos)
    lane = lane_crops(FRESH[: args.lanes], args.frames, presets=("medium",))
    photos = shop_figures(embedder.embed, shop)
    lanes = lane_figures(embedder.embed, lane)
    rows = [*_rows("shop", photos), *_rows("lane", lanes), *cosine_rows(embedder.embed, lane)]
    trunk = trunk_embedder(args.init)
    rows += _rows("imagenet_trunk", shop_figures(trunk, shop), marked=False)
    rows += _rows("imagenet_trunk_never_seen_shop", shop_figures(trunk, shop, held_out_classes(shop)), marked=False)
    rows += _rows("imagenet_trunk_lane", lane_figures(trunk, lane), marked=False)
    if args.held_out is not None:
        rows += held_out_rows(args.held_out, shop, lane)
    rows += speed_rows(embedder, lane.crops)
    rows.append(row("weights_mb", Path(card.file).stat().st_size / 1e6, "MB", MB, better="lower"))
    write_results("embedder", rows)
    if args.scores:
        write_scores(card, shop, photos, lane, lanes)


def held_out_rows(run: Path, shop: Shop, lane: CropSet) -> list[dict[str, Any]]:
    """Return figures on what a run never saw: classes of photos among each other, and the lane's taught dishes."""
    embed = embed_with(net_of(run / "best.pt"), input_spec(128))
    classes = held_out_classes(shop)
    return [
        *_rows("never_seen_shop", shop_figures(embed, shop, classes), marked=False),
        *_rows("never_seen_lane", lane_figures(embed, lane), marked=False),
        *_rows("never_seen_lane_three_renders", lane_figures(embed, lane, renders=3), marked=False),
        *cosine_rows(embed, lane, "never_seen_"),
        row("never_seen_classes", len(classes), "classes"),
    ]


def cosine_rows(embed: Embed, lane: CropSet, prefix: str = "") -> list[dict[str, Any]]:
    """Return quartiles of the cosines that a gallery meets, and the temperature that fits them."""
    cosines = lane_cosines(embed, lane)
    rows = []
    for name, values in (("same", cosines.same), ("other", cosines.other), ("unknown", cosines.unknown)):
        for quantile in (0.05, 0.25, 0.5, 0.75, 0.95):
            rows.append(
                row(
                    f"{prefix}cosine_{name}_q{round(100 * quantile):02d}",
                    float(np.quantile(values, quantile)),
                    "cosine",
                )
            )
    rows.append(row(f"{prefix}temperature", cosines.temperature, "cosine"))
    rows.append(row(f"{prefix}unknown_cosine", cosines.unknown_cosine, "cosine"))
    return rows


def speed_rows(embedder: OrtEmbedder, crops: Sequence[Crop], count: int = 300) -> list[dict[str, Any]]:
    """Return milliseconds a crop by the wall and by the processor."""
    cv2.setNumThreads(1)
    wall, cpu = [], []
    for at in range(count):
        crop = [crops[at % len(crops)]]
        begun, spent = time.perf_counter(), time.thread_time()
        embedder.embed(crop)
        wall.append(time.perf_counter() - begun)
        cpu.append(time.thread_time() - spent)
    return [
        row("ms_per_crop_median", 1e3 * float(np.median(wall)), "ms", MS, better="lower"),
        row("cpu_ms_per_crop_median", 1e3 * float(np.median(cpu)), "ms", MS, better="lower"),
    ]


def write_scores(
    card: ModelCard, shop: Shop, photos: Mapping[str, Estimate], lane: CropSet, lanes: Mapping[str, Estimate]
) -> None:
    """Write the score record beside a shipped card."""
    sets = []
    for name, part, figures in ((shop.aside.name, shop.aside, photos), ("lane-medium-860060", lane, lanes)):
        told = {key: Figure(value=f.value, low=f.low, high=f.high) for key, f in figures.items()}
        sets.append(SetScores(name=name, role="development", data_sha256=part.sha256, pictures=len(part), figures=told))
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    record = ScoreRecord(
        model=card.full_name, weights_sha256=sha256_of(Path(card.file)), evaluated_utc=now, sets=tuple(sets)
    )
    write_record(SHIPPED / f"{card.ref}.scores.json", record)


def _rows(prefix: str, figures: Mapping[str, Estimate], marked: bool = True) -> list[dict[str, Any]]:
    """Return a row for each figure and two for its interval."""
    rows = []
    for name, figure in figures.items():
        rows.append(row(f"{prefix}_{name}", figure.value, "ratio", MARKS.get(name) if marked else None))
        rows.append(row(f"{prefix}_{name}_low", figure.low, "ratio"))
        rows.append(row(f"{prefix}_{name}_high", figure.high, "ratio"))
    return rows


def trunk_embedder(init: Path) -> Embed:
    """Return ImageNet's features alone as an embedder: the last level, pooled, at 224 pixels."""
    net = EmbedderNet(EmbedderShape())
    load_trunk(net, init)
    net.map = nn.Identity()  # type: ignore[assignment]
    net.norm = nn.Identity()  # type: ignore[assignment]
    net.shape = EmbedderShape(early=False)
    return embed_with(net, input_spec(224))


if __name__ == "__main__":
    main()
