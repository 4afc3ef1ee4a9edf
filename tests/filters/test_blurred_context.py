from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from qualipy_core import Image
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.blurred_context import BlurredContext

TEXTURES = ("gravel", "grass", "brick")


def probability(pixels):
    return BlurredContext().predict(pixels, return_boolean=False)


def textured_scene(name):
    texture = cv2.resize(getattr(data, name)(), (480, 480), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(np.dstack([texture] * 3)[60:420])


def disc(pixels, radius):
    side = 2 * radius + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)).astype(np.float32)
    return cv2.filter2D(pixels, -1, kernel / kernel.sum())


def gaussian(pixels, radius):
    return cv2.GaussianBlur(pixels, (0, 0), radius / 2)


def panned(pixels, radius):
    return cv2.blur(pixels, (3 * radius, 1))


def with_background(pixels, background):
    height, width = pixels.shape[:2]
    mask = np.zeros((height, width), np.float32)
    cv2.ellipse(mask, (width // 2, height * 6 // 10), (width // 6, height // 3), 0, 0, 360, 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), 1.5)[..., None]
    return (mask * pixels + (1 - mask) * background).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "blur"),
    # the joints between bricks run along a panned camera's way and stay sharp
    [(name, blur) for name in TEXTURES for blur in (disc, gaussian, panned)][:-1],
)
def test_a_sharp_subject_before_a_blurred_background_is_found(name, blur):
    scene = textured_scene(name)
    assert BlurredContext().predict(with_background(scene, blur(scene, 10)))


@pytest.mark.parametrize("name", TEXTURES)
def test_a_scene_in_focus_throughout_passes(name):
    assert not BlurredContext().predict(textured_scene(name))


@pytest.mark.parametrize("blur", [disc, gaussian, panned])
@pytest.mark.parametrize("name", TEXTURES)
def test_a_photo_that_is_blurred_all_over_passes(name, blur):
    assert not BlurredContext().predict(blur(textured_scene(name), 10))


@pytest.mark.parametrize("name", TEXTURES)
def test_blurring_the_background_raises_the_prediction(name):
    scene = textured_scene(name)
    slight, strong = (probability(with_background(scene, disc(scene, r))) for r in (1, 8))
    assert probability(scene) < strong
    assert slight < strong


@pytest.mark.parametrize("name", ["astronaut", "coffee", "rocket"])
def test_more_blur_of_the_background_never_lowers_the_prediction(name):
    photo = getattr(data, name)()
    # up to where a background is visibly blurred, an edge or two decide
    values = [probability(photo)]
    values += [probability(with_background(photo, gaussian(photo, r))) for r in (4, 6, 8, 12, 16)]
    assert (np.diff(values) >= -0.02).all()


@pytest.mark.parametrize("name", TEXTURES)
def test_blurring_the_subject_too_lowers_the_prediction(name):
    scene = with_background(textured_scene(name), disc(textured_scene(name), 10))
    assert probability(disc(scene, 6)) < 0.5 < probability(scene)


@pytest.mark.parametrize("name", TEXTURES)
def test_a_mirrored_photo_is_judged_alike(name):
    scene = with_background(textured_scene(name), disc(textured_scene(name), 10))
    mirrored = probability(np.ascontiguousarray(scene[:, ::-1]))
    assert mirrored == pytest.approx(probability(scene), abs=0.05)


@pytest.mark.parametrize("quality", [40, 90])
@pytest.mark.parametrize("name", TEXTURES)
def test_compression_changes_no_decision(name, quality):
    sharp = textured_scene(name)
    for scene in (sharp, with_background(sharp, disc(sharp, 10))):
        code = cv2.imencode(".jpg", scene, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        assert BlurredContext().predict(code.tobytes()) == BlurredContext().predict(scene)


def test_a_large_photo_and_its_small_copy_agree():
    scene = with_background(textured_scene("gravel"), disc(textured_scene("gravel"), 10))
    large = cv2.resize(scene, None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)
    copy = cv2.resize(large, (1024, 768), interpolation=cv2.INTER_AREA)
    assert probability(large) == pytest.approx(probability(copy), abs=0.1)


def test_grey_and_colour_agree():
    grey = data.camera()
    assert probability(grey) == probability(np.dstack([grey] * 3))


@pytest.mark.parametrize("size", [(1, 1), (1, 20000), (7, 5), (300, 200)])
@pytest.mark.parametrize("tone", [0, 255])
def test_an_even_picture_has_no_blurred_background(size, tone):
    assert 0 <= probability(np.full((*size, 3), tone, np.uint8)) < 0.5


def test_noise_has_no_blurred_background():
    noise = np.random.default_rng(1).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    assert probability(noise) < 0.5


def test_features_are_finite_and_named():
    filter_ = BlurredContext()
    features = filter_.features(Image.open(textured_scene("grass")))
    assert features.shape == (len(filter_.feature_names),)
    assert np.isfinite(features).all()
