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
_inner = np.zeros((_COARSE, _COARSE), np.bool_)
_inner[1:-1, 1:-1] = True
_rim = np.flatnonzero(~_inner)
_down, _right = np.meshgrid(*(np.linspace(-0.5, 0.5, GRID, dtype=np.float32),) * 2, indexing="ij")
_position = (4 * _right**2, 4 * _down**2, 2 * _down)
_parity = np.indices((_COARSE, _COARSE)).sum(axis=0).ravel() % 2
_white, _black = np.flatnonzero(_parity == 0), np.flatnonzero(_parity == 1)


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
    stack = [
        _stretched(barrier),
        np.minimum(barrier / _EVEN_BARRIER, 2.0),
        _stretched(border_contrast(lab)),
        cv2.resize(contrast, (GRID, GRID)),
        cv2.resize(unconnected, (GRID, GRID)),
        _sharpness(pixels),
        *_position,
        lab[:, :, 0] / 50 - 1,
        lab[:, :, 1] / 40,
        lab[:, :, 2] / 40,
    ]
    return np.stack(stack, axis=2).astype(np.float32, copy=False)


def barrier_distance(lab: Float) -> Float:
    """Return the minimum barrier distance to the border, in Lab units, ``(n, n)``.

    The barrier of a path is the range of values along it; the distance is that of the best path
    from the border, summed over L, a and b. Paths are found by sweeping, as in Zhang et al., here
    once from each border, straight inwards.
    """
    turned = lab.swapaxes(0, 1)
    values = np.stack([lab, lab[::-1], turned, turned[::-1]], axis=1)  # rows, sweeps, columns, Lab
    distance = np.maximum.accumulate(values, axis=0)
    distance -= np.minimum.accumulate(values, axis=0)
    upright = np.minimum(distance[:, 0], distance[::-1, 1])
    sideways = np.minimum(distance[:, 2], distance[::-1, 3]).swapaxes(0, 1)
    nearest = np.minimum(upright, sideways)
    result: Float = nearest[:, :, 0] + nearest[:, :, 1] + nearest[:, :, 2]
    return result


def border_contrast(lab: Float) -> Float:
    """Return how far colours are from those of the four borders, ``(n, n)``.

    For each border the Mahalanobis distance to its colours; the sum of the four less the largest,
    for an object may cover one of them.
    """
    depth, size = _BORDER, len(lab)
    turned = lab.swapaxes(0, 1)
    sides = np.stack([lab[:depth], lab[-depth:], turned[:depth], turned[-depth:]])
    colours = sides.reshape(4, depth * size, 3)
    mean = colours.mean(axis=1, keepdims=True)
    offsets = colours - mean
    spread = offsets.swapaxes(1, 2) @ offsets / np.float32(depth * size)
    spread += _COLOUR_NOISE * np.eye(3, dtype=np.float32)
    away = lab.reshape(-1, 3).T - mean.swapaxes(1, 2)  # sides, Lab, cells
    squares = ((np.linalg.inv(spread) @ away) * away).sum(axis=1)
    distance = np.sqrt(np.maximum(squares, 0))
    distance /= np.maximum(distance.max(axis=1, keepdims=True), 1)
    result: Float = (distance.sum(axis=0) - distance.max(axis=0)).astype(np.float32)
    return result.reshape(size, size)


def region_contrast(lab: Float) -> tuple[Float, Float]:
    """Return optimised contrast with the background, and the probability of not being it.

    Two maps ``(16, 16)`` in [0, 1]. Boundary connectivity is the share that a surface has of the
    border over the root of its area; contrast is weighted by it and made smooth by least squares,
    as in Zhu et al., with cells of a grid for superpixels and nearness for geodesic distance.
    """
    cells = cv2.resize(lab, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA).reshape(-1, 3)
    light, red, blue = (channel[:, None] - channel for channel in cells.T)
    squares = light * light + red * red + blue * blue
    alike = np.exp(squares * (-0.5 / _SAME_COLOUR**2))
    surface = alike * _near
    connectivity = surface[:, _rim].sum(axis=1) / np.sqrt(surface.sum(axis=1))
    background = 1 - np.exp(-(connectivity**2) / 2)
    # Not `@`: BLAS starts threads for it, whose number changes the last bit.
    contrast = _stretched(np.einsum("ij,j->i", np.sqrt(squares) * _nearby, background))
    smooth = (alike + 0.1) * _adjacent
    optimised = _stretched(_smoothed(contrast, smooth, background + contrast))
    shape = (_COARSE, _COARSE)
    return optimised.reshape(shape), background.astype(np.float32).reshape(shape)


def _smoothed(target: Float, smooth: Float, hold: Float) -> Float:
    """Return x that minimises ``Σ smooth (xᵢ - xⱼ)² + Σ hold xᵢ² - 2 Σ target xᵢ``.

    Cells are coloured like a chessboard. White ones have black neighbours alone, so the black ones
    follow from them, and half of the equations are left to solve.
    """
    diagonal = smooth.sum(axis=1) + hold
    between = smooth[_white[:, None], _black]
    share = between / diagonal[_black]
    # In lots, for which linear algebra starts no threads.
    system = -(share.reshape(_COARSE, -1, len(_black)) @ between.T).reshape(between.shape)
    system.ravel()[:: len(_white) + 1] += diagonal[_white]
    found = np.empty_like(target)
    known = target[_white] + (share * target[_black]).sum(axis=1)
    found[_white] = _solved(system, known)
    mean = (between * found[_white][:, None]).sum(axis=0)
    found[_black] = (target[_black] + mean) / diagonal[_black]
    return found


def _solved(system: Float, known: Float) -> Float:
    """Return x with ``system x = known``, for a symmetric, diagonally dominant system.

    Conjugate gradients (Hestenes & Stiefel 1952, doi:10.6028/jres.049.044) rather than a library's
    factorisation, which starts threads: their number changes the last bit, and on a busy machine
    they wait for each other a hundred times as long as the work takes.
    """
    matrix = system.astype(np.float64)
    diagonal = matrix.diagonal()
    x = known / diagonal
    rest = known - np.einsum("ij,j->i", matrix, x)
    enough = 1e-7 * float(np.abs(known).max())
    direction, product = np.zeros_like(rest), 1.0
    for _ in range(len(known)):
        if float(np.abs(rest).max()) <= enough:
            break
        scaled = rest / diagonal
        before, product = product, float((rest * scaled).sum())
        direction = scaled + product / before * direction
        image = np.einsum("ij,j->i", matrix, direction)
        step = product / float((direction * image).sum())
        x = x + step * direction
        rest = rest - step * image
    return x.astype(np.float32)


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
