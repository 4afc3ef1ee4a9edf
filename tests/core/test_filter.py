"""The Filter interface."""

from __future__ import annotations

import copy
import dataclasses
import json
import operator
import pickle
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_filters import (
    Brightness,
    Darkness,
    Exits,
    Explodes,
    Nan,
    Recurses,
    Text,
    Undecided,
    Vandal,
)

from qualipy_core import Filter, Image, QualipyError
from qualipy_core.errors import (
    FilterError,
    ImageReadError,
    ParameterTypeError,
    ParameterValueError,
    ROITypeError,
    ROIValueError,
    UnknownFilterError,
)
from qualipy_core.parameters import parameters_of
from qualipy_core.testing import registered

WHITE = np.full((20, 30, 3), 255, np.uint8)
GREY = np.full((20, 30, 3), 102, np.uint8)  # brightness 0.4


def test_predict_returns_the_decision_or_the_prediction():
    assert Brightness().predict(WHITE) is True
    assert Brightness().predict(GREY) is False
    assert Brightness().predict(GREY, return_boolean=False) == pytest.approx(0.4)
    assert Brightness().predict(GREY, False) == pytest.approx(0.4)


def test_predict_takes_a_path_bytes_an_array_or_an_image(photo):
    with open(photo, "rb") as file:
        content = file.read()
    answers = {Brightness().predict(s, False) for s in (photo, content, Image(photo))}
    assert len(answers) == 1


def test_predict_judges_a_region_alone():
    half = np.concatenate([WHITE, np.zeros_like(WHITE)], axis=1)
    assert Brightness().predict(half, ROI=(0, 0, 30, 20))
    assert not Brightness().predict(half, ROI=[30, 0, 30, 20])


def test_errors_of_image_and_roi_reach_the_caller():
    with pytest.raises(ImageReadError):
        Brightness().predict("missing.jpg")
    with pytest.raises(TypeError):
        Brightness().predict(0)
    with pytest.raises(ROITypeError):
        Brightness().predict(WHITE, ROI="all")
    with pytest.raises(ROIValueError):
        Brightness().predict(WHITE, ROI=(0, 0, 31, 20))


def test_the_threshold_comes_first_and_inversion_second():
    assert Brightness(0.9) == Brightness(threshold=0.9)
    assert Brightness(0.9, True, 2.0) == Brightness(threshold=0.9, invert_threshold=True, gain=2.0)
    assert Darkness().threshold == 0.25


def test_an_inverted_threshold_exchanges_the_sides():
    assert not Brightness(1.0).predict(WHITE)  # 1 > 1
    assert Brightness(1.01, invert_threshold=True).predict(WHITE)  # 1.01 > 1
    assert not Brightness(1.0, invert_threshold=True).predict(WHITE)
    assert Darkness().predict(GREY * 0)
    assert not Darkness(invert_threshold=True).predict(GREY * 0)


@given(
    prediction=st.floats(-2, 2),
    threshold=st.floats(-2, 2),
    comparison=st.sampled_from(["gt", "ge", "lt", "le", "eq", "ne"]),
)
def test_a_comparison_with_a_number_decides_by_that_comparison(prediction, threshold, comparison):
    compare = getattr(operator, comparison)
    made = compare(Brightness(), threshold)
    assert isinstance(made, Brightness)
    assert made.decide(prediction) == compare(prediction, threshold)
    assert made.to_dict()["threshold"] == threshold


def test_a_comparison_leaves_the_filter_as_it_was_and_keeps_the_other_parameters():
    before = Brightness(gain=3.0, invert_threshold=True)
    after = before <= 0.1
    assert (after.gain, after.threshold, after.comparison) == (3.0, 0.1, "<=")
    assert not after.invert_threshold
    assert before == Brightness(gain=3.0, invert_threshold=True)
    assert (before <= 0.1) == after


def test_comparing_with_a_filter_is_equality_and_with_anything_else_is_false():
    assert Brightness() == Brightness(0.5)
    assert Brightness() != Darkness(0.5)
    assert Brightness() != (Brightness() > 0.6)
    assert (Brightness() == "brightness") is False
    assert (Brightness() != None) is True  # noqa: E711
    assert len({Brightness(), Brightness(0.5), Brightness(0.6)}) == 2


def test_a_filter_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Brightness().threshold = 1.0


def test_a_filter_prints_as_the_call_that_makes_it():
    assert repr(Brightness()) == "Brightness(threshold=0.5)"
    for item in (Brightness(0.7, gain=2.0), Darkness() == 1, Darkness(invert_threshold=True)):
        assert eval(repr(item)) == item


def test_a_filter_can_be_copied_and_pickled():
    item = Brightness(gain=2.0) >= 0.25
    assert copy.copy(item) == copy.deepcopy(item) == pickle.loads(pickle.dumps(item)) == item


names = st.sampled_from([Brightness, Darkness])
numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(names, numbers, st.booleans(), st.sampled_from([">", ">=", "<", "<=", "==", "!="]))
def test_a_filter_survives_the_way_through_json(cls, threshold, inverted, comparison):
    item = cls(threshold, inverted, comparison=comparison)
    with registered(cls):
        assert Filter.from_dict(json.loads(json.dumps(item.to_dict()))) == item


