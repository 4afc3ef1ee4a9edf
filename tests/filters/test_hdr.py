"""HDR: tone-mapping that shows, and what only looks strong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from qualipy_core.opencv import cv2
from qualipy_filters_builtin.hdr import HDR

Pixels = NDArray[np.uint8]
PHOTOS = ("astronaut", "chelsea", "coffee")


def photo(name: str) -> Pixels:
    return np.asarray(getattr(data, name)())


def prediction(pixels: Pixels | bytes) -> float:
    return float(HDR().predict(pixels, return_boolean=False))


def as_pixels(values: NDArray[np.floating]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def tone_mapped(pixels: Pixels, strength: float) -> Pixels:
    """Flatten what is larger than a fiftieth of the picture, and lift what is smaller."""
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    base = cv2.GaussianBlur(luma, (0, 0), max(pixels.shape) / 50)
    mapped = 128 + (1 - 0.5 * strength) * (base - 128) + (1 + 2 * strength) * (luma - base)
    return as_pixels(pixels * (np.clip(mapped, 0, 255) / np.maximum(luma, 4))[..., None])


@pytest.mark.parametrize("name", PHOTOS)
def test_strong_tone_mapping_is_flagged(name: str) -> None:
    assert HDR().predict(tone_mapped(photo(name), 1.0))


CLIPPED = pytest.mark.xfail(reason="harsh light on fur, made harsher, is taken for tone-mapping")


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
def test_an_ordinary_photo_passes(name: str) -> None:
    assert not HDR().predict(photo(name))


@pytest.mark.parametrize("name", PHOTOS)
def test_more_tone_mapping_predicts_more(name: str) -> None:
    steps = [prediction(tone_mapped(photo(name), strength)) for strength in (0, 0.5, 1.0)]
    assert steps[0] < steps[1] < steps[2]


def dark(pixels: Pixels) -> Pixels:
    return as_pixels(255 * (pixels / 255.0) ** 1.5)


def bright(pixels: Pixels) -> Pixels:
    return as_pixels(255 * (pixels / 255.0) ** 0.7)


def colourful(pixels: Pixels) -> Pixels:
    grey = pixels.mean(axis=2, keepdims=True)
    return as_pixels(grey + 1.5 * (pixels - grey))


def contrasty(pixels: Pixels) -> Pixels:
    return as_pixels((pixels - 128.0) * 1.15 + 128)


def sharpened(pixels: Pixels) -> Pixels:
    values = pixels.astype(np.float32)
    return as_pixels(values + 0.4 * (values - cv2.GaussianBlur(values, (0, 0), 1)))


TRAPS = [
    pytest.param(name, trap, marks=[CLIPPED] if (name, trap) == ("chelsea", contrasty) else [])
    for name in ("chelsea", "coffee")
    for trap in (dark, bright, colourful, contrasty, sharpened)
]


@pytest.mark.parametrize(("name", "trap"), TRAPS)
def test_gamma_colours_contrast_and_mild_sharpening_pass(
    name: str, trap: Callable[[Pixels], Pixels]
) -> None:
    assert not HDR().predict(trap(photo(name)))


def test_a_grey_picture_is_judged_like_its_rgb_copy() -> None:
    luma = data.camera()
    assert prediction(luma) == prediction(np.repeat(luma[..., None], 3, axis=2))


@pytest.mark.parametrize("name", PHOTOS)
def test_a_mirror_image_is_judged_alike(name: str) -> None:
    pixels = tone_mapped(photo(name), 1.0)
    assert prediction(pixels[:, ::-1].copy()) == pytest.approx(prediction(pixels), abs=0.1)


@pytest.mark.parametrize("name", PHOTOS)
def test_jpeg_hardly_matters(name: str) -> None:
    for pixels in (photo(name), tone_mapped(photo(name), 1.0)):
        encoded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
        assert prediction(encoded.tobytes()) == pytest.approx(prediction(pixels), abs=0.2)


@pytest.mark.parametrize("name", PHOTOS)
def test_a_reduced_copy_gets_the_same_decision(name: str) -> None:
    for pixels in (photo(name), tone_mapped(photo(name), 1.0)):
        small = cv2.resize(pixels, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
        assert HDR().predict(small) == HDR().predict(pixels)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_picture_passes(level: int) -> None:
    assert not HDR().predict(np.full((60, 80, 3), level, np.uint8))
