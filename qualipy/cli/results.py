"""``qualipy results``: the results of an earlier run in another form."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from qualipy.cli import parquet, terminal
from qualipy.cli.failures import WrongUse
from qualipy.cli.outputs import CSV, FORMATS, Table, Writer, format_for, writer
from qualipy.cli.text import encode, to_json, visible
from qualipy.cli.words import Tally
from qualipy_core.errors import ResultError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qualipy_core import Result


@click.command()
@click.argument("file", metavar="FILE", required=False)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a result, and no more.")
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="Form to write; by the suffix of --output, or a table.",
)
@click.option(
    "-o", "--output", metavar="FILE", help="Write here instead of to stdout; a file is replaced."
)
@click.option("-q", "--quiet", is_flag=True, help="No summary.")
def results(
    file: str | None, schema: bool, form: str | None, output: str | None, quiet: bool
) -> None:
    """Show the results of an earlier run, or write them in another form.

    FILE is what `qualipy scan --output` has written, as jsonl, json, csv or parquet; its suffix
    says which. What a run that was killed has left of its last line is passed over.

    \b
    Examples:
      qualipy results run.jsonl
      qualipy results run.jsonl -o run.parquet
      qualipy results run.parquet -f csv | head
      qualipy results --schema

    \b
    Exit status:
      0  done
      2  the file holds no results; the message says where
      3  a library is missing, or the disk is full
    """  # noqa: D301 (click reads the \b)
    if schema:
        from qualipy.results import result_schema

        click.echo(encode(to_json(result_schema(), 2)))
        return
    if file is None:
        raise click.UsageError("Missing argument 'FILE'.")
    if output == "-":
        output = None
    form = form or format_for(output)
    if form == "parquet":
        parquet.check(output)
    if output is not None and os.path.exists(output) and os.path.samefile(file, output):
        raise WrongUse(f"{output} is what is to be read. Name another file to write to.")
    tally = Tally()
    with ExitStack() as stack:
        report = _writer(file, form, output, stack)
        report.begin()
        for result in read(file):
            report.add(result)
            tally.add(result)
        report.end()
    if not quiet:
        terminal.say(tally.counts())
        if output is not None:
            terminal.say(f"Results: {visible(output)}")


def read(path: str) -> Iterator[Result]:
    """Yield the results of a file.

    Raises
    ------
    WrongUse
        It cannot be read, or holds something else.
    """
    from qualipy.results import read_results

    try:
        yield from read_results(path)
    except ResultError as error:
        raise WrongUse(str(error)) from None
    except OSError as error:
        raise WrongUse(f"{path} cannot be read: {error.strerror or error}.") from None


def _writer(file: str, form: str, output: str | None, stack: ExitStack) -> Writer:
    if form == "parquet" and output is not None:
        made = parquet.Parquet(output, _labels(file))
        stack.callback(made.abandon)
        return made
    if output is None:
        out = stack.enter_context(terminal.standard_output(None, for_people=form == "table"))
    else:
        out = stack.enter_context(terminal.opened_whole(output, keep=False))
    if form == "table":
        return Table(out, {}, colours=output is None and terminal.has_colours(sys.stdout))
    return CSV(out, _labels(file)) if form == "csv" else writer(form, out, {})


def _labels(file: str) -> dict[str, None]:
    """The filters that occur, for forms that have a column for each."""
    return {
        label: None for result in read(file) for label in (*result.predictions, *result.failures)
    }
