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

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Image, derived, gray
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.quantiles import quantile

Floats = NDArray[np.float64]
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
_OFF = 1.0  # pixels off the mean direction from a crossing to the next
_STRAYING = 0.25  # pixels, root mean square: an arc fits its points at least so well
_SHARPEST = 2.0  # curvature beyond which no lens bends
_UNLIKE = 0.35  # curvature off the fit at which an arc weighs a quarter
_ROUNDS = 4  # of reweighting
_RIDGE = (2.0, 20.0, 20.0)  # the centre stays near the picture's, unless many disagree
_FAR = 0.25  # from the centre: nearer lines hardly bend
_BENT, _STRAIGHT = 0.12, 0.10  # curvatures
_FEW = 6  # arcs: what shares are drawn towards 0 by

_PLACES = np.arange(_LINKS + 1) - _LINKS / 2  # along an arc, in steps from its middle
_SHAPES = np.stack([_PLACES, _PLACES**2 - (_PLACES**2).mean()])  # at right angles
_SIZES = (_SHAPES**2).sum(axis=1, keepdims=True)
_TAKEN = np.array([[1 / STEP], [2 / STEP**2]]) / _SIZES  # to first and second derivatives

_NEAR = np.array([[-1], [0], [1]])  # pixels

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


@dataclass(frozen=True)
class Bending:
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


