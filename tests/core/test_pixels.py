"""Bringing pixels to one form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from qualipy_core.pixels import shrink, to_rgb, upright


@given(
    hnp.arrays(
        dtype=st.sampled_from([np.bool_, np.uint8, np.uint16]),
        shape=st.tuples(st.integers(1, 5), st.integers(1, 5))
        | st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4)),
    )
)
def test_every_shape_and_depth_becomes_rgb_of_8_bits(array):
    rgb = to_rgb(array)
    assert rgb.shape == (*array.shape[:2], 3)
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous


def test_grey_has_three_equal_channels():
    rgb = to_rgb(np.array([[0, 128, 255]], np.uint8))
    assert rgb.tolist() == [[[0, 0, 0], [128, 128, 128], [255, 255, 255]]]


def test_16_bits_floats_and_wide_integers_keep_black_and_white():
    for white, dtype in ((65535, np.uint16), (1.0, np.float32), (255, np.int64), (True, np.bool_)):
        assert to_rgb(np.array([[0, white]], dtype))[0].tolist() == [[0] * 3, [255] * 3]


def test_alpha_is_composed_on_white():
    pixels = np.array([[[10, 20, 30, 0], [10, 20, 30, 255], [0, 0, 0, 51]]], np.uint8)
    assert to_rgb(pixels)[0].tolist() == [[255] * 3, [10, 20, 30], [204] * 3]


def test_opencv_order_is_turned_round():
    assert to_rgb(np.array([[[1, 2, 3]]], np.uint8), bgr=True).tolist() == [[[3, 2, 1]]]


def test_not_a_number_is_black_and_warns_of_nothing():
    assert to_rgb(np.array([[np.nan, 0.5]]))[0].tolist() == [[0] * 3, [128] * 3]


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros((2, 2, 5), np.uint8), "shape"),
        (np.zeros(4, np.uint8), "shape"),
        (np.zeros((0, 4), np.uint8), "shape"),
        (np.full((2, 2), 300), "within 0 … 255"),
        (np.full((2, 2), -1), "within 0 … 255"),
        (np.full((2, 2), 1.5), "within 0 … 1"),
        (np.zeros((2, 2), complex), "cannot be of type"),
    ],
)
def test_what_is_no_picture_says_what_would_be(array, match):
    with pytest.raises(ValueError, match=match):
        to_rgb(array)


# Where the pixel that is stored top left ends up, by Exif orientation (CIPA DC-008).
TOP_LEFT_GOES_TO = {
    1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0),
    5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0),
}  # fmt: skip


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_moves_the_corners_as_exif_says(orientation):
    stored = np.zeros((4, 6, 3), np.uint8)
    stored[0, 0] = 200
    stored[0, -1] = 100
    shown = upright(stored, orientation)
    assert shown.shape[:2] == ((6, 4) if orientation >= 5 else (4, 6))
    assert shown[TOP_LEFT_GOES_TO[orientation]][0] == 200
    along = {1: (0, 5), 2: (0, 0), 3: (3, 0), 4: (3, 5), 5: (5, 0), 6: (5, 3), 7: (0, 3), 8: (0, 0)}
    y, x = along[orientation]
    assert shown[y, x][0] == 100


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 200))
def test_shrinking_keeps_to_the_side_asked_for_and_never_enlarges(height, width, side):
    small = shrink(np.zeros((height, width, 3), np.uint8), side)
    assert max(small.shape[:2]) == min(side, max(height, width))
    assert min(small.shape[:2]) >= 1


def test_shrinking_keeps_the_mean():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (700, 900, 3), dtype=np.uint8)
    assert shrink(noise, 100).mean() == pytest.approx(noise.mean(), abs=1.0)
