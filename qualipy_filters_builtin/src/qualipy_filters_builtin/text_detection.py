"""Text detection: signs, captions, watermarks, screens, in any script.

No character is read: lettering is recognised as a texture of strokes, by a small network of our
own (`qualipy_filters_builtin.text_regions`), so that the script, the font and the language don't
matter. Those who have Tesseract installed can let it read instead.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Filter, Image, LocalPath
from qualipy_filters_builtin.tesseract import Word, read_words
from qualipy_filters_builtin.text_regions import text_maps

_RANK = 4
"""The fourth strongest cell of a map: fewer than four cells, 32 × 8 pixels, are no word."""
_SURE = 0.9
_CERTAIN = 1e-5

_PEAK, _EXTENT, _BIAS = 0.23, 0.48, -2.00
"""Logistic regression on 198 labelled photos, none of which the network had seen (cross-validated:
balanced accuracy 0.89, area under the ROC curve 0.94)."""

_FEWEST_LETTERS = 3
"""Tesseract reads one or two letters into leaves and bricks, with high confidence at that."""


class TextDetection(Filter):
    """Photos with text: signs, captions, watermarks, labels, screens.

    A positive has lettering that can be made out at a long side of 512 pixels. The prediction is a
    degree in [0, 1]: the probability that the photo contains text, for any script.

    Parameters
    ----------
    threshold : float
        The degree beyond which a photo is positive.
    invert_threshold : bool
        Flag the photos *without* text instead.
    comparison : str
        How the degree is compared with the threshold.
    tesseract_path : str, optional
        The Tesseract program, which then reads the photo instead; the prediction is the confidence
        of the word of three letters or more that it is surest of. It is slower by a hundred times,
        misses scenes and scripts whose language data is not installed, and is best on print.

    Raises
    ------
    ExternalProgramError
        The Tesseract program cannot be run or fails.

    Notes
    -----
    A map of the probability of lettering is computed for three sizes of lettering (see
    `qualipy_filters_builtin.text_regions`). A logistic model weighs the fourth strongest cell of
    any map, as a logit, and the logarithm of the number of cells above 0.9.

    It misses single characters, lettering lower than about 1/60 of the long side, lettering that
    fills the picture, brush and glow (neon, seven-segment displays), and very faint watermarks. It
    takes rows of small windows, rigging and crests of thin stripes for text at times.
    """

    name = "text_detection"
    speed = 3
    tesseract_path: LocalPath = None

    def measure(self, image: Image) -> float:
        """Return the degree, in [0, 1]."""
        if self.tesseract_path is not None:
            return _confidence(read_words(self.tesseract_path, image.pixels()))
        maps = text_maps(image)
        if not maps:
            return 0.0
        peak = max(_peak(cells) for cells in maps)
        extent = math.log1p(sum(int(np.count_nonzero(cells > _SURE)) for cells in maps))
        return 0.5 + 0.5 * math.tanh(0.5 * (_PEAK * peak + _EXTENT * extent + _BIAS))


def _peak(cells: NDArray[np.float32]) -> float:
    """The logit of the fourth strongest cell."""
    if cells.size < _RANK:
        return math.log(_CERTAIN)
    strongest = float(np.partition(cells.ravel(), -_RANK)[-_RANK])
    bounded = min(max(strongest, _CERTAIN), 1 - _CERTAIN)
    return math.log(bounded / (1 - bounded))


def _confidence(words: list[Word]) -> float:
    """The confidence of the surest word that has letters or digits enough."""
    sure = [
        word.confidence
        for word in words
        if sum(character.isalnum() for character in word.text) >= _FEWEST_LETTERS
    ]
    return min(max(sure, default=0.0), 1.0)
