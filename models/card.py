"""Model cards: a YAML file beside the weights that says what a model wants, gives, and may be used for.

A card is the only place where preprocessing, classes and licence of a model are written down; nothing is guessed
from the weights (but see `bare_onnx.py` for weights that come without a card).
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from core.errors import ModelMismatch, ModelNotFound
from core.files import sha256_of
from core.settings import Settings, load_settings
from models.second_stage import SecondStage

#: Where the cards of the shipped models live.
SHIPPED = Path(__file__).resolve().parent / "cards"

Decoder = Literal["yolox", "yolov8", "detr", "torchvision", "retinanet", "fcos", "ssd", "fasterrcnn"]
#: Decoders that start from anchors.
ANCHORED = ("retinanet", "fcos", "ssd", "fasterrcnn")
#: What a model does.
Task = Literal["detect", "embed"]
#: Fields of a card that only a detector has.
_DETECTORS_ONLY = ("decoder", "classes", "class_map", "anchors", "second_stage", "nms", "outputs", "activation")
Triple = tuple[float, float, float]
#: What weights and activations are computed in.
Precision = Literal["fp32", "int8"]
_SHA256 = r"^[0-9a-f]{64}$"
_LARGEST_SIDE = 4096


class InputSpec(Settings):
    """What the network eats: pixels become `(value * scale - mean) / std` per channel, in the order of `color`."""

    width: int = Field(gt=0, le=_LARGEST_SIDE, description="Pixels across")
    height: int = Field(gt=0, le=_LARGEST_SIDE, description="Pixels down")
    layout: Literal["nchw", "nhwc", "chw"] = Field(
        default="nchw", description="Order of the axes; chw has no batch axis"
    )
    color: Literal["rgb", "bgr"] = Field(default="rgb", description="Order of the channels; mean and std follow it")
    scale: float = Field(
        default=1.0, gt=0, description="Applied to the 0..255 values first; 1/255 is written 0.00392156863"
    )
    mean: Triple = Field(default=(0.0, 0.0, 0.0), description="Subtracted after scaling")
    std: Triple = Field(default=(1.0, 1.0, 1.0), description="Divided by at last")
    letterbox: Literal["topleft", "center", "stretch"] = Field(
        default="topleft", description="How a frame is fitted in"
    )
    pad: int | tuple[int, int, int] = Field(
        default=114, description="Value 0..255 of the border: a grey, or one for each channel in the order of `color`"
    )

    @field_validator("pad")
    @classmethod
    def _pad_is_a_byte(cls, pad: int | tuple[int, int, int]) -> int | tuple[int, int, int]:
        if not all(0 <= value <= 255 for value in ((pad,) if isinstance(pad, int) else pad)):
            raise ValueError(f"pad must be 0..255, got {pad}")
        return pad

    @field_validator("std")
    @classmethod
    def _std_divides(cls, std: Triple) -> Triple:
        if not all(value > 0 and math.isfinite(value) for value in std):
            raise ValueError(f"every std must be more than 0, got {list(std)}")
        return std


class AnchorLevel(Settings):
    """Anchors of one head of a dense detector, in input pixels: `sizes` at each cell of a grid."""

    rows: int = Field(gt=0, description="Cells down")
    columns: int = Field(gt=0, description="Cells across")
    step: tuple[float, float] = Field(description="From one cell to the next, across and down")
    offset: tuple[float, float] = Field(description="Centre of the first cell's anchors, x and y")
    sizes: tuple[tuple[float, float], ...] = Field(min_length=1, description="Width and height of each anchor")


class OutputNames(Settings):
    """Names of the graph's outputs, for decoders that read several; unset ones are found by their shape."""

    boxes: str | None = Field(default=None, description="Boxes")
    scores: str | None = Field(default=None, description="Logits (detr) or scores (torchvision)")
    labels: str | None = Field(default=None, description="Class numbers (torchvision)")
    quality: str | None = Field(default=None, description="Centerness (fcos)")


class Variant(Settings):
    """The same net in another precision: other weights, everything else as the card says."""

    file: str = Field(min_length=1, description="The .onnx file, relative to the card (or to the working folder)")
    sha256: str = Field(pattern=_SHA256, description="SHA-256 of the .onnx file, checked on every load")
    scores: dict[str, float | str] = Field(default_factory=dict, description="Measured figures, name -> value")


