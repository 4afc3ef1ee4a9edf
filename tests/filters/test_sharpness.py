from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from qualipy_core import Image
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.sharpness import (
    CELL,
    DIRECTED,
    DIRECTIONS,
    LEVELS,
    cell_energies,
    cell_tensors,
    edge_slopes,
    gradient_tensors,
    missing_detail,
    tone_ranges,
)

PHOTO = data.astronaut()


def blurred(pixels, sigma):
    return cv2.GaussianBlur(pixels, (0, 0), sigma)


def test_maps_cover_the_picture_in_cells():
    image = Image.open(np.ascontiguousarray(PHOTO[:300, :450]))
    cells = (-(-300 // CELL), -(-450 // CELL))
    assert gradient_tensors(image).shape == (DIRECTED, 3, *cells)
    assert cell_energies(image).shape == (LEVELS, *cells)
    assert edge_slopes(image).shape == (4, *cells)
    assert tone_ranges(image).shape == cells
    assert missing_detail(image).shape == (DIRECTIONS,)


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (17, 3), (16, 16), (100, 33)])
@pytest.mark.parametrize("tone", [0, 128, 255])
def test_an_even_picture_has_no_gradient_and_no_range(size, tone):
    image = Image.open(np.full((*size, 3), tone, np.uint8))
    assert not gradient_tensors(image).any()
    assert not cell_energies(image).any()
    assert not edge_slopes(image).any()
    assert not tone_ranges(image).any()
    assert np.isfinite(missing_detail(image)).all()


def test_a_step_has_half_its_height_as_slope_and_its_height_as_range():
    pixels = np.full((160, 160, 3), 50, np.uint8)
    pixels[:, 88:] = 150
    image = Image.open(pixels)
    across, _, along, _ = edge_slopes(image)
    assert across.max() == pytest.approx(50)
    assert along.max() == pytest.approx(0)
    assert tone_ranges(image).max() == 100


@pytest.mark.parametrize("octave", range(DIRECTED))
def test_a_cells_tensor_is_the_mean_of_its_squared_derivatives(octave):
    luma = cv2.cvtColor(PHOTO, cv2.COLOR_RGB2GRAY).astype(np.float64)
    for _ in range(octave):
        luma = cv2.pyrDown(luma)
    x, y = (cv2.Sobel(luma, cv2.CV_64F, *order) / 8 for order in ((1, 0), (0, 1)))
    side = CELL >> octave
    shape = (luma.shape[0] // side, side, luma.shape[1] // side, side)
    expected = [np.reshape(product, shape).mean(axis=(1, 3)) for product in (x * x, x * y, y * y)]
    close = pytest.approx(np.stack(expected), rel=1e-3, abs=1.0)
    assert cell_tensors(Image.open(PHOTO))[octave] == close


def test_the_energy_of_a_ramp_is_that_of_its_slope_in_every_octave():
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 256, axis=0).repeat(3, axis=2)
    for octave, energies in enumerate(cell_energies(Image.open(ramp))[:-1]):
        inside = energies[4:-4, 4:-4]
        assert inside == pytest.approx(np.full_like(inside, 4.0**octave), rel=0.05)


def test_a_blurred_edge_is_less_steep_but_of_the_same_range():
    pixels = np.full((160, 160, 3), 50, np.uint8)
    pixels[:, 80:] = 150
    sharp, soft = Image.open(pixels), Image.open(blurred(pixels, 3))
    assert edge_slopes(soft).max() < 0.5 * edge_slopes(sharp).max()
    assert tone_ranges(soft).max() == pytest.approx(tone_ranges(sharp).max(), abs=5)


def test_blur_takes_detail_from_every_direction():
    lacking = [missing_detail(Image.open(blurred(PHOTO, sigma))) for sigma in (0.5, 1, 2, 4)]
    assert (np.diff(lacking, axis=0) > 0).all()


def test_movement_takes_detail_from_its_own_direction_most():
    across = missing_detail(Image.open(cv2.blur(PHOTO, (15, 1))))
    along = missing_detail(Image.open(cv2.blur(PHOTO, (1, 15))))
    assert across.argmax() == 0
    assert along.argmax() == DIRECTIONS // 2


def test_contrast_changes_little_about_missing_detail():
    sharp = missing_detail(Image.open(PHOTO))
    faint = missing_detail(Image.open((PHOTO // 3 + 120).astype(np.uint8)))
    assert np.abs(sharp - faint).max() < 0.25


def test_a_turned_picture_has_the_same_directions_turned():
    upright = missing_detail(Image.open(PHOTO))
    turned = missing_detail(Image.open(np.ascontiguousarray(np.rot90(PHOTO))))
    assert np.abs(np.roll(upright, DIRECTIONS // 2) - turned).max() < 0.05
