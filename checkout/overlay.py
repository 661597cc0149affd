"""The marked-up picture: what the lane thinks, drawn over what it sees. For the live page and for replays.

Readable without colour: a solid box is seen now, a dashed one is covered, a dotted one is not found at the moment.
Green with a title is a line on the bill, amber is not yet decided, violet is a question, grey is no goods. The bar
under a title is the confidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from checkout.menu import Menu
from checkout.zones import Zone
from core.records import Bill, Box, Track, Tracks, TrackState

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

ON_BILL: Colour = (72, 214, 151)
PENDING: Colour = (255, 190, 76)
UNKNOWN: Colour = (196, 140, 255)
NO_GOODS: Colour = (150, 156, 164)
ZONE: Colour = (126, 200, 255)
INK: Colour = (246, 248, 250)
NIGHT: Colour = (16, 20, 26)
_MAX_LABEL = 22


@dataclass(frozen=True, slots=True)
class _Pen:
    """Sizes that follow the picture's height: 1.0 at 360 pixels."""

    scale: float
    font: cv2.FontFace

    @property
    def line(self) -> int:
        return max(2, round(1.8 * self.scale))

    @property
    def text(self) -> int:
        return max(9, round(11 * self.scale))

    def px(self, at_360: float) -> int:
        return max(1, round(at_360 * self.scale))


def draw(
    image: Image, tracks: Tracks, bill: Bill | None, zones: Sequence[Zone], menu: Menu, panel: bool = False
) -> Image:
    """Return a marked-up copy of a frame.

    Args:
        image: (H, W, 3) uint8 RGB; not changed.
        tracks: of this frame; tentative ones are not drawn.
        bill: the open bill, tells which tracks are lines.
        zones: of the lane.
        menu: titles and currency.
        panel: draw the bill into the picture's right upper corner as well (for recordings without a page).

    Returns:
        (H, W, 3) uint8 RGB.
    """
    canvas = image.copy()
    height, width = canvas.shape[:2]
    pen = _Pen(max(min(height / 360, width / 480), 0.5), cv2.FontFace("sans"))
    for zone in zones:
        _draw_zone(canvas, zone, pen)
    lines = {line.track_id: line for line in bill.lines} if bill is not None else {}
    shown = [track for track in tracks.tracks if track.state not in (TrackState.TENTATIVE, TrackState.REMOVED)]
    labels: list[tuple[Track, str, float, Colour]] = []
    for track in shown:
        line = lines.get(track.track_id)
        if track.state is TrackState.LOST and line is None:
            continue
        if line is not None:
            colour, title, confidence = ON_BILL, menu.title(line.dish), line.confidence
        elif not menu.is_goods(track.label):
            colour, title, confidence = NO_GOODS, "", 0.0
        elif track.label in menu:
            colour, title, confidence = PENDING, menu[track.label].title + "?", track.confidence
        else:
            colour, title, confidence = UNKNOWN, "?", track.confidence
        _draw_box(canvas, track, colour, pen)
        if title:
            labels.append((track, title, confidence, colour))
    for track, title, confidence, colour in labels:
        _draw_label(canvas, track.box, title, confidence, colour, pen)
    if tracks.notes:
        _draw_notes(canvas, tracks, pen)
    if panel and bill is not None:
        _draw_bill(canvas, bill, menu, pen)
    return canvas


def _draw_notes(canvas: Image, tracks: Tracks, pen: _Pen) -> None:
    """Draw for people who debug: each track's number, what became of it and why, its visible share and its velocity."""
    small = max(8, round(pen.text * 0.8))
    by_id = {track.track_id: track for track in tracks.tracks}
    gone = 0
    for note in tracks.notes:
        track = by_id.get(note.track_id)
        if track is None:
            line = f"{note.track_id} {note.verdict}: {note.why}"
            gone += 1
            place = (pen.px(4), canvas.shape[0] - pen.px(4) - (gone - 1) * (small + pen.px(3)))
            cv2.putText(canvas, line, place, PENDING, pen.font, small, 450)
            continue
        x1, _, x2, y2 = _whole(track.box, canvas)
        lines = [f"{note.track_id} {note.verdict} · {track.visibility:.0%} seen", note.why]
        for number, line in enumerate(lines):
            top = min(y2 + pen.px(2) + number * (small + pen.px(3)), canvas.shape[0] - small - pen.px(3))
            width = _text_width(line, pen)
            _shade(canvas, x1, top, x1 + width, top + small + pen.px(3), 0.35)
            cv2.putText(canvas, line, (x1, top + small), INK, pen.font, small, 450)
        middle = ((x1 + x2) // 2, int((track.box[1] + track.box[3]) / 2))
        ahead = (round(middle[0] + 0.5 * track.velocity_px_s[0]), round(middle[1] + 0.5 * track.velocity_px_s[1]))
        cv2.arrowedLine(canvas, middle, ahead, ZONE, 1, cv2.LINE_AA, 0, 0.2)


def _draw_zone(canvas: Image, zone: Zone, pen: _Pen) -> None:
    height, width = canvas.shape[:2]
    corners = zone.corners_px(width, height)
    at_edges = (corners.min(axis=0) <= 1).all() and (corners.max(axis=0) >= (width - 2, height - 2)).all()
    if at_edges and len(corners) == 4:
        return  # the whole frame: a border would say nothing
    cv2.polylines(canvas, [corners], True, NIGHT, pen.line, cv2.LINE_AA)
    cv2.polylines(canvas, [corners], True, ZONE, pen.line - 1, cv2.LINE_AA)


def _draw_box(canvas: Image, track: Track, colour: Colour, pen: _Pen) -> None:
    x1, y1, x2, y2 = _whole(track.box, canvas)
    if track.state is TrackState.CONFIRMED:
        cv2.rectangle(canvas, (x1, y1), (x2, y2), NIGHT, pen.line + 1, cv2.LINE_AA)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, pen.line, cv2.LINE_AA)
        return
    dash, space = (pen.px(7), pen.px(5)) if track.state is TrackState.OCCLUDED else (pen.px(1), pen.px(7))
    for thickness, ink in ((pen.line + 1, NIGHT), (pen.line, colour)):
        for a, b in (((x1, y1), (x2, y1)), ((x2, y1), (x2, y2)), ((x2, y2), (x1, y2)), ((x1, y2), (x1, y1))):
            _dashes(canvas, a, b, dash, space, ink, thickness)


