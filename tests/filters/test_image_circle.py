"""The round image of a circular fisheye."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from qualipy_core import Image
from qualipy_filters_builtin.image_circle import ImageCircle, image_circle

Pixels = NDArray[np.uint8]


def _outside(shape: tuple[int, ...], radius: float, squash: float = 1.0) -> NDArray[np.bool_]:
    height, width = shape[:2]
    y, x = np.mgrid[:height, :width]
    return np.hypot(x - width / 2, (y - height / 2) / squash) > radius * min(height, width) / 2


def _round(radius: float, colour: tuple[int, int, int] = (0, 0, 0)) -> Pixels:
    photo = data.coffee().copy()
    photo[_outside(photo.shape, radius)] = colour
    return photo


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (30, 90, 200)])
@pytest.mark.parametrize("radius", [0.7, 0.9, 1.1])
def test_a_disc_is_found_with_its_radius(radius: float, colour: tuple[int, int, int]) -> None:
    circle = image_circle(Image(_round(radius, colour)))
    assert circle.overlap > 0.85
    assert circle.outline > 0.6
    assert circle.radius == pytest.approx(radius, abs=0.06)


def test_an_ellipse_overlaps_less_than_a_circle() -> None:
    photo = data.coffee().copy()
    photo[_outside(photo.shape, 0.95, 0.6)] = 0
    assert image_circle(Image(photo)).overlap < image_circle(Image(_round(0.9))).overlap - 0.05


def test_the_shorter_the_outline_the_less_the_radius_counts() -> None:
    photo = data.coffee()
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]]
    turn = np.degrees(np.arctan2(y - photo.shape[0] / 2, x - photo.shape[1] / 2)) % 360
    radii = []
    for part in (40, 120, 360):
        surround = _outside(photo.shape, 0.9) & (turn < part)
        radii.append(image_circle(Image(np.where(surround[..., None], 0, photo))).radius)
    assert radii[0] < radii[1] < radii[2]


def test_a_photo_without_plain_corners_has_no_circle() -> None:
    assert image_circle(Image(data.astronaut()[:300, :300])).outline < 0.3


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (20, 40), (200, 300)])
def test_a_flat_picture_has_no_circle(size: tuple[int, int]) -> None:
    assert image_circle(Image(np.full((*size, 3), 200, np.uint8))) == ImageCircle()
