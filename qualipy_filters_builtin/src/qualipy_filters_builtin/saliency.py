"""What stands out in a picture: a saliency map, and the regions of one.

The map is a logistic combination of the cues of `qualipy_filters_builtin.saliency_cues` and their
products, cell by cell: each cue has its own kind of error, and where two agree the object is. Its
weights were fitted on photos with object masks, and on the same photos with the object shrunk,
moved and repeated, so that small objects off the middle count as well.
"""

from __future__ import annotations

import functools
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Image, derived, gray
from qualipy_core.explanation import HeatMap
from qualipy_core.opencv import cv2
from qualipy_filters_builtin import saliency_cues
from qualipy_filters_builtin.convolution import sigmoid

SALIENCY_SIDE = 256
"""Long side, in pixels, of the picture from which the cues are taken."""
GRID = saliency_cues.GRID
"""Rows and columns of a saliency map, whatever the shape of the picture."""
BARRIER, REGION_CONTRAST = 0, 3
"""Places of two of the cues."""

Float = NDArray[np.float32]
_MIDDLE = 127

_down, _right = np.meshgrid(*((np.arange(GRID) + 0.5) / GRID - 0.5,) * 2, indexing="ij")
_position = np.array([4 * _right**2, 4 * _down**2, 2 * _down], dtype=np.float32)
_off_middle = _position[0] + _position[1]
_evenly = np.full(GRID**2, 1 / GRID**2, np.float32)
_TERMS = 21


@derived
def saliency_cells(image: Image) -> Float:
    """Return the cues to saliency, ``(6, 24, 24)``; see `saliency_cues.cues`."""
    return saliency_cues.cues(image.pixels(SALIENCY_SIDE))


@derived
def saliency_map(image: Image) -> Float:
    """Return the probability that a cell belongs to a salient object.

    Parameters
    ----------
    image : Image
        The picture.

    Returns
    -------
    ndarray of float32, shape (24, 24)
        In [0, 1]; the grid covers the whole picture.

    Notes
    -----
    On photos with object masks, left out of the fit by photo, the area under the ROC curve is 0.96
    over all cells, and 0.91 with the object cropped, or shrunk, moved and repeated; over the cells
    of a picture, on average 0.97 and 0.95.
    """
    weights, bias = _weights()
    # In halves of the map: linear algebra starts threads for larger products, whose number changes
    # the last bit.
    halves = terms(saliency_cells(image)).reshape(_TERMS, 2, -1).swapaxes(0, 1)
    logits = (weights @ halves).reshape(GRID, GRID)
    logits += bias
    return sigmoid(logits)


def object_mask(image: Image) -> NDArray[np.bool_]:
    """Return where a picture that already is a saliency map shows objects.

    Parameters
    ----------
    image : Image
        A saliency map or mask: objects bright.

    Returns
    -------
    ndarray of bool, shape (H, W)
        Beyond Otsu's threshold (N. Otsu, 1979, doi:10.1109/TSMC.1979.4310076), or beyond middle
        grey when the map has one tone only.
    """
    luma = gray(image, 1024)
    if luma.min() == luma.max():
        return luma > _MIDDLE
    split = cv2.threshold(luma, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[0]
    return luma > split


def saliency_heat(image: Image) -> HeatMap:
    """Return the saliency map relative to its maximum, to be shown."""
    saliency = saliency_map(image)
    return HeatMap(
        saliency / max(float(saliency.max()), 1e-6),
        "saliency, relative to the most salient cell",
        low="background",
        high="stands out",
    )


def region_boxes(mask: NDArray[np.bool_]) -> Float:
    """Return a box around each connected region of a mask, the largest region first.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        As for `region_weights`.

    Returns
    -------
    ndarray of float32, shape (regions, 4)
        x, y, width and height in shares of the mask.
    """
    height, width = mask.shape
    found = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)[2][1:]
    order = np.argsort(-found[:, cv2.CC_STAT_AREA], kind="stable")
    return np.asarray(found[order, :4] / (width, height, width, height), dtype=np.float32)


def region_weights(mask: NDArray[np.bool_], values: Float | None = None) -> Float:
    """Return the sums of values over each connected region of a mask, largest first.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        Regions are connected along rows and columns.
    values : ndarray of float32, shape (H, W), optional
        What to sum; by default areas are counted.

    Returns
    -------
    ndarray of float32, shape (regions,)
        Empty when there is no region.
    """
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    weights = None if values is None else values.ravel()
    sums = np.bincount(labels.ravel(), weights, minlength=count)[1:]
    result: Float = np.sort(sums)[::-1].astype(np.float32)
    return result


def second_to_first(weights: Float) -> float:
    """Return the second largest region's weight over the largest's: 0 one region … 1 two alike."""
    return float(weights[1] / weights[0]) if len(weights) > 1 and weights[0] > 0 else 0.0


def terms(cells: Float) -> Float:
    """Return what the logistic model weighs, ``(21, 24, 24)``.

    The cues, squared distances from the middle and the height, products, and the means of cues.
    """
    result = np.empty((_TERMS, GRID, GRID), np.float32)
    result[:6], result[6:9] = cells, _position
    barrier, _, border, contrast, _, sharp = cells
    np.multiply(barrier, contrast, out=result[9])
    np.multiply(border, contrast, out=result[10])
    np.multiply(barrier, border, out=result[11])
    np.multiply(sharp, contrast, out=result[12])
    np.multiply(sharp, barrier, out=result[13])
    np.multiply(_off_middle, contrast, out=result[14])
    np.multiply(result[9], border, out=result[15])
    result[16:] = (cells[:5].reshape(5, -1) @ _evenly)[:, None, None]
    return result


@functools.cache
def _weights() -> tuple[Float, Float]:
    source = resources.files(__package__).joinpath("models", "saliency.npz")
    with source.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return arrays["weights"].astype(np.float32), arrays["bias"].astype(np.float32)
