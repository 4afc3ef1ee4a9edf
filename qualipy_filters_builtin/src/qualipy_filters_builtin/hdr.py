"""HDR: photos whose tone-mapping shows, with halos, harsh detail and flattened light.

Tone-mapping squeezes a scene of high dynamic range into a photo. Done so that it shows, it takes
contrast from large areas and gives it to small ones. Strong contrast by itself is no sign of it,
nor is fine detail: gravel has it, too. So the filter compares: brightness with colour, fine
detail with coarse, the rims of edges with what lies beyond.
"""

from __future__ import annotations

from functools import cache
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Explanation, Image, TrainableFilter
from qualipy_core.explanation import Chart, HeatMap, Series
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.local_contrast import (
    BANDS,
    band_contrasts,
    edge_profile,
    evenness,
    halo_map,
    opponent_pyramid,
)
from qualipy_filters_builtin.quantiles import nearest_percentiles
from qualipy_filters_builtin.tones import tone_histogram

_QUANTILES = (1, 10, 25, 50, 75, 90, 99)  # per cent of the pixels, for tones
_SHARES = np.array(_QUANTILES) / 100
_AREAS = (5, 25, 50, 75)  # per cent of the areas, for the range of tones in them
_DISTANCES = (1.5, 3.0, 6.0, 12.0)  # pixels, at a long side of 64
_AREA_SHARE = 8  # an area is this part of the long side
_AREA_STEP = 2  # pixels from one area to the next
_FOR_A_MEDIAN = 2048  # numbers, at least, give the median of many
_END = 4  # levels at either end of the scale that count as clipped
_LEVEL, _LEVEL_SIDE = 2, 64  # of the pyramid: where halos and areas are looked for
_CLEAR_HALO = 0.6  # of an edge's height: what ends the scale of the map of halos
_USUAL_HALO, _USUAL_RANGE = 0.15, 0.4  # medians of labelled photos without tone-mapping


class HDR(TrainableFilter):
    """Photos with visible HDR tone-mapping: halos, exaggerated detail, flattened light.

    The prediction is a probability, at even odds for an effect that one just notices.

    Parameters
    ----------
    threshold : float
        The probability beyond which a photo is positive.
    invert_threshold : bool
        Flag the photos without visible tone-mapping instead.
    comparison : str
        How the probability is compared with the threshold.
    svm_file : str, optional
        A model of your own, as `train` and `save` write it.

    Warnings
    --------
    A mild effect is missed. Textures in hard light and harshly raised contrast are sometimes taken
    for HDR.

    Notes
    -----
    The model, a support vector machine, judges by five kinds of features. For each of six
    octaves: how sparse the contrast in brightness is, and how it compares with the contrast in
    colour, over all and in the median; tone-mapping lifts the ratio for fine octaves and lowers
    it for coarse ones. Where there is little detail: the same ratio, area by area. Beyond strong
    edges: whether the tones come back, a halo. In areas of an eighth of the picture: the range of
    tones. Over all: the distribution of tones.

    It was trained on ordinary photos and on what eighteen kinds of tone-mapping make of them,
    against photos of other gamma, contrast, saturation, levels, sharpness and noise. Both then got
    other tones at random, so that clipped ends alone are no sign of tone-mapping, and an effect
    that can hardly be seen was left out.

    Its balanced accuracy on 145 labelled photos, by groups held out, is 0.90 when no labelled
    tone-mapper was seen in training and 0.92 when they were; on made photos it is 0.86 for kinds of
    tone-mapping that were left out. Of those, gradient-domain tone-mapping and local stretching are
    the most often missed. It passes 92 in 100 ordinary photos.

    References
    ----------
    What tone-mappers do and where halos come from: Reinhard, Ward, Pattanaik, Debevec, Heidrich
    & Myszkowski 2010, "High Dynamic Range Imaging", 2nd ed.; Durand & Dorsey 2002,
    doi:10.1145/566654.566574; Fattal, Lischinski & Werman 2002, doi:10.1145/566654.566573.
    """

    name = "hdr"
    speed = 3
    model_file = "hdr.npz"
    feature_names = (
        *(f"octave{band}_{what}" for band in range(1, BANDS + 1)
          for what in ("sparseness", "to_color", "median_to_color")),
        "coarsest_contrast",
        *(f"tone_{quantile}" for quantile in _QUANTILES),
        "black", "white",
        *(f"area_range_{share}" for share in _AREAS), "area_tone_range", "area_tone_spread",
        *(f"detail_to_color_{share}" for share in (10, 50, 90)),
        *(f"edge_{what}" for what in ("height", *(f"{side}_{distance:g}"
          for distance in _DISTANCES[1:] for side in ("bright", "dark")))),
    )  # fmt: skip

    def features(self, image: Image) -> NDArray[np.float64]:
        """Return the contrasts of the octaves, the tones, and the profiles of the edges.

        Parameters
        ----------
        image : Image
            The picture.

        Returns
        -------
        ndarray of float64, shape (44,)
            Logarithms, shares and ratios; all finite.
        """
        luma = _brightness(opponent_pyramid(image)[_LEVEL])
        return np.concatenate(
            [
                _octaves(band_contrasts(image)),
                [_log(_deviation(opponent_pyramid(image)[-1][..., 0]), 0.02)],
                _tones(tone_histogram(image)),
                _areas(luma),
                evenness(image),
                edge_profile(luma, _DISTANCES),
            ]
        )

    def explain(self, image: Image) -> Explanation:
        """Show along which edges there are halos, and how tones go on beyond edges on average."""
        found = dict(zip(self.feature_names, self.features(image), strict=True))
        luma = _brightness(opponent_pyramid(image)[_LEVEL])
        comeback, weight = halo_map(luma, _DISTANCES[:3])
        away = [f"{distance:g}" for distance in _DISTANCES[1:]]
        bright, dark = (
            np.array([0.0, *(100 * found[f"edge_{side}_{distance}"] for distance in away)])
            for side in ("bright", "dark")
        )
        halo = -(bright[2] + dark[2]) / 2
        summary = (
            f"Beyond strong edges the tones come back by {max(halo, 0) / 100:.0%} of the edge, as "
            f"halos do ({_USUAL_HALO:.0%} is usual), and half of the areas span more than "
            f"{found['area_range_50']:.0%} of the tones ({_USUAL_RANGE:.0%} is usual); "
            f"{len(self.feature_names)} measurements are weighed, these are two."
        )
        places = 100 * np.array(_DISTANCES) / _LEVEL_SIDE
        profile = Chart(
            "tones beyond strong edges: below 0 they come back",
            (
                Series(places, np.zeros(len(places)), "no halo", role="reference"),
                Series(places, bright, "bright side"),
                Series(places, dark, "dark side", role="other"),
            ),
            x_label="distance from the edge, % of the long side",
            y_label="% of the edge",
        )
        halos = HeatMap(
            np.clip(comeback / _CLEAR_HALO, 0, 1),
            "halos along strong edges",
            low="none",
            high=f"{_CLEAR_HALO:.0%} of the edge",
            weight=weight,
        )
        return Explanation(summary, (halos,), (profile,))