@dataclass(frozen=True, eq=False)
class _Crossings:
    """Where edges cross the lines that they are looked for on; the first stands for nowhere.

    Attributes
    ----------
    at : ndarray of int, shape (n,)
        The pixel, counted through all the lines.
    place : ndarray, shape (n,)
        Along the line, in pixels.
    slope : ndarray, shape (n,)
        Pixels along the line on the way of one to the next.
    upwards : ndarray of bool, shape (n,)
        Whether the luma rises along the line.
    """

    at: Indices
    place: Floats
    slope: Floats
    upwards: NDArray[np.bool_]


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
        return Arcs(np.zeros(0), np.zeros((2, 0)), np.zeros((2, 0)))
    lines, rows = _lines(slopes)
    at, place, following = _linked(_crossings(lines, _edge(slopes)), lines.shape[1:])
    points = _chains(following)
    places = place[points]

    # The parabola that fits best: its mean, and how much of each shape is in it.
    mean = places.sum(axis=0) / len(places)
    places -= mean
    amounts = np.einsum("sp,pn->sn", _SHAPES, places)
    straying = (places * places).sum(axis=0) - (amounts * amounts / _SIZES).sum(axis=0)
    steepness, bow = amounts * _TAKEN
    cosine = 1 / np.sqrt(1 + steepness * steepness)
    half_diagonal = math.hypot(height, width) / 2
    curvature = bow * cosine**3 * -half_diagonal
    good = straying * cosine**2 < _STRAYING**2 * len(places)
    good &= np.abs(curvature) < _SHARPEST

    line = at[points[0]] // lines.shape[2]
    in_row = line < rows
    way = (line - np.where(in_row, 0, rows + _APART)) * STEP + (_LINKS * STEP // 2 + STEP // 2)
    seen = np.array([cosine, -steepness * cosine, mean, way]).reshape(2, 2, -1)
    normal, middle = np.where(in_row, seen, seen[:, ::-1])[..., good]
    middle -= [[(width - 1) / 2], [(height - 1) / 2]]
    middle /= half_diagonal
    return Arcs(curvature[good], normal, middle)


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
    across, down = slopes[:, STEP // 2 :: STEP], slopes[::-1, :, STEP // 2 :: STEP]
    rows = across.shape[1]
    count = rows + down.shape[2] + 2 * _APART
    lines = np.zeros((2, count, max(height, width) + _GAP), np.int16)
    lines[:, :rows, :width] = across
    lines[:, rows + _APART : -_APART, :height] = down.transpose(0, 2, 1)
    return lines, rows


def _crossings(lines: NDArray[np.int16], edge: int) -> _Crossings:
    """Return where edges cross the lines, rather than run along them."""
    length = lines.shape[2]
    rise, drift = lines.reshape(2, -1)
    steep = np.abs(rise)
    here, before, after = steep[1:-1], steep[:-2], steep[2:]
    peak = np.zeros(len(steep), np.bool_)
    np.greater(here, edge, out=peak[1:-1])
    peak[1:-1] &= here > after
    peak[1:-1] &= here >= before
    peak[0] = True  # nowhere
    at = np.flatnonzero(peak)
    way = rise[at]
    way[0] = 1
    slope = drift[at] / -way
    slope[0] = 0
    across = np.abs(slope) < _ASLANT
    at, slope, upwards = at[across], slope[across], way[across] > 0

    # The top of the parabola through a peak and its neighbours is nearer to the edge.
    left, top, right = steep[at + _NEAR]
    column = at % length
    place = column + (left - right) / (2 * np.minimum(left - 2 * top + right, -1))
    return _Crossings(at, place, slope, upwards)


def _linked(crossings: _Crossings, shape: tuple[int, ...]) -> tuple[Indices, Floats, Indices]:
    """Link the crossings of each edge with the lines, of that shape, one after the other.

    Returns
    -------
    at, place
        Of the crossings, and of some put in between where an edge is lost on one line alone.
    following : ndarray of int
        The crossing of the same edge with the next line; 0 for none.
    """
    at, place = crossings.at, crossings.place
    slope, upwards = crossings.slope, crossings.upwards
    count, length = len(at), shape[1]
    number = np.zeros(shape[0] * length, np.intp)
    for near in (-1, 1, 0):
        number[at + near] = np.arange(count)

    def ahead(lines: int, of: Indices | slice = slice(None)) -> Indices:
        """Return where edges go on so many lines ahead: where the slope points to, or beside."""
        way = lines * STEP
        expected = at[of] + np.rint(way * slope[of] + place[of] - at[of] % length).astype(np.intp)
        found = number[expected + lines * length]
        turned = slope[found] - slope[of]
        off = place[found] - place[of] - way * (slope[of] + turned / 2)
        same = upwards[found] == upwards[of]
        same &= np.abs(turned) < _TURN
        same &= np.abs(off) < _OFF
        found *= same
        return found

    following = ahead(1)
    following[0] = 0
    lost = np.flatnonzero(following == 0)[1:]
    beyond = ahead(2, lost)
    bridged = beyond > 0
    lost, beyond = lost[bridged], beyond[bridged]
    following[lost] = np.arange(count, count + len(lost))
    # Where the cubic from one to the other is halfway.
    between = (place[lost] + place[beyond]) / 2 + (slope[lost] - slope[beyond]) * (STEP / 4)
    return (
        np.concatenate([at, at[lost] + length]),
        np.concatenate([place, between]),
        np.concatenate([following, beyond]),
    )


def _chains(following: Indices) -> Indices:
    """Return the crossings of every stretch of an edge, shape (9, stretches)."""
    second = following[following]
    fourth = second[second]
    start = np.flatnonzero(fourth[fourth])
    chain = np.empty((_LINKS + 1, len(start)), np.intp)
    chain[0] = start
    for link in range(_LINKS):
        chain[link + 1] = following[chain[link]]
    return chain


def bending(arcs: Arcs) -> Bending:
    """Return how arcs bend around a common centre.

    The curvatures are fitted, robustly, with ``a · n·(m - c)`` for middle m and normal n: the
    strength a and the centre c, which may lie off the picture's own after a crop.
    """
    if len(arcs.curvature) < 4:
        return Bending()
    distance, outwards, far = _seen_from_centre(arcs)
    strength, explained = _fit(np.stack([distance, *-arcs.normal, arcs.curvature]))
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
    across, down = gradients(image)[:, 1::2, 1::2].astype(np.float32)
    height, width = across.shape
    if min(height, width) < SMALLEST // 2:
        return (0.0,) * len(RINGS)
    cosine, sine, cells, pixels = _polar(height, width)
    over = (across * across - down * down) * cosine + (across * down) * sine
    squares = across * across + down * down
    weight = 1 / np.sqrt(squares + _SOFT)
    count = len(RINGS) * _SECTORS
    total = np.bincount(cells, (squares * weight).ravel(), count + 1)[:count]
    radial = np.bincount(cells, (over * weight).ravel(), count + 1)[:count]
    shares = (radial / (total + _UNSURE * pixels)).reshape(len(RINGS), _SECTORS)
    return tuple((shares.sum(axis=1) / _SECTORS).tolist())


@lru_cache(maxsize=8)
def _polar(
    height: int, width: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], Indices, Floats]:
    """Return how pixels lie around the middle of a picture.

    Returns
    -------
    cosine, sine : ndarray of float32, shape (height, width)
        Of twice the radius's angle; the sine twice.
    cells : ndarray of int, shape (height * width,)
        The ring and sector of each pixel, inside out; the last for what is in none.
    pixels : ndarray, shape (rings * sectors,)
        How many pixels each of a ring's sectors has on average, at least some.
    """
    half_diagonal = np.hypot(height, width) / 2
    y, x = np.mgrid[:height, :width] - [[[(height - 1) / 2]], [[(width - 1) / 2]]]
    squares = np.maximum(x * x + y * y, 1e-6)
    turn = np.arctan2(y, x) / (2 * np.pi) + 0.5
    sector = np.minimum((turn * _SECTORS).astype(np.intp), _SECTORS - 1)
    ring = np.digitize(np.sqrt(squares) / half_diagonal, RINGS) - 1
    cells = np.where(ring < 0, len(RINGS) * _SECTORS, ring * _SECTORS + sector).ravel()
    per_ring = np.bincount(ring.ravel() + 1, minlength=len(RINGS) + 1)[1:]
    cosine = ((x * x - y * y) / squares).astype(np.float32)
    sine = (4 * x * y / squares).astype(np.float32)
    return cosine, sine, cells, np.repeat(per_ring / _SECTORS, _SECTORS) + 1e-6
