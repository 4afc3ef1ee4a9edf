"""How sharpness is spread over a picture: what a tenth, half and nine tenths of its cells have.

A single number for the whole picture mixes a subject with its background. So each measurement is
made cell by cell, and the percentiles of the cells are told: a picture in focus throughout has
narrow edges at all of them, one that is blurred all over at none, and one with a blurred background
at the upper ones alone. Tone, colour and coarse contrast tell the rest: a clear sky or a plain wall
has no edges either, but it is brighter or paler than most backgrounds, and more even.

References
----------
The width of an edge from its steepness before and after more blur: Zhuo & Sim 2011, "Defocus map
estimation from a single image", doi:10.1016/j.patcog.2011.03.009.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Image
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.quantiles import percentiles
from qualipy_filters_builtin.sharpness import (
    LEVELS,
    SHARPNESS_SIDE,
    SLOPED,
    cell_energies,
    cell_tensors,
    mean_tones,
    steepest_slopes,
    tone_ranges,
)

PERCENTILES = (10, 50, 90)
"""The shares of the cells, in per cent."""
MEASUREMENTS = (
    *(f"energy_{1 << level}" for level in range(LEVELS)),
    "energy_2_to_4",
    "energy_4_to_8",
    "direction_1",
    "direction_2",
    "slope_1",
    "slope_2",
    "slope_4",
    "width_1",
    "width_2",
    "range",
    "steepness",
    "relief",
    "tone",
    "saturation",
)
"""What is measured in every cell; numbers are octaves in pixels."""
NAMES = tuple(f"{name}_p{share}" for name in MEASUREMENTS for share in PERCENTILES)

# What logarithms start from: about what JPEG and rounding leave of an even cell.
_ENERGY_FLOOR = 0.05  # squared luma levels per pixel
_DIRECTION_FLOOR = 0.3  # the same
_SLOPE_FLOOR = 1.0  # luma levels per pixel
_RANGE_FLOOR = 4.0  # luma levels
_RELIEF_FLOOR = 1.0  # luma levels

Floats = NDArray[np.float32]

_FLOORS = np.array(
    [_ENERGY_FLOOR] * LEVELS + [_SLOPE_FLOOR] * SLOPED + [_RANGE_FLOOR, _RELIEF_FLOOR, 0, 0],
    dtype=np.float32,
).reshape(-1, 1, 1)  # of energies, slopes, the range and the relief; ratios have theirs


def sharpness_spread(image: Image) -> NDArray[np.float64]:
    """Return the percentiles over the cells of everything that is measured in them.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    ndarray of float64, shape (len(NAMES),)
        In the order of `NAMES`: natural logarithms, but for tone (0 … 255) and saturation
        (the difference between the largest and the smallest of red, green and blue, 0 … 255).
    """
    maps = _measurements(image)
    cells = maps.reshape(len(maps), -1)
    return percentiles(cells, PERCENTILES).ravel()


def _measurements(image: Image) -> Floats:
    """The maps of `MEASUREMENTS`, (measurements, rows, columns)."""
    tones = mean_tones(image)
    relief = cv2.absdiff(tones, cv2.blur(tones, (3, 3)))
    logarithms = np.concatenate(
        [
            cell_energies(image),
            steepest_slopes(image),
            np.stack([tone_ranges(image), relief]),
            _one_way(image),
        ]
    )
    logarithms += _FLOORS
    np.log(logarithms, out=logarithms)
    energies, slopes, directions = logarithms[:5], logarithms[5:8], logarithms[10:]
    ranges, relief = logarithms[8:10]
    parts = (
        energies,
        energies[1:3] - energies[2:4],
        directions,
        slopes,
        slopes[:2] - slopes[1:],
        np.stack([ranges, slopes[0] - ranges, relief, tones, _saturation(image, tones.shape)]),
    )
    return np.concatenate(parts)


def _one_way(image: Image) -> Floats:
    """How many times as much contrast there is along the main direction as across it."""
    xx, xy, yy = cell_tensors(image).transpose(1, 0, 2, 3)
    energy = xx + yy
    apart = xx - yy
    along = np.sqrt(apart * apart + 4 * xy * xy)
    across = np.maximum(energy - along, 0.0)
    floor = np.float32(_DIRECTION_FLOOR)
    return np.asarray((energy + along + floor) / (across + floor))


def _saturation(image: Image, shape: tuple[int, ...]) -> Floats:
    """The saturation of the cells' mean colours, of sixteen pixels each."""
    rows, columns = shape
    pixels = image.pixels(SHARPNESS_SIDE)
    few = cv2.resize(pixels, (2 * columns, 2 * rows), interpolation=cv2.INTER_LINEAR)
    colours = cv2.resize(few, (columns, rows), interpolation=cv2.INTER_AREA)
    channels = colours.reshape(-1, 3)
    most = cv2.reduce(channels, 1, cv2.REDUCE_MAX)
    least = cv2.reduce(channels, 1, cv2.REDUCE_MIN)
    return np.subtract(most, least, dtype=np.float32).reshape(shape)
