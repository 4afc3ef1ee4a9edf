"""``qualipy plugins``: what is installed, and what is wrong with it."""

from __future__ import annotations

import sys
from typing import NamedTuple

import click

from qualipy.cli import failures, terminal
from qualipy.cli.text import encode, to_json, unstyled, visible

_COLOURS = {"loaded": "green", "broken": "red", "ambiguous": "yellow"}


class Row(NamedTuple):
    """How one entry point of a pack stands."""

    kind: str
    name: str
    distribution: str
    version: str
    value: str
    state: str
    cause: str


@click.command()
@click.option("--check", is_flag=True, help="Exit with 1 if a pack is broken.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def plugins(check: bool, as_json: bool) -> None:
    """Import every installed pack and show its filters and hooks, and how each stands.

    \b
    loaded     imported, and sound
    broken     can't be used; the cause is shown
    disabled   switched off by the variable QUALIPY_DISABLE
    ambiguous  of several packs; ask for DISTRIBUTION:NAME or set QUALIPY_PREFER

    \b
    Examples:
      qualipy plugins
      qualipy plugins --check
      QUALIPY_DISABLE=some-pack qualipy plugins
      qualipy plugins --json | jq '.[] | select(.state == "broken")'
    """  # noqa: D301 (click reads the \b)
    with terminal.only_results_on_stdout():
        rows = _rows()
    if as_json:
        click.echo(encode(to_json([row._asdict() for row in rows], 2)))
    else:
        _show(rows)
    if check and any(row.state == "broken" for row in rows):
        sys.exit(failures.FOUND)


def _rows() -> list[Row]:
    from qualipy_core import plugins as core

    kinds = {core.FILTERS: "filter", core.HOOKS: "hook"}
    return [
        Row(
            kinds[entry.group],
            entry.name,
            entry.distribution,
            entry.version,
            entry.value,
            state,
            cause.strip(),
        )
        for entry, state, cause in core.survey()
    ]


def _show(rows: list[Row]) -> None:
    colours = terminal.has_colours(sys.stdout)
    width = max((len(row.name) for row in rows), default=0)
    pack = None
    for row in rows:
        if pack != (row.distribution, row.version):
            pack = (row.distribution, row.version)
            _echo(click.style(visible(" ".join(pack)), bold=True), colours)
        state = click.style(f"{row.state:<9}", fg=_COLOURS.get(row.state, "bright_black"))
        line = f"  {row.kind:<6}  {visible(row.name):<{width}}  {state}"
        _echo(f"{line}  {visible(row.cause)}", colours)
    if not any(row.kind == "filter" for row in rows):  # the core itself has a hook
        click.echo("No filters are installed. `pip install qualipy-filters-builtin` brings some.")


def _echo(text: str, colours: bool) -> None:
    click.echo(text if colours else unstyled(text).rstrip(), color=True)
