"""How edges bend around the centre of a picture: arcs along edges, and what bends them.

A lens that does not keep lines straight bends them alike everywhere: away from the centre, and the
more, the farther from the centre they pass. In the division model of such a lens (Fitzgibbon 2001,
doi:10.1109/CVPR.2001.990465) an undistorted radius is ``r / (1 + λ r²)``; a straight line that
passes at a distance d becomes a circle (Bukhari & Dailey 2013, doi:10.1007/s10851-012-0342-2) of
curvature ``2 d |λ| / sqrt(1 + 4 d² |λ|)``: about proportional to d. Round things bend too, but not
all around one centre.

Edges are not followed pixel by pixel: they are looked for on every fourth row and column alone,
where their place can be told to a tenth of a pixel, and from there on the next one; on the one
after that, where another edge lies across.

Lengths are in units of half the picture's diagonal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Image, derived, gray
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.quantiles import quantile

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Indices = NDArray[np.intp]

SIDE = 256  # long side in pixels: edges of an eighth of it are measured to a tenth of a pixel
SMALLEST = 24  # of the short side, in pixels
STEP = 4  # pixels from a row, or column, on which edges are looked for to the next
_LINKS = 8  # steps that an arc goes
_APART = 2  # empty lines between rows and columns: as far as an edge is followed
_GAP = 16  # zeros after each line: more than an edge moves aside within two steps
_EDGE = 0.75  # of the mean slope: what is steeper is an edge
_FAINTEST, _STRONGEST = 16.0, 300.0  # slope that is no edge yet, and that always is; 8 a grey level
_ASLANT = 1.5  # slope, pixels along a line on the way of one to the next: less crosses it
_TURN = 0.35  # change of slope from a crossing to the next
_OPPOSITE = 8.0  # change of slope of an edge that falls into one that rises: none turns so
_OFF = 1.0  # pixels off the mean direction from a crossing to the next
_STRAYING = 0.25  # pixels, root mean square: an arc fits its points at least so well
_SHARPEST = 2.0  # curvature beyond which no lens bends
_UNLIKE = 0.35  # curvature off the fit at which an arc weighs a quarter
_ROUNDS = 4  # of reweighting
_RIDGE = (2.0, 20.0, 20.0)  # the centre stays near the picture's, unless many disagree
_FAR = 0.25  # from the centre: nearer lines hardly bend
_BENT, _STRAIGHT = 0.12, 0.10  # curvatures
_FEW = 6  # arcs: what shares are drawn towards 0 by

_LINK = np.arange(_LINKS + 1)[:, None]
_MIDDLE = _LINKS * STEP // 2 + STEP // 2  # of an arc that begins on the first line, in pixels
_PLACES = np.arange(_LINKS + 1) - _LINKS / 2  # along an arc, in steps from its middle
_SHAPES = np.stack([_PLACES**0, _PLACES, _PLACES**2 - (_PLACES**2).mean()])  # at right angles
_SIZES = np.sqrt((_SHAPES**2).sum(axis=1))
_SHAPES /= _SIZES[:, None]
# From the amount of each shape: to the mean, and to the first and second derivatives.
_MEAN, _PER_STEP, _PER_STEP_SQUARED = ([1, 1 / STEP, 2 / STEP**2] / _SIZES).tolist()

RINGS = (0.4, 0.6, 0.8)  # where the rings of `radial_squeeze` begin
_SECTORS = 12
_SOFT = 1600.0  # slope squared: steeper edges count by their length, not their contrast
_UNSURE = 5.0  # slope: what sectors without texture are drawn towards 0 by


@dataclass(frozen=True, eq=False)
class Arcs:
    """Short arcs fitted along edges.

    Attributes
    ----------
    curvature : ndarray, shape (n,)
        Positive where the arc bulges along its normal.
    normal : ndarray, shape (2, n)
        A unit vector across the arc, x and y.
    middle : ndarray, shape (2, n)
        The arc's middle, from the picture's centre.
    """

    curvature: Floats
    normal: Floats
    middle: Floats


_NO_ARCS = Arcs(np.zeros(0), np.zeros((2, 0)), np.zeros((2, 0)))


class Bending(NamedTuple):
    """What a picture's arcs say about the lens; zeros when there are too few.

    Attributes
    ----------
    strength : float
        Curvature gained per distance from the centre, about twice the division model's |λ|;
        positive for barrel distortion.
    explained : float
        Share of the curvature that bending around one centre explains.
    consistency : float
        Share of far arcs bent outwards less the share bent inwards, in [-1, 1].
    straightness : float
        Share of far arcs that are straight, in [0, 1].
    typical : float
        Median of curvature over distance of far arcs.
    support : float
        Logarithm of one more than the number of far arcs.
    """

    strength: float = 0.0
    explained: float = 0.0
    consistency: float = 0.0
    straightness: float = 0.0
    typical: float = 0.0
    support: float = 0.0


class _Crossings(NamedTuple):
    """Where edges cross the lines that they are looked for on; the first stands for nowhere."""

    at: Indices  # the pixel, counted through all the lines
    off: Floats  # pixels from there to the edge itself, to a tenth of one
    slope: Floats  # pixels along the line on the way of one to the next
    upwards: NDArray[np.bool_]  # whether the luma rises along the line


@derived
def gradients(image: Image) -> NDArray[np.int16]:
    """Return the luma's derivatives, along x and along y, by Sobel's kernels.

    Returns
    -------
    ndarray of int16, shape (2, H, W)
    """
    luma = gray(image, SIDE)
    both = np.empty((2, *luma.shape), np.int16)
    cv2.spatialGradient(luma, both[0], both[1])
    return both


@derived
def edge_arcs(image: Image) -> Arcs:
    """Fit arcs to stretches of the edges.

    Returns
    -------
    Arcs
        Each along an eighth of the long side, and measured on nine points. Stretches with a
        corner, or that turn back, are left out.
    """
    slopes = gradients(image)
    _, height, width = slopes.shape
    if min(height, width) < SMALLEST:
        return _NO_ARCS
    lines, rows = _lines(slopes)
    length = lines.shape[2]
    place, following = _linked(_crossings(lines, _edge(slopes)), lines[0].size, length)
    points = _chains(following)
    if not points.size:
        return _NO_ARCS
    places = place.take(points)
    line = np.floor((places[0] + _GAP / 2) / length)
    places -= line * length
    places -= _LINK * length

    # The parabola that fits best: how much of each shape is in it, and what is left over.
    level, tilt, bow = amounts = np.einsum("sp,pn->sn", _SHAPES, places)
    rest = np.einsum("pn,pn->n", places, places) - np.einsum("sn,sn->n", amounts, amounts)
    steepness = tilt * _PER_STEP
    stretch = 1 + steepness * steepness
    root = np.sqrt(stretch)
    half_diagonal = math.hypot(height, width) / 2
    curvature = bow / (stretch * root) * (_PER_STEP_SQUARED * -half_diagonal)
    good = rest < stretch * (_STRAYING**2 * len(places))
    good &= np.abs(curvature) < _SHARPEST

    # As seen from a row, and for columns the other way round.
    kept = np.flatnonzero(good)
    line, root, steepness, level = np.array([line, root, steepness, level]).take(kept, axis=1)
    in_row = line < rows
    line -= np.where(in_row, 0, rows + _APART)
    seen = np.array([1 / root, -steepness / root, level * _MEAN, line * STEP + _MIDDLE])
    seen = seen.reshape(2, 2, -1)
    normal, middle = np.where(in_row, seen, seen[:, ::-1])
    middle -= [[(width - 1) / 2], [(height - 1) / 2]]
    middle /= half_diagonal
    return Arcs(curvature.take(kept), normal, middle)


def _edge(slopes: NDArray[np.int16]) -> int:
    """Return how steep an edge is at least."""
    mean = cv2.norm(slopes[0], cv2.NORM_L1) + cv2.norm(slopes[1], cv2.NORM_L1)
    return int(min(max(_EDGE * mean / slopes[0].size, _FAINTEST), _STRONGEST))


def _lines(slopes: NDArray[np.int16]) -> tuple[NDArray[np.int16], int]:
    """Return every fourth row, two empty lines, every fourth column, and two empty ones more.

    Returns
    -------
    lines : ndarray of int16, shape (2, n, length)
        The derivatives along the line, and across it to the next; a gap after each line.
    rows : int
        How many of them are rows.
    """
    _, height, width = slopes.shape
    rows, columns = len(range(STEP // 2, height, STEP)), len(range(STEP // 2, width, STEP))
    count = rows + columns + 2 * _APART
    lines = np.zeros((2, count, max(height, width) + _GAP), np.int16)
    for line, level, upright in zip(lines, slopes, slopes[::-1], strict=True):
        line[:rows, :width] = level[STEP // 2 :: STEP]
        line[rows + _APART : -_APART, :height] = cv2.transpose(upright)[STEP // 2 :: STEP]
    return lines, rows


def _crossings(lines: NDArray[np.int16], edge: int) -> _Crossings:
    """Return where edges cross the lines, rather than run along them."""
    rise, drift = lines.reshape(2, -1)
    steep = np.abs(rise)
    here = steep[1:-1]
    peak = np.zeros(len(steep), np.bool_)
    peak[0] = True  # nowhere
    inner = np.greater(here, edge, out=peak[1:-1])
    inner &= here > steep[2:]
    inner &= here >= steep[:-2]
    at = np.flatnonzero(peak)
    way = rise.take(at)
    way[0] = 1
    slope = drift.take(at) / -way
    slope[0] = 0
    across = np.flatnonzero(np.abs(slope) < _ASLANT)
    at, slope, upwards = at.take(across), slope.take(across), way.take(across) > 0

    # The top of the parabola through a peak and its neighbours is nearer to the edge.
    left, top, right = steep.take(at - 1), steep.take(at), steep.take(at + 1)
    bow = left - 2 * top + right
    bow[0] = -1  # nowhere's, which may have none
    off = (left - right) / (2 * bow)
    off[0] = 0
    return _Crossings(at, off, slope, upwards)


def _linked(crossings: _Crossings, size: int, length: int) -> tuple[Floats, Indices]:
    """Link the crossings of each edge with the lines, of that length, one after the other.

    Returns
    -------
    place : ndarray of float64
        Of the crossings, and of some put in between where an edge is lost on one line alone.
    following : ndarray of int
        The crossing of the same edge with the next line; 0 for none.
    """
    at, off, slope, upwards = crossings
    count, place = len(at), at + off
    number, names = np.zeros(size, np.uint16), np.arange(count, dtype=np.uint16)
    for near in (at - 1, at + 1, at):
        number[near] = names
    # Slopes of edges that rise and of those that fall are never alike, nor is any like nowhere's.
    kind = slope + upwards * _OPPOSITE
    kind[0] = -_OPPOSITE

    def ahead(lines: int) -> Indices:
        """Return where edges go on so many lines ahead: where the slope points to, or beside."""
        way = slope * (lines * STEP)
        expected = np.rint(way + off).astype(np.intp) + at
        found = number[lines * length :].take(expected).astype(np.intp)
        way /= 2
        leaving, arriving = place + way, place - way
        leaving += lines * length
        same = np.abs(kind.take(found) - kind) < _TURN
        same &= np.abs(arriving.take(found) - leaving) < _OFF
        found *= same
        return found

    following, beyond = ahead(1), ahead(2)
    lost = np.flatnonzero((following == 0) & (beyond > 0))
    beyond = beyond.take(lost)
    following[lost] = np.arange(count, count + len(lost))
    # Where the cubic from one to the other is halfway.
    between = (place.take(lost) + place.take(beyond)) / 2
    between += (slope.take(lost) - slope.take(beyond)) * (STEP / 4)
    return np.concatenate([place, between]), np.concatenate([following, beyond])


def _chains(following: Indices) -> Indices:
    """Return the crossings of every stretch of an edge, shape (9, stretches)."""
    second = following.take(following)
    fourth = second.take(second)
    start = np.flatnonzero(fourth.take(fourth) > 0)
    chain = np.empty((_LINKS + 1, len(start)), np.intp)
    chain[0] = start
    chain[1] = following.take(start)
    chain[2:4] = second.take(chain[:2])
    chain[4:8] = fourth.take(chain[:4])
    chain[8] = fourth.take(chain[4])
    return chain


def bending(arcs: Arcs) -> Bending:
    """Return how arcs bend around a common centre.

    The curvatures are fitted, robustly, with ``a · n·(m - c)`` for middle m and normal n: the
    strength a and the centre c, which may lie off the picture's own after a crop.
    """
    if len(arcs.curvature) < 4:
        return Bending()
    distance, outwards, far = _seen_from_centre(arcs)
    strength, explained = _fit(np.array([distance, *-arcs.normal, arcs.curvature]))
    outward = outwards[far]
    count = len(outward)
    if count == 0:
        return Bending(strength, explained)
    typical = quantile(outward / np.abs(distance[far]), 0.5)
    bent = np.count_nonzero(outward > _BENT) - np.count_nonzero(outward < -_BENT)
    return Bending(
        strength=strength,
        explained=explained,
        consistency=bent / (count + _FEW),
        straightness=np.count_nonzero(np.abs(outward) < _STRAIGHT) / (count + _FEW),
        typical=typical * count / (count + _FEW),
        support=math.log1p(count),
    )


def bent_and_straight(arcs: Arcs) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which arcs speak for a lens that bends, and which against it.

    Returns
    -------
    bent, straight : ndarray of bool, shape (n,)
        Arcs far from the centre that bulge away from it, and those that are straight.
    """
    _, outwards, far = _seen_from_centre(arcs)
    return far & (outwards > _BENT), far & (np.abs(outwards) < _STRAIGHT)


