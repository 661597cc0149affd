"""The recipe of the shipped detector, from its parent's weights to the card: `traylane train --edge`.

    1  synthetic    the synthetic lane (its dishes are the classes) and scenes of things on no menu
    2  photos       the same, and photos of real counters, class-agnostic; a fixed fifth of each set is kept aside

The second stage starts from the first one's weights. Both are kept: what stage 1 finds on real photos says how far
renders alone carry, and its weights are the start for a real counter's own pictures.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import ConfigError
from core.files import sha256_of
from dataset.reading import read_set
from dataset.splits import leave_out
from models.card import Lineage
from training.augment import Look
from training.export import Origin, export
from training.int8_accuracy import Accuracy
from training.photos import photo_pictures
from training.quantise import add_int8_on_lanes
from training.synthetic_set import (
    RANDOMISED_SEEDS,
    RANDOMISED_VALIDATION_SEEDS,
    TRAIN_SEEDS,
    VALIDATION_SEEDS,
    load_set,
    plan,
    plan_randomised,
    render_set,
)
from training.train_traynet import Source, TrainSettings, train

#: A camera straight above things of any size, from any side.
ANYWHERE = Look(zoom=(-0.75, 0.2), turns=True)
PHOTOS = Look(zoom=(-0.5, 0.3), turns=True)

#: What the card tells a person.
NOTES = (
    "Classes: the 36 dishes of the synthetic lane and hands. The item head (items_only) finds things of other menus, "
    "too: it learnt from the lane, from randomised scenes and from four fifths of these photo sets, as boxes without "
    "classes: {photos}. The fifth that dataset.splits.leave_out keeps aside was never trained on. For a real counter, "
    "fine-tune it on some dozen of its own pictures (traylane train --data)."
)

OnRound = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class EdgeRecipe:
    """What the recipe depends on; the defaults made the shipped model.

    Attributes:
        init: card (or checkpoint) to start from.
        lanes: rolls of the synthetic lane, `lane_frames` pictures each.
        scenes: rolls of randomised scenes, `scene_frames` pictures each.
        steps: optimiser steps of stage 1.
        photo_steps: optimiser steps of stage 2.
        rate: peak learning rate of stage 1.
        photo_rate: peak learning rate of stage 2.
    """

    init: Path = Path("traynet@1")
    lanes: int = 400
    lane_frames: int = 24
    scenes: int = 80
    scene_frames: int = 50
    validation_lanes: int = 24
    validation_scenes: int = 4
    steps: int = 4500
    photo_steps: int = 1500
    rate: float = 1.2e-3
    photo_rate: float = 6e-4
    round_steps: int = 450
    batch: int = 16
    seed: int = 1
    threads: int = 2


def make_edge_detector(
    recipe: EdgeRecipe,
    out: Path,
    cache: Path,
    photos: Sequence[Path],
    on_roll: Callable[[int, int], None] = lambda done, of: None,
    on_round: OnRound = lambda line: None,
) -> list[Path]:
    """Run the stages and return the best weights of each.

    Args:
        recipe: what is done.
        out: gets a folder for each stage; a stage that was stopped goes on where it was.
        cache: where rendered pictures are kept.
        photos: folders of labelled photos (COCO, VOC or YOLO); none leaves stage 2 out.
        on_roll: is told how many rolls are rendered, of how many.
        on_round: is given each line of the stages' metrics.jsonl.

    Raises:
        DataError: photos cannot be read.
    """
    lanes = plan(TRAIN_SEEDS[: recipe.lanes], recipe.lane_frames)
    validation = plan(VALIDATION_SEEDS[: recipe.validation_lanes], 12, every_s=1.7)
    scenes = plan_randomised(RANDOMISED_SEEDS[: recipe.scenes], recipe.scene_frames)
    scene_validation = plan_randomised(RANDOMISED_VALIDATION_SEEDS[: recipe.validation_scenes], recipe.scene_frames)
    real = [leave_out(read_set(path))[0] for path in photos]  # before hours of work: photos may be wrong
    render_set([*lanes, *validation, *scenes, *scene_validation], cache, processes=recipe.threads, on_roll=on_roll)
    lane_set, scene_set = load_set(lanes, cache), load_set(scenes, cache)
    validation_set, item_set = load_set(validation, cache), load_set(scene_validation, cache)

    def stage(name: str, sources: Sequence[Source], steps: int, rate: float, init: Path) -> Path:
        settings = TrainSettings(
            seed=recipe.seed,
            steps=steps,
            batch=recipe.batch,
            part=(192, 160),
            round_steps=recipe.round_steps,
            rate=rate,
            threads=recipe.threads,
        )
        resume = (out / name / "last.pt").is_file()
        return train(
            sources,
            validation_set,
            settings,
            out / name,
            init=init,
            resume=resume,
            on_round=on_round,
            item_set=item_set,
        )

    first = stage(
        "synthetic",
        [Source(lane_set, 9), Source(scene_set, 7, ANYWHERE)],
        recipe.steps,
        recipe.rate,
        recipe.init,
    )
    if not photos:
        return [first]
    shots = [Source(photo_pictures(one, lane_set.labels), 4 / len(real), PHOTOS) for one in real]
    second = stage(
        "photos",
        [Source(lane_set, 8), Source(scene_set, 4, ANYWHERE), *shots],
        recipe.photo_steps,
        recipe.photo_rate,
        first,
    )
    return [first, second]


def ship(stage: Path, card_path: Path, name: str, version: str, photos: Sequence[str]) -> Accuracy:
    """Write the card of a stage's best weights, fp32 and int8; return what int8 costs.

    Args:
        stage: folder of the stage, with best.pt, run.json and metrics.jsonl.
        card_path: NAME@VERSION.yaml; the weights go beside it.
        name: of the model.
        version: of the weights.
        photos: names of the photo sets that it learnt from.

    Raises:
        ConfigError: `stage` is not a finished run.
        ModelMismatch: an export computes something else than the net, or int8 loses too much.
    """
    try:
        run = json.loads((stage / "run.json").read_text(encoding="utf-8"))
        lines = [json.loads(line) for line in (stage / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    except OSError as err:
        raise ConfigError(f"{stage}: no finished run ({err.strerror}); run the recipe first") from err
    best = max(lines, key=lambda line: float(line["ap50"] * line["class_accuracy"] * line["item_recall20"]))
    chosen = {key: value for key, value in best.items() if key.startswith(("ap50", "class_accuracy", "item_"))}
    sources = run["data"]["train"]
    origin = Origin(
        name,
        version,
        "Apache-2.0",
        source="traylane train --edge (docs/training.md)",
        scores={f"validation_{key}": value for key, value in chosen.items()},
        lineage=Lineage(
            run=sha256_of(stage / "run.json"),
            data_sha256={f"train {i}": part["sha256"] for i, part in enumerate(sources, start=1)}
            | {"validation": run["data"]["validation"]["sha256"]},
            parent_sha256=run["init_sha256"],
            git=run["git"],
        ),
        notes=NOTES.format(photos=", ".join(photos) or "none"),
    )
    export(stage / "best.pt", card_path, tuple(run["parameters"]["size"]), origin)
    return add_int8_on_lanes(card_path)
