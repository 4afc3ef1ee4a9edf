"""Local sharpness: measurements that the filters for blur share.

A picture is looked at in cells of 16 × 16 pixels at a long side of 512 pixels, so blur is judged
against the size of the picture, as a person does who sees it whole, and a camera file and a small
copy of it agree. Two things are measured in each cell, both relative to the cell's own contrast:

`cell_tensors`, `gradient_tensors`, `cell_energies`
    how much of the local contrast is in fine detail, octave by octave and in every direction;
`edge_slopes`, `steepest_slopes`
    how steep the steepest edge is against the range of tones around it, the reciprocal of an
    edge's width.

Directions count because a moving camera blurs along its path and leaves edges along it sharp.

Pixels and gradients are whole numbers of 16 bits: half the memory of floating-point ones, which is
what the time goes into, and exact. Only what is summed over a cell is floating-point.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Image, derived, gray
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.quantiles import percentiles

CELL = 16
"""The side of a cell in pixels."""
LEVELS = 5
"""Octaves: 1, 2, 4, 8 and 16 pixels, the last being a cell."""
DIRECTED, SLOPED = 2, 3
"""Octaves, the finest ones, of which directions are told apart, and of which slopes are known."""
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

_SOBEL_GAIN = 8  # a Sobel operator's answer to one luma level per pixel
_FRACTIONS = 3  # bits behind the point in the coarser octaves; a gradient still fits 16 bits
_NEIGHBOURS = np.ones((3, 3), np.uint8)  # a cell with these: more edges, a steadier number
_BORDER: dict[str, Any] = {"borderType": cv2.BORDER_REPLICATE}
_mean = partial(cv2.blur, ksize=_NEIGHBOURS.shape, **_BORDER)
_largest = partial(cv2.dilate, kernel=_NEIGHBOURS, **_BORDER)

Floats = NDArray[np.float32]
Shorts = NDArray[np.int16]


def gradient_tensors(image: Image) -> Floats:
    """Return the mean structure tensor of every cell and its neighbours, in the finest octaves.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    ndarray of float32, shape (DIRECTED, 3, rows, columns)
        The means of ``gx²``, ``gx·gy`` and ``gy²`` in squared luma levels per pixel *of the
        octave*, over a cell and its neighbours.

    References
    ----------
    Förstner & Gülch 1987, "A fast operator for detection and precise location of distinct points,
    corners and centres of circular features"; Burt & Adelson 1983, doi:10.1109/TCOM.1983.1095851.
    """
    tensors = cell_tensors(image)
    return with_neighbours(tensors.reshape(-1, *tensors.shape[2:])).reshape(tensors.shape)


@derived
def cell_tensors(image: Image) -> Floats:
    """Return the mean structure tensor of every cell by itself, its neighbours left out.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    ndarray of float32, shape (DIRECTED, 3, rows, columns)
        As `gradient_tensors`.
    """
    return np.stack([_cell_tensor(image, octave) for octave in range(DIRECTED)])


def _cell_tensor(image: Image, octave: int) -> Floats:
    along_x, along_y = _in_cells(_gradients(image, octave), octave).astype(np.float32)
    sums = np.empty((3, len(along_x), along_x.shape[2]), np.float32)
    np.einsum("ryx,ryx->rx", along_x, along_x, out=sums[0])
    np.einsum("ryx,ryx->rx", along_x, along_y, out=sums[1])
    np.einsum("ryx,ryx->rx", along_y, along_y, out=sums[2])
    return _cell_means(sums, octave)


@derived
def cell_energies(image: Image) -> Floats:
    """Return the mean squared gradient of every cell by itself, octave by octave.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    ndarray of float32, shape (LEVELS, rows, columns)
        Squared luma levels per pixel *of the octave*.
    """
    tensors = cell_tensors(image)
    energies = np.empty((LEVELS, *tensors.shape[2:]), np.float32)
    np.add(tensors[:, 0], tensors[:, 2], out=energies[:DIRECTED])
    for octave in range(DIRECTED, LEVELS):
        gradient = _in_cells(_gradients(image, octave), octave).astype(np.float32)
        sums = np.einsum("dryx,dryx->rx", gradient, gradient)
        energies[octave] = _cell_means(sums[None], octave)[0]
    return energies


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
    tensors = gradient_tensors(image)
    cells = tensors.reshape(DIRECTED, 3, -1)
    fine, middle = np.einsum("dt,otc->odc", _directions(), cells)
    share = fine / (middle + np.float32(_ENERGY_FLOOR + cv2.mean(middle)[0]))
    sharpest = percentiles(share, [_SHARPEST])[:, 0]
    return np.asarray(-np.log(sharpest + _LEAST_DETAIL), dtype=np.float64)


@cache
def _directions() -> Floats:
    """What weighs a structure tensor's three parts to give the energy in each direction."""
    angles = np.arange(DIRECTIONS) * np.pi / DIRECTIONS
    cos, sin = np.cos(angles), np.sin(angles)
    return np.stack([cos * cos, 2 * cos * sin, sin * sin], axis=1).astype(np.float32)


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
    return np.asarray(_extremes_around(image)[:4] * _units(0))


