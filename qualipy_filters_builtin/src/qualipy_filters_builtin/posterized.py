"""Posterized: too few tones, so that gradients break into bands and patches.

A photo uses all the tones between its darkest and its brightest; a posterized one uses a handful.
JPEG noise and resampling blur that difference in the whole histogram, but not in the flat areas,
where they leave no more than a few levels. There the tones of a photo form a continuous stretch
and those of a posterized picture a set of points, and what tells a stretch from points is their
dimension: how much entropy one gains by looking at finer and finer bins.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Filter, Image
from qualipy_filters_builtin.tones import TONES, flat_tone_histogram

_FINE, _COARSE = 4, 16
"""Widths of the bins, in levels: above JPEG noise, below the distance of ten to fifteen tones."""
_ENDS = 8
"""Tones this near to black or white are set aside: clipping makes peaks of its own there."""
_EVEN_DIMENSION = 0.77
"""The dimension with which the degree is 0.5 (tuned on labelled photos: balanced accuracy 0.99;
0.97 on palettes, level counts and colour spaces that it wasn't tuned on)."""
_FEWEST_PIXELS = 64
"""Fewer flat pixels say nothing about tones."""


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

    Notes
    -----
    In the pixels whose 3 × 3 neighbourhood is almost constant, the tones' Rényi entropy of order
    1/2 (which sees rare tones as well, so that one plain background doesn't make a photo
    posterized) is taken over bins of 16 and of 4 tones. The difference over log 4 is an
    information dimension *d*: 1 for a continuous stretch, 0 for points. The degree is
    ``(1 - d) / 0.46``, cut at 1.

    It fails where nothing is flat (dithered or very fine patterns count as photos), and on
    palettes whose colours have many different tones. Drawings and logos are posterized by nature.
    JPEG quality below about 15 makes bands of its own.

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


def _tone_dimension(counts: NDArray[np.float64]) -> float:
    """The information dimension of a histogram of 256 tones: 0 points … 1 continuous."""
    between = counts.copy()
    between[:_ENDS] = between[-_ENDS:] = 0.0
    if between.sum() < max(_FEWEST_PIXELS, 0.02 * counts.sum()):
        between = counts  # nothing but black and white
    used = np.flatnonzero(between > 0.001 * between.sum())
    if between.sum() < _FEWEST_PIXELS or used[-1] - used[0] < _COARSE:
        return 1.0  # nothing flat, or a plain area: no tones to be told apart
    shares = between / between.sum()
    gain = _entropy(shares, _FINE) - _entropy(shares, _COARSE)
    return gain / float(np.log(_COARSE / _FINE))


def _entropy(shares: NDArray[np.float64], width: int) -> float:
    """Rényi entropy of order 1/2, in nats, over bins of `width` tones.

    Averaged over four positions of the bins, for where they begin is arbitrary.
    """
    shifts = range(0, width, width // 4)
    bins = np.stack([np.roll(shares, shift).reshape(TONES // width, width) for shift in shifts])
    return float(np.mean(2.0 * np.log(np.sqrt(bins.sum(axis=2)).sum(axis=1))))