def _log(value: float, least: float) -> float:
    return log(value + least)


def _deviation(values: NDArray[Any]) -> float:
    """The standard deviation; quicker than `np.std` for few values."""
    return float(cv2.meanStdDev(np.ascontiguousarray(values))[1][0, 0])


def _brightness(level: NDArray[np.float32]) -> NDArray[np.float32]:
    """The brightness in [0, 1] of a level of the pyramid."""
    values = np.asarray(cv2.exp(np.ascontiguousarray(level[..., 0])), dtype=np.float32)
    values -= 8
    values /= 255
    return values


def _octaves(bands: tuple[NDArray[np.float32], ...]) -> NDArray[np.float64]:
    """Three comparisons for each octave: of light's extremes with its median, and with colour."""
    found = []
    for band in bands:
        size = band[0].size ** 0.5
        light, color = (log(cv2.norm(contrast) / size + 0.004) for contrast in band)
        light_middle, color_middle = (log(middle + 0.003) for middle in _medians(band))
        found += [light - light_middle, light - color, light_middle - color_middle]
    return np.array(found)


def _medians(band: NDArray[np.float32]) -> list[float]:
    """The medians of brightness and of colour, of some of the places if these are many."""
    rows = band.reshape(2, -1)
    few = rows[:, :: max(1, rows.shape[1] // _FOR_A_MEDIAN)].copy()
    middle = few.shape[1] // 2
    few.partition(middle)
    medians: list[float] = few[:, middle].tolist()
    return medians


def _tones(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    up_to = shares.cumsum()
    quantiles = up_to.searchsorted(_SHARES) / 255
    black, white = float(up_to[_END]), max(0.0, 1.0 - float(up_to[-_END - 2]))
    return np.array([*quantiles.tolist(), _log(black, 0.003), _log(white, 0.003)])


def _areas(luma: NDArray[np.float32]) -> NDArray[np.float64]:
    side = max(3, max(luma.shape) // _AREA_SHARE) | 1
    ranges = cv2.morphologyEx(luma, cv2.MORPH_GRADIENT, _square(side))
    means = cv2.blur(luma, (side, side))
    # Neighbouring areas are almost one.
    ranges, means = ranges[::_AREA_STEP, ::_AREA_STEP], means[::_AREA_STEP, ::_AREA_STEP]
    low, high = nearest_percentiles(means, (5, 95)).tolist()
    spans = nearest_percentiles(ranges, _AREAS).tolist()
    return np.array([*spans, high - low, _deviation(means)])


@cache
def _square(side: int) -> NDArray[np.uint8]:
    return np.ones((side, side), np.uint8)
