"""Cross-processing: shadows and highlights of different hues, and what only resembles it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from qualipy_core.opencv import cv2
from qualipy_filters_builtin.cross_processed import CrossProcessed

Pixels = NDArray[np.uint8]
PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")


def photo(name: str) -> Pixels:
    return np.asarray(getattr(data, name)())


def prediction(pixels: Pixels | bytes) -> float:
    return float(CrossProcessed().predict(pixels, return_boolean=False))


def as_pixels(values: NDArray[np.floating]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def lifted_blue(pixels: Pixels, strength: float) -> Pixels:
    """A flat blue channel and a steep red one: blue shadows, yellow highlights."""
    x = pixels / 255.0
    red = x[..., 0] + strength * 0.6 * np.sin(2 * np.pi * (x[..., 0] - 0.5)) / (2 * np.pi)
    blue = strength * 0.25 + x[..., 2] * (1 - strength * 0.5)
    return as_pixels(255 * np.stack([red, x[..., 1], blue], axis=-1))


def crossed_tints(pixels: Pixels) -> Pixels:
    """Green is added to the shadows and magenta to the highlights."""
    luma = (pixels @ np.array([0.299, 0.587, 0.114]))[..., None] / 255
    return as_pixels(pixels + 60 * (1 - 2 * luma) * np.array([-0.5, 0.6, -0.5]))


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("process", [lambda p: lifted_blue(p, 1.0), crossed_tints])
def test_crossed_curves_are_flagged(name: str, process: Callable[[Pixels], Pixels]) -> None:
    assert CrossProcessed().predict(process(photo(name)))


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
def test_an_ordinary_photo_passes(name: str) -> None:
    assert not CrossProcessed().predict(photo(name))


@pytest.mark.parametrize("name", PHOTOS)
def test_more_crossing_predicts_more(name: str) -> None:
    steps = [prediction(lifted_blue(photo(name), strength)) for strength in (0, 0.5, 1.0)]
    assert steps[0] < steps[1] < steps[2]


def warm(pixels: Pixels) -> Pixels:
    return as_pixels(pixels * np.array([1.12, 1.0, 0.85]))


def sepia(pixels: Pixels) -> Pixels:
    luma = pixels @ np.array([0.299, 0.587, 0.114])
    return as_pixels(luma[..., None] * np.array([1.0, 0.88, 0.7]))


def contrasty(pixels: Pixels) -> Pixels:
    return as_pixels((pixels - 128.0) * 1.3 + 128)


def grey(pixels: Pixels) -> Pixels:
    return np.repeat(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


@pytest.mark.parametrize("trap", [warm, sepia, contrasty, grey])
@pytest.mark.parametrize("name", ["chelsea", "coffee"])
def test_another_balance_contrast_or_monochrome_passes(
    name: str, trap: Callable[[Pixels], Pixels]
) -> None:
    assert not CrossProcessed().predict(trap(photo(name)))


def test_a_grey_picture_is_judged_like_its_rgb_copy() -> None:
    luma = data.camera()
    assert prediction(luma) == prediction(np.repeat(luma[..., None], 3, axis=2))


@pytest.mark.parametrize("name", PHOTOS)
def test_a_mirror_image_is_judged_alike(name: str) -> None:
    pixels = lifted_blue(photo(name), 0.5)
    assert prediction(pixels[:, ::-1].copy()) == pytest.approx(prediction(pixels), abs=0.05)


@pytest.mark.parametrize("name", PHOTOS)
def test_resizing_and_jpeg_hardly_matter(name: str) -> None:
    pixels = lifted_blue(photo(name), 1.0)
    small = cv2.resize(pixels, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    encoded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    assert prediction(small) == pytest.approx(prediction(pixels), abs=0.1)
    assert prediction(encoded.tobytes()) == pytest.approx(prediction(pixels), abs=0.1)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_picture_passes(level: int) -> None:
    assert not CrossProcessed().predict(np.full((60, 80, 3), level, np.uint8))