def relative_slopes(image: Image, floor: float, share: float) -> Floats:
    """Return the steepest slopes of every cell against its range of tones, by direction.

    Parameters
    ----------
    image : Image
        The picture.
    floor : float
        Luma levels that are added to the range: a smaller one says little about sharpness.
    share : float
        The share of the mean range that is added as well, so that contrast cancels.

    Returns
    -------
    ndarray of float32, shape (4, rows, columns)
        The slopes of `edge_slopes` over those ranges; a sharp step has 0.5, less what is added.
    """
    ranges = tone_ranges(image)
    added = np.float32(floor + share * cv2.mean(ranges)[0])
    return np.asarray(edge_slopes(image) / (ranges + added))


@derived
def steepest_slopes(image: Image) -> Floats:
    """Return the steepest gradient of every cell in any of the four directions, neighbours apart.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    ndarray of float32, shape (SLOPED, rows, columns)
        Luma levels per pixel *of the octave*. A step is as steep per pixel on the next one, and a
        wide edge is twice as steep there.
    """
    coarser = [_across(_steepest(image, octave), octave) for octave in range(1, SLOPED)]
    units = np.stack([_units(octave) for octave in range(SLOPED)])
    return np.asarray((np.stack([_extremes(image)[:4], *coarser]) * units).max(axis=1))


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
    small = _octave(image, 2)  # means of means, at less cost
    cells = (small.shape[1] * 4 // CELL, small.shape[0] * 4 // CELL)
    means = cv2.resize(small.astype(np.float32), cells, interpolation=cv2.INTER_AREA)
    return np.asarray(means / np.float32(1 << _FRACTIONS))


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
    _, _, _, _, lightest, darkest = _extremes_around(image)
    return np.asarray(np.add(lightest, darkest, dtype=np.float32))


@derived
def _extremes_around(image: Image) -> Shorts:
    """The largest in every cell and its neighbours of what `_extremes` holds."""
    return _with_neighbours(_largest, _extremes(image))


@derived
def _extremes(image: Image) -> Shorts:
    """The steepest slopes of every cell, its lightest tone, and its darkest, negative.

    The slopes as `_steepest` has them; (6, rows, columns).
    """
    luma = _whole_cells(image)
    strips = luma.reshape(-1, CELL, luma.shape[1])
    columns = np.empty((6, len(strips), luma.shape[1]), np.int16)
    _steepest(image, 0, out=columns[:4])
    columns[4] = np.maximum.reduce(strips, axis=1)
    np.negative(np.minimum.reduce(strips, axis=1), out=columns[5], dtype=np.int16)
    return _across(columns, 0)


def _steepest(image: Image, octave: int, out: Shorts | None = None) -> Shorts:
    """The steepest slope in the columns of every cell, (4, rows, width).

    At 0°, 45°, 90° and 135°, in units of `_units`.
    """
    along_x, along_y = gradient = _gradients(image, octave)
    slopes = np.empty((4, *along_x.shape), np.int16)
    np.abs(gradient, out=slopes[::2])
    np.add(along_x, along_y, out=slopes[1])
    np.abs(slopes[1], out=slopes[1])
    cv2.absdiff(along_x, along_y, slopes[3])
    return np.maximum.reduce(_in_cells(slopes, octave), axis=2, out=out)


@cache
def _units(octave: int) -> Floats:
    """What makes slopes in four directions levels per pixel."""
    diagonal = np.sqrt(0.5)
    units = np.array([1, diagonal, 1, diagonal]) / _gain(octave)
    return units.astype(np.float32).reshape(4, 1, 1)


@derived
def _gradients(image: Image, octave: int) -> Shorts:
    """The derivatives along x and along y, in levels per pixel of the octave times `_gain`."""
    if octave == 0:
        pixels: NDArray[Any] = _whole_cells(image)
        gradient = np.empty((2, *pixels.shape), np.int16)
        cv2.spatialGradient(pixels, gradient[0], gradient[1])
    else:
        pixels = _octave(image, octave)
        gradient = np.empty((2, *pixels.shape), np.int16)
        cv2.Sobel(pixels, cv2.CV_16S, 1, 0, gradient[0])
        cv2.Sobel(pixels, cv2.CV_16S, 0, 1, gradient[1])
    return gradient


def _in_cells(maps: Shorts, octave: int) -> Shorts:
    """Maps of an octave ``(maps, height, width)`` as ``(maps, rows, side of a cell, width)``.

    Down the columns of cells is where to go first: there memory is contiguous.
    """
    count, _, width = maps.shape
    return maps.reshape(count, -1, CELL >> octave, width)


def _gain(octave: int) -> int:
    return _SOBEL_GAIN << (_FRACTIONS if octave else 0)


@derived
def _octave(image: Image, number: int) -> Shorts:
    """A level of the Gaussian pyramid but the first, in eighths of luma levels."""
    if number == 1:
        finer: Shorts = _whole_cells(image).astype(np.int16)
        finer *= 1 << _FRACTIONS
    else:
        finer = _octave(image, number - 1)
    return cv2.pyrDown(finer).astype(np.int16, copy=False)


@derived
def _whole_cells(image: Image) -> NDArray[np.uint8]:
    """The luma, its last rows and columns repeated until whole cells cover it."""
    luma = gray(image, SHARPNESS_SIDE)
    below, right = -luma.shape[0] % CELL, -luma.shape[1] % CELL
    if not (below or right):
        return luma
    padded = cv2.copyMakeBorder(luma, 0, below, 0, right, cv2.BORDER_REPLICATE)
    return np.asarray(padded, dtype=np.uint8)


def _cell_means(sums: Floats, octave: int) -> Floats:
    """The means over cells of squared derivatives that are summed down their columns."""
    side = CELL >> octave
    total = cv2.reduce(sums.reshape(-1, side), 1, cv2.REDUCE_SUM)
    scale = np.float32(1 / (side * _gain(octave)) ** 2)
    return np.asarray(total.reshape(*sums.shape[:2], -1) * scale)


def _across(strips: Shorts, octave: int) -> Shorts:
    """The largest of every cell, of maps that hold those of its columns, (maps, rows, width).

    Along columns again, of the transposed maps: within rows that short it would take thrice as
    long.
    """
    count, rows, width = strips.shape
    turned = cv2.transpose(strips.reshape(-1, width))
    side = CELL >> octave
    cells = np.maximum.reduce(turned.reshape(width // side, side, -1), axis=1)
    return np.asarray(cv2.transpose(cells).reshape(count, rows, width // side))


def with_neighbours(maps: Floats) -> Floats:
    """Return the means over cells and their neighbours, of maps ``(maps, rows, columns)``."""
    return np.asarray(_with_neighbours(_mean, maps), dtype=np.float32)


def _with_neighbours(combine: Callable[[Any], Any], maps: NDArray[Any]) -> NDArray[Any]:
    """Combine cells with their neighbours, in all maps at once: as channels of one picture."""
    count, rows, columns = maps.shape
    channels = cv2.transpose(maps.reshape(count, -1)).reshape(rows, columns, count)
    return np.asarray(cv2.transpose(combine(channels).reshape(-1, count)).reshape(maps.shape))
