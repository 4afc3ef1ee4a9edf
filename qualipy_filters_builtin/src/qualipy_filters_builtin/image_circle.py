"""The round image of a circular fisheye: plain corners around a disc."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Image, derived
from qualipy_core.opencv import cv2

Floats = NDArray[np.float64]
Mask = NDArray[np.uint8]

SIDE = 160  # long side, in pixels
_TOLERANCE = 14  # grey levels in each channel: what belongs to a corner's plain colour
_NEIGHBOURS = np.ones((3, 3), np.uint8)
_SMALLEST_CORNER = 0.004  # of the picture: a filled corner covers more


@dataclass(frozen=True)
class ImageCircle:
    """How well the plain corners lie around a circle; zeros without plain corners.

    Attributes
    ----------
    overlap : float
        Intersection over union of the plain corners with the outside of the circle, in [0, 1].
    outline : float
        Share of the circle, as far as it lies in the picture, that bounds the corners, in [0, 1].
    radius : float
        In units of half the short side.
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
    share = cv2.countNonZero(plain) / plain.size
    if corners < 2 or not 0.02 <= share <= 0.85:
        return None
    shore = np.asarray(cv2.dilate(plain, _NEIGHBOURS), dtype=np.uint8) - plain
    if cv2.countNonZero(shore) < 30:
        return None
    columns, rows = cv2.findNonZero(shore).reshape(-1, 2).T.astype(np.float64)
    x, y, radius = _fit_circle(columns, rows)
    across = np.arange(width) - x
    down = (np.arange(height) - y)[:, None]
    outside = across**2 + down**2 > radius**2
    filled = plain > 0
    either = int(np.count_nonzero(outside | filled))
    overlap = int(np.count_nonzero(outside & filled)) / max(either, 1)
    outline = _outline(shore, x, y, radius)
    return Disc(plain, x, y, radius, ImageCircle(overlap, outline, radius / min(height, width) * 2))


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


def _fit_circle(columns: Floats, rows: Floats) -> tuple[float, float, float]:
    """Return the centre and the radius of the circle through most of the points."""
    mean_x, mean_y = columns.mean(), rows.mean()
    x, y = columns - mean_x, rows - mean_y
    design = np.column_stack([x, y, np.ones_like(x)])
    squares = x * x + y * y
    ridge = np.eye(3) * 1e-9  # for points on a line
    weight = np.ones_like(x)
    for _ in range(6):
        weighted = design.T * weight**2
        a, b, c = np.linalg.solve(weighted @ design + ridge, weighted @ squares)
        radius = float(np.sqrt(max(c + (a * a + b * b) / 4, 1.0)))
        off = np.hypot(x - a / 2, y - b / 2) - radius
        weight = 1 / (1 + (off / 2) ** 2)
    return float(a / 2 + mean_x), float(b / 2 + mean_y), radius


def _outline(shore: Mask, x: float, y: float, radius: float) -> float:
    angle = np.arange(180) * (2 * np.pi / 180)
    columns = np.round(x + radius * np.cos(angle)).astype(int)
    rows = np.round(y + radius * np.sin(angle)).astype(int)
    height, width = shore.shape
    inside = (columns > 1) & (columns < width - 2) & (rows > 1) & (rows < height - 2)
    if not inside.any():
        return 0.0
    near = cv2.dilate(shore, _NEIGHBOURS)
    return float(near[rows[inside], columns[inside]].sum() / (inside.sum() + 8))
