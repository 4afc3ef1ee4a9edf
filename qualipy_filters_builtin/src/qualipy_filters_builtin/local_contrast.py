"""Local contrast: how strong the detail of a picture is at each scale, in brightness and in colour.

Tone-mapping works on the brightness alone, scale by scale: it flattens the large differences and
lifts the small ones. Colour knows nothing of it. Where one material borders on another, both
change at once, so the *ratio* of contrast in brightness to contrast in colour hardly depends on
what a photo shows, and how it goes with the scale betrays what was done to it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Image, derived
from qualipy_core.opencv import cv2

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
    levels = [cv2.transform(cv2.LUT(image.pixels(SIDE), _LOGARITHMS), _OPPONENTS)]
    for _ in range(BANDS):
        levels.append(_halved(levels[-1]))
    return tuple(np.asarray(level, dtype=np.float32) for level in levels)


@derived
def band_contrasts(image: Image) -> tuple[tuple[Floats, Floats], ...]:
    """Return the contrast in brightness and in colour of each octave, at places spread evenly.

    The bands are those of a Laplacian pyramid (after Burt & Adelson 1983,
    doi:10.1109/TCOM.1983.1095851).

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    tuple of (ndarray of float32, ndarray of float32), each of shape (n,)
        The finest octave first; magnitudes in logarithmic units, at the same places.
    """
    levels = opponent_pyramid(image)
    found = []
    for fine, coarse in pairwise(levels):
        band = fine - cv2.resize(coarse, (fine.shape[1], fine.shape[0]))
        places = spread(band)
        found.append((np.abs(places[:, 0]), np.hypot(places[:, 1], places[:, 2])))
    return tuple(found)


def spread(values: NDArray[Any]) -> Floats:
    """Return about 8192 places of a picture, evenly spread, as a list.

    Parameters
    ----------
    values : ndarray of float32, shape (H, W) or (H, W, C)
        A picture.

    Returns
    -------
    ndarray of float32, shape (n,) or (n, C)
    """
    height, width = values.shape[:2]
    step = max(1, int(np.sqrt(height * width / _SAMPLES)))
    top, left = (height - 1) % step // 2, (width - 1) % step // 2  # in the middle: mirrors alike
    chosen = values[top::step, left::step]
    return np.ascontiguousarray(chosen).reshape(-1, *values.shape[2:])


def quantiles(values: Floats, shares: tuple[int, ...]) -> NDArray[np.float64]:
    """Return what these per cents of the values stay below; `np.percentile`, but quick.

    Parameters
    ----------
    values : ndarray of float32, shape (n,)
        Not empty.
    shares : tuple of int
        0 … 100.
    """
    places = np.array(shares) * (len(values) - 1) / 100
    return np.sort(values)[np.rint(places).astype(np.intp)].astype(np.float64)


def _halved(level: NDArray[Any]) -> NDArray[Any]:
    """Half the size; unlike `cv2.pyrDown`, the same for a mirrored picture."""
    height, width = level.shape[:2]
    smooth = cv2.GaussianBlur(level, (3, 3), 0)
    half = ((width + 1) // 2, (height + 1) // 2)
    return np.asarray(cv2.resize(smooth, half, interpolation=cv2.INTER_AREA))


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
    fine, coarse = opponent_pyramid(image)[1:3]
    band = cv2.absdiff(fine, cv2.resize(coarse, (fine.shape[1], fine.shape[0])))
    light, red, blue = cv2.split(band)
    side = max(3, max(light.shape) // 16) | 1
    color = cv2.sqrt(red * red + blue * blue)  # `cv2.magnitude` goes by where the arrays lie
    busy, colorful = cv2.blur(light, (side, side)), cv2.blur(color, (side, side))
    ratios = np.log((spread(busy) + _LEAST) / (spread(colorful) + _LEAST))
    return quantiles(ratios, (10, 50, 90))


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
    _, *sides = _sides(luma, distances)
    brights, darks = (tones.mean(axis=1, dtype=np.float64) for tones in sides)
    edge = max(brights[0] - darks[0], 0.0) + 0.02  # where there are no edges, noise says nothing
    further = np.stack([brights[1:] - brights[0], darks[0] - darks[1:]], axis=1) / edge
    return np.array([np.log(edge), *further.ravel()])


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
    places, brights, darks = _sides(luma, distances)
    bright, dark = brights[:-1].max(axis=0), darks[:-1].min(axis=0)
    heights = np.maximum(bright - dark, 0)
    comebacks = (bright - brights[-1] + darks[-1] - dark) / 2
    sums = np.zeros((2, luma.size), np.float32)
    sums[0, places], sums[1, places] = comebacks, heights
    along, height = (cv2.GaussianBlur(part.reshape(luma.shape), (0, 0), 1.0) for part in sums)
    weight = np.clip(height * 12, 0, 1)  # full along an edge of a third of the range
    return np.asarray(along / (height + 1e-3)), np.asarray(weight)


def _sides(values: Floats, distances: tuple[float, ...]) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Where the strongest edges are, and what lies on their bright and on their dark side.

    Indices into the raveled picture, (edge,), and tones, (distance, edge).
    """
    height, width = values.shape
    across = cv2.Sobel(values, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(values, cv2.CV_32F, 0, 1, scale=1 / 8)
    steepness = cv2.sqrt(across * across + down * down).ravel()
    usual = np.sort(spread(steepness.reshape(height, width)))
    strongest = np.flatnonzero(steepness >= usual[-1 - len(usual) // _EDGES])
    length = np.maximum(steepness[strongest], 1e-6)
    x_step, y_step = across.ravel()[strongest] / length, down.ravel()[strongest] / length
    y, x = np.divmod(strongest, width)
    away = np.array([*distances, *(-d for d in distances)], dtype=np.float32)[:, None]
    rows = np.clip(np.rint(y + away * y_step).astype(np.intp), 0, height - 1)
    columns = np.clip(np.rint(x + away * x_step).astype(np.intp), 0, width - 1)
    found = values.ravel()[rows * width + columns]
    return strongest, found[: len(distances)], found[len(distances) :]
