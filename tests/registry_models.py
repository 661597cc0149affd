"""Models, score records and a registry for tests: small files whose weights are never run."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import yaml

from models.card import ModelCard
from models.gate import Figure, ScoreRecord, SetScores
from models.registry import Registry

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def made_card(folder: Path, name: str, version: str = "1", **changes: object) -> ModelCard:
    """Write weights that are only bytes and return their card, `file` absolute."""
    weights = folder / f"{name}-{version}.onnx"
    weights.write_bytes(f"weights of {name} {version}".encode())
    content = {
        "name": name,
        "version": version,
        "file": str(weights),
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "decoder": "yolox",
        "input": {"width": 64, "height": 64},
        "classes": ["cup", "plate"],
        "licence": "MIT",
        "source": "a test",
    }
    return ModelCard.model_validate(content | changes)


def shipped_card(folder: Path, name: str, version: str = "1") -> ModelCard:
    """Write a model as it ships: card and weights side by side."""
    folder.mkdir(exist_ok=True)
    card = made_card(folder, name, version)
    text = yaml.safe_dump(card.model_dump(mode="json", exclude_defaults=True))
    (folder / f"{card.ref}.yaml").write_text(text)
    return card


def scored(card: ModelCard, ap50: float = 0.9, role: str = "holdout", **figures: float) -> ScoreRecord:
    """Return a score record of a card on one set that is always the same."""
    values = {"ap50": ap50, "f1_frozen": ap50, **figures}
    scores = SetScores(
        name="canteen",
        role=role,
        data_sha256="d" * 64,
        pictures=100,
        figures={name: Figure(value=value) for name, value in values.items()},
    )
    return ScoreRecord(
        model=card.ref, weights_sha256=card.sha256, evaluated_utc="2026-11-25T12:00:00+00:00", sets=(scores,)
    )


def made_registry(folder: Path) -> Registry:
    """Return a registry with the shipped model net@1 and nothing else."""
    shipped_card(folder / "shipped", "net")
    return Registry(folder / "models", folder / "shipped", now=lambda: NOON)
