"""Laying what a filter saw over the photo: heat maps, masks, boxes and lines."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qualipy.explaining.canvas import ROLES, Pixels, cased_line
from qualipy_core.explanation import Boxes, Color, Explanation, HeatMap, Layer, Lines, Mask
from qualipy_core.opencv import cv2

_HEAT, _MASK = 0.85, 0.5
"""How much of the photo a heat map at full weight, and a mask, cover."""
_LIT = 0.45
"""Under a heat map the photo is grey, so that colours say one thing alone; its brightness still
modulates the map's colours, from this share of them upwards."""
_CALM, _LIFT = 0.72, 24
"""Under masks and lines it keeps its colours, with less contrast: neither black nor white."""
_SPECK = 5e-4
"""The share of the picture from which a region of a mask gets an outline; specks are but filled."""


def overlaid(photo: Pixels, explanation: Explanation) -> Pixels:
    """Return a photo with the layers of an explanation over it.

    Parameters
    ----------
    photo : ndarray of uint8, shape (H, W, 3)
        Red, green, blue, at the size at which it is to be seen.
    explanation : Explanation
        Of this photo.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        A new picture.
    """
    shown = [layer for layer in explanation.layers if not is_empty(layer)]
    if any(isinstance(layer, HeatMap) for layer in shown):
        luma = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32)
        canvas = np.repeat((30 + 0.8 * luma)[..., None], 3, axis=2)
    else:
        canvas = photo * _CALM + np.float32(_LIFT) if shown else photo.astype(np.float32)
    picture = canvas.astype(np.uint8)
    for layer in shown:
        if isinstance(layer, HeatMap):
            picture = _heated(picture, layer)
        elif isinstance(layer, Mask):
            picture = _masked(picture, layer)
        elif isinstance(layer, Boxes):
            _draw_boxes(picture, layer)
        else:
            _draw_lines(picture, layer)
    return picture


def is_empty(layer: Layer) -> bool:
    """Whether there is nothing of a layer to be seen."""
    if isinstance(layer, Mask):
        return not layer.where.any()
    if isinstance(layer, Boxes):
        return not len(layer.boxes)
    return isinstance(layer, Lines) and not layer.lines


def heat_colors(values: NDArray[Any]) -> Pixels:
    """Return the colours of values in [0, 1]: dark blue … yellow, evenly spaced to the eye.

    Cividis: J. Nuñez, C. Anderton, R. Renslow, "Optimizing colormaps with consideration for color
    vision deficiency", PLOS ONE 2018, doi:10.1371/journal.pone.0199239.
    """
    levels = np.rint(values * 255).astype(np.uint8)
    colors = cv2.applyColorMap(levels, cv2.COLORMAP_CIVIDIS)
    return np.asarray(colors[..., ::-1], dtype=np.uint8)


def layer_color(layer: Mask | Boxes | Lines) -> Color:
    """Return the colour that stands for a layer."""
    own = layer.color if isinstance(layer, Mask) else None
    return own or ROLES[layer.role]


def _heated(picture: Pixels, layer: HeatMap) -> Pixels:
    height, width = picture.shape[:2]
    values = _fitted(layer.values, width, height)
    weight = np.ones_like(values) if layer.weight is None else _fitted(layer.weight, width, height)
    cover = (_HEAT * weight)[..., None]
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    colors = heat_colors(values) * (_LIT + (1 - _LIT) * luma)[..., None]
    return np.asarray(picture * (1 - cover) + colors * cover, dtype=np.uint8)


def _fitted(cells: NDArray[Any], width: int, height: int) -> NDArray[np.float32]:
    """Cells at the size of the picture, without edges between them when there are few."""
    enlarged = cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.clip(np.asarray(enlarged, dtype=np.float32), 0, 1)


def _masked(picture: Pixels, layer: Mask) -> Pixels:
    height, width = picture.shape[:2]
    where = layer.where.astype(np.float32)
    share = (
        cv2.resize(where, (width, height), interpolation=cv2.INTER_AREA)
        if (where.shape[0] > height)
        else cv2.resize(where, (width, height), interpolation=cv2.INTER_LINEAR)
    )
    color = np.array(layer_color(layer), np.float32)
    cover = (_MASK * np.asarray(share))[..., None]
    filled = np.asarray(picture * (1 - cover) + color * cover, dtype=np.uint8)
    if layer.color is None:
        inside = (np.asarray(share) > 0.5).astype(np.uint8)
        found, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        least = max(_SPECK * inside.size, 12.0)
        outlines = [line for line in found if cv2.contourArea(line) >= least]
        cv2.drawContours(filled, outlines, -1, (20, 20, 20), 3, cv2.LINE_AA)
        cv2.drawContours(filled, outlines, -1, layer_color(layer), 1, cv2.LINE_AA)
    return filled


def _draw_boxes(picture: Pixels, layer: Boxes) -> None:
    height, width = picture.shape[:2]
    for x, y, across, down in layer.boxes * (width, height, width, height):
        corners = np.array([[x, y], [x + across, y], [x + across, y + down], [x, y + down]])
        inside = np.clip(corners, 2, (max(width - 3, 2), max(height - 3, 2)))
        cased_line(picture, inside, layer_color(layer), closed=True)


def _draw_lines(picture: Pixels, layer: Lines) -> None:
    height, width = picture.shape[:2]
    for line in layer.lines:
        points = np.asarray(line) * (width, height) - 0.5
        # A line along the border would be half outside.
        points = np.where((points > -1.5) & (points < 1), 1, points)
        near_end = (points > np.array([width, height]) - 2.5) & (
            points < np.array([width, height]) + 1
        )
        points = np.where(near_end, np.array([width, height]) - 3.0, points)
        cased_line(picture, points, layer_color(layer), dashed=layer.role == "reference")