def _dashes(
    canvas: Image, a: tuple[int, int], b: tuple[int, int], dash: int, space: int, ink: Colour, thickness: int
) -> None:
    length = max(abs(b[0] - a[0]), abs(b[1] - a[1]))
    if length == 0:
        return
    step_x, step_y = (b[0] - a[0]) / length, (b[1] - a[1]) / length
    for start in range(0, length, dash + space):
        end = min(start + dash, length)
        p = (round(a[0] + step_x * start), round(a[1] + step_y * start))
        q = (round(a[0] + step_x * end), round(a[1] + step_y * end))
        cv2.line(canvas, p, q, ink, thickness, cv2.LINE_AA)


def _draw_label(canvas: Image, box: Box, title: str, confidence: float, colour: Colour, pen: _Pen) -> None:
    """Draw a dark tab with title and confidence bar on the upper edge of a box, or inside it at the border."""
    if len(title) > _MAX_LABEL:
        title = title[: _MAX_LABEL - 1].rstrip() + "…"
    height, width = canvas.shape[:2]
    x1, y1, _, _ = _whole(box, canvas)
    pad, bar = pen.px(4), pen.px(2.4)
    text_width = _text_width(title, pen)
    tab_width, tab_height = text_width + 2 * pad, pen.text + pad + bar + pen.px(3)
    left = min(max(x1 - pen.line, 0), max(width - tab_width, 0))
    top = y1 - tab_height if y1 >= tab_height else min(y1 + pen.line, height - tab_height)
    top = max(top, 0)
    _shade(canvas, left, top, left + tab_width, top + tab_height, 0.25)
    baseline = top + pen.text + pen.px(1)
    cv2.putText(canvas, title, (left + pad, baseline), INK, pen.font, pen.text, 550)
    full = tab_width - 2 * pad
    y = top + tab_height - bar - pen.px(1.5)
    cv2.rectangle(canvas, (left + pad, y), (left + pad + full - 1, y + bar - 1), (86, 92, 100), -1)
    filled = round(full * min(max(confidence, 0.0), 1.0))
    if filled:
        cv2.rectangle(canvas, (left + pad, y), (left + pad + filled - 1, y + bar - 1), colour, -1)


def _draw_bill(canvas: Image, bill: Bill, menu: Menu, pen: _Pen) -> None:
    """Draw the bill as a small panel; equal dishes stay apart, the oldest lines go when there is no room."""
    height, width = canvas.shape[:2]
    row, pad = pen.text + pen.px(5), pen.px(8)
    room = max(int((height * 0.8 - 2 * pad) // row) - 2, 1)
    lines = bill.lines[-room:]
    rows = [(menu.title(line.dish), f"{line.quantity * line.unit_price:.2f}") for line in lines]
    total = f"{bill.total:.2f} {menu.currency}"
    widths = [_text_width(title, pen) + _text_width(price, pen) for title, price in rows]
    panel = min(max([*widths, _text_width("Total" + total, pen), pen.px(110)]) + 3 * pad, width)
    left, top = width - panel - pad, pad
    bottom = top + 2 * pad + row * (len(rows) + 1) + pen.px(3)
    _shade(canvas, left, top, left + panel, bottom, 0.25)
    y = top + pad + pen.text
    for title, price in rows:
        cv2.putText(canvas, title, (left + pad, y), INK, pen.font, pen.text, 450)
        right = left + panel - pad - _text_width(price, pen)
        cv2.putText(canvas, price, (right, y), INK, pen.font, pen.text, 450)
        y += row
    rule = y - pen.text - pen.px(1)
    cv2.line(canvas, (left + pad, rule), (left + panel - pad, rule), ON_BILL, 1, cv2.LINE_AA)
    y += pen.px(3)
    cv2.putText(canvas, "Total", (left + pad, y), INK, pen.font, pen.text, 650)
    right = left + panel - pad - _text_width(total, pen)
    cv2.putText(canvas, total, (right, y), INK, pen.font, pen.text, 650)


def _text_width(text: str, pen: _Pen) -> int:
    x, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), pen.font, pen.text, 550)
    return int(x + width)


def _shade(canvas: Image, x1: int, y1: int, x2: int, y2: int, keep: float) -> None:
    """Darken a rectangle to `keep` of its brightness over the night colour."""
    height, width = canvas.shape[:2]
    part = canvas[max(y1, 0) : min(y2, height), max(x1, 0) : min(x2, width)]
    if part.size:
        night = np.empty_like(part)
        night[:] = NIGHT
        cv2.addWeighted(part, keep, night, 1 - keep, 0, dst=part)


def _whole(box: Box, canvas: Image) -> tuple[int, int, int, int]:
    height, width = canvas.shape[:2]
    x1, x2 = (min(max(round(x), 0), width - 1) for x in (box[0], box[2]))
    y1, y2 = (min(max(round(y), 0), height - 1) for y in (box[1], box[3]))
    return x1, y1, x2, y2
