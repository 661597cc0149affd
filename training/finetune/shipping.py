"""From a finished run to a model that the product can run: its best weights, exported, with a card of its lineage."""

from __future__ import annotations

from pathlib import Path

from core.errors import ConfigError
from core.files import sha256_of
from models.card import Lineage
from training.export import Origin, export_detector
from training.finetune.checkpoints import net_of_run
from training.finetune.run_record import RECORD, RunRecord, read_record

#: What a card says where nobody said what the weights may be used for.
NO_LICENCE = "unknown: set it in the card"


def export_run(out: Path, card_path: Path, licence: str = NO_LICENCE) -> Path:
    """Write NAME@VERSION.onnx and its card from a run's best weights; return the path of the weights.

    Args:
        out: folder of the run.
        card_path: where the card goes, NAME@VERSION.yaml; the suffix may be left out.
        licence: of the weights: what its pictures and first weights allow, which no program can know.

    Raises:
        ConfigError: `out` is no finished run, or the card is not named so.
        ModelError: the weights are absent or broken, or the export computes something else than the net.
    """
    record = read_record(out)
    if record.status not in ("finished", "stopped") or record.best is None:
        raise ConfigError(f"{out}: a run that is {record.status} ({record.reason or 'no word'}) is not exported")
    name, at, version = card_path.name.removesuffix(".yaml").rpartition("@")
    if not (name and at and version):
        raise ConfigError(f"--export {card_path}: name the card NAME@VERSION.yaml, such as canteen@1.yaml")
    origin = Origin(
        name=name,
        version=version,
        licence=licence,
        source=_source_of(record),
        scores={f"validation_{key}": value for key, value in record.best.scores.items()},
        lineage=Lineage(
            run=sha256_of(out / RECORD),
            data_sha256={use: pictures.sha256 for use, pictures in record.data.items()},
            parent_sha256=record.init_sha256,
            git=record.git,
        ),
    )
    return export_detector(net_of_run(out), card_path.with_name(f"{name}@{version}.yaml"), origin)


def _source_of(record: RunRecord) -> str:
    """Return in a sentence how the weights came to be."""
    pictures = record.data["train"]
    parts = [
        f"traylane train --data … --arch {record.arch}",
        f"{pictures.pictures} pictures of {pictures.name}",
        f"commit {record.git[:12]}" + (" with changes not yet committed" if record.git.endswith("+") else ""),
    ]
    if record.parent is not None:
        parts.append(f"started from {record.parent}")
    return "; ".join(parts)
