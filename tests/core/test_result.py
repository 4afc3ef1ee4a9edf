"""Results, and their way through JSON."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualipy_core import ROI, Result
from qualipy_core.errors import (
    AmbiguousFilterError,
    FilterError,
    ImageReadError,
    ImageTimeoutError,
    QualipyError,
    ResultError,
    ROIValueError,
    WorkerDiedError,
)

names = st.text(max_size=8)
image_errors = st.builds(
    lambda cls, message, image: cls(message, image=image),
    st.sampled_from([ImageReadError, ImageTimeoutError, ROIValueError, WorkerDiedError]),
    st.text(),
    st.none() | st.text(),
)
failures = st.builds(
    FilterError, st.text(), filter=names, version=st.none() | names, image=names
) | st.builds(
    AmbiguousFilterError,
    st.text(),
    name=names,
    installed=st.lists(names).map(tuple),
    distributions=st.none() | st.lists(names).map(tuple),
)
numbers = st.floats(allow_nan=False, allow_infinity=False)
sides = st.integers(1, 10**9)


@st.composite
def results(draw):
    measured = draw(st.dictionaries(names, st.tuples(numbers, st.booleans())))
    return Result(
        image=draw(st.text()),
        predictions={name: number for name, (number, _) in measured.items()},
        decisions={name: positive for name, (_, positive) in measured.items()},
        failures=draw(st.dictionaries(names, failures, max_size=3)),
        error=draw(st.none() | image_errors),
        ROI=draw(st.none() | st.builds(ROI, st.integers(0, 9), st.integers(0, 9), sides, sides)),
        seconds=draw(st.integers(0, 10**12)) / 10**6,
    )


@given(results())
def test_a_result_comes_back_from_json_as_it_was(result):
    back = Result.from_dict(json.loads(json.dumps(result.to_dict())))
    assert back.image == result.image
    assert list(back.predictions.items()) == list(result.predictions.items())
    for name, number in result.predictions.items():
        assert math.copysign(1, back.predictions[name]) == math.copysign(1, number)
    assert list(back.decisions.items()) == list(result.decisions.items())
    assert back.flagged == result.flagged
    assert (back.failed, back.suitable) == (result.failed, result.suitable)
    assert back.ROI == result.ROI
    assert type(back.ROI) is type(result.ROI)
    assert back.seconds == pytest.approx(result.seconds, abs=1e-6)
    assert list(back.failures) == list(result.failures)
    for name, failure in result.failures.items():
        assert_same(back.failures[name], failure)
    if result.error is None:
        assert back.error is None
    else:
        assert_same(back.error, result.error)
    assert back.to_dict() == result.to_dict()


def assert_same(error, other):
    assert type(error) is type(other)
    assert str(error) == str(other)
    assert vars(error) == vars(other)


PLAIN = Result("a.jpg", {"hdr": 0.5}, {"hdr": True}, seconds=1.5).to_dict()


def test_what_a_later_version_has_more_is_passed_over():
    assert Result.from_dict(PLAIN | {"pages": 3}).to_dict() == PLAIN


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("image", None),
        ("image", 5),
        ("predictions", [1]),
        ("predictions", {"hdr": "0.5"}),
        ("predictions", {"hdr": True}),
        ("predictions", {"hdr": 10**400}),
        ("flagged", "hdr"),
        ("flagged", ["exposure"]),
        ("flagged", [["hdr"]]),
        ("seconds", "long"),
        ("failures", []),
        ("ROI", [1, 2, 3]),
        ("ROI", [0, 0, 0, 0]),
        ("ROI", "abcd"),
    ],
)
def test_what_is_no_result_is_a_value_error_that_says_where(place, value):
    with pytest.raises(ValueError, match=place) as caught:
        Result.from_dict(PLAIN | {place: value})
    assert isinstance(caught.value, ResultError)
    assert caught.value.place.startswith(place)


@pytest.mark.parametrize("plain", [None, 5, "a.jpg", [PLAIN], b"{}", {}])
def test_what_is_nothing_like_a_result_is_a_value_error(plain):
    with pytest.raises(ResultError):
        Result.from_dict(plain)


@pytest.mark.parametrize("part", ["image", "predictions", "flagged", "seconds"])
def test_a_part_that_is_missing_is_a_value_error(part):
    with pytest.raises(ResultError, match=part):
        Result.from_dict({key: value for key, value in PLAIN.items() if key != part})


def test_an_error_that_cannot_be_read_is_an_error_still():
    result = Result.from_dict(PLAIN | {"error": 5, "failures": {"hdr": []}})
    assert result.failed
    assert type(result.error) is type(result.failures["hdr"]) is QualipyError
