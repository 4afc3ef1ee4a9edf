"""Where lettering is: a map of the probability of text, at three sizes of lettering.

A small convolutional network looks at the luma, normalised by its local contrast, in cells of
8 × 8 pixels. It was trained on words of some twenty scripts drawn onto photos (see
``training/text_detection.py``) and knows lettering between 9 and 32 pixels high; a pyramid of
halved pictures brings larger lettering into that range.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Image, derived, gray
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.convolution import Geometry, Network, sigmoid

LARGEST_SIDE = 512
"""Long side of the finest level, in pixels: there lettering 9 pixels high is still seen."""
LEVELS = 3
CELL = 8

_NEIGHBOURHOOD = (31, 31)
_EVEN_NOISE = 8.0
"""Grey levels: deviations well below this are taken for noise and are not blown up."""
_SMALLEST_SIDE = 16
"""A level whose short side is smaller than two cells holds no legible word."""
GEOMETRIES = (
    Geometry(stride=4, padding=1),
    Geometry(stride=2, padding=1),
    Geometry(padding=1),
    Geometry(padding=2, dilation=2),
    Geometry(),
)


@derived
def text_maps(image: Image) -> tuple[NDArray[np.float32], ...]:
    """Return where text is, by size of lettering.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    tuple of ndarray of float32, shape (rows, columns)
        Probabilities in [0, 1] of cells of 8 × 8 pixels at long sides of 512, 256 and 128 pixels
        (or the picture's own size, halved and halved again). Levels too small for a word are
        left out, so that the tuple may be empty.
    """
    level = gray(image, LARGEST_SIDE)
    maps = []
    for _ in range(LEVELS):
        if min(level.shape) < _SMALLEST_SIDE:
            break
        maps.append(sigmoid(_network()(normalised(level)[:, :, None])[:, :, 0]))
        half = (max(1, level.shape[1] // 2), max(1, level.shape[0] // 2))
        # Of an odd side the mean of two neighbours is as good as areas, at a tenth of their cost.
        level = cv2.resize(level, half, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
    return tuple(maps)


def normalised(luma: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return ``(luma - local mean) / (local deviation + 8)`` over 31 × 31 pixels.

    Faint lettering becomes as strong as bold lettering; float32 of the same shape.
    """
    border = cv2.BORDER_REFLECT
    mean: NDArray[Any] = cv2.boxFilter(luma, cv2.CV_32F, _NEIGHBOURHOOD, borderType=border)
    scale: NDArray[Any] = cv2.sqrBoxFilter(luma, cv2.CV_32F, _NEIGHBOURHOOD, borderType=border)
    scale -= mean * mean
    cv2.threshold(scale, 0, 0, cv2.THRESH_TOZERO, dst=scale)
    np.sqrt(scale, out=scale)
    scale += np.float32(_EVEN_NOISE)
    np.subtract(luma, mean, out=mean)
    mean /= scale
    return mean


@functools.cache
def _network() -> Network:
    return Network.load("text_detection.npz", GEOMETRIES)