class Lineage(Settings):
    """Where weights come from, in hashes: the run, its pictures, its code, and the weights that it started from."""

    run: str = Field(default="", description="Id or hash of the training run (of its run.json)")
    data_sha256: dict[str, str] = Field(default_factory=dict, description="Role of a set (train, validation) -> hash")
    parent_sha256: str | None = Field(
        default=None, pattern=_SHA256, description="SHA-256 of the weights (or checkpoint) that training started from"
    )
    git: str = Field(default="", description="Commit of the code; + says that tracked files were changed")


class ModelCard(Settings):
    """Everything that must be known to run one model, and to trust it."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, coerce_numbers_to_str=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", description="Short name, lower case")
    version: str = Field(default="1", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="Version of the weights")
    file: str = Field(min_length=1, description="The .onnx file, relative to the card (or to the working folder)")
    sha256: str = Field(pattern=_SHA256, description="SHA-256 of the .onnx file, checked on every load")
    precision: Precision = Field(default="fp32", description="What the weights in `file` are computed in")
    variants: dict[Literal["int8"], Variant] = Field(
        default_factory=dict, description="The same net in other precisions, chosen by models.detector.precision"
    )
    task: Task = Field(
        default="detect", description="What the model does: detect finds things in frames, embed tells dishes apart"
    )
    decoder: Decoder | None = Field(
        default=None, description="How a detector's outputs are read: yolox, yolov8, detr, torchvision, or raw heads"
    )
    dimensions: int | None = Field(default=None, ge=2, le=4096, description="Length of an embedder's vectors")
    input: InputSpec = Field(description="What the model eats")
    outputs: OutputNames = Field(default=OutputNames(), description="Names of the outputs, where needed")
    classes: tuple[str, ...] = Field(
        default=(), description="A detector's classes, in the order of its outputs; an embedder has none"
    )
    class_map: dict[str, str | None] | None = Field(
        default=None,
        description="Model class -> dish, @hand or @item; null or missing = ignored. Unset: every class is a label",
    )
    strides: tuple[int, ...] = Field(default=(8, 16, 32), min_length=1, description="Cell sizes of the yolox heads")
    anchors: tuple[AnchorLevel, ...] = Field(default=(), description="What raw heads with anchors start from")
    second_stage: SecondStage | None = Field(
        default=None, description="Of fasterrcnn: the graph that looks at what the one in `file` proposes"
    )
    activation: Literal["none", "sigmoid", "softmax"] = Field(
        default="none", description="What turns the class outputs into 0..1 (softmax: detr, last class is no object)"
    )
    class_offset: int = Field(
        default=0, ge=0, description="Number of the first class in a torchvision export (1: 0 is background)"
    )
    nms: Literal["label", "all", "none"] | None = Field(
        default=None,
        description="Who suppresses whom: label (same label, or nearly the same box), all, none; by decoder if unset",
    )
    licence: str = Field(min_length=1, description="Licence of the weights")
    source: str = Field(min_length=1, description="Where the weights come from")
    lineage: Lineage | None = Field(default=None, description="Run, data, parent and code, where they are known")
    scores: dict[str, float | str] = Field(default_factory=dict, description="Measured figures, name -> value")
    notes: str = Field(default="", description="What a person should know")

    @field_validator("classes")
    @classmethod
    def _classes_differ(cls, classes: tuple[str, ...], card: ValidationInfo) -> tuple[str, ...]:
        if not classes and card.data.get("task") == "detect":
            raise ValueError("a detector needs classes, at least one")
        twice = sorted({name for name in classes if classes.count(name) > 1})
        if twice:
            raise ValueError(f"class names must differ, {', '.join(twice)} is there twice")
        return classes

    @field_validator("strides")
    @classmethod
    def _strides_are_positive(cls, strides: tuple[int, ...]) -> tuple[int, ...]:
        if min(strides) < 1:
            raise ValueError(f"strides must be 1 or more, got {list(strides)}")
        return strides

    @model_validator(mode="after")
    def _has_what_its_task_needs(self) -> Self:
        if self.task == "detect":
            if self.decoder is None:
                raise ValueError("a detector needs a decoder (or is it an embedder? then say task: embed)")
            if self.dimensions is not None:
                raise ValueError("dimensions are an embedder's; a detector has none")
            return self
        if self.dimensions is None:
            raise ValueError("an embedder needs dimensions, the length of its vectors")
        foreign = [name for name in _DETECTORS_ONLY if getattr(self, name) != type(self).model_fields[name].default]
        if foreign:
            raise ValueError(f"an embedder has no {', '.join(foreign)}")
        if self.input.layout != "nchw":
            raise ValueError(f"an embedder's input must be laid out as nchw, got {self.input.layout}")
        return self

    @model_validator(mode="after")
    def _strides_fit(self) -> Self:
        if self.decoder == "yolox" and (self.input.width % max(self.strides) or self.input.height % max(self.strides)):
            size = f"{self.input.width}x{self.input.height}"
            raise ValueError(f"input {size} must be a multiple of the largest stride {max(self.strides)}")
        if (self.decoder in ANCHORED) != bool(self.anchors):
            raise ValueError(f"decoder {self.decoder} {'needs' if self.decoder in ANCHORED else 'has no'} anchors")
        if (self.decoder == "fasterrcnn") != (self.second_stage is not None):
            verb = "needs a" if self.decoder == "fasterrcnn" else "has no"
            raise ValueError(f"decoder {self.decoder} {verb} second_stage")
        return self

    @property
    def ref(self) -> str:
        """Name and version, such as "traynet@1": what a configuration asks for, whatever the precision."""
        return f"{self.name}@{self.version}"

    @property
    def full_name(self) -> str:
        """Name, version and precision as used in events, such as "traynet@1" or "traynet@1/int8"."""
        return self.ref if self.precision == "fp32" else f"{self.ref}/{self.precision}"

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that detections of this model can have, in the order of the classes, each once."""
        if self.class_map is None:
            return self.classes
        mapped = (self.class_map.get(name) for name in self.classes)
        return tuple(dict.fromkeys(label for label in mapped if label is not None))

    @property
    def label_of_class(self) -> tuple[int, ...]:
        """For each class the index of its label in `labels`, or -1 where it is ignored."""
        index = {label: i for i, label in enumerate(self.labels)}
        if self.class_map is None:
            return tuple(range(len(self.classes)))
        return tuple(index.get(self.class_map.get(name) or "", -1) for name in self.classes)

    @property
    def suppression(self) -> str:
        """Who suppresses whom: what the card says, else nobody for models that need none."""
        return self.nms or ("none" if self.decoder == "detr" else "label")

    def at(self, precision: Precision | Literal["auto"]) -> ModelCard:
        """Return the card of the weights in another precision, alone.

        Args:
            precision: "fp32" means the card's own `file`, "int8" its variant, "auto" the variant where there is one.

        Raises:
            ModelMismatch: there are no weights in that precision.
        """
        if precision in ("fp32", self.precision) or (precision == "auto" and "int8" not in self.variants):
            return self
        variant = self.variants.get("int8")
        if variant is None:
            raise ModelMismatch(
                f"{self.ref}: no int8 weights in its card; set models.detector.precision: auto or fp32, or make them: "
                "python -m training.quantise CARD"
            )
        return self.model_copy(
            update={
                "file": variant.file,
                "sha256": variant.sha256,
                "precision": "int8",
                "variants": {},
                "scores": variant.scores,
            }
        )

    def sized(self, size: tuple[int, int] | None) -> ModelCard:
        """Return the card for frames fitted into `size` (width, height); whether the weights take it shows on loading.

        Raises:
            ModelMismatch: the size does not fit the heads' strides.
        """
        if size is None:
            return self
        width, height = size
        step = max(self.strides)
        if not (0 < width <= _LARGEST_SIDE and 0 < height <= _LARGEST_SIDE) or width % step or height % step:
            raise ModelMismatch(
                f"{self.full_name}: input {width}x{height} does not fit; width and height must be multiples of {step}, "
                f"at most {_LARGEST_SIDE}: correct models.detector.size"
            )
        return self.model_copy(update={"input": self.input.model_copy(update={"width": width, "height": height})})

    def check_task(self, task: Task) -> None:
        """Raise ModelMismatch when the model does something else."""
        if self.task != task:
            does = {"detect": "finds things in frames (task detect)", "embed": "tells taught dishes apart (task embed)"}
            key = "models.detector.card" if task == "detect" else "models.embedder.card"
            raise ModelMismatch(
                f"{self.full_name}: is a model that {does[self.task]}, one that {does[task]} is needed here; "
                f"name another in {key}"
            )

    def check_class_map(self, where: str) -> None:
        """Raise ModelMismatch when the class map names unknown classes, or ignores every class; embedders have none."""
        if self.task == "embed":
            return
        unknown = sorted(set(self.class_map or ()) - set(self.classes))
        if unknown:
            known = ", ".join(self.classes[:8]) + (", …" if len(self.classes) > 8 else "")
            raise ModelMismatch(
                f"{where}: class_map names {', '.join(unknown)}, which the model does not have; its classes are {known}"
            )
        if not self.labels:
            raise ModelMismatch(f"{where}: class_map ignores every class; map at least one to a dish")


