"""Drawing text and simple shapes on an array of pixels, with OpenCV alone.

OpenCV 5 sets type in a font of its own, at any size and in many scripts. OpenCV 4 has but the
strokes of a plotter: there text is plainer, and what isn't ASCII is written as near as can be.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qualipy_core.explanation import Color, Role
from qualipy_core.opencv import cv2

Pixels = NDArray[np.uint8]

INK, FAINT, PAPER = (28, 32, 38), (110, 116, 124), (255, 255, 255)
# Okabe & Ito's orange and blue, which nobody mixes up, and white; all of them cased in black.
ROLES: dict[Role, Color] = {
    "found": (255, 140, 0),
    "other": (86, 180, 233),
    "reference": (255, 255, 255),
}
DARK_ROLES: dict[Role, Color] = {  # the same on paper
    "found": (213, 94, 0),
    "other": (0, 114, 178),
    "reference": (130, 136, 144),
}
_PLAIN = str.maketrans({"–": "-", "—": "-", "−": "-", "×": "x", "…": "...", "≤": "<=", "≥": ">="})
_HERSHEY_HEIGHT = 30.0  # pixels, about, of a line of its plain face at scale 1
_DASH = 7  # pixels


@cache
def _face() -> Any:
    return cv2.FontFace("sans") if hasattr(cv2, "FontFace") else None


def text_width(text: str, size: int, weight: int = 400) -> int:
    """Return how many pixels a line of text takes."""
    if not text:
        return 0
    face = _face()
    if face is None:
        scale = size / _HERSHEY_HEIGHT
        return int(cv2.getTextSize(_plain(text), cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0][0])
    # A space's width isn't counted at the end: marks on both sides hold it.
    box = cv2.getTextSize((0, 0), f"|{text}|", (0, 0), face, size, weight)
    marks = cv2.getTextSize((0, 0), "||", (0, 0), face, size, weight)
    return int(box[2] - marks[2])


def put_text(
    canvas: Pixels,
    place: tuple[float, float],
    text: str,
    size: int,
    *,
    weight: int = 400,
    color: Color = INK,
    align: float = 0.0,
) -> None:
    """Write a line of text.

    Parameters
    ----------
    canvas : ndarray of uint8, shape (H, W, 3)
        Drawn on.
    place : tuple of float
        x, and y of the line that letters stand on.
    text : str
        One line.
    size, weight : int
        The height of the type in pixels; 400 is plain and 600 bold.
    color : tuple of int
        Red, green, blue.
    align : float
        Which part of the text stands at x: 0 the beginning, 0.5 the middle, 1 the end.
    """
    x, y = round(place[0] - align * text_width(text, size, weight)), round(place[1])
    face = _face()
    if face is None:
        scale, strokes = size / _HERSHEY_HEIGHT, 2 if weight > 500 else 1
        font = cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(canvas, _plain(text), (x, y), font, scale, color, strokes, cv2.LINE_AA)
    else:
        cv2.putText(canvas, text, (x, y), color, face, size, weight)


def wrapped(text: str, size: int, width: int) -> list[str]:
    """Return text as lines that are no wider than that, if its words allow it."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def cased_line(
    canvas: Pixels,
    points: NDArray[Any],
    color: Color,
    *,
    closed: bool = False,
    dashed: bool = False,
) -> None:
    """Draw a line that shows on light and on dark: coloured, with a dark rim.

    Parameters
    ----------
    canvas : ndarray of uint8, shape (H, W, 3)
        Drawn on.
    points : ndarray of float, shape (n, 2)
        x and y in pixels.
    color : tuple of int
        Red, green, blue.
    closed, dashed : bool
        Whether the last point leads to the first; whether there are gaps.
    """
    height, width = canvas.shape[:2]
    limit = 4.0 * max(height, width)
    points = np.clip(np.asarray(points, dtype=np.float64), -limit, limit)
    if closed:
        points = np.concatenate([points, points[:1]])
    whole = [points]
    parts = _dashes(points) if dashed else whole
    for lines, shade, thickness in ((whole, (20, 20, 20), 4), (parts, color, 2)):
        drawn = [np.rint(line * 16).astype(np.int32) for line in lines]
        cv2.polylines(canvas, drawn, False, shade, thickness, cv2.LINE_AA, 4)


def _dashes(points: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Every other piece of a line."""
    pieces = []
    for first, last in pairwise(points):
        count = int(np.hypot(*(last - first)) / _DASH)
        ends = first + (last - first) * (np.arange(count + 1) / max(count, 1))[:, None]
        pieces += [ends[number : number + 2] for number in range(0, max(count, 1), 2)]
    return [piece for piece in pieces if len(piece) == 2]


def _plain(text: str) -> str:
    simple = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    return (
        "".join(c for c in simple if not unicodedata.combining(c))
        .encode("ascii", "replace")
        .decode("ascii")
    )
