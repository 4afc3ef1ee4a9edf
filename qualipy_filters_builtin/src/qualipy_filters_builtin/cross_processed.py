"""Cross-processing: colours of film that was developed in the chemistry of another film.

Each layer of the film gets a contrast that was not meant for it, so the tone curves of the three
channels cross: shadows take one hue and highlights another, often the opposite one. A white
balance that is off, a sepia tone or strong colours look alike at first sight, but tint all tones
the same way, or leave blacks black and whites white.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Explanation, Image, TrainableFilter
from qualipy_core.explanation import Chart, Color, Mask, Series
from qualipy_filters_builtin.color_balance import (
    CHANNEL_LEVELS,
    TONE_RANGES,
    channel_levels,
    darkest_first,
    small_picture,
    tone_colors,
)

_LEVELS = ("0.5", "2", "10", "50", "90", "98", "99.5")  # per cent
_RANGES = ("black", "darkest", "dark", "dim", "medium", "light", "lightest", "white")
_MEASURES = ("red_green", "blue", "chroma", "spread")
_THIRDS = (("shadows", 0, 3), ("middle tones", 3, 5), ("highlights", 5, 8))
"""Ranges of tone, taken together to be shown."""
_CHANNELS: tuple[tuple[str, Color], ...] = (
    ("red", (200, 55, 45)), ("green", (30, 135, 75)), ("blue", (45, 95, 200)),
)  # fmt: skip
_HUES = ("red", "orange", "yellow", "green", "green", "cyan", "cyan", "blue", "blue", "violet",
         "magenta", "red")  # fmt: skip
_DIFFERENCES = np.array([[1, -1 / 2, 1 / 3], [-1, -1 / 2, 1 / 3], [0, 1, 1 / 3]])
"""From red, green and blue to red less green, blue less the others, and the mean."""
_GREY = 0.02  # a colour difference that nobody notices
_SHOWN_SIDE = 256
"""The long side, in pixels, at which the ranges of tone are shown."""
_SHOWN_LUMA, _SHOWN_STRENGTH = 0.62, 0.5
"""Brightness and colour difference with which a cast is shown, whatever its own."""


class CrossProcessed(TrainableFilter):
    """Photos with the colours of cross-processed film: shadows of one hue, highlights of another.

    The prediction is a probability, at even odds for a shift that one just notices.

    Parameters
    ----------
    threshold : float
        The probability beyond which a photo is positive.
    invert_threshold : bool
        Flag the photos of ordinary colours instead.
    comparison : str
        How the probability is compared with the threshold.
    svm_file : str, optional
        A model of your own, as `train` and `save` write it.

    Warnings
    --------
    What it cannot know is how the scene looked: a blue dusk with yellow lamps, coral under water or
    a red curtain before black have different hues in shadows and highlights by nature.

    Notes
    -----
    The model, a support vector machine, judges by colour differences alone, of two kinds. The
    *levels* compare the channels' quantiles: a blue channel that never gets dark, or a red one
    that never gets light, has a curve of its own. The *ranges* are the colours of eight ranges
    of tone, from the blackest pixels to the whitest: their median colour, how near to grey any
    of them comes, and how much they differ. A monochrome photo, toned or not, has colours that
    do not differ.

    It was trained on ordinary photos and on what fifteen kinds of curves, tints and channel mixes
    make of them, against photos of another white balance, contrast, saturation or fade, and toned
    monochromes. By groups held out, its balanced accuracy on 142 labelled photos is 0.97, though
    no labelled cross-processing was seen in training; on made photos it is 0.94, and 0.92 for
    kinds of processing that were left out. Of those, mixed channels (0.57 found), flat red curves
    (0.69) and tints by lightness alone (0.76) are the hardest.

    References
    ----------
    The crossing of characteristic curves: Hunt 2004, "The Reproduction of Colour", 6th ed.,
    doi:10.1002/0470024275.
    """

    name = "cross_processed"
    speed = 2
    model_file = "cross_processed.npz"
    feature_names = (
        *(f"level_{level}_{color}" for level in _LEVELS for color in ("red_green", "blue", "mean")),
        *(f"{tone}_{measure}" for tone in _RANGES for measure in _MEASURES),
    )

    def features(self, image: Image) -> NDArray[np.float64]:
        """Return the colour differences at the levels of the channels and in the ranges of tone.

        Parameters
        ----------
        image : Image
            The picture.

        Returns
        -------
        ndarray of float64, shape (53,)
            Differences in [-1, 1]; 0 for grey.
        """
        levels = channel_levels(image)
        differences = np.einsum("lc,cd->ld", levels, _DIFFERENCES)
        return np.concatenate([differences.ravel(), tone_colors(image).ravel()])

    def explain(self, image: Image) -> Explanation:
        """Show the hue of the shadows, middle tones and highlights, and the channels' curves."""
        colors, levels = tone_colors(image)[:, :2], 255 * channel_levels(image)
        order, picture = darkest_first(image, _SHOWN_SIDE), small_picture(image, _SHOWN_SIDE)
        widths = np.diff(TONE_RANGES)
        layers, told = [], []
        for name, first, last in _THIRDS:
            cast = np.average(colors[first:last], axis=0, weights=widths[first:last])
            low, high = (round(TONE_RANGES[end] * len(order)) for end in (first, last))
            where = np.zeros(len(order), np.bool_)
            where[order[low:high]] = True
            hue = _hue(cast)
            told.append(f"{name} {hue}" + (f" by {np.hypot(*cast):.0%}" if hue != "grey" else ""))
            shape = picture.shape[:2]
            layers.append(
                Mask(where.reshape(shape), f"{name}: {hue}", "reference", color=_shown(cast))
            )
        curves = Chart(
            "levels of the channels, from the darkest pixels to the brightest",
            tuple(
                Series(100 * np.array(CHANNEL_LEVELS), level, name, color=color)
                for level, (name, color) in zip(levels.T, _CHANNELS, strict=True)
            ),
            x_label="% of the pixels below",
            y_label="level",
            y_range=(0, 255),
        )
        balance = Chart(
            "colour by tone: level lines are a mere tint",
            (
                Series(np.array([0, 100]), np.zeros(2), "grey", role="reference"),
                Series(_middles(), 100 * colors[:, 0], "to red, below 0 to green"),
                Series(_middles(), 100 * colors[:, 1], "to blue, below 0 to yellow", role="other"),
            ),
            x_label="tone, % of the pixels that are darker",
            y_label="% of the range",
            y_range=(-10, 10),
        )
        summary = f"Median colours: {', '.join(told)}; shadows of one hue and highlights of "
        summary += "another tell of cross-processing."
        return Explanation(summary, tuple(layers), (curves, balance))


