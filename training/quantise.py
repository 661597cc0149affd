"""Static int8 of an exported detector: half the time on a CPU, at no more than a point of AP50.

A float x is stored as q = round(x / scale) + zero, one byte. Activations are uint8 with one scale for each tensor,
weights int8 with one for each output channel ("u8s8"); the graph keeps its floats between pairs of QuantizeLinear and
DequantizeLinear nodes ("QDQ"), which the runtime turns into integer kernels. The scales of activations are those of the
pictures that the product sees: calibration runs them through the product's own letterbox.

What stays float, by measurement (traynet@1, one core, 320x192; fp32 takes 6.1 ms and has AP50 .9665):

    nothing                      2.3 ms   AP50 .9587   box sizes and logits have few steps in a byte
    the last convolutions        2.4 ms   AP50 .9676
    and the first ones           2.1 ms   AP50 .9660   three channels are too few for the integer kernels to pay
    … with 7-bit weights         2.1 ms   AP50 .9677   no overflow on CPUs without VNNI: the default

Extremes over the pictures ("minmax") were as good as entropy (equal) and better than percentiles (.9647): the nets end
their blocks with ReLU and have no outliers worth cutting off. 20 pictures do as well as 120.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import yaml
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from core.errors import ConfigError, DataError, ModelMismatch
from core.files import sha256_of, write_atomic
from models.card import ModelCard, load_card
from models.letterbox import Letterbox
from training.int8_accuracy import MAX_LOSS, Accuracy, Picture, Score, ap50_on, check_accuracy, lane_pictures

#: What has integer kernels that pay; all else keeps its floats.
_QUANTISED = ("Conv", "Relu", "Add", "Resize", "MaxPool", "Concat")
_METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}


@dataclass(frozen=True)
class QuantiseSettings:
    """How the bytes are chosen; the defaults are what was measured to be best (see the module).

    Attributes:
        calibration: how the range of an activation is taken from the pictures.
        seven_bits: weights of 7 bits; u8s8 products of 8 bits overflow on x86 CPUs without VNNI.
        pictures: most pictures used for calibration.
        float_first: keep the convolutions that read pixels in float.
        float_last: keep the convolutions behind which there is no other in float.
    """

    calibration: Literal["minmax", "entropy", "percentile"] = "minmax"
    seven_bits: bool = True
    pictures: int = 120
    float_first: bool = True
    float_last: bool = True


def add_int8(
    card_path: Path,
    pictures: Iterable[Picture],
    score: Score,
    settings: QuantiseSettings = QuantiseSettings(),
    max_loss: float = MAX_LOSS,
    compared: Sequence[Picture] = (),
) -> Accuracy:
    """Make int8 weights for a card, check them, and only then write them beside it and into it.

    Args:
        card_path: a card with fp32 weights; gets the variant int8. The weights become NAME.int8.onnx.
        pictures: for calibration, (H, W, 3) uint8 RGB, of any size; as the lane sees them.
        score: of a detector; called for both precisions.
        settings: how to quantise.
        max_loss: of the score.
        compared: pictures on which both precisions' detections are compared.

    Raises:
        ModelMismatch: int8 loses more than `max_loss`; nothing is written.
        DataError: no pictures to calibrate with.
        ModelError: the card or its weights cannot be used.
    """
    card = load_card(str(card_path.resolve()))
    weights = card_path.with_suffix(".int8.onnx")
    with tempfile.TemporaryDirectory(dir=card_path.parent, prefix=".quantise-") as folder:
        draft = Path(folder) / "draft.onnx"
        quantise(card, draft, pictures, settings)
        accuracy = check_accuracy(card, draft, score, max_loss, compared)
        write_atomic(weights, draft.read_bytes())
    content = yaml.safe_load(card_path.read_text(encoding="utf-8"))
    variant = {"file": weights.name, "sha256": sha256_of(weights), "scores": accuracy.figures()}
    content["variants"] = {**content.get("variants", {}), "int8": variant}
    ModelCard.model_validate(content)
    write_atomic(card_path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120))
    return accuracy


def quantise(
    card: ModelCard, out: Path, pictures: Iterable[Picture], settings: QuantiseSettings = QuantiseSettings()
) -> None:
    """Write the int8 weights of `card` to `out`; how good they are is not looked at.

    Args:
        card: with an absolute `file`, as `load_card` gives it.
        out: the new .onnx file.
        pictures: see `add_int8`.
        settings: how to quantise.

    Raises:
        DataError: no pictures.
        ModelMismatch: the weights are quantised already, or have no convolution to quantise.
    """
    feeds = list(_feeds(card, itertools.islice(pictures, settings.pictures)))
    if not feeds:
        raise DataError(f"{card.full_name}: no pictures to calibrate int8 with; give some that look like the lane's")
    with tempfile.TemporaryDirectory(prefix="quantise-") as folder, _quiet():
        prepared = Path(folder) / "prepared.onnx"
        # Symbolic shapes are for transformers and need sympy.
        quant_pre_process(card.file, prepared, skip_symbolic_shape=True)
        graph = onnx.load(str(prepared)).graph
        _check_is_float(graph, card.full_name)
        draft = Path(folder) / "draft.onnx"
        try:
            quantize_static(
                prepared,
                draft,
                _Reader(feeds),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=settings.seven_bits,
                op_types_to_quantize=list(_QUANTISED),
                nodes_to_exclude=nodes_kept_float(graph, settings.float_first, settings.float_last),
                calibrate_method=_METHODS[settings.calibration],
            )
        except ValueError as err:  # a histogram of values that are all but equal, or not finite
            raise ModelMismatch(
                f"{card.full_name}: {settings.calibration} calibration fails on its activations ({err}); look at the "
                "weights, or use minmax"
            ) from err
        write_atomic(out, draft.read_bytes())


def nodes_kept_float(graph: onnx.GraphProto, first: bool = True, last: bool = True) -> list[str]:
    """Return the names of nodes that are not quantised.

    Everything behind the last convolutions (decoding) is always one of them.

    Args:
        graph: of a detector.
        first: with the convolutions before which there is no other.
        last: with the convolutions behind which there is no other: boxes, objectness, classes.
    """
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    behind = _reached(graph.node, forward=True)  # tensors that depend on some convolution's output
    before = _reached(reversed(graph.node), forward=False)  # tensors that some convolution depends on
    others = [node for node in graph.node if node.op_type != "Conv"]
    kept = [node.name for node in others if not any(out in before for out in node.output)]
    if first:
        kept += [node.name for node in convolutions if node.input[0] not in behind]
    if last:
        kept += [node.name for node in convolutions if not any(out in before for out in node.output)]
    return list(dict.fromkeys(kept))


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Gives the runtime's calibrator one picture after the other."""

    def __init__(self, feeds: Sequence[Mapping[str, NDArray[Any]]]) -> None:
        self._left = iter(feeds)

    def get_next(self) -> Mapping[str, NDArray[Any]] | None:
        """Return the next input, None at the end."""
        return next(self._left, None)


