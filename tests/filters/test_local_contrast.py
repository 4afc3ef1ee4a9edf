"""Contrast by octaves, and what lies beyond edges."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from qualipy_core import Image
from qualipy_core.opencv import cv2
from qualipy_filters_builtin import local_contrast
from qualipy_filters_builtin.local_contrast import (
    BANDS,
    band_contrasts,
    edge_profile,
    evenness,
    opponent_pyramid,
    spread,
)


def test_a_flat_picture_has_no_contrast() -> None:
    for light, color in band_contrasts(Image(np.full((90, 120, 3), (200, 90, 40), np.uint8))):
        assert light.max() < 1e-5
        assert color.max() < 1e-5


def test_a_grey_picture_has_no_contrast_in_colour() -> None:
    contrasts = band_contrasts(Image(data.camera()))
    assert len(contrasts) == BANDS
    for light, color in contrasts:
        assert light.mean() > 0.01
        assert color.max() < 1e-5


def test_blur_takes_the_finest_octave_first() -> None:
    photo = data.astronaut()
    sharp = band_contrasts(Image(photo))
    blurred = band_contrasts(Image(cv2.GaussianBlur(photo, (0, 0), 1.5)))
    left = [
        after[0].mean() / before[0].mean() for before, after in zip(sharp, blurred, strict=True)
    ]
    assert left[0] < left[1] < left[2]


def test_another_white_balance_leaves_contrasts_almost_as_they_are() -> None:
    photo = data.coffee()
    balanced = (photo * np.array([0.95, 1.0, 0.85])).astype(np.uint8)
    for before, after in zip(
        band_contrasts(Image(photo)), band_contrasts(Image(balanced)), strict=True
    ):
        assert after[0].mean() == pytest.approx(before[0].mean(), rel=0.1)


def test_a_halo_shows_beyond_the_edges() -> None:
    step = np.full((120, 160), 0.3, np.float32)
    step[:, 80:] = 0.7
    step = cv2.GaussianBlur(step, (0, 0), 1)
    haloed = step + 0.8 * (step - cv2.GaussianBlur(step, (0, 0), 6))
    plain, halo = (edge_profile(values, (1.5, 3, 12)) for values in (step, haloed))
    assert halo[0] > plain[0]
    assert (halo[3:] < plain[3:] - 0.1).all()


def test_lifted_detail_shows_where_a_picture_is_even() -> None:
    photo = data.coffee().astype(np.float32)
    grey = photo.mean(axis=2, keepdims=True)
    detail = grey - cv2.GaussianBlur(grey, (0, 0), 4)[..., None]
    lifted = np.clip(photo * (1 + 2 * detail / np.maximum(grey, 8)), 0, 255).astype(np.uint8)
    assert (evenness(Image(lifted)) > evenness(Image(data.coffee()))).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (3, 2)])
def test_tiny_and_narrow_pictures_have_all_levels(shape: tuple[int, int]) -> None:
    image = Image(np.full((*shape, 3), 70, np.uint8))
    assert len(opponent_pyramid(image)) == BANDS + 1
    assert all(light.size >= 1 for light, _ in band_contrasts(image))
    light = np.ascontiguousarray(opponent_pyramid(image)[0][..., 0])
    assert np.isfinite([*evenness(image), *edge_profile(light, (1, 6))]).all()


@pytest.mark.parametrize("shape", [(384, 512), (1, 20000), (20000, 1), (256, 171), (40, 60)])
def test_places_are_spread_over_the_whole_picture(shape: tuple[int, int]) -> None:
    places = np.arange(np.prod(shape)).reshape(shape)[spread(*shape)]
    assert min(places.size, 8192) >= min(np.prod(shape), 8192) / 4
    assert places.size < 4 * 8192
    assert places.min() < 0.05 * np.prod(shape)
    assert places.max() > 0.95 * np.prod(shape) - 1


def test_chosen_places_have_the_contrasts_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = [light.mean() for light, _ in band_contrasts(Image(data.astronaut()))]
    monkeypatch.setattr(local_contrast, "_SAMPLES", 1 << 20)
    monkeypatch.setattr(local_contrast, "_layout", local_contrast._layout.__wrapped__)  # not kept
    every = [light.mean() for light, _ in band_contrasts(Image(data.astronaut()))]
    assert chosen == pytest.approx(every, rel=0.05)
