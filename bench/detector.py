"""Where a detector's time goes: letterbox, run and decode, beside the same work written the plain way.

`python -m bench.detector` measures on the bottle clip (or on noise, where it is missing) and writes
`bench/results/detector.json`. The reference of each row is the plain user's script: full letterbox image, transpose to
float, decode of all cells, cv2's NMS; all in one process, alternating, so that the machine's load hits both alike.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from bench.results_file import ROOT, row, write_results
from core.records import Frame
from models.card import load_card
from models.decoders import grid
from models.ort_detector import OrtDetector
from models.settings import DetectorSettings

CLIP = Path(os.environ.get("TRAYLANE_DATA") or ROOT.parent / "shared" / "data") / "videos/intel-bottle-detection.mp4"


def frames_of(clip: Path, count: int) -> list[Frame]:
    """Return `count` frames spread over the clip's start, RGB."""
    with av.open(str(clip)) as container:
        pictures = [
            frame.to_ndarray(format="rgb24") for frame, _ in zip(container.decode(video=0), range(count), strict=False)
        ]
    return [Frame("bench", i, i / 30, 0.0, image) for i, image in enumerate(pictures)]


class PlainScript:
    """What a user writes first: the steps of YOLOX's demo in cv2 and numpy, around the same session."""

    def __init__(self, detector: OrtDetector) -> None:
        self._session = detector._session
        self._cells, self._strides = grid(416, 416, (8, 16, 32))

    def prepare(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
        """Return the input (1, 3, 416, 416) and its ratio to the frame."""
        ratio = min(416 / image.shape[0], 416 / image.shape[1])
        padded = np.full((416, 416, 3), 114, np.uint8)
        small = cv2.resize(image[:, :, ::-1], (int(image.shape[1] * ratio), int(image.shape[0] * ratio)))
        padded[: small.shape[0], : small.shape[1]] = small
        return np.ascontiguousarray(padded.transpose(2, 0, 1)[None], dtype=np.float32), ratio

    def run(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the raw heads (A, 85)."""
        assert self._session is not None
        return self._session.run(["output"], {"images": pixels})[0][0]

    def decode(self, raw: NDArray[np.float32], ratio: float) -> list[Any]:
        """Return (box, class, score) of every detection."""
        raw = raw.copy()
        raw[:, :2] = (raw[:, :2] + self._cells) * self._strides
        raw[:, 2:4] = np.exp(raw[:, 2:4]) * self._strides
        boxes = np.concatenate([raw[:, :2] - raw[:, 2:4] / 2, raw[:, 2:4]], axis=1) / ratio
        scores = raw[:, 4:5] * raw[:, 5:]
        classes, best = scores.argmax(axis=1), scores.max(axis=1)
        keep = best > 0.1
        boxes, classes, best = boxes[keep], classes[keep], best[keep]
        alive = cv2.dnn.NMSBoxesBatched(boxes.tolist(), best.tolist(), classes.tolist(), 0.1, 0.6)
        return [(boxes[i], classes[i], best[i]) for i in alive]


class Stopwatch:
    """Collects durations by name."""

    def __init__(self) -> None:
        self._taken: dict[str, list[float]] = {}

    def time(self, name: str, work: Callable[[], Any]) -> Any:
        """Run `work`, note how long it took, and return what it returned."""
        start = time.perf_counter()
        answer = work()
        self._taken.setdefault(name, []).append(time.perf_counter() - start)
        return answer

    def median_ms(self, name: str) -> float:
        """Return the median of all durations of `name` in milliseconds."""
        return float(np.median(self._taken[name])) * 1e3


def measure(detector: OrtDetector, frames: list[Frame]) -> Stopwatch:
    """Time both ways, frame by frame in turn."""
    watch, plain = Stopwatch(), PlainScript(detector)
    batch, decoder, selection = detector._take_batch(), detector._decoder, detector._selection
    for frame in frames:
        where = watch.time("letterbox", lambda image=frame.image: batch.write(0, image))
        outputs = watch.time("run", lambda: detector._of_image(detector._run(batch, 1), 0))
        watch.time("decode", lambda raw=outputs, at=where, f=frame: selection.select(decoder.decode(raw, 0.1), at, f))
        watch.time("detect", lambda f=frame: detector.detect([f]))
        pixels, ratio = watch.time("plain_letterbox", lambda image=frame.image: plain.prepare(image))
        raw = watch.time("plain_run", lambda tensor=pixels: plain.run(tensor))
        watch.time("plain_decode", lambda heads=raw, r=ratio: plain.decode(heads, r))
    return watch


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--clip", type=Path, default=CLIP)
    parser.add_argument("--card", default=str(ROOT / "configs/cards/yolox_nano.yaml"))
    options = parser.parse_args()
    start = time.perf_counter()
    detector = OrtDetector(load_card(options.card), DetectorSettings(device="cpu"))
    opened = time.perf_counter() - start
    watch = measure(detector, frames_of(options.clip, options.frames))
    plain_total = sum(watch.median_ms(f"plain_{part}") for part in ("letterbox", "run", "decode"))
    rows = [
        row(f"{part}_ms", watch.median_ms(part), "ms", watch.median_ms(f"plain_{part}"), "lower")
        for part in ("letterbox", "run", "decode")
    ]
    rows.append(row("detect_ms", watch.median_ms("detect"), "ms", plain_total, "lower"))
    rows.append(row("share_of_run", watch.median_ms("run") / watch.median_ms("detect"), "ratio", 0.85))
    rows.append(row("open_s", opened, "s", 3.0, "lower"))
    write_results("detector", rows)


if __name__ == "__main__":
    main()