def _feeds(card: ModelCard, pictures: Iterable[Picture]) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield each picture as the network's input, letterboxed as in the product."""
    spec = card.input
    shape = (spec.height, spec.width, 3) if spec.layout == "nhwc" else (3, spec.height, spec.width)
    name = onnx.load(card.file, load_external_data=False).graph.input[0].name
    letterbox: Letterbox | None = None
    pixels = np.zeros(shape, dtype=np.float32)
    for picture in pictures:
        letterbox = letterbox or Letterbox(spec, pixels)
        letterbox.write(picture)
        yield {name: pixels.copy() if spec.layout == "chw" else pixels[None].copy()}


def _reached(nodes: Iterable[onnx.NodeProto], forward: bool) -> set[str]:
    """Return the tensors behind (forward) or before (backward) any convolution; `nodes` come in that order."""
    found: set[str] = set()
    for node in nodes:
        start, end = (node.input, node.output) if forward else (node.output, node.input)
        if node.op_type == "Conv" or any(name in found for name in start):
            found.update(end)
    return found


def _check_is_float(graph: onnx.GraphProto, name: str) -> None:
    kinds = {node.op_type for node in graph.node}
    if "QuantizeLinear" in kinds or any(kind.startswith("QLinear") for kind in kinds):
        raise ModelMismatch(f"{name}: its weights are quantised already; start from the fp32 weights")
    if "Conv" not in kinds:
        raise ModelMismatch(f"{name}: no convolution in the model, so nothing to gain from int8")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser's prints, and its advice to do what was done already, off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def add_int8_on_lanes(card_path: Path, lanes: int = 8, max_loss: float = MAX_LOSS) -> Accuracy:
    """Add int8 weights to a card of a detector of the synthetic lane; see `add_int8`.

    Calibrates on training lanes and scores on validation lanes: test lanes are for reporting alone.
    """
    from training.synthetic_set import TRAIN_SEEDS, VALIDATION_SEEDS

    if not 1 <= lanes <= len(VALIDATION_SEEDS):
        raise ConfigError(f"--lanes {lanes}: must be from 1 to {len(VALIDATION_SEEDS)}")
    labels = load_card(str(card_path.resolve())).labels
    calibration = [picture for picture, _ in lane_pictures(labels, TRAIN_SEEDS[:4], frames=10)]
    validation = list(lane_pictures(labels, VALIDATION_SEEDS[:lanes]))
    compared = [picture for picture, _ in validation]
    return add_int8(card_path, calibration, ap50_on(validation), max_loss=max_loss, compared=compared)


def main(argv: Sequence[str] | None = None) -> None:
    """Add int8 weights to a card of a detector of the synthetic lane."""
    parser = argparse.ArgumentParser(prog="python -m training.quantise", description=main.__doc__)
    parser.add_argument("card", type=Path, help="card of the fp32 weights, such as models/cards/traynet@1.yaml")
    parser.add_argument("--lanes", type=int, default=8, help="validation lanes of each preset; default 8")
    parser.add_argument("--max-loss", type=float, default=MAX_LOSS, help=f"of AP50, 0..1; default {MAX_LOSS}")
    args = parser.parse_args(argv)
    accuracy = add_int8_on_lanes(args.card, args.lanes, args.max_loss)
    print(f"AP50 on the validation lanes: fp32 {accuracy.fp32:.4f}, int8 {accuracy.int8:.4f}")


if __name__ == "__main__":
    main()
