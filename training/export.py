"""From a trained net to a model that ships: ONNX with raw heads, checked against torch, and its card.

TrayNet's input is uint8's range (0..255, RGB, no normalisation): the division by 255 is folded into the first
convolution, so that a lane only copies pixels. Its output is (B, A, 5 + C): centre offsets and log sizes per cell, then
probabilities. What torchvision's detectors leave as is told in `raw_heads.py`.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
import yaml
from numpy.typing import NDArray

from core.errors import ConfigError, ModelMismatch
from core.files import sha256_of, write_atomic
from models.card import InputSpec, Lineage, ModelCard
from models.letterbox import Letterbox
from models.two_stage import FEATURES, LEVELS, OUTPUTS, PROPOSALS
from training.checkpoint import net_of
from training.raw_heads import Exportable, Heads, heads_of, joined, torch_graphs
from training.region_heads import RegionHeads
from training.traynet import STRIDES, ExportNet, TrayNet

TOLERANCE = 1e-3


@dataclass(frozen=True)
class Origin:
    """What a card says of a model beyond its net.

    Attributes:
        name: short name, lower case.
        version: of the weights.
        licence: of the weights.
        source: how these weights can be made again.
        scores: measured figures.
        lineage: run, data, parent and code, where they are known.
        notes: what a person should know.
    """

    name: str
    version: str
    licence: str
    source: str
    scores: Mapping[str, float] = field(default_factory=dict)
    lineage: Lineage | None = None
    notes: str = ""


def export(checkpoint: Path, card_path: Path, size: tuple[int, int], origin: Origin) -> Path:
    """Write NAME.onnx and the card NAME.yaml, both whole or not at all; return the path of the weights.

    Args:
        checkpoint: a best.pt of TrayNet's own recipe.
        card_path: where the card goes, such as models/cards/traynet@1.yaml; the weights go beside it.
        size: width and height of the input.
        origin: what the card says beyond the net.

    Raises:
        ModelMismatch: the exported graph computes something else than the net.
    """
    net, labels = net_of(checkpoint)
    return _export_traynet(net, labels, size, card_path, origin)


def export_detector(
    detector: Exportable, card_path: Path, origin: Origin, pictures: Sequence[NDArray[np.uint8]] = ()
) -> Path:
    """Write the weights and the card of any detector, both whole or not at all; return the path of the weights.

    Args:
        detector: one of `training.finetune.detectors`, or what looks like it; it is put into inference mode.
        card_path: where the card goes; the weights go beside it.
        origin: what the card says beyond the net.
        pictures: real ones, (H, W, 3) uint8 RGB, on which torch and the export are compared, besides random ones.

    Raises:
        ModelMismatch: the exported graph computes something else than the net.
        ConfigError: the architecture cannot be exported.
    """
    if detector.arch == "traynet":
        detector.net.eval()
        return _export_traynet(detector.net, detector.labels, detector.size, card_path, origin, pictures)
    detector.net.eval()
    heads = heads_of(detector)
    weights = card_path.with_suffix(".onnx")
    weights.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=weights.parent, prefix=".export-") as folder:
        draft = Path(folder) / "draft.onnx"
        write_heads(heads, draft)
        check_heads(heads, draft, pictures)
        content: dict[str, Any] = {
            "decoder": heads.decoder,
            "input": heads.input.model_dump(mode="json", exclude_defaults=True),
            "classes": list(detector.labels),
            "anchors": [level.model_dump(mode="json") for level in heads.anchors],
        }
        drafts = {weights: draft}
        if heads.second is not None:
            drafts = {second_path(weights): second_path(draft)} | drafts
            content["second_stage"] = _tie(heads.second, draft, second_path(draft), second_path(weights))
        keep(drafts, card_path, origin, content)
    return weights


def _export_traynet(
    net: TrayNet,
    labels: tuple[str, ...],
    size: tuple[int, int],
    card_path: Path,
    origin: Origin,
    pictures: Sequence[NDArray[np.uint8]] = (),
) -> Path:
    weights = card_path.with_suffix(".onnx")
    weights.parent.mkdir(parents=True, exist_ok=True)
    spec = InputSpec(width=size[0], height=size[1])
    with tempfile.TemporaryDirectory(dir=weights.parent, prefix=".export-") as folder:
        draft = Path(folder) / "draft.onnx"
        write_onnx(net, size, draft)
        check_parity(net, size, draft, [letterboxed(spec, picture) for picture in pictures])
        content = {
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
        }
        keep({weights: draft}, card_path, origin, content)
    return weights


def _tie(stage: RegionHeads, first: Path, second: Path, weights: Path) -> Mapping[str, Any]:
    """Write the second graph's hash into the first, and return what the card says of the second.

    So the hash of the card's `file`, by which a model is known everywhere, stands for both.
    """
    sha256 = sha256_of(second)
    written = onnx.load(str(first))
    onnx.helper.set_model_props(written, {"second_stage_sha256": sha256})
    first.write_bytes(written.SerializeToString())
    return stage.card_fields(weights.name, sha256)


def keep(drafts: Mapping[Path, Path], card_path: Path, origin: Origin, content: Mapping[str, Any]) -> None:
    """Put the weights beside their card, then the card, which names them by their hash.

    Args:
        drafts: where each graph goes -> where it was written; the card's own `file` is the last.
        card_path: where the card goes.
        origin: see `Origin`.
        content: what the card says of the net.
    """
    weights, draft = list(drafts.items())[-1]
    card = {
        "name": origin.name,
        "version": origin.version,
        "file": weights.name,
        "sha256": sha256_of(draft),
        "task": "detect",
        **content,
        "licence": origin.licence,
        "source": origin.source,
        "lineage": None if origin.lineage is None else origin.lineage.model_dump(mode="json", exclude_defaults=True),
        "scores": dict(origin.scores),
        "notes": origin.notes,
    }
    card = {name: value for name, value in card.items() if value not in (None, "", {}, [])}
    try:
        ModelCard.model_validate(card)
    except ValueError as err:
        raise ConfigError(f"{card_path}: {' '.join(str(err).split())}") from err
    for place, written in drafts.items():
        write_atomic(place, written.read_bytes())
    write_atomic(card_path, yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=120))


def write_onnx(net: TrayNet, size: tuple[int, int], path: Path) -> None:
    """Write the net as ONNX for inputs (B, 3, H, W) of 0..255: any B >= 1, any H and W that are multiples of 32."""
    model = ExportNet(for_bytes(net)).eval()
    example = torch.rand(2, 3, size[1], size[0]) * 255
    step = max(STRIDES)
    rows, columns = (torch.export.Dim(name, min=2, max=4096 // step) for name in ("rows", "columns"))
    with _quiet_exporter():
        torch.onnx.export(
            model,
            (example,),
            str(path),
            input_names=["images"],
            output_names=["predictions"],
            dynamic_shapes={"images": {0: torch.export.Dim("batch"), 2: step * rows, 3: step * columns}},
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    _strip(path)


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep to itself what the exporters say about their own internals."""
    logs = [logging.getLogger(name) for name in ("onnx_ir", "onnxscript")]
    before = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, before, strict=True):
            log.setLevel(level)


