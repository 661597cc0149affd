"""A finished study looks at other pictures: which classes do they show, and where?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from core.errors import FolderUnusable, ModelMismatch
from dataset.images import load_image
from dataset.records import Sample
from training.finetune.checkpoints import write_whole
from training.patches.classes import check_classes_known
from training.patches.features import FeatureCache, load_backbone
from training.patches.heat_maps import heat_map, warmed
from training.patches.record import read_record
from training.patches.sampling import patch_grid
from training.patches.scores import image_scores
from training.patches.tasks import patches_of
from training.patches.training import exact, read_best

#: Classes that are told of each picture when none are asked for.
TOLD = 5
SEEN = "seen"


@dataclass(frozen=True)
class Seen:
    """What a study says of one picture: (label, S(i, c), file of the heat map), highest score first."""

    picture: Path
    classes: tuple[tuple[str, float, Path], ...]


def look(out: Path, weights: Path, pictures: Sequence[Path], classes: Sequence[str]) -> list[Seen]:
    """Judge pictures by the study in `out`; write a heat map of each told class into `out`/seen.

    Raises:
        ConfigError: `out` holds no study, or a class is unknown.
        DataError: a picture cannot be read, or is too small.
        ModelError: the head or the backbone's weights cannot be used.
        FolderUnusable: heat maps cannot be written.
    """
    record, best = read_record(out), read_best(out / "patches")
    check_classes_known(classes, record.labels)
    settings = record.parameters
    backbone = load_backbone(weights, settings.backbone)
    if backbone.sha256 != record.weights_sha256:
        raise ModelMismatch(
            f"{weights}: other weights than those of the study in {out} (sha256 {record.weights_sha256[:16]}); give "
            "the same file with --weights"
        )
    folder = out / SEEN
    try:
        folder.mkdir(exist_ok=True)
    except OSError as err:
        raise FolderUnusable(f"{folder}: cannot be made: {err.strerror or err}") from err
    found = []
    with exact(settings.threads):
        cache = FeatureCache(folder / "features", backbone, settings.sampler)
        for path in pictures:
            pixels = load_image(path)
            height, width = pixels.shape[:2]
            nothing = np.zeros(0, np.int64)
            sample = Sample(path, width, height, np.zeros((0, 4), np.float32), nothing, nothing.astype(np.bool_))
            votes = patches_of(best.head, [cache.of(sample)])
            scores = image_scores(votes, best.exponent)[0]
            asked = [record.labels.index(name) for name in classes]
            order = np.argsort(-scores, kind="stable").tolist()
            told = [c for c in order if c in asked] if asked else order[:TOLD]
            patches = patch_grid(width, height, settings.sampler).boxes
            lines = []
            for c in told:
                heat = heat_map(patches, votes[0][:, c] ** best.exponent, width, height)
                drawn = folder / f"{path.stem}-{c:02d}.jpg"
                encoded = cv2.imencode(".jpg", cv2.cvtColor(warmed(pixels, heat), cv2.COLOR_RGB2BGR))[1]
                write_whole(drawn, encoded.tobytes())
                lines.append((record.labels[c], float(scores[c]), drawn))
            found.append(Seen(path, tuple(lines)))
    return found
