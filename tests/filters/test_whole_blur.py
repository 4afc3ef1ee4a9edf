from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from qualipy_core import Image
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.whole_blur import WholeBlur

SHARP = ("astronaut", "camera", "coffee", "rocket", "grass", "gravel", "page", "text", "moon")


def photo(name):
    pixels = getattr(data, name)()
    pixels = np.dstack([pixels] * 3) if pixels.ndim == 2 else pixels
    scale = 512 / max(pixels.shape)
    if scale < 1:
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(pixels)


def probability(pixels):
    return WholeBlur().predict(pixels, return_boolean=False)


def gaussian(pixels, size):
    return cv2.GaussianBlur(pixels, (0, 0), size)


def disc(pixels, size):
    side = 2 * round(2 * size) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)).astype(np.float32)
    return cv2.filter2D(pixels, -1, kernel / kernel.sum())


def box(pixels, size):
    return cv2.blur(pixels, (round(3.5 * size), round(3.5 * size)))


def moved_across(pixels, size):
    return cv2.blur(pixels, (round(6 * size), 1))


def moved_down(pixels, size):
    return cv2.blur(pixels, (1, round(6 * size)))


def moved_askew(pixels, size):
    kernel = np.eye(round(4 * size), dtype=np.float32)
    return cv2.filter2D(pixels, -1, kernel / kernel.sum())


def enlarged(pixels, size):
    height, width = pixels.shape[:2]
    small = (round(width / (2 * size)), round(height / (2 * size)))
    reduced = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(reduced, (width, height), interpolation=cv2.INTER_CUBIC)


BLURS = (gaussian, disc, box, moved_across, moved_down, moved_askew, enlarged)


@pytest.mark.parametrize("name", SHARP)
def test_a_sharp_photo_passes(name):
    assert not WholeBlur().predict(photo(name))


@pytest.mark.parametrize("blur", BLURS)
@pytest.mark.parametrize("name", ["astronaut", "coffee", "rocket", "chelsea"])
def test_any_kind_of_blur_is_found(name, blur):
    assert WholeBlur().predict(blur(photo(name), 3))


@pytest.mark.parametrize("blur", [gaussian, disc, enlarged])
@pytest.mark.parametrize("name", ["astronaut", "coffee", "page", "gravel"])
def test_more_blur_never_lowers_the_prediction(name, blur):
    values = [probability(blur(photo(name), size)) for size in (1, 1.5, 2, 3, 4, 6, 8)]
    assert (np.diff(values) >= -0.002).all()


def test_the_shipped_model_has_no_weight_that_lets_blur_lower_the_prediction():
    model = WholeBlur().model
    assert model.kernel == "linear"
    assert (model.vectors > 0).all()


def test_a_blurred_background_is_no_whole_blur():
    pixels = photo("astronaut")
    mask = np.zeros(pixels.shape[:2], np.float32)
    cv2.ellipse(mask, (220, 200), (120, 190), 0, 0, 360, 1.0, -1)
    mask = gaussian(mask, 2)[..., None]
    mixed = (mask * pixels + (1 - mask) * gaussian(pixels, 6)).astype(np.uint8)
    assert not WholeBlur().predict(mixed)
    assert WholeBlur().predict(gaussian(pixels, 6))


@pytest.mark.parametrize(
    "change",
    [
        lambda p: (p * 0.25).astype(np.uint8),
        lambda p: (p // 3 + 150).astype(np.uint8),
        lambda p: cv2.imdecode(cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], 1),
        lambda p: np.clip(p + np.random.default_rng(0).normal(0, 10, p.shape), 0, 255).astype(
            np.uint8
        ),
    ],
    ids=["dark", "misty", "compressed", "grainy"],
)
@pytest.mark.parametrize("name", ["astronaut", "coffee", "rocket"])
def test_what_spoils_a_photo_otherwise_is_no_blur(name, change):
    assert not WholeBlur().predict(change(photo(name)))


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea"])
@pytest.mark.parametrize("size", [0.5, 3])
def test_a_mirrored_or_turned_photo_is_as_blurred(name, size):
    pixels = gaussian(photo(name), size)
    expected = probability(pixels)
    for same in (pixels[:, ::-1], pixels[::-1], np.rot90(pixels)):
        assert probability(np.ascontiguousarray(same)) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("sigma", [0.001, 0.02])
def test_a_large_photo_and_its_small_copy_agree(sigma):
    small = photo("coffee")
    large = cv2.resize(small, None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)
    large = gaussian(large, sigma * max(large.shape))
    copy = cv2.resize(large, (1024, 683), interpolation=cv2.INTER_AREA)
    assert probability(large) == pytest.approx(probability(copy), abs=0.1)


def test_grey_and_colour_agree():
    grey = data.camera()
    assert probability(grey) == probability(np.dstack([grey] * 3))


@pytest.mark.parametrize("size", [(1, 1), (1, 20000), (7, 5), (300, 200)])
@pytest.mark.parametrize("tone", [0, 255])
def test_an_even_picture_counts_as_blurred(size, tone):
    value = probability(np.full((*size, 3), tone, np.uint8))
    assert 0.5 < value <= 1


def test_noise_is_sharp():
    noise = np.random.default_rng(1).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    assert probability(noise) < 0.1


def test_features_are_finite_and_named():
    filter_ = WholeBlur()
    features = filter_.features(Image.open(photo("coffee")))
    assert features.shape == (len(filter_.feature_names),)
    assert np.isfinite(features).all()
