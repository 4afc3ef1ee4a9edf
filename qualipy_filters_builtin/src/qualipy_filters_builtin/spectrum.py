"""How a picture repeats, tile by tile: spectra, autocorrelation, recurring patches.

The picture is reduced to one channel, cut into overlapping square tiles, and each tile's power
spectrum is kept; its inverse transform is the tile's autocorrelation (Wiener–Khinchin theorem).
Looking at tiles instead of the whole lets a pattern bend, fade or stand in perspective.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Image, derived
from qualipy_core.opencv import cv2

Floats = NDArray[np.float32]

TILE = 64  # pixels: at a long side of 256 a period of up to 1/8 of the picture fits twice
SMALLEST_TILE = 16
_LOWEST_FREQUENCY = 1.8  # cycles in a tile: slower changes are light and shade, not texture
_NYQUIST_SHARE = 0.9  # of the highest frequency: the corners of the spectrum are left out
_DIRECTIONS = 24  # over half a turn
_PATCH = 24  # pixels, at a long side of 128
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
    pixels = image.pixels(max_side)
    small = image.pixels(min(max_side, 64)).reshape(-1, 3).astype(np.float64)
    centred = small - small.mean(axis=0)
    axis = np.linalg.eigh(centred.T @ centred / len(small))[1][:, -1]
    return np.asarray(cv2.transform(pixels.astype(np.float32), axis[None].astype(np.float32)))


@dataclass(frozen=True, eq=False)
class TileSpectra:
    """Power spectra of a picture's tiles.

    Attributes
    ----------
    power : ndarray of float32, shape (tiles, side, side // 2 + 1)
        Of the windowed tile, its mean taken off, divided by its contrast.
    contrast : ndarray of float32, shape (tiles,)
        Standard deviation, in grey levels.
    side : int
        Of a tile, in pixels.
    """

    power: Floats
    contrast: Floats
    side: int

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
    rows, columns = (np.linspace(0, n - side, across).round().astype(int) for n in tone.shape)
    tiles = np.stack([tone[y : y + side, x : x + side] for y in rows for x in columns])
    tiles -= tiles.mean(axis=(1, 2), keepdims=True)
    contrast = tiles.std(axis=(1, 2))
    tiles *= _window(side) / (contrast[:, None, None] + 3)
    transform = np.fft.rfft2(tiles)
    power = transform.real**2 + transform.imag**2
    return TileSpectra(power.astype(np.float32), contrast, side)


def peak_agreement(spectra: TileSpectra) -> float:
    """Return how far the tiles agree on their strongest frequency, in [0, 1].

    The spectrum is multiplied with the frequency first, for photos' power falls steeply with it
    (Field 1987, doi:10.1364/JOSAA.4.002379). Two tiles agree when their peaks, as vectors up to
    sign, differ by less than 30 %. In a regular pattern most do; in a scene each tile has its own.
    """
    whiten, vectors = _frequencies(spectra.side)
    flat = (spectra.power * whiten).reshape(len(spectra.power), -1)
    peaks = vectors[flat.argmax(axis=1)]
    apart = np.minimum(
        np.linalg.norm(peaks[:, None] - peaks, axis=2),
        np.linalg.norm(peaks[:, None] + peaks, axis=2),
    )
    length = np.linalg.norm(peaks, axis=1)
    agree = apart < 0.3 * np.maximum(length[:, None], length) + 1e-6
    weight = spectra.weight[:, None] * spectra.weight
    return float((agree * weight).mean())


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
    power = spectra.power.copy()
    power[:, :2, :2] = 0  # below two cycles
    power[:, -1:, :2] = 0
    side = spectra.side
    correlation = np.fft.irfft2(power, (side, side)).reshape(len(power), -1)
    origin = correlation[:, 0] + 1e-6 * side * side
    along = correlation[:, index] / origin[:, None, None] * gain
    rises = (along - np.minimum.accumulate(along, axis=2)).max(axis=2)
    middle = np.partition(rises, _DIRECTIONS // 2, axis=1)[:, _DIRECTIONS // 2]
    rise = float(np.median(middle * spectra.weight))
    fall = float(np.median(np.minimum(along.min(axis=(1, 2)), 0)))
    return rise, fall


@derived
def recurrence(image: Image, max_side: int = 128) -> float:
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
    rows, columns = (
        np.linspace(side // 2, n - side - side // 2, 3).round().astype(int) for n in tone.shape
    )
    places = [(rows[i], columns[j]) for i, j in ((0, 0), (0, 2), (1, 1), (2, 0), (2, 2))]
    best = [_best_match(detail, y, x, side) for y, x in places]
    return float(np.clip(np.quantile(best, 0.25), 0, 1))


def _best_match(detail: Floats, y: int, x: int, side: int) -> float:
    patch = detail[y : y + side, x : x + side]
    if patch.std() < 2:  # grey levels: nothing to recognise
        return 0.0
    match = cv2.matchTemplate(detail, np.ascontiguousarray(patch), cv2.TM_CCOEFF_NORMED)
    half = side // 2
    match[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1] = -1
    return float(match.max())


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
    """Return the lags along each direction, and what undoes the window's own falling off."""
    angle = np.arange(_DIRECTIONS)[:, None] * np.pi / _DIRECTIONS
    radius = np.arange(1, max(side // 2 - 6, 3))
    y = np.round(np.sin(angle) * radius).astype(np.intp) % side
    x = np.round(np.cos(angle) * radius).astype(np.intp) % side
    spectrum = np.abs(np.fft.rfft2(_window(side))) ** 2
    own = np.fft.irfft2(spectrum, (side, side))
    gain = own[0, 0] / np.maximum(own[y, x], 0.02 * own[0, 0])
    return y * side + x, gain.astype(np.float32)
