"""How edges bend around the centre of a picture: arcs along edges, and what bends them.

A lens that does not keep lines straight bends them alike everywhere: away from the centre, and the
more, the farther from the centre they pass. In the division model of such a lens (Fitzgibbon 2001,
doi:10.1109/CVPR.2001.990465) an undistorted radius is ``r / (1 + λ r²)``; a straight line that
passes at a distance d becomes a circle (Bukhari & Dailey 2013, doi:10.1007/s10851-012-0342-2) of
curvature ``2 d |λ| / sqrt(1 + 4 d² |λ|)``: about proportional to d. Round things bend too, but not
all around one centre.

Lengths are in units of half the picture's diagonal.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Image, derived, gray
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.quantiles import quantile

Floats = NDArray[np.float64]

SIDE = 384  # long side in pixels: edges of a sixteenth of it are measured to a tenth of a pixel
SMALLEST = 24  # of the short side, in pixels
_POINTS = 5  # along an arc
_OVERLAP = 2  # how many arcs of an edge hold each of its points
_STRAYING = 0.35  # pixels, root mean square: an arc fits its points at least so well
_SHARPEST = 2.0  # curvature beyond which no lens bends
_UNLIKE = 0.35  # curvature off the fit at which an arc weighs a quarter
_ROUNDS = 4  # of reweighting
_FAR = 0.25  # from the centre: nearer lines hardly bend
_BENT, _STRAIGHT = 0.12, 0.10  # curvatures
_SECTORS = 12
_FEW = 6  # arcs: what shares are drawn towards 0 by


@dataclass(frozen=True, eq=False)
class Arcs:
    """Short arcs fitted along edges.

    Attributes
    ----------
    curvature : ndarray, shape (n,)
        Positive where the arc bulges along its normal.
    normal : ndarray, shape (n, 2)
        A unit vector across the arc.
    middle : ndarray, shape (n, 2)
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


@derived
def gradients(image: Image, max_side: int = SIDE) -> NDArray[np.int16]:
    """Return the smoothed luma's derivatives, along x and along y.

    Returns
    -------
    ndarray of int16, shape (2, H, W)
    """
    smooth = cv2.GaussianBlur(gray(image, max_side), (5, 5), 1)
    return np.stack([cv2.Sobel(smooth, cv2.CV_16S, 1, 0), cv2.Sobel(smooth, cv2.CV_16S, 0, 1)])


