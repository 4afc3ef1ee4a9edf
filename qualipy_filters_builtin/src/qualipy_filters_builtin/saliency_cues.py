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

import math

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
_LEAST_AREA = np.finfo(np.float32).tiny  # of a surface: a black cell may be like no white one
_OTHER_COLOUR = 0.02  # how much of its contrast a cell shares with neighbours of other colours
_EVEN_BARRIER = 100.0  # Lab units
_STEPS = 32  # to a Lab unit: barriers are found in 16-bit numbers, in half the time
_LARGE = 144  # pixels: pictures with longer sides are halved first

_axis = (np.arange(_COARSE, dtype=np.float32) + 0.5) / _COARSE
_places = np.stack(np.meshgrid(_axis, _axis, indexing="ij"), axis=2).reshape(-1, 2)
# Cells are compared with every second one, the white cells of a chessboard, which stand for all.
# The white ones come first here, then the black ones, so that the white ones are a slice.
_black = np.indices((_COARSE, _COARSE)).sum(axis=0).ravel() % 2
_chess = np.argsort(_black, kind="stable")
_board = np.argsort(_chess, kind="stable")  # back to rows and columns
_WHITE = _COARSE**2 // 2
_squares = ((_places[_chess][:, None] - _places[_chess[:_WHITE]]) ** 2).sum(axis=2)
_near, _nearby, _next = (
    np.exp(_squares / (-2 * reach**2)).astype(np.float32) for reach in (_NEAR, _NEARBY, _NEXT)
)
_rim = ((_places == _axis[0]) | (_places == _axis[-1])).any(axis=1)[_chess[:_WHITE]]
_all_and_rim = 2 * np.stack([np.ones(_WHITE), _rim], axis=1).astype(np.float32)
_spread = -0.5 / _SAME_COLOUR**2
_crossed = np.zeros((5, 5), np.float32)  # (x, |x|², 1) becomes (-2x, 1, |x|²), to be summed
_crossed[[0, 1, 2, 3, 4], [0, 1, 2, 4, 3]] = np.multiply([-2, -2, -2, 1, 1], _spread)
_nearby *= np.float32(math.sqrt(-1 / _spread))
_fine = np.arange(FINE**2).reshape(FINE, FINE)
_sides = np.array(
    [side.ravel() for grid in (_fine, _fine.T) for side in (grid[:_BORDER], grid[-_BORDER:])]
)
_column = np.ones((FINE, 1), np.uint8)
_together = np.full((1, 3), 1 / _STEPS, np.float32)
_units = (np.arange(256) / 255).astype(np.float32)
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
    unit = cv2.LUT(_cells(pixels), _units)
    lab = np.asarray(cv2.cvtColor(unit, cv2.COLOR_RGB2Lab), dtype=np.float32)
    barrier, border = barrier_distance(lab), border_contrast(lab)
    contrast, background = region_contrast(lab)
    found = np.empty((CUES, GRID, GRID), np.float32)
    found[1] = _halved(barrier)
    np.multiply(found[1], 1 / max(cv2.minMaxLoc(barrier)[1], 1e-3), out=found[0])
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
    both = cv2.hconcat([steps, cv2.transpose(steps)])
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
    colours = np.empty((4, FINE, FINE), np.float32)  # 1, L, a, b
    colours[0], colours[1:] = 1, lab.transpose(2, 0, 1)
    flat = colours.reshape(4, -1)
    sides = flat.take(_sides, axis=1).swapaxes(0, 1)
    moments = sides @ sides.swapaxes(1, 2)
    whiten = np.array([_whitening(side) for side in moments.tolist()], np.float32)
    white = whiten.reshape(12, 4) @ flat
    white *= white
    distance = np.add.reduce(white.reshape(4, 3, -1), axis=1)
    np.sqrt(distance, out=distance)
    distance /= np.maximum.reduce(distance, axis=1, keepdims=True, initial=1)
    result: Float = np.add.reduce(distance) - np.maximum.reduce(distance)
    return result.reshape(FINE, FINE)


