"""How a picture repeats, tile by tile: spectra, autocorrelation, recurring patches.

The picture is reduced to one channel, cut into overlapping square tiles, and each tile's power
spectrum is kept; its inverse transform is the tile's autocorrelation (Wiener–Khinchin theorem).
Looking at tiles instead of the whole lets a pattern bend, fade or stand in perspective.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Image, derived
from qualipy_core.opencv import cv2

Floats = NDArray[np.float32]

TILE = 64  # pixels: at a long side of 256 a period of up to 1/8 of the picture fits twice
SMALLEST_TILE = 16
_FINEST = 256  # pixels, long side
_AXIS_SIDE = 64  # pixels, long side: where the main axis of colour is looked for
_LOWEST_FREQUENCY = 1.8  # cycles in a tile: slower changes are light and shade, not texture
_NYQUIST_SHARE = 0.9  # of the highest frequency: the corners of the spectrum are left out
_DIRECTIONS = 24  # over half a turn
RECURRENCE_SIDE, _PATCH = 128, 24  # pixels: long side and patch
_PLAIN = 2.0  # grey levels: a patch of a lower standard deviation shows nothing to recognise
_FAINT = 0.1  # grey levels: patches count as this different from plain ones, at least
_LEAST_CONTRAST = 3.0  # grey levels: what is added to a tile's standard deviation
_WEAK_CONTRAST = 4.0  # grey levels: a tile's weight is half at this standard deviation


@derived
def main_tone(image: Image, max_side: int = 256) -> Floats:
    """Return the picture along the axis of colour in which it varies most.

    The first principal component: stripes of two colours stay visible when their luma is equal.

    Returns
    -------
    ndarray of float32, shape (H, W)
        Up to √3 · 255 either way; the sign carries no meaning.
    """
    if max_side < _FINEST:  # a mean of a finer one: cheaper than of the picture
        finer = _FINEST // 2 if max_side < _FINEST // 2 else _FINEST
        return _shrunk(main_tone(image, finer), max_side)
    pixels = image.pixels(max_side)
    few = _sampled(pixels).reshape(-1, 3).astype(np.float64)
    mean = cv2.reduce(few, 0, cv2.REDUCE_AVG)
    _, _, axes = cv2.eigen(cv2.mulTransposed(few, True, delta=mean, scale=1 / len(few)))
    return np.asarray(cv2.transform(pixels.astype(np.float32), axes[:1].astype(np.float32)))


def _shrunk(values: NDArray[Any], max_side: int) -> NDArray[Any]:
    """Return a picture at a long side of at most ``max_side``, halved until it is near."""
    longest = max(values.shape[:2])
    while longest > max_side:
        longest = max(max_side, longest // 2)
        share = longest / max(values.shape[:2])
        height, width = (max(1, round(side * share)) for side in values.shape[:2])
        values = cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR)
    return values


def _sampled(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the means of four pixels each at places spread evenly over the picture."""
    height, width = pixels.shape[:2]
    share = min(1.0, _AXIS_SIDE / max(height, width))
    size = (max(1, round(width * share)), max(1, round(height * share)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)


@dataclass(frozen=True, eq=False)
class TileSpectra:
    """Power spectra of a picture's tiles.

    Attributes
    ----------
    power : ndarray of float32, shape (tiles, side, side // 2 + 1)
        Of the windowed tile, its mean taken off.
    contrast : ndarray of float32, shape (tiles,)
        Standard deviation, in grey levels.
    side : int
        Of a tile, in pixels.
    """

    power: Floats
    contrast: Floats
    side: int

    @property
    def scale(self) -> Floats:
        """What makes the power of tiles comparable: next to one over their variance."""
        return np.asarray(1 / np.square(self.contrast + np.float32(_LEAST_CONTRAST)))

    @property
    def weight(self) -> Floats:
        """How much each tile counts, in [0, 1): little where nothing but noise is to be seen."""
        return self.contrast / (self.contrast + np.float32(_WEAK_CONTRAST))


@derived
def tile_spectra(image: Image, max_side: int = 256, across: int = 4) -> TileSpectra | None:
    """Return the spectra of ``across × across`` tiles spread evenly over the picture.

    Returns
    -------
    TileSpectra or None
        None for a picture too small or too narrow to hold a tile.
    """
    tone = main_tone(image, max_side)
    side = min(TILE, min(tone.shape) // 2 * 2)
    if side < SMALLEST_TILE:
        return None
    rows, columns = tile_places(tone.shape, side, across)
    tiles = np.empty((across * across, side, side), np.float32)
    for tile, (y, x) in zip(tiles, product(rows, columns), strict=True):
        tile[:] = tone[y : y + side, x : x + side]
    flat = tiles.reshape(len(tiles), -1)
    flat -= cv2.reduce(flat, 1, cv2.REDUCE_AVG)
    contrast = np.sqrt(np.einsum("tp,tp->t", flat, flat) / (side * side))
    tiles *= _window(side)
    return TileSpectra(_power(_transformed(tiles)), contrast, side)


@lru_cache(maxsize=64)
def tile_places(shape: tuple[int, ...], side: int, across: int) -> tuple[list[int], list[int]]:
    """Return where tiles begin: the rows and the columns of their top left corners."""
    rows, columns = (np.linspace(0, n - side, across).round().astype(int) for n in shape)
    return rows.tolist(), columns.tolist()


def _transformed(tiles: Floats) -> Floats:
    """Transform tiles in place, one by one: in OpenCV that takes a tenth of the time.

    A real tile's transform fits where the tile was, packed ("CCS" in OpenCV): of frequency x
    across, the real parts are in column 2 x - 1 and the imaginary parts in column 2 x; those of
    the first and of the last frequency are packed the same way down the first and last column.
    """
    for tile in tiles:
        cv2.dft(tile, dst=tile)
    return tiles


def _power(packed: Floats) -> Floats:
    """Return the power of packed transforms, ``(tiles, side, side // 2 + 1)``."""
    squares = np.multiply(packed, packed, out=packed)
    tiles, side, _ = squares.shape
    half = side // 2
    power = np.empty((tiles, side, half + 1), np.float32)
    np.add(squares[:, :, 1:-1:2], squares[:, :, 2::2], out=power[:, :, 1:-1])
    ends, packed_ends = power[:, :, ::half], squares[:, :, :: side - 1]
    both = packed_ends[:, 1:-1:2] + packed_ends[:, 2::2]
    ends[:, 0], ends[:, half] = packed_ends[:, 0], packed_ends[:, -1]
    ends[:, 1:half], ends[:, half + 1 :] = both, both[:, ::-1]
    return power


def peak_agreement(spectra: TileSpectra) -> float:
    """Return how far the tiles agree on their strongest frequency, in [0, 1].

    The spectrum is multiplied with the frequency first, for photos' power falls steeply with it
    (Field 1987, doi:10.1364/JOSAA.4.002379). Two tiles agree when their peaks, as vectors up to
    sign, differ by less than 30 %. In a regular pattern most do; in a scene each tile has its own.
    """
    _, agree = tile_peaks(spectra)
    weight = spectra.weight
    return float(np.einsum("i,ij,j->", weight, agree, weight)) / agree.size


def tile_peaks(spectra: TileSpectra) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the strongest frequency of each tile, and which tiles have the same.

    Returns
    -------
    peaks : ndarray of float32, shape (tiles, 2)
        Cycles in a tile, down and across; the sign of both together carries no meaning.
    agree : ndarray of bool, shape (tiles, tiles)
    """
    _, vectors = _frequencies(spectra.side)
    flat = whitened(spectra).reshape(len(spectra.power), -1)
    peaks = vectors[flat.argmax(axis=1)]
    products = np.einsum("if,jf->ij", peaks, peaks)
    lengths = products.diagonal()
    apart = lengths[:, None] + lengths - 2 * np.abs(products)  # squared, the nearer way round
    return peaks, apart <= np.float32(0.3**2 + 1e-6) * np.maximum(lengths[:, None], lengths)


def whitened(spectra: TileSpectra) -> Floats:
    """Return the tiles' spectra as `peak_agreement` looks at them, ``(tiles, side, half)``."""
    whiten, _ = _frequencies(spectra.side)
    return np.asarray(spectra.power * whiten)


def periodicity(spectra: TileSpectra) -> tuple[float, float]:
    """Return how strongly the tiles' autocorrelation rises again, and how deep it falls.

    Returns
    -------
    rise : float
        Along a direction the autocorrelation falls from 1, and rises again where the tile comes
        to lie on its own repetition. The rise in the median direction, in the median tile; from 0
        (never) to about 2.
    fall : float
        The median tile's lowest autocorrelation, in about [-1, 0]: texture without a period
        stays near 0, opposite phases of a pattern reach below -0.5.
    """
    index, gain = _lags(spectra.side)
    # A real, even spectrum has a real transform, which is its own inverse but for the size.
    size = np.float32(spectra.side**2)
    correlation = _transformed(_whole(spectra.power)).reshape(len(spectra.power), -1)
    origin = correlation[:, :1] + np.float32(1e-6) * size * size / spectra.scale[:, None]
    along = correlation.take(index, axis=1)
    along *= gain
    along /= origin[:, :, None]
    lowest = np.minimum.accumulate(along, axis=1)
    rises = np.sort((along - lowest).max(axis=1), axis=1)
    middle = rises[:, _DIRECTIONS // 2]
    falls = np.minimum(lowest[:, -1].min(axis=1), 0)
    return _median(middle * spectra.weight), _median(falls)


def _median(values: Floats) -> float:
    """Return the median of a few numbers, at a tenth of the cost of `numpy.median`."""
    ordered = np.sort(values)
    return float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _whole(power: Floats) -> Floats:
    """Return both halves of power spectra, without what is below two cycles."""
    tiles, side, half = power.shape
    whole = np.empty((tiles, side, side), np.float32)
    whole[:, :, :half] = power
    whole[:, (0, 1, -1), :2] = 0
    mirrored = whole[:, :, half - 2 : 0 : -1]
    whole[:, 0, half:] = mirrored[:, 0]
    whole[:, 1:, half:] = mirrored[:, :0:-1]
    return whole


@derived
def recurrence(image: Image, max_side: int = RECURRENCE_SIDE) -> float:
    """Return how well patches of the picture are found elsewhere in it, in [0, 1].

    Five patches, placed like a die's five, are compared with every other place of the picture
    (normalised cross-correlation, Lewis 1995, "Fast normalized cross-correlation"); places that
    overlap the patch by more than half do not count. The answer is the lower quartile of the best
    matches: the repetition must fill the picture, not a part of it.
    """
    tone = main_tone(image, max_side)
    height, width = tone.shape
    side = min(_PATCH, min(height, width) // 3)
    if side < 8:
        return 0.0
    detail = tone - cv2.blur(tone, (2 * side + 1, 2 * side + 1))
    spread = _spread(detail, side)
    top, left = side // 2, side // 2
    bottom, right = height - side - top, width - side - left
    middle = ((top + bottom) // 2, (left + right) // 2)
    places = ((top, left), (top, right), middle, (bottom, left), (bottom, right))
    best = sorted(_best_match(detail, spread, y, x, side) for y, x in places)
    return min(max(best[1], 0.0), 1.0)


def _best_match(detail: Floats, spread: Floats, y: int, x: int, side: int) -> float:
    contrast = spread[y, x]
    if contrast < _PLAIN:
        return 0.0
    patch = detail[y : y + side, x : x + side]
    # All places share their spread, so only the covariance is left to compute for each patch.
    match: NDArray[Any] = cv2.matchTemplate(detail, patch - patch.mean(), cv2.TM_CCORR)
    match /= spread
    half = side // 2
    match[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1] = -np.inf
    return float(match.max()) / float(contrast * side * side)


def _spread(detail: Floats, side: int) -> Floats:
    """Return the standard deviation of the patch that begins at each place, in grey levels."""
    first = (0, 0)
    mean = cv2.boxFilter(detail, cv2.CV_64F, (side, side), anchor=first)
    square = cv2.sqrBoxFilter(detail, cv2.CV_64F, (side, side), anchor=first)
    mean, square = mean[: 1 - side, : 1 - side], square[: 1 - side, : 1 - side]
    variance = np.maximum((square - mean * mean).astype(np.float32), np.float32(_FAINT**2))
    return np.sqrt(variance, out=variance)


@cache
def _window(side: int) -> Floats:
    return np.outer(np.hanning(side), np.hanning(side)).astype(np.float32)


@cache
def _frequencies(side: int) -> tuple[Floats, Floats]:
    """Return what whitens a tile's spectrum, and each bin's frequency as a vector."""
    y, x = np.meshgrid(np.fft.fftfreq(side) * side, np.fft.rfftfreq(side) * side, indexing="ij")
    frequency = np.hypot(y, x)
    keep = (frequency >= _LOWEST_FREQUENCY) & (frequency < _NYQUIST_SHARE * side / 2)
    whiten = np.where(keep, frequency, 0).astype(np.float32)
    return whiten, np.stack([y.ravel(), x.ravel()], axis=1).astype(np.float32)


@cache
def _lags(side: int) -> tuple[NDArray[np.intp], Floats]:
    """Return the lags along each direction, and what undoes the window's own falling off.

    Both of shape (lags, directions): what goes along the lags goes through whole rows then.
    """
    angle = np.arange(_DIRECTIONS) * np.pi / _DIRECTIONS
    radius = np.arange(1, max(side // 2 - 6, 3))[:, None]
    y = np.round(np.sin(angle) * radius).astype(np.intp)
    x = np.round(np.cos(angle) * radius).astype(np.intp)
    y, x = np.where(x < 0, -y, y) % side, np.abs(x)  # opposite lags are alike
    spectrum = np.abs(np.fft.rfft2(_window(side))) ** 2
    own = np.fft.irfft2(spectrum, (side, side))
    gain = own[0, 0] / np.maximum(own[y, x], 0.02 * own[0, 0])
    # Where `_transformed` packs them.
    column, row = np.maximum(2 * x - 1, 0), np.where(x > 0, y, 2 * np.minimum(y, side - y) - 1)
    return row * side + column, gain.astype(np.float32)