def polylines(arcs: Arcs, shape: tuple[int, ...]) -> Floats:
    """Return the arcs as points along them, in shares of a picture's width and height.

    Parameters
    ----------
    arcs : Arcs
        Of `edge_arcs`.
    shape : tuple of int
        Rows and columns of the picture at a long side of 256.

    Returns
    -------
    ndarray, shape (n, 5, 2)
    """
    height, width = shape
    half_diagonal = np.hypot(height, width) / 2
    normal, middle = arcs.normal.T[:, None], arcs.middle.T[:, None]
    along = np.stack([normal[..., 1], -normal[..., 0]], axis=-1)
    # From the first of its lines to the last, an arc is the longer, the more it runs aslant.
    chord = _LINKS * STEP / half_diagonal / np.abs(normal).max(axis=-1)
    place = chord * np.linspace(-0.5, 0.5, 5)
    bulge = (chord**2 / 4 - place**2) / 2
    over = arcs.curvature[:, None] * (bulge - bulge.mean(axis=1, keepdims=True))
    points = middle + place[..., None] * along + over[..., None] * normal
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    return np.asarray((points * half_diagonal + centre + 0.5) / (width, height))


def _seen_from_centre(arcs: Arcs) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """The arcs' distances from the centre, their outward curvatures, and which are far from it."""
    distance = arcs.normal[0] * arcs.middle[0] + arcs.normal[1] * arcs.middle[1]
    return distance, arcs.curvature * np.sign(distance), np.abs(distance) > _FAR


