"""Multiple salient regions: the photo has no single subject.

The saliency map is cut at several heights, as a flood would cut a landscape: one subject stays one
island, several become several, at one height or another.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Filter, Image
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.saliency import (
    object_mask,
    region_weights,
    saliency_map,
    second_to_first,
)

_HEIGHTS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # of the saliency map's maximum
_BLUR = 0.7  # cells: single cells are no regions
_NO_REGION = 0.05
"""A saliency map whose maximum is below this shows nothing."""

_SEPARATION, _BREADTH, _SHARE, _BIAS = 4.57, 0.67, 3.94, -2.23
"""Logistic regression on 69 labelled photos (cross-validated: balanced accuracy 0.79, area under
the ROC curve 0.85)."""

_EVEN_RATIO = 0.15
"""In a given saliency map: a second region of this share of the first counts as another subject
by half."""


class MultipleSalientRegions(Filter):
    """Photos with more than one salient region.

    A positive shows several subjects, so that the eye has no one place to go: animals side by side,
    people apart from each other. The prediction is a degree in [0, 1].

    Parameters
    ----------
    threshold : float
        The degree beyond which a photo is positive.
    invert_threshold : bool
        Flag the photos that do *not* have several regions instead.
    comparison : str
        How the degree is compared with the threshold.
    is_saliency_map : bool
        The picture already is a saliency map or an object mask, objects bright: the degree then
        is r / (r + 0.15), with r the second largest region's area over the largest's.

    Notes
    -----
    A logistic model of three measurements of the saliency map: *separation*, the root of the second
    largest region's weight over the largest's, averaged over six heights at which the map is cut;
    *breadth*, the logarithm of the map's horizontal over its vertical variance, for groups spread
    sideways; and the mean saliency.

    Subjects that touch or overlap look like one to it unless they lie side by side, and one subject
    whose parts differ (a white head on a dark body, a reflection) may look like several.

    References
    ----------
    The saliency map is described in `qualipy_filters_builtin.saliency`.
    """

    name = "multiple_salient_regions"
    speed = 5
    is_saliency_map: bool = False

    def measure(self, image: Image) -> float:
        """Return the degree, in [0, 1]."""
        if self.is_saliency_map:
            ratio = second_to_first(region_weights(object_mask(image)))
            return ratio / (ratio + _EVEN_RATIO)
        saliency = saliency_map(image)
        smooth = cv2.GaussianBlur(saliency, (0, 0), _BLUR).astype(np.float32, copy=False)
        if smooth.max() < _NO_REGION:
            return 0.0
        logit = (
            _SEPARATION * math.sqrt(_separation(smooth))
            + _BREADTH * _breadth(saliency, image.width / image.height)
            + _SHARE * float(saliency.mean())
            + _BIAS
        )
        return 0.5 + 0.5 * math.tanh(0.5 * logit)


def _separation(saliency: NDArray[np.float32]) -> float:
    """The second largest region's weight over the largest's, averaged over heights of the cut."""
    relative = saliency / saliency.max()
    return float(
        np.mean(
            [second_to_first(region_weights(relative > height, saliency)) for height in _HEIGHTS]
        )
    )


def _breadth(saliency: NDArray[np.float32], aspect: float) -> float:
    """Log of the horizontal over the vertical variance of where saliency is, in real shape."""
    weight = saliency**2
    total = float(weight.sum())
    places = np.arange(len(saliency), dtype=np.float32)
    variances = []
    for along in (weight.sum(axis=0), weight.sum(axis=1)):
        middle = float(along @ places) / total
        variances.append(float(along @ (places - middle) ** 2) / total)
    aspect = min(max(aspect, 0.25), 4.0)  # beyond, the shape of the picture says it all
    return math.log((aspect**2 * variances[0] + 0.1) / (variances[1] + 0.1))
