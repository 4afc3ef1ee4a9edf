"""Blurred context: photos whose background is blurred while something else in them is sharp.

The edges near the border, where the background mostly is, are compared with the sharpest edges of
the photo, and it is looked how widths of edges, contrast and tones are spread over the cells. Only
what has contrast counts: a clear sky or a plain wall is even, not blurred.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Explanation, Image, TrainableFilter
from qualipy_core.explanation import Lines
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.blur_map import blur_map
from qualipy_filters_builtin.sharpness import (
    cell_energies,
    missing_detail,
    relative_slopes,
    tone_ranges,
    with_neighbours,
)
from qualipy_filters_builtin.sharpness_spread import NAMES, sharpness_spread

# Tuned on labelled photos; none matters much, balanced accuracies differ by less than 0.01.
_RANGE_FLOOR = 8.0
"""Luma levels: a smaller range of tones says little about sharpness."""
_RANGE_SHARE = 0.1
"""The share of the mean range of tones that is added to that floor."""
_LEAST_SLOPE = 0.02
"""What the slopes' logarithm starts from; a sharp step has a slope of 0.5."""
_EVEN_RANGE = 24.0
"""Luma levels at which a cell is half as much to go by as one of full contrast."""
_BORDER = 0.17
"""The border's width as a share of the photo's width and height."""
_BLURRED_SLOPE, _SHARP_SLOPE, _SLOPE_BLEND = 0.12, 0.18, 0.02
"""Slopes below which a cell counts as blurred, above which as sharp, and how gradually."""
_CONTEXT_QUANTILE, _PEAK_QUANTILE = 0.25, 0.97
"""The quantiles of the cells that stand for the border's blur and for the sharpest places."""
_FINE, _COARSE = 0, 3
"""The octaves, 1 and 8 pixels, whose places are compared."""
_ENERGY_FLOOR = 0.02
"""Squared luma levels per pixel: what is left in an even area."""

_LIMITS = np.array([_BLURRED_SLOPE, _SHARP_SLOPE], np.float32).reshape(2, 1, 1)
_WAYS = np.array([-1, 1], np.float32).reshape(2, 1, 1) / np.float32(2 * _SLOPE_BLEND)

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]


