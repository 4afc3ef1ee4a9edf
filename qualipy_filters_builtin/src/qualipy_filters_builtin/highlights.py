"""Highlights: a contiguous area that is blown out, as the sun, a lamp or a spotlight leaves it.

The measure: pixels in which every channel is at its upper end hold no detail any more. They are
grouped into connected regions, and the largest region's share of the picture is compared with a
share that one still sees at a glance. Glints and specks of the same total area stay below it, for
each is a region of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Explanation, Filter, Image, derived
from qualipy_core.explanation import Mask
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.tones import blown_mask

_EVEN_SHARE = 4e-4
"""The share of the picture at which the degree is 0.5: a spot of 2 % of the picture's side. On
labelled photos the largest blown region is below 0.0001 without and above 0.001 with highlights."""


class Highlights(Filter):
    """Photos with a contiguous blown-out area: the sun, a lamp, a spotlight, a white sky.

    A positive has a region of pure white that is large enough to be seen. The prediction is a
    degree in [0, 1]: with the largest region's share of the picture *s*, it is
    ``s / (s + 0.0004)``; 0 means no blown pixel, 0.5 a spot about 2 % as wide as the picture, 0.96
    one per cent of the area.

    Parameters
    ----------
    threshold : float
        The degree beyond which a photo is positive.
    invert_threshold : bool
        Flag the photos *without* highlights instead.
    comparison : str
        How the degree is compared with the threshold.

    Warnings
    --------
    White by nature looks like white by light: paper, a product shot on pure white and the white
    frame of a photo count. A lamp that is blown in red and green alone (a candle, neon) doesn't.

    Notes
    -----
    A pixel is blown where every channel is at its upper end. Blown pixels that touch, diagonally
    too, are one region, and the largest region counts alone, so that glints and specks of the same
    total area stay below it. On labelled photos the balanced accuracy is above 0.99.

    References
    ----------
    Connected regions: Rosenfeld & Pfaltz 1966, "Sequential operations in digital picture
    processing", doi:10.1145/321356.321357.
    """

    name = "highlights"
    speed = 1

    def measure(self, image: Image) -> float:
        """Return the degree, in [0, 1)."""
        share = _regions(image).largest_share
        return share / (share + _EVEN_SHARE)

    def explain(self, image: Image) -> Explanation:
        """Show the largest blown region, and the others."""
        regions, mask = _regions(image), blown_mask(image)
        largest = np.zeros(mask.shape, np.bool_)
        if regions.sizes.size:
            box = (slice(regions.top, None), slice(regions.left, None))
            inside = regions.labels == regions.sizes.argmax() + 1
            largest[box][: inside.shape[0], : inside.shape[1]] = inside
        others = (mask > 0) & ~largest
        count = len(regions.sizes)
        summary = (
            f"The largest of {count:,} blown-out region{'s' if count != 1 else ''} covers "
            f"{regions.largest_share:.2%} of the photo; {_EVEN_SHARE:.2%} is where the degree is "
            "0.5."
            if count
            else "No pixel is blown out in all three channels."
        )
        layers = (
            Mask(others, "blown out as well, but smaller", role="other"),
            Mask(largest, "the largest blown-out region"),
        )
        return Explanation(summary, layers)


class _Regions(NamedTuple):
    """The blown regions, numbered from 1 in the part of the picture that holds them all."""

    labels: NDArray[np.int32]
    top: int
    left: int
    sizes: NDArray[np.intp]  # in pixels
    largest_share: float  # of the picture


@derived
def _regions(image: Image) -> _Regions:
    """The blown regions of a picture (8-connected)."""
    mask = blown_mask(image)
    left, top, width, height = cv2.boundingRect(mask)
    if width == 0:
        return _Regions(np.zeros((0, 0), np.int32), 0, 0, np.zeros(0, np.intp), 0.0)
    # Mostly a small part of the picture: no need to label the rest.
    blown = mask[top : top + height, left : left + width]
    _, labels = cv2.connectedComponents(blown, connectivity=8)
    sizes = np.bincount(labels.ravel())[1:]
    return _Regions(np.asarray(labels), top, left, sizes, float(sizes.max()) / mask.size)
