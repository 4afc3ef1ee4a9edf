"""Exposure: photos that got far too much or far too little light.

The measure is the one that light meters have used since the 1930s: the average tone, compared with
middle grey. An average hides much, but on photos that were taken as brackets nothing that looks
at the histogram's shape separates the wrong frames from the right one better. Two things improve
it: lamps in a dark scene don't make it well exposed, so bright tones are cut before averaging for
under-exposure; and a subject on a plain white or black backdrop is judged without the backdrop.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Explanation, Filter, Image, gray
from qualipy_core.explanation import Chart, Mask, Series
from qualipy_filters_builtin.tones import LUMA, TONES_SIDE, rim_histogram, tone_histogram

# Tuned on labelled photos, most of them real exposure brackets: balanced accuracy 0.97 … 0.98.
_DARK_MEAN = 62.0
"""The average of the tones, cut at `_LAMP`, at which under-exposure is even."""
_BRIGHT_MEAN = 170.0
"""The average of the tones at which over-exposure is even."""
_LAMP = 160.0
"""Tones beyond this count as this when looking for under-exposure."""
_STEEPNESS = 4
"""How fast the degree rises: half the light at the sensor takes it from 0.5 to about 0.8."""

_WHITE, _BLACK = 250, 16
"""Backdrop tones: at least `_WHITE`, or at most `_BLACK`."""
_BACKDROP_RIM = (0.92, 0.98)
"""The share of the rim in backdrop tones from which, and with which, it is a backdrop."""
_BLACK_BACKDROP_ALLOWANCE = 0.72
"""On black even a lamp in an under-exposed night looks like a subject; so it must be brighter."""
_SMALLEST_SUBJECT = 0.01
"""A share of the picture; less than that beside a backdrop is no subject."""

_WITHOUT_LAMPS = np.minimum(LUMA, _LAMP)


class Exposure(Filter):
    """Photos that are over-exposed or under-exposed.

    A positive is so bright or so dark that its subject is hard to see; half a stop more or less
    isn't. The prediction is a degree in [0, 1], about 0.1 for a well exposed photo, whichever
    side it errs on.

    Parameters
    ----------
    threshold : float
        The degree beyond which a photo is positive.
    invert_threshold : bool
        Flag the photos that are *well* exposed instead.
    comparison : str
        How the degree is compared with the threshold.
    negative_under_exposed : bool
        Tell the two sides apart: an under-exposed photo (degree above 0.5) gives -1, which is
        positive all the same, for decisions are made on the magnitude.

    Warnings
    --------
    It can't know what was meant: a night street, a silhouette or a lone lamp in the dark reads as
    under-exposed, pale paper or a bright wall that fills the picture as over-exposed.

    Notes
    -----
    The degree of over-exposure is ``1 / (1 + ((255 - m) / 85)**4)`` with the average tone *m*; that
    of under-exposure ``1 / (1 + (d / 62)**4)`` with the average *d* of the tones cut at 160. The
    larger one counts. When nearly all of the rim is pure white, or black, the picture's other
    pixels are averaged instead.

    References
    ----------
    ISO 2720:1974, *General purpose photographic exposure meters*, for metering to an average.
    """

    name = "exposure"
    speed = 1
    negative_under_exposed: bool = False

    def measure(self, image: Image) -> float:
        """Return the degree in [0, 1], or -1."""
        over, under = _over(_bright_mean(image)), _under(_dark_mean(image))
        if self.negative_under_exposed and under > max(over, 0.5):
            return -1.0
        return max(over, under)

    def decide(self, prediction: float) -> bool:
        """Decide on the magnitude: -1 stands for an under-exposed photo, which is positive."""
        return super().decide(abs(prediction))

    def explain(self, image: Image) -> Explanation:
        """Show where the tones are at their ends, and the average tone in the histogram."""
        luma, tones = gray(image, TONES_SIDE), tone_histogram(image)
        bright, dark = _bright_mean(image), _dark_mean(image)
        white, black = luma >= _WHITE, luma <= _BLACK
        is_over = _over(bright) > _under(dark)
        mean, cut = (bright, "") if is_over else (dark, f", bright ones cut at {_LAMP:.0f}")
        summary = (
            f"The average tone is {mean:.0f} of 255{cut}: over-exposed begins at "
            f"{_BRIGHT_MEAN:.0f}, under-exposed at {_DARK_MEAN:.0f}; {white.mean():.0%} of the "
            f"photo is white (from {_WHITE}), {black.mean():.0%} black (up to {_BLACK})."
        )
        histogram = Chart(
            "tones: how much of the photo has each",
            (Series(LUMA, 100 * tones, kind="area", role="other"),),
            x_label="tone, 0 black … 255 white",
            y_label="% of the photo",
            marks=(
                (_DARK_MEAN, "under"),
                (_BRIGHT_MEAN, "over"),
                (mean, "average"),
            ),
        )
        layers = (
            Mask(white, f"white: tones from {_WHITE}"),
            Mask(black, f"black: tones up to {_BLACK}", role="other"),
        )
        return Explanation(summary, layers, (histogram,))


def _bright_mean(image: Image) -> float:
    """The average tone by which over-exposure is judged, without a white backdrop."""
    tones, rim = tone_histogram(image), rim_histogram(image)
    mean = float(tones @ LUMA)
    backdrop = _ramp(float(rim[_WHITE:].sum()), *_BACKDROP_RIM)
    if not backdrop:
        return mean
    subject = _mean(tones[:_WHITE], LUMA[:_WHITE], mean)
    # A subject that is itself too bright stands before no backdrop, but in an over-exposed photo.
    backdrop *= _ramp(-subject, -_BRIGHT_MEAN - 10, -_BRIGHT_MEAN)
    return mean + backdrop * min(subject - mean, 0.0)


def _over(mean: float) -> float:
    return 1.0 / (1.0 + ((255.0 - mean) / (255.0 - _BRIGHT_MEAN)) ** _STEEPNESS)


def _dark_mean(image: Image) -> float:
    """The average tone by which under-exposure is judged, without lamps or a black backdrop."""
    tones, rim = tone_histogram(image), rim_histogram(image)
    values = _WITHOUT_LAMPS
    mean = float(tones @ values)
    backdrop = _ramp(float(rim[: _BLACK + 1].sum()), *_BACKDROP_RIM)
    if not backdrop:
        return mean
    subject = _mean(tones[_BLACK + 1 :], values[_BLACK + 1 :], mean) * _BLACK_BACKDROP_ALLOWANCE
    backdrop *= _ramp(subject, _DARK_MEAN - 10, _DARK_MEAN)
    return mean + backdrop * max(subject - mean, 0.0)


def _under(mean: float) -> float:
    return 1.0 / (1.0 + (mean / _DARK_MEAN) ** _STEEPNESS)


def _mean(shares: NDArray[np.float64], values: NDArray[np.float64], otherwise: float) -> float:
    """The weighted mean; `otherwise` when too little is left of the picture to be a subject."""
    total = float(shares.sum())
    return float(shares @ values) / total if total > _SMALLEST_SUBJECT else otherwise


def _ramp(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high` on, a straight line between them."""
    return min(max((value - low) / (high - low), 0.0), 1.0)
