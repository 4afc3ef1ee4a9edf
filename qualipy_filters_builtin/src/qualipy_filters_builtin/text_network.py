"""The network behind the map of text: what it sees, and how its convolutions are put together.

Luma is cut into blocks of 4 × 4 pixels and normalised by its contrast nearby. Two convolutions turn
it into cells of 8 × 8 pixels, a third looks at the neighbours of each, and a branch at half that
resolution looks at some 140 pixels around, to tell lettering from windows, rails and rigging.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qualipy_core.opencv import cv2
from qualipy_filters_builtin.convolution import Geometry, convolutions, sigmoid

CELL = 8
GEOMETRIES = (
    Geometry(),  # 2 × 2 blocks, rectified: strokes
    Geometry(stride=2),  # 2 × 2 of those, rectified: cells
    Geometry(padding=1),  # 3 × 3 cells, rectified
    Geometry(padding=1),  # 3 × 3 pairs of cells, rectified: surroundings
    Geometry(padding=2, dilation=2),  # wider surroundings, added to the cells
    Geometry(),  # the logit
)

LEVELS = 2
"""Lettering of 9 to 48 pixels is learnt; halved once, a picture shows twice larger lettering so."""
SMALLEST_SIDE = 16
"""A level whose short side is smaller than two cells holds no legible word."""

LARGEST_SMALL = 256
"""Pictures of this long side and smaller ones are doubled, for the lettering of thumbnails."""

_BLOCK = 4
_MARGIN = 2
"""Blocks begin two pixels outside the picture: 2 × 2 of them are centred on 4 × 4 pixels."""
_WHOLE = 2 * CELL
"""Sides are filled up to pairs of cells."""
_NEIGHBOURHOOD = (9, 9)
"""Blocks, 36 pixels: where contrast is taken from."""
_EVEN_NOISE = 8.0
"""Grey levels: deviations well below this are taken for noise and are not blown up."""

Float = NDArray[np.float32]


class TextNetwork:
    """Probabilities of lettering.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        ``weight0``, ``bias0``, …, for the convolutions of `GEOMETRIES`.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._convolutions = convolutions(arrays, GEOMETRIES)

    def __call__(self, luma: NDArray[np.uint8]) -> Float:
        """Return the probability of each cell of 8 × 8 pixels.

        Parameters
        ----------
        luma : ndarray of uint8, shape (H, W)
            The picture.

        Returns
        -------
        ndarray of float32, shape (ceil(H / 8), ceil(W / 8))
            Probabilities in [0, 1].
        """
        strokes, pairs, near, around, wide, logit = self._convolutions
        cells = near(pairs(strokes(blocks(luma), rectified=True), rectified=True), rectified=True)
        surroundings = wide(around(_halved(cells), rectified=True))
        height, width, channels = cells.shape
        by_pairs = cells.reshape(height // 2, 2, width // 2, 2, channels)
        by_pairs += surroundings[:, None, :, None]
        np.maximum(cells, 0, out=cells)
        rows, columns = (-(-side // CELL) for side in luma.shape)
        return sigmoid(logit(cells)[:rows, :columns, 0])


def pyramid(luma: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield the picture, doubled if it is small, and its half, as far as they could hold a word."""
    luma = finest(luma)
    for _ in range(LEVELS):
        if min(luma.shape) < SMALLEST_SIDE:
            break
        yield luma
        half = (max(1, luma.shape[1] // 2), max(1, luma.shape[0] // 2))
        # Of an odd side the mean of two neighbours is as good as areas, at a tenth of their cost.
        luma = cv2.resize(luma, half, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)


def finest(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the picture, or twice its size if it is a small one."""
    if max(luma.shape) > LARGEST_SMALL or min(luma.shape) < SMALLEST_SIDE:
        return luma
    double = (2 * luma.shape[1], 2 * luma.shape[0])
    return cv2.resize(luma, double, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)


def blocks(luma: NDArray[np.uint8]) -> Float:
    """Return ``(luma - local mean) / (local deviation + 8)``, in blocks of 4 × 4 pixels.

    Faint lettering becomes as strong as bold lettering. Shape (rows, columns, 16): one block more
    than pairs of cells hold, along each side.
    """
    below, beside = (_MARGIN + -side % _WHOLE for side in luma.shape)
    padded = cv2.copyMakeBorder(luma, _MARGIN, below, _MARGIN, beside, cv2.BORDER_REFLECT)
    # Four neighbours move as one number of 32 bits.
    rows = np.ascontiguousarray(padded).view(np.uint32).reshape(len(padded) // _BLOCK, _BLOCK, -1)
    whole = np.ascontiguousarray(rows.transpose(0, 2, 1)).view(np.uint8).astype(np.float32)
    mean = np.einsum("yxp->yx", whole) / np.float32(_BLOCK**2)
    square = np.einsum("yxp,yxp->yx", whole, whole) / np.float32(_BLOCK**2)
    border = cv2.BORDER_REFLECT
    mean = cv2.boxFilter(mean, cv2.CV_32F, _NEIGHBOURHOOD, borderType=border)
    square = cv2.boxFilter(square, cv2.CV_32F, _NEIGHBOURHOOD, borderType=border)
    gain = 1 / (np.sqrt(np.maximum(square - mean * mean, 0)) + np.float32(_EVEN_NOISE))
    whole -= mean[:, :, None]
    whole *= gain[:, :, None]
    return whole


def _halved(maps: Float) -> Float:
    """Return the mean of each 2 × 2 cells."""
    height, width, channels = maps.shape
    pairs = maps.reshape(height // 2, 2, width, channels)
    rows = (pairs[:, 0] + pairs[:, 1]).reshape(height // 2, width // 2, 2, channels)
    mean: Float = (rows[:, :, 0] + rows[:, :, 1]) * np.float32(0.25)
    return mean


_RANK = 4
"""The fourth strongest cell of a map: fewer than four cells, 32 × 8 pixels, are no word."""
SURE = 0.9
"""A cell that is lettering with more probability than this counts as found."""
_CERTAIN = 1e-5


def evidence(maps: Iterable[Float]) -> NDArray[np.float64]:
    """Return what decides about the whole picture, from the maps of its levels.

    The fourth strongest cell of any map, as a logit, and the logarithm of one more than the cells
    that are lettering with more than 0.9 probability.
    """
    maps = tuple(maps)
    peak = max((peak_logit(cells) for cells in maps), default=math.log(_CERTAIN))
    extent = math.log1p(sum(int(np.count_nonzero(cells > SURE)) for cells in maps))
    return np.array([peak, extent])


def peak_logit(cells: Float) -> float:
    """Return the logit of the fourth strongest cell."""
    if cells.size < _RANK:
        return math.log(_CERTAIN)
    strongest = float(np.partition(cells.ravel(), -_RANK)[-_RANK])
    bounded = min(max(strongest, _CERTAIN), 1 - _CERTAIN)
    return math.log(bounded / (1 - bounded))
