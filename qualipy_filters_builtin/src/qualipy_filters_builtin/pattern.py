"""A regular pattern that fills the picture: `Pattern`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Explanation, Filter, Image, derived
from qualipy_core.explanation import Inset, Lines
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.spectrum import (
    main_tone,
    peak_agreement,
    periodicity,
    recurrence,
    tile_peaks,
    tile_places,
    tile_spectra,
    whitened,
)

FINE, COARSE = 256, 128  # long sides, in pixels, at which repetition is looked for
_TILES_FINE, _TILES_COARSE = 4, 3  # along a side
_CELLS = 4
_FAINTEST = 1.5  # grey levels: tiles of lower standard deviations have nothing to repeat

# Logistic regression over the measurements, in their order; see "Notes" of `Pattern`.
_WEIGHTS = np.array([-7.8, 9.8, 2.2, 5.6, 8.7, 6.6])
_OFFSET = -5.2


@derived
def pattern_measurements(image: Image) -> NDArray[np.float64]:
    """Return what `Pattern` judges by.

    Returns
    -------
    ndarray of float64, shape (6,)
        Unevenness, recurrence, agreement of the peaks at the coarse and at the fine scale, rise
        and fall of the fine autocorrelation; zeros for a picture too small, narrow or flat.
    """
    fine = tile_spectra(image, FINE, _TILES_FINE)
    coarse = tile_spectra(image, COARSE, _TILES_COARSE)
    if fine is None or coarse is None or coarse.contrast.max() < _FAINTEST:
        return np.zeros(len(_WEIGHTS))
    rise, fall = periodicity(fine)
    return np.array(
        [
            _unevenness(image),
            recurrence(image),
            peak_agreement(coarse),
            peak_agreement(fine),
            rise,
            fall,
        ]
    )


def _unevenness(image: Image) -> float:
    """Return how differently the cells of a 4 × 4 grid are filled with detail.

    Returns
    -------
    float
        Standard deviation over the cells of the logarithm of the mean gradient; 0 where all hold
        the same.
    """
    tone = main_tone(image, COARSE)
    across, down = cv2.Sobel(tone, cv2.CV_32F, 1, 0), cv2.Sobel(tone, cv2.CV_32F, 0, 1)
    steepness = cv2.sqrt(cv2.accumulateSquare(down, across * across))
    cells = cv2.resize(steepness, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
    return float(cv2.meanStdDev(cv2.log(cells + 2))[1][0, 0])


class Pattern(Filter):
    """Photos of a regular, repeating pattern.

    A positive shows one motif over and over across most of the picture: stripes, checks, tiles,
    dots, bricks, weaves. Size, angle and colours do not matter, and the pattern may bend or stand
    in perspective. The line is drawn at the filling: a façade, a fence or a dress in a scene is a
    part of it and passes; a picture cut down to that part is flagged. The prediction is a degree
    in [0, 1].

    Parameters
    ----------
    threshold : float
        The degree beyond which a photo is positive; raise it to let weaves and soft cloth pass.
    invert_threshold : bool
        Positive below the threshold: photos without a pattern.
    comparison : str
        How the degree is compared with the threshold.

    Warnings
    --------
    Missed: weaves around a basket, ropes, faint or very fine cloth, four broad stripes. Irregular
    textures, such as bubbles, cracks, grass or gravel, and noise are no pattern: nine of ten pass.
    Flagged though no scene repeats: things laid out in rows over an even ground, and soft blots of
    about a fiftieth of the picture.

    Notes
    -----
    The degree is a logistic function of six measurements: how evenly detail fills the picture, how
    well patches are found again elsewhere, how far tiles agree on their strongest frequency at two
    scales, and how strongly the tiles' autocorrelation swings (`qualipy_filters_builtin.spectrum`).
    The weights were fitted to labelled photos and drawn patterns.

    On photos of other sources than those fitted to, balanced accuracy is 0.95; on kinds of pattern
    left out of the fit, 0.93. Stripes, checks, tiles and dots are found nearly always; braids and
    crosshatched cloth in two of three.

    References
    ----------
    Periodicity in the autocorrelation as a measure of regularity: Lin, Wang & Yang 1997,
    "Extracting periodicity of a regular texture based on autocorrelation functions",
    doi:10.1016/S0167-8655(97)00030-5.
    Why spectra are whitened: Field 1987, "Relations between the statistics of natural images and
    the response properties of cortical cells", doi:10.1364/JOSAA.4.002379.
    """

    name = "pattern"
    speed = 2

    def measure(self, image: Image) -> float:
        """Return the degree of repetition, in [0, 1]."""
        measurements = pattern_measurements(image)
        if not measurements.any():
            return 0.0
        return float(1 / (1 + np.exp(-(measurements @ _WEIGHTS + _OFFSET))))

    def explain(self, image: Image) -> Explanation:
        """Show each tile's strongest repetition, and the spectrum that they share."""
        measurements = pattern_measurements(image)
        _, patches, coarse, fine, rise, _ = measurements
        side, across = (FINE, _TILES_FINE) if fine >= coarse else (COARSE, _TILES_COARSE)
        spectra = tile_spectra(image, side, across)
        if spectra is None or not measurements.any():
            return Explanation("The photo is too small, narrow or plain to repeat anything.")
        peaks, agree = tile_peaks(spectra)
        leader = int((agree * spectra.weight).sum(axis=1).argmax())
        shape = main_tone(image, side).shape
        rulers: dict[bool, list[NDArray[np.float64]]] = {True: [], False: []}
        rows, columns = tile_places(shape, spectra.side, across)
        corners = np.stack(np.meshgrid(columns, rows), axis=2).reshape(-1, 2)
        tiles = zip(corners, peaks, agree[leader], spectra.contrast, strict=True)
        for corner, peak, same, contrast in tiles:
            if contrast < _FAINTEST:
                continue
            ruler = corner + spectra.side / 2 + _ruler(peak[::-1], spectra.side)
            rulers[bool(same)].append(ruler / (shape[1], shape[0]))
        period = spectra.side / float(np.hypot(*peaks[leader])) / max(shape)
        summary = (
            f"In {agree[leader].sum()} of {len(agree)} tiles the strongest repetition is the same, "
            f"every {period:.1%} of the long side; patches are found elsewhere with a correlation "
            f"of {patches:.2f}, and the autocorrelation rises again by {rise:.2f}."
        )
        layers = (
            Lines(tuple(rulers[False]), "tiles with a repetition of their own", "other"),
            Lines(tuple(rulers[True]), "tiles that repeat alike: bars are one period apart"),
        )
        power = whitened(spectra) * spectra.scale[:, None, None]
        return Explanation(summary, layers, (_spectrum(power, peaks[leader]),))


