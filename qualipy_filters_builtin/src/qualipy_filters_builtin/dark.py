"""Dark: photos in which almost nothing can be made out, for they are black.

The measure is the share of the picture that is bright enough to be seen. It is taken where a
picture has 128 pixels along its long side: there a sensor's noise has averaged out, and a grain of
it is no light. It is a share rather than an average or a high percentile, since one lamp makes an
average, and two make a percentile, while the room around it stays black; and a face, a product or
a street of lit windows is something to see, however black the rest.
"""

from __future__ import annotations

import numpy as np

from qualipy_core import Explanation, Filter, Image, gray
from qualipy_core.explanation import Mask
from qualipy_core.opencv import cv2

_SIDE = 128
"""The long side, in pixels, at which light is looked for."""
_BLACK, _SEEN = 40, 60
"""Tones up to which nothing is seen on a display in a lit room, and from which all is (tuned)."""
_EVEN_SHARE = 0.061
"""The share that is seen with which the degree is 0.5: above a lamp and its glow (0.01 … 0.05),
below a lit subject of a tenth of the picture (tuned)."""

_SEEING = np.clip((np.arange(256) - _BLACK) / (_SEEN - _BLACK), 0, 1) * 255
_SEEING_TABLE = np.rint(_SEEING).astype(np.uint8)


class Dark(Filter):
    """Photos so dark that almost nothing can be made out.

    A positive was taken with the lens covered, at night without light, or far too briefly; a lone
    lamp, a little moon or a row of stars changes nothing about it. Low-key portraits, things on
    black, silhouettes and cities at night are no positives: something is seen. The prediction is a
    degree in [0, 1]: 1 is black, 0.5 a picture of which 6 % can be seen, 0.1 of which 18 % can.

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
    A small subject in the dark (the full moon, a candle) is a lamp to it. A photo two or three
    stops too dark shows all that is in it, and passes: that is for `exposure`.

    Notes
    -----
    The share *v* of the picture that is seen, at a long side of 128 pixels, a pixel counting
    nothing up to a luma of 40, fully from 60, and in between in proportion. The degree is
    ``1 / (1 + (v / 0.061)**2)``.

    References
    ----------
    IEC 61966-2-1:1999 (sRGB), for what a tone is in light: 40 is 2 per cent of white, 60 is 4.5,
    and a display in a lit room reflects about as much by itself.
    """

    name = "dark"
    speed = 1
    by_default = False

    def measure(self, image: Image) -> float:
        """Return the degree, in [0, 1]."""
        return 1.0 / (1.0 + (_seen(image) / _EVEN_SHARE) ** 2)

    def explain(self, image: Image) -> Explanation:
        """Show what is bright enough to be seen."""
        told = (
            f"{_seen(image):.1%} of the photo is bright enough to be seen; dark is below "
            f"{_EVEN_SHARE:.0%}."
        )
        where = gray(image, _SIDE) >= (_BLACK + _SEEN) // 2
        return Explanation(told, (Mask(where, "bright enough to be seen", "other"),))


def _seen(image: Image) -> float:
    """The share of the picture that is bright enough to be seen."""
    return float(cv2.mean(cv2.LUT(gray(image, _SIDE), _SEEING_TABLE))[0]) / 255.0
