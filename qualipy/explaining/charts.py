"""Charts and small pictures that stand beside an explained photo."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qualipy.explaining.canvas import (
    DARK_ROLES,
    FAINT,
    INK,
    PAPER,
    Pixels,
    cased_line,
    put_text,
    text_width,
)
from qualipy.explaining.overlays import heat_colors
from qualipy_core.explanation import Chart, Color, Inset, Series
from qualipy_core.opencv import cv2

HEIGHT = 196
"""Of a chart, in pixels."""
_LABEL, _SMALL = 13, 11  # sizes of type
_GRID = (222, 225, 229)
_ROOM = 0.06  # of the range of y, above and below
_MOST_SYMBOLS = 24
_SYMBOLS = (0, 4, 3)  # corners; a circle has none

Box = tuple[int, int, int, int]  # left, top, right, bottom


def drawn(chart: Chart | Inset, width: int) -> Pixels:
    """Return a chart, or a small picture, as pixels.

    Parameters
    ----------
    chart : Chart or Inset
        What to draw.
    width : int
        In pixels.

    Returns
    -------
    ndarray of uint8, shape (HEIGHT, width, 3)
    """
    canvas = np.full((HEIGHT, width, 3), PAPER, np.uint8)
    put_text(canvas, (0, _LABEL + 1), chart.label, _fitting(chart.label, width), weight=600)
    if isinstance(chart, Inset):
        _draw_inset(canvas, chart)
    else:
        _draw_chart(canvas, chart)
    return canvas


def _fitting(text: str, width: int) -> int:
    """The size of type, the usual one or as much smaller as it must be."""
    return next((s for s in (_LABEL, 12, 11, 10) if text_width(text, s, 600) <= width), 9)


def _draw_inset(canvas: Pixels, inset: Inset) -> None:
    top = _LABEL + 10
    rows, columns = inset.values.shape
    scale = min((HEIGHT - top) / rows, canvas.shape[1] / columns)
    size = (max(1, int(columns * scale)), max(1, int(rows * scale)))
    picture = cv2.resize(heat_colors(inset.values), size, interpolation=cv2.INTER_NEAREST)
    canvas[top : top + size[1], : size[0]] = picture
    turn = np.arange(0, 2 * np.pi, np.pi / 16)
    ring = 8 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    inside = canvas[top : top + size[1], : size[0]]
    for point in np.zeros((0, 2)) if inset.points is None else inset.points:
        cased_line(inside, ring + point * size, (255, 255, 255), closed=True)


def _draw_chart(canvas: Pixels, chart: Chart) -> None:
    x_range, y_range = _ranges(chart)
    ticks = _ticks(*y_range)
    margin = max(text_width(f"{tick:g}", _SMALL) for tick in ticks) + 8
    named = [series for series in chart.series if series.label]
    top = _LABEL + (26 if named else 14) + (12 if chart.marks else 0)
    box = (margin, top, canvas.shape[1] - 14, HEIGHT - 34)
    left = float(margin)
    for number, series in enumerate(chart.series):
        if series.label:
            left = _legend(canvas, series, number, left, _LABEL + 18)
    for tick in ticks:
        y = _place(tick, y_range, box[3], box[1])
        cv2.line(canvas, (box[0], round(y)), (box[2], round(y)), _GRID, 1)
        put_text(canvas, (margin - 5, y + 4), f"{tick:g}", _SMALL, color=FAINT, align=1)
    for tick in _ticks(*x_range, about=6):
        x = _place(tick, x_range, box[0], box[2])
        put_text(canvas, (x, box[3] + 14), f"{tick:g}", _SMALL, color=FAINT, align=0.5)
    for number, series in enumerate(chart.series):
        _draw_series(canvas, series, number, box, x_range, y_range)
    cv2.line(canvas, (box[0], box[3]), (box[2], box[3]), FAINT, 1)
    _draw_marks(canvas, chart, box, x_range)
    axes = f"↑ {chart.y_label}    → {chart.x_label}" if chart.y_label else chart.x_label
    put_text(canvas, (box[0], HEIGHT - 5), axes, _SMALL, color=FAINT)


def _draw_marks(canvas: Pixels, chart: Chart, box: Box, x_range: tuple[float, float]) -> None:
    """Upright lines, each with its name over it; names that would meet stand at two heights."""
    taken = -1e9
    for x, text in sorted(chart.marks):
        place = _place(x, x_range, box[0], box[2])
        half = text_width(text, _SMALL) / 2
        middle = min(max(place, box[0] + half), box[2] - half)
        low = middle - half < taken + 4
        cv2.line(canvas, (round(place), box[1] - 2), (round(place), box[3]), INK, 1, cv2.LINE_AA)
        y = box[1] + 10 if low else box[1] - 5
        if low:
            put_text(canvas, (place + 3, y), text, _SMALL)
        else:
            put_text(canvas, (middle, y), text, _SMALL, align=0.5)
            taken = middle + half


def _draw_series(
    canvas: Pixels,
    series: Series,
    number: int,
    box: Box,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
) -> None:
    x = _place(series.x, x_range, box[0], box[2])
    y = _place(series.y, y_range, box[3], box[1])
    points = np.rint(np.stack([x, y], axis=1) * 16).astype(np.int32)
    color = _color(series)
    if series.kind == "area":
        floor = round(_place(max(0.0, y_range[0]), y_range, box[3], box[1]) * 16)
        ends = np.array([[points[-1, 0], floor], [points[0, 0], floor]], np.int32)
        cv2.fillPoly(canvas, [np.concatenate([points, ends])], _pale(color), cv2.LINE_AA, 4)
    if series.kind != "points":
        thickness = 1 if series.kind == "area" else 2
        cv2.polylines(canvas, [points], False, color, thickness, cv2.LINE_AA, 4)
    if series.kind == "points" or (len(x) <= _MOST_SYMBOLS and series.role != "reference"):
        for point in points / 16:
            _draw_symbol(canvas, point, number, color)


def _draw_symbol(canvas: Pixels, place: NDArray[Any], number: int, color: Color) -> None:
    """A round, square or pointed symbol, so that series differ in more than their colour."""
    shape = _SYMBOLS[number % len(_SYMBOLS)]
    if shape:
        turn = np.arange(shape) * 2 * np.pi / shape + (np.pi / 4 if shape == 4 else -np.pi / 2)
        corners = place + 4.6 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        cv2.fillPoly(canvas, [np.rint(corners * 16).astype(np.int32)], color, cv2.LINE_AA, 4)
    else:
        x, y = (int(part * 16) for part in place)
        cv2.circle(canvas, (x, y), 3 * 16, color, -1, cv2.LINE_AA, 4)


def _legend(canvas: Pixels, series: Series, number: int, left: float, y: int) -> float:
    """Write a series' name after its colour; return where the next one begins."""
    cv2.line(
        canvas, (round(left), y - 4), (round(left) + 14, y - 4), _color(series), 3, cv2.LINE_AA
    )
    if series.kind != "area" and series.role != "reference":
        _draw_symbol(canvas, np.array([left + 7, y - 4]), number, _color(series))
    put_text(canvas, (left + 19, y), series.label, _SMALL)
    return left + 19 + text_width(series.label, _SMALL) + 14


