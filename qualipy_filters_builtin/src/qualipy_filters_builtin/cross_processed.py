"""Cross-processing: colours of film that was developed in the chemistry of another film.

Each layer of the film gets a contrast that was not meant for it, so the tone curves of the three
channels cross: shadows take one hue and highlights another, often the opposite one. A white
balance that is off, a sepia tone or strong colours look alike at first sight, but tint all tones
the same way, or leave blacks black and whites white.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Image, TrainableFilter
from qualipy_filters_builtin.color_balance import channel_levels, tone_colors

_LEVELS = ("0.5", "2", "10", "50", "90", "98", "99.5")  # per cent
_RANGES = ("black", "darkest", "dark", "dim", "medium", "light", "lightest", "white")
_MEASURES = ("red_green", "blue", "chroma", "spread")


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
    kinds of processing that were left out. Of those, mixed channels (0.55 found), flat red curves
    (0.69) and tints by lightness alone (0.76) are the hardest.

    What it cannot know is how the scene looked: a blue dusk with yellow lamps, coral under water or
    a red curtain before black have different hues in shadows and highlights by nature.

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
        red, green, blue = levels.T
        differences = np.stack([red - green, blue - (red + green) / 2, levels.mean(axis=1)], axis=1)
        return np.concatenate([differences.ravel(), tone_colors(image).ravel()])
