"""What the command line asks packs for, and how it tells that one is broken: once, on stderr."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import click

from qualipy.cli.text import visible

if TYPE_CHECKING:
    from qualipy_core.plugins import Hooks

_told: set[str] = set()


def warn(message: str) -> None:
    """Say something on stderr, the first time only."""
    if message not in _told:
        _told.add(message)
        click.echo(f"qualipy: warning: {visible(message)}", err=True)


def load_hooks() -> Hooks:
    """Load the hooks of every pack; one that is broken costs a warning."""
    from qualipy_core import plugins

    hooks = plugins.hooks()
    for _, error in sorted(hooks.failures.items(), key=lambda item: item[0]):
        warn(str(error))
    return hooks


def need_opencv() -> None:
    """Fail now, in one message, where OpenCV is missing: no pack is to blame for it.

    Raises
    ------
    MissingLibraryError
        OpenCV cannot be imported.
    """
    importlib.import_module("qualipy_core.opencv")


def add_commands(cli: click.Group) -> None:
    """Let every pack add its commands."""
    from qualipy_core import plugins

    plugins.add_commands(cli)
