"""Options that say what one photo may cost, and what they say together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from qualipy_core.errors import LimitsError

if TYPE_CHECKING:
    from qualipy_core.limits import Limits

F = TypeVar("F", bound=Callable[..., Any])


def limit_options(command: F) -> F:
    """Give a command the options ``--max-pixels``, ``--max-bytes`` and ``--time-limit``."""
    for name, metavar, text in (
        ("--time-limit", "SECONDS", "Give up a photo after that long, in worker processes: 60."),
        ("--max-bytes", "N", "Refuse larger files: 1 GiB, by default."),
        ("--max-pixels", "N", "Refuse larger photos, unread: 500e6, by default."),
    ):
        command = click.option(name, type=float, metavar=metavar, help=text)(command)
    return command


def limits_of(**said: float | None) -> Limits:
    """Return the limits that the options say; those of the environment are looked at, too.

    Raises
    ------
    click.UsageError
        One is no number above 0.
    """
    from qualipy_core.limits import Limits

    try:
        limits = Limits(**said)
        limits.in_force()
    except LimitsError as error:
        raise click.UsageError(str(error)) from None
    return limits
