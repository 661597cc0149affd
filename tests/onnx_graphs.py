"""Small real ONNX models for tests: graphs that give the tensors they are told to, whatever their size."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

from models.card import ModelCard


def write_graph(
    path: Path,
    outputs: Mapping[str, np.ndarray],
    input_shape: Sequence[int | str] = ("n", 3, 64, 64),
    gains: Mapping[str, np.ndarray] | None = None,
) -> Path:
    """Write a model whose outputs are `outputs + gains * mean(input image)`, so that every image has its own answer.

    Args:
        path: where to.
        outputs: name -> tensor of one image, with its batch axis of 1 (or none); int64 tensors are given as they are.
        input_shape: a name is a dynamic axis. With a batch axis in the input, float outputs get one row per image.
        gains: name -> tensor of the output's shape; 0 where not given.
    """
    batched = len(input_shape) == 4
    axes = [1, 2, 3] if batched else [0, 1, 2]
    nodes, constants, declared = [], [], []
    constants.append(numpy_helper.from_array(np.array(axes, np.int64), "axes"))
    nodes.append(helper.make_node("ReduceMean", ["images", "axes"], ["mean"], keepdims=0))
    for name, tensor in outputs.items():
        constants.append(numpy_helper.from_array(tensor, f"{name}_value"))
        if tensor.dtype == np.int64:
            nodes.append(helper.make_node("Identity", [f"{name}_value"], [name]))
            declared.append(helper.make_tensor_value_info(name, TensorProto.INT64, tensor.shape))
            continue
        gain = (gains or {}).get(name, np.zeros_like(tensor))
        follows = batched and tensor.ndim == 3
        shape = np.array([-1, 1, 1] if follows else [1] * tensor.ndim, np.int64)
        constants.append(numpy_helper.from_array(gain.astype(np.float32), f"{name}_gain"))
        constants.append(numpy_helper.from_array(shape, f"{name}_shape"))
        nodes.append(helper.make_node("Reshape", ["mean", f"{name}_shape"], [f"{name}_mean"]))
        nodes.append(helper.make_node("Mul", [f"{name}_mean", f"{name}_gain"], [f"{name}_extra"]))
        nodes.append(helper.make_node("Add", [f"{name}_value", f"{name}_extra"], [name]))
        declared.append(
            helper.make_tensor_value_info(
                name, TensorProto.FLOAT, [input_shape[0], *tensor.shape[1:]] if follows else tensor.shape
            )
        )
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, list(input_shape))
    graph = helper.make_graph(nodes, "answers", [images], declared, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def card_content(path: Path, **changes: object) -> dict[str, object]:
    """Return the content of a card for `path`: yolox at 64x64 with classes cup and plate, unless changed."""
    content: dict[str, object] = {
        "name": "testnet",
        "version": "1",
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "decoder": "yolox",
        "input": {"width": 64, "height": 64},
        "classes": ["cup", "plate"],
        "licence": "Apache-2.0",
        "source": "made by a test",
    }
    return content | changes


def card_for(path: Path, **changes: object) -> ModelCard:
    """Return a card for `path` without a file of its own."""
    return ModelCard.model_validate(card_content(path, **changes) | {"file": str(path)})


def write_card(path: Path, **changes: object) -> Path:
    """Write a card beside the model `path` and return where."""
    where = path.with_suffix(".yaml")
    where.write_text(yaml.safe_dump(card_content(path, **changes), sort_keys=False))
    return where


def yolox_heads(size: tuple[int, int] = (64, 64), classes: int = 2) -> np.ndarray:
    """Return empty yolox heads (1, A, 5 + C) for an input of width x height."""
    cells = sum((size[0] // stride) * (size[1] // stride) for stride in (8, 16, 32))
    return np.zeros((1, cells, 5 + classes), np.float32)


def put_yolox(
    heads: np.ndarray, box: Sequence[float], obj: float, classes: Sequence[float], width: int = 64
) -> np.ndarray:
    """Write one object into the stride-8 head: `box` is xyxy in input pixels."""
    x, y = (box[0] + box[2]) / 2 / 8, (box[1] + box[3]) / 2 / 8
    cell = int(y) * (width // 8) + int(x)
    sides = [np.log((box[2] - box[0]) / 8), np.log((box[3] - box[1]) / 8)]
    heads[0, cell] = [x - int(x), y - int(y), *sides, obj, *classes]
    return heads


def write_convnet(path: Path, size: tuple[int, int] = (96, 64), classes: int = 3, seed: int = 3) -> Path:
    """Write a real convolutional yolox net for pixels 0..255 at width x height: stem, residual block, three heads."""
    rng = np.random.default_rng(seed)
    nodes, constants = [], []

    def conv(x: str, name: str, outputs: int, inputs: int, kernel: int = 3, stride: int = 1, bias: float = 0.0) -> str:
        weight = rng.normal(0, np.sqrt(2 / (inputs * kernel**2)), (outputs, inputs, kernel, kernel))
        constants.append(numpy_helper.from_array((weight / (255 if x == "images" else 1)).astype(np.float32), name))
        constants.append(numpy_helper.from_array(np.full(outputs, bias, np.float32), f"{name}_bias"))
        pads, strides = [kernel // 2] * 4, [stride] * 2
        inputs_of = [x, name, f"{name}_bias"]
        nodes.append(helper.make_node("Conv", inputs_of, [f"{name}_out"], f"{name}_node", pads=pads, strides=strides))
        return f"{name}_out"

    def node(kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], f"{output}_node", **attributes))
        return output

    x = node("Relu", [conv("images", "stem", 8, 3, stride=2)], "stem_relu")
    x = node("Relu", [conv(x, "stage4", 16, 8, stride=2)], "stage4_relu")
    x = node("Relu", [conv(x, "stage8", 16, 16, stride=2)], "stage8_relu")
    x = node("Relu", [node("Add", [x, conv(x, "block", 16, 16)], "sum")], "block_relu")
    levels = [x]
    for stride in (16, 32):
        levels.append(node("Relu", [conv(levels[-1], f"stage{stride}", 16, 16, stride=2)], f"stage{stride}_relu"))
    constants.append(numpy_helper.from_array(np.array([0, 5 + classes, -1], np.int64), "flat"))
    rows = []
    for stride, level in zip((8, 16, 32), levels, strict=True):
        parts = [conv(level, f"{part}{stride}", n, 16, 1) for part, n in (("box", 4), ("objectness", 1))]
        parts.append(conv(level, f"classes{stride}", classes, 16, 1))
        rows.append(node("Reshape", [node("Concat", parts, f"cat{stride}", axis=1), "flat"], f"rows{stride}"))
    x = node("Transpose", [node("Concat", rows, "rows", axis=2)], "cells", perm=[0, 2, 1])
    constants.append(numpy_helper.from_array(np.array([4, 1 + classes], np.int64), "parts"))
    nodes.append(helper.make_node("Split", [x, "parts"], ["boxes", "logits"], "split_node", axis=2))
    node("Concat", ["boxes", node("Sigmoid", ["logits"], "sure")], "predictions", axis=2)
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, size[1], size[0]])
    cells = yolox_heads(size).shape[1]
    out = helper.make_tensor_value_info("predictions", TensorProto.FLOAT, ["n", cells, 5 + classes])
    graph = helper.make_graph(nodes, "convnet", [images], [out], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path
