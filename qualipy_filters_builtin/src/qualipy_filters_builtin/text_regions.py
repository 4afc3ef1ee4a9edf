"""Where lettering is in a photo: a map of the probability of text, at two sizes of lettering.

The network (`qualipy_filters_builtin.text_network`) was trained on words of some twenty scripts
drawn onto photos (see ``training/text_detection.py``) and knows lettering between 9 and 48 pixels
high; of a picture of half the size, it knows lettering twice as high.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Image, derived, gray
from qualipy_filters_builtin.convolution import shipped
from qualipy_filters_builtin.text_network import CELL, TextNetwork, evidence, pyramid

__all__ = ["CELL", "LARGEST_SIDE", "decision", "text_evidence", "text_maps"]

LARGEST_SIDE = 512
"""Long side of the finest level, in pixels: there lettering 9 pixels high is still seen."""


@derived
def text_maps(image: Image) -> tuple[NDArray[np.float32], ...]:
    """Return where text is, by size of lettering.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    tuple of ndarray of float32, shape (rows, columns)
        Probabilities in [0, 1] of cells of 8 × 8 pixels of the finest level, and of half of it.
        The finest level is the picture at a long side of 512 pixels at most, doubled if it has no
        more than 256 (``finest(gray(image, 512))``). The cell of row r and column c of the first
        map begins at the finest level's pixel ``(8 * c, 8 * r)``, counted from its upper left
        corner; the last of a row or column may reach beyond the border. One of the second map
        covers twice as much. Levels too small for a word are left out: the tuple may be empty.
    """
    network, _ = _model()
    return tuple(network(level) for level in pyramid(gray(image, LARGEST_SIDE)))


@derived
def text_evidence(image: Image) -> NDArray[np.float64]:
    """Return what decides whether the picture has text: see `text_network.evidence`."""
    return evidence(text_maps(image))


def decision() -> tuple[float, float, float]:
    """Return the weights of the evidence, then what is added, for the logit of the degree."""
    return _model()[1]


@functools.cache
def _model() -> tuple[TextNetwork, tuple[float, float, float]]:
    arrays = shipped("text_detection.npz")
    by_peak, by_extent, bias = arrays["decision"].tolist()
    return TextNetwork(arrays), (by_peak, by_extent, bias)
