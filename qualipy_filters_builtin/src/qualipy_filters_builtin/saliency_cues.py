"""Cues to what stands out in a picture, on a grid of 48 × 48 cells in CIE Lab.

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

GRID = 48
"""Rows and columns of the grid. Finer grids gained nothing against object masks (F-beta 0.79 at
48, 0.78 at 64, 0.77 at 96 for the barrier distance alone)."""
CUES = 12

_BORDER = 4  # cells
_COLOUR_NOISE = 9.0  # squared Lab units added to the border's variances
_COARSE = 16  # rows and columns of the grid on which connectivity is computed
_SAME_COLOUR = 7.0  # Lab units: what boundary connectivity takes for one surface, after Zhu 2014
_NEAR, _NEARBY = 0.35, 0.4  # of the picture's side
_EVEN_BARRIER = 100.0  # Lab units

_axis = (np.arange(_COARSE, dtype=np.float32) + 0.5) / _COARSE
_places = np.stack(np.meshgrid(_axis, _axis, indexing="ij"), axis=2).reshape(-1, 2)
_steps = np.abs(_places[:, None] - _places[None])
_squares = (_steps**2).sum(axis=2)
_near = np.exp(-_squares / (2 * _NEAR**2))
_nearby = np.exp(-_squares / (2 * _NEARBY**2))
_adjacent = (np.round(_steps.sum(axis=2) * _COARSE) == 1).astype(np.float32)
_rim = np.ones((_COARSE, _COARSE), np.float32)
_rim[1:-1, 1:-1] = 0


def cues(pixels: NDArray[np.uint8]) -> Float:
    """Return all cues of a picture.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (H, W, 3)
        Red, green, blue; a long side of about 256 pixels.

    Returns
    -------
    ndarray of float32, shape (48, 48, 12)
        Barrier distance (relative, absolute), border contrast, region contrast, probability of
        object by connectivity, sharpness, squared distances from the middle, height, and L, a, b.
    """
    small = cv2.resize(pixels, (GRID, GRID), interpolation=cv2.INTER_AREA)
    unit = small.astype(np.float32) * np.float32(1 / 255)
    lab: Float = cv2.cvtColor(unit, cv2.COLOR_RGB2Lab).astype(np.float32, copy=False)
    barrier = barrier_distance(lab)
    contrast, unconnected = region_contrast(lab)
    down, right = np.meshgrid(*(np.linspace(-0.5, 0.5, GRID, dtype=np.float32),) * 2, indexing="ij")
    stack = [
        _stretched(barrier),
        np.minimum(barrier / _EVEN_BARRIER, 2.0),
        _stretched(border_contrast(lab)),
        cv2.resize(contrast, (GRID, GRID)),
        cv2.resize(unconnected, (GRID, GRID)),
        _sharpness(pixels),
        4 * right**2,
        4 * down**2,
        2 * down,
        lab[:, :, 0] / 50 - 1,
        lab[:, :, 1] / 40,
        lab[:, :, 2] / 40,
    ]
    return np.stack(stack, axis=2).astype(np.float32, copy=False)


def barrier_distance(lab: Float) -> Float:
    """Return the minimum barrier distance to the border, in Lab units, ``(n, n)``.

    The barrier of a path is the range of values along it; the distance is that of the best path
    from the border, summed over L, a and b. As in Zhang et al. paths are found by sweeping, here
    in four directions at once, each sweep a row at a time.
    """
    turned = lab.swapaxes(0, 1)
    values = np.stack([lab, lab[::-1], turned, turned[::-1]], axis=1)  # rows, sweeps, columns, Lab
    distance = np.full(values.shape, np.inf, np.float32)
    distance[0] = distance[-1] = 0
    distance[:, :, 0] = distance[:, :, -1] = 0
    highest, lowest = values.copy(), values.copy()
    for row in range(1, len(values)):
        high = np.maximum(highest[row - 1], values[row])
        low = np.minimum(lowest[row - 1], values[row])
        barrier = high - low
        better = barrier < distance[row]
        np.copyto(distance[row], barrier, where=better)
        np.copyto(highest[row], high, where=better)
        np.copyto(lowest[row], low, where=better)
    upright = np.minimum(distance[:, 0], distance[::-1, 1])
    sideways = np.minimum(distance[:, 2], distance[::-1, 3]).swapaxes(0, 1)
    result: Float = np.minimum(upright, sideways).sum(axis=2)
    return result


def border_contrast(lab: Float) -> Float:
    """Return how far colours are from those of the four borders, ``(n, n)``.

    For each border the Mahalanobis distance to its colours; the sum of the four less the largest,
    for an object may cover one of them.
    """
    depth = _BORDER
    sides = (lab[:depth], lab[-depth:], lab[:, :depth], lab[:, -depth:])
    maps = []
    for side in sides:
        colours = side.reshape(-1, 3)
        mean = colours.mean(axis=0)
        offsets = colours - mean
        spread = offsets.T @ offsets / len(colours) + _COLOUR_NOISE * np.eye(3, dtype=np.float32)
        away = (lab - mean).reshape(-1, 3)
        squares = ((away @ np.linalg.inv(spread)) * away).sum(axis=1)
        distance = np.sqrt(np.maximum(squares, 0)).reshape(lab.shape[:2])
        maps.append(distance / max(float(distance.max()), 1.0))
    stack = np.stack(maps)
    result: Float = (stack.sum(axis=0) - stack.max(axis=0)).astype(np.float32)
    return result


def region_contrast(lab: Float) -> tuple[Float, Float]:
    """Return optimised contrast with the background, and the probability of not being it.

    Two maps ``(16, 16)`` in [0, 1]. Boundary connectivity is the share that a surface has of the
    border over the root of its area; contrast is weighted by it and made smooth by least squares,
    as in Zhu et al., with cells of a grid for superpixels and nearness for geodesic distance.
    """
    cells = cv2.resize(lab, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA).reshape(-1, 3)
    norms = (cells * cells).sum(axis=1)
    squares = np.maximum(norms[:, None] + norms[None] - 2 * cells @ cells.T, 0)
    alike = np.exp(-squares / (2 * _SAME_COLOUR**2))
    surface = alike * _near
    connectivity = (surface @ _rim.ravel()) / np.sqrt(surface.sum(axis=1))
    background = 1 - np.exp(-(connectivity**2) / 2)
    contrast = _stretched((np.sqrt(squares) * _nearby) @ background)
    smooth = (alike + 0.1) * _adjacent
    system = np.diag(smooth.sum(axis=1) + background + contrast) - smooth
    optimised = _stretched(np.linalg.solve(system, contrast))
    shape = (_COARSE, _COARSE)
    return optimised.reshape(shape), background.astype(np.float32).reshape(shape)


def _sharpness(pixels: NDArray[np.uint8]) -> Float:
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    edges = cv2.convertScaleAbs(cv2.Laplacian(luma, cv2.CV_16S, ksize=1))
    cells = cv2.resize(edges, (GRID, GRID), interpolation=cv2.INTER_AREA).astype(np.float32)
    logarithm = np.log1p(cells)
    result: Float = logarithm - logarithm.mean()
    return result


def _stretched(values: NDArray[np.floating]) -> Float:
    """Return values moved and scaled to [0, 1]; flat ones become 0."""
    lifted = values - values.min()
    result: Float = (lifted / max(float(lifted.max()), 1e-3)).astype(np.float32)
    return result
