"""Light: photos in which almost nothing can be made out, for they are white.

The measure is the ink in a picture: how much darker than almost white it is, on average. A thing
on a white ground, a drawing, a page of text, snow and fog all leave some; a photo that is blown
out, or that a flare or a veil has washed out, leaves none. Its low percentiles would say the same
of large subjects, and miss the small ones.
"""

from __future__ import annotations

import numpy as np

from qualipy_core import Explanation, Filter, Image, gray
from qualipy_core.explanation import Mask
from qualipy_core.opencv import cv2

_SIDE = 128
"""The long side, in pixels, at which ink is looked for: noise and specks have averaged out."""
_PALE = 215
"""Tones from which on nothing is told apart from white (tuned: 200 … 230 are alike)."""
_EVEN_INK = 0.0075
"""The ink with which the degree is 0.5: as much as four per cent of the picture in middle grey
makes 0.018, a short page of text 0.01, a washed out photo less than 0.003 (tuned)."""

_INK = np.clip((_PALE - np.arange(256)) / _PALE, 0, 1)
_INK_TABLE = np.rint(_INK * 255).astype(np.uint8)


class Light(Filter):
    """Photos so bright that almost nothing can be made out.

    A positive is blown out nearly everywhere, or washed out by a flare, glare or thick fog. Things
    on white, drawings, pages of text, snow and high-key portraits are no positives: something is
    seen. The prediction is a degree in [0, 1]: 1 is white, 0.5 a picture that has as little that
    is darker as a page with a few lines of text, 0.02 an ordinary bright photo.

    Parameters
    ----------
    threshold : float
        The degree beyond which a photo is positive.
    invert_threshold : bool
        Flag the photos in which something *can* be made out instead.
    comparison : str
        How the degree is compared with the threshold.

    Warnings
    --------
    A few words on a white page, or a pencil line, are too little ink. A photo three stops too
    bright that has true blacks left shows something, and passes: that is for `exposure`.

    Notes
    -----
    The ink *i* is the mean of ``max(0, 1 - luma / 215)`` at a long side of 128 pixels. The degree
    is ``1 / (1 + (i / 0.0075)**2)``.

    References
    ----------
    IEC 61966-2-1:1999 (sRGB), for what a tone is in light: 215 is 68 per cent of white.
    """

    name = "light"
    speed = 1
    by_default = False

    def measure(self, image: Image) -> float:
        """Return the degree, in [0, 1]."""
        return 1.0 / (1.0 + (_ink(image) / _EVEN_INK) ** 2)

    def explain(self, image: Image) -> Explanation:
        """Show what is darker than almost white."""
        told = (
            f"The photo is {_ink(image):.1%} darker than almost white on average; light is below "
            f"{_EVEN_INK:.1%}."
        )
        return Explanation(
            told, (Mask(gray(image, _SIDE) < _PALE, "darker than almost white", "other"),)
        )


def _ink(image: Image) -> float:
    """How much darker than almost white the picture is on average, in [0, 1]."""
    return float(cv2.mean(cv2.LUT(gray(image, _SIDE), _INK_TABLE))[0]) / 255.0
