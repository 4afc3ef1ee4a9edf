"""Unconventional size: a picture much longer than it is wide, or wider than it is long.

The measure is plain geometry: the long side over the short side. Cameras, phones and screens stay
within 4:3, 3:2 and 16:9; panoramas, banners, strips and screenshots of chats go beyond.
"""

from __future__ import annotations

import numpy as np

from qualipy_core import Explanation, Filter, Image
from qualipy_core.explanation import Lines, Mask

WIDEST_USUAL = 16 / 9
_NEXT_WIDER = 1.85
"""The next common format beyond 16:9 is the cinema's 1.85:1: what lies nearer to it is no 16:9."""
_CELLS = 512  # along the picture, of what is shown to lie beyond


class UnconventionalSize(Filter):
    """Photos whose sides are in a ratio beyond 16:9, either way.

    A positive is a panorama, a banner, a strip, a tall screenshot. The prediction is the ratio
    itself: 1 is a square, 1.5 a 35-mm frame, 2.35 a cinema frame; upright or lying makes no
    difference. Only the header of the file is read.

    Parameters
    ----------
    threshold : float
        The ratio of the long to the short side beyond which a photo is positive.
    invert_threshold : bool
        Flag the photos *within* the ratio instead.
    comparison : str
        How the ratio is compared with the threshold.

    Warnings
    --------
    It looks at the shape alone: a panorama that was cut to 16:9 passes, and so does a photo with
    bars that fill it up to 16:9.

    Notes
    -----
    Pixels are whole: scaling a 16:9 photo to a width of 640 may give 640 × 360 or 640 × 359, and
    the latter's ratio is 1.783. A size that a 16:9 picture can have after both its sides were
    rounded, up or down, therefore counts as exactly 16:9 (provided that it isn't nearer to 1.85:1,
    which matters for thumbnails alone).

    References
    ----------
    Plain geometry. The format 16:9 is that of ITU-R BT.709.
    """

    name = "unconventional_size"
    speed = 1
    threshold = WIDEST_USUAL

    def measure(self, image: Image) -> float:
        """Return long side / short side, in [1, inf)."""
        short, long = sorted(image.size)
        ratio = long / short
        if WIDEST_USUAL < ratio < (WIDEST_USUAL + _NEXT_WIDER) / 2 and _rounded_16_9(long, short):
            return WIDEST_USUAL
        return ratio

    def explain(self, image: Image) -> Explanation:
        """Show how much of the picture lies within the longest shape that passes."""
        base: Filter = self
        ratio, limit = self.measure(image), max(base.threshold, 1.0)
        wide = image.width >= image.height
        way = "wide as tall" if wide else "tall as wide"
        summary = (
            f"The photo is {image.width:,} × {image.height:,} pixels, {ratio:.2f} times as {way}; "
            f"16:9, the longest usual shape, is {WIDEST_USUAL:.2f} times."
        )
        if ratio <= limit:
            return Explanation(summary)
        first, last = (1 - limit / ratio) / 2, (1 + limit / ratio) / 2
        places = (np.arange(_CELLS) + 0.5) / _CELLS
        beyond = ((places < first) | (places > last))[None]
        ends = [np.array([[place, 0], [place, 1]]) for place in (first, last)]
        if not wide:
            beyond, ends = beyond.T, [line[:, ::-1] for line in ends]
        layers = (
            Mask(beyond, "beyond"),
            Lines(tuple(ends), f"a photo {limit:.2f} times as {way} would end here", "reference"),
        )
        return Explanation(summary, layers)


def _rounded_16_9(long: int, short: int) -> bool:
    """Whether some 16:9 rectangle has both its sides less than one pixel away from these."""
    # A rectangle 16 k × 9 k with |16 k - long| < 1 and |9 k - short| < 1, in whole numbers.
    return abs(9 * long - 16 * short) < 9 + 16
