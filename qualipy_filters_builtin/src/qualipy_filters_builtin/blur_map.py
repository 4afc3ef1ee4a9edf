"""A map of blur: how wide the edges of every part of a picture are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Image, gray
from qualipy_core.explanation import HeatMap
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.sharpness import CELL, SHARPNESS_SIDE

STEP_SLOPE = 0.5
"""The slope of a sharp step; other edges are as many pixels wide as theirs is less."""
_SHARP, _BLURRED = 2.0, 10.0
"""Widths of edges, in pixels at a long side of 512, that end the map's scale (half of the cells of
sharp photos are narrower, of photos blurred all over wider than 7)."""
_EVEN_RANGE = 24.0
"""Luma levels at which a cell is half as much to go by as one of full contrast."""


def blur_map(image: Image, slopes: NDArray[Any], ranges: NDArray[np.float32]) -> HeatMap:
    """Return where edges are narrow and where they are wide.

    Parameters
    ----------
    image : Image
        The picture.
    slopes : ndarray of float, shape (4, rows, columns)
        The steepest slope of every cell against its range of tones, in four directions.
    ranges : ndarray of float32, shape (rows, columns)
        The ranges of tones.
    """
    widths = STEP_SLOPE / np.maximum(slopes.mean(axis=0), 1e-3)
    blur = np.log(widths / _SHARP) / np.log(_BLURRED / _SHARP)
    return HeatMap(
        _uncovered(np.clip(blur, 0, 1), image),
        "blur: the width of edges",
        low=f"sharp, {_SHARP:.0f} px",
        high=f"blurred, {_BLURRED:.0f} px",
        weight=_uncovered(ranges**2 / (ranges**2 + _EVEN_RANGE**2), image),
    )


def _uncovered(cells: NDArray[Any], image: Image) -> NDArray[np.float32]:
    """The cells as far as they lie in the picture: the last ones may reach beyond it."""
    height, width = gray(image, SHARPNESS_SIDE).shape
    rows, columns = cells.shape
    fine = CELL // 4  # parts of a cell
    grid = cv2.resize(
        cells.astype(np.float32),
        (columns * fine, rows * fine),
        interpolation=cv2.INTER_NEAREST,
    )
    kept = grid[: max(1, round(height / 4)), : max(1, round(width / 4))]
    return np.asarray(kept, dtype=np.float32)
