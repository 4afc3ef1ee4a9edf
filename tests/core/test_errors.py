"""The error tree."""

from __future__ import annotations

import inspect
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualipy_core import errors
from qualipy_core.errors import FilterError, ImageReadError, QualipyError, UnknownFilterError

EVERY_ERROR = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, Exception) and cls.__module__ == errors.__name__
]
QUALIPY_ERRORS = [cls for cls in EVERY_ERROR if issubclass(cls, QualipyError)]


@pytest.mark.parametrize("cls", QUALIPY_ERRORS)
def test_every_error_survives_the_way_to_another_process(cls):
    details = {name: f"the {name}" for name in cls.details}
    error = pickle.loads(pickle.dumps(cls("what is wrong", **details)))
    assert type(error) is cls
    assert str(error) == "what is wrong"
    assert {name: getattr(error, name) for name in cls.details} == details


@pytest.mark.parametrize("cls", [c for c in QUALIPY_ERRORS if c is not QualipyError])
def test_every_error_with_a_cause_of_its_own_is_in_the_documented_tree(cls):
    assert cls.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        ("ImageTypeError", TypeError),
        ("ImageReadError", OSError),
        ("ImageTooLargeError", OSError),
        ("ImageTimeoutError", TimeoutError),
        ("ROITypeError", TypeError),
        ("ROIValueError", ValueError),
        ("FilterError", RuntimeError),
        ("ParameterTypeError", TypeError),
        ("ParameterValueError", ValueError),
        ("UnknownFilterError", LookupError),
        ("UnknownFilterError", ValueError),
        ("PluginError", ImportError),
        ("RequestError", ValueError),
        ("ResultError", ValueError),
        ("ModelError", ValueError),
        ("ModelTypeError", TypeError),
        ("TrainingError", ValueError),
        ("ExternalProgramError", OSError),
        ("MissingLibraryError", ImportError),
    ],
)
def test_an_error_is_also_the_builtin_that_a_caller_expects(cls, builtin):
    assert issubclass(getattr(errors, cls), builtin)
    assert issubclass(getattr(errors, cls), QualipyError)


def test_an_error_is_plain_data_for_json():
    error = UnknownFilterError("no such filter", name="hrd", installed=("hdr",))
    assert json.loads(json.dumps(error.to_dict())) == {
        "type": "UnknownFilterError",
        "message": "no such filter",
        "name": "hrd",
        "installed": ["hdr"],
    }


def test_attributes_that_are_not_given_are_none():
    error = FilterError("failed", filter="hdr")
    assert (error.filter, error.distribution, error.image) == ("hdr", None, None)


def test_an_attribute_that_there_is_not_is_refused():
    with pytest.raises(TypeError, match="colour"):
        ImageReadError("gone", colour="red")


@pytest.mark.parametrize("cls", QUALIPY_ERRORS)
def test_every_error_comes_back_from_plain_data(cls):
    lists = {"installed", "distributions"}
    details = {n: ("one", "two") if n in lists else f"the {n}" for n in cls.details}
    plain = json.loads(json.dumps(cls("what is wrong", **details).to_dict()))
    error = errors.from_dict(plain)
    assert type(error) is cls
    assert str(error) == "what is wrong"
    assert {name: getattr(error, name) for name in cls.details} == details
    assert errors.from_dict(cls("bare").to_dict()).to_dict() == {
        "type": cls.__name__,
        "message": "bare",
    }


@pytest.mark.parametrize("kind", ["OSError", "os.system", "PluginWarning", "Any", "pack.Error", ""])
def test_a_type_that_is_not_in_the_tree_comes_back_as_the_root(kind):
    error = errors.from_dict({"type": kind, "message": "boom", "image": "a.jpg"})
    assert type(error) is QualipyError
    assert str(error) == f"{kind}: boom"


def test_what_an_error_of_a_later_version_has_more_is_passed_over():
    error = errors.from_dict({"type": "ImageReadError", "message": "gone", "image": "a", "page": 3})
    assert isinstance(error, ImageReadError)
    assert error.image == "a"


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
names = st.sampled_from([cls.__name__ for cls in QUALIPY_ERRORS])
keys = st.sampled_from(["type", "message", "image", "filter", "name", "installed", "place"])


@given(json_like | st.dictionaries(keys, json_like | names | st.text()) | st.binary())
def test_whatever_is_read_is_an_error_and_raises_none(plain):
    error = errors.from_dict(plain)
    assert isinstance(error, QualipyError)
    assert isinstance(str(error), str)
    json.dumps(error.to_dict())


def test_an_error_without_a_type_or_a_message_says_what_was_there():
    for plain in (None, [], "boom", {}, {"type": "FilterError"}, {"type": 5, "message": "boom"}):
        assert "cannot be read" in str(errors.from_dict(plain))
