"""The lane as files: a video, its truth, and if wanted a COCO folder of its frames."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import StoreUnavailable
from core.files import write_atomic
from streams.synthetic.lane import SyntheticLane
from streams.synthetic.truth import FrameTruth, truth_file
from streams.video_writer import VideoWriter

#: Dishes of which less can be seen are left out of COCO folders: nobody could label them.
_LEAST_VISIBLE = 0.15


def write_lane(
    seed: int,
    trays: int,
    preset: str,
    out: Path,
    coco: bool = False,
    width: int = 640,
    height: int = 360,
    fps: float = 20.0,
    coco_stride: int = 10,
    on_frame: Callable[[int, int], None] | None = None,
    whole_frame: bool = True,
) -> list[Path]:
    """Render a lane of `trays` trays to `out`/lane.mp4 and `out`/truth.json.

    Args:
        seed: of the lane.
        trays: how many trays come; the video ends after the last.
        preset: "easy", "medium" or "hard".
        out: folder, made if missing; older files of these names are replaced.
        coco: also write every `coco_stride`-th frame to `out`/coco/images and `out`/coco/annotations.json.
        width: of the frames, pixels.
        height: of the frames, pixels.
        fps: frames per second.
        coco_stride: see `coco`.
        on_frame: is told how many frames and trays are done, for a progress bar.
        whole_frame: what the truth takes for the tray zone: the whole frame, as a replay without a configuration does,
            or the lane's stop position.

    Returns:
        The files and folders that were written.

    Raises:
        ValueError: an argument is out of range.
        StoreUnavailable: the folder cannot be written.
    """
    lane = SyntheticLane(seed, preset, width, height, fps, trays=trays, whole_frame=whole_frame)
    album = _CocoAlbum(out / "coco", lane) if coco else None
    frames: list[FrameTruth] = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        with VideoWriter(out / "lane.mp4", width, height, fps, crf=20) as video:
            for image, truth in lane:
                video.write(image)
                frames.append(truth)
                if album is not None and truth.index % coco_stride == 0:
                    album.add(image, truth)
                if on_frame is not None:
                    on_frame(len(frames), len(lane.finished_trays))
        content = truth_file(fps, lane.finished_trays, frames)
        write_atomic(out / "truth.json", json.dumps(content, separators=(",", ":")) + "\n")
        if album is not None:
            album.close()
    except StoreUnavailable:
        raise
    except OSError as err:
        raise StoreUnavailable(f"{out}: cannot write the lane: {err.strerror or err}; choose another --out") from err
    return [out / "lane.mp4", out / "truth.json", *([out / "coco"] if album is not None else [])]


class _CocoAlbum:
    """A COCO folder under construction: images/000000.jpg and annotations.json."""

    def __init__(self, folder: Path, lane: SyntheticLane) -> None:
        self._folder, self._lane = folder, lane
        self._ids = {label: number + 1 for number, label in enumerate(lane.labels)}
        self._images: list[dict[str, object]] = []
        self._annotations: list[dict[str, object]] = []

    def add(self, image: NDArray[np.uint8], truth: FrameTruth) -> None:
        """Write one frame and keep its boxes."""
        name = f"{truth.index:06d}.jpg"
        done, packed = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95])
        if not done:
            raise ValueError(f"the JPEG encoder refused a picture of {image.shape}")
        (self._folder / "images").mkdir(parents=True, exist_ok=True)
        write_atomic(self._folder / "images" / name, packed.tobytes())
        self._images.append(
            {"id": truth.index, "file_name": name, "width": self._lane.width, "height": self._lane.height}
        )
        for i, label in enumerate(truth.labels):
            if truth.visible[i] < _LEAST_VISIBLE:
                continue
            x1, y1, x2, y2 = (round(float(value), 2) for value in truth.boxes[i])
            self._annotations.append(
                {
                    "id": len(self._annotations) + 1,
                    "image_id": truth.index,
                    "category_id": self._ids[label],
                    "bbox": [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
                    "area": round((x2 - x1) * (y2 - y1), 2),
                    "iscrowd": 0,
                    "visible": round(float(truth.visible[i]), 3),
                    "object_id": int(truth.object_ids[i]),
                }
            )

    def close(self) -> None:
        """Write the annotations."""
        content = {
            "info": {
                "description": "Traylane synthetic lane",
                "seed": self._lane.seed,
                "preset": self._lane.preset_name,
            },
            "images": self._images,
            "annotations": self._annotations,
            "categories": [{"id": number, "name": label} for label, number in self._ids.items()],
        }
        write_atomic(self._folder / "annotations.json", json.dumps(content, separators=(",", ":")) + "\n")
