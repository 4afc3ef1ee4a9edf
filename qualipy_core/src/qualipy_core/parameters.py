"""A filter's parameters: their types, their validation, their meaning.

Parameters are the dataclass fields of a filter class. pydantic checks values against the annotated
types, strictly: a number is not made of a text. The same check serves a constructor call in
Python, a JSON request and a description that came over a network.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import json
import os
import re
import reprlib
import typing
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from qualipy_core.errors import ParameterTypeError, ParameterValueError

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

    from qualipy_core.criterion import Criterion


class _Local:
    """Marks a parameter that names a file or program on this machine."""

    def __repr__(self) -> str:
        return "LOCAL"


LOCAL = _Local()

LocalPath = Annotated[str | None, LOCAL]
"""A path on this machine, or ``None``. Requests may not set such a parameter unless trusted."""


class Parameter(NamedTuple):
    """One parameter of a filter class, as a person needs to know it."""

    name: str
    type: str
    default: Any
    meaning: str
    local: bool  #: names a file or program: refused in requests by default


def parameters_of(cls: type[Criterion]) -> tuple[Parameter, ...]:
    """Return the parameters of a filter class, in the order of its constructor.

    The meaning is taken from the *Parameters* section of the class's numpydoc docstring, or of the
    base class that brings the parameter.
    """
    hints = _hints(cls)
    meanings = _documented_parameters(cls)
    return tuple(
        Parameter(
            name=field.name,
            type=_type_name(hints[field.name]),
            default=field.default,
            meaning=meanings.get(field.name, ""),
            local=is_local(hints[field.name]),
        )
        for field in sorted(dataclasses.fields(cls), key=lambda f: bool(f.kw_only))
    )


def is_local(hint: Any) -> bool:
    """Whether an annotation marks a path on this machine (see `LocalPath`)."""
    return any(mark is LOCAL for mark in getattr(hint, "__metadata__", ()))


def check(instance: Criterion) -> None:
    """Validate the parameters of a filter that is being made, and bring them to their types.

    Raises
    ------
    ParameterTypeError, ParameterValueError
        A parameter has the wrong type, or a value that it can't have.
    """
    from pydantic import ValidationError

    cls = type(instance)
    values = {f.name: _plain(getattr(instance, f.name)) for f in dataclasses.fields(cls)}
    try:
        checked = schema(cls).model_validate(values)
    except ValidationError as error:
        raise _translated(error, cls) from None
    for name in values:
        object.__setattr__(instance, name, getattr(checked, name))


def from_json(cls: type[Criterion], values: dict[str, Any]) -> Criterion:
    """Make a filter of parameters that came as JSON.

    Parameters
    ----------
    cls : type of Filter
        The filter's class.
    values : dict
        Parameters by name, as `json.loads` returns them.

    Raises
    ------
    ParameterTypeError, ParameterValueError
        A parameter is unknown, of the wrong type, or has a value that it can't have.
    """
    from pydantic import ValidationError

    known = [field.name for field in dataclasses.fields(cls)]
    for name in values:
        if name not in known:
            raise ParameterValueError(
                f"{cls.name} has no parameter {name!r}. It has: {', '.join(known)}."
                f"{did_you_mean(name, known)}",
                filter=cls.name,
                parameter=name,
            )
    try:
        # JSON has no tuples; validated as JSON, a list is one where the type says so.
        checked = schema(cls).model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise _translated(error, cls) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise ParameterTypeError(
            f"{cls.name}: the parameters are not JSON: {error}.", filter=cls.name
        ) from None
    return cls(**{name: getattr(checked, name) for name in values})


@cache
def schema(cls: type[Criterion]) -> type[BaseModel]:
    """Return the pydantic model of a filter class's parameters, each with its default."""
    from pydantic import ConfigDict, Field, create_model

    hints = _hints(cls)
    meanings = _documented_parameters(cls)
    fields: dict[str, Any] = {
        field.name: (
            hints[field.name],
            Field(default=field.default, description=meanings.get(field.name)),
        )
        for field in dataclasses.fields(cls)
    }
    config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())
    return create_model(cls.__name__, __config__=config, **fields)


def did_you_mean(name: str, known: typing.Iterable[str]) -> str:
    """Return `` Did you mean 'x'?``, or nothing when no known name is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's, and paths as text: what JSON will make of them anyway."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0:
        return value.item()
    return value


def _translated(
    error: ValidationError, cls: type[Criterion]
) -> ParameterTypeError | ParameterValueError:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    wrong_type = first["type"].endswith("_type") or first["type"] in ("int_from_float",)
    kind = ParameterTypeError if wrong_type else ParameterValueError
    reason = first["msg"].removeprefix("Input should be ")
    return kind(
        f"{cls.name}: {place} should be {reason}, not {reprlib.repr(first['input'])}.",
        filter=cls.name,
        parameter=place,
    )


def inherited_hint(cls: type[Criterion], name: str) -> Any:
    """Return the type that a base class gave to a parameter, resolved in its own module."""
    owner = next(base for base in cls.__mro__[1:] if name in inspect.get_annotations(base))
    return _hints(owner)[name]


def _hints(cls: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


def _type_name(hint: Any) -> str:
    if typing.get_origin(hint) is Annotated:
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) is typing.Literal:
        return " | ".join(repr(choice) for choice in typing.get_args(hint))
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)


def _documented_parameters(cls: type[Criterion]) -> dict[str, str]:
    meanings: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if "__dataclass_fields__" in base.__dict__ and base.__doc__:
            meanings.update(numpydoc_parameters(base.__doc__))
    return meanings


def numpydoc_parameters(docstring: str) -> dict[str, str]:
    """Return the texts of a numpydoc docstring's *Parameters* section, by parameter.

    Parameters
    ----------
    docstring : str
        As written in the source.

    Returns
    -------
    dict
        Each parameter's meaning, on one line.
    """
    lines = inspect.cleandoc(docstring).splitlines()
    try:
        start = lines.index("Parameters") + 2
    except ValueError:
        return {}
    meanings: dict[str, list[str]] = {}
    current: list[str] = []
    for number, line in enumerate(lines[start:], start):
        if number + 1 < len(lines) and re.fullmatch(r"-{3,}", lines[number + 1]):
            break  # the next section's title
        head = re.match(r"(\w+(?:\s*,\s*\w+)*)\s*:", line)
        if head:
            current = []
            for name in re.split(r"\s*,\s*", head[1]):
                meanings[name] = current
        elif line.strip():
            current.append(line.strip())
    return {name: " ".join(words) for name, words in meanings.items()}
