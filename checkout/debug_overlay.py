"""The picture for people who debug: everything that a frame led to, drawn larger than the frame where that is small.

Thin white boxes are detections with label and score, before anything is made of them. A track has its number, state
and label; the bar at its left side is the share of it that is thought to be seen, the arrow is where it will be in
half a second, and the bars beside it are the likeliest labels. At the bottom: what each stage of this frame took.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from checkout.menu import Menu
from checkout.pen import (
    INK,
    NIGHT,
    NO_GOODS,
    ON_BILL,
    PENDING,
    UNKNOWN,
    ZONE,
    Colour,
    Image,
    Pen,
    draw_box,
    pen_for,
    shade,
    text_width,
    whole_box,
)
from checkout.pipeline import LaneUpdate
from checkout.zones import Zone
from core.records import HAND, ITEM, Box, Detections, Track, TrackState

#: Smaller pictures are drawn at this width: sixteen pixels of text are the least that people read.
LEAST_WIDTH = 1280
LABELS = 3
_AHEAD_S = 0.5
_WHITE: Colour = (235, 240, 245)
_EMPTY: Colour = (86, 92, 100)


def draw_debug(update: LaneUpdate, zones: Sequence[Zone], menu: Menu) -> Image:
    """Return the frame of an update, at least `LEAST_WIDTH` wide, with everything that it led to.

    Args:
        update: has a frame.
        zones: of the lane.
        menu: titles.
    """
    if update.frame is None:
        raise ValueError("an update without a frame has no picture")
    image = update.frame.image
    scale = max(1.0, LEAST_WIDTH / image.shape[1])
    larger = cv2.resize(image, None, fx=scale, fy=scale) if scale > 1 else image.copy()
    canvas = np.ascontiguousarray(larger, dtype=np.uint8)
    pen = Pen(pen_for(canvas).scale * 0.62, cv2.FontFace("sans"))
    for zone in zones:
        _draw_zone(canvas, zone, pen)
    if update.detections is not None:
        _draw_detections(canvas, update.detections, scale, pen)
    on_bill = {line.track_id for line in update.bill.lines} if update.bill is not None else set()
    tracks = [track for track in update.tracks.tracks if track.state is not TrackState.REMOVED]
    for track in tracks:
        _draw_track(canvas, track, _colour(track, track.track_id in on_bill, menu), scale, pen)
    for track in tracks:
        _draw_belief(canvas, track, _colour(track, track.track_id in on_bill, menu), menu, scale, pen)
    _draw_figures(canvas, update, pen)
    return canvas


def _colour(track: Track, on_bill: bool, menu: Menu) -> Colour:
    if on_bill:
        return ON_BILL
    if not menu.is_goods(track.label):
        return NO_GOODS
    return PENDING if track.label in menu else UNKNOWN


def _scaled(box: Box, scale: float) -> Box:
    return (box[0] * scale, box[1] * scale, box[2] * scale, box[3] * scale)


def _draw_zone(canvas: Image, zone: Zone, pen: Pen) -> None:
    height, width = canvas.shape[:2]
    corners = zone.corners_px(width, height)
    cv2.polylines(canvas, [corners], True, NIGHT, pen.line + 1, cv2.LINE_AA)
    cv2.polylines(canvas, [corners], True, ZONE, pen.line, cv2.LINE_AA)
    x, y = (int(value) for value in corners.min(axis=0))
    _write(canvas, [f"{zone.name} ({zone.role})"], (x + pen.px(4), y + pen.px(4)), ZONE, pen)


def _draw_detections(canvas: Image, found: Detections, scale: float, pen: Pen) -> None:
    boxes = (found.boxes * scale).tolist()
    for box, score, class_id in zip(boxes, found.scores.tolist(), found.class_ids.tolist(), strict=True):
        x1, y1, x2, y2 = whole_box((box[0], box[1], box[2], box[3]), canvas)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), _WHITE, 1, cv2.LINE_AA)
        text = f"{found.labels[class_id]} {score:.2f}"
        _write(canvas, [text], (x2 - text_width(text, pen) - pen.px(4), y2 - pen.text - pen.px(5)), _WHITE, pen)


def _draw_track(canvas: Image, track: Track, colour: Colour, scale: float, pen: Pen) -> None:
    box = _scaled(track.box, scale)
    draw_box(canvas, box, track.state, colour, pen)
    x1, y1, x2, y2 = whole_box(box, canvas)
    bar = pen.px(6)
    cv2.rectangle(canvas, (x1 - bar, y1), (x1 - 2, y2), NIGHT, -1)
    top = y2 - round((y2 - y1) * track.visibility)
    cv2.rectangle(canvas, (x1 - bar + 1, top), (x1 - 3, y2), colour, -1)
    middle = ((x1 + x2) // 2, (y1 + y2) // 2)
    reach = _AHEAD_S * scale
    ahead = (round(middle[0] + reach * track.velocity_px_s[0]), round(middle[1] + reach * track.velocity_px_s[1]))
    cv2.arrowedLine(canvas, middle, ahead, NIGHT, 4, cv2.LINE_AA, 0, 0.2)
    cv2.arrowedLine(canvas, middle, ahead, ZONE, 2, cv2.LINE_AA, 0, 0.2)


def _draw_belief(canvas: Image, track: Track, colour: Colour, menu: Menu, scale: float, pen: Pen) -> None:
    """Draw what a track is thought to be: number, state, share seen, and a bar for each of its likeliest labels."""
    height, width = canvas.shape[:2]
    beliefs = track.posterior[:LABELS]
    titles = [f"{_title(label, menu)}  {share:.2f}" for label, share in beliefs]
    head = f"#{track.track_id} {track.state} · {track.visibility:.0%} seen"
    row, pad = pen.text + pen.px(6), pen.px(4)
    panel = max(text_width(line, pen) for line in (head, *titles)) + 2 * pad
    tall = row * (1 + len(beliefs)) + pad
    x1, y1, _, _ = whole_box(_scaled(track.box, scale), canvas)
    left = min(max(x1 - pen.px(6), 0), max(width - panel, 0))
    top = min(max(y1 - tall - 2, 0), max(height - tall, 0))
    shade(canvas, left, top, left + panel, top + tall, 0.2)
    y = top + pen.text + pen.px(1)
    cv2.putText(canvas, head, (left + pad, y), colour, pen.font, pen.text, 600)
    for (_, share), title in zip(beliefs, titles, strict=True):
        y += row
        cv2.putText(canvas, title, (left + pad, y), INK, pen.font, pen.text, 450)
        under, full = y + pen.px(2), panel - 2 * pad
        cv2.rectangle(canvas, (left + pad, under), (left + pad + full - 1, under + pen.px(2)), _EMPTY, -1)
        filled = round(full * min(max(share, 0.0), 1.0))
        if filled:
            cv2.rectangle(canvas, (left + pad, under), (left + pad + filled - 1, under + pen.px(2)), colour, -1)


def _title(label: str, menu: Menu) -> str:
    if label in (HAND, ITEM):
        return "hand" if label == HAND else "some item"
    return menu[label].title if label in menu else label


def _draw_figures(canvas: Image, update: LaneUpdate, pen: Pen) -> None:
    """Write the stages' times and the counts of this frame at the bottom."""
    stages = [f"{stage} {1000 * seconds:.1f} ms" for stage, seconds in update.stage_s.items()]
    found = 0 if update.detections is None else len(update.detections)
    counts = f"{found} detections · {len(update.tracks.tracks)} tracks · {update.items_in_zone} in the zone"
    frame = "" if update.frame is None else f"frame {update.frame.index}"
    line = " · ".join([frame, *stages, counts])
    _write(canvas, [line], (pen.px(4), canvas.shape[0] - pen.text - pen.px(8)), INK, pen)


def _write(canvas: Image, lines: Sequence[str], place: tuple[int, int], ink: Colour, pen: Pen) -> None:
    """Write lines of text over a shaded ground; `place` is the upper left corner."""
    x, y = max(place[0], 0), max(place[1], 0)
    wide, row = max(text_width(line, pen) for line in lines), pen.text + pen.px(4)
    shade(canvas, x, y, x + wide + pen.px(4), y + row * len(lines) + pen.px(1), 0.3)
    for number, line in enumerate(lines):
        cv2.putText(
            canvas, line, (x + pen.px(2), y + number * row + pen.text + pen.px(1)), ink, pen.font, pen.text, 450
        )
