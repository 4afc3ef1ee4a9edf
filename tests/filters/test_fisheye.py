"""Fisheye: lines bent around the centre, or a round image in plain corners."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from qualipy_core import Image
from qualipy_core.opencv import cv2
from qualipy_core.testing import FilterContract
from qualipy_filters_builtin.fisheye import Fisheye

Pixels = NDArray[np.uint8]


def _house() -> Pixels:
    """Draw a wall with windows before a sky: straight lines of many lengths."""
    rng = np.random.default_rng(3)
    picture = np.full((480, 640, 3), (150, 180, 215), np.uint8)
    cv2.rectangle(picture, (40, 60), (610, 460), (170, 120, 95), -1)
    for row in range(80, 440, 75):
        for column in range(60, 590, 70):
            tone = tuple(int(c) for c in rng.integers(30, 90, 3))
            cv2.rectangle(picture, (column, row), (column + 42, row + 50), tone, -1)
    for row in range(66, 460, 75):
        cv2.line(picture, (40, row), (610, row), (225, 215, 205), 3)
    return np.clip(picture + rng.normal(0, 3, picture.shape), 0, 255).astype(np.uint8)


def _barrel(photo: Pixels, bend: float) -> Pixels:
    """Bend by the division model with λ = -bend, in units of half the diagonal."""
    height, width = photo.shape[:2]
    half = np.hypot(height, width) / 2
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x - (width - 1) / 2, y - (height - 1) / 2
    gain = (1 - bend) / (1 - bend * (x**2 + y**2) / half**2)
    return cv2.remap(
        photo,
        (x * gain + (width - 1) / 2).astype(np.float32),
        (y * gain + (height - 1) / 2).astype(np.float32),
        cv2.INTER_LINEAR,
    )


def _disc(photo: Pixels, surround: int) -> Pixels:
    height, width = photo.shape[:2]
    y, x = np.mgrid[:height, :width]
    outside = np.hypot(x - width / 2, y - height / 2) > 0.48 * min(height, width)
    disc = _barrel(photo, 0.7)
    disc[outside] = surround
    return disc


def _vignette(photo: Pixels) -> Pixels:
    height, width = photo.shape[:2]
    y, x = np.mgrid[:height, :width]
    radius = np.hypot(2 * x / width - 1, 2 * y / height - 1)[..., None] / np.sqrt(2)
    return (photo * (1 - 0.8 * radius**4)).astype(np.uint8)


def _probability(picture: Pixels) -> float:
    return Fisheye().predict(picture, return_boolean=False)


class TestContract(FilterContract):
    filter_class = Fisheye

    def positives(self) -> list[Pixels]:
        return [_barrel(_house(), 0.5), _barrel(_house(), 0.65), _disc(_house(), 0)]

    def negatives(self) -> list[Pixels]:
        return [_house(), data.astronaut(), data.chelsea(), data.rocket(), _vignette(_house())]


def test_the_probability_rises_with_the_bend() -> None:
    probabilities = [_probability(_barrel(_house(), bend)) for bend in (0.0, 0.2, 0.5)]
    assert probabilities == sorted(probabilities)
    assert probabilities[0] < 0.3 < 0.7 < probabilities[-1]


@pytest.mark.parametrize("bend", [0.03, 0.06])
def test_a_lens_of_mild_distortion_is_no_fisheye(bend: float) -> None:
    assert not Fisheye().predict(_barrel(_house(), bend))


def test_pincushion_distortion_is_no_fisheye() -> None:
    assert not Fisheye().predict(_barrel(_house(), -0.3))


@pytest.mark.parametrize("surround", [0, 120, 255])
def test_the_surround_of_a_circular_fisheye_may_have_any_colour(surround: int) -> None:
    assert Fisheye().predict(_disc(_house(), surround))


def test_an_off_centre_crop_is_still_a_fisheye() -> None:
    assert Fisheye().predict(np.ascontiguousarray(_barrel(_house(), 0.65)[:430, 90:]))


@pytest.mark.parametrize("turn", [0, 1])
def test_a_mirrored_picture_is_judged_nearly_alike(turn: int) -> None:
    for picture in (_barrel(_house(), 0.5), _house()):
        mirrored = np.ascontiguousarray(np.flip(picture, turn))
        assert _probability(mirrored) == pytest.approx(_probability(picture), abs=0.15)


@pytest.mark.parametrize("bend", [0.0, 0.55])
def test_resizing_and_jpeg_leave_the_decision(bend: float) -> None:
    picture = _barrel(_house(), bend)
    small = cv2.resize(picture, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 70])
    assert Fisheye().predict(encoded.tobytes()) == (bend > 0)


@pytest.mark.parametrize("level", [0, 127, 255])
def test_a_flat_picture_is_no_fisheye(level: int) -> None:
    assert not Fisheye().predict(np.full((300, 400, 3), level, np.uint8))


def test_noise_is_no_fisheye() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    assert not Fisheye().predict(noise)


def test_every_feature_is_finite_and_named() -> None:
    features = Fisheye().features(Image(_house()))
    assert features.shape == (len(Fisheye.feature_names),)
    assert np.isfinite(features).all()
