"""Photos whose colour is unlike that of the others in their set: a slide among prints.

Iglewicz and Hoaglin (1993), "How to Detect and Handle Outliers", ASQC Quality Press: distances from
the median, in units of their own median, are not moved by the outliers that they are to find.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Comparison, Image, SetFilter
from qualipy_example_pack.chroma import chroma

NORMAL = 0.6745  # the median distance of a normal distribution, in standard deviations
LEAST = 2.0  # CIELAB units: what can just be seen is not odd, however alike the others are


class OddColor(SetFilter):
    """Photos whose mean colour is far from that of the set.

    The prediction is the distance of a photo's mean a* and b* from their medians over the set, as
    a number of (robust) standard deviations. A set of few photos has hardly anything to go by, and
    a set of two halves has none in the middle.

    Parameters
    ----------
    threshold : float
        The number of standard deviations above which a photo is positive; 3.5 is the paper's.
    """

    name = "odd_color"
    speed = 2
    threshold = 3.5

    def fingerprint(self, image: Image) -> NDArray[np.float32]:
        """Return the mean colour: one small array a photo, all that `compare` will know of it."""
        colors = chroma(image)
        return np.array([colors.mean_a, colors.mean_b], np.float32)

    def compare(self, fingerprints: NDArray[np.float32]) -> Comparison:
        """Return how far each of the photos is from the middle of all."""
        colors = fingerprints.astype(np.float64)
        away = np.linalg.norm(colors - np.median(colors, axis=0), axis=1)
        usual = max(float(np.median(away)), LEAST) / NORMAL
        return Comparison(away / usual)