def _fit(columns: Floats) -> tuple[float, float]:
    """Return the first slope and the explained share of a robust ridge regression.

    Parameters
    ----------
    columns : ndarray, shape (4, n)
        Three to explain the fourth by.
    """
    first, second, third, wanted = columns
    products = columns[_PAIRS[0]] * columns[_PAIRS[1]]
    weight = np.ones(columns.shape[1])
    for turn in range(_ROUNDS):
        sums = np.einsum("pn,n->p", products, weight).tolist()
        a, b, c = _solved(sums)
        rest = wanted - (a * first + b * second + c * third)
        if turn < _ROUNDS - 1:
            weight = 1 / (1 + (rest / _UNLIKE) ** 2) ** 2
    explained = 1 - float((weight * rest**2).sum()) / (sums[-1] + 1e-3)
    return a, explained


_PAIRS = np.array([(i, j) for i in range(4) for j in range(i, 4)]).T


def _solved(sums: list[float]) -> tuple[float, float, float]:
    """Solve the three normal equations, by the Cholesky factors without roots."""
    aa, ab, ac, aw, bb, bc, bw, cc, cw, _ = sums
    aa, bb, cc = aa + _RIDGE[0], bb + _RIDGE[1], cc + _RIDGE[2]
    ba, ca = ab / aa, ac / aa
    bb, bc, cc = bb - ab * ba, bc - ab * ca, cc - ac * ca
    bw, cw = bw - aw * ba, cw - aw * ca
    cb = bc / bb
    c = (cw - bw * cb) / (cc - bc * cb)
    b = bw / bb - cb * c
    return aw / aa - ba * b - ca * c, b, c


