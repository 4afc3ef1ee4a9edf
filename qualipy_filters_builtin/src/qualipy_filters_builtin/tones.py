"""Measurements of tones that several filters share: how bright the pixels of a picture are.

A tone is an 8-bit luma, 0 black … 255 white. Everything is measured at a long side of 512 pixels:
the distribution of tones doesn't change with the resolution, and one small picture serves all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Image, derived, gray
from qualipy_core.opencv import cv2

TONES = 256
LUMA = np.arange(TONES, dtype=np.float64)
TONES_SIDE = 512
"""The long side, in pixels, at which tones are measured."""

_BLOWN = 248
"""A pixel is blown when all its channels reach this. Not 255: resampling and JPEG take a few
levels away (tuned on labelled photos: 245 … 252 separate equally well)."""

_ENOUGH_PIXELS = 1 << 16
"""More pixels hardly change the shares of the tones (their mean by 0.3 levels in one photo of a
hundred, by less in the others)."""

_OUT_OF_LINE = 4.0
"""Levels by which the mean of some rows is off that of all where stripes keep step with them; in
photos by less than 2."""

_FLAT_RANGE = 8
"""A neighbourhood of 3 × 3 pixels is flat when its tones differ by no more than this: the noise
that a JPEG of good quality leaves in an even area (tuned: 6 … 12 give the same accuracy)."""
_NEIGHBOURS = np.ones((3, 3), np.uint8)


@derived
def tone_histogram(image: Image) -> NDArray[np.float64]:
    """Return the share of the pixels that has each luma.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    ndarray of float64, shape (256,)
        Sums to 1.
    """
    luma = gray(image, TONES_SIDE)
    step = max(1, min(len(luma), luma.size // _ENOUGH_PIXELS))
    rows = luma[(len(luma) - 1) % step // 2 :: step]  # in the middle: mirrors alike
    shares = _shares(_counts(rows))
    if step > 1 and abs(float(shares @ LUMA) - cv2.mean(luma)[0]) > _OUT_OF_LINE:
        return _shares(_counts(luma))
    return shares


@derived
def flat_tone_histogram(image: Image) -> NDArray[np.float64]:
    """Return the number of pixels of each luma, counting flat areas alone.

    Edges blend the tones on both their sides, so only the pixels whose 3 × 3 neighbourhood is
    almost constant show which tones a picture is made of.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    ndarray of float64, shape (256,)
        Pixels at a long side of at most 512 pixels; all zero when nothing is flat.
    """
    return _counts(gray(image, TONES_SIDE), flat_mask(image))


@derived
def flat_mask(image: Image) -> NDArray[np.uint8]:
    """Return where the picture is flat: the 3 × 3 neighbourhood is almost constant.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    ndarray of uint8, shape (H, W)
        255 where flat, else 0; long side at most 512 pixels.
    """
    luma = gray(image, TONES_SIDE)
    flat = cv2.dilate(luma, _NEIGHBOURS)
    cv2.subtract(flat, cv2.erode(luma, _NEIGHBOURS), dst=flat)
    cv2.threshold(flat, _FLAT_RANGE, 255, cv2.THRESH_BINARY_INV, dst=flat)
    return flat.astype(np.uint8, copy=False)


@derived
def rim_histogram(image: Image) -> NDArray[np.float64]:
    """Return the share of each luma along the rim, the outer 3 % of the picture.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    ndarray of float64, shape (256,)
        Sums to 1.
    """
    luma = gray(image, TONES_SIDE)
    height, width = luma.shape
    depth = max(1, round(0.03 * min(height, width)))
    if min(height, width) <= 2 * depth:
        return _shares(_counts(luma))
    between = luma[depth:-depth]
    parts = (luma[:depth], luma[-depth:], between[:, :depth], between[:, -depth:])
    return _shares(_counts(np.concatenate([part.ravel() for part in parts])))


@derived
def blown_mask(image: Image) -> NDArray[np.uint8]:
    """Return where every channel is at its end: white without detail or hue.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    ndarray of uint8, shape (H, W)
        255 where blown, else 0; long side at most 512 pixels.
    """
    luma = gray(image, TONES_SIDE)
    mask = np.zeros(luma.shape, np.uint8)
    # Where all channels reach a level, so does their mean: mostly a small part of the picture.
    _, bright = cv2.threshold(luma, _BLOWN - 1, 255, cv2.THRESH_BINARY)
    left, top, width, height = cv2.boundingRect(bright)
    if width:
        part = (slice(top, top + height), slice(left, left + width))
        mask[part] = cv2.inRange(image.pixels(TONES_SIDE)[part], (_BLOWN,) * 3, (255,) * 3)
    return mask


def _counts(luma: NDArray[np.uint8], mask: NDArray[np.uint8] | None = None) -> NDArray[np.float64]:
    histogram = cv2.calcHist([luma], [0], mask, [TONES], [0.0, float(TONES)])
    return histogram.ravel().astype(np.float64)


def _shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return counts / float(counts.sum())
