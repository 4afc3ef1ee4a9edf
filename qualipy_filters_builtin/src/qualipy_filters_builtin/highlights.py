"""Highlights: a contiguous area that is blown out, as the sun, a lamp or a spotlight leaves it.

The measure: pixels in which every channel is at its upper end hold no detail any more. They are
grouped into connected regions, and the largest region's share of the picture is compared with a
share that one still sees at a glance. Glints and specks of the same total area stay below it, for
each is a region of its own.
"""

from __future__ import annotations

import numpy as np

from qualipy_core import Filter, Image
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

    Notes
    -----
    White by nature looks like white by light: paper, a product shot on pure white and the white
    frame of a photo count. A lamp that is blown in red and green alone (a candle, neon) doesn't.
    On labelled photos the balanced accuracy is above 0.99.
    """

    name = "highlights"
    speed = 1

    def measure(self, image: Image) -> float:
        """Return the degree, in [0, 1)."""
        share = _largest_region(image)
        return share / (share + _EVEN_SHARE)


def _largest_region(image: Image) -> float:
    """The share of the picture that its largest blown region covers (8-connected)."""
    mask = blown_mask(image)
    left, top, width, height = cv2.boundingRect(mask)
    if width == 0:
        return 0.0
    # Mostly a small part of the picture: no need to label the rest.
    blown = mask[top : top + height, left : left + width]
    _, labels = cv2.connectedComponents(blown, connectivity=8)
    return float(np.bincount(labels.ravel())[1:].max()) / mask.size
