"""Describing and checking parameters."""

from __future__ import annotations

import pytest

from qualipy_core import Filter, Image, LocalPath
from qualipy_core.errors import ParameterTypeError
from qualipy_core.parameters import did_you_mean, from_json, is_local, numpydoc_parameters


class Fancy(Filter):
    """Takes a pair and a path."""

    name = "fancy"
    pair: tuple[int, int] = (1, 2)
    path: LocalPath = None

    def measure(self, image: Image) -> float:
        return 0.0


def test_the_parameters_section_of_a_numpydoc_docstring_is_read():
    docstring = """Summary.

    Parameters
    ----------
    one : int
        The first: with a colon,
        on two lines.
    two, three : float, optional
        Both.

    Returns
    -------
    four : int
        Not a parameter.
    """
    assert numpydoc_parameters(docstring) == {
        "one": "The first: with a colon, on two lines.",
        "two": "Both.",
        "three": "Both.",
    }


def test_a_docstring_without_that_section_has_no_parameters():
    assert numpydoc_parameters("Summary.") == {}


def test_a_json_array_is_a_tuple_where_the_type_says_so():
    made = from_json(Fancy, {"pair": [3, 4]})
    assert made == Fancy(pair=(3, 4))
    assert hash(made) == hash(Fancy(pair=(3, 4)))


def test_json_is_not_bent_to_fit():
    for value in ("3", [1], [1, "2"], [1.5, 2], None):
        with pytest.raises((ParameterTypeError, ValueError), match="fancy: pair"):
            from_json(Fancy, {"pair": value})


def test_a_path_on_this_machine_is_marked_as_such():
    assert is_local(LocalPath)
    assert not is_local(str)


def test_a_path_object_is_a_path(tmp_path):
    assert Fancy(path=tmp_path).path == str(tmp_path)


def test_a_suggestion_is_made_only_when_one_is_close():
    assert did_you_mean("hrd", ["hdr", "framed"]) == " Did you mean 'hdr'?"
    assert did_you_mean("zzz", ["hdr"]) == ""