def write_heads(heads: Heads, path: Path) -> None:
    """Write the heads as ONNX for inputs (B, 3, H, W) with any B >= 1; a second stage goes to `second_path(path)`.

    Raises:
        ModelMismatch: this version of torch cannot export the net.
    """
    spec, batch = heads.input, torch.export.Dim("batch")
    images = torch.rand(2, 3, spec.height, spec.width)
    write_graph(heads.net, {"images": images}, {"images": {0: batch}}, heads.outputs, path)
    if heads.second is None:
        return
    with torch.no_grad():
        features = heads.net(images)[: len(heads.second.features)]
    boxes = torch.tensor([0.0, 0.0, spec.width / 2, spec.height / 2]).repeat(2, 3, 1)
    inputs = {PROPOSALS: boxes, LEVELS: torch.zeros(2, 3, dtype=torch.int64)}
    inputs |= dict(zip(heads.second.features, features, strict=True))
    sizes = {0: batch, 1: torch.export.Dim("places")}
    shapes = {PROPOSALS: sizes, LEVELS: sizes, "features": tuple({0: batch} for _ in features)}
    write_graph(heads.second.net, inputs, shapes, OUTPUTS[1:], second_path(path))


def second_path(path: Path) -> Path:
    """Return where the second graph of a two-stage detector goes, beside its first."""
    return path.with_suffix(".second.onnx")


