"""The filters of a run, from ``--filters`` and ``--set``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from qualipy.cli import packs
from qualipy.cli.failures import CannotWork, missing_library
from qualipy_core.errors import (
    ParameterTypeError,
    ParameterValueError,
    QualipyError,
    UnknownFilterError,
)

if TYPE_CHECKING:
    from qualipy_core.criterion import Criterion

Settings = dict[str, dict[str, Any]]

ALL = "all"
"""Among the names of filters: every one that is installed."""


def choose(names: Iterable[str], settings: Iterable[str]) -> list[Criterion]:
    """Make the filters that were asked for; without names, those that run by default and work.

    Parameters
    ----------
    names : iterable of str
        Filters, several may stand in one text with commas between; ``all`` is every installed one.
    settings : iterable of str
        ``filter.parameter=value`` each.

    Raises
    ------
    click.UsageError
        A filter or parameter is unknown, or a value is not for it.
    PluginError
        A filter that was asked for by name is broken.
    """
    from qualipy_core import plugins

    packs.need_opencv()
    named = _split(names)
    every = ALL in named
    if every:
        named = []
    chosen = parse_settings(settings)
    for name in (*named, *chosen):
        _check_known(name, "--filters" if name in named else "--set")
    for name in chosen:
        if named and name not in named:
            raise click.BadParameter(
                f"{name} is not among the filters of this run: {', '.join(named)}.",
                param_hint="--set",
            )
    made = []
    for name in named or plugins.registry().names():
        try:
            wanted = named or every or name in chosen
            if wanted or plugins.registry().get(name).by_default:
                made.append(_make(name, chosen.get(name, {})))
        except QualipyError as error:
            if named or name in chosen or missing_library(error):
                raise
            packs.warn(f"left out: {error}")
    if not made:
        raise CannotWork(
            "No filter that works is installed. `pip install qualipy-filters-builtin` brings the "
            "built-in ones; `qualipy plugins --check` shows every pack's state."
        )
    return made


def choose_one(name: str, settings: Sequence[str]) -> Criterion:
    """Make the one filter that was asked for.

    Parameters
    ----------
    name : str
        Of an installed filter.
    settings : sequence of str
        ``parameter=value`` each; ``filter.parameter=value`` is as good.

    Raises
    ------
    click.UsageError
        The filter or a parameter is unknown, or a value is not for it.
    PluginError
        The filter is broken.
    """
    packs.need_opencv()
    _check_known(name, "FILTER")
    places = (text.partition("=")[0].strip() for text in settings)
    full = [
        text if "." in place else f"{name}.{text}"
        for text, place in zip(settings, places, strict=True)
    ]
    chosen = parse_settings(full)
    for other in chosen.keys() - {name}:
        raise click.BadParameter(
            f"{other} is not the filter of this run: {name}.", param_hint="--set"
        )
    return _make(name, chosen.get(name, {}))


def parse_settings(settings: Iterable[str]) -> Settings:
    """Read ``filter.parameter=value`` texts; a value is JSON or else the text itself."""
    parsed: Settings = {}
    for setting in settings:
        place, equals, value = setting.partition("=")
        name, dot, parameter = place.strip().rpartition(".")
        if not (equals and dot and name and parameter):
            raise click.BadParameter(
                f"{setting!r} is not of the form FILTER.PARAMETER=VALUE, such as "
                "exposure.threshold=0.7.",
                param_hint="--set",
            )
        parsed.setdefault(name, {})[parameter] = _value(value.strip())
    return parsed


def _split(names: Iterable[str]) -> list[str]:
    texts = list(names)
    words = [word.strip() for text in texts for word in text.split(",")]
    named = list(dict.fromkeys(word for word in words if word))
    if texts and not named:
        raise click.BadParameter("no filter is named.", param_hint="--filters")
    return named


def _check_known(name: str, option: str) -> None:
    from qualipy_core import plugins

    try:
        plugins.registry().entry(name)
    except UnknownFilterError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _make(name: str, values: dict[str, Any]) -> Criterion:
    from qualipy_core import parameters, plugins

    cls = plugins.registry().get(name)
    try:
        return parameters.from_json(cls, values)
    except (ParameterTypeError, ParameterValueError) as error:
        place = f"{name}.{error.parameter}" if error.parameter else name
        reason = str(error)
        known = f"{cls.name}: {error.parameter} "
        reason = reason.removeprefix(known) if reason.startswith(known) else f"({reason})"
        raise click.BadParameter(f"{place} {reason}", param_hint="--set") from None
    except QualipyError:
        raise
    except Exception as error:  # a pack's own check of its parameters
        if values and isinstance(error, ValueError | TypeError):
            raise click.BadParameter(f"{name}: {error}", param_hint="--set") from None
        entry = plugins.registry().entry(name)
        if entry is None:
            raise
        raise entry.broken(f"{type(error).__name__}: {error}") from error


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except ValueError:
        return text


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
