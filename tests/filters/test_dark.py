from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from qualipy_core.opencv import cv2
from qualipy_filters_builtin.dark import Dark

PHOTOS = ["astronaut", "chelsea", "coffee", "rocket"]


def degree(pixels):
    return Dark().predict(pixels, return_boolean=False)


def exposed(pixels, stops):
    """The photo with that many stops more light, in a display's linear light."""
    linear = (pixels / 255.0) ** 2.2 * 2.0**stops
    return np.rint(255 * np.clip(linear, 0, 1) ** (1 / 2.2)).astype(np.uint8)


def noisy(pixels, sigma):
    noise = np.random.default_rng(0).normal(0, sigma, pixels.shape)
    return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)


def disk(pixels, share):
    """Where a disk of that share of the picture is, in its middle."""
    height, width = pixels.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    distance = (rows - height / 2) ** 2 + (columns - width / 2) ** 2
    return distance < share * height * width / np.pi


@pytest.mark.parametrize("name", PHOTOS)
def test_an_ordinary_photo_and_one_two_stops_too_dark_pass(name):
    photo = getattr(data, name)()
    assert not Dark().predict(photo)
    if name != "rocket":  # a launch before the night sky
        assert not Dark().predict(exposed(photo, -2))


@pytest.mark.parametrize("name", PHOTOS)
def test_six_stops_too_dark_is_flagged_even_with_noise(name):
    photo = exposed(getattr(data, name)(), -6)
    assert Dark().predict(photo)
    assert Dark().predict(noisy(photo, 12))


@pytest.mark.parametrize("name", PHOTOS)
def test_less_light_never_lowers_the_degree(name):
    degrees = [degree(exposed(getattr(data, name)(), -stops)) for stops in range(8)]
    assert degrees == sorted(degrees)


@pytest.mark.parametrize("name", PHOTOS)
def test_a_lamp_lights_no_room(name):
    photo = exposed(getattr(data, name)(), -7)
    photo[disk(photo, 0.015)] = 255
    assert Dark().predict(photo)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
def test_a_lit_subject_in_the_dark_passes(name):
    photo = getattr(data, name)()
    portrait = np.where(disk(photo, 0.2)[..., None], photo, 3).astype(np.uint8)
    assert not Dark().predict(portrait)


def test_a_silhouette_and_city_lights_pass():
    silhouette = np.full((300, 400, 3), 4, np.uint8)
    silhouette[:120] = (200, 140, 90)
    assert not Dark().predict(silhouette)
    city = np.full((300, 400, 3), 6, np.uint8)
    city[100:250:6, 20:380:5] = city[101:250:6, 20:380:5] = (255, 210, 130)
    city[100:250:6, 21:380:5] = city[101:250:6, 21:380:5] = (255, 210, 130)
    assert not Dark().predict(city)


def test_stars_alone_are_nothing_to_see():
    sky = np.full((600, 800, 3), 5, np.uint8)
    random = np.random.default_rng(0)
    sky[random.integers(0, 600, 200), random.integers(0, 800, 200)] = 255
    assert Dark().predict(sky)


@pytest.mark.parametrize("name", PHOTOS)
def test_mirroring_compression_and_size_change_little(name):
    photo = exposed(getattr(data, name)(), -4)
    jpeg = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
    half = cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    for other in (photo[:, ::-1], photo[::-1], jpeg, half):
        assert degree(other) == pytest.approx(degree(photo), abs=0.05)


def test_black_is_dark_and_white_is_not():
    assert degree(np.zeros((40, 60, 3), np.uint8)) == 1
    assert degree(np.full((40, 60, 3), 255, np.uint8)) < 0.01


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (5, 5), (64, 48)])
def test_any_picture_gives_a_degree(shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert 0 <= degree(noise) <= 1


def test_grey_is_grey_in_any_number_of_channels():
    grey = data.camera()
    assert degree(grey) == degree(np.dstack([grey] * 3))
