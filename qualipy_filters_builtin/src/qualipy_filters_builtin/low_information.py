"""Low information: pictures with nothing to see, of one tone, a gradient or noise.

What can be seen stands out from its surroundings, and more than noise does. Noise is told by what
becomes of it when a picture is halved: four pixels that have nothing to do with each other average
to a quarter of their variance, while shapes keep theirs. So a plain wall, an empty sky and a lens
cap have nothing to see however noisy they are (and however high the entropy of their tones), and a
line on white paper has something (however low).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Explanation, Filter, Image, derived, gray
from qualipy_core.explanation import Mask
from qualipy_core.opencv import cv2

_SIDE = 64
"""The long side, in pixels, at which shapes are looked for; noise is looked for at twice that."""
_AROUND, _TWICE_AROUND = 5, 9
"""The surroundings in pixels, at either size."""
_NOISE_KEPT = 0.5
"""The variance that noise may keep when the picture is halved: 0.25 on average, but a few pixels
scatter, and a JPEG's noise is wider than one (tuned: 0.4 … 0.6)."""
_LEAST_CONTRAST = 1.6
"""Levels of luma by which something must stand out, as a standard deviation (tuned)."""
_EVEN_SHARE = 0.022
"""The share of the picture that stands out with which the degree is 0.5 (tuned): a small logo or a
thing that is 4 % of the picture is above 0.05, noise below 0.01."""


class LowInformation(Filter):
    """Pictures with nothing to see: one tone, a gradient, noise, an empty page.

    A positive is a lens cap, a plain wall or sky, a blank scan, a failed render, with whatever
    noise, shading and specks of dust. A page of text, a drawing and a logo on a plain ground are
    no positives, nor is a photo in fog. The prediction is a degree in [0, 1]: 1 is nothing, 0.5 a
    picture of which 2.2 % stands out from its surroundings, 0.04 of which 11 % does.

    Parameters
    ----------
    threshold : float
        The degree beyond which a photo is positive.
    invert_threshold : bool
        Flag the pictures that *have* something to see instead.
    comparison : str
        How the degree is compared with the threshold.

    Warnings
    --------
    Coarse noise, of several pixels a grain in a small picture, counts as shapes. What differs from
    its ground in hue alone, a single bird or star in the sky, and textures finer than a hundredth
    of the picture count as nothing.

    Notes
    -----
    At a long side of 64 pixels, with *v* the variance of the luma within 5 × 5 pixels of the
    difference from the mean of 5 × 5 pixels, and *w* the same within the same area at 128 pixels,
    something stands out where ``sqrt(v - 0.5 w) > 1.6``. With the share *s* of the picture where it
    does, the degree is ``1 / (1 + (s / 0.022)**2)``.

    References
    ----------
    On what of an image is noise by its behaviour over scales: D. J. Field, "Relations between the
    statistics of natural images and the response properties of cortical cells", J. Opt. Soc. Am. A
    4, 1987, doi:10.1364/JOSAA.4.002379: the contrast of natural images is alike in all octaves.
    """

    name = "low_information"
    speed = 1
    by_default = False

    def measure(self, image: Image) -> float:
        """Return the degree, in [0, 1]."""
        where = _standing_out(image)
        share = np.count_nonzero(where) / where.size
        return 1.0 / (1.0 + (share / _EVEN_SHARE) ** 2)

    def explain(self, image: Image) -> Explanation:
        """Show what stands out from its surroundings."""
        where = _standing_out(image)
        told = (
            f"{where.mean():.1%} of the picture stands out from its surroundings, more than "
            f"noise; low information is below {_EVEN_SHARE:.1%}."
        )
        return Explanation(told, (Mask(where, "stands out", "other"),))


@derived
def _standing_out(image: Image) -> NDArray[np.bool_]:
    """Where something stands out from its surroundings; shape (H, W), long side at most 64."""
    small, large = gray(image, _SIDE), gray(image, 2 * _SIDE)
    fine = _contrast(large, _TWICE_AROUND)
    # A picture that is not larger than this holds no finer level: nothing can be called noise.
    noise: NDArray[Any] = np.zeros(small.shape, np.float32)
    if large.shape != small.shape:
        noise = _mean(cv2.resize(fine, small.shape[::-1], interpolation=cv2.INTER_AREA), _AROUND)
    variance = _mean(_contrast(small, _AROUND), _AROUND)
    return np.asarray(variance - _NOISE_KEPT * noise > _LEAST_CONTRAST**2)


def _contrast(luma: NDArray[np.uint8], around: int) -> NDArray[Any]:
    """The squared difference of each pixel from the mean of its surroundings."""
    mean = cv2.boxFilter(luma, cv2.CV_32F, (around, around))
    difference = np.subtract(luma, mean, out=mean)
    return np.multiply(difference, difference, out=difference)


def _mean(values: Any, around: int) -> NDArray[Any]:
    return np.asarray(cv2.blur(values, (around, around)))
