"""Cues to what stands out in a picture, on a grid of 24 × 24 cells, from its colours in CIE Lab.

Each cue is one paper's answer to "is this the background?": the background reaches the border of
the picture without crossing an edge (minimum barrier distance), has the border's colours (border
contrast), and is widely connected to the border (boundary connectivity). None is right alone;
`qualipy_filters_builtin.saliency` weighs them.

References
----------
J. Zhang, S. Sclaroff, Z. Lin, X. Shen, B. Price, R. Měch, "Minimum barrier salient object detection
at 80 FPS", ICCV 2015, doi:10.1109/ICCV.2015.165.

W. Zhu, S. Liang, Y. Wei, J. Sun, "Saliency optimization from robust background detection",
CVPR 2014, doi:10.1109/CVPR.2014.360.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qualipy_core.opencv import cv2

Float = NDArray[np.float32]

GRID = 24
"""Rows and columns of the cues, whatever the shape of the picture."""
CUES = 6
FINE = 2 * GRID
"""Rows and columns of the colours that barriers and contrasts with the border are taken from. Finer
ones gained nothing against object masks, and coarser ones lose small objects."""

_BORDER = 4  # fine cells
_COLOUR_NOISE = 9.0  # squared Lab units added to the border's variances
_COARSE = 16  # rows and columns of the grid on which cells are compared with each other
_SAME_COLOUR = 7.0  # Lab units: what boundary connectivity takes for one surface, after Zhu 2014
_NEAR, _NEARBY, _NEXT = 0.35, 0.4, 0.1  # of the picture's side
_OTHER_COLOUR = 0.02  # how much of its contrast a cell shares with neighbours of other colours
_EVEN_BARRIER = 100.0  # Lab units
_STEPS = 32  # to a Lab unit: barriers are found in 16-bit numbers, in half the time
_LARGE = 144  # pixels: pictures with longer sides are halved first

_axis = (np.arange(_COARSE, dtype=np.float32) + 0.5) / _COARSE
_places = np.stack(np.meshgrid(_axis, _axis, indexing="ij"), axis=2).reshape(-1, 2)
# Cells are compared with every second one, the white cells of a chessboard, which stand for all.
_white = np.flatnonzero(np.indices((_COARSE, _COARSE)).sum(axis=0).ravel() % 2 == 0)
_squares = ((_places[:, None] - _places[_white]) ** 2).sum(axis=2)
_near, _nearby, _next = (
    np.exp(_squares / (-2 * reach**2)).astype(np.float32) for reach in (_NEAR, _NEARBY, _NEXT)
)
_inner = np.zeros((_COARSE, _COARSE), np.bool_)
_inner[1:-1, 1:-1] = True
_all_and_rim = 2 * np.stack([np.ones(len(_white)), ~_inner.ravel()[_white]], axis=1)
_all_and_rim = _all_and_rim.astype(np.float32)
_column = np.ones((FINE, 1), np.uint8)
_together = np.full((1, 3), 1 / _STEPS, np.float32)
_noise = np.diag([0.0, _COLOUR_NOISE, _COLOUR_NOISE, _COLOUR_NOISE]).astype(np.float32)
_logarithms = np.log1p(np.arange(256)).astype(np.float32)


def cues(pixels: NDArray[np.uint8]) -> Float:
    """Return all cues of a picture.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (H, W, 3)
        Red, green, blue; a long side of about 256 pixels.

    Returns
    -------
    ndarray of float32, shape (6, 24, 24)
        Barrier distance (relative, absolute), border contrast, region contrast, probability of
        background by connectivity, sharpness.
    """
    unit = _cells(pixels).astype(np.float32)
    unit *= np.float32(1 / 255)
    lab = np.asarray(cv2.cvtColor(unit, cv2.COLOR_RGB2Lab), dtype=np.float32)
    barrier, border = barrier_distance(lab), border_contrast(lab)
    contrast, background = region_contrast(lab)
    found = np.empty((CUES, GRID, GRID), np.float32)
    found[1] = _halved(barrier)
    np.divide(found[1], max(float(barrier.max()), 1e-3), out=found[0])
    np.minimum(found[1] * np.float32(1 / _EVEN_BARRIER), 2.0, out=found[1])
    found[2] = _halved(_stretched(border))
    found[3] = cv2.resize(contrast, (GRID, GRID))
    found[4] = cv2.resize(background, (GRID, GRID))
    found[5] = _sharpness(pixels)
    return found


def barrier_distance(lab: Float) -> Float:
    """Return the minimum barrier distance to the border, in Lab units, ``(n, n)``.

    The barrier of a path is the range of values along it; the distance is that of the best path
    from the border, summed over L, a and b. Paths are found by sweeping, as in Zhang et al., here
    once from each border, straight inwards: a gradient of morphology whose window ends at the cell.
    """
    size = len(lab)
    steps = (lab * np.float32(_STEPS)).astype(np.int16)
    both = np.concatenate([steps, cv2.transpose(steps)], axis=1)
    from_start, from_end = (
        cv2.morphologyEx(both, cv2.MORPH_GRADIENT, _column[:size], anchor=(0, end))
        for end in (size - 1, 0)
    )
    nearer = cv2.min(from_start, from_end)
    nearest = cv2.min(nearer[:, :size], cv2.transpose(nearer[:, size:]))
    return np.asarray(cv2.transform(nearest.astype(np.float32), _together), dtype=np.float32)


def border_contrast(lab: Float) -> Float:
    """Return how far colours are from those of the four borders, ``(n, n)``.

    For each border the Mahalanobis distance to its colours; the sum of the four less the largest,
    for an object may cover one of them.
    """
    depth, size = _BORDER, len(lab)
    colours = np.ones((4, size, size), np.float32)  # 1, L, a, b
    colours[1:] = lab.transpose(2, 0, 1)
    sides = np.empty((4, 4, depth, size), np.float32)
    sides[0], sides[1] = colours[:, :depth], colours[:, -depth:]
    turned = colours.swapaxes(1, 2)
    sides[2], sides[3] = turned[:, :depth], turned[:, -depth:]
    flat = sides.reshape(4, 4, depth * size)
    moments = flat @ flat.swapaxes(1, 2) / np.float32(depth * size) + _noise
    # With the 1 before the colour, the root of second moments takes off the mean as well.
    whiten = np.linalg.inv(np.linalg.cholesky(moments))[:, 1:]
    white = whiten.reshape(12, 4) @ colours.reshape(4, -1)
    white *= white
    thirds = white.reshape(4, 3, -1)
    distance = thirds[:, 0] + thirds[:, 1]
    distance += thirds[:, 2]
    np.sqrt(distance, out=distance)
    distance /= np.maximum(distance.max(axis=1, keepdims=True), 1)
    result: Float = distance.sum(axis=0) - distance.max(axis=0)
    return result.reshape(size, size)


def region_contrast(lab: Float) -> tuple[Float, Float]:
    """Return optimised contrast with the background, and the probability of being it.

    Two maps ``(16, 16)`` in [0, 1]. Boundary connectivity is the share that a surface has of the
    border over the root of its area; contrast is weighted by it, as in Zhu et al., with cells of a
    grid for superpixels and nearness for geodesic distance. What they then minimise over the
    picture, ``Σ contrast (x - 1)² + Σ background x²``, with x smooth, is here minimised for each
    cell with one x for those next to it of its colour: contrast over contrast and background.
    """
    shape = (_COARSE, _COARSE)
    cells = cv2.resize(lab, shape, interpolation=cv2.INTER_AREA).reshape(-1, 3)
    squares = _squared_distances(np.asarray(cells, dtype=np.float32))
    alike = np.asarray(cv2.exp(squares * np.float32(-0.5 / _SAME_COLOUR**2)), dtype=np.float32)
    area, rim = ((alike * _near) @ _all_and_rim).T
    background = 1 - np.exp(rim * rim / (-2 * area))
    distance = cv2.sqrt(squares)
    distance *= _nearby
    # A row of cells at a time: linear algebra starts threads for larger ones, whose number changes
    # the last bit.
    weighted = distance.reshape(_COARSE, _COARSE, -1) @ background[_white]
    contrast = _stretched(weighted).ravel()
    alike += np.float32(_OTHER_COLOUR)
    alike *= _next
    held = np.array([contrast, contrast + background])[:, _white]
    gained, given = (alike @ held.T).T
    optimised = _stretched(gained / np.maximum(given, 1e-6))
    return optimised.reshape(shape), background.reshape(shape)


def _squared_distances(cells: Float) -> Float:
    """Return |x - y|² of all cells to the white ones: (x, |x|², 1) by (-2y, 1, |y|²)."""
    left, right = np.ones((5, len(cells)), np.float32), np.ones((5, len(_white)), np.float32)
    colours = left[:3]
    np.subtract(cells.T, cells[0][:, None], out=colours)  # small numbers lose less by rounding
    powers = colours * colours
    np.add(powers[0], powers[1], out=left[3])
    np.add(left[3], powers[2], out=left[3])
    np.multiply(colours[:, _white], -2, out=right[:3])
    right[4] = left[3, _white]
    squares: Float = left.T @ right
    return np.abs(squares, out=squares)  # rounding may have left equal colours just below 0


def _sharpness(pixels: NDArray[np.uint8]) -> Float:
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    edges = cv2.convertScaleAbs(cv2.Laplacian(luma, cv2.CV_16S, ksize=1))
    cells = _halved(cv2.LUT(_cells(edges), _logarithms))
    result: Float = cells - cells.sum() / cells.size
    return result


def _cells(pixels: cv2.typing.MatLike) -> NDArray[np.uint8]:
    """Return the mean of each fine cell."""
    height, width = pixels.shape[:2]
    if min(height, width) >= _LARGE:  # halving is quick, and leaves a quarter to the slow averaging
        even = pixels[: height // 2 * 2, : width // 2 * 2]
        pixels = cv2.resize(even, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    fine = cv2.resize(pixels, (FINE, FINE), interpolation=cv2.INTER_AREA)
    return np.asarray(fine, dtype=np.uint8)


def _halved(fine: cv2.typing.MatLike) -> Float:
    half = cv2.resize(fine, (GRID, GRID), interpolation=cv2.INTER_AREA)
    return np.asarray(half, dtype=np.float32)


def _stretched(values: Float) -> Float:
    """Return values moved and scaled to [0, 1]; flat ones become 0."""
    low, high = cv2.minMaxLoc(values)[:2]
    result: Float = (values - low) * np.float32(1 / max(high - low, 1e-3))
    return result
