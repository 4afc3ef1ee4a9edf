from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from qualipy_core.opencv import cv2
from qualipy_filters_builtin.grayscale import Grayscale

PHOTOS = ["astronaut", "chelsea", "coffee", "rocket"]


def degree(pixels):
    return Grayscale().predict(pixels, return_boolean=False)


def grey(pixels):
    return np.dstack([cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)] * 3)


def saturated(pixels, factor):
    base = grey(pixels).astype(float)
    return np.clip(np.rint(base + factor * (pixels - base)), 0, 255).astype(np.uint8)


def encoded(pixels, extension, *options):
    return cv2.imencode(extension, pixels[..., ::-1], options)[1].tobytes()


@pytest.mark.parametrize("name", PHOTOS)
def test_a_colour_photo_passes_even_a_pale_one(name):
    photo = getattr(data, name)()
    assert not Grayscale().predict(photo)
    assert not Grayscale().predict(saturated(photo, 0.3))


@pytest.mark.parametrize("name", PHOTOS)
def test_black_and_white_is_flagged_however_it_is_stored(name):
    picture = grey(getattr(data, name)())
    assert degree(picture) == degree(picture[..., 0]) == 1
    assert degree(picture[..., 0].astype(np.uint16) * 257) == 1
    assert degree(encoded(picture, ".png")) == 1
    for quality in (30, 60, 95):
        assert Grayscale().predict(encoded(picture, ".jpg", cv2.IMWRITE_JPEG_QUALITY, quality))


@pytest.mark.parametrize("name", PHOTOS)
def test_colour_noise_is_no_colour(name):
    picture = grey(getattr(data, name)())
    noise = np.random.default_rng(0).normal(0, 6, picture.shape)
    scanned = np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)
    assert Grayscale().predict(scanned)
    assert Grayscale().predict(encoded(scanned, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 75))


@pytest.mark.parametrize("name", PHOTOS)
def test_less_colour_never_lowers_the_degree(name):
    photo = getattr(data, name)()
    degrees = [degree(saturated(photo, factor)) for factor in (1.5, 1, 0.6, 0.3, 0.1, 0.05, 0)]
    assert degrees == sorted(degrees)


def test_a_date_in_the_corner_is_no_colour_photo_but_one_coloured_thing_is():
    stamped = grey(data.coffee())
    cv2.putText(stamped, "24 12 '98", (450, 380), 0, 0.6, (255, 120, 20), 1)
    assert Grayscale().predict(stamped)
    rose = grey(data.coffee())
    rose[150:230, 250:330] = (200, 30, 40)
    assert not Grayscale().predict(rose)


def test_sepia_is_a_colour():
    base = grey(data.camera()[..., None].repeat(3, axis=2)).astype(float)
    sepia = np.clip(base * (1.07, 0.95, 0.74), 0, 255).astype(np.uint8)
    assert not Grayscale().predict(sepia)


@pytest.mark.parametrize("name", PHOTOS)
def test_mirroring_compression_and_size_change_little(name):
    for photo in (getattr(data, name)(), grey(getattr(data, name)())):
        half = cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        jpeg = encoded(photo, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 85)
        for other in (photo[:, ::-1], photo[::-1], jpeg, half):
            assert degree(other) == pytest.approx(degree(photo), abs=0.05)


@pytest.mark.parametrize("tone", [0, 128, 255])
def test_black_grey_and_white_have_no_colour(tone):
    assert degree(np.full((40, 60, 3), tone, np.uint8)) == 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (5, 5), (64, 48)])
def test_any_picture_gives_a_degree(shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert 0 <= degree(noise) <= 1
