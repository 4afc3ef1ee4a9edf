"""Photos with a colour cast: all colours pushed to one side.

Gasparini and Schettini (2004), "Color balancing of digital photos using simple image statistics",
Pattern Recognition 37(6), doi:10.1016/j.patcog.2003.12.007: with a cast, the colours form one
compact cloud in the a*b* plane of CIELAB, far from the neutral point.
"""

from __future__ import annotations

import numpy as np

from qualipy_core import Explanation, Filter, Image
from qualipy_core.explanation import HeatMap
from qualipy_example_pack.chroma import chroma, colors

STRONG = 40.0  # CIELAB units from grey: what ends the scale of the map


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
        found = chroma(image)
        if found.cast < 1e-3:  # a grey picture, but for rounding
            return 0.0
        weight = min(1.0, found.cast / self.visible) if self.visible > 0 else 1.0
        return weight * found.cast / (found.cast + found.spread)

    def explain(self, image: Image) -> Explanation:
        """Show how far every pixel's colour is from grey."""
        found = chroma(image)  # what `measure` looks at, so that the two cannot disagree
        away = np.linalg.norm(colors(image), axis=2) / STRONG
        return Explanation(
            f"The mean colour is {found.cast:.0f} CIELAB units from grey, and colours lie "
            f"{found.spread:.0f} from it.",
            layers=(HeatMap(np.clip(away, 0, 1), "distance from grey", "grey", "coloured"),),
        )
