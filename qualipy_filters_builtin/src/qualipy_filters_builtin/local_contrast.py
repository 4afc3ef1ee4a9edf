"""Local contrast: how strong the detail of a picture is at each scale, in brightness and in colour.

Tone-mapping works on the brightness alone, scale by scale: it flattens the large differences and
lifts the small ones. Colour knows nothing of it. Where one material borders on another, both
change at once, so the *ratio* of contrast in brightness to contrast in colour hardly depends on
what a photo shows, and how it goes with the scale betrays what was done to it.
"""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import pairwise
from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Image, derived
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.quantiles import nearest_percentiles

SIDE = 256
"""The long side, in pixels, at which detail is measured."""
BANDS = 6
"""Octaves, from 2 pixels upwards."""

Floats = NDArray[np.float32]

_BLACK = 8.0  # added to the 8-bit values before the logarithm: noise in the dark is no contrast
_LOGARITHMS = np.log(np.arange(256, dtype=np.float32) + np.float32(_BLACK))
_OPPONENTS = np.array([[0.25, 0.5, 0.25], [1, -1, 0], [0, -1, 1]], dtype=np.float32)
_LEAST = 0.004  # added to contrasts before the logarithm
_EDGES = 25  # one in so many pixels lies on a strong edge
_SAMPLES = 8192  # places, evenly spread, are enough for a distribution
_AREAS = 4  # areas that overlap by more than half are measured at every fourth pixel


@derived
def opponent_pyramid(image: Image) -> tuple[Floats, ...]:
    """Return the logarithmic picture as brightness and two colour ratios, and its reductions.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    tuple of ndarray of float32, shape (H / 2ⁱ, W / 2ⁱ, 3)
        `BANDS` + 1 of them. The channels: log brightness, log (red / green), log (blue / green).
    """
    finest = cv2.transform(cv2.LUT(image.pixels(SIDE), _LOGARITHMS), _OPPONENTS)
    levels = [np.asarray(finest, dtype=np.float32)]
    for _ in range(BANDS):
        levels.append(_halved(levels[-1]))
    return tuple(levels)


@derived
def band_contrasts(image: Image) -> tuple[Floats, ...]:
    """Return the contrast in brightness and in colour of each octave, at places spread evenly.

    The bands are those of a Laplacian pyramid (after Burt & Adelson 1983,
    doi:10.1109/TCOM.1983.1095851).

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    tuple of ndarray of float32, shape (2, rows, columns)
        The finest octave first; magnitudes in logarithmic units, of brightness and of colour.
        All pixels but of the finest octave, of which a quarter is enough.
    """
    pyramid = opponent_pyramid(image)
    layout = _layout(*pyramid[0].shape[:2])
    # All octaves in one array, so that what follows is done once, not once for each.
    bands = np.empty((3, layout[-1].end), np.float32)
    parts = []
    for (fine, coarse), place in zip(pairwise(pyramid), layout, strict=True):
        same_size = cv2.resize(coarse, fine.shape[1::-1])
        band = cv2.subtract(fine[place.rows], same_size[place.rows])
        part = bands[:, place.start : place.end].reshape(place.shape)
        part[:] = band[:, place.columns].transpose(2, 0, 1)
        parts.append(part[:2])
    light, red, blue = bands
    np.abs(light, out=light)
    # Not `cv2.magnitude`, which goes by where the arrays lie.
    np.multiply(red, red, out=red)
    np.multiply(blue, blue, out=blue)
    red += blue
    np.sqrt(red, out=red)
    return tuple(parts)


class _Place(NamedTuple):
    """Which pixels of a level are looked at, and where they lie among those of all octaves."""

    rows: slice
    columns: slice
    shape: tuple[int, int, int]  # channels first
    start: int
    end: int


@lru_cache(maxsize=64)
def _layout(height: int, width: int) -> tuple[_Place, ...]:
    """The places of each octave of a picture of this size."""
    layout, start = [], 0
    for _ in range(BANDS):
        rows, columns = spread(height, width)
        shape = (3, len(range(height)[rows]), len(range(width)[columns]))
        end = start + shape[1] * shape[2]
        layout.append(_Place(rows, columns, shape, start, end))
        height, width, start = (height + 1) // 2, (width + 1) // 2, end
    return tuple(layout)


