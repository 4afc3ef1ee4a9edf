"""The picture that shows an explanation: the photo, what the filter saw, and what it means."""

from __future__ import annotations

import numpy as np

from qualipy.explaining import charts
from qualipy.explaining.canvas import FAINT, INK, PAPER, Pixels, put_text, text_width, wrapped
from qualipy.explaining.overlays import heat_colors, is_empty, layer_color, overlaid
from qualipy_core.explanation import Boxes, Color, Explanation, HeatMap, Layer, Lines
from qualipy_core.opencv import cv2

MARGIN, GAP = 20, 12  # pixels
_SMALLEST, _WIDEST = 360, 2.0
"""Long side, in pixels, to which a small photo is enlarged; sides' ratio from which the photo and
what was seen stand below each other."""
_TITLE, _TEXT, _LABEL = 21, 15, 13  # sizes of type
_LINE = 21  # from one line of text to the next
_NARROWEST = 560  # of what is written below the pictures
_FLAGGED, _PASSED = (178, 60, 0), (0, 98, 150)
_BAR = 90  # pixels of a heat map's scale


def page(
    photo: Pixels, explanation: Explanation, name: str, verdict: str, flagged: bool, side: int
) -> Pixels:
    """Return the photo beside what the filter saw, with a title, a legend and charts below.

    Parameters
    ----------
    photo : ndarray of uint8, shape (H, W, 3)
        Red, green, blue.
    explanation : Explanation
        Of this photo.
    name, verdict : str
        The title: the filter, and what it says in words.
    flagged : bool
        What the filter decided.
    side : int
        The long side of the photo in the picture, in pixels.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
    """
    small = scaled(photo, side)
    seen = overlaid(small, explanation)
    height, width = small.shape[:2]
    across = width <= _WIDEST * height
    joint = (height, GAP, 3) if across else (GAP, width, 3)
    pictures = np.concatenate(
        [small, np.full(joint, PAPER, np.uint8), seen], axis=1 if across else 0
    )
    inner = max(pictures.shape[1], _NARROWEST)
    summary = _lines(explanation.summary, inner)
    parts = [
        _title(name, verdict, flagged, inner),
        _centred(pictures, inner),
        _legend(explanation.layers, inner),
        summary,
        *_charts(explanation, inner),
    ]
    return _stacked([part for part in parts if part is not None], inner)


def card(photo: Pixels, explanation: Explanation, side: int) -> Pixels:
    """Return what the filter saw alone, with a legend and charts below.

    Parameters
    ----------
    photo, explanation
        As for `page`.
    side : int
        The most that the picture is wide, in pixels; a little room is kept for the legend.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
    """
    seen = overlaid(scaled(photo, side), explanation)
    inner = max(seen.shape[1], min(side, _SMALLEST))
    parts = [
        _centred(seen, inner),
        _legend(explanation.layers, inner),
        *_charts(explanation, inner),
    ]
    return _stacked([part for part in parts if part is not None], inner, margin=0)


def scaled(photo: Pixels, side: int) -> Pixels:
    """Return a photo at the size at which it is shown: small ones are enlarged."""
    height, width = photo.shape[:2]
    longest = max(height, width)
    scale = min(side / longest, max(1.0, min(_SMALLEST, side) / longest))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == (width, height):
        return photo
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(photo, size, interpolation=way), dtype=np.uint8)


def _title(name: str, verdict: str, flagged: bool, width: int) -> Pixels:
    canvas = np.full((_TITLE + 10, width, 3), PAPER, np.uint8)
    put_text(canvas, (0, _TITLE), name, _TITLE, weight=700)
    left = text_width(name, _TITLE, 700) + 14
    put_text(
        canvas, (left, _TITLE), verdict, 17, weight=600, color=_FLAGGED if flagged else _PASSED
    )
    return canvas


def _lines(text: str, width: int) -> Pixels:
    lines = wrapped(text, _TEXT, width)
    canvas = np.full((_LINE * len(lines) + 4, width, 3), PAPER, np.uint8)
    for number, line in enumerate(lines):
        put_text(canvas, (0, _LINE * number + _TEXT + 1), line, _TEXT)
    return canvas