def write_graph(
    net: torch.nn.Module,
    inputs: Mapping[str, torch.Tensor],
    shapes: Mapping[str, Any],
    outputs: Sequence[str],
    path: Path,
) -> None:
    """Write one graph as ONNX, without the exporter's traces of this machine.

    Args:
        net: in inference mode.
        inputs: an example of each input, by name.
        shapes: which axes may vary, as torch.export names them.
        outputs: names of the outputs.
        path: where it goes.

    Raises:
        ModelMismatch: torch cannot export this net.
    """
    with _quiet_exporter():
        try:
            torch.onnx.export(
                net,
                tuple(inputs.values()),
                str(path),
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=dict(shapes),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        except (RuntimeError, TypeError) as err:
            told = str(err).strip().splitlines() or [type(err).__name__]
            raise ModelMismatch(f"torch {torch.__version__} cannot export this net to ONNX ({told[0][:200]})") from err
    _strip(path)


def check_heads(heads: Heads, path: Path, pictures: Sequence[NDArray[np.uint8]] = ()) -> float:
    """Return the largest difference between the heads in torch and in ONNX, on random and on real pictures.

    Raw heads are compared value by value; of a two-stage net each graph by itself, the second on the features and
    proposals that torch finds: among equal scores the smallest difference would choose other proposals.

    Raises:
        ModelMismatch: the difference is more than TOLERANCE.
    """
    spec = heads.input
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (spec.height, spec.width, 3), dtype=np.uint8) for _ in range(3)]
    inputs = [letterboxed(spec, picture)[None] for picture in (*noise, *pictures)]
    inputs.append(np.concatenate(inputs[:3]))
    exported = [onnx_session(path)] + ([onnx_session(second_path(path))] if heads.second is not None else [])
    graphs = torch_graphs(heads)
    apart = []
    for pixels in inputs:
        feed: dict[str, NDArray[Any]] = {"images": pixels}
        for graph, session in zip(graphs, exported, strict=True):
            names = [output.name for output in graph.outputs]
            wanted, got = graph.run(names, feed), session.run(names, feed)
            for name, ours, theirs in zip(names, wanted, got, strict=True):
                apart.append(_apart(path, name, ours, theirs))
            if graph is not graphs[-1]:
                feed = joined(heads, *graphs).regions(wanted)
    return within_tolerance(apart, path)


def _apart(path: Path, name: str, ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """Return the largest difference; of features, which are no answers, in units of the largest where that is > 1."""
    if ours.shape != theirs.shape:
        raise ModelMismatch(f"{path.name}: {name} of the export is {theirs.shape}, of the net {ours.shape}")
    unit = max(1.0, float(np.abs(ours).max())) if name.startswith(FEATURES) else 1.0
    return float(np.abs(ours - theirs).max()) / unit


def within_tolerance(apart: Sequence[float], path: Path) -> float:
    """Return the largest difference; raise ModelMismatch when it is too large, or not a number."""
    worst = float(np.max(apart))
    if not worst <= TOLERANCE:
        raise ModelMismatch(f"{path.name}: the export differs from the net by {worst:.2g} (allowed {TOLERANCE})")
    return worst


def letterboxed(spec: InputSpec, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return a picture (H, W, 3) as the product fits it into the input: (3, height, width)."""
    pixels = np.zeros((3, spec.height, spec.width), dtype=np.float32)
    Letterbox(spec, pixels).write(picture)
    return pixels


def onnx_session(path: Path) -> ort.InferenceSession:
    """Return a session on the CPU that keeps quiet."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _strip(path: Path) -> None:
    """Take the exporter's stack traces out, which hold paths of this machine."""
    written = onnx.load(str(path))
    for node in written.graph.node:
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


def check_parity(
    net: TrayNet, size: tuple[int, int], path: Path, pictures: Sequence[NDArray[np.float32]] = ()
) -> float:
    """Return the largest difference between the net and its ONNX export, on random and on real pictures.

    Args:
        net: as it was trained, for pixels 0..1.
        size: width and height of the input.
        path: the export.
        pictures: (3, H, W) each, 0..255, as the product fits them in; random ones are tried in any case.

    Raises:
        ModelMismatch: the difference is more than TOLERANCE.
    """
    session = onnx_session(path)
    reference = ExportNet(net).eval()
    width, height = size
    inputs = [
        np.random.default_rng(at).integers(0, 256, shape).astype(np.float32)
        for at, shape in enumerate(((1, 3, height, width), (3, 3, height, width), (1, 3, width + 32, height + 64)))
    ]
    apart = []
    for pixels in (*inputs, *(picture[None] for picture in pictures)):
        with torch.no_grad():
            wanted = reference(torch.from_numpy(pixels) / 255).numpy()
        got = session.run(None, {"images": pixels})[0]
        if got.shape != wanted.shape:
            raise ModelMismatch(f"{path}: the export gives {got.shape}, the net {wanted.shape}")
        apart.append(float(np.abs(got - wanted).max()))
    return within_tolerance(apart, path)
