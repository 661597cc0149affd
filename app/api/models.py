"""Models: what there is, what is promoted where, and how that changes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from app.api.model_shapes import (
    FigureShape,
    GateShape,
    LaneModelShape,
    LineageShape,
    ModelList,
    ModelShape,
    SetShape,
)
from app.api.operation import Call, Operation, Reply
from app.api.problems import ApiProblem, unknown
from app.api.shapes import FieldError, Note, Shape
from app.guard import audit, current_person
from checkout.build import build_menu, build_registry
from core.errors import TraylaneError
from models.bare_onnx import find_model
from models.card import find_weights
from models.gate import ScoreRecord
from models.promotions import DEFAULT_CHANNEL, Entry
from models.registry import Known, Registry

_REF = r"^[a-z0-9][a-z0-9_.-]{0,99}@[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
_CHANNEL = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"


class PromotionShape(Shape):
    """One promotion or rollback."""

    sequence: int = Field(description="Counts from 1")
    at: str = Field(description="UTC, RFC 3339")
    action: Literal["promote", "rollback"]
    channel: str = Field(description="default, or a lane's id")
    model: str = Field(description="What the channel runs from now on")
    previous: str | None = Field(description="What it ran before")
    gate: Literal["passed", "refused", "none"] = Field(description="The gate's verdict")
    reasons: list[str] = Field(description="The gate's reasons")
    forced: str = Field(description="Why the gate was overruled, or empty")
    user: str = Field(description="Who did it, as the system knows them")


class PromotionList(Shape):
    """The history of promotions."""

    promotions: list[PromotionShape] = Field(description="Latest first")


class ModelPath(Shape):
    """Which model."""

    model: str = Field(pattern=_REF, description="NAME@VERSION", examples=["traynet@1"])


class PromoteBody(Shape):
    """Where a model shall run."""

    channel: str = Field(default=DEFAULT_CHANNEL, pattern=_CHANNEL, description="default, or a lane's id")
    force: Note = Field(default="", description="Overrule the gate: why; written down")


class GateQuery(Shape):
    """Whose place the model would take."""

    channel: str = Field(default=DEFAULT_CHANNEL, pattern=_CHANNEL, description="default, or a lane's id")


class RollbackBody(Shape):
    """Where the model before shall run again."""

    channel: str = Field(default=DEFAULT_CHANNEL, pattern=_CHANNEL, description="default, or a lane's id")


def _registry(call: Call) -> Registry:
    return build_registry(call.services.known_config())


def _shown(registry: Registry, known: Known, channels: dict[str, str]) -> ModelShape:
    card = known.card
    record, trouble = _scores(registry, card.ref)
    return ModelShape(
        model=card.ref,
        origin=known.origin,
        task=card.task,
        architecture=card.decoder or card.task,
        input_size=(card.input.width, card.input.height),
        labels=list(card.labels),
        licence=card.licence,
        source=card.source,
        notes=card.notes,
        weights_sha256=card.sha256,
        size_bytes=_size(known),
        precisions=[str(card.precision), *card.variants],
        lineage=None if card.lineage is None else LineageShape(**card.lineage.model_dump()),
        channels=[channel for channel, model in channels.items() if model == card.ref],
        scored=record is not None,
        scores=[] if record is None else _sets(record),
        scores_trouble=trouble,
    )


def _channels(call: Call, registry: Registry) -> dict[str, str]:
    held = sorted(registry.promotions.current().items())
    return {channel: one.model for channel, one in held if _is_shown(call, channel)}


def _is_shown(call: Call, channel: str) -> bool:
    """Return whether a channel is nobody's lane, or one that the caller may see."""
    return channel == DEFAULT_CHANNEL or call.sees(channel)


def _scores(registry: Registry, ref: str) -> tuple[ScoreRecord | None, str]:
    """Return a model's scores, or why they cannot be used: that concerns one model, and not the list."""
    try:
        return registry.scores(ref), ""
    except TraylaneError as err:
        return None, str(err)


def _size(known: Known) -> int | None:
    """Return the bytes of a model's weights, None where they are missing."""
    card = known.card
    try:
        files = [find_weights(card, known.path)]
        if card.second_stage is not None:
            files.append(find_weights(card.model_copy(update={"file": card.second_stage.file}), known.path))
        return sum(Path(file).stat().st_size for file in files)
    except (TraylaneError, OSError):
        return None


def _sets(record: ScoreRecord) -> list[SetShape]:
    return [
        SetShape(
            name=one.name,
            role=one.role,
            data_sha256=one.data_sha256,
            pictures=one.pictures,
            figures={
                name: FigureShape(value=figure.value, low=figure.low, high=figure.high)
                for name, figure in one.figures.items()
            },
        )
        for one in record.sets
    ]