def load_card(
    ref: str, folder: Path | None = None, precision: Precision | Literal["auto"] | None = None, shipped: Path = SHIPPED
) -> ModelCard:
    """Return the card that `ref` names, with its weights found and their hash checked.

    Args:
        ref: a shipped model as "name@version" or "name" (newest version), or a path to a .yaml card.
        folder: where a relative path starts (the configuration's folder); then the working folder is tried.
        precision: which of the card's weights; those of `file` if None, "auto" prefers int8.
        shipped: folder of the shipped cards.

    Returns:
        The card; its `file` is an absolute path.

    Raises:
        ModelNotFound: no such card, or its weights are missing.
        ModelMismatch: the weights are not those of the card, or the class map names unknown classes.
        ConfigError: the card is broken; names file, line and key.
    """
    if ref.endswith((".yaml", ".yml")) or "/" in ref or os.sep in ref:
        path = _find_card(ref, folder)
        card = read_card(path)
    else:
        path, card = _find_shipped(ref, shipped)
    card.check_class_map(str(path))
    if precision is not None:
        card = card.at(precision)
    changes: dict[str, Any] = {"file": _checked(card.file, card.sha256, card, path)}
    if card.second_stage is not None:
        second = _checked(card.second_stage.file, card.second_stage.sha256, card, path)
        changes["second_stage"] = card.second_stage.model_copy(update={"file": second})
    return card.model_copy(update=changes)


