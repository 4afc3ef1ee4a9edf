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

from itertools import accumulate
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
_GRAIN = 3
"""A column is a mean of so many pixels along the side: a texture's grain, no straight edge."""
_APART, _APART_FROM = 3, 300
"""The distance of these pixels, for a short side of so many or more; columns touch each other."""
_EDGE_GRAIN = 3
"""For an edge, so many columns are averaged again."""
_THICKNESS = 3
"""Pixels are averaged over this depth on both sides of an edge."""
_LAG = 3
"""Along a frame the colour stays, or drifts slowly: it is compared at this distance, in columns."""
_CALM = 2.0
"""The weight of strong changes outside the straight edge against those along it."""
_EVEN_AGREEMENT = 0.40
"""The agreement with which the degree is 0.5 (tuned on labelled photos: below 0.31 without a frame,
above 0.44 with one; balanced accuracy 1.00)."""
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
        """Show the depth at which most columns of each side leave the rim, and how many do."""
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
    pixels = image.pixels(_SIDE)
    if min(pixels.shape[:2]) < _SMALLEST:
        return ()
    borders = _borders(pixels)
    both = zip(_common_onsets(borders), _straight_edges(borders), strict=True)
    return tuple([max(edges, key=lambda edge: edge.agreement) for edges in both])


class _Borders(NamedTuple):
    """The borders of the four sides, in columns, side by side; the rim is their first row."""

    strip: NDArray[np.uint8]  # (depth, column, channel); a border less deep repeats its last row
    starts: list[int]  # the first column of each side
    counts: list[int]  # its number of columns
    depths: list[int]  # its own depth


def _borders(pixels: NDArray[np.uint8]) -> _Borders:
    height, width = pixels.shape[:2]
    apart = max(1, min(_APART, round(_APART * min(height, width) / _APART_FROM)))
    down, along = int(height * _DEEPEST), int(width * _DEEPEST)
    top, left = int(height * _CORNER), int(width * _CORNER)
    across, upright = pixels[:, left : width - left], pixels[top : height - top]
    sides = [
        _columns(cv2.transpose(across[:down]), apart),
        cv2.flip(_columns(cv2.transpose(across[height - down :]), apart), 1),
        _columns(upright[:, :along], apart),
        cv2.flip(_columns(upright[:, width - along :], apart), 1),
    ]
    depths, counts = [side.shape[1] for side in sides], [len(side) for side in sides]
    starts = [0, *accumulate(counts)]
    strip = np.empty((max(depths), starts.pop(), 3), np.uint8)
    for side, start, count, depth in zip(sides, starts, counts, depths, strict=True):
        own = strip[:, start : start + count]
        own[:depth] = cv2.transpose(side)
        own[depth:] = own[depth - 1]
    return _Borders(strip, starts, counts, depths)


def _columns(rows: NDArray[Any], apart: int) -> NDArray[Any]:
    """Means of `_GRAIN` rows of pixels at this distance from each other."""
    step = _GRAIN * apart
    count = len(rows) // step
    first = (len(rows) - count * step) // 2 + apart // 2  # in the middle: mirrors alike
    parts = [rows[first + part * apart :: step][:count] for part in range(_GRAIN)]
    total = np.add(parts[0], parts[1], dtype=np.uint16)
    for part in parts[2:]:
        total += part
    return np.asarray(cv2.convertScaleAbs(total, alpha=1 / _GRAIN))


def _common_onsets(borders: _Borders) -> list[_Edge]:
    """For each side, the share of columns that leave the colour of a steady rim at one depth."""
    strip, rim = borders.strip, borders.strip[:1]
    alike = _alike(strip, np.repeat(rim, len(strip), axis=0), _SAME)
    # The first depth at which each column has left its rim's colour; 0, the rim itself, is never.
    onsets = (cv2.transpose(alike) == 0).argmax(axis=1)
    onsets += np.repeat(np.arange(4) * (len(strip) + 1), borders.counts)
    columns = np.bincount(onsets, minlength=4 * (len(strip) + 1)).reshape(4, -1)
    columns[:, 0] = 0
    near = columns[:, :-1] + columns[:, 1:]
    near[:, :-1] += columns[:, 2:]
    most = near.argmax(axis=1).tolist()
    lag = min(_LAG, min(borders.counts) // 2)
    steady = _alike(rim[:, lag:], rim[:, :-lag], _SAME)[0]
    edges = []
    for side, (start, count) in enumerate(zip(borders.starts, borders.counts, strict=True)):
        share = np.count_nonzero(steady[start : start + count - lag]) / (count - lag)
        together = float(near[side, most[side]]) / count
        edges.append(_Edge(together * share, most[side] + 1.0))
    return edges


def _straight_edges(borders: _Borders) -> list[_Edge]:
    """For each side, the share of columns that change strongly at one depth, less those outside."""
    strip = borders.strip[: _edges_end(len(borders.strip))]
    smooth = cv2.blur(strip, (_EDGE_GRAIN, _THICKNESS), borderType=cv2.BORDER_REPLICATE)
    alike = _alike(smooth[_THICKNESS:], smooth[:-_THICKNESS], _STEP)
    most = 255.0 * (np.array(borders.counts)[:, None] - 2)
    same = np.empty((4, len(alike)))
    same[:] = most  # deeper than a side goes
    for own, start, count, depth in zip(same, *borders[1:], strict=True):
        deep = _edges_end(depth) - _THICKNESS
        # Where sides meet in the strip, a column is a mean of both: left out.
        columns = alike[:deep, start + 1 : start + count - 1]
        own[:deep] = cv2.reduce(columns, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[:, 0]
    return _clearest(1.0 - same / most)


def _edges_end(depth: int) -> int:
    """How deep straight edges are looked for in a border of this depth."""
    return int(depth * _DEEPEST_EDGE / _DEEPEST)


def _clearest(share: NDArray[np.float64]) -> list[_Edge]:
    """The edge of each side, given the share of its columns that change strongly at each depth."""
    # Outside ends where the edge itself begins to be seen, `_THICKNESS` rows before.
    depths = share.shape[1] - _THICKNESS
    outside = share.cumsum(axis=1)[:, :depths] / np.arange(1, depths + 1)
    clear = share[:, _THICKNESS:] - _CALM * outside
    edges = []
    for at, own, clearness in zip(clear.argmax(axis=1).tolist(), share, clear, strict=True):
        # The change is seen from some rows before the edge to as many behind it.
        first = at + _THICKNESS
        weaker = own[first:] < 0.9 * own[first]
        seen = int(weaker.argmax()) or len(weaker)  # the first is none
        depth = first + (seen - 1) / 2 + (_THICKNESS + 1) / 2
        edges.append(_Edge(max(float(clearness[at]), 0.0), depth))
    return edges


def _alike(one: NDArray[Any], other: NDArray[Any], tolerance: int) -> NDArray[Any]:
    """255 where no channel of two pictures differs by more than the tolerance, else 0."""
    return np.asarray(cv2.inRange(cv2.absdiff(one, other), (0,) * 3, (tolerance,) * 3))
