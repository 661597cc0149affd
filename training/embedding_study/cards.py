"""An embedder's card as one more model: judged beside the grid, never chosen.

Nobody can see from a card which photos it learnt from; inside the gallery it may remember them. So the grid and the
races choose among the others, and the card is held against their choice on the photos aside.
"""

from __future__ import annotations

from pathlib import Path

from core.errors import ModelMismatch
from models.card import load_card
from models.ort_embedder import OrtEmbedder
from models.settings import EmbedderSettings
from training.embedding_study.describers import EmbedderDescriber


def card_model(ref: str, threads: int) -> EmbedderDescriber:
    """Return the embedder of a card, "dish-embed@1" or a path, on the CPU.

    Raises:
        ModelNotFound: no such card.
        ModelMismatch: it is no embedder, or its file is broken.
    """
    card = load_card(ref)
    embedder = OrtEmbedder(card, EmbedderSettings(card=ref, device="cpu", threads=threads))
    return EmbedderDescriber(embedder, card.sha256, onnx_macs(Path(card.file)))


def onnx_macs(path: Path) -> int:
    """Return the multiply-adds of one picture: of all convolutions and matrix products of a graph."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(onnx.load(str(path))).graph
    shapes = {
        tensor.name: [max(1, dimension.dim_value) for dimension in tensor.type.tensor_type.shape.dim]
        for tensor in [*graph.value_info, *graph.output, *graph.input]
    }
    shapes |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    macs = 0
    for node in graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        out, weight = shapes.get(node.output[0]), shapes.get(node.input[1])
        if out is None or weight is None:
            raise ModelMismatch(
                f"{path}: the shape of {node.op_type} {node.name!r} cannot be told; export it with shapes"
            )
        if node.op_type == "Conv":
            macs += _product(out[1:]) * _product(weight[1:])
        else:
            turned = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
            macs += _product(out[1:]) * weight[-1 if turned else -2]
    return macs


def _product(numbers: list[int]) -> int:
    product = 1
    for number in numbers:
        product *= number
    return product
