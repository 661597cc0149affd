"""What `traylane models` changes: import a model, promote it, roll back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from checkout.build import build_menu, build_registry
from checkout.config import LoadedConfig
from core.errors import ConfigError, ModelMismatch, ModelNotFound
from core.records import Frame
from core.settings import load_settings
from models.bare_onnx import guess_card
from models.card import ModelCard, load_card, read_card
from models.gate import GateRules
from models.ort_detector import OrtDetector
from models.promotions import DEFAULT_CHANNEL
from models.registry import read_scores
from models.settings import DetectorSettings

_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Asked:
    """What the command line says of a model beyond its card; None: nothing."""

    name: str | None = None
    version: str | None = None
    licence: str | None = None
    source: str | None = None
    class_map: str | None = None


def bring_in(config: LoadedConfig, file: Path, asked: Asked, scores: Path | None = None) -> int:
    """Import a model into the registry after it has run once; return the exit code.

    Raises:
        ConfigError: licence, name or class map are missing or wrong.
        ModelError: the file is missing or not what it should be, is there already, or cannot be kept.
    """
    registry = build_registry(config)
    card = _with_asked(_card_of(file), file, asked)
    card.check_class_map(str(file))
    record = None if scores is None else read_scores(scores, card)
    labels = _try_run(card)
    known = registry.add(card, record)
    print(f"{known.card.ref} is in the registry ({known.path}): {len(labels)} labels: {_few(labels)}")
    try:
        build_menu(config).check_labels(labels, card.ref)
    except ModelMismatch as err:
        print(f"before it can be promoted: {err}")
    if record is None:
        print(f"no scores yet: `traylane evaluate {known.card.ref} --data PATH`, then promote with --scores FILE")
    return 0


def promote(config: LoadedConfig, ref: str, channel: str, scores: Path | None, rules: Path | None, force: str) -> int:
    """Let lanes run a model if the gate agrees, or `force` says why all the same; return the exit code.

    Raises:
        PromotionRefused: the gate does not agree.
        ModelMismatch: the menu does not know the model's labels, or the weights are not those of the card.
        ModelError: no such model, or it cannot be written.
        ConfigError: nobody would run that channel, or the rules are wrong.
    """
    _check_followed(config, channel)
    registry = build_registry(config)
    card = registry.load(ref)
    # A lane could not start with it; this cannot be overruled.
    build_menu(config).check_labels(card.labels, card.ref)
    wanted = None if rules is None else load_settings(GateRules, rules)[0]
    if scores is not None:
        registry.keep_scores(ref, read_scores(scores, card))
    entry, verdict = registry.promote(ref, channel, wanted, force)
    before = f" (before: {entry.previous})" if entry.previous else ""
    print(f"{entry.model} is promoted to {channel}{before}")
    if entry.forced:
        print(f"the gate refused and was overruled: {entry.forced}")
    for reason in verdict.reasons:
        print(f"  - {reason}")
    _tell_followers(config, channel)
    return 0


def roll_back(config: LoadedConfig, channel: str) -> int:
    """Go back to the model before; return the exit code.

    Raises:
        ModelError: there is none, it is gone, or it cannot be written.
    """
    entry = build_registry(config).roll_back(channel)
    print(f"{channel} runs {entry.model} again (before: {entry.previous})")
    _tell_followers(config, channel)
    return 0


def parse_class_map(text: str) -> dict[str, str | None]:
    """Return a class map from `a=b,c=` or from a YAML (or JSON) file of such pairs.

    >>> parse_class_map("person=@hand, cup=Coffee,chair=")
    {'person': '@hand', 'cup': 'Coffee', 'chair': None}

    Raises:
        ConfigError: it is neither.
    """
    if Path(text).is_file():
        try:
            content = yaml.safe_load(Path(text).read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as err:
            raise ConfigError(f"--class-map {text}: cannot be read: {str(err).splitlines()[0]}") from err
        if not isinstance(content, dict) or not all(isinstance(v, str | None) for v in content.values()):
            raise ConfigError(f"--class-map {text}: must be a mapping of the model's class to a dish, @hand or null")
        return {str(name): label for name, label in content.items()}
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if not pairs or not all(name.strip() and sign for name, sign, _ in pairs):
        raise ConfigError(f"--class-map {text!r}: give class=dish,class=dish or an existing YAML file")
    names = [name.strip() for name, _, _ in pairs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"--class-map: {', '.join(twice)} is there twice")
    return {name.strip(): label.strip() or None for name, _, label in pairs}


def _card_of(file: Path) -> ModelCard:
    """Return the card of a foreign file: its own, the one beside it, or a guess."""
    if not file.is_file():
        raise ModelNotFound(f"{file}: no such file; give an .onnx file or a model card")
    if file.suffix in (".yaml", ".yml"):
        card_path = file
    elif file.suffix == ".onnx":
        card_path = file.with_suffix(".yaml")
    else:
        raise ModelMismatch(f"{file}: only .onnx files and .yaml cards are imported; export the model to ONNX first")
    if not card_path.is_file():
        return guess_card(file)
    card = load_card(str(card_path.resolve()))
    variants = {
        name: variant.model_copy(update={"file": load_card(str(card_path.resolve()), precision=name).file})
        for name, variant in read_card(card_path).variants.items()
    }
    return card.model_copy(update={"variants": variants})


def _with_asked(card: ModelCard, file: Path, asked: Asked) -> ModelCard:
    bare = card.licence == _UNKNOWN
    licence = asked.licence or (None if bare else card.licence)
    if licence is None:
        raise ConfigError(f"{file}: no licence is known; say what the weights may be used for: --licence NAME")
    changes: dict[str, Any] = {
        "name": asked.name or card.name,
        "version": asked.version or ("1" if bare else card.version),
        "licence": licence,
        "source": asked.source or (f"imported from {file.name}" if bare else card.source),
        "class_map": card.class_map if asked.class_map is None else parse_class_map(asked.class_map),
    }
    try:
        return ModelCard.model_validate(card.model_dump() | changes)
    except ValueError as err:
        told = [line.strip() for line in str(err).splitlines() if line.strip()]
        raise ConfigError(f"{file}: {' '.join(told[1:3])}; correct --name or --version") from err


def _try_run(card: ModelCard) -> tuple[str, ...]:
    """Run a picture of noise through each precision and return the labels."""
    noise = np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    for precision in ("fp32", *card.variants):
        detector = OrtDetector(card.at(precision), DetectorSettings(device="cpu"))  # type: ignore[arg-type]
        try:
            detector.detect([Frame("import", 0, 0.0, 0.0, noise)])
        finally:
            detector.close()
    return card.labels


def _check_followed(config: LoadedConfig, channel: str) -> None:
    """Refuse a channel that no lane of the configuration could run: a typing error."""
    followed = config.site.models.detector.card.removeprefix("@")
    known = [DEFAULT_CHANNEL, *config.site.lanes]
    if channel not in known and channel != followed:
        raise ConfigError(f"--channel {channel}: {config.name} has no such lane; use {' or '.join(known)}")


def _tell_followers(config: LoadedConfig, channel: str) -> None:
    card = config.site.models.detector.card
    if card.startswith("@"):
        print("lanes take it at their next start")
    else:
        print(
            f"note: the lanes of {config.name} run {card} by name; to follow promotions, "
            'set models.detector.card: "@current"'
        )


def _few(labels: tuple[str, ...]) -> str:
    return ", ".join(labels[:8]) + (", …" if len(labels) > 8 else "")
