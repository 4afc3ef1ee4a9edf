"""The colour balance of a picture, tone by tone, from its shadows to its highlights.

Colour is taken as two differences of the channels, 0 for grey: ``red - green`` and ``blue`` less
the mean of the two others. Both are in [-1, 1], both rise and fall with the brightness as the
channels do, so a multiplied channel (another white balance) moves them in proportion to the tone,
while an own tone curve for a channel does not. All is measured on a thumbnail, whose pixels are
means of many: noise and single coloured specks are gone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Image, derived
from qualipy_core.opencv import cv2

THUMBNAIL_SIDE = 64
"""The long side, in pixels, of the picture that colours are measured on."""
_SHARED_SIDE = 256  # other filters ask for this one, too

TONE_RANGES = (0.0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 1.0)
"""Shares of the pixels, sorted by luma, that bound the tone ranges: narrow at the ends, where a
curve that lifts blacks or tints whites shows best."""

CHANNEL_LEVELS = (0.005, 0.02, 0.1, 0.5, 0.9, 0.98, 0.995)
"""Quantiles of the channels."""

_LUMA = np.array([[77, 150, 29]], dtype=np.float32)  # ITU-R BT.601, in parts of 256
_UNITS = np.array([[1 / 255], [1 / 510]])  # of the colour differences, as they are counted
_CHROMA_UNITS = 8 * 255  # four times what the differences' squares give
_APART = 4096  # more than any difference of colours and any chroma, as they are counted


@derived
def small_picture(image: Image, side: int) -> NDArray[np.uint8]:
    """Return a thumbnail.

    Parameters
    ----------
    image : Image
        The picture.
    side : int
        The long side, in pixels, at most.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        A pixel is a mean of some in the middle of those that it stands for.
    """
    pixels = image.pixels(_SHARED_SIDE)
    scale = side / max(pixels.shape[:2])
    if scale >= 1.0:
        return pixels
    height, width = (max(1, round(length * scale)) for length in pixels.shape[:2])
    return cv2.resize(pixels, (width, height)).astype(np.uint8, copy=False)


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
    picture = small_picture(image, THUMBNAIL_SIDE)
    places = _places(picture.shape[0] * picture.shape[1])
    levels = np.empty((len(CHANNEL_LEVELS), 3))
    for channel in range(3):
        counts = cv2.calcHist([picture], [channel], None, [256], [0.0, 256.0])
        levels[:, channel] = counts.ravel().cumsum().searchsorted(places, side="right")
    levels /= 255
    return levels


@lru_cache(maxsize=64)
def _places(count: int) -> NDArray[np.float32]:
    """Which of so many pixels, sorted, are at the levels of the channels."""
    return np.array([round(share * (count - 1)) for share in CHANNEL_LEVELS], dtype=np.float32)


@derived
def darkest_first(image: Image, side: int) -> NDArray[np.intp]:
    """Return the places of a thumbnail's pixels in the order of their luma.

    Parameters
    ----------
    image : Image
        The picture.
    side : int
        The thumbnail's.

    Returns
    -------
    ndarray of intp, shape (n,)
    """
    luma = cv2.transform(small_picture(image, side).astype(np.float32), _LUMA)
    # Stable sorting is fastest for 16 bits.
    return np.argsort(luma.ravel().astype(np.uint16), kind="stable")


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
    pixels = small_picture(image, THUMBNAIL_SIDE).reshape(-1, 3)
    ranges = _ranges(len(pixels))
    order = darkest_first(image, THUMBNAIL_SIDE).take(ranges.members)
    red, green, blue = pixels.take(order, axis=0).T.astype(np.int32)
    measured = np.empty((5, len(order)), np.int32)  # whole numbers: their sums are exact
    chroma, colors, squares = measured[0], measured[1:3], measured[3:]
    np.subtract(red, green, out=colors[0])
    np.subtract(2 * blue - red, green, out=colors[1])
    np.multiply(colors, colors, out=squares)
    lengths = np.sqrt(4 * squares[0] + squares[1], dtype=np.float32)
    np.rint(4 * lengths, out=chroma, casting="unsafe")
    sums = np.add.reduceat(measured[1:], ranges.firsts, axis=1) / ranges.sizes
    mean, square = sums[:2], sums[2:]
    deviations = np.sqrt(np.maximum(square - mean * mean, 0)) * _UNITS
    found = np.empty((len(ranges.sizes), 4))
    found[:, 3] = deviations[0] + deviations[1]
    # All ranges are sorted at once: what is added keeps them apart.
    measured[:3] += ranges.apart_of_member
    measured[:3].sort(axis=1)
    found[:, :2] = ((colors.take(ranges.middles, axis=1) - ranges.apart) * _UNITS).T
    found[:, 2] = (chroma.take(ranges.tenths) - ranges.apart) / _CHROMA_UNITS
    return found


class _Ranges(NamedTuple):
    """Where the tone ranges lie among pixels that are sorted by luma."""

    members: NDArray[np.intp]  # of the first range, then of the second …
    firsts: NDArray[np.intp]  # where each range begins among the members; shape (8,), as below
    sizes: NDArray[np.intp]
    middles: NDArray[np.intp]
    tenths: NDArray[np.intp]
    apart: NDArray[np.int32]  # what is added to the measurements of each range
    apart_of_member: NDArray[np.int32]


@lru_cache(maxsize=64)
def _ranges(count: int) -> _Ranges:
    """The tone ranges of so many pixels; of a few, they share some."""
    lows = np.minimum((np.array(TONE_RANGES[:-1]) * count).astype(np.intp), count - 1)
    highs = np.maximum((np.array(TONE_RANGES[1:]) * count).astype(np.intp), lows + 1)
    sizes = highs - lows
    members = np.concatenate([np.arange(*ends) for ends in zip(lows, highs, strict=True)])
    firsts = np.cumsum(sizes) - sizes
    apart = _APART * np.arange(len(sizes), dtype=np.int32)
    return _Ranges(
        members,
        firsts,
        sizes,
        firsts + (sizes - 1) // 2,
        firsts + (sizes - 1) // 10,
        apart,
        np.repeat(apart, sizes),
    )
