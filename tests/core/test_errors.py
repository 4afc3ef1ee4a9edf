"""The error tree."""

from __future__ import annotations

import inspect
import json
import pickle

import pytest

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
        ("ROITypeError", TypeError),
        ("ROIValueError", ValueError),
        ("FilterError", RuntimeError),
        ("ParameterTypeError", TypeError),
        ("ParameterValueError", ValueError),
        ("UnknownFilterError", LookupError),
        ("UnknownFilterError", ValueError),
        ("PluginError", ImportError),
        ("RequestError", ValueError),
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
