"""The colour balance of a picture, tone by tone, from its shadows to its highlights.

Colour is taken as two differences of the channels, 0 for grey: ``red - green`` and ``blue`` less
the mean of the two others. Both are in [-1, 1], both rise and fall with the brightness as the
channels do, so a multiplied channel (another white balance) moves them in proportion to the tone,
while an own tone curve for a channel does not. All is measured on a thumbnail, whose pixels are
means of many: noise and single coloured specks are gone.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Image, derived
from qualipy_core.opencv import cv2

THUMBNAIL_SIDE = 128
"""The long side, in pixels, of the picture that colours are measured on."""
_SHARED_SIDE = 512  # other filters ask for this one, too, and it is a multiple: cheap to reduce

TONE_RANGES = (0.0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 1.0)
"""Shares of the pixels, sorted by luma, that bound the tone ranges: narrow at the ends, where a
curve that lifts blacks or tints whites shows best."""

CHANNEL_LEVELS = (0.005, 0.02, 0.1, 0.5, 0.9, 0.98, 0.995)
"""Quantiles of the channels."""

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


@derived
def thumbnail(image: Image) -> NDArray[np.float32]:
    """Return the pixels of a thumbnail as a list.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    ndarray of float32, shape (n, 3)
        Red, green, blue in [0, 1].
    """
    pixels: NDArray[Any] = image.pixels(_SHARED_SIDE)
    height, width = pixels.shape[:2]
    scale = THUMBNAIL_SIDE / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(pixels.reshape(-1, 3), dtype=np.float32) / np.float32(255)


@derived
def channel_levels(image: Image) -> NDArray[np.float64]:
    """Return quantiles of each channel by itself.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    ndarray of float64, shape (7, 3)
        At `CHANNEL_LEVELS`, for red, green, blue, in [0, 1].
    """
    ordered = np.sort(thumbnail(image), axis=0)
    places = np.array(CHANNEL_LEVELS) * (len(ordered) - 1)
    return np.asarray(ordered[np.rint(places).astype(np.intp)], dtype=np.float64)


@derived
def tone_colors(image: Image) -> NDArray[np.float64]:
    """Return what colours the pixels of each tone range have.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    ndarray of float64, shape (8, 4)
        For each of the `TONE_RANGES`, dark to light: the median of red - green; the median of
        blue less the others; the chroma that a tenth of its pixels stays below; the spread of
        the colours (sum of both standard deviations).
    """
    pixels = thumbnail(image)
    ordered = pixels[np.argsort(pixels @ _LUMA, kind="stable")]
    red_green = ordered[:, 0] - ordered[:, 1]
    blue = ordered[:, 2] - (ordered[:, 0] + ordered[:, 1]) / 2
    colors = np.stack([red_green, blue, np.hypot(red_green, blue)])
    count = len(ordered)
    found = np.empty((len(TONE_RANGES) - 1, 4))
    for row, (low, high) in enumerate(pairwise(TONE_RANGES)):
        first = min(int(low * count), count - 1)
        part = colors[:, first : max(first + 1, int(high * count))]
        last = part.shape[1] - 1
        ranked = np.partition(part, (last // 10, last // 2), axis=1)
        medians, tenth = ranked[:2, last // 2], ranked[2, last // 10]
        found[row] = (*medians, tenth, part[:2].std(axis=1).sum())
    return found