def read_card(path: Path) -> ModelCard:
    """Return a card as it is written, its weights neither looked for nor checked.

    Raises:
        ConfigError: the card is missing or broken; names file, line and key.
    """
    return load_settings(ModelCard, path)[0]


def _find_card(ref: str, folder: Path | None) -> Path:
    """Return the existing file for `ref`, looked up in `folder` and then in the working folder."""
    places = [Path(ref)] if folder is None else [folder / ref, Path(ref)]
    for place in places:
        if place.is_file():
            return place
    tried = " and ".join(str(place) for place in dict.fromkeys(places))
    raise ModelNotFound(f"{ref}: no such model card (looked for {tried}); correct models.card in the configuration")


def _find_shipped(ref: str, cards: Path = SHIPPED) -> tuple[Path, ModelCard]:
    """Return path and card of a shipped model; without a version the newest one."""
    name, _, version = ref.partition("@")
    every = [(path, read_card(path)) for path in sorted(cards.glob("*.yaml"))]
    fitting = [(path, card) for path, card in every if card.name == name and version in ("", card.version)]
    if not fitting:
        names = ", ".join(sorted(card.full_name for _, card in every)) or "none"
        raise ModelNotFound(
            f"{ref}: no shipped model of that name (shipped: {names}); name one or give a path to a card"
        )
    return max(fitting, key=lambda pair: _version_key(pair[1].version))


def _version_key(version: str) -> tuple[Any, ...]:
    """Order versions by their numbers: 2 before 10."""
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in version.split("."))


def find_weights(card: ModelCard, path: Path) -> Path:
    """Return where the weights of a card lie: beside the card at `path`, else from the working folder.

    Raises:
        ModelNotFound: in neither place.
    """
    return _find_file(card.file, card, path)


def _find_file(file: str, card: ModelCard, path: Path) -> Path:
    places = [path.parent / file, Path(file)]
    for place in places:
        if place.is_file():
            return place.resolve()
    raise ModelNotFound(f"{places[0]}: weights of {card.full_name} are missing; fetch them or correct `file` in {path}")


def _checked(file: str, sha256: str, card: ModelCard, path: Path) -> str:
    """Return the absolute path of a file of weights whose hash is the card's."""
    weights = _find_file(file, card, path)
    found = sha256_of(weights)
    if found != sha256:
        raise ModelMismatch(
            f"{weights}: SHA-256 is {found[:12]}…, the card {path} says {sha256[:12]}…; the file is damaged or "
            "another version: fetch it again, or correct the card"
        )
    return str(weights)