@derived
def _edges(image: Image) -> tuple[NDArray[np.int32], ...]:
    """Return chains of edge points, each of shape (length, 2)."""
    across, down = gradients(image)
    sample = np.abs(across[::3, ::3]) + np.abs(down[::3, ::3])
    high = float(np.clip(quantile(sample.ravel(), 0.92), 40, 300))
    edges = cv2.Canny(across, down, high / 2, high)
    chains, _ = cv2.findContours(edges, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return tuple(chain.reshape(-1, 2) for chain in chains if len(chain) > _POINTS * 5)


@derived
def edge_arcs(image: Image, length: int) -> Arcs:
    """Fit arcs to stretches of the edges.

    Parameters
    ----------
    image : Image
        The picture.
    length : int
        Of a stretch, in pixels at a long side of 384: longer ones are more exact and rarer.

    Returns
    -------
    Arcs
        Stretches with a corner, or that turn back, are left out.
    """
    none = Arcs(np.zeros(0), np.zeros((0, 2)), np.zeros((0, 2)))
    height, width = gray(image, SIDE).shape
    if min(height, width) < SMALLEST:
        return none
    chains = [chain for chain in _edges(image) if len(chain) >= length + 2]
    if not chains:
        return none
    half_diagonal = np.hypot(height, width) / 2
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    points = (_stretches(chains, length) - centre[:, None, None]) / half_diagonal

    along = points[:, -1] - points[:, 0]
    chord = np.hypot(*along)
    along /= np.maximum(chord, 1e-6)
    x, y = points - points[:, :1]
    position = x * along[0] + y * along[1]
    height_over = y * along[0] - x * along[1]
    # A flat arc is a parabola over its chord: curvature / 2 · position · (chord - position).
    parabola = position * (chord - position) / 2
    curvature = (height_over * parabola).sum(axis=0) / np.maximum((parabola**2).sum(axis=0), 1e-12)
    straying = height_over - curvature * parabola
    good = (
        ((position[1:] - position[:-1]).min(axis=0) > 0.12 * chord)
        & (np.sqrt((straying**2).mean(axis=0)) * half_diagonal < _STRAYING)
        & (chord * half_diagonal > 8)
        & (np.abs(curvature) < _SHARPEST)
    )
    normal = np.stack([-along[1], along[0]], axis=1)
    return Arcs(curvature[good], normal[good], points.mean(axis=1).T[good])


def _stretches(chains: list[NDArray[np.int32]], length: int) -> Floats:
    """Return points along every stretch of every chain, shape (2, _POINTS, stretches)."""
    lengths = np.array([len(chain) for chain in chains])
    step = length // _OVERLAP
    counts = (lengths - length) // step + 1
    first = np.repeat(np.cumsum(lengths) - lengths, counts)
    turn = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    offsets = np.linspace(1, length - 2, _POINTS).round().astype(int)
    index = (first + step * turn) + offsets[:, None]
    points = np.concatenate(chains).T.astype(np.float64)
    # The mean of three neighbours lies nearer the edge than a whole pixel does.
    means = (points[:, :-2] + points[:, 1:-1] + points[:, 2:]) / 3
    return np.asarray(means[:, index - 1])


def bending(arcs: Arcs) -> Bending:
    """Return how arcs bend around a common centre.

    The curvatures are fitted, robustly, with ``a · n·(m - c)`` for middle m and normal n: the
    strength a and the centre c, which may lie off the picture's own after a crop.
    """
    if len(arcs.curvature) < 4:
        return Bending()
    distance, outwards, far = _seen_from_centre(arcs)
    strength, explained = _fit(arcs.curvature, np.column_stack([distance, -arcs.normal]))
    outward = outwards[far]
    count = len(outward)
    if count == 0:
        return Bending(strength, explained)
    typical = quantile(outward / np.abs(distance[far]), 0.5)
    return Bending(
        strength=strength,
        explained=explained,
        consistency=float(((outward > _BENT).sum() - (outward < -_BENT).sum()) / (count + _FEW)),
        straightness=float((np.abs(outward) < _STRAIGHT).sum() / (count + _FEW)),
        typical=typical * count / (count + _FEW),
        support=float(np.log1p(count)),
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


def polylines(arcs: Arcs, length: int, shape: tuple[int, ...]) -> Floats:
    """Return the arcs as points along them, in shares of a picture's width and height.

    Parameters
    ----------
    arcs : Arcs
        Of `edge_arcs`.
    length : int
        As `edge_arcs` was asked for.
    shape : tuple of int
        Rows and columns of the picture at a long side of 384.

    Returns
    -------
    ndarray, shape (n, 5, 2)
    """
    height, width = shape
    half_diagonal = np.hypot(height, width) / 2
    chord = length / half_diagonal
    along = np.stack([arcs.normal[:, 1], -arcs.normal[:, 0]], axis=1)
    place = np.linspace(-chord / 2, chord / 2, _POINTS)
    bulge = (chord**2 / 4 - place**2) / 2
    over = arcs.curvature[:, None] * (bulge - bulge.mean())
    points = (
        arcs.middle[:, None]
        + place[:, None] * along[:, None]
        + over[..., None] * arcs.normal[:, None]
    )
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    return np.asarray((points * half_diagonal + centre + 0.5) / (width, height))


def _seen_from_centre(arcs: Arcs) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """The arcs' distances from the centre, their outward curvatures, and which are far from it."""
    distance = (arcs.normal * arcs.middle).sum(axis=1)
    return distance, arcs.curvature * np.sign(distance), np.abs(distance) > _FAR


def _fit(curvature: Floats, design: Floats) -> tuple[float, float]:
    """Return the slope and the explained share of a robust ridge regression."""
    rest = np.zeros(len(curvature))  # so that all weigh the same at first
    ridge = np.diag([2.0, 20.0, 20.0])  # the centre stays near the picture's, unless many disagree
    for _ in range(_ROUNDS):
        weight = 1 / (1 + (rest / _UNLIKE) ** 2) ** 2
        weighted = design.T * weight
        slopes = np.linalg.solve(weighted @ design + ridge, weighted @ curvature)
        rest = curvature - design @ slopes
    explained = 1 - (weight * rest**2).sum() / ((weight * curvature**2).sum() + 1e-3)
    return float(slopes[0]), float(explained)


@derived
def radial_squeeze(image: Image) -> tuple[float, float]:
    """Return how much steeper luma changes along the radius than around it.

    Most fisheye projections squeeze the picture along the radius, the more the nearer the rim, so
    its texture seems to run around the centre. The cosine of twice the angle between gradient and
    radius is averaged in twelve sectors, and over the sectors, so that a picture of upright and
    level edges gives 0.

    Returns
    -------
    middle, rim : float
        In [-1, 1], between 0.45 and 0.7 of half the diagonal, and beyond.
    """
    across, down = gradients(image)[:, ::2, ::2].astype(np.float32)
    height, width = across.shape
    if min(height, width) < SMALLEST // 2:
        return 0.0, 0.0
    cosine, sine, rings = _polar(height, width)
    squared = across**2 + down**2
    radial = across * cosine + down * sine
    weight = 1 / np.sqrt(squared + 400)  # strong edges count by their length, not their contrast
    doubled = ((2 * radial**2 - squared) * weight).ravel()
    total = (squared * weight).ravel()
    middle, rim = (_mean_over_sectors(doubled, total, *ring) for ring in rings)
    return middle, rim


Ring = tuple[NDArray[np.intp], NDArray[np.intp]]


@lru_cache(maxsize=8)
def _polar(
    height: int, width: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], tuple[Ring, Ring]]:
    """Return cosine and sine of every pixel, seen from the middle, and two rings around it.

    A ring is the pixels in it, as indices into the raveled picture, and the sector of each.
    """
    half = np.hypot(height, width) / 2
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = (x - (width - 1) / 2) / half, (y - (height - 1) / 2) / half
    radius, angle = (np.asarray(part) for part in cv2.cartToPolar(x, y))
    safe = np.maximum(radius, 1e-6)
    sector = np.minimum(angle * np.float32(_SECTORS / 2 / np.pi), _SECTORS - 1).astype(np.intp)

    def ring(low: float, high: float) -> Ring:
        inside = np.flatnonzero((radius >= low) & (radius < high))
        return inside, sector.ravel()[inside]

    return x / safe, y / safe, (ring(0.45, 0.7), ring(0.7, 2.0))


def _mean_over_sectors(
    doubled: NDArray[np.float32],
    total: NDArray[np.float32],
    inside: NDArray[np.intp],
    sector: NDArray[np.intp],
) -> float:
    over = np.bincount(sector, doubled[inside], _SECTORS)
    under = np.bincount(sector, total[inside], _SECTORS) + 5 * len(sector) / _SECTORS + 1e-6
    return float((over / under).mean())
