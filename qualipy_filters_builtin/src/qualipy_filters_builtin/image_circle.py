"""The round image of a circular fisheye: plain corners around a disc."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Image, derived
from qualipy_core.opencv import cv2

Mask = NDArray[np.uint8]
Indices = NDArray[np.intp]

SIDE = 160  # long side, in pixels
_TOLERANCE = 14  # grey levels in each channel: what belongs to a corner's plain colour
_CLEAR = 0.5  # of a circle's outline: with less, its radius is in doubt
_NEIGHBOURS = np.ones((3, 3), np.uint8)
_SMALLEST_CORNER = 0.004  # of the picture: a filled corner covers more
_ROUNDS = 6  # of reweighting
_UNLIKE = 2.0  # pixels off the circle at which a point weighs a quarter
_RIDGE = 1e-9  # for points on a line
_TURNS = np.arange(180) * (2 * np.pi / 180)
_PAIRS = np.array([(0, 0, 0, 0, 1, 1, 1, 2, 3), (0, 1, 3, 2, 1, 3, 2, 3, 3)])
"""Of x, y, their squares' sum and 1: whose products' sums are the normal equations'."""
_AROUND = np.stack([np.cos(_TURNS), np.sin(_TURNS)])


class ImageCircle(NamedTuple):
    """How well the plain corners lie around a circle; zeros without plain corners.

    Attributes
    ----------
    overlap : float
        Intersection over union of the plain corners with the outside of the circle, in [0, 1].
    outline : float
        Share of the circle, as far as it lies in the picture, that bounds the corners, in [0, 1].
    radius : float
        In units of half the short side; drawn towards 0 as far as the outline leaves it in doubt,
        for a corner that is just plain, or just not, should change little.
    """

    overlap: float = 0.0
    outline: float = 0.0
    radius: float = 0.0


@dataclass(frozen=True, eq=False)
class Disc:
    """The circle that was fitted, in pixels of a picture with a long side of 160.

    Attributes
    ----------
    plain : ndarray of uint8, shape (H, W)
        1 in the plain corners.
    x, y, radius : float
        Of the circle.
    found : ImageCircle
        How well the two fit.
    """

    plain: Mask
    x: float
    y: float
    radius: float
    found: ImageCircle


def image_circle(image: Image) -> ImageCircle:
    """Look for a disc in a surround of one colour, whichever it is.

    Each corner's colour is flooded inwards; a circle is fitted to the flood's shore (Kåsa 1976,
    doi:10.1109/TIM.1976.6312298, reweighted so that leaks into dark content count little).
    """
    disc = fitted_disc(image)
    return ImageCircle() if disc is None else disc.found


@derived
def fitted_disc(image: Image) -> Disc | None:
    """Return the circle around which plain corners lie; None without plain corners."""
    pixels = image.pixels(SIDE)
    height, width = pixels.shape[:2]
    if min(height, width) < 24:
        return None
    plain, corners = _plain_corners(pixels)
    covered = cv2.countNonZero(plain)
    if corners < 2 or not 0.02 <= covered / plain.size <= 0.85:
        return None
    shore = np.asarray(cv2.dilate(plain, _NEIGHBOURS), dtype=np.uint8)
    shore -= plain
    points = np.flatnonzero(shore.view(np.bool_))
    if len(points) < 30:
        return None
    rows = points // width
    x, y, radius = _fit_circle(points - rows * width, rows)
    across, down = np.arange(width) - x, np.arange(height) - y
    outside = across * across > (radius * radius - down * down)[:, None]
    both = int(np.count_nonzero(outside & plain.view(np.bool_)))
    either = int(np.count_nonzero(outside)) + covered - both
    overlap = both / max(either, 1)
    outline = _outline(shore, x, y, radius)
    sure = min(outline / _CLEAR, 1.0)
    found = ImageCircle(overlap, outline, radius / min(height, width) * 2 * sure)
    return Disc(plain, x, y, radius, found)


def _plain_corners(pixels: NDArray[np.uint8]) -> tuple[Mask, int]:
    """Return the flooded corners (1 inside) and how many corners are plain."""
    height, width = pixels.shape[:2]
    mask = np.zeros((height + 2, width + 2), np.uint8)
    surface = pixels.copy()
    plain = 0
    flags = 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | (1 << 8)
    near = (_TOLERANCE,) * 3
    for x, y in ((0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)):
        if mask[y + 1, x + 1]:  # another corner's flood has come round
            plain += 1
            continue
        area = cv2.floodFill(surface, mask, (x, y), 0, near, near, flags)[0]
        plain += area > _SMALLEST_CORNER * height * width
    return np.ascontiguousarray(mask[1:-1, 1:-1]), plain


def _fit_circle(columns: Indices, rows: Indices) -> tuple[float, float, float]:
    """Return the centre and the radius of the circle through most of the points."""
    count = len(columns)
    mean_x, mean_y = int(columns.sum()) / count, int(rows.sum()) / count
    x, y = columns - mean_x, rows - mean_y
    terms = np.array([x, y, x * x + y * y, np.ones(count)])
    products, weight = terms[_PAIRS[0]] * terms[_PAIRS[1]], terms[3]
    for turn in range(_ROUNDS):
        a, b, c = _solved(np.einsum("pn,n->p", products, weight).tolist())
        centre_x, centre_y = a / 2, b / 2
        radius = math.sqrt(max(c + centre_x * centre_x + centre_y * centre_y, 1.0))
        if turn < _ROUNDS - 1:
            off = np.sqrt((x - centre_x) ** 2 + (y - centre_y) ** 2) - radius
            weight = 1 / (1 + (off * (1 / _UNLIKE)) ** 2) ** 2
    return centre_x + mean_x, centre_y + mean_y, radius


def _solved(sums: list[float]) -> tuple[float, float, float]:
    """Solve ``s = a x + b y + c`` for the least squares, from sums of the points' products."""
    xx, xy, x, xs, yy, y, ys, s, n = sums
    xx, yy = xx - x * x / n + _RIDGE, yy - y * y / n + _RIDGE
    xy, xs, ys = xy - x * y / n, xs - x * s / n, ys - y * s / n
    yy -= xy * xy / xx
    b = (ys - xy * xs / xx) / yy
    a = (xs - xy * b) / xx
    return a, b, (s - a * x - b * y) / n


def _outline(shore: Mask, x: float, y: float, radius: float) -> float:
    """Return the share of the circle, as far as it lies in the picture, that is a shore."""
    height, width = shore.shape
    columns, rows = np.rint(_AROUND * radius + [[x], [y]])
    inside = (columns > 1) & (columns < width - 2) & (rows > 1) & (rows < height - 2)
    count = int(np.count_nonzero(inside))
    if not count:
        return 0.0
    near = cv2.dilate(shore, _NEIGHBOURS)
    seen = near[rows[inside].astype(np.intp), columns[inside].astype(np.intp)]
    return cv2.countNonZero(seen) / (count + 8)
