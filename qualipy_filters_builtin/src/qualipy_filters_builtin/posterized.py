"""Posterized: too few tones, so that gradients break into bands and patches.

A photo uses all the tones between its darkest and its brightest; a posterized one uses a handful.
JPEG noise and resampling blur that difference in the whole histogram, but not in the flat areas,
where they leave no more than a few levels. There the tones of a photo form a continuous stretch
and those of a posterized picture a set of points, and what tells a stretch from points is their
dimension: how much entropy one gains by looking at finer and finer bins.
"""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Explanation, Filter, Image
from qualipy_core.explanation import Chart, Mask, Series
from qualipy_filters_builtin.tones import TONES, flat_mask, flat_tone_histogram

_FINE, _COARSE = 4, 16
"""Widths of the bins, in levels: above JPEG noise, below the distance of ten to fifteen tones."""
_ENDS = 8
"""Tones this near to black or white are set aside: clipping makes peaks of its own there."""
_EVEN_DIMENSION = 0.77
"""The dimension with which the degree is 0.5 (tuned on labelled photos: balanced accuracy 0.99;
0.97 on palettes, level counts and colour spaces that it wasn't tuned on)."""
_FEWEST_PIXELS = 64
"""Fewer flat pixels say nothing about tones."""
_NOTHING = np.zeros(1)


class Posterized(Filter):
    """Photos with too few tones: posterization, banding, small palettes.

    A positive is made of patches of a few tones with steps between them, as posterize effects,
    palettes of about 16 colours or fewer and broken conversions leave it. The prediction is a
    degree in [0, 1]: about 0.1 for photos, 0.5 with some ten to sixteen tones, 1 with a few.

    Parameters
    ----------
    threshold : float
        The degree beyond which a photo is positive.
    invert_threshold : bool
        Flag the photos that are *not* posterized instead.
    comparison : str
        How the degree is compared with the threshold.

    Warnings
    --------
    It fails where nothing is flat (dithered or very fine patterns count as photos), and on
    palettes whose colours have many different tones. Drawings and logos are posterized by nature.
    JPEG quality below about 15 makes bands of its own.

    Notes
    -----
    In the pixels whose 3 × 3 neighbourhood is almost constant, the tones' Rényi entropy of order
    1/2 (which sees rare tones as well, so that one plain background doesn't make a photo
    posterized) is taken over bins of 16 and of 4 tones. The difference over log 4 is an
    information dimension *d*: 1 for a continuous stretch, 0 for points. The degree is
    ``(1 - d) / 0.46``, cut at 1.

    References
    ----------
    A. Rényi, "On measures of entropy and information", Proc. 4th Berkeley Symposium on Mathematical
    Statistics and Probability, vol. 1, 1961, pp. 547–561.
    """

    name = "posterized"
    speed = 1

    def measure(self, image: Image) -> float:
        """Return the degree, in [0, 1]."""
        dimension = _tone_dimension(flat_tone_histogram(image))
        return min(max((1.0 - dimension) / (2.0 * (1.0 - _EVEN_DIMENSION)), 0.0), 1.0)

    def explain(self, image: Image) -> Explanation:
        """Show the flat areas, and which tones they are made of."""
        counts, flat = flat_tone_histogram(image), flat_mask(image) > 0
        judged = _judged(counts)
        if judged is None:
            told = f"{flat.mean():.0%} of the photo is flat, too few tones or pixels to be judged."
        else:
            tones = float(np.exp(_entropy(judged, _FINE)))
            told = (
                f"The flat areas, {flat.mean():.0%} of the photo, are made of about {tones:.0f} of "
                f"{TONES // _FINE} tones; their dimension is {_tone_dimension(counts):.2f}, where "
                f"1 is a continuous stretch, 0 separate points and {_EVEN_DIMENSION} the limit."
            )
        histogram = Chart(
            "tones of the flat areas: separate peaks, or a stretch?",
            (Series(np.arange(TONES), 100 * counts / max(counts.sum(), 1.0), kind="area"),),
            x_label="tone, 0 black … 255 white",
            y_label="% of the flat areas",
        )
        return Explanation(told, (Mask(flat, "flat areas, whose tones count"),), (histogram,))


def _tone_dimension(counts: NDArray[np.float64]) -> float:
    """The information dimension of a histogram of 256 tones: 0 points … 1 continuous."""
    judged = _judged(counts)
    if judged is None:
        return 1.0
    # Of two entropies of the same pixels: how many these are cancels out.
    up_to = _up_to(judged)
    ratios = _roots(up_to, _FINE) / _roots(up_to, _COARSE)
    return 2 * float(np.log(ratios).mean()) / log(_COARSE / _FINE)


def _judged(counts: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The pixels of each tone that is judged; None when there are none to be told apart."""
    whole = float(counts.sum())
    between = counts.copy()
    between[:_ENDS] = between[-_ENDS:] = 0
    total = float(between.sum())
    if total < max(_FEWEST_PIXELS, 0.02 * whole):
        between, total = counts, whole  # nothing but black and white
    used = (between > 0.001 * total).nonzero()[0]
    if total < _FEWEST_PIXELS or used[-1] - used[0] < _COARSE:
        return None  # nothing flat, or a plain area
    return between


def _entropy(counts: NDArray[np.float64], width: int) -> float:
    """Rényi entropy of order 1/2, in nats, over bins of `width` tones.

    Averaged over four positions of the bins, for where they begin is arbitrary.
    """
    return float(np.log(_roots(_up_to(counts), width) ** 2 / counts.sum()).mean())


def _up_to(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many pixels are of a lower tone, for each; beyond the last it begins anew."""
    return np.concatenate((_NOTHING, counts, counts[:_COARSE])).cumsum()


def _roots(up_to: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """The sums of the roots of bins of `width` tones, for four positions of the bins."""
    step, number = width // 4, 4 * TONES // width
    # A bin is a difference of two sums from the start; whole numbers, so that it is exact.
    bins = up_to[width::step][:number] - up_to[::step][:number]
    return np.asarray(np.add.reduce(np.sqrt(bins).reshape(-1, 4)))