def _lane(call: Call, registry: Registry, lane_id: str, runs: str) -> LaneModelShape:
    """Tell what a lane runs, and what it would run if it were started now."""
    config = call.services.known_config()
    try:
        card = find_model(config.site.models.detector.card, config.folder, registry=registry, lane=lane_id)
    except TraylaneError as err:
        return LaneModelShape(lane_id=lane_id, runs=runs, next=None, why=str(err))
    return LaneModelShape(lane_id=lane_id, runs=runs, next=card.ref, why="")


def _models(call: Call) -> Reply:
    registry = _registry(call)
    channels = _channels(call, registry)
    shown = [_shown(registry, known, channels) for known in registry.models()]
    follows = call.services.known_config().site.models.detector.card
    running = call.services.site.lane_models()
    lanes = [_lane(call, registry, lane_id, running[lane_id]) for lane_id in call.lane_ids]
    return Reply(ModelList(models=shown, channels=channels, lanes=lanes, follows=follows))


def _model(call: Call) -> Reply:
    registry = _registry(call)
    return Reply(_shown(registry, registry.find(call.path_as(ModelPath).model), _channels(call, registry)))


def _promotion(entry: Entry) -> PromotionShape:
    told = entry.model_dump(exclude={"utc", "weights_sha256", "reasons"})
    return PromotionShape(at=entry.utc, reasons=list(entry.reasons), **told)


def _history(call: Call) -> Reply:
    entries = _registry(call).promotions.history()
    return Reply(
        PromotionList(promotions=[_promotion(entry) for entry in reversed(entries) if _is_shown(call, entry.channel)])
    )


def _gate(call: Call) -> Reply:
    registry, ref = _registry(call), call.path_as(ModelPath).model
    channel = call.query_as(GateQuery).channel
    _check_channel(call, channel)
    verdict, held = registry.verdict(ref, channel), registry.promotions.holder(channel)
    return Reply(
        GateShape(passed=verdict.passed, held=None if held is None else held.model, reasons=list(verdict.reasons))
    )


def _promote(call: Call) -> Reply:
    config, registry = call.services.known_config(), _registry(call)
    ref, body = call.path_as(ModelPath).model, call.body_as(PromoteBody)
    _check_channel(call, body.channel)
    card = registry.load(registry.find(ref).card.ref)
    # A lane could not start with it; this cannot be overruled.
    build_menu(config).check_labels(card.labels, card.ref)
    force = f"{body.force} ({call.by})" if body.force else ""
    entry = registry.promote(ref, body.channel, force=force)[0]
    _write_down("model.promote", entry)
    return Reply(_promotion(entry))


def _roll_back(call: Call) -> Reply:
    channel = call.body_as(RollbackBody).channel
    _check_channel(call, channel)
    registry = _registry(call)
    if registry.promotions.holder(channel) is None:
        raise ApiProblem(409, "Nothing to roll back", f"nothing is promoted to channel {channel}")
    entry = registry.roll_back(channel)
    _write_down("model.rollback", entry)
    return Reply(_promotion(entry))


def _write_down(action: str, entry: Entry) -> None:
    now = {"model": entry.model, "gate": entry.gate, "forced": entry.forced}
    audit(current_person(), action, entry.channel, {"model": entry.previous}, now)


def _check_channel(call: Call, channel: str) -> None:
    known = [DEFAULT_CHANNEL, *call.services.known_config().site.lanes]
    if channel not in known:
        problem = unknown("channel", channel, known)
        detail = [FieldError(pointer="#/channel", detail=problem.detail)]
        raise ApiProblem(422, problem.title, problem.detail, detail)


def operations() -> tuple[Operation, ...]:
    """Return the operations of this file."""
    return (
        Operation("models_list", "GET", "/models", "All models", "models", _models, ModelList, tagged=True),
        Operation(
            "models_history", "GET", "/models/promotions", "What was promoted and rolled back", "models", _history,
            PromotionList, tagged=True,
        ),
        Operation("models_get", "GET", "/models/{model}", "One model", "models", _model, ModelShape, path=ModelPath,
                  tagged=True),
        Operation(
            "models_gate", "GET", "/models/{model}/gate", "What the gate says of a promotion", "models", _gate,
            GateShape, path=ModelPath, query=GateQuery, problems=(404, 422), more="Nothing changes.",
        ),
        Operation(
            "models_promote", "POST", "/models/{model}/promotion", "Let lanes run a model, if the gate agrees",
            "models", _promote, PromotionShape, path=ModelPath, body=PromoteBody, once=True, problems=(409,),
            more="Lanes whose configuration says `@current` take it at their next start.",
        ),
        Operation(
            "models_roll_back", "POST", "/models/rollback", "Go back to the model before", "models", _roll_back,
            PromotionShape, body=RollbackBody, once=True, problems=(404, 409),
        ),
    )  # fmt: skip
