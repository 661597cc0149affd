"""From a checkpoint to a model that ships: ONNX with raw YOLOX layout, checked against torch, and its card.

The input is uint8's range (0..255, RGB, no normalisation): the division by 255 is folded into the first convolution, so
that a lane only copies pixels. The output is (B, A, 5 + C): centre offsets and log sizes per cell, then probabilities.
"""

from __future__ import annotations

import copy
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
import yaml

from core.errors import ModelMismatch
from core.files import sha256_of, write_atomic
from training.checkpoint import net_of
from training.traynet import STRIDES, ExportNet, TrayNet

TOLERANCE = 1e-3


def export(
    checkpoint: Path, card_path: Path, version: str, size: tuple[int, int], scores: Mapping[str, float], source: str
) -> Path:
    """Write NAME.onnx and the card NAME.yaml, both whole or not at all; return the path of the weights.

    Args:
        checkpoint: a best.pt of `traylane train`.
        card_path: where the card goes, such as models/cards/traynet@1.yaml; the weights go beside it.
        version: of the weights, such as "1".
        size: width and height of the input.
        scores: measured figures for the card.
        source: how these weights can be made again.

    Raises:
        ModelMismatch: the exported graph computes something else than the net.
    """
    net, labels = net_of(checkpoint)
    weights = card_path.with_suffix(".onnx")
    weights.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=weights.parent, prefix=".export-") as folder:
        draft = Path(folder) / "draft.onnx"
        write_onnx(net, size, draft)
        check_parity(net, size, draft)
        write_atomic(weights, draft.read_bytes())
    card = {
        "name": "traynet",
        "version": version,
        "file": weights.name,
        "sha256": sha256_of(weights),
        "task": "detect",
        "decoder": "yolox",
        "input": {
            "width": size[0],
            "height": size[1],
            "layout": "nchw",
            "color": "rgb",
            "letterbox": "topleft",
            "pad": 114,
        },
        "classes": list(labels),
        "strides": list(STRIDES),
        "licence": "Apache-2.0",
        "source": source,
        "scores": dict(scores),
        "notes": "Trained on the synthetic lane alone: for the demo and for tests, not for a real counter.",
    }
    write_atomic(card_path, yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=120))
    return weights


def write_onnx(net: TrayNet, size: tuple[int, int], path: Path) -> None:
    """Write the net as ONNX for inputs (B, 3, H, W) of 0..255 with any B >= 1."""
    model = ExportNet(for_bytes(net)).eval()
    example = torch.rand(2, 3, size[1], size[0]) * 255
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about its own internals
        torch.onnx.export(
            model,
            (example,),
            str(path),
            input_names=["images"],
            output_names=["predictions"],
            dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    written = onnx.load(str(path))
    for node in written.graph.node:  # stack traces of the exporter, with paths of this machine
        del node.metadata_props[:]
    del written.metadata_props[:]
    del written.graph.metadata_props[:]
    for value in (*written.graph.value_info, *written.graph.input, *written.graph.output, *written.graph.initializer):
        del value.metadata_props[:]
    path.write_bytes(written.SerializeToString())


def for_bytes(net: TrayNet) -> TrayNet:
    """Return a copy of the net for pixels 0..255 instead of 0..1."""
    shipped = copy.deepcopy(net).eval()
    with torch.no_grad():
        shipped.stem.get_parameter("0.weight").div_(255.0)
    return shipped


def check_parity(net: TrayNet, size: tuple[int, int], path: Path) -> float:
    """Return the largest difference between the net and its ONNX export on random pictures, at two batch sizes.

    Raises:
        ModelMismatch: the difference is more than TOLERANCE.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    reference = ExportNet(net).eval()
    worst = 0.0
    for batch in (1, 3):
        pixels = np.random.default_rng(batch).integers(0, 256, (batch, 3, size[1], size[0])).astype(np.float32)
        with torch.no_grad():
            wanted = reference(torch.from_numpy(pixels) / 255).numpy()
        got = session.run(None, {"images": pixels})[0]
        if got.shape != wanted.shape:
            raise ModelMismatch(f"{path}: the export gives {got.shape}, the net {wanted.shape}")
        worst = max(worst, float(np.abs(got - wanted).max()))
    if not worst <= TOLERANCE:
        raise ModelMismatch(f"{path}: the export differs from the net by {worst:.2g} (allowed {TOLERANCE})")
    return worst