@derived
def radial_squeeze(image: Image) -> tuple[float, ...]:
    """Return how much steeper luma changes along the radius than around it.

    Most fisheye projections squeeze the picture along the radius, the more the nearer the rim, so
    its texture seems to run around the centre. The cosine of twice the angle between gradient and
    radius is averaged in twelve sectors, and over the sectors, so that a picture of upright and
    level edges gives 0.

    Returns
    -------
    tuple of float
        In [-1, 1], in rings that begin at 0.4, 0.6 and 0.8 of half the diagonal.
    """
    slopes = gradients(image)
    _, height, width = slopes.shape
    if min(height, width) < SMALLEST:
        return (0.0,) * len(RINGS)
    pixels, cosine, sine, sectors, unsure, rings = _polar(height, width)
    across, down = slopes.reshape(2, -1).take(pixels, axis=1).astype(np.float32)
    level, upright = across * across, down * down
    squares = level + upright
    both = np.array([squares, (level - upright) * cosine + across * down * sine])
    both /= np.sqrt(squares + _SOFT)
    total, radial = np.add.reduceat(both, sectors, axis=1)
    shares = np.add.reduceat(radial / (total + unsure), rings) / _SECTORS
    return tuple(shares.tolist())


class _Polar(NamedTuple):
    """Every other pixel of every other row beyond the first ring's begin, sector by sector."""

    pixels: Indices  # their places, counted through the rows
    cosine: Singles  # of twice the angle of their radius
    sine: Singles  # of the same, twice
    sectors: Indices  # where among these pixels each sector begins that has any, inside out
    unsure: Singles  # what each such sector's sum is increased by: what draws it towards 0
    rings: Indices  # where among these sectors each ring begins


