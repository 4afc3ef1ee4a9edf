"""Object too small: what the photo is of takes up little of it.

How much of the picture the salient object covers is estimated twice from where saliency is, and
the estimates are combined, because each is deceived by other backgrounds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Explanation, Filter, Image
from qualipy_core.explanation import Boxes, Mask
from qualipy_filters_builtin.saliency import (
    BARRIER,
    GRID,
    object_mask,
    region_boxes,
    saliency_cells,
    saliency_heat,
    saliency_map,
)

_SHARE_EXPONENT = 0.9
"""Puts the boundary between the labelled photos at a share of 0.05 (tuned: balanced accuracy
0.92 there, area under the ROC curve 0.98)."""


class ObjectTooSmall(Filter):
    """Photos whose salient object is small.

    A positive shows its subject from so far away that it covers no more than a few per cent of the
    picture. The prediction is the object's share of the area in [0, 1], and a photo is positive
    when it is *below* the threshold.

    Parameters
    ----------
    threshold : float
        The share of the area below which an object is too small.
    invert_threshold : bool
        Flag the photos whose object is *large* instead.
    comparison : str
        How the share is compared with the threshold; ``"<"`` by default.
    is_saliency_map : bool
        The picture already is a saliency map or an object mask, objects bright: the share of the
        bright part is then counted exactly.

    Warnings
    --------
    It fails where the background is what stands out (a bright stretch of sky, the line where snow
    and forest meet), and sees large objects as small when only a part of them differs from their
    surroundings. A photo with nothing in it (flat, fog) has a share of 0 or near it.

    Notes
    -----
    Two numbers estimate the share: the part of the saliency map above half of its maximum, and
    the mean of the minimum barrier distance relative to its maximum. Both are too large for small
    objects, about as the square root, since saliency spreads over what surrounds them; so the
    prediction is their product to the power 0.9.

    References
    ----------
    J. Zhang, S. Sclaroff, Z. Lin, X. Shen, B. Price, R. Měch, "Minimum barrier salient object
    detection at 80 FPS", ICCV 2015, doi:10.1109/ICCV.2015.165.
    """

    name = "object_too_small"
    speed = 5
    threshold = 0.05
    comparison = "<"
    is_saliency_map: bool = False

    def measure(self, image: Image) -> float:
        """Return the object's share of the area, in [0, 1]."""
        if self.is_saliency_map:
            return float(object_mask(image).mean())
        salient = _salient(image)
        distant = float(saliency_cells(image)[BARRIER].sum()) / GRID**2
        share = np.count_nonzero(salient) / salient.size
        return (share * distant) ** _SHARE_EXPONENT

    def explain(self, image: Image) -> Explanation:
        """Show the saliency map, and boxes around the part that is taken for the object."""
        base: Filter = self
        share = self.measure(image)
        if self.is_saliency_map:
            summary = f"The bright part of the map covers {share:.1%} of it."
            return Explanation(summary, (Mask(object_mask(image), "the object"),))
        salient = _salient(image)
        summary = (
            f"The object is estimated at {share:.1%} of the photo ({base.threshold:.1%} is the "
            f"limit): {salient.mean():.1%} is more than half as salient as the most salient place."
        )
        label = "more than half of the greatest saliency"
        layers = (
            saliency_heat(image),
            Boxes(region_boxes(salient), label),
        )
        return Explanation(summary, layers)


def _salient(image: Image) -> NDArray[np.bool_]:
    """The part of the saliency map above half of its maximum."""
    saliency = saliency_map(image)
    return np.asarray(saliency > 0.5 * saliency.max())
