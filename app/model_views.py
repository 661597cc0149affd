"""What `traylane models` shows: the list, one model, and two models side by side; as text or as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from checkout.build import build_registry
from checkout.config import LoadedConfig
from core.errors import TraylaneError
from models.bare_onnx import find_model
from models.card import ModelCard, find_weights
from models.gate import Figure, ScoreRecord, judge
from models.registry import Known, Registry

_ROLES = ("holdout", "regression", "development")


@dataclass(frozen=True)
class ListedModel:
    """One line of the list; `ap50` says where it was measured, too."""

    model: str
    origin: str
    weights: list[str]
    classes: int
    licence: str
    ap50: str
    channels: list[str]
    lanes: list[str]


@dataclass(frozen=True)
class FigurePair:
    """One figure of two models on one set; `change` only where the pictures are the same."""

    role: str
    set: str
    figure: str
    one: float | None
    other: float | None
    change: float | None
    same_pictures: bool


def show_list(config: LoadedConfig, as_json: bool) -> int:
    """Print all models, what is promoted, and what each lane runs; return the exit code."""
    registry = build_registry(config)
    channels = {channel: held.model for channel, held in sorted(registry.promotions.current().items())}
    lanes = {lane_id: _run_by(config, registry, lane_id) for lane_id in config.site.lanes}
    models = [_listed(registry, known, channels, lanes) for known in registry.models()]
    if as_json:
        content = {"models": [asdict(model) for model in models], "channels": channels, "lanes": lanes}
        print(json.dumps(content, indent=1))
        return 0
    rows = [
        (m.model, m.origin, "+".join(m.weights), m.classes, m.licence, m.ap50, ", ".join(m.channels)) for m in models
    ]
    print(_table(("MODEL", "ORIGIN", "WEIGHTS", "CLASSES", "LICENCE", "AP50", "PROMOTED TO"), rows))
    print(f"\nregistry {registry.folder}; lanes of {config.name}:")
    print(_table(("LANE", "RUNS"), list(lanes.items())))
    return 0


def show_model(config: LoadedConfig, ref: str, as_json: bool) -> int:
    """Print a model's card with lineage, its scores and its promotions; return the exit code.

    Raises:
        ModelError: no such model, or its weights are missing or damaged.
    """
    registry = build_registry(config)
    known = _named(registry, ref)
    card = registry.load(known.card.ref)
    record = registry.scores(card.ref)
    history = [entry for entry in registry.promotions.history() if card.ref in (entry.model, entry.previous)]
    content = known.card.model_dump(mode="json", exclude_defaults=True)
    if as_json:
        scores = None if record is None else record.model_dump(mode="json")
        entries = [entry.model_dump(mode="json") for entry in history]
        print(json.dumps({"card": content, "path": str(known.path), "scores": scores, "history": entries}, indent=1))
        return 0
    files = [card.file] if card.second_stage is None else [card.file, card.second_stage.file]
    megabytes = sum(Path(file).stat().st_size for file in files) / 1e6
    print(f"{card.ref} ({known.origin}, {known.path}); weights {megabytes:.2f} MB, their SHA-256 is the card's\n")
    print(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120).rstrip())
    print("\nscores:" if record is not None else "\nscores: none; `traylane evaluate` measures them")
    if record is not None:
        rows = [
            (s.role, s.name, s.pictures, name, _value(figure))
            for s in record.sets
            for name, figure in s.figures.items()
        ]
        print(_table(("ROLE", "SET", "PICTURES", "FIGURE", "VALUE"), rows))
    print("\nhistory:" if history else "\nhistory: never promoted")
    for entry in history:
        forced = f", the gate overruled: {entry.forced}" if entry.forced else ""
        before = f" (before: {entry.previous})" if entry.previous else ""
        print(f"  {entry.utc} {entry.action} {entry.channel} -> {entry.model}{before} by {entry.user or '?'}{forced}")
    return 0


def show_comparison(config: LoadedConfig, one: str, other: str, as_json: bool) -> int:
    """Print two models' figures on equal pictures side by side, and what the gate would say; return the exit code.

    Raises:
        ModelError: no such model.
    """
    registry = build_registry(config)
    incumbent, candidate = _named(registry, one), _named(registry, other)
    records = [registry.scores(known.card.ref) for known in (incumbent, candidate)]
    facts = [(name, _fact(incumbent, name), _fact(candidate, name)) for name in _FACTS]
    rows = list(_side_by_side(*records))
    missing = [k.card.ref for k, record in zip((incumbent, candidate), records, strict=True) if record is None]
    verdict = None if records[1] is None or missing else judge(records[1], records[0])
    if as_json:
        content = {
            "models": [incumbent.card.ref, candidate.card.ref],
            "facts": {name: [a, b] for name, a, b in facts},
            "figures": [asdict(row) for row in rows],
            "gate": None if verdict is None else {"passed": verdict.passed, "reasons": list(verdict.reasons)},
        }
        print(json.dumps(content, indent=1))
        return 0
    lines: list[Sequence[Any]] = [(name, "", a, b, "") for name, a, b in facts]
    for row in rows:
        change = _number(row.change) if row.same_pictures else "(other pictures)"
        lines.append((f"{row.role} {row.set}", row.figure, _number(row.one), _number(row.other), change))
    print(_table(("", "FIGURE", incumbent.card.ref, candidate.card.ref, "CHANGE"), lines))
    for ref in missing:
        print(f"{ref} has no scores; run `traylane evaluate {ref} --data PATH`")
    if verdict is not None:
        print(f"the gate would {'let' if verdict.passed else 'not let'} {candidate.card.ref} take its place:")
        for reason in verdict.reasons:
            print(f"  - {reason}")
    return 0


_FACTS = ("weights_mb", "input", "classes", "licence", "decoder")


def _fact(known: Known, name: str) -> str:
    card = known.card
    if name == "weights_mb":
        return f"{find_weights(card, known.path).stat().st_size / 1e6:.2f}"
    if name == "input":
        return f"{card.input.width}x{card.input.height}"
    return str(len(card.classes)) if name == "classes" else str(getattr(card, name))


def _side_by_side(one: ScoreRecord | None, other: ScoreRecord | None) -> Iterator[FigurePair]:
    """Yield a row for each set and figure of either model."""
    sides = [{(s.role, s.name): s for s in record.sets} if record is not None else {} for record in (one, other)]
    keys = sorted({*sides[0], *sides[1]}, key=lambda key: (_ROLES.index(key[0]), key[1]))
    for key in keys:
        a, b = sides[0].get(key), sides[1].get(key)
        same = a is not None and b is not None and a.data_sha256 == b.data_sha256
        for name in dict.fromkeys([*(a.figures if a else ()), *(b.figures if b else ())]):
            first, second = (s.figures[name].value if s is not None and name in s.figures else None for s in (a, b))
            change = second - first if same and first is not None and second is not None else None
            yield FigurePair(key[0], key[1], name, first, second, change, same)


def _listed(registry: Registry, known: Known, channels: Mapping[str, str], lanes: Mapping[str, str]) -> ListedModel:
    card = known.card
    return ListedModel(
        card.ref,
        known.origin,
        [card.precision, *card.variants],
        len(card.classes),
        card.licence,
        _best_figure(_scores_or_none(registry, card.ref), card),
        [channel for channel, model in channels.items() if model == card.ref],
        [lane_id for lane_id, run in lanes.items() if run == card.ref],
    )


def _run_by(config: LoadedConfig, registry: Registry, lane_id: str) -> str:
    """Return the model that a lane would run if it were started now, or why it would not start."""
    wanted = config.site.models.detector
    try:
        return find_model(wanted.card, config.folder, registry=registry, lane=lane_id).ref
    except TraylaneError as err:
        return f"cannot start: {err}"


def _named(registry: Registry, ref: str) -> Known:
    """Return the model of a name, or what is promoted to a channel."""
    if ref.startswith("@"):
        ref = registry.promotions.current()[registry.channel_of(ref)].model
    return registry.find(ref)


def _scores_or_none(registry: Registry, ref: str) -> ScoreRecord | None:
    """Return a model's scores; a record that does not fit is for `show` to complain of."""
    try:
        return registry.scores(ref)
    except TraylaneError:
        return None


def _best_figure(record: ScoreRecord | None, card: ModelCard) -> str:
    """Return AP50 where it was measured most honestly, with where that is; "-" where nothing was."""
    for role in _ROLES if record is not None else ():
        for scores in record.sets if record is not None else ():
            figure = scores.figures.get("ap50")
            if scores.role == role and figure is not None and figure.value is not None:
                return f"{figure.value:.3f} ({role} {scores.name})"
    told = card.scores.get("validation_ap50")
    return f"{told:.3f} (card)" if isinstance(told, float) else "-"


def _value(figure: Figure) -> str:
    interval = f" ({figure.low:.3f} to {figure.high:.3f})" if figure.low is not None and figure.high is not None else ""
    return f"{_number(figure.value)}{interval}"


def _number(value: float | None) -> str:
    return "unknown" if value is None or not math.isfinite(value) else f"{value:.3f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return columns of equal width, left-aligned."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )
