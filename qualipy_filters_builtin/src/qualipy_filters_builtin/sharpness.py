"""Local sharpness: measurements that the filters for blur share.

A picture is looked at in cells of 16 × 16 pixels at a long side of 512 pixels, so blur is judged
against the size of the picture, as a person does who sees it whole, and a camera file and a small
copy of it agree. Two things are measured in each cell, both relative to the cell's own contrast:

`gradient_tensors`
    how much of the local contrast is in fine detail, octave by octave and in every direction;
`edge_slopes`, `steepest_slopes`
    how steep the steepest edge is against the range of tones around it, the reciprocal of an
    edge's width.

Directions count because a moving camera blurs along its path and leaves edges along it sharp.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Image, derived, gray
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.quantiles import percentiles

CELL = 16
"""The side of a cell in pixels."""
LEVELS = 5
"""Octaves: 1, 2, 4, 8 and 16 pixels, the last being a cell."""
SHARPNESS_SIDE = 512
"""The long side, in pixels, at which sharpness is measured."""
DIRECTIONS = 8
"""Directions looked into, evenly spread over half a turn."""

_SHARPEST = 98.0
"""The percentile of the cells that stands for the sharpest places (tuned: 95 … 99.5 are alike)."""
_ENERGY_FLOOR = 0.25
"""Squared luma levels per pixel: what JPEG leaves of an even area."""
_LEAST_DETAIL = 1e-3
"""What the logarithm of the share of fine detail starts from."""

_SOBEL_SCALE = 0.125  # makes cv2.Sobel the gradient in levels per pixel
_NEIGHBOURS = (3, 3)  # a cell is measured with its eight neighbours: more edges, a steadier number

Floats = NDArray[np.float32]


@derived
def gradient_tensors(image: Image) -> Floats:
    """Return the mean structure tensor of every cell, for each level of a Gaussian pyramid.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    ndarray of float32, shape (LEVELS, 3, rows, columns)
        The means of ``gx²``, ``gx·gy`` and ``gy²`` in squared luma levels per pixel *of the
        level*, over a cell and its neighbours.

    References
    ----------
    Förstner & Gülch 1987, "A fast operator for detection and precise location of distinct points,
    corners and centres of circular features"; Burt & Adelson 1983, doi:10.1109/TCOM.1983.1095851.
    """
    tensors = np.empty_like(cell_tensors(image))
    for wide, narrow in zip(tensors, cell_tensors(image), strict=True):
        for index, mean in enumerate(narrow):
            wide[index] = cv2.blur(mean, _NEIGHBOURS, borderType=cv2.BORDER_REPLICATE)
    return tensors


@derived
def cell_tensors(image: Image) -> Floats:
    """Return the mean structure tensor of every cell by itself, its neighbours left out.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    ndarray of float32, shape (LEVELS, 3, rows, columns)
        As `gradient_tensors`.
    """
    rows, columns = (side // CELL for side in _level(image, 0).shape)
    tensors = np.empty((LEVELS, 3, rows, columns), np.float32)
    for number in range(LEVELS):
        gx, gy = _level_gradients(image, number)
        for index, (a, b) in enumerate(((gx, gx), (gx, gy), (gy, gy))):
            tensors[number, index] = _mean_products(a, b, rows, columns)
    return tensors


@derived
def missing_detail(image: Image) -> NDArray[np.float64]:
    """Return how much fine detail the sharpest places lack, in each direction.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    ndarray of float64, shape (DIRECTIONS,)
        The negative natural logarithm of the gradient energy at one pixel against that at two
        pixels, relative to the contrast of the cell and of the picture; about 0 … 7, rises with
        blur.

    References
    ----------
    That blur takes away the finer octave first: Crete, Dolmiere, Ladret & Nicolas 2007, "The blur
    effect: perception and estimation with a new no-reference perceptual blur metric",
    doi:10.1117/12.702790.
    """
    angles = np.arange(DIRECTIONS) * np.pi / DIRECTIONS
    cos, sin = np.cos(angles), np.sin(angles)
    weights = np.stack([cos * cos, 2 * cos * sin, sin * sin], axis=1).astype(np.float32)
    tensors = gradient_tensors(image)[:2]
    fine, middle = np.maximum(weights @ tensors.reshape(2, 3, -1), 0.0)
    share = fine / (middle + (_ENERGY_FLOOR + float(middle.mean())))
    sharpest = percentiles(share, [_SHARPEST])[:, 0]
    return np.asarray(-np.log(sharpest + _LEAST_DETAIL), dtype=np.float64)


@derived
def edge_slopes(image: Image) -> Floats:
    """Return the steepest gradient of every cell in four directions.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    ndarray of float32, shape (4, rows, columns)
        Luma levels per pixel in the directions 0°, 45°, 90° and 135°, the largest in a cell and
        its neighbours.
    """
    return np.stack([_grow(slopes) for slopes in _cell_slopes(image, 0)])


@derived
def steepest_slopes(image: Image, octave: int) -> Floats:
    """Return the steepest gradient of every cell in any of the four directions, neighbours apart.

    Parameters
    ----------
    image : Image
        The picture.
    octave : int
        Which level of the Gaussian pyramid, 0 … LEVELS - 1. A step is as steep per pixel on the
        next one, and a wide edge is twice as steep there.

    Returns
    -------
    ndarray of float32, shape (rows, columns)
        Luma levels per pixel *of the octave*.
    """
    return np.asarray(_cell_slopes(image, octave).max(axis=0), dtype=np.float32)


@derived
def mean_tones(image: Image) -> Floats:
    """Return the mean luma of every cell.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    ndarray of float32, shape (rows, columns)
        Luma levels, 0 … 255.
    """
    luma = _level(image, 0)
    cells = (luma.shape[1] // CELL, luma.shape[0] // CELL)
    return np.asarray(cv2.resize(luma, cells, interpolation=cv2.INTER_AREA), dtype=np.float32)


@derived
def tone_ranges(image: Image) -> Floats:
    """Return the range of tones in every cell and its neighbours.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    ndarray of float32, shape (rows, columns)
        Luma levels, 0 … 255.
    """
    luma = _whole_cells(image)
    high = _grow(_pooled(luma, np.maximum))
    low = _grow(-_pooled(luma, np.minimum))
    return high + low


@derived
def _cell_slopes(image: Image, octave: int) -> Floats:
    """The steepest gradients of the cells in four directions, (4, rows, columns)."""
    gx, gy = _level_gradients(image, octave)
    side = CELL >> octave
    upright, rising, level, falling = (
        _pooled(np.abs(slope), np.maximum, side) for slope in (gx, gx + gy, gy, gy - gx)
    )
    diagonal = np.float32(np.sqrt(0.5))
    return np.stack([upright, rising * diagonal, level, falling * diagonal])


@derived
def _level_gradients(image: Image, number: int) -> tuple[Floats, Floats]:
    """The derivatives along x and along y, in luma levels per pixel of the level."""
    depth = cv2.CV_16S if number == 0 else cv2.CV_32F  # whole numbers are quicker and as exact
    level = _whole_cells(image) if number == 0 else _level(image, number)
    along_x, along_y = cv2.Sobel(level, depth, 1, 0), cv2.Sobel(level, depth, 0, 1)
    scale = np.float32(_SOBEL_SCALE)
    return np.asarray(along_x * scale), np.asarray(along_y * scale)


@derived
def _level(image: Image, number: int) -> Floats:
    """A level of the Gaussian pyramid; the first is the luma."""
    if number == 0:
        return _whole_cells(image).astype(np.float32)
    return np.asarray(cv2.pyrDown(_level(image, number - 1)), dtype=np.float32)


def _whole_cells(image: Image) -> NDArray[np.uint8]:
    """The luma, its last rows and columns repeated until whole cells cover it."""
    luma = gray(image, SHARPNESS_SIDE)
    below, right = -luma.shape[0] % CELL, -luma.shape[1] % CELL
    if not (below or right):
        return luma
    padded = cv2.copyMakeBorder(luma, 0, below, 0, right, cv2.BORDER_REPLICATE)
    return np.asarray(padded, dtype=np.uint8)


def _mean_products(one: Floats, other: Floats, rows: int, columns: int) -> Floats:
    """The means over the cells of the product of two pictures; first down the columns."""
    shape = (rows, len(one) // rows, one.shape[1])
    strips = np.einsum("ryx,ryx->rx", one.reshape(shape), other.reshape(shape))
    means: Floats = strips.reshape(rows, columns, -1).sum(axis=2) / np.float32(
        one.size / rows / columns
    )
    return means


def _pooled(pixels: NDArray[np.generic], extreme: np.ufunc, side: int = CELL) -> Floats:
    """The extreme of every cell; first down the columns, where memory is contiguous."""
    height, width = pixels.shape
    rows = extreme.reduce(pixels.reshape(height // side, side, width), axis=1)
    cells = extreme.reduce(rows.reshape(height // side, width // side, side), axis=2)
    return np.asarray(cells, dtype=np.float32)


def _grow(cells: Floats) -> Floats:
    grown = cv2.dilate(cells, np.ones(_NEIGHBOURS, np.uint8), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(grown, dtype=np.float32)
