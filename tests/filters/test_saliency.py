"""The saliency map and its cues: objects rise from backgrounds."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from qualipy_core import Image
from qualipy_core.opencv import cv2
from qualipy_filters_builtin import saliency_cues
from qualipy_filters_builtin.saliency import (
    GRID,
    object_mask,
    region_weights,
    saliency_map,
    second_to_first,
)

Pixels = NDArray[np.uint8]


def scene(*discs: tuple[int, int, int], ground: int = 120) -> Pixels:
    """A noisy ground with red discs, each (x, y, radius), 256 × 192 pixels."""
    rng = np.random.default_rng(5)
    pixels = np.clip(ground + rng.normal(0, 5, (192, 256, 3)), 0, 255).astype(np.uint8)
    for x, y, radius in discs:
        cv2.circle(pixels, (x, y), radius, (220, 40, 40), -1, cv2.LINE_AA)
    return pixels


def truth(*discs: tuple[int, int, int]) -> NDArray[np.bool_]:
    mask = np.zeros((192, 256), np.uint8)
    for x, y, radius in discs:
        cv2.circle(mask, (x, y), radius, 255, -1)
    return cv2.resize(mask, (GRID, GRID), interpolation=cv2.INTER_AREA) > 127


@pytest.mark.parametrize("disc", [(128, 96, 50), (70, 110, 25), (190, 80, 18)])
def test_a_disc_stands_out_wherever_it_is(disc: tuple[int, int, int]) -> None:
    saliency, inside = saliency_map(Image(scene(disc))), truth(disc)
    assert saliency[inside].mean() > 0.5
    assert saliency[inside].mean() > 4 * saliency[~inside].mean()


def test_a_flat_picture_has_no_object() -> None:
    assert saliency_map(Image(np.full((90, 120, 3), 77, np.uint8))).max() < 0.5


def test_the_map_is_a_probability_on_a_grid() -> None:
    for pixels in (data.astronaut(), data.coffee(), data.camera(), scene()):
        saliency = saliency_map(Image(pixels))
        assert saliency.shape == (GRID, GRID)
        assert saliency.min() >= 0
        assert saliency.max() <= 1


def test_mirroring_mirrors_the_map() -> None:
    pixels = scene((70, 110, 25))
    there, back = saliency_map(Image(pixels)), saliency_map(Image(pixels[:, ::-1].copy()))
    assert np.abs(there - back[:, ::-1]).mean() < 0.02


def test_resizing_and_jpeg_change_the_map_little() -> None:
    pixels = data.coffee()
    smaller = cv2.resize(pixels, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    coded = cv2.imencode(".png", smaller)[1]
    again = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    assert np.abs(saliency_map(Image(pixels)) - saliency_map(Image(again))).mean() < 0.05


def test_the_barrier_distance_is_the_range_that_a_path_must_cross() -> None:
    lab = np.zeros((saliency_cues.FINE, saliency_cues.FINE, 3), np.float32)
    lab[10:30, 10:30, 0] = 40  # a plateau within plains
    lab[15:20, 15:20, 0] = 20  # a basin on the plateau: its way out still leads over 40
    distance = saliency_cues.barrier_distance(lab)
    assert distance[0].max() == 0
    assert distance[40, 40] == 0
    assert distance[12, 12] == 40
    assert distance[17, 17] == 40


def test_contrast_with_the_borders_is_the_mahalanobis_distance_to_their_colours() -> None:
    rng = np.random.default_rng(3)
    size, depth, noise = saliency_cues.FINE, 4, 9 * np.eye(3)
    mixed = rng.normal(0, 1, (size, size, 3)) @ rng.normal(0, 6, (3, 3)) + [50, 10, -10]
    lab = mixed.astype(np.float32)
    distances = []
    for side in (lab[:depth], lab[-depth:], lab[:, :depth], lab[:, -depth:]):
        colours = side.reshape(-1, 3).astype(np.float64)
        inverse = np.linalg.inv(np.cov(colours.T, bias=True) + noise)
        off = lab - colours.mean(axis=0)
        distance = np.sqrt(np.einsum("ijk,kl,ijl->ij", off, inverse, off))
        distances.append(distance / max(distance.max(), 1))
    expected = np.sum(distances, axis=0) - np.max(distances, axis=0)
    np.testing.assert_allclose(saliency_cues.border_contrast(lab), expected, atol=1e-4)


def test_what_touches_the_border_widely_is_background() -> None:
    lab = np.zeros((saliency_cues.FINE, saliency_cues.FINE, 3), np.float32)
    lab[16:32, 16:32] = 50
    _, background = saliency_cues.region_contrast(lab)
    middle = background[6:10, 6:10].mean()
    assert background[0].mean() > middle


def test_a_surface_that_lies_within_another_contrasts_with_it_as_a_whole() -> None:
    lab = np.zeros((saliency_cues.FINE, saliency_cues.FINE, 3), np.float32)
    lab[16:32, 16:32] = 50
    contrast, _ = saliency_cues.region_contrast(lab)
    inside = contrast[6:10, 6:10]
    assert inside.min() > 0.8
    assert inside.min() > 2 * np.delete(contrast, np.s_[5:11], axis=0).max()


@pytest.mark.parametrize("column", [6, 7])
def test_a_single_cell_that_is_like_no_other_is_no_background(column: int) -> None:
    size = saliency_cues.FINE // 16
    lab = np.zeros((saliency_cues.FINE, saliency_cues.FINE, 3), np.float32)
    lab[7 * size : 8 * size, column * size : (column + 1) * size] = 32, 79, -108  # pure blue
    contrast, background = saliency_cues.region_contrast(lab)
    assert np.isfinite(contrast).all()
    assert background[7, column] == background.min() < 0.1


def test_one_colour_has_no_contrast() -> None:
    lab = np.full((saliency_cues.FINE, saliency_cues.FINE, 3), 37.3, np.float32)
    contrast, _ = saliency_cues.region_contrast(lab)
    assert contrast.max() == 0
    assert saliency_cues.border_contrast(lab).max() < 0.01
    assert saliency_cues.barrier_distance(lab).max() == 0


def test_a_mask_is_taken_as_it_is() -> None:
    mask = np.zeros((100, 200), np.uint8)
    mask[20:40, 50:100] = 255
    assert object_mask(Image(mask)).mean() == pytest.approx(0.05)
    assert not object_mask(Image(np.zeros((9, 9), np.uint8))).any()
    assert object_mask(Image(np.full((9, 9), 255, np.uint8))).all()


def test_regions_are_weighed_largest_first() -> None:
    mask = np.zeros((20, 20), bool)
    mask[1:3, 1:3] = True
    mask[10:15, 10:15] = True
    assert region_weights(mask).tolist() == [25, 4]
    assert second_to_first(region_weights(mask)) == pytest.approx(4 / 25)
    assert second_to_first(region_weights(np.zeros((4, 4), bool))) == 0
