"""From a finished run to a card of task embed: ONNX, compared with torch, and what a person should know of it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.errors import ConfigError, ModelMismatch
from core.files import sha256_of
from models.card import InputSpec, Lineage
from models.crop_fit import fitted
from training.embedding.checkpoint import net_of
from training.embedding.crop_set import Crop
from training.embedding.net import EmbedderNet, ExportNet
from training.embedding.train import input_spec
from training.export import Origin, keep, onnx_session, within_tolerance, write_graph

#: Bars of the shipped model.
LARGEST_MB = 8.0
NOTES = (
    "Turns the crop of a dish into a unit vector; compare it with photos of today's menu. Trunk: SqueezeNet 1.1, "
    "ImageNet weights (BSD, github.com/forresti/SqueezeNet, as torchvision has them). Learnt from made-up dishes and "
    "things, from {dishes} dishes of the synthetic lane, and from these photos, but for a fixed part kept aside: "
    "{photos}. Weak at: dishes that differ in little but a word on a label or the amount of a sauce; a variety that "
    "one photo does not show (an apple may be red or green: teach both); crops under 40 px; a dish that is mostly "
    "hidden; telling from a single crop that something is on no menu (let a track's crops vote)."
)


def export_embedder(net: EmbedderNet, spec: InputSpec, card_path: Path, origin: Origin, crops: Sequence[Crop]) -> Path:
    """Write weights and card, both whole or not at all; return the path of the weights.

    Args:
        net: with the weights that ship.
        spec: what the shipped net eats.
        card_path: NAME@VERSION.yaml; the weights go beside it.
        origin: what the card says beyond the net.
        crops: real ones, on which torch and the export are compared besides random ones.

    Raises:
        ModelMismatch: the export computes something else than the net, or is too large.
    """
    shipped = ExportNet(net).eval()
    weights = card_path.with_suffix(".onnx")
    weights.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=weights.parent, prefix=".export-") as folder:
        draft = Path(folder) / "draft.onnx"
        example = torch.rand(2, 3, spec.height, spec.width)
        write_graph(shipped, {"crops": example}, {"x": {0: torch.export.Dim("batch")}}, ["vectors"], draft)
        check_parity(shipped, spec, draft, crops)
        size_mb = draft.stat().st_size / 1e6
        if size_mb > LARGEST_MB:
            raise ModelMismatch(f"{weights.name}: {size_mb:.1f} MB, at most {LARGEST_MB} MB are allowed")
        content = {
            "task": "embed",
            "dimensions": net.shape.dimensions,
            "input": spec.model_dump(mode="json", exclude_defaults=True),
        }
        keep({weights: draft}, card_path, origin, content)
    return weights


def check_parity(net: ExportNet, spec: InputSpec, path: Path, crops: Sequence[Crop]) -> float:
    """Return the largest difference between the net and its ONNX export, on random and on real crops.

    Raises:
        ModelMismatch: it is more than the tolerance.
    """
    session = onnx_session(path)
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (90, 70, 3), dtype=np.uint8) for _ in range(3)]
    apart = []
    for group in ([noise[0]], noise, list(crops[:16])):
        if not group:
            continue
        pixels = np.stack([fitted(spec, crop) for crop in group])
        with torch.no_grad():
            wanted = net(torch.from_numpy(pixels)).numpy()
        got = session.run(None, {"crops": pixels})[0]
        if got.shape != wanted.shape:
            raise ModelMismatch(f"{path.name}: the export gives {got.shape}, the net {wanted.shape}")
        apart.append(float(np.abs(got - wanted).max()))
    return within_tolerance(apart, path)


def ship(out: Path, card_path: Path, name: str, version: str, photos: Sequence[str], crops: Sequence[Crop]) -> Path:
    """Write the card of a run's weights; return the path of the weights.

    Args:
        out: folder of the run, with best.pt, run.json and metrics.jsonl.
        card_path: NAME@VERSION.yaml.
        name: of the model.
        version: of the weights.
        photos: names of the photo sets that it learnt from.
        crops: see `export_embedder`.

    Raises:
        ConfigError: `out` is not a finished run.
        ModelMismatch: see `export_embedder`.
    """
    try:
        run = json.loads((out / "run.json").read_text(encoding="utf-8"))
        last = json.loads((out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    except (OSError, IndexError) as err:
        raise ConfigError(f"{out}: no finished run ({err}); run `traylane train --embedder --out {out}` first") from err
    skipped = ("epoch", "step", "planned_steps", "spent_s", "loss_softmax", "loss_contrast")
    scores: dict[str, Any] = {
        f"development_{key}": value for key, value in last.items() if key not in skipped and value is not None
    }
    parts, told = run["data"]["train"], ", ".join(photos) or "none"
    origin = Origin(
        name,
        version,
        "Apache-2.0",
        source="traylane train --embedder (docs/decisions/0018-the-embedder.md)",
        scores=scores,
        lineage=Lineage(
            run=sha256_of(out / "run.json"),
            data_sha256={f"train {part['name']}": part["sha256"] for part in parts},
            parent_sha256=run["init_sha256"],
            git=run["git"],
        ),
        notes=NOTES.format(dishes=sum(part["classes"] for part in parts if part["name"] == "lane"), photos=told),
    )
    spec = input_spec(run["parameters"]["ship_size"])
    return export_embedder(net_of(out / "best.pt"), spec, card_path, origin, crops)