@lru_cache(maxsize=8)
def _polar(height: int, width: int) -> _Polar:
    """Return how the pixels of a picture lie around its middle."""
    rows, columns = height // 2, width // 2
    half_diagonal = np.hypot(rows, columns) / 2
    y, x = np.mgrid[:rows, :columns] - [[[(rows - 1) / 2]], [[(columns - 1) / 2]]]
    squares = np.maximum(x * x + y * y, 1e-6)
    turn = np.arctan2(y, x) / (2 * np.pi) + 0.5
    sector = np.minimum((turn * _SECTORS).astype(np.intp), _SECTORS - 1)
    ring = np.digitize(np.sqrt(squares) / half_diagonal, RINGS) - 1
    cells = np.where(ring < 0, -1, ring * _SECTORS + sector).ravel()
    order = np.argsort(cells, kind="stable")[np.count_nonzero(cells < 0) :]
    found, sectors = np.unique(cells[order], return_index=True)
    _, rings = np.unique(found // _SECTORS, return_index=True)
    per_sector = np.bincount(cells[order] // _SECTORS)[found // _SECTORS] / _SECTORS
    cosine, sine = (x * x - y * y) / squares, 4 * x * y / squares
    return _Polar(
        (order // columns * 2 + 1) * width + order % columns * 2 + 1,
        cosine.ravel()[order].astype(np.float32),
        sine.ravel()[order].astype(np.float32),
        sectors,
        (_UNSURE * per_sector).astype(np.float32),
        rings,
    )
