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
from qualipy_filters_builtin.convolution import Geometry, Network, convolutions, sigmoid
from qualipy_filters_builtin.onnx import INPUT, Graph

CELL = 8
GEOMETRIES = (
    Geometry(),  # 2 × 2 blocks, rectified: strokes
    Geometry(stride=2),  # 2 × 2 of those, rectified: cells
    Geometry(padding=1, by_channel=True),  # 3 × 3 cells, channel by channel,
    Geometry(),  # and the channels together, rectified
    Geometry(padding=1, by_channel=True),  # 3 × 3 pairs of cells: surroundings,
    Geometry(),  # rectified
    Geometry(padding=2, dilation=2, by_channel=True),  # wider surroundings,
    Geometry(),  # added to the cells
    Geometry(),  # the logit
)
"""How each kernel is laid: two that are wide and look at a channel each or at one place cost a
third of one that does both, and tell as much."""
RECTIFIED = (0, 1, 3, 5)
"""Which of the convolutions' results have no negative numbers."""

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
"""Sides are filled up to pairs of cells, two at least: OpenCV 4 errs about maps one place wide."""
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
        self._network = Network(_graph(arrays))

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
        rows, columns = (-(-side // CELL) for side in luma.shape)
        return sigmoid(self._network(blocks(luma)[None])[0, 0, :rows, :columns])


def _graph(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Put the convolutions together."""
    graph = Graph()
    layers = convolutions(arrays, GEOMETRIES)

    def chained(maps: str, *numbers: int) -> str:
        for number in numbers:
            maps = layers[number](graph, maps, rectified=number in RECTIFIED)
        return maps

    cells = chained(INPUT, 0, 1, 2, 3)
    halved = graph.add("AveragePool", [cells], kernel_shape=[2, 2], strides=[2, 2])
    surroundings = chained(halved, 4, 5, 6, 7)
    merged = graph.add("Add", [cells, _doubled(graph, surroundings)])
    return graph.described(chained(graph.add("Relu", [merged]), 8), _BLOCK**2)


def _doubled(graph: Graph, maps: str) -> str:
    """Repeat each place of maps, as 2 × 2."""
    scales = graph.constant(np.array([1, 1, 2, 2]))
    return graph.add(
        "Resize",
        [maps, "", scales],
        mode="nearest",
        nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
    )


def pyramid(luma: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield the picture, doubled if it is small, and its half, as far as they could hold a word."""
    luma = finest(luma)
    for level in range(LEVELS):
        if level:
            # Of an odd side the mean of two neighbours is as good as areas, at a tenth of the cost.
            half = (max(1, luma.shape[1] // 2), max(1, luma.shape[0] // 2))
            smaller = cv2.resize(luma, half, interpolation=cv2.INTER_LINEAR)
            luma = smaller.astype(np.uint8, copy=False)
        if min(luma.shape) < SMALLEST_SIDE:
            break
        yield luma


def finest(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the picture, or twice its size if it is a small one."""
    if max(luma.shape) > LARGEST_SMALL or min(luma.shape) < SMALLEST_SIDE:
        return luma
    double = (2 * luma.shape[1], 2 * luma.shape[0])
    return cv2.resize(luma, double, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)


def blocks(luma: NDArray[np.uint8]) -> Float:
    """Return ``(luma - local mean) / (local deviation + 8)``, in blocks of 4 × 4 pixels.

    Faint lettering becomes as strong as bold lettering. Shape (16, rows, columns), the pixels of a
    block row by row: one block more than pairs of cells hold, along each side.
    """
    below, beside = (_MARGIN + max(-side % _WHOLE, 2 * _WHOLE - side) for side in luma.shape)
    padded = cv2.copyMakeBorder(luma, _MARGIN, below, _MARGIN, beside, cv2.BORDER_REFLECT)
    rows, columns = (side // _BLOCK for side in padded.shape)
    # Four neighbours of a row are the four channels of a picture, which is split.
    beside_each_other = np.empty((_BLOCK, rows * _BLOCK, columns), np.uint8)
    cv2.split(padded.reshape(-1, columns, _BLOCK), list(beside_each_other))
    pixels = beside_each_other.reshape(_BLOCK, rows, _BLOCK, columns).transpose(2, 0, 1, 3)
    whole = pixels.astype(np.float32, order="C").reshape(_BLOCK**2, rows * columns)
    mean = cv2.reduce(whole, 0, cv2.REDUCE_AVG).reshape(rows, columns)
    square = cv2.reduce(whole, 0, cv2.REDUCE_SUM2).reshape(rows, columns)
    border = cv2.BORDER_REFLECT
    mean = cv2.boxFilter(mean, cv2.CV_32F, _NEIGHBOURHOOD, borderType=border)
    square = cv2.boxFilter(square, cv2.CV_32F, _NEIGHBOURHOOD, borderType=border)
    variance = square / np.float32(_BLOCK**2) - mean * mean
    gain = 1 / (np.sqrt(np.maximum(variance, 0)) + np.float32(_EVEN_NOISE))
    whole -= mean.ravel()
    whole *= gain.ravel()
    return whole.reshape(_BLOCK**2, rows, columns)


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
