from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from qualipy_core.opencv import cv2
from qualipy_filters_builtin.low_information import LowInformation

PHOTOS = ["astronaut", "chelsea", "coffee", "rocket", "grass", "gravel", "brick"]
SHAPE = (600, 800, 3)


def degree(pixels):
    return LowInformation().predict(pixels, return_boolean=False)


def noisy(pixels, sigma):
    noise = np.random.default_rng(0).normal(0, sigma, pixels.shape)
    return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)


def jpeg(pixels, quality=85):
    return cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def gradient():
    rows, columns = np.mgrid[0:1:600j, 0:1:800j]
    return np.repeat((60 + 90 * rows + 90 * columns)[..., None], 3, axis=2)


@pytest.mark.parametrize("name", PHOTOS)
def test_photos_and_textures_pass(name):
    assert not LowInformation().predict(getattr(data, name)())


@pytest.mark.parametrize("sigma", [0, 5, 15, 40])
@pytest.mark.parametrize("tone", [0, 60, 128, 255])
def test_one_tone_is_flagged_with_any_noise(tone, sigma):
    assert LowInformation().predict(noisy(np.full(SHAPE, tone, float), sigma))


@pytest.mark.parametrize("sigma", [0, 5, 15])
def test_a_gradient_is_flagged_with_any_noise_and_compressed(sigma):
    picture = noisy(gradient(), sigma)
    assert LowInformation().predict(picture)
    assert LowInformation().predict(jpeg(picture))


def test_noise_alone_is_flagged_for_all_its_entropy():
    noise = np.random.default_rng(0).integers(0, 256, (768, 1024, 3), np.uint8)
    assert LowInformation().predict(noise)


def test_what_is_written_or_drawn_passes_for_all_its_few_tones():
    assert not LowInformation().predict(data.page())
    drawing = np.full((600, 800), 255, np.uint8)
    cv2.circle(drawing, (400, 300), 200, 0, 3)
    assert not LowInformation().predict(drawing)
    logo = np.full((600, 800, 3), (30, 60, 90), np.uint8)
    cv2.putText(logo, "Logo", (250, 330), 0, 4, (240, 240, 240), 10)
    assert not LowInformation().predict(logo)


def test_specks_of_dust_on_an_empty_page_are_nothing():
    page = np.full(SHAPE, 240, np.uint8)
    random = np.random.default_rng(0)
    page[random.integers(0, 600, 5), random.integers(0, 800, 5)] = 60
    assert LowInformation().predict(page)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
def test_the_less_contrast_is_left_the_higher_the_degree(name):
    photo = getattr(data, name)().astype(float)
    left = [1, 0.3, 0.1, 0.05, 0.03, 0.02, 0.01, 0]
    degrees = [degree(np.rint(128 + (photo - 128) * kept).astype(np.uint8)) for kept in left]
    # Where little is left it is rounding that decides.
    assert degrees == pytest.approx(sorted(degrees), abs=0.02)
    assert degrees[0] < 0.5 < degrees[-1]


@pytest.mark.parametrize("name", PHOTOS)
def test_mirroring_compression_and_size_change_little(name):
    photo = getattr(data, name)()
    photo = np.dstack([photo] * 3) if photo.ndim == 2 else photo
    half = cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    for other in (photo[:, ::-1], photo[::-1], jpeg(photo), half):
        assert degree(other) == pytest.approx(degree(photo), abs=0.05)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (5, 5), (64, 48)])
def test_any_picture_gives_a_degree(shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert 0 <= degree(noise) <= 1


def test_grey_is_grey_in_any_number_of_channels():
    grey = data.camera()
    assert degree(grey) == degree(np.dstack([grey] * 3))
