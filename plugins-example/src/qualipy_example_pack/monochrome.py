"""Photos in shades of a single hue: black and white, sepia, duotone with black."""

from __future__ import annotations

from qualipy_core import Filter, Image
from qualipy_example_pack.chroma import chroma

VISIBLE = 2.0  # CIELAB units: a difference that can just be seen side by side


class Monochrome(Filter):
    """Photos in black and white, or in shades of one hue such as sepia.

    The prediction is ``1 / (1 + (d / 2)²)``, where *d* is how far the colours lie, root mean
    square in CIELAB units, from those of a single hue: 1 for greys, 0.5 where other hues can just
    be seen, near 0 for an ordinary colour photo. A colour photo of something grey, such as fog or
    snow, is positive; black and white with one object in colour is not.

    Parameters
    ----------
    threshold : float
        The prediction above which a photo is positive.
    """

    name = "monochrome"
    speed = 2

    def measure(self, image: Image) -> float:
        """Return how near the colours are to those of a single hue, in (0, 1]."""
        return 1.0 / (1.0 + (chroma(image).off_hue / VISIBLE) ** 2)
