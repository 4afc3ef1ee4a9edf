from __future__ import annotations

import numpy as np
import pytest

from qualipy_core import Image
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.unconventional_size import UnconventionalSize


def blank(width, height):
    return np.zeros((height, width), np.uint8)


def flagged(width, height):
    return UnconventionalSize().predict(blank(width, height))


@pytest.mark.parametrize(
    "size", [(640, 480), (600, 400), (500, 500), (500, 400), (1280, 720), (640, 360), (16, 9)]
)
def test_the_formats_of_cameras_and_screens_are_within(size):
    assert not flagged(*size)
    assert not flagged(*size[::-1])


@pytest.mark.parametrize("size", [(640, 359), (639, 359), (853, 479), (1366, 768), (854, 480)])
def test_a_16_9_photo_is_within_however_its_sides_were_rounded(size):
    assert not flagged(*size)
    assert not flagged(*size[::-1])


def test_every_width_of_a_16_9_photo_is_within():
    for width in range(100, 2000, 7):
        for height in (int(width * 9 / 16), round(width * 9 / 16), -int(-width * 9 // 16)):
            assert not flagged(width, height)


@pytest.mark.parametrize("ratio", [1.85, 1.9, 2.0, 2.35, 2.39, 3.0, 4.0, 12.0])
def test_wider_formats_are_beyond(ratio):
    assert flagged(round(400 * ratio), 400)
    assert flagged(400, round(400 * ratio))


def test_thumbnails_of_wide_formats_stay_beyond():
    assert flagged(20, 10)
    assert flagged(2, 1)


def test_the_prediction_is_the_ratio_and_turning_changes_nothing():
    predictions = [
        UnconventionalSize().predict(blank(*size), return_boolean=False)
        for size in ((300, 100), (100, 300), (90, 90))
    ]
    assert predictions == [3.0, 3.0, 1.0]


def test_a_longer_picture_never_has_a_lower_prediction():
    ratios = [
        UnconventionalSize().predict(blank(width, 90), return_boolean=False)
        for width in range(90, 400)
    ]
    assert ratios == sorted(ratios)


@pytest.mark.parametrize("size", [(1, 1), (1, 20000), (20000, 1)])
def test_degenerate_sizes_have_a_ratio(size):
    assert UnconventionalSize().predict(blank(*size), return_boolean=False) == max(size)


def test_no_pixel_is_decoded(monkeypatch, tmp_path):
    path = tmp_path / "wide.png"
    cv2.imwrite(str(path), blank(500, 100))

    def refuse(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr(Image, "pixels", refuse)
    monkeypatch.setattr(cv2, "imdecode", refuse)
    assert UnconventionalSize().predict(path)


def test_a_region_has_a_shape_of_its_own():
    assert UnconventionalSize().predict(blank(400, 400), ROI=(0, 0, 400, 100))
    assert not UnconventionalSize().predict(blank(400, 100), ROI=(0, 0, 100, 100))


def test_another_threshold_is_another_limit():
    assert UnconventionalSize(1.4).predict(blank(300, 200))
    assert not UnconventionalSize(2.5).predict(blank(235, 100))
