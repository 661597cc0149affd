"""The marked-up picture: what the lane thinks, drawn over what it sees. For the live page and for replays.

Readable without colour: a solid box is seen now, a dashed one is covered, a dotted one is not found at the moment.
Green with a title is a line on the bill, amber is not yet decided, violet is a question, grey is no goods. The bar
under a title is the confidence.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2

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
from checkout.zones import Zone
from core.records import Bill, Box, Track, Tracks, TrackState

_MAX_LABEL = 22


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
    pen = pen_for(canvas)
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
        draw_box(canvas, track.box, track.state, colour, pen)
        if title:
            labels.append((track, title, confidence, colour))
    for track, title, confidence, colour in labels:
        _draw_label(canvas, track.box, title, confidence, colour, pen)
    if tracks.notes:
        _draw_notes(canvas, tracks, pen)
    if panel and bill is not None:
        _draw_bill(canvas, bill, menu, pen)
    return canvas


def _draw_notes(canvas: Image, tracks: Tracks, pen: Pen) -> None:
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
        x1, _, x2, y2 = whole_box(track.box, canvas)
        lines = [f"{note.track_id} {note.verdict} · {track.visibility:.0%} seen", note.why]
        for number, line in enumerate(lines):
            top = min(y2 + pen.px(2) + number * (small + pen.px(3)), canvas.shape[0] - small - pen.px(3))
            width = text_width(line, pen)
            shade(canvas, x1, top, x1 + width, top + small + pen.px(3), 0.35)
            cv2.putText(canvas, line, (x1, top + small), INK, pen.font, small, 450)
        middle = ((x1 + x2) // 2, int((track.box[1] + track.box[3]) / 2))
        ahead = (round(middle[0] + 0.5 * track.velocity_px_s[0]), round(middle[1] + 0.5 * track.velocity_px_s[1]))
        cv2.arrowedLine(canvas, middle, ahead, ZONE, 1, cv2.LINE_AA, 0, 0.2)


def _draw_zone(canvas: Image, zone: Zone, pen: Pen) -> None:
    height, width = canvas.shape[:2]
    corners = zone.corners_px(width, height)
    at_edges = (corners.min(axis=0) <= 1).all() and (corners.max(axis=0) >= (width - 2, height - 2)).all()
    if at_edges and len(corners) == 4:
        return  # the whole frame: a border would say nothing
    cv2.polylines(canvas, [corners], True, NIGHT, pen.line, cv2.LINE_AA)
    cv2.polylines(canvas, [corners], True, ZONE, pen.line - 1, cv2.LINE_AA)


def _draw_label(canvas: Image, box: Box, title: str, confidence: float, colour: Colour, pen: Pen) -> None:
    """Draw a dark tab with title and confidence bar on the upper edge of a box, or inside it at the border."""
    if len(title) > _MAX_LABEL:
        title = title[: _MAX_LABEL - 1].rstrip() + "…"
    height, width = canvas.shape[:2]
    x1, y1, _, _ = whole_box(box, canvas)
    pad, bar = pen.px(4), pen.px(2.4)
    title_width = text_width(title, pen)
    tab_width, tab_height = title_width + 2 * pad, pen.text + pad + bar + pen.px(3)
    left = min(max(x1 - pen.line, 0), max(width - tab_width, 0))
    top = y1 - tab_height if y1 >= tab_height else min(y1 + pen.line, height - tab_height)
    top = max(top, 0)
    shade(canvas, left, top, left + tab_width, top + tab_height, 0.25)
    baseline = top + pen.text + pen.px(1)
    cv2.putText(canvas, title, (left + pad, baseline), INK, pen.font, pen.text, 550)
    full = tab_width - 2 * pad
    y = top + tab_height - bar - pen.px(1.5)
    cv2.rectangle(canvas, (left + pad, y), (left + pad + full - 1, y + bar - 1), (86, 92, 100), -1)
    filled = round(full * min(max(confidence, 0.0), 1.0))
    if filled:
        cv2.rectangle(canvas, (left + pad, y), (left + pad + filled - 1, y + bar - 1), colour, -1)


def _draw_bill(canvas: Image, bill: Bill, menu: Menu, pen: Pen) -> None:
    """Draw the bill as a small panel; equal dishes stay apart, the oldest lines go when there is no room."""
    height, width = canvas.shape[:2]
    row, pad = pen.text + pen.px(5), pen.px(8)
    room = max(int((height * 0.8 - 2 * pad) // row) - 2, 1)
    lines = bill.lines[-room:]
    rows = [(menu.title(line.dish), f"{line.quantity * line.unit_price:.2f}") for line in lines]
    total = f"{bill.total:.2f} {menu.currency}"
    widths = [text_width(title, pen) + text_width(price, pen) for title, price in rows]
    panel = min(max([*widths, text_width("Total" + total, pen), pen.px(110)]) + 3 * pad, width)
    left, top = width - panel - pad, pad
    bottom = top + 2 * pad + row * (len(rows) + 1) + pen.px(3)
    shade(canvas, left, top, left + panel, bottom, 0.25)
    y = top + pad + pen.text
    for title, price in rows:
        cv2.putText(canvas, title, (left + pad, y), INK, pen.font, pen.text, 450)
        right = left + panel - pad - text_width(price, pen)
        cv2.putText(canvas, price, (right, y), INK, pen.font, pen.text, 450)
        y += row
    rule = y - pen.text - pen.px(1)
    cv2.line(canvas, (left + pad, rule), (left + panel - pad, rule), ON_BILL, 1, cv2.LINE_AA)
    y += pen.px(3)
    cv2.putText(canvas, "Total", (left + pad, y), INK, pen.font, pen.text, 650)
    right = left + panel - pad - text_width(total, pen)
    cv2.putText(canvas, total, (right, y), INK, pen.font, pen.text, 650)