def _whitening(moments: list[list[float]]) -> list[list[float]]:
    """Return what makes colours (1, L, a, b) uncorrelated, from the sums of their products.

    The inverse of the Cholesky factor of their covariance, with what takes off the mean.
    """
    (count, *means), (_, ll, la, lb), (_, _, aa, ab), (*_, bb) = moments
    mean_l, mean_a, mean_b = (mean / count for mean in means)
    p = 1 / math.sqrt(ll / count - mean_l * mean_l + _COLOUR_NOISE)
    q, r = p * (la / count - mean_l * mean_a), p * (lb / count - mean_l * mean_b)
    s = 1 / math.sqrt(aa / count - mean_a * mean_a + _COLOUR_NOISE - q * q)
    t = s * (ab / count - mean_a * mean_b - q * r)
    u = 1 / math.sqrt(bb / count - mean_b * mean_b + _COLOUR_NOISE - r * r - t * t)
    rows = (p, 0.0, 0.0), (-s * q * p, s, 0.0), (u * (t * s * q - r) * p, -u * t * s, u)
    return [[-(x * mean_l + y * mean_a + z * mean_b), x, y, z] for x, y, z in rows]


def region_contrast(lab: Float) -> tuple[Float, Float]:
    """Return optimised contrast with the background, and the probability of being it.

    Two maps ``(16, 16)`` in [0, 1]. Boundary connectivity is the share that a surface has of the
    border over the root of its area; contrast is weighted by it, as in Zhu et al., with cells of a
    grid for superpixels and nearness for geodesic distance. What they then minimise over the
    picture, ``Σ contrast (x - 1)² + Σ background x²``, with x smooth, is here minimised for each
    cell with one x for those next to it of its colour: contrast over contrast and background.
    """
    cells = np.asarray(cv2.resize(lab, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA))
    exponents = _likeness(cells.reshape(-1, 3).take(_chess, axis=0).astype(np.float32, copy=False))
    alike = np.asarray(cv2.exp(exponents), dtype=np.float32)
    area, rim = ((alike * _near) @ _all_and_rim).T
    np.maximum(area, _LEAST_AREA, out=area)
    background = 1 - np.exp(rim * rim / (-2 * area))
    distance = cv2.sqrt(np.abs(exponents, out=exponents))
    distance *= _nearby
    # A row of cells at a time: linear algebra starts threads for larger ones, whose number changes
    # the last bit.
    weighted = distance.reshape(_COARSE, _COARSE, -1) @ background[:_WHITE]
    contrast = _stretched(weighted).ravel()
    alike += np.float32(_OTHER_COLOUR)
    alike *= _next
    held = np.empty((_WHITE, 2), np.float32)
    held[:, 0] = contrast[:_WHITE]
    np.add(held[:, 0], background[:_WHITE], out=held[:, 1])
    gained, given = (alike @ held).T
    optimised = _stretched(gained / np.maximum(given, np.float32(1e-6)))
    on_board = np.array([optimised, background]).take(_board, axis=1)
    contrast, background = on_board.reshape(2, _COARSE, _COARSE)
    return contrast, background


def _likeness(cells: Float) -> Float:
    """Return ``-|x - y|² / (2 · 7²)`` of all cells x to the white ones y, rounding aside.

    With what is added for each cell as coordinates of its own, it is a product of matrices.
    """
    points = np.empty((5, len(cells)), np.float32)  # x, |x|², 1
    colours = points[:3]
    np.subtract(cells.T, cells[0][:, None], out=colours)  # small numbers lose less by rounding
    np.add.reduce(colours * colours, axis=0, out=points[3])
    points[4] = 1
    exponents: Float = points.T @ (_crossed @ points[:, :_WHITE])
    return exponents


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
    result: Float = values - np.float32(low)
    result *= np.float32(1 / max(high - low, 1e-3))
    return result
