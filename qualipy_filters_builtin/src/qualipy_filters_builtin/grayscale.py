"""Grayscale: pictures without colour, however they are stored.

Most black-and-white photos are stored with three channels, and the compression, the scanner or a
resampling has left a little colour noise in them. That noise averages out where a picture is
small; the colour of a photo doesn't, however pale it is: even fog is a little blue and its grass a
little green. So colour is looked for at 64 pixels, and counted as a share of the picture, which a
date in the corner does not make a colour photo.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Explanation, Filter, Image
from qualipy_core.explanation import Mask
from qualipy_core.opencv import cv2

_SIDE = 64
"""The long side, in pixels, at which colour is looked for."""
_NEUTRAL = 3.0
"""The distance from grey, in levels of Cb and Cr, up to which a pixel has no colour (tuned: 2 … 4
are alike; what noise leaves at this size is below 1)."""
_EVEN_SHARE = 0.018
"""The share of the picture that has colour with which the degree is 0.5: above a date in the
corner (0.002 … 0.011), below one coloured thing (0.04) and the palest photos (0.025; tuned)."""

_SQUARES = np.minimum((np.arange(256) - 128) ** 2, 255).astype(np.uint8)
_CHROMA = np.array([[0, 1, 1]], np.float32)  # of Y, Cr and Cb; the sums end at 255 as well


class Grayscale(Filter):
    """Pictures without colour, in one channel or in three.

    A positive is black and white: a grey file, or a colour file whose channels agree but for noise,
    perhaps with a coloured date or a little logo. Pale photos (fog, snow, an overcast day), photos
    of grey things, pictures that are grey but for one thing, and toned ones (sepia, cyanotype) have
    colour. The prediction is a degree in [0, 1]: 1 is grey all over, 0.5 a picture of which 1.8 %
    has colour, 0.1 of which 5 % has.

    Parameters
    ----------
    threshold : float
        The degree beyond which a picture is positive.
    invert_threshold : bool
        Flag the pictures that *have* colour instead.
    comparison : str
        How the degree is compared with the threshold.

    Warnings
    --------
    A black-and-white print that was scanned in colour has the tone of its paper, and with more than
    three levels of it counts as toned. A colour photo of grey cloth in white light, a white scan
    and a black frame have no colour and are flagged.

    Notes
    -----
    The share *s* of the pixels that are further from grey than 3 levels in the plane of Cb and Cr,
    at a long side of 64 pixels. The degree is ``1 / (1 + (s / 0.018)**2)``.

    References
    ----------
    Recommendation ITU-R BT.601-7, 2011, for Cb and Cr, which are what a JPEG holds.
    """

    name = "grayscale"
    speed = 1
    by_default = False

    def measure(self, image: Image) -> float:
        """Return the degree, in [0, 1]."""
        where = _coloured(image)
        share = np.count_nonzero(where) / where.size
        return 1.0 / (1.0 + (share / _EVEN_SHARE) ** 2)

    def explain(self, image: Image) -> Explanation:
        """Show what has colour."""
        where = _coloured(image)
        told = (
            f"{where.mean():.1%} of the picture has colour; grayscale is below {_EVEN_SHARE:.1%}."
        )
        return Explanation(told, (Mask(where, "has colour", "other"),))


def _coloured(image: Image) -> NDArray[np.bool_]:
    """Where the picture has colour; shape (H, W), long side at most 64."""
    squares = cv2.LUT(cv2.cvtColor(image.pixels(_SIDE), cv2.COLOR_RGB2YCrCb), _SQUARES)
    return np.asarray(cv2.transform(squares, _CHROMA) > _NEUTRAL**2)
