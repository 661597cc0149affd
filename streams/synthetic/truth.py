"""What is really there, per frame and per tray: from the plan of motion and the pixels laid, never from a detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class FrameTruth:
    """All dishes and hands that reach into one frame.

    Attributes:
        index: 0-based frame number.
        t_s: seconds since the start of the stream.
        boxes: (N, 4) float32 xyxy pixels: the whole extent, covered parts too, cut at the frame's edges; of an arm
            the extent of what lies inside the frame.
        object_ids: (N,) int64; an object keeps its id, ids are never reused.
        labels: (N,) dish names and `core.records.HAND`.
        visible: (N,) float32 0..1, the share of a dish that can be seen (parts outside the frame count as hidden);
            for a hand the share of what lies inside the frame.
        tray_ids: (N,) int64, -1 for none.
        in_zone: (N,) bool, whether the object's middle is in the tray zone; hands are never.
    """

    index: int
    t_s: float
    boxes: NDArray[np.float32]
    object_ids: NDArray[np.int64]
    labels: tuple[str, ...]
    visible: NDArray[np.float32]
    tray_ids: NDArray[np.int64]
    in_zone: NDArray[np.bool_]


@dataclass(frozen=True)
class ItemTruth:
    """One dish: first time in the zone, first time out of it for good; `billed` when it left together with its tray."""

    object_id: int
    dish: str
    t_in_s: float
    t_out_s: float
    billed: bool = True


@dataclass(frozen=True)
class TrayTruth:
    """One finished tray: when its dishes (or, without dishes, the tray itself) were in the zone, and its bill."""

    tray_id: int
    t_in_s: float
    t_out_s: float
    items: tuple[ItemTruth, ...]
    bill: dict[str, int]


def truth_file(fps: float, trays: list[TrayTruth], frames: list[FrameTruth]) -> dict[str, object]:
    """Return the content of `truth.json` as the contract names it, with boxes per frame.

    `boxes` has one list per frame: `[object_id, label, x1, y1, x2, y2, visible, in_zone]`. `count_by_frame` holds a row
    wherever the number of dishes in the zone changes.
    """
    counts: list[list[int]] = []
    for frame in frames:
        count = int(frame.in_zone.sum())
        if not counts or counts[-1][1] != count:
            counts.append([frame.index, count])
    items = [item for tray in trays for item in tray.items]
    return {
        "fps": fps,
        "items": [
            {
                "dish": item.dish,
                "t_in_s": round(item.t_in_s, 4),
                "t_out_s": round(item.t_out_s, 4),
                "object_id": item.object_id,
                "billed": item.billed,
            }
            for item in items
        ],
        "count_by_frame": counts,
        "bills": [
            {"lines": tray.bill, "t_in_s": round(tray.t_in_s, 4), "t_out_s": round(tray.t_out_s, 4)} for tray in trays
        ],
        "boxes": [_box_rows(frame) for frame in frames],
    }


def _box_rows(frame: FrameTruth) -> list[list[object]]:
    rows: list[list[object]] = []
    for i, label in enumerate(frame.labels):
        corners = [round(float(value), 1) for value in frame.boxes[i]]
        rows.append(
            [int(frame.object_ids[i]), label, *corners, round(float(frame.visible[i]), 3), bool(frame.in_zone[i])]
        )
    return rows