def _color(series: Series) -> Color:
    return series.color or DARK_ROLES[series.role]


def _pale(color: Color) -> Color:
    red, green, blue = (round(255 - 0.35 * (255 - part)) for part in color)
    return red, green, blue


def _ranges(chart: Chart) -> tuple[tuple[float, float], tuple[float, float]]:
    xs = np.concatenate([series.x for series in chart.series])
    ys = np.concatenate([series.y for series in chart.series] + [np.array(chart.y_range or ())])
    x_range = float(xs.min()), max(float(xs.max()), float(xs.min()) + 1e-6)
    low, high = float(ys.min()), float(ys.max())
    if any(series.kind == "area" for series in chart.series):
        low = min(low, 0.0)
    reach = max(high - low, 1e-6, 0.02 * max(abs(low), abs(high)))
    bottom = low if low == 0 else low - _ROOM * reach
    return x_range, (bottom, low + reach * (1 + _ROOM))


def _ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers within a range."""
    rough = (high - low) / about
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * next(s for s in (1, 2, 5, 10) if s * power >= rough * 0.999)
    first = int(np.ceil(low / step - 1e-6))
    last = int(np.floor(high / step + 1e-6))
    return [round(number * step, 10) for number in range(first, last + 1)] or [low]


def _place(value: Any, of: tuple[float, float], first: int, last: int) -> Any:
    low, high = of
    return first + (np.asarray(value, dtype=np.float64) - low) / (high - low) * (last - first)