class BlurredContext(TrainableFilter):
    """Photos with a blurred background, the subject being sharp.

    The prediction is a probability. A photo that is blurred all over is none of these.

    Parameters
    ----------
    threshold : float
        The probability beyond which a photo is positive.
    invert_threshold : bool
        Flag the photos without a blurred background instead.
    comparison : str
        How the probability is compared with the threshold.
    svm_file : str, optional
        A model of your own, as `train` and `save` write it.

    Warnings
    --------
    Slight blurs, close-ups that fill the frame and photos of less than 150 pixels are missed. Sharp
    subjects before plain walls are flagged three times in ten, and so are some backgrounds that are
    just not quite in focus.

    Notes
    -----
    A cell's sharpness is the steepest slope in it against the range of its tones: the reciprocal
    of the width of its narrowest edge, after Marziliano et al. Seven features compare places: the
    sharpness of the border's more blurred part (``border``) and of the sharpest places (``peak``),
    what even those lack in the worst direction (``missing_detail``, as in `whole_blur`), the shares
    of the picture that are clearly blurred, clearly sharp and even, and how differently fine and
    coarse detail are spread over the picture (``divergence``, after Kullback & Leibler 1951): where
    all is in focus, both are in the same places.

    The others are percentiles over the cells, see `qualipy_filters_builtin.sharpness_spread`: of
    the widths of edges, of contrast octave by octave, of tone and of saturation. They tell what is
    blurred from what is only even, such as skies and walls, which are brighter or paler as well.

    On labelled photos, held-out, the balanced accuracy at 0.5 is 0.92: 0.89 on real photos, nearly
    all right on artificial ones.

    References
    ----------
    Marziliano, Dufaux, Winkler & Ebrahimi 2002, "A no-reference perceptual blur metric",
    doi:10.1109/ICIP.2002.1038902.
    Kullback & Leibler 1951, "On information and sufficiency", doi:10.1214/aoms/1177729694.
    """

    name = "blurred_context"
    speed = 4
    model_file = "blurred_context.npz"
    feature_names = (
        "border",
        "peak",
        "missing_detail",
        "blurred_share",
        "sharp_share",
        "even_share",
        "divergence",
        *NAMES,
    )
    kernel = "rbf"

    def features(self, image: Image) -> Floats:
        """Return how sharp the border and the sharpest places are, and how much of each there is.

        Parameters
        ----------
        image : Image
            The picture.

        Returns
        -------
        ndarray of float64, shape (64,)
            Natural logarithms of slopes (the first three), shares of the picture, nats; then
            `sharpness_spread`.
        """
        ranges = tone_ranges(image)
        slopes = relative_slopes(image, _RANGE_FLOOR, _RANGE_SHARE).mean(axis=0)
        weights = ranges / (ranges + np.float32(_EVEN_RANGE))
        border, peak = _quantiles(
            slopes,
            np.stack([weights * _border(ranges.shape), weights]),
            (_CONTEXT_QUANTILE, _PEAK_QUANTILE),
        )
        blurred, sharp = np.einsum("syx,yx->s", _beyond(slopes), weights) / weights.size
        compared = np.array(
            [
                math.log(border + _LEAST_SLOPE),
                math.log(peak + _LEAST_SLOPE),
                missing_detail(image).max(),
                blurred,
                sharp,
                1.0 - cv2.mean(weights)[0],
                _divergence(image),
            ]
        )
        return np.concatenate([compared, sharpness_spread(image)])

    def explain(self, image: Image) -> Explanation:
        """Show how wide edges are, where, and the border in which the background is looked for."""
        found = dict(zip(self.feature_names, self.features(image), strict=True))
        border, peak = (
            max(np.exp(found[name]) - _LEAST_SLOPE, 1e-3) for name in ("border", "peak")
        )
        near, far = _BORDER, 1 - _BORDER
        inner = np.array([[near, near], [far, near], [far, far], [near, far], [near, near]])
        summary = (
            f"{found['blurred_share']:.0%} of the photo is clearly blurred, "
            f"{found['sharp_share']:.0%} clearly sharp and {found['even_share']:.0%} too even to "
            f"tell; edges near the border are {peak / border:.1f} times as wide as the sharpest."
        )
        layers = (
            blur_map(image, relative_slopes(image, _RANGE_FLOOR, _RANGE_SHARE), tone_ranges(image)),
            Lines((inner,), "the border begins outside of this line", role="reference"),
        )
        return Explanation(summary, layers)


@lru_cache(maxsize=16)
def _border(shape: tuple[int, int]) -> Singles:
    """1 for the cells near the border, next to 0 for the others."""
    rows, columns = shape
    y = (np.arange(rows) + 0.5) / rows
    x = (np.arange(columns) + 0.5) / columns
    distance = np.minimum(np.minimum(y, 1 - y)[:, None], np.minimum(x, 1 - x)[None, :])
    return np.where(distance < _BORDER, 1.0, 1e-6).astype(np.float32)


def _quantiles(values: Singles, weights: Singles, quantiles: tuple[float, ...]) -> list[float]:
    """One weighted quantile for each row of weights; the plain one where nothing weighs."""
    order = values.argsort(axis=None)
    ordered = weights.reshape(len(weights), -1).take(order, axis=1).astype(np.float64)
    ordered += 1e-9
    found = []
    for cumulative, quantile in zip(ordered.cumsum(axis=1), quantiles, strict=True):
        index = min(int(cumulative.searchsorted(quantile * cumulative[-1])), order.size - 1)
        found.append(values.item(order.item(index)))
    return found


def _beyond(slopes: Singles) -> Singles:
    """From 0 to 1: how clearly a cell is blurred, and how clearly sharp, (2, rows, columns)."""
    excess = (slopes - _LIMITS) * _WAYS
    return np.asarray(0.5 + 0.5 * np.tanh(excess))


def _divergence(image: Image) -> float:
    """How differently fine and coarse contrast are spread over the picture, in nats."""
    energies = cell_energies(image)[[_FINE, _COARSE]]
    contrast = with_neighbours(energies).reshape(2, -1) + np.float32(_ENERGY_FLOOR)
    fine, coarse = contrast / np.add.reduce(contrast, axis=1, keepdims=True)
    return float((fine * np.log(fine / coarse)).sum())
