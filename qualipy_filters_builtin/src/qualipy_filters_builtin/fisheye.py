"""Photos taken through a fisheye lens: `Fisheye`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Explanation, Image, TrainableFilter, gray
from qualipy_core.explanation import Layer, Lines, Mask
from qualipy_filters_builtin.curvature import (
    RINGS,
    SIDE,
    Bending,
    bending,
    bent_and_straight,
    edge_arcs,
    polylines,
    radial_squeeze,
)
from qualipy_filters_builtin.image_circle import ImageCircle, fitted_disc, image_circle

_FEATURES = (
    *Bending._fields,
    *(f"squeeze_from_{share}" for share in RINGS),
    *(f"circle_{name}" for name in ImageCircle._fields),
)
_CLEAR_CIRCLE = 0.5
"""The share of a circle's outline from which it is shown."""


class Fisheye(TrainableFilter):
    """Photos taken through a fisheye lens, circular or filling the frame.

    A positive shows straight things bent around the centre as only a fisheye bends them, a round
    image in plain corners, or both. The mild distortion of ordinary wide-angle lenses, pincushion
    distortion and vignettes are no fisheye. The prediction is a probability.

    Parameters
    ----------
    threshold : float
        The probability beyond which a photo is positive.
    invert_threshold : bool
        Positive below the threshold: photos of ordinary lenses.
    comparison : str
        How the probability is compared with the threshold.
    svm_file : str, optional
        A model of your own, as `train` and `save` write it; the shipped one, by default.

    Warnings
    --------
    Nothing but edges tells of the lens when it fills the frame, so it fails where they are missing
    or bent by themselves: a portrait, a face of fur, a lawn through a fisheye pass; a close view of
    one round thing in the middle, such as a plate, a barrel or a curled-up dog, may be flagged.

    Notes
    -----
    A support vector machine over how arcs along edges bend, how the lens squeezes texture along the
    radius, and how well plain corners lie around a circle. It was trained on labelled photos and on
    photos bent by equidistant, equisolid, stereographic, orthographic and Thoby projections, the
    division model and polynomials.

    On 150 labelled photos of other sources than those trained on, balanced accuracy is 0.97, and
    0.96 with no labelled photo in the training; on made ones it is 0.92 for lenses and traps left
    out of it, for photos with edges enough. Of circular fisheyes nearly all are found, of crops far
    from the centre four in five.

    References
    ----------
    The division model: Fitzgibbon 2001, "Simultaneous linear estimation of multiple view geometry
    and lens distortion", doi:10.1109/CVPR.2001.990465.
    Straight lines as circles: Bukhari & Dailey 2013, "Automatic radial distortion estimation from a
    single image", doi:10.1007/s10851-012-0342-2.
    The circle's fit: Kåsa 1976, "A circle fitting procedure and its error analysis",
    doi:10.1109/TIM.1976.6312298.
    """

    name = "fisheye"
    speed = 2
    model_file = "fisheye.npz"
    feature_names = _FEATURES

    def features(self, image: Image) -> NDArray[np.float64]:
        """Measure how edges bend, how texture is squeezed, and the image circle."""
        bent, circle = bending(edge_arcs(image)), image_circle(image)
        return np.array([*bent, *radial_squeeze(image), *circle], dtype=np.float64)

    def explain(self, image: Image) -> Explanation:
        """Show which edges bend around the centre, which are straight, and the image circle."""
        arcs = edge_arcs(image)
        lines = polylines(arcs, gray(image, SIDE).shape)
        bent, straight = bent_and_straight(arcs)
        layers: list[Layer] = [
            Lines(tuple(lines[straight]), "straight edges", "other"),
            Lines(tuple(lines[bent]), "edges bent around the centre"),
        ]
        told = (
            f"Of {bent.sum() + straight.sum():,} stretches of edges far from the centre, "
            f"{bent.sum():,} bend around it and {straight.sum():,} stay straight"
        )
        disc = fitted_disc(image)
        if disc is not None and disc.found.outline > _CLEAR_CIRCLE:
            height, width = disc.plain.shape
            angle = np.linspace(0, 2 * np.pi, 97)
            x = (disc.x + disc.radius * np.cos(angle) + 0.5) / width
            y = (disc.y + disc.radius * np.sin(angle) + 0.5) / height
            layers.append(Mask(disc.plain > 0, "plain corners", "reference"))
            layers.append(Lines((np.stack([x, y], axis=1),), "the circle around which they lie"))
            told += f"; plain corners lie around {disc.found.outline:.0%} of a circle"
        return Explanation(f"{told}.", tuple(layers))
