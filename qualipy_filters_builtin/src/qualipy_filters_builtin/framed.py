"""Framed: a border on all four sides of the photo.

The measure looks from each side inwards, for either sign of a frame along it (seen from the top;
the other sides are turned to the top):

- *Common onset.* Every column of pixels keeps the colour of its outermost pixel for a while and
  leaves it at some depth. Under a plain frame all columns leave it at the same depth: its inner
  edge, or the edge between its first and second part, is a straight line. In a photo the depths
  scatter; before a uniform background they follow the outline of the subject.
- *Straight edge.* Along one depth nearly all columns change strongly, and outside of it few do: the
  edge of a textured frame (wood, cloth, noise), or a line drawn around the photo.

Beside letterbox bars at least one side shows neither.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Explanation, Filter, Image, derived
from qualipy_core.explanation import Lines
from qualipy_core.opencv import cv2

_SIDE = 512
"""The long side, in pixels, at which frames are looked for."""
_DEEPEST, _DEEPEST_EDGE = 0.36, 0.2
"""How far inwards to look for either sign, as a share of the picture; a polaroid's foot is 0.25."""
_CORNER = 0.15
"""The share of each side left out at both its ends: other sides' frames and rounded corners."""
_SAME = 12
"""Colours differ when a channel differs by more than this (JPEG noise and paper grain don't)."""
_STEP = 28
"""A change is strong when a channel changes by more than this."""
_GRAIN, _EDGE_GRAIN = 9, 5
"""Pixels are averaged along the side over 9: a texture's grain, no straight edge. For an edge five
of these means are averaged again."""
_COLUMN = 3
"""Pixels along the side from one of these means to the next, a column below."""
_THICKNESS = 3
"""Pixels are averaged over this depth on both sides of an edge."""
_LAG = 8
"""Along a frame the colour stays, or drifts slowly: it is compared at this distance, in columns."""
_CALM = 2.0
"""The weight of strong changes outside the straight edge against those along it."""
_EVEN_AGREEMENT = 0.40
"""The agreement with which the degree is 0.5 (tuned on labelled photos: below 0.28 without a frame,
above 0.43 with one; balanced accuracy 1.00)."""
_STEEPNESS = 4
_SMALLEST = 48
"""The short side, in pixels, of the smallest picture in which a frame can be told."""


class Framed(Filter):
    """Photos with a border on all four sides.

    A positive has a solid, textured, rounded or double border, a passepartout, a polaroid's rim, a
    thin line around it. Letterbox bars on two sides are none, nor is a uniform background. The
    prediction is a degree in [0, 1], about 0.98 for a clear frame and below 0.2 for a photo.

    Parameters
    ----------
    threshold : float
        The degree beyond which a photo is positive.
    invert_threshold : bool
        Flag the photos *without* a frame instead.
    comparison : str
        How the degree is compared with the threshold.

    Warnings
    --------
    It fails where the frame and the picture within have the same colour along a side, on oval
    frames and on blurred copies of the photo around it, and on frames thinner than about half a
    per cent of the picture. A photo of a framed picture that fills it is framed.

    Notes
    -----
    For each side: the share of the pixel columns that leave the colour of the rim at one common
    depth (± 1 pixel at a long side of 512), times the share of the rim along which the colour
    stays; or the share of the columns with a strong change at one depth, less twice the share
    outside it, if that is more. The four sides' shares *s* are joined as
    ``0.75 min(s) + 0.25 mean(s)``: a photo with a side that has no frame has no frame.

    References
    ----------
    The measure is QualiPy's own; it follows no paper.
    """

    name = "framed"
    speed = 1

    def measure(self, image: Image) -> float:
        """Return the degree, in [0, 1]."""
        sides = [edge.agreement for edge in _edges(image)]
        if not sides:
            return 0.0  # too small to have anything inside a frame
        agreement = 0.75 * min(sides) + 0.25 * sum(sides) / 4
        return agreement**_STEEPNESS / (agreement**_STEEPNESS + _EVEN_AGREEMENT**_STEEPNESS)

    def explain(self, image: Image) -> Explanation:
        """Show, on each side, the depth at which most columns leave the rim, and how many do."""
        edges = _edges(image)
        if not edges:
            return Explanation(f"The photo is smaller than {_SMALLEST} pixels: too small to judge.")
        height, width = image.pixels(_SIDE).shape[:2]
        depths = [
            edge.depth / side
            for edge, side in zip(edges, (height, height, width, width), strict=True)
        ]
        top, bottom, left, right = depths[0], 1 - depths[1], depths[2], 1 - depths[3]
        ends = (
            [[left, top], [right, top]],
            [[left, bottom], [right, bottom]],
            [[left, top], [left, bottom]],
            [[right, top], [right, bottom]],
        )
        shown: dict[bool, list[Any]] = {True: [], False: []}
        for edge, line in zip(edges, ends, strict=True):
            shown[edge.agreement > _EVEN_AGREEMENT].append(line)
        told = ", ".join(
            f"{name} {edge.agreement:.0%} at {depth:.1%}"
            for name, edge, depth in zip(
                ("top", "bottom", "left", "right"), edges, depths, strict=True
            )
        )
        summary = (
            f"How much of each side agrees on a straight inner edge, and its depth: {told}; "
            f"the side that agrees least counts most, and {_EVEN_AGREEMENT:.0%} is the limit."
        )
        layers = (
            Lines(tuple(shown[False]), "too few columns agree on an edge here", "other"),
            Lines(tuple(shown[True]), "the inner edge of a frame"),
        )
        return Explanation(summary, layers)


