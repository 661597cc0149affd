"""The detector that lanes use: a model card, run by ONNX Runtime (or OpenVINO).

`frames -> letterbox into one batch -> session.run -> decoder -> Selection -> Detections`
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import ModelMismatch
from core.records import Detections, Frame
from models.card import ANCHORED, InputSpec, ModelCard
from models.decoders import make_decoder
from models.device import Device, find_device
from models.items import as_items, items_card
from models.letterbox import Fit, Letterbox
from models.runtimes import Inference
from models.session import TensorSpec
from models.settings import DetectorSettings
from models.suppression import Selection
from models.two_stage import OUTPUTS, open_card

#: Most frames of one run where the model takes any number: more does not pay, and memory grows with it.
LARGEST_BATCH = 16


class OrtDetector:
    """Runs the model of a card. Safe to call from several threads: each gets its own input buffer.

    Args:
        card: as `load_card` gives it, with an absolute `file`.
        settings: thresholds and threads.
        device: where to run; by default what `settings.device` leads to.
        inference: computes the outputs; the card's file (or two) by the settings' runtime if None.

    Raises:
        ModelNotFound: the weights are missing.
        ModelMismatch: the weights do not fit the card: inputs, outputs or number of classes.
        ModelError: the device cannot be used.
    """

    def __init__(
        self,
        card: ModelCard,
        settings: DetectorSettings,
        device: Device | None = None,
        inference: Inference | None = None,
    ) -> None:
        # OpenCV's own threads would compete with other lanes for a resize of a quarter of a millisecond.
        cv2.setNumThreads(1)
        card.check_task("detect")
        card.check_class_map(card.full_name)
        card = card.sized(settings.size)
        self._card, self._settings = card, settings
        self._session: Inference | None = inference or open_card(card, device or find_device(settings.device), settings)
        self.device = self._session.device
        self._input, self._places, self._half = _check_input(card, self._session.inputs)
        self._outputs = choose_outputs(card, self._session.outputs)
        self._decoder = make_decoder(card)
        self._shown = items_card(card) if settings.items_only else card
        self._selection = Selection(self._shown, settings)
        self._idle: list[_Batch] = []
        self._try_out()

    @property
    def name(self) -> str:
        """Name and version of the model."""
        return self._card.full_name

    @property
    def labels(self) -> tuple[str, ...]:
        """What `class_ids` and `class_probs` index."""
        return self._shown.labels

    @property
    def batches(self) -> bool:
        """Whether several frames go through the model in one run."""
        return self._places != 1

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Return the detections of each frame; see `Detector.detect`."""
        found: list[Detections] = []
        for start, size in self._portions(len(frames)):
            portion = frames[start : start + size]
            batch = self._take_batch()
            fits = [batch.write(i, frame.image) for i, frame in enumerate(portion)]
            outputs = self._run(batch, len(portion))
            self._idle.append(batch)
            for i, (frame, where) in enumerate(zip(portion, fits, strict=True)):
                candidates = self._decoder.decode(self._of_image(outputs, i), self._settings.min_score)
                if self._settings.items_only:
                    candidates = as_items(candidates, self._card)
                found.append(self._selection.select(candidates, where, frame))
        return found

    def close(self) -> None:
        """Give the model's memory back; idempotent."""
        self._session = None
        self._idle.clear()

    def _portions(self, count: int) -> Iterator[tuple[int, int]]:
        """Yield (start, length) of the runs that `count` frames need."""
        most = self._places or LARGEST_BATCH
        for start in range(0, count, most):
            yield start, min(most, count - start)

    def _take_batch(self) -> _Batch:
        """Return an input buffer that no other thread uses."""
        try:
            return self._idle.pop()
        except IndexError:
            return _Batch(self._card.input, self._places)

    def _run(self, batch: _Batch, count: int) -> list[NDArray[np.float32]]:
        if self._session is None:
            raise ValueError(f"{self.name} is closed")
        pixels = batch.pixels(self._places or count)
        feed = pixels.astype(np.float16) if self._half else pixels
        outputs = self._session.run(self._outputs, {self._input: feed})
        return [output.astype(np.float32) if output.dtype == np.float16 else output for output in outputs]

    def _of_image(self, outputs: Sequence[NDArray[np.float32]], i: int) -> list[NDArray[np.float32]]:
        """Return the outputs of image `i` alone; torchvision's exports have no batch axis to take it from."""
        if self._card.decoder == "torchvision":
            return [output[0] if output.ndim > (2 if at == 0 else 1) else output for at, output in enumerate(outputs)]
        return [output[i] if output.ndim == 3 else output for output in outputs]

    def _try_out(self) -> None:
        """Run one grey image: the shapes are checked as they are, and the first real frame meets a warm model."""
        batch = _Batch(self._card.input, self._places)
        batch.write(0, np.full((self._card.input.height, self._card.input.width, 3), 114, np.uint8))
        self._decoder.check(self._of_image(self._run(batch, 1), 0))
        self._idle.append(batch)


