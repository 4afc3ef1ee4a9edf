"""Colours of tone ranges."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from skimage import data

from qualipy_core import Image
from qualipy_filters_builtin.color_balance import (
    THUMBNAIL_SIDE,
    TONE_RANGES,
    channel_levels,
    darkest_first,
    small_picture,
    tone_colors,
)

RED_GREEN, BLUE, CHROMA, SPREAD = range(4)


def test_a_grey_picture_has_no_colours_in_any_tone() -> None:
    assert not tone_colors(Image(data.camera())).any()


def test_a_tint_of_the_shadows_shows_in_the_dark_ranges_alone() -> None:
    ramp = np.repeat(np.linspace(0, 255, 160)[None, :, None], 3, axis=2).repeat(60, axis=0)
    ramp[..., 2] += np.maximum(0, 80 - ramp[..., 0])
    blue = tone_colors(Image(ramp.astype(np.uint8)))[:, BLUE]
    assert blue[0] > 0.2
    assert (np.diff(blue[:4]) <= 0).all()
    assert not blue[4:].any()


def test_a_monochrome_has_less_spread_than_a_photo() -> None:
    photo = data.astronaut()
    toned = (photo.mean(axis=2, keepdims=True) * [1, 0.9, 0.7]).astype(np.uint8)
    assert (tone_colors(Image(toned))[2:-1, SPREAD] < tone_colors(Image(photo))[2:-1, SPREAD]).all()


def test_levels_rise_from_dark_to_light() -> None:
    levels = channel_levels(Image(data.coffee()))
    assert (np.diff(levels, axis=0) >= 0).all()
    assert levels.min() >= 0
    assert levels.max() <= 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 3), (1, 300), (30, 40)])
def test_ranges_are_medians_of_the_pixels_of_their_tones(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (*shape, 3), np.uint8)
    image = Image(pixels)
    small = small_picture(image, THUMBNAIL_SIDE).reshape(-1, 3) / 255
    ordered = small[darkest_first(image, THUMBNAIL_SIDE)]
    red_green = ordered[:, 0] - ordered[:, 1]
    found = tone_colors(image)
    count = len(ordered)
    for row, (low, high) in zip(found, pairwise(TONE_RANGES), strict=True):
        first = min(int(low * count), count - 1)
        members = red_green[first : max(first + 1, int(high * count))]
        assert row[RED_GREEN] == pytest.approx(np.sort(members)[(len(members) - 1) // 2])
    assert np.isfinite(found).all()