class _Edge(NamedTuple):
    """The best candidate for a frame's inner edge on one side."""

    agreement: float  # 0 not at all like a frame's … 1 fully
    depth: float  # in pixels from the rim


@derived
def _edges(image: Image) -> tuple[_Edge, ...]:
    """The candidates at the top, bottom, left and right; none in a picture too small."""
    return tuple([_edge(strip) for strip in _strips(image.pixels(_SIDE))])


def _strips(pixels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The four sides' borders in columns, each turned so that the rim is its first row."""
    height, width = pixels.shape[:2]
    if min(height, width) < _SMALLEST:
        return []
    down, along = int(height * _DEEPEST), int(width * _DEEPEST)
    top, left = int(height * _CORNER), int(width * _CORNER)
    across, upright = slice(left, width - left), slice(top, height - top)
    views = [
        pixels[:down, across],
        cv2.flip(pixels[height - down :, across], 0),
        cv2.rotate(pixels[upright, :along], cv2.ROTATE_90_CLOCKWISE),
        cv2.rotate(pixels[upright, width - along :], cv2.ROTATE_90_COUNTERCLOCKWISE),
    ]
    return [_columns(view.astype(np.uint8, copy=False)) for view in views]


def _columns(view: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A border with means of `_GRAIN` pixels along the side, one for every `_COLUMN` pixels."""
    smooth = cv2.blur(view, (_GRAIN, 1))
    size = (round(view.shape[1] / _COLUMN), len(view))
    return cv2.resize(smooth, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)


def _edge(strip: NDArray[np.uint8]) -> _Edge:
    """How much a border looks like a frame's, and where that would end."""
    edges_end = int(len(strip) * _DEEPEST_EDGE / _DEEPEST)
    return max(_common_onset(strip), _straight_edge(strip[:edges_end]), key=lambda e: e.agreement)


def _common_onset(strip: NDArray[np.uint8]) -> _Edge:
    """The share of columns that leave the colour of a steady rim at one depth."""
    rim = strip[:1]
    left = _differ(strip, np.repeat(rim, len(strip), axis=0), _SAME)
    # The first depth at which each column has left its rim's colour; 0, the rim itself, is never.
    onsets = np.bincount(left.argmax(axis=0), minlength=len(left) + 1)
    onsets[0] = 0
    near = onsets[:-1] + onsets[1:] + np.append(onsets[2:], 0)
    together = near.max()
    lag = min(_LAG, rim.shape[1] // 2)
    steady = 1.0 - _differ(rim[:, lag:], rim[:, :-lag], _SAME).mean() / 255.0
    return _Edge(float(together / left.shape[1] * steady), float(near.argmax() + 1))


def _straight_edge(strip: NDArray[np.uint8]) -> _Edge:
    """The share of columns that change strongly at one depth, less those that do outside it."""
    smooth = cv2.blur(strip, (_EDGE_GRAIN, _THICKNESS), borderType=cv2.BORDER_REPLICATE)
    change = _differ(smooth[_THICKNESS:], smooth[:-_THICKNESS], _STEP)
    share = cv2.reduce(change, 1, cv2.REDUCE_AVG, dtype=cv2.CV_64F).ravel() / 255.0
    # Outside ends where the edge itself begins to be seen, `_THICKNESS` rows before.
    outside = np.cumsum(share)[:-_THICKNESS] / np.arange(1, len(share) - _THICKNESS + 1)
    clear = share[_THICKNESS:] - _CALM * outside
    if not clear.size:
        return _Edge(0.0, 0.0)
    # The change is seen from some rows before the edge to as many behind it.
    first = int(clear.argmax()) + _THICKNESS
    weaker = share[first:] < 0.9 * share[first]
    seen = int(weaker.argmax()) if weaker.any() else len(weaker)
    depth = first + (seen - 1) / 2 + (_THICKNESS + 1) / 2
    return _Edge(max(float(clear.max()), 0.0), depth)


def _differ(one: NDArray[Any], other: NDArray[Any], tolerance: int) -> NDArray[np.uint8]:
    """255 where any channel of two pictures differs by more than the tolerance, else 0."""
    same = cv2.inRange(cv2.absdiff(one, other), (0.0,) * 3, (float(tolerance),) * 3)
    return cv2.bitwise_not(same).astype(np.uint8, copy=False)
