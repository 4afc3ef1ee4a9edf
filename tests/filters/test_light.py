from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from qualipy_core.opencv import cv2
from qualipy_filters_builtin.light import Light

PHOTOS = ["astronaut", "chelsea", "coffee", "rocket"]


def degree(pixels):
    return Light().predict(pixels, return_boolean=False)


def veiled(pixels, kept):
    """The photo with so much of its contrast left, below white."""
    return np.rint(255 - (255.0 - pixels) * kept).astype(np.uint8)


def exposed(pixels, stops):
    """The photo with that many stops more light, in a display's linear light."""
    linear = (pixels / 255.0) ** 2.2 * 2.0**stops
    return np.rint(255 * np.clip(linear, 0, 1) ** (1 / 2.2)).astype(np.uint8)


@pytest.mark.parametrize("name", PHOTOS)
def test_an_ordinary_photo_one_in_fog_and_one_a_stop_too_bright_pass(name):
    photo = getattr(data, name)()
    assert not Light().predict(photo)
    assert not Light().predict(veiled(photo, 0.4))
    assert not Light().predict(exposed(photo, 1))


@pytest.mark.parametrize("name", PHOTOS)
def test_a_washed_out_photo_is_flagged(name):
    photo = getattr(data, name)()
    assert Light().predict(veiled(photo, 0.1))
    assert Light().predict(exposed(veiled(photo, 0.4), 2))


@pytest.mark.parametrize("name", PHOTOS)
def test_more_light_never_lowers_the_degree(name):
    photo = getattr(data, name)()
    stops = [degree(exposed(photo, number)) for number in range(9)]
    veils = [degree(veiled(photo, kept)) for kept in (1, 0.8, 0.6, 0.4, 0.3, 0.2, 0.1, 0)]
    assert stops == sorted(stops)
    assert veils == sorted(veils)


def test_things_on_white_pass():
    product = np.full((300, 400, 3), 255, np.uint8)
    product[100:200, 140:260] = cv2.resize(data.coffee(), (120, 100))
    assert not Light().predict(product)
    assert not Light().predict(data.page())
    drawing = np.full((300, 400), 255, np.uint8)
    cv2.circle(drawing, (200, 150), 100, 0, 4)
    cv2.line(drawing, (50, 50), (350, 250), 0, 4)
    assert not Light().predict(drawing)


def test_snow_passes():
    snow = np.full((300, 400, 3), 240, np.uint8)
    snow[:120] = (190, 210, 235)
    snow[200:240, 100:160] = 40
    assert not Light().predict(snow)


@pytest.mark.parametrize("name", PHOTOS)
def test_mirroring_compression_and_size_change_little(name):
    photo = veiled(getattr(data, name)(), 0.25)
    jpeg = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
    half = cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    for other in (photo[:, ::-1], photo[::-1], jpeg, half):
        assert degree(other) == pytest.approx(degree(photo), abs=0.05)


def test_white_is_light_and_black_is_not():
    assert degree(np.full((40, 60, 3), 255, np.uint8)) == 1
    assert degree(np.zeros((40, 60, 3), np.uint8)) < 0.01


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (5, 5), (64, 48)])
def test_any_picture_gives_a_degree(shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert 0 <= degree(noise) <= 1


def test_grey_is_grey_in_any_number_of_channels():
    grey = data.camera()
    assert degree(grey) == degree(np.dstack([grey] * 3))
