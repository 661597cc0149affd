"""Weights without a card: what can be told from the graph itself, and nothing beyond that.

A card is always better: preprocessing is not written in an ONNX file, so the conventions of the layout's origin are
taken (YOLOX: BGR 0..255, frame at the top left; YOLOv8-style: RGB 0..1, centred; torchvision: RGB 0..1, stretched).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from core.errors import ConfigError, ModelMismatch, ModelNotFound
from core.files import sha256_of
from models.card import InputSpec, ModelCard, Precision, load_card
from models.decoders import grid
from models.device import Device
from models.registry import Registry
from models.session import Session

_COCO = (
    "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign, "
    "parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, "
    "handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, "
    "skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, "
    "sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining "
    "table, toilet, tv, laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, "
    "refrigerator, book, clock, vase, scissors, teddy bear, hair drier, toothbrush"
)
COCO_CLASSES = tuple(_COCO.split(", "))
_STRIDES = (8, 16, 32)
_BYTE = 1 / 255


def find_model(
    ref: str,
    folder: Path | None = None,
    precision: Precision | Literal["auto"] | None = None,
    registry: Registry | None = None,
    lane: str | None = None,
) -> ModelCard:
    """Return the card of the model that a configuration or a person names.

    Args:
        ref: "@current" or "@CHANNEL" (what is promoted there), the name of a shipped or imported model, a card file, or
            an .onnx file (its card beside it, else a guess).
        folder: where a relative path starts (the configuration's folder); then the working folder is tried.
        precision: which of the card's weights; see `load_card`.
        registry: of imported models and promotions.
        lane: whose own channel goes before the default one, for "@current".

    Raises:
        ModelNotFound: nothing there, or nothing promoted.
        ModelMismatch: the weights do not fit their card, or come without one and their layout is not plain.
        ConfigError: the card is broken.
    """
    if ref.startswith("@"):
        if registry is None:
            raise ConfigError(f"{ref}: only a configuration's lanes know channels; name a model instead")
        return registry.resolve(ref, lane, precision)
    if registry is not None and registry.names(ref):
        return registry.load(ref, precision)
    if not ref.endswith(".onnx"):
        return load_card(ref, folder, precision)
    places = [Path(ref)] if folder is None else [folder / ref, Path(ref)]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise ModelNotFound(f"{ref}: no such model file; give an .onnx file, a card or a shipped model's name")
    beside = path.with_suffix(".yaml")
    return load_card(str(beside.resolve()), precision=precision) if beside.is_file() else guess_card(path)


def guess_card(path: Path) -> ModelCard:
    """Return a card for bare weights whose layout is plain.

    Raises:
        ModelMismatch: the layout could mean several things; a card must be written.
    """
    session = Session(path, Device("cpu"), threads=1)
    shape = session.inputs[0].shape if len(session.inputs) == 1 else ()
    if len(shape) not in (3, 4) or shape[-3] != 3 or shape[-2] is None or shape[-1] is None:
        raise ModelMismatch(
            f"{path}: no image input of a fixed size (3, height, width) in the model; write a card for it"
        )
    height, width = shape[-2], shape[-1]
    layout: Literal["nchw", "chw"] = "nchw" if len(shape) == 4 else "chw"
    blank = np.zeros([size or 1 for size in shape], dtype=np.float32)
    names = [output.name for output in session.outputs]
    outputs = dict(zip(names, session.run(names, {session.inputs[0].name: blank}), strict=True))
    cells = len(grid(width, height, _STRIDES)[0])
    first = outputs[names[0]].shape
    if {"boxes", "scores", "labels"} <= set(names):
        decoder, classes = "torchvision", _class_names(session.metadata, 0)
        spec = InputSpec(width=width, height=height, layout=layout, scale=_BYTE, letterbox="stretch")
    elif len(names) == 1 and len(first) == 3 and first[1] == cells and first[2] > 5:
        decoder, classes = "yolox", _class_names(session.metadata, first[2] - 5)
        spec = InputSpec(width=width, height=height, color="bgr")
    elif len(names) == 1 and len(first) == 3 and first[2] == cells and first[1] > 4:
        decoder, classes = "yolov8", _class_names(session.metadata, first[1] - 4)
        spec = InputSpec(width=width, height=height, scale=_BYTE, letterbox="center")
    else:
        shapes = ", ".join(f"{name} {outputs[name].shape}" for name in names)
        raise ModelMismatch(
            f"{path}: cannot tell from its outputs ({shapes}) how to read them; write a model card for it"
        )
    return ModelCard.model_validate(
        {
            "name": "".join(c if c.isalnum() or c in "_.-" else "_" for c in path.stem.lower()).lstrip("_.-")
            or "model",
            "version": "0",
            "file": str(path.resolve()),
            "sha256": sha256_of(path),
            "decoder": decoder,
            "input": spec,
            "classes": classes,
            "class_offset": 1 if decoder == "torchvision" else 0,
            "licence": "unknown",
            "source": "unknown: weights without a card",
        }
    )


def _class_names(metadata: Mapping[str, str], count: int) -> tuple[str, ...]:
    """Return the names in the graph's metadata, COCO's for 80 (or an unknown number of) classes, else numbers."""
    try:
        written = ast.literal_eval(metadata.get("names", "None"))
    except (SyntaxError, ValueError):
        written = None
    if isinstance(written, dict) and (count == 0 or len(written) == count):
        return tuple(str(name) for name in written.values())
    if count in (0, len(COCO_CLASSES)):
        return COCO_CLASSES if count else tuple(f"class {i}" for i in range(1, 1001))
    return tuple(f"class {i}" for i in range(count))
