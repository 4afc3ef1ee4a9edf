"""Tile spectra and what they say about repetition."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from qualipy_core import Image
from qualipy_filters_builtin.spectrum import (
    main_tone,
    peak_agreement,
    periodicity,
    recurrence,
    tile_spectra,
)

Pixels = NDArray[np.uint8]


def _waves(period: float = 16, angle: float = 0.4) -> Pixels:
    y, x = np.mgrid[:192, :256].astype(np.float64)
    return (
        127 + 100 * np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)
    ).astype(np.uint8)


def _noise() -> Pixels:
    return np.random.default_rng(2).integers(0, 256, (192, 256), dtype=np.uint8)


def test_the_main_tone_tells_colours_of_one_luma_apart() -> None:
    red, green = (200, 60, 60), (20, 137, 60)
    stripes = np.where((np.arange(256) // 16 % 2 == 0)[None, :, None], red, green)
    tone = main_tone(Image(np.repeat(stripes, 192, axis=0).astype(np.uint8)))
    assert tone.std() > 50


@pytest.mark.parametrize("period", [6, 12, 24])
def test_all_tiles_of_waves_agree_on_their_frequency(period: float) -> None:
    spectra = tile_spectra(Image(_waves(period)))
    assert spectra is not None
    assert peak_agreement(spectra) > 0.85


def test_tiles_of_noise_and_of_a_scene_agree_less() -> None:
    for picture in (_noise(), data.astronaut()):
        spectra = tile_spectra(Image(picture))
        assert spectra is not None
        assert peak_agreement(spectra) < 0.5


def test_the_autocorrelation_of_waves_swings_and_that_of_noise_does_not() -> None:
    waves, noise = (tile_spectra(Image(p)) for p in (_waves(), _noise()))
    assert waves is not None
    assert noise is not None
    assert periodicity(waves)[0] > 2 * periodicity(noise)[0]
    assert periodicity(waves)[1] < periodicity(noise)[1] - 0.2


def test_a_tiled_motif_recurs_and_noise_does_not() -> None:
    motif = data.chelsea()[100:132, 200:232]
    assert recurrence(Image(np.tile(motif, (6, 8, 1)))) > 0.9
    assert recurrence(Image(_noise())) < 0.4


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (8, 8)])
def test_a_picture_too_small_for_a_tile_has_no_spectra(size: tuple[int, int]) -> None:
    assert tile_spectra(Image(np.zeros((*size, 3), np.uint8))) is None
    assert recurrence(Image(np.zeros((*size, 3), np.uint8))) == 0
