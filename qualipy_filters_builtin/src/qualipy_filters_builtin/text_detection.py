"""Text detection: signs, captions, watermarks, screens, in any script.

No character is read: lettering is recognised as a texture of strokes, by a small network of our
own (`qualipy_filters_builtin.text_regions`), so that the script, the font and the language don't
matter. Those who have Tesseract installed can let it read instead.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Explanation, Filter, Image, LocalPath, derived, gray
from qualipy_core.explanation import Boxes, HeatMap
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.tesseract import Word, read_words
from qualipy_filters_builtin.text_network import SURE, finest, peak_logit
from qualipy_filters_builtin.text_regions import (
    CELL,
    LARGEST_SIDE,
    decision,
    text_evidence,
    text_maps,
)

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

    Warnings
    --------
    It misses single characters, lettering lower than about 1/60 of the long side, lettering that
    fills the picture, brush and glow (neon, seven-segment displays), and very faint watermarks. It
    takes rows of small windows, rigging and crests of thin stripes for text at times.

    Notes
    -----
    A map of the probability of lettering is computed for two sizes of lettering (see
    `qualipy_filters_builtin.text_regions`). A logistic model weighs the fourth strongest cell of
    any map, as a logit, and the logarithm of the number of cells above 0.9.

    References
    ----------
    The network, and the drawn words that it was trained on, are QualiPy's own
    (``training/text_detection.py``).
    """

    name = "text_detection"
    speed = 3
    tesseract_path: LocalPath = None

    def measure(self, image: Image) -> float:
        """Return the degree, in [0, 1]."""
        if self.tesseract_path is not None:
            sure = [word.confidence for word in _sure_words(image, self.tesseract_path)]
            return min(max(sure, default=0.0), 1.0)
        if not text_maps(image):
            return 0.0
        peak, extent = text_evidence(image).tolist()
        by_peak, by_extent, bias = decision()
        return _probability(by_peak * peak + by_extent * extent + bias)

    def explain(self, image: Image) -> Explanation:
        """Show where lettering is, as the network or Tesseract found it."""
        if self.tesseract_path is not None:
            return _read(_sure_words(image, self.tesseract_path))
        maps = text_maps(image)
        if not maps:
            return Explanation("The photo is too small to hold a word.")
        grids = [_uncovered(cells, image, level) for level, cells in enumerate(maps)]
        size = (grids[0].shape[1], grids[0].shape[0])
        fitted = [cv2.resize(grid, size, interpolation=cv2.INTER_NEAREST) for grid in grids]
        heat = np.max(np.stack(fitted), axis=0)
        boxes = _lettering(heat)
        cells = sum(int(np.count_nonzero(cells > SURE)) for cells in maps)
        sizes = ("smaller", "larger")
        strongest = int(np.argmax([peak_logit(cells) for cells in maps]))
        summary = (
            f"{cells:,} cells of 8 × 8 pixels look like lettering with more than {SURE:.0%} "
            f"probability, in {len(boxes):,} place{'s' if len(boxes) != 1 else ''}; lettering is "
            f"most probable at the {sizes[strongest]} size, in four cells "
            f"{_probability(peak_logit(maps[strongest])):.1%} or more."
        )
        layers = (
            HeatMap(heat, "lettering", low="none", high="certain", weight=heat),
            Boxes(boxes, f"more than {SURE:.0%} probable"),
        )
        return Explanation(summary, layers)


def _uncovered(cells: NDArray[np.float32], image: Image, level: int) -> NDArray[np.float32]:
    """A map at the finest level's cells of 8 pixels, as far as it lies in the picture."""
    height, width = finest(gray(image, LARGEST_SIDE)).shape
    times = 1 << level
    grid = np.repeat(np.repeat(cells, times, axis=0), times, axis=1)
    return grid[: max(1, -(-height // CELL)), : max(1, -(-width // CELL))]


def _lettering(grid: NDArray[np.float32]) -> NDArray[np.float64]:
    """Boxes around what is surely lettering in a map, in shares of the picture."""
    height, width = grid.shape
    sure = (grid > SURE).astype(np.uint8)
    _, _, found, _ = cv2.connectedComponentsWithStats(sure, connectivity=8)
    return np.asarray(found[1:, :4] / (width, height, width, height))


def _probability(logit: float) -> float:
    return 0.5 + 0.5 * math.tanh(0.5 * logit)


def _read(words: tuple[Word, ...]) -> Explanation:
    """What Tesseract read, and where."""
    if not words:
        return Explanation(f"Tesseract read no word of {_FEWEST_LETTERS} letters or more.")
    surest = max(words, key=lambda word: word.confidence)
    count = f"{len(words):,} word{'s' if len(words) != 1 else ''}"
    return Explanation(
        f"Tesseract read {count}; it is surest of {surest.text[:40]!r}, {surest.confidence:.0%}.",
        (Boxes(np.array([word.box for word in words]), "words that Tesseract read"),),
    )


@derived
def _sure_words(image: Image, program: str) -> tuple[Word, ...]:
    """The words that have letters or digits enough."""
    return tuple(
        word
        for word in read_words(program, image.pixels())
        if sum(character.isalnum() for character in word.text) >= _FEWEST_LETTERS
    )