def _centred(picture: Pixels, width: int) -> Pixels:
    room = width - picture.shape[1]
    left = room // 2
    return np.pad(picture, ((0, 0), (left, room - left), (0, 0)), constant_values=255)


def _legend(layers: tuple[Layer, ...], width: int) -> Pixels | None:
    """A swatch and a label for every layer that shows, in as many rows as it takes."""
    rows: list[list[tuple[Layer, int]]] = [[]]
    left = 0
    for layer in (layer for layer in layers if not is_empty(layer)):
        room = _swatch_width(layer) + text_width(layer.label, _LABEL) + 22
        if rows[-1] and left + room > width:
            rows.append([])
            left = 0
        rows[-1].append((layer, left))
        left += room
    if not rows[0]:
        return None
    canvas = np.full((20 * len(rows), width, 3), PAPER, np.uint8)
    for number, row in enumerate(rows):
        for layer, left in row:
            after = _draw_swatch(canvas, layer, left, 20 * number)
            put_text(canvas, (after, 20 * number + 14), layer.label, _LABEL)
    return canvas


def _swatch_width(layer: Layer) -> int:
    if isinstance(layer, HeatMap):
        ends = text_width(layer.low, _LABEL) + text_width(layer.high, _LABEL)
        return ends + _BAR + 30
    return 28


def _draw_swatch(canvas: Pixels, layer: Layer, left: int, top: int) -> int:
    """Draw what a layer looks like; return where its label begins."""
    middle = top + 9
    if isinstance(layer, HeatMap):
        put_text(canvas, (left, top + 14), layer.low, _LABEL, color=FAINT)
        begin = left + text_width(layer.low, _LABEL) + 6
        scale = np.repeat(np.linspace(0, 1, _BAR)[None], 12, axis=0)
        canvas[middle - 6 : middle + 6, begin : begin + _BAR] = heat_colors(scale)[
            :, : max(canvas.shape[1] - begin, 0)
        ]
        put_text(canvas, (begin + _BAR + 6, top + 14), layer.high, _LABEL, color=FAINT)
        return left + _swatch_width(layer) - 4
    color = layer_color(layer)
    if isinstance(layer, Lines):
        _swatch_line(canvas, left, middle, color, layer.role == "reference")
    else:
        box = (left + 2, middle - 6), (left + 20, middle + 6)
        if isinstance(layer, Boxes):
            cv2.rectangle(canvas, *box, (20, 20, 20), 4, cv2.LINE_AA)
            cv2.rectangle(canvas, *box, color, 2, cv2.LINE_AA)
        else:
            cv2.rectangle(canvas, *box, color, -1)
            cv2.rectangle(canvas, *box, INK, 1)
    return left + 28


def _swatch_line(canvas: Pixels, left: int, y: int, color: Color, dashed: bool) -> None:
    cv2.line(canvas, (left + 1, y), (left + 21, y), (20, 20, 20), 4, cv2.LINE_AA)
    for begin in range(left + 1, left + 21, 14 if dashed else 20):
        end = min(begin + (7 if dashed else 20), left + 21)
        cv2.line(canvas, (begin, y), (end, y), color, 2, cv2.LINE_AA)


def _charts(explanation: Explanation, width: int) -> list[Pixels]:
    """The charts in rows: as many beside each other as there is room for."""
    count = len(explanation.charts)
    if not count:
        return []
    together = max(1, min(count, width // 380))
    each = min((width - GAP * 2 * (together - 1)) // together, 640)
    rows = []
    for first in range(0, count, together):
        row = np.full((charts.HEIGHT, width, 3), PAPER, np.uint8)
        for number, chart in enumerate(explanation.charts[first : first + together]):
            left = number * (each + 2 * GAP)
            row[:, left : left + each] = charts.drawn(chart, each)
        rows.append(row)
    return rows


def _stacked(parts: list[Pixels], width: int, margin: int = MARGIN) -> Pixels:
    gap = np.full((GAP, width, 3), PAPER, np.uint8)
    rows = [row for part in parts for row in (part, gap)][:-1]
    whole = np.concatenate(rows)
    return np.ascontiguousarray(
        np.pad(whole, ((margin, margin), (margin, margin), (0, 0)), constant_values=255)
    )