class _Batch:
    """The input of one run, and the letterbox of each place in it; grows when more frames come at once."""

    def __init__(self, spec: InputSpec, places: int | None) -> None:
        self._spec = spec
        self._reserve(places or 1)

    def write(self, i: int, image: NDArray[np.uint8]) -> Fit:
        """Fit `image` into place `i` and return how it lies there."""
        if i >= len(self._boxes):
            kept = self._pixels
            self._reserve(2 * i)
            self._pixels[: len(kept)] = kept
        return self._boxes[i].write(image)

    def pixels(self, count: int) -> NDArray[np.float32]:
        """Return the first `count` places as the network takes them."""
        return self._pixels[0] if self._spec.layout == "chw" else self._pixels[:count]

    def _reserve(self, places: int) -> None:
        spec = self._spec
        shape = (spec.height, spec.width, 3) if spec.layout == "nhwc" else (3, spec.height, spec.width)
        self._pixels = np.zeros((places, *shape), dtype=np.float32)
        self._boxes = [Letterbox(spec, self._pixels[i]) for i in range(places)]


def choose_outputs(card: ModelCard, outputs: Sequence[TensorSpec]) -> list[str]:
    """Return the graph's outputs in the order in which the card's decoder reads them.

    Raises:
        ModelMismatch: the decoder reads more outputs than there are, or one that the card names is missing.
    """
    names = [output.name for output in outputs]
    asked = [
        name
        for name in (card.outputs.boxes, card.outputs.scores, card.outputs.labels, card.outputs.quality)
        if name is not None
    ]
    if missing := [name for name in asked if name not in names]:
        raise ModelMismatch(f"{card.full_name}: no output {missing[0]!r} in the model (it has {', '.join(names)})")
    if card.decoder in ("yolox", "yolov8"):
        return [card.outputs.boxes or names[0]]
    if card.decoder == "fasterrcnn":
        return list(OUTPUTS)
    if card.decoder in ANCHORED:
        return _raw_heads(card, names)
    left = [output for output in outputs if output.name not in asked]
    boxes = card.outputs.boxes or _take(left, lambda output: output.shape[-1:] == (4,))
    labels = card.outputs.labels
    if card.decoder == "torchvision":
        labels = labels or _take(left, lambda output: output.dtype.startswith("int"))
    scores = card.outputs.scores or _take(left, lambda output: output.dtype.startswith("float"))
    wanted = [boxes, scores] if card.decoder == "detr" else [boxes, scores, labels]
    chosen = [name for name in wanted if name is not None]
    if len(chosen) < len(wanted):
        raise ModelMismatch(
            f"{card.full_name}: the {card.decoder} decoder reads {len(wanted)} outputs and cannot tell them among "
            f"{', '.join(names)}; name them under `outputs` in the card"
        )
    return chosen


def _raw_heads(card: ModelCard, names: Sequence[str]) -> list[str]:
    """Return the outputs of a dense detector, called as our export calls them unless the card says otherwise."""
    wanted = [card.outputs.boxes or "regression", card.outputs.scores or "logits"]
    if card.decoder == "fcos":
        wanted.append(card.outputs.quality or "centerness")
    if missing := [name for name in wanted if name not in names]:
        raise ModelMismatch(
            f"{card.full_name}: the {card.decoder} decoder reads {missing[0]!r}, the model has {', '.join(names)}; "
            "name it under `outputs` in the card"
        )
    return wanted


def _take(left: list[TensorSpec], fits: Callable[[TensorSpec], bool]) -> str | None:
    """Remove the first output that fits from `left` and return its name."""
    for output in left:
        if fits(output):
            left.remove(output)
            return output.name
    return None


def _check_input(card: ModelCard, inputs: Sequence[TensorSpec]) -> tuple[str, int | None, bool]:
    """Return the input's name, its places for images (None: any number) and whether it takes half floats."""
    if len(inputs) != 1:
        names = ", ".join(spec.name for spec in inputs)
        raise ModelMismatch(f"{card.full_name}: one image input is expected, the model has {names}")
    spec, size = inputs[0], card.input
    if spec.dtype not in ("float", "float16"):
        raise ModelMismatch(f"{card.full_name}: input {spec.name} takes {spec.dtype}, only float and float16 are fed")
    image = (size.height, size.width, 3) if size.layout == "nhwc" else (3, size.height, size.width)
    places = 1 if size.layout == "chw" else None
    expected = image if size.layout == "chw" else (None, *image)
    fits = len(spec.shape) == len(expected) and all(
        have is None or want is None or have == want for have, want in zip(spec.shape, expected, strict=True)
    )
    if not fits:
        shape = ", ".join("any" if n is None else str(n) for n in spec.shape)
        want = ", ".join("any" if n is None else str(n) for n in expected)
        raise ModelMismatch(
            f"{card.full_name}: input {spec.name} is ({shape}), the card's {size.width}x{size.height} {size.layout} "
            f"means ({want}); correct `input`, or models.detector.size if that is set"
        )
    if card.decoder == "torchvision":
        places = 1
    elif size.layout != "chw":
        places = spec.shape[0]
    return spec.name, places, spec.dtype == "float16"