def _ruler(frequency: NDArray[np.float32], side: int) -> NDArray[np.float64]:
    """A line with bars one period apart, around the origin, in pixels.

    As many periods as fit half of a tile, at most six; one at least.
    """
    length = float(np.hypot(*frequency))
    along = frequency / length
    across = np.array([-along[1], along[0]]) * side / 10
    period = side / length
    count = int(np.clip(side / 2 / period, 1, 6))
    points = []
    for number in range(count + 1):
        place = along * period * (number - count / 2)
        points += [place, place + across, place - across, place]
    return np.array(points)


def _spectrum(power: NDArray[np.float32], peak: NDArray[np.float32]) -> Inset:
    """The mean spectrum with its peak, both halves, the lowest frequency in the middle."""
    mean = np.sqrt(power.mean(axis=0))
    side = len(mean)
    reach = int(np.clip(2.5 * np.abs(peak).max(), 8, side // 2))  # what is around the peak
    columns = np.arange(-reach, reach)
    rows = -columns % side
    whole = np.where(
        columns[None] >= 0,
        mean[np.ix_(columns % side, np.abs(columns))],
        mean[np.ix_(rows, np.abs(columns))],
    )
    places = 0.5 + (np.stack([peak, -peak])[:, ::-1] + 0.5) / len(columns)
    label = "mean spectrum of the tiles and its peak: the farther out, the finer"
    return Inset(whole / max(float(whole.max()), 1e-6), label, places)
