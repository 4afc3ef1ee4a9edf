from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from qualipy_core import Image
from qualipy_filters_builtin.tones import (
    TONES_SIDE,
    blown_mask,
    flat_tone_histogram,
    rim_histogram,
    tone_histogram,
)


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1), (2, 3), (40, 60), (900, 600)])
def test_the_shares_of_all_tones_sum_to_one(shape):
    image = Image(np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8))
    assert tone_histogram(image).sum() == pytest.approx(1)
    assert rim_histogram(image).sum() == pytest.approx(1)


@pytest.mark.parametrize("side", [512, 1024, 2048])
@pytest.mark.parametrize("lines", [1, 2, 4])
def test_stripes_have_both_their_tones_whichever_rows_they_keep_step_with(side, lines):
    picture = np.zeros((side, side), np.uint8)
    stripes = (np.arange(side) // (lines * side // 512) % 2).astype(np.uint8)
    picture[:] = stripes[:, None] * 255
    for pixels in (picture, 255 - picture, np.ascontiguousarray(picture.T)):
        tones = tone_histogram(Image(pixels))
        assert tones[:128].sum() == pytest.approx(0.5)


def test_a_flat_picture_has_one_tone():
    image = Image(np.full((50, 80, 3), 77, np.uint8))
    assert tone_histogram(image)[77] == 1
    assert rim_histogram(image)[77] == 1
    assert flat_tone_histogram(image)[77] == 50 * 80


def test_the_rim_knows_nothing_of_the_middle():
    picture = np.full((100, 100, 3), 255, np.uint8)
    picture[10:90, 10:90] = 0
    assert rim_histogram(Image(picture))[255] == 1


def test_edges_and_noise_are_not_flat():
    noise = np.random.default_rng(1).integers(0, 256, (60, 60, 3), np.uint8)
    assert flat_tone_histogram(Image(noise)).sum() < 0.01 * noise[..., 0].size


def test_coloured_light_is_not_blown_and_white_is():
    picture = np.zeros((30, 30, 3), np.uint8)
    picture[:10] = (255, 255, 90)
    picture[20:] = 255
    mask = blown_mask(Image(picture))
    assert not mask[:20].any()
    assert mask[20:].all()


def test_measurements_are_made_once_and_read_only():
    image = Image(data.astronaut())
    for measure in (tone_histogram, flat_tone_histogram, rim_histogram, blown_mask):
        assert measure(image) is measure(image)
        assert not measure(image).flags.writeable


def test_the_tones_of_a_large_photo_are_those_of_a_small_one():
    photo = data.coffee()
    large = np.repeat(np.repeat(photo, 3, axis=0), 3, axis=1)
    assert max(large.shape) > TONES_SIDE
    difference = np.abs(np.cumsum(tone_histogram(Image(photo)) - tone_histogram(Image(large))))
    assert difference.max() < 0.02


def test_a_picture_is_blown_where_all_its_channels_are():
    picture = np.random.default_rng(2).integers(240, 256, (60, 90, 3), np.uint8)
    picture[:20], picture[:, :10] = 90, 30
    mask = blown_mask(Image(picture))
    assert ((mask > 0) == (picture >= 248).all(axis=2)).all()
