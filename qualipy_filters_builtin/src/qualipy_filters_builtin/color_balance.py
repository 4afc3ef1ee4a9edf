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
_FINE_LUMA = 256  # parts of a grey level, by which pixels are put in order


def thumbnail(image: Image) -> NDArray[np.uint8]:
    """Return the pixels of a thumbnail as a list.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    ndarray of uint8, shape (n, 3)
        Red, green, blue.
    """
    return small_picture(image).reshape(-1, 3)


@derived
def small_picture(image: Image) -> NDArray[np.uint8]:
    """Return the thumbnail that colours are measured on.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        Long side at most 128 pixels.
    """
    pixels: NDArray[Any] = image.pixels(_SHARED_SIDE)
    longest = max(pixels.shape[:2])
    while longest > THUMBNAIL_SIDE:  # halves: a fifth of the cost of areas of any size
        scale = max(THUMBNAIL_SIDE / longest, 0.5)
        height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
        longest = max(height, width)
    return pixels


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
    pixels = thumbnail(image)
    places = np.rint(np.array(CHANNEL_LEVELS) * (len(pixels) - 1))
    up_to = [np.cumsum(np.bincount(channel, minlength=256)) for channel in pixels.T]
    levels = [np.searchsorted(counts, places, side="right") for counts in up_to]
    return np.stack(levels, axis=1) / 255


@derived
def darkest_first(image: Image) -> NDArray[np.intp]:
    """Return the places of the thumbnail's pixels in the order of their luma.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    ndarray of intp, shape (n,)
    """
    # Stable sorting is fastest for 16 bits.
    luma = ((thumbnail(image) @ _LUMA) * np.float32(_FINE_LUMA)).astype(np.uint16)
    return np.argsort(luma, kind="stable")


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
    red, green, blue = pixels[darkest_first(image)].T / np.float32(255)
    colors = np.stack([red - green, blue - (red + green) / 2])
    chroma = np.hypot(*colors)
    count = len(pixels)
    sums = np.zeros((2, 2, count + 1))  # of the colours and of their squares, up to each place
    np.cumsum(colors, axis=1, out=sums[0, :, 1:])
    np.cumsum(colors**2, axis=1, out=sums[1, :, 1:])
    found = np.empty((len(TONE_RANGES) - 1, 4))
    for row, (low, high) in enumerate(pairwise(TONE_RANGES)):
        first = min(int(low * count), count - 1)
        end = max(first + 1, int(high * count))
        size = end - first
        middle, tenth = (size - 1) // 2, (size - 1) // 10
        medians = np.partition(colors[:, first:end], middle, axis=1)[:, middle]
        mean, square = (sums[:, :, end] - sums[:, :, first]) / size
        spread = np.sqrt(np.maximum(square - mean**2, 0)).sum()
        found[row] = (*medians, np.partition(chroma[first:end], tenth)[tenth], spread)
    return found
