"""Small pictures for the report: one of each bill at its fullest, one from the middle of each true tray."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from checkout.pipeline import LaneUpdate
from replay.truth import TruthBill

Picture = NDArray[np.uint8]
WIDTH_PX = 360


class Stills:
    """Collects JPEG bytes by bill id and by "tray N" (N from 1).

    Args:
        trays: the true trays; those without times get no picture of their own.
    """

    def __init__(self, trays: Sequence[TruthBill]) -> None:
        self.pictures: dict[str, bytes] = {}
        self._fullest: dict[str, int] = {}
        self._due = [
            ((tray.t_in_s + tray.t_out_s) / 2, f"tray {i}")
            for i, tray in enumerate(trays, start=1)
            if tray.t_in_s is not None and tray.t_out_s is not None
        ]
        self._due.sort(reverse=True)

    def see(self, update: LaneUpdate, picture: Callable[[], Picture]) -> None:
        """Keep this frame where it shows more than the one before it.

        Args:
            update: of the frame.
            picture: draws the marked-up frame (H, W, 3) RGB; only called if the frame is kept.
        """
        if update.frame is None:
            return
        bill = update.bill
        if bill is not None and len(bill.lines) > self._fullest.get(bill.bill_id, 0):
            self._fullest[bill.bill_id] = len(bill.lines)
            self.pictures[bill.bill_id] = small_jpeg(picture())
        while self._due and update.frame.stream_s >= self._due[-1][0]:
            self.pictures[self._due.pop()[1]] = small_jpeg(picture())


def small_jpeg(image: Picture) -> bytes:
    """Return `image` (H, W, 3) RGB as a JPEG that is at most `WIDTH_PX` wide."""
    height, width = image.shape[:2]
    if width > WIDTH_PX:
        size = (WIDTH_PX, max(round(height * WIDTH_PX / width), 1))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    done, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 72])
    if not done:
        raise ValueError(f"a picture of {width}x{height} could not be encoded as JPEG")
    return bytes(encoded.tobytes())
