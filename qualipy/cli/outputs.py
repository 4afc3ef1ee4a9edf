"""The forms of a report: a table to read, JSON, JSON Lines and CSV to go on with.

Each writer hands whole pieces of text to ``write`` as soon as a result is there, so what is done
is kept whatever happens next.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from qualipy.cli import words
from qualipy.cli.failures import WrongUse
from qualipy.cli.text import encode, to_json, unstyled

if TYPE_CHECKING:
    from qualipy_core import Result
    from qualipy_core.criterion import Criterion

Write = Callable[[str], None]

TEXTS = ("table", "json", "jsonl", "csv")
FORMATS = (*TEXTS, "parquet")
_BY_SUFFIX = {".json": "json", ".csv": "csv", ".parquet": "parquet", ".txt": "table"}


class Writer(Protocol):
    """Writes a report, result by result."""

    def begin(self) -> None:
        """Write what stands before the first result."""

    def add(self, result: Result) -> None:
        """Write a result."""

    def end(self) -> None:
        """Write what stands behind the last result; called in any case."""


def format_for(path: str | None) -> str:
    """Return the form that fits a file's name: JSON Lines unless its suffix says another.

    Raises
    ------
    WrongUse
        It is the name of a page: results as lines in it would be no page.
    """
    if path is None:
        return "table"
    suffix = os.path.splitext(path)[1].lower()
    if suffix in (".html", ".htm"):
        raise WrongUse(
            f"Results are not written as a page to {path}: `qualipy scan --report` makes one, and "
            "`qualipy report` of results. Name --format to write them there none the less."
        )
    return _BY_SUFFIX.get(suffix, "jsonl")


def identity(form: str, path: str) -> bytes:
    """Return what tells an image from others in a report: its path, as it is written there.

    What has been read from a report has the same identity as the path that was written.
    """
    if form == "csv":
        return encode(_without_nul(_inert(path)))
    return path.encode("utf-8", "surrogatepass")


def writer(
    form: str,
    write: Write,
    filters: Mapping[str, Criterion],
    *,
    colours: bool = False,
    begun: bool = False,
) -> Writer:
    """Return the writer of a form.

    Parameters
    ----------
    form : str
        One of `TEXTS`.
    write : callable
        Takes each piece of text.
    filters : mapping of str to Filter
        Those of the run, by their key in results, in the order of the columns.
    colours : bool
        Whether what is written for people may be coloured.
    begun : bool
        What stands before the first result is there already.
    """
    if form == "table":
        return Table(write, filters, colours=colours)
    if form == "csv":
        return CSV(write, filters, begun=begun)
    return JSON(write) if form == "json" else JSONLines(write)


class Both:
    """One report after the other, result by result."""

    def __init__(self, *writers: Writer) -> None:
        self._writers = writers

    def begin(self) -> None:
        """Begin each."""
        for each in self._writers:
            each.begin()

    def add(self, result: Result) -> None:
        """Add a result to each."""
        for each in self._writers:
            each.add(result)

    def end(self) -> None:
        """End each."""
        for each in self._writers:
            each.end()


class Table:
    """A line per image, for people: verdict, path, reasons."""

    def __init__(self, write: Write, filters: Mapping[str, Criterion], *, colours: bool) -> None:
        self._write = write
        self._filters = filters
        self._colours = colours

    def begin(self) -> None:
        """Write nothing: the lines explain themselves."""

    def add(self, result: Result) -> None:
        """Write a line."""
        line = words.line(result, self._filters)
        self._write((line if self._colours else unstyled(line)) + "\n")

    def end(self) -> None:
        """Write nothing."""


class JSONLines:
    """A JSON object per line and image: what `Result.to_dict` gives."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def begin(self) -> None:
        """Write nothing."""

    def add(self, result: Result) -> None:
        """Write a line."""
        self._write(to_json(result.to_dict()) + "\n")

    def end(self) -> None:
        """Write nothing."""


class JSON:
    """One JSON array of the same objects."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._opening = "[\n"

    def begin(self) -> None:
        """Write nothing yet: `add` opens the array."""

    def add(self, result: Result) -> None:
        """Write an element."""
        self._write(self._opening + to_json(result.to_dict()))
        self._opening = ",\n"

    def end(self) -> None:
        """Close the array."""
        self._write("[]\n" if self._opening == "[\n" else "\n]\n")


class CSV:
    """A row per image, comma-separated, with a header.

    The columns are ``image``, ``suitable``, ``flagged`` (names, a space between), ``error``, the
    prediction of each filter (empty where it did not run or failed) and ``seconds``.
    """

    def __init__(self, write: Write, filters: Iterable[str], *, begun: bool = False) -> None:
        self._write = write
        self._names = list(filters)
        self._begun = begun

    def begin(self) -> None:
        """Write the header."""
        if not self._begun:
            self._row(csv_columns(self._names))

    def add(self, result: Result) -> None:
        """Write a row."""
        predictions = (result.predictions.get(name) for name in self._names)
        self._row(
            [
                _inert(result.image),
                "true" if result.suitable else "false",
                " ".join(result.flagged),
                "; ".join(_errors(result)),
                *("" if value is None else repr(value) for value in predictions),
                f"{result.seconds:.6f}",
            ]
        )

    def end(self) -> None:
        """Write nothing."""

    def _row(self, cells: list[str]) -> None:
        row = io.StringIO(newline="")
        # With this line end, a cell with either half of it is quoted; what is written ends in \n.
        csv.writer(row, lineterminator="\r\n").writerow(map(_without_nul, cells))
        self._write(row.getvalue().removesuffix("\r\n") + "\n")


def csv_columns(names: Iterable[str]) -> list[str]:
    """Return the header of a CSV report of these filters."""
    return ["image", "suitable", "flagged", "error", *names, "seconds"]


def _errors(result: Result) -> list[str]:
    if result.error is not None:
        return [f"{type(result.error).__name__}: {result.error}"]
    failures = result.failures.items()
    return [f"{name}: {type(failure).__name__}: {failure}" for name, failure in failures]


def _inert(path: str) -> str:
    """The same path, but nothing that a spreadsheet takes for a formula."""
    return f"./{path}" if path.startswith(("=", "+", "-", "@", "\t", "\r")) else path


def _without_nul(text: str) -> str:
    """The same text without NULs, which are for many readers, and after a power loss, no text."""
    return text.replace("\0", "\\x00")
