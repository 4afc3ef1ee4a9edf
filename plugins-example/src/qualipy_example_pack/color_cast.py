"""Photos with a colour cast: all colours pushed to one side.

Gasparini and Schettini (2004), "Color balancing of digital photos using simple image statistics",
Pattern Recognition 37(6), doi:10.1016/j.patcog.2003.12.007: with a cast, the colours form one
compact cloud in the a*b* plane of CIELAB, far from the neutral point.
"""

from __future__ import annotations

from qualipy_core import Filter, Image
from qualipy_example_pack.chroma import chroma


class ColorCast(Filter):
    """Photos with a colour cast, from wrong white balance or coloured light.

    The prediction is ``distance / (distance + spread)``: the distance of the mean colour from
    neutral grey against the spread of the colours about their mean. 0 is balanced, 0.5 means that
    both are alike, 1 is a flat colour; casts weaker than `visible` are scaled down to nothing.
    The default threshold is where the paper sees a cast for certain: the distance is 2.5 times the
    spread. A photo *of* one colour, such as a meadow or a sunset, measures as a cast too, and so
    does a sepia one.

    Parameters
    ----------
    threshold : float
        The prediction above which a photo is positive.
    visible : float
        The distance from neutral grey, in CIELAB units, from which a cast counts in full. A
        difference of about 2 can just be seen side by side.
    """

    name = "color_cast"
    speed = 2
    threshold = 2.5 / 3.5  # another default for an inherited parameter: no annotation
    visible: float = 8.0  # a parameter of its own: annotated, with a default

    def measure(self, image: Image) -> float:
        """Return the degree of the cast, in [0, 1]."""
        colors = chroma(image)
        if colors.cast < 1e-3:  # a grey picture, but for rounding
            return 0.0
        weight = min(1.0, colors.cast / self.visible) if self.visible > 0 else 1.0
        return weight * colors.cast / (colors.cast + colors.spread)
