"""Pattern: repetition that fills the picture, whatever its scale, angle and colours."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from qualipy_core.opencv import cv2
from qualipy_core.testing import FilterContract
from qualipy_filters_builtin.pattern import Pattern

Pixels = NDArray[np.uint8]


def _grid(height: int = 360, width: int = 480, angle: float = 0.0) -> tuple[NDArray, NDArray]:
    y, x = np.mgrid[:height, :width].astype(np.float64)
    c, s = np.cos(angle), np.sin(angle)
    return x * c + y * s, y * c - x * s


def _paint(mask: NDArray, one: tuple[int, ...], other: tuple[int, ...]) -> Pixels:
    return np.where(mask[..., None], one, other).astype(np.uint8)


def _checks(period: float = 40, angle: float = 0.0) -> Pixels:
    u, v = _grid(angle=angle)
    return _paint((u // period + v // period) % 2 == 0, (220, 210, 190), (60, 40, 50))


def _stripes(period: float = 40, angle: float = 0.0) -> Pixels:
    u, _ = _grid(angle=angle)
    return _paint(u % period < period / 2, (30, 80, 160), (230, 220, 210))


def _dots() -> Pixels:
    u, v = _grid()
    return _paint(np.hypot(u % 48 - 24, v % 48 - 24) < 14, (200, 40, 40), (240, 240, 230))


def _bricks() -> Pixels:
    u, v = _grid()
    shifted = (u + (v // 30 % 2) * 30) % 60
    return _paint((shifted < 5) | (v % 30 < 5), (200, 195, 190), (150, 70, 50))


def _noise(grain: float) -> Pixels:
    field = np.random.default_rng(4).normal(0, 1, (360, 480))
    if grain:
        field = cv2.GaussianBlur(field, (0, 0), grain)
    field = 128 + 40 * field / field.std()
    return np.repeat(np.clip(field, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def _degree(picture: Pixels) -> float:
    return Pattern().predict(picture, return_boolean=False)


class TestContract(FilterContract):
    filter_class = Pattern

    def positives(self) -> list[Pixels]:
        return [_checks(), _stripes(), _dots(), _bricks()]

    def negatives(self) -> list[Pixels]:
        return [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]


@pytest.mark.parametrize("angle", [0.0, 0.3, 0.8, 1.2])
@pytest.mark.parametrize("period", [20, 40, 60])
@pytest.mark.parametrize("draw", [_checks, _stripes])
def test_scale_and_angle_do_not_matter(draw: object, period: float, angle: float) -> None:
    assert Pattern().predict(draw(period, angle))


def test_stripes_of_one_luma_and_two_colours_are_a_pattern() -> None:
    u, _ = _grid()
    assert Pattern().predict(_paint(u % 40 < 20, (200, 60, 60), (20, 137, 60)))


def test_a_tiled_photo_is_a_pattern() -> None:
    motif = cv2.resize(data.chelsea(), (60, 60), interpolation=cv2.INTER_AREA)
    assert Pattern().predict(np.tile(motif, (6, 8, 1)))


def test_a_pattern_in_perspective_and_uneven_light_is_still_one() -> None:
    corners = np.array([[0, 0], [480, 0], [480, 360], [0, 360]], np.float32)
    away = np.array([[60, 20], [420, 0], [480, 360], [0, 340]], np.float32)
    turned = cv2.warpPerspective(_checks(), cv2.getPerspectiveTransform(away, corners), (480, 360))
    light = np.linspace(0.6, 1.0, 480)[None, :, None]
    assert Pattern().predict((turned * light).astype(np.uint8))


@pytest.mark.parametrize("grain", [0, 1, 2, 4, 8, 16])
def test_noise_of_any_grain_is_no_pattern(grain: float) -> None:
    assert not Pattern().predict(_noise(grain))


@pytest.mark.parametrize("texture", [data.grass, data.gravel])
def test_natural_textures_are_no_pattern(texture: object) -> None:
    assert not Pattern().predict(texture())


def test_a_pattern_in_a_part_of_a_photo_is_no_pattern() -> None:
    photo = data.astronaut().copy()
    photo[:256, :200] = _checks()[:256, :200]
    assert not Pattern().predict(photo)


def test_the_degree_falls_as_noise_drowns_the_pattern() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1, (360, 480, 1))
    faint = 128 + (_checks().astype(float) - 128) * 0.25
    degrees = [
        _degree(np.clip(faint + level * noise, 0, 255).astype(np.uint8)) for level in (0, 40, 120)
    ]
    assert degrees[0] > degrees[1] > degrees[2]


@pytest.mark.parametrize("picture", [_checks(37, 0.4), _bricks(), data.coffee(), _noise(4)])
def test_a_mirrored_picture_is_judged_nearly_alike(picture: Pixels) -> None:
    for mirrored in (picture[:, ::-1], picture[::-1]):
        assert _degree(np.ascontiguousarray(mirrored)) == pytest.approx(_degree(picture), abs=0.15)


@pytest.mark.parametrize("picture", [_checks(), _stripes(), _dots(), data.astronaut()])
def test_resizing_and_jpeg_leave_the_decision(picture: Pixels) -> None:
    small = cv2.resize(picture, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])
    assert Pattern().predict(encoded.tobytes()) == Pattern().predict(picture)


@pytest.mark.parametrize("level", [0, 127, 255])
def test_a_flat_picture_has_no_pattern(level: int) -> None:
    assert _degree(np.full((200, 300, 3), level, np.uint8)) == 0