def _middles() -> NDArray[np.float64]:
    """The middle of each range of tone, in per cent of the pixels."""
    bounds = 100 * np.array(TONE_RANGES)
    return np.asarray((bounds[1:] + bounds[:-1]) / 2)


def _rgb(cast: NDArray[np.float64], luma: float) -> NDArray[np.float64]:
    """Red, green and blue of a colour difference at a luma."""
    red_green, blue = cast
    green = luma - 0.299 * red_green - 0.114 * (blue + red_green / 2)
    return np.array([green + red_green, green, blue + green + red_green / 2])


def _hue(cast: NDArray[np.float64]) -> str:
    """A colour difference in a word."""
    if np.hypot(*cast) < _GREY:
        return "grey"
    red, green, blue = _rgb(cast, 0.5)
    return _HUES[
        round(np.degrees(np.arctan2(3**0.5 * (green - blue), 2 * red - green - blue)) / 30) % 12
    ]


def _shown(cast: NDArray[np.float64]) -> Color:
    """The colour that shows a cast, much stronger than it is."""
    strength = np.hypot(*cast)
    visible = cast / max(strength, 1e-6) * min(_SHOWN_STRENGTH, 4 * strength)
    red, green, blue = (int(v) for v in np.clip(255 * _rgb(visible, _SHOWN_LUMA), 0, 255))
    return red, green, blue
