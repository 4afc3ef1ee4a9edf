"""Whole blur: photos that are sharp nowhere, out of focus or shaken.

A photo is sharp when *somewhere*, in *every direction*, fine detail is as strong as it should be
for the contrast found there. So the sharpest places are looked for in each direction by itself,
and the worst direction counts most: defocus takes the detail from all of them, a moving camera
from one. A blurred background leaves the subject sharp, and is no whole blur.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Explanation, Image, TrainableFilter
from qualipy_core.explanation import Chart, Series
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.blur_map import STEP_SLOPE, blur_map
from qualipy_filters_builtin.quantiles import percentiles
from qualipy_filters_builtin.sharpness import (
    DIRECTIONS,
    missing_detail,
    relative_slopes,
    tone_ranges,
)

_SHARPER = 90.0
"""The percentile of the cells that stands for the sharper edges. A hard edge or two, a lamp or its
reflection, is left over by most blurs, so they are asked for in a tenth of the cells."""
_RANGE_FLOOR = 16.0
"""Luma levels: a smaller range of tones says little about sharpness."""
_RANGE_SHARE = 0.3
"""The share of the mean range of tones that is added to that floor, so that contrast cancels."""
_LEAST_SLOPE = 0.01
"""What the slopes' logarithm starts from; a sharp step has a slope of 0.5."""
_SHARP_WIDTH, _SHARP_DETAIL = 1.8, 0.95
"""The width of the sharper edges and the share of fine detail that are usual in photos that are not
blurred (medians of labelled photos), for comparison in words."""
_LOPSIDED = 0.35
"""How much more detail the worst direction lacks than the mean when movement is likely."""


class WholeBlur(TrainableFilter):
    """Photos that are blurred all over, out of focus or shaken.

    The prediction is a probability, at even odds for a blur that just shows when the photo fills
    a screen: a Gaussian's sigma of about 0.25 % of the long side. More blur never lowers it, so
    an even area, the limit of all blur, counts as blurred.

    Parameters
    ----------
    threshold : float
        The probability beyond which a photo is positive.
    invert_threshold : bool
        Flag the photos that are sharp somewhere instead.
    comparison : str
        How the probability is compared with the threshold.
    svm_file : str, optional
        A model of your own, as `train` and `save` write it.

    Warnings
    --------
    Photos of parallel stripes look as if moved along them. A blur that is smaller than a pixel
    or so at 512 pixels isn't seen, however large the file.

    Notes
    -----
    All three features rise with blur and have positive weights in the shipped linear model.

    ``fine_detail_worst`` and ``fine_detail_mean`` are the negative logarithm of the gradient
    energy at one pixel against that at two pixels, in the sharpest cells, in the worst and on
    average of eight directions. Blur takes the finer octave away first, as in the no-reference
    measure of Crete et al. ``edge_width`` is the negative logarithm of the steepest slope against
    the range of tones, in the sharper cells: the width of their narrowest edges, after Marziliano
    et al. All are taken relative to the contrast of the cell and of the photo, so a dark or misty
    photo isn't blurred.

    On labelled photos, most of them blurred artificially, the balanced accuracy at 0.5 is 0.98,
    the same for kinds of blur left out of the training; of 13 photos that were really shaken or
    out of focus 12 are found (all on held-out photos).

    References
    ----------
    Crete, Dolmiere, Ladret & Nicolas 2007, "The blur effect", doi:10.1117/12.702790.
    Marziliano, Dufaux, Winkler & Ebrahimi 2002, "A no-reference perceptual blur metric",
    doi:10.1109/ICIP.2002.1038902.
    """

    name = "whole_blur"
    speed = 3
    model_file = "whole_blur.npz"
    feature_names = ("fine_detail_worst", "fine_detail_mean", "edge_width")
    kernel = "linear"

    def features(self, image: Image) -> NDArray[np.float64]:
        """Return how much detail is missing where, and in the direction in which, it is.

        Parameters
        ----------
        image : Image
            The picture.

        Returns
        -------
        ndarray of float64, shape (3,)
            Each rises with blur.
        """
        detail = missing_detail(image)
        width = -np.log(_sharper(image) + _LEAST_SLOPE)
        return np.array([detail.max(), cv2.mean(detail)[0], cv2.mean(width)[0]], dtype=np.float64)

    def explain(self, image: Image) -> Explanation:
        """Show how wide edges are, where, and in which direction detail is missing."""
        detail = missing_detail(image)
        width = STEP_SLOPE / float(max(_sharper(image).mean(), _LEAST_SLOPE))
        fine = np.exp(-np.maximum(detail, 0.0))
        angles = np.arange(DIRECTIONS + 1) * 180 / DIRECTIONS
        shares = 100 * np.append(fine, fine[0])  # half a turn brings the first direction back
        summary = (
            f"The sharper edges are {width:.1f} pixels wide at a long side of 512 (in sharp photos "
            f"{_SHARP_WIDTH}), and the sharpest places hold {fine.min():.0%} of fine detail in the "
            f"worst direction, {fine.mean():.0%} on average (in sharp photos {_SHARP_DETAIL:.0%})"
        )
        if detail.max() - detail.mean() > _LOPSIDED:
            summary += f"; the least along {angles[detail.argmax()]:.0f}°, as movement leaves it"
        chart = Chart(
            "fine detail in the sharpest places, by direction",
            (
                Series(
                    angles, np.full(len(angles), 100 * _SHARP_DETAIL), "sharp", role="reference"
                ),
                Series(angles, shares, "this photo"),
            ),
            x_label="degrees: 0 sideways, 45 falling, 90 upright, 135 rising",
            y_label="%",
            y_range=(0, 100),
        )
        layers = (
            blur_map(image, relative_slopes(image, _RANGE_FLOOR, _RANGE_SHARE), tone_ranges(image)),
        )
        return Explanation(f"{summary}.", layers, (chart,))


def _sharper(image: Image) -> NDArray[np.float64]:
    """The slope of the sharper edges in each of four directions."""
    slopes = relative_slopes(image, _RANGE_FLOOR, _RANGE_SHARE)
    return percentiles(slopes.reshape(len(slopes), -1), [_SHARPER])[:, 0]
