"""Regions of interest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualipy_core import ROI
from qualipy_core.errors import ROITypeError, ROIValueError


@pytest.mark.parametrize(
    "value", [(1, 2, 3, 4), [1, 2, 3, 4], np.array([1, 2, 3, 4]), ROI(1, 2, 3, 4)]
)
def test_any_sequence_of_four_integers_is_a_roi(value):
    assert ROI.parse(value) == (1, 2, 3, 4)


@pytest.mark.parametrize(
    "value",
    [
        5,
        "1234",
        b"1234",
        None,
        (1, 2, 3),
        (1, 2, 3, 4, 5),
        (1.0, 2, 3, 4),
        (1, 2, 3, "4"),
        (True, 0, 3, 4),
        {},
    ],
)
def test_what_is_no_sequence_of_four_integers_is_a_type_error(value):
    with pytest.raises(ROITypeError, match=r"four integers .* not"):
        ROI.parse(value)


@pytest.mark.parametrize("value", [(0, 0, 0, 5), (0, 0, 5, -1), (-1, 0, 5, 5), (0, -1, 5, 5)])
def test_an_empty_roi_or_one_that_begins_outside_is_a_value_error(value):
    with pytest.raises(ROIValueError):
        ROI.parse(value)


def test_the_message_names_the_image():
    with pytest.raises(ROIValueError, match=r"a\.jpg.*empty") as caught:
        ROI.parse((0, 0, 0, 0), "a.jpg")
    assert caught.value.image == "a.jpg"


def test_a_roi_may_touch_the_border_but_not_cross_it():
    roi = ROI(10, 20, 30, 40)
    assert roi.inside((40, 60)) is roi
    for size in ((39, 60), (40, 59)):
        with pytest.raises(ROIValueError, match="reaches beyond"):
            roi.inside(size)


coordinates = st.integers(0, 50)
lengths = st.integers(1, 50)
rois = st.builds(ROI, coordinates, coordinates, lengths, lengths)


@given(outer=rois, data=st.data())
def test_a_roi_of_a_roi_cuts_what_cutting_twice_cuts(outer, data):
    x = data.draw(st.integers(0, outer.width - 1))
    y = data.draw(st.integers(0, outer.height - 1))
    inner = ROI(
        x,
        y,
        data.draw(st.integers(1, outer.width - x)),
        data.draw(st.integers(1, outer.height - y)),
    )
    plane = np.arange(100 * 100).reshape(100, 100)
    twice = _cut(_cut(plane, outer), inner)
    assert np.array_equal(_cut(plane, inner.within(outer)), twice)


def _cut(plane, roi):
    return plane[roi.y : roi.y + roi.height, roi.x : roi.x + roi.width]
