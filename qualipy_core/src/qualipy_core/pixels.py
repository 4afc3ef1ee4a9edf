"""Bringing pixels to one form: RGB, 8 bits, three channels, upright, read-only.

Whatever comes in, grey, with alpha, 16 bits, floating point, leaves as ``(height, width, 3)``
uint8. Alpha is composed on white, as a page would show it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qualipy_core.opencv import cv2

RGB = NDArray[np.uint8]
"""An array of shape ``(height, width, 3)``."""

_BAND = 1 << 20  # values that are converted at a time: what lies between takes no more memory


def to_rgb(array: NDArray[Any], *, bgr: bool = False, light: bool = False) -> RGB:
    """Convert an array of pixels to RGB.

    Parameters
    ----------
    array : ndarray
        Shape ``(H, W)``, ``(H, W, 1)`` grey, ``(H, W, 2)`` grey and alpha, ``(H, W, 3)`` colour or
        ``(H, W, 4)`` colour and alpha; bool, uint8, uint16, a wider integer within 0 … 255, or
        floating point within 0 … 1.
    bgr : bool
        The colours come in OpenCV's order.
    light : bool
        Floating-point values may be beyond 1, and are white then, or below 0, and are black.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        Red, green, blue; C-contiguous.

    Raises
    ------
    ValueError
        The shape or the range is none of those.
    """
    if array.ndim == 2:
        array = array[..., np.newaxis]
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4 or array.size == 0:
        raise ValueError(f"an image has shape (H, W) or (H, W, 1 … 4), not {array.shape}")
    height, width, channels = array.shape
    if array.dtype == np.uint8 and channels == 3 and not bgr:
        return np.ascontiguousarray(array, dtype=np.uint8)
    rows = max(1, _BAND // (width * channels))
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        pixels[top : top + rows] = _band(array[top : top + rows], bgr, light)
    return pixels


def _band(array: NDArray[Any], bgr: bool, light: bool) -> NDArray[np.uint8]:
    """Some rows of colours or, to be repeated, of grey."""
    pixels = _to_8_bits(array, light)
    if pixels.shape[2] in (2, 4):
        pixels = _compose_on_white(pixels[..., :-1], pixels[..., -1:])
    return pixels[..., ::-1] if bgr else pixels


def _to_8_bits(array: NDArray[Any], light: bool) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return np.asarray(array, dtype=np.uint8)
    if array.dtype == np.bool_:
        return np.asarray(array * 255, dtype=np.uint8)
    if array.dtype == np.uint16:
        return np.asarray((array.astype(np.uint32) + 128) // 257, dtype=np.uint8)
    if np.issubdtype(array.dtype, np.integer):
        if array.min() < 0 or array.max() > 255:
            raise ValueError(f"pixels of type {array.dtype} must be within 0 … 255")
        return np.asarray(array, dtype=np.uint8)
    if np.issubdtype(array.dtype, np.floating):
        finite = np.nan_to_num(array, nan=0.0, posinf=1.0, neginf=0.0)
        if not light and finite.max() > 1.0 + 1e-3:
            raise ValueError("floating-point pixels must be within 0 … 1")
        return np.asarray(np.rint(np.clip(finite, 0.0, 1.0) * 255.0), dtype=np.uint8)
    raise ValueError(f"pixels cannot be of type {array.dtype}")


def _compose_on_white(color: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    weight = alpha.astype(np.uint16)
    mixed = color * weight + 255 * (255 - weight)
    return ((mixed + 127) // 255).astype(np.uint8)


def upright(pixels: RGB, orientation: int) -> RGB:
    """Apply an Exif orientation (1 … 8; CIPA DC-008, tag 0x0112).

    Parameters
    ----------
    pixels : ndarray of uint8, shape (H, W, 3)
        As stored in the file.
    orientation : int
        1 leaves the pixels as they are; 5 … 8 exchange width and height.

    Returns
    -------
    ndarray of uint8
        Shape ``(H, W, 3)`` or ``(W, H, 3)``; C-contiguous.
    """
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def fitted(pixels: RGB, max_side: int) -> tuple[int, int]:
    """Return the width and height, halves rounded down, whose longer is ``max_side``."""
    height, width = pixels.shape[:2]
    longest = max(height, width)
    fit = [max(1, -((longest - 2 * side * max_side) // (2 * longest))) for side in (width, height)]
    return fit[0], fit[1]


def resize(pixels: RGB, size: tuple[int, int]) -> RGB:
    """Interpolate linearly to ``(width, height)``, by a factor of two at most.

    Half the size is the means of 2 × 2 pixels, at a quarter of the cost; a last odd row or column
    is left out.
    """
    height, width = pixels.shape[:2]
    if size == (width // 2, height // 2):
        pixels = pixels[: 2 * size[1], : 2 * size[0]]
    return cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)


def shrink(pixels: RGB, max_side: int) -> RGB:
    """Shrink an image until its long side is at most ``max_side``; never enlarge it.

    Halves while more than a factor of two is left, then interpolates linearly: within a few per
    cent of area averaging in what the filters see, at a fifth of its cost.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (H, W) or (H, W, 3)
        The image.
    max_side : int
        At least 1.

    Returns
    -------
    ndarray of uint8
        The same array when it is small enough already.
    """
    if max(pixels.shape[:2]) <= max_side:
        return pixels
    size = fitted(pixels, max_side)
    while max(pixels.shape[:2]) > 2 * max_side:
        height, width = pixels.shape[:2]
        pixels = resize(pixels, (max(1, width // 2), max(1, height // 2)))
    return resize(pixels, size)