def test_equal_filters_have_equal_hashes_whatever_type_the_number_had():
    assert Brightness(1) == Brightness(1.0) == Brightness(np.float32(1)) == Brightness(np.int64(1))
    assert hash(Brightness(1)) == hash(Brightness(np.float32(1)))
    assert isinstance(Brightness(np.float32(1)).threshold, float)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Brightness("0.5"),
        lambda: Brightness(None),
        lambda: Brightness(invert_threshold=1),
        lambda: Brightness(gain=[1]),
        lambda: Brightness() > "x",
        lambda: Brightness(np.array([0.5])),
    ],
)
def test_a_parameter_of_the_wrong_type_is_a_type_error_that_names_it(make):
    with pytest.raises(ParameterTypeError, match=r"brightness: \w+ should be"):
        make()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_threshold_that_is_not_finite_is_refused(value):
    with pytest.raises(ParameterValueError, match="finite"):
        Brightness(value)


def test_a_comparison_that_there_is_not_is_refused():
    with pytest.raises(ParameterValueError, match="comparison"):
        Brightness(comparison="=~")


def test_an_unknown_parameter_in_a_description_is_named_and_corrected():
    with registered(Brightness), pytest.raises(ParameterValueError, match="Did you mean 'gain'"):
        Filter.from_dict({"name": "brightness", "gian": 2})


@pytest.mark.parametrize("description", [{}, {"name": 5}, {"threshold": 1}])
def test_a_description_without_a_name_is_refused(description):
    with pytest.raises(ParameterValueError, match="name"):
        Filter.from_dict(description)


def test_a_description_of_an_unknown_filter_says_what_there_is():
    with registered(Brightness), pytest.raises(UnknownFilterError, match="Did you mean 'brightn"):
        Filter.from_dict({"name": "brightnes"})


@pytest.mark.parametrize("cls", [Explodes, Exits, Nan, Text, Recurses, Undecided, Vandal])
def test_a_filter_that_misbehaves_is_named_in_the_error(cls):
    with pytest.raises(FilterError, match=f"Filter {cls.name}") as caught:
        cls().predict(GREY)
    assert caught.value.filter == cls.name


def test_the_cause_of_a_failure_is_kept():
    with pytest.raises(FilterError, match="ZeroDivisionError: boom") as caught:
        Explodes().predict(GREY)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert caught.value.image == "<array 20×30×3>"


def test_a_measurement_is_shared_by_filters_that_differ_only_in_the_decision():
    calls = []

    class Counting(Filter):
        """Counts."""

        name = "counting"

        def measure(self, image: Image) -> float:
            calls.append(self)
            return 0.5

    image = Image(GREY)
    for item in (Counting(), Counting() > 0.9, Counting() == 1, Counting(invert_threshold=True)):
        item.predict(image)
    assert len(calls) == 1


def test_numpy_numbers_and_booleans_become_a_float():
    for value in (np.float32(0.5), np.int64(1), True, np.bool_(True), 1):

        class Returns(Filter):
            """Returns."""

            name = "returns"
            value = None

            def measure(self, image: Image) -> float:
                return type(self).value

        Returns.value = value
        assert type(Returns().predict(GREY, False)) is float


def test_a_filter_without_measure_cannot_be_made():
    class Lazy(Filter):
        """Does nothing."""

        name = "lazy"

    with pytest.raises(TypeError, match="measure"):
        Lazy()


def test_a_name_with_an_annotation_is_explained():
    with pytest.raises(TypeError, match=r"write `name = \.\.\.` without an annotation"):

        class Wrong(Filter):
            """Wrong."""

            name: str = "wrong"


def test_a_filter_without_a_name_cannot_be_made():
    class Nameless(Filter):
        """Nameless."""

        def measure(self, image: Image) -> float:
            return 0.0

    with pytest.raises(TypeError, match="Nameless needs a name"):
        Nameless()


@pytest.mark.parametrize("method", ["__init__", "predict", "prediction", "decision"])
def test_what_belongs_to_the_framework_cannot_be_overridden(method):
    with pytest.raises(TypeError, match=f"Wrong may not define {method}"):
        type("Wrong", (Filter,), {"name": "wrong", method: lambda self: None})


def test_a_parameter_without_a_default_is_explained():
    with pytest.raises(TypeError, match=r"Wrong\.level is a parameter and needs a default"):

        class Wrong(Filter):
            """Wrong."""

            name = "wrong"
            level: float


def test_a_parameter_may_have_a_new_default_and_a_richer_type():
    class Choosy(Brightness):
        """Choosy.

        Parameters
        ----------
        mode : str
            How.
        """

        name = "choosy"
        gain = 2.0
        threshold = 0.75
        mode: Literal["fast", "slow"] = "fast"

    assert Choosy() == Choosy(0.75, False, 2.0, "fast")
    with pytest.raises(ParameterValueError, match="'fast' or 'slow'"):
        Choosy(mode="other")
    described = {p.name: p for p in parameters_of(Choosy)}
    assert list(described) == ["threshold", "invert_threshold", "gain", "mode", "comparison"]
    assert described["gain"].default == 2.0
    assert described["gain"].meaning == "What the mean is multiplied with."
    assert described["mode"].type == "'fast' | 'slow'"
    assert described["threshold"].meaning


def test_every_error_of_a_filter_is_in_the_tree():
    for cls in (Explodes, Nan):
        with pytest.raises(QualipyError):
            cls().predict(GREY)