def spread(height: int, width: int) -> tuple[slice, slice]:
    """Return which rows and columns of a picture cross at 8192 places or more, evenly spread.

    Parameters
    ----------
    height, width : int
        The picture's.
    """
    step = max(1, int((height * width / _SAMPLES) ** 0.5))
    top, left = ((side - 1) % step // 2 for side in (height, width))  # in the middle: mirrors alike
    return slice(top, None, step), slice(left, None, step)


def _halved(level: Floats) -> Floats:
    """Half the size; unlike `cv2.pyrDown`, the same for a mirrored picture."""
    height, width = level.shape[:2]
    smooth = cv2.GaussianBlur(level, (3, 3), 0)
    half = cv2.resize(smooth, ((width + 1) // 2, (height + 1) // 2))
    return np.asarray(half, dtype=np.float32)


def evenness(image: Image) -> NDArray[np.float64]:
    """Return how the areas of a picture differ in their detail, brightness against colour.

    Lifted detail shows where a picture has little of it: there, brightness is busier than colour.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    ndarray of float64, shape (3,)
        The 10th, 50th and 90th percentile, over the picture, of the logarithm of the second
        octave's contrast in brightness over that in colour, in areas of a sixteenth of its side.
    """
    contrasts = band_contrasts(image)[1]
    side = max(3, max(contrasts[0].shape) // 16) | 1
    busy, colorful = (cv2.blur(part, (side, side))[::_AREAS, ::_AREAS] for part in contrasts)
    ratio = (busy + _LEAST) / (colorful + _LEAST)
    return np.log(nearest_percentiles(ratio, (10, 50, 90)))


def edge_profile(luma: Floats, distances: tuple[float, ...]) -> NDArray[np.float64]:
    """Return how the tone goes on, away from the strongest edges.

    A halo is a bright rim on the bright side of an edge and a dark one on its dark side: further
    away, the tones come back towards each other. At an ordinary edge they stay as they are.

    Parameters
    ----------
    luma : ndarray of float32, shape (H, W)
        Brightness in [0, 1].
    distances : tuple of float
        In pixels; the first is where the edge itself ends.

    Returns
    -------
    ndarray of float64, shape (2 n - 1,)
        The logarithm of the edges' mean height; then, for each further distance, how much
        brighter the bright side gets and how much darker the dark side, in heights of the edge.
    """
    _, tones = _sides(luma, distances)
    means = (np.add.reduce(tones, axis=1, dtype=np.float64) / tones.shape[1]).tolist()
    brights, darks = means[: len(distances)], means[len(distances) :]
    edge = max(brights[0] - darks[0], 0.0) + 0.02  # where there are no edges, noise says nothing
    further = [log(edge)]
    for bright, dark in zip(brights[1:], darks[1:], strict=True):
        further += [(bright - brights[0]) / edge, (darks[0] - dark) / edge]
    return np.array(further)


def halo_map(luma: Floats, distances: tuple[float, ...]) -> tuple[Floats, Floats]:
    """Return along which of the strongest edges the tones come back, as in a halo.

    Parameters
    ----------
    luma : ndarray of float32, shape (H, W)
        Brightness in [0, 1].
    distances : tuple of float
        From an edge, in pixels, as of `edge_profile`.

    Returns
    -------
    comeback : ndarray of float32, shape (H, W)
        By how much the bright side is brighter near the edge than at the last distance, and the
        dark side darker, on average, in heights of the edges around.
    weight : ndarray of float32, shape (H, W)
        In [0, 1], the height of those edges; 0 where there are none.
    """
    places, tones = _sides(luma, distances)
    brights, darks = tones[: len(distances)], tones[len(distances) :]
    bright, dark = brights[:-1].max(axis=0), darks[:-1].min(axis=0)
    heights = np.maximum(bright - dark, 0)
    comebacks = (bright - brights[-1] + darks[-1] - dark) / 2
    sums = np.zeros((2, luma.size), np.float32)
    sums[0, places], sums[1, places] = comebacks, heights
    along, height = (cv2.GaussianBlur(part.reshape(luma.shape), (0, 0), 1.0) for part in sums)
    weight = np.clip(height * 12, 0, 1)  # full along an edge of a third of the range
    return np.asarray(along / (height + 1e-3)), np.asarray(weight)


def _sides(values: Floats, distances: tuple[float, ...]) -> tuple[NDArray[np.intp], Floats]:
    """Where the strongest edges are, and what lies on their bright and then on their dark side.

    Indices into the raveled picture, (edge,), and tones, (2 distances, edge).
    """
    width = values.shape[1]
    across = cv2.Sobel(values, cv2.CV_32F, 1, 0, scale=1 / 8).ravel()
    down = cv2.Sobel(values, cv2.CV_32F, 0, 1, scale=1 / 8).ravel()
    steepness = across * across
    steepness += down * down  # its square
    usual = len(steepness) - 1 - len(steepness) // _EDGES
    parted = steepness.copy()
    parted.partition(usual)
    (strongest,) = (steepness >= parted[usual]).nonzero()
    length = np.maximum(np.sqrt(steepness.take(strongest)), 1e-6)
    places, directions = np.empty((2, 2, 1, len(strongest)), np.float32)  # y, x
    places[0], places[1] = np.divmod(strongest, width)
    np.divide(down.take(strongest), length, out=directions[0, 0])
    np.divide(across.take(strongest), length, out=directions[1, 0])
    rows, columns = places + _away(distances) * directions
    nearest = cv2.remap(values, columns, rows, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return strongest, np.asarray(nearest, dtype=np.float32)


@cache
def _away(distances: tuple[float, ...]) -> Floats:
    """Steps from an edge, first to its bright and then to its dark side; a column."""
    steps = [*distances, *(-distance for distance in distances)]
    return np.array(steps, dtype=np.float32)[:, None]
