"""multiple_salient_regions: the degree follows how separate and how alike the regions are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from skimage import data

from qualipy_core import Image
from qualipy_core.opencv import cv2
from qualipy_core.testing import FilterContract
from qualipy_filters_builtin import multiple_salient_regions
from qualipy_filters_builtin.multiple_salient_regions import (
    MultipleSalientRegions,
    measurements,
)
from qualipy_filters_builtin.saliency import region_weights, saliency_map

from .test_saliency import scene


def measured(pixels: Any, **parameters: Any) -> float:
    return MultipleSalientRegions(**parameters).measure(Image(pixels))


def mask_of(*radii: int) -> Any:
    """A mask of discs side by side."""
    mask = np.zeros((100, 100 * len(radii)), np.uint8)
    for number, radius in enumerate(radii):
        cv2.circle(mask, (50 + 100 * number, 50), radius, 255, -1)
    return mask


class TestMultipleSalientRegions(FilterContract):
    filter_class = MultipleSalientRegions

    def positives(self) -> Sequence[Any]:
        return [
            scene((75, 96, 28), (185, 96, 28)),
            scene((60, 90, 22), (128, 100, 22), (196, 90, 22)),
        ]

    def negatives(self) -> Sequence[Any]:
        return [scene((128, 96, 50)), scene((110, 90, 35)), scene()]


def test_two_discs_score_above_one() -> None:
    assert measured(scene((75, 96, 28), (185, 96, 28))) > measured(scene((128, 96, 40)))


def test_the_degree_falls_as_the_second_region_shrinks() -> None:
    degrees = [measured(scene((80, 96, 32), (190, 96, radius))) for radius in (30, 20, 8)]
    assert degrees == sorted(degrees, reverse=True)


def test_what_stands_apart_is_nothing_for_one_disc_and_grows_with_the_second() -> None:
    parts = [
        measurements(Image(scene((80, 96, 32), *others)))[0]
        for others in ([], [(190, 96, 10)], [(190, 96, 18)], [(190, 96, 30)])
    ]
    assert parts == sorted(parts)
    assert parts[0] < 0.5 * parts[1]
    assert parts[-1] < 1


@pytest.mark.parametrize("photo", [data.coffee, data.astronaut, scene])
def test_all_cuts_at_once_say_what_each_cut_says_alone(photo: Any) -> None:
    smooth, outside = multiple_salient_regions._outside(saliency_map(Image(photo())))
    for place, left in enumerate(outside):
        cut = smooth > smooth.max() * np.float32((place + 0.5) / len(outside))
        others = region_weights(cut, smooth)[1:]
        assert left == pytest.approx(others.sum(), rel=1e-5)
        assert (left > 0) == (len(others) > 0)


def test_discs_side_by_side_are_broader_than_discs_on_top_of_each_other() -> None:
    beside = measurements(Image(scene((75, 96, 28), (185, 96, 28))))[1]
    above = measurements(Image(scene((128, 50, 28), (128, 142, 28))))[1]
    assert beside > 0 > above


def test_mirroring_changes_nothing() -> None:
    pixels = scene((75, 96, 28), (190, 90, 18))
    assert measured(pixels) == pytest.approx(measured(pixels[:, ::-1].copy()), abs=0.01)


@pytest.mark.parametrize("photo", [data.coffee, data.astronaut, data.chelsea])
def test_resizing_and_jpeg_change_little(photo: Any) -> None:
    pixels = photo()
    degree = measured(pixels)
    smaller = cv2.resize(pixels, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 70])[1]
    assert measured(smaller) == pytest.approx(degree, abs=0.1)
    assert measured(cv2.imdecode(coded, cv2.IMREAD_COLOR)) == pytest.approx(degree, abs=0.1)


@pytest.mark.parametrize("tone", [0, 128, 255])
def test_a_flat_picture_shows_nothing(tone: int) -> None:
    assert measured(np.full((60, 90, 3), tone, np.uint8)) == 0


def test_noise_has_a_finite_degree() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (120, 160, 3), np.uint8)
    assert 0 <= measured(noise) <= 1


def test_in_a_mask_regions_are_counted_as_drawn() -> None:
    assert measured(mask_of(40), is_saliency_map=True) == 0
    assert measured(mask_of(40, 40), is_saliency_map=True) > 0.8
    assert measured(mask_of(40, 30, 20), is_saliency_map=True) > 0.5
    assert measured(mask_of(40, 5), is_saliency_map=True) < 0.5


def test_an_empty_mask_has_no_regions() -> None:
    assert measured(np.zeros((30, 40), np.uint8), is_saliency_map=True) == 0
    assert measured(np.full((30, 40), 255, np.uint8), is_saliency_map=True) == 0
