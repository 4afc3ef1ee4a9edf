"""Odd size: photos whose size or shape is far from what is usual in the set.

Far is meant twice: from the sizes of other photos, and against how much sizes vary in the set. A
size that a tenth of the set shares is usual, however many other sizes there are: photos from two
cameras are no outliers of each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Comparison, Image, SetFilter

SMALLEST_SET = 5
"""In fewer photos no size is usual."""
_USUAL_SHARE = 0.1
_DEVIATIONS = 3.0
"""So many standard deviations away is far (Leys et al. 2013, doi:10.1016/j.jesp.2013.03.013)."""
_MAD_TO_DEVIATION = 1.4826  # of a normal distribution
_LEAST_SCALE = np.log(2.0)
"""A side twice as long or half as long is never nearer than this: below, sizes are alike."""
_LEAST_STRETCH = np.log(1.7)
"""The same of the shape: 16:9 among 4:3 is usual, 3:1 is not, nor is 16:9 among squares."""

Floats = NDArray[np.float64]


class OddSize(SetFilter):
    """Photos whose size is far from that of the set's: thumbnails, banners, giants.

    The prediction is 0 for a size that is usual in the set, 0.5 at the limit and tends to 1 beyond:
    ``d / (d + limit)``, where d is the distance to the nearest sizes that a tenth of the set has.
    The limit is a factor of 2 in the mean side or of 1.7 in the ratio of the sides; where the
    set's sizes vary much, it is three standard deviations, if that is more. Upright and lying
    photos of one size are alike. In sets of fewer than five photos nothing is odd.

    Parameters
    ----------
    threshold : float
        The prediction beyond which a photo is positive.
    invert_threshold : bool
        Flag the photos of usual sizes instead.
    comparison : str
        How the prediction is compared with the threshold.

    Notes
    -----
    Two distances are taken and the more striking one counts: of the logarithm of the mean side,
    ``ln sqrt(w h)``, and of the logarithm of the ratio, ``ln(long / short)``. Each is the distance
    to the k-th nearest other photo, k being a tenth of the set. The standard deviation is that of
    the median absolute deviation, which the outliers themselves can't raise (Leys, Ley, Klein,
    Bernard & Licata 2013, doi:10.1016/j.jesp.2013.03.013).

    Only headers are read.

    Warnings
    --------
    A set of many different sizes has no odd one but the extremes.

    References
    ----------
    Leys, Ley, Klein, Bernard & Licata 2013, "Detecting outliers: Do not use standard deviation
    around the mean, use absolute deviation around the median", doi:10.1016/j.jesp.2013.03.013.
    """

    name = "odd_size"
    speed = 1

    def fingerprint(self, image: Image) -> NDArray[np.uint32]:
        """Return width and height, in pixels."""
        return np.array(image.size, dtype=np.uint32)

    def compare(self, fingerprints: NDArray[Any]) -> Comparison:
        """Return how odd each size is, in [0, 1)."""
        if len(fingerprints) < SMALLEST_SET:
            return Comparison(np.zeros(len(fingerprints)))
        sides = np.log(fingerprints.astype(np.float64))
        scale = _oddness(sides.mean(axis=1), _LEAST_SCALE)
        shape = _oddness(np.abs(sides[:, 0] - sides[:, 1]), _LEAST_STRETCH)
        odd = np.maximum(scale, shape)
        return Comparison(odd / (odd + 1.0))


def _oddness(values: Floats, least: float) -> Floats:
    """How far each value is from the usual ones; 1 at the limit."""
    spread = float(np.median(np.abs(values - np.median(values))))
    limit = max(_DEVIATIONS * _MAD_TO_DEVIATION * spread, least)
    return _to_usual(values, max(int(_USUAL_SHARE * len(values)), 1)) / limit


def _to_usual(values: Floats, count: int) -> Floats:
    """The distance of each value to the count-th nearest other one."""
    distinct, place = np.unique(values, return_inverse=True)
    order = np.sort(values)
    # The least distance within which there are that many others, found by bisection.
    low, high = np.zeros(len(distinct)), np.full(len(distinct), order[-1] - order[0])
    for _ in range(60):
        middle = (low + high) / 2
        within = np.searchsorted(order, distinct + middle, side="right")
        within -= np.searchsorted(order, distinct - middle, side="left")
        enough = within > count
        high, low = np.where(enough, middle, high), np.where(enough, low, middle)
    shared = np.searchsorted(order, distinct, "right") - np.searchsorted(order, distinct) > count
    high[shared] = 0.0
    return np.asarray(high[place.reshape(-1)], dtype=np.float64)
