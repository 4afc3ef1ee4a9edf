"""Results that lie in files, and in memory: their schema, reading them, all of them as a table.

>>> import qualipy
>>> results = qualipy.Results(qualipy.read_results("run.jsonl"))
>>> results.to_dataframe()[["image", "exposure"]]
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from qualipy_core.errors import ResultError
from qualipy_core.errors import from_dict as error_from_dict
from qualipy_core.result import Result

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1
"""Of what a result looks like in a file.

Within a version keys and columns are only added. A line that has no ``schema`` is of version 1;
any other says which it is of.
"""

FORMS = ("jsonl", "json", "csv", "parquet")
_LONGEST_CELL = 1 << 24  # characters; the csv module's own limit is shorter than an error may be
_ERROR = re.compile(r"(?P<type>[A-Z]\w*): (?P<message>.*)", re.DOTALL)


class Results(Sequence[Result]):
    """All results of a run, in memory.

    Parameters
    ----------
    results : iterable of Result
        What `scan` yields, say, or `read_results`.
    """

    def __init__(self, results: Iterable[Result] = ()) -> None:
        self._results = tuple(results)

    @overload
    def __getitem__(self, index: int) -> Result: ...

    @overload
    def __getitem__(self, index: slice) -> Results: ...

    def __getitem__(self, index: int | slice) -> Result | Results:
        found = self._results[index]
        return Results(found) if isinstance(found, tuple) else found

    def __len__(self) -> int:
        return len(self._results)

    def __iter__(self) -> Iterator[Result]:
        return iter(self._results)

    def __repr__(self) -> str:
        flagged = sum(1 for result in self._results if result.flagged)
        failed = sum(1 for result in self._results if result.failed)
        return f"<Results: {len(self):,} photos, {flagged:,} flagged, {failed:,} with errors>"

    def to_dataframe(self) -> pd.DataFrame:
        """Return a table with a row per photo; the columns are those of a Parquet file.

        Returns
        -------
        pandas.DataFrame
            ``image``, ``suitable``, ``flagged``, ``error``; the prediction of each filter under
            its name, NaN where it did not run or failed; ``seconds``, ``ROI``, ``companions`` and
            ``error_details``.

        Raises
        ------
        MissingLibraryError
            (ImportError) pandas is not installed; it is in the extra ``dataframe``.
        """
        from qualipy.tables import to_dataframe

        return to_dataframe(self._results)


def read_results(path: str | os.PathLike[str], form: str | None = None) -> Iterator[Result]:
    """Yield the results of a file that `qualipy scan` wrote, one at a time.

    Parameters
    ----------
    path : path
        Of the file.
    form : str, optional
        One of ``jsonl``, ``json``, ``csv`` and ``parquet``; by the name of the file, by default.

    Yields
    ------
    Result
        Equal to the one that was written, from JSON and Parquet. CSV lacks the regions, the
        companions and the attributes of errors, and names with bytes that are no UTF-8 are as
        they are written there.

    Raises
    ------
    ResultError
        (ValueError) Something in it is no result; ``place`` says where. What a run that was
        killed has left of its last line is passed over.
    MissingLibraryError
        (ImportError) The file is Parquet, and pyarrow is not installed.
    OSError
        It cannot be read.
    """
    name = os.fspath(path)
    form = form or form_of(name)
    if form == "parquet":
        from qualipy.tables import read_parquet

        yield from read_parquet(name)
    elif form == "csv":
        yield from _read_csv(name)
    else:
        yield from _read_json(name) if form == "json" else _read_lines(name)


def form_of(path: str) -> str:
    """Return the form of a file of results by its name: JSON Lines unless its suffix is another."""
    suffix = os.path.splitext(path)[1].lower().removeprefix(".")
    return suffix if suffix in FORMS else "jsonl"


def result_schema() -> dict[str, Any]:
    """Return the JSON Schema of a result: a line of JSON Lines, `Result.to_dict`.

    Returns
    -------
    dict
        Of draft 2020-12; its ``$id`` holds `SCHEMA_VERSION`.
    """
    names = {"type": "array", "items": {"type": "string"}}
    error = {
        "type": "object",
        "description": "Why something failed.",
        "properties": {
            "type": {"type": "string", "description": "The class of the error."},
            "message": {"type": "string"},
        },
        "required": ["type", "message"],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:qualipy:result:{SCHEMA_VERSION}",
        "title": "Result",
        "description": "What is known about one photo. Later releases may add properties.",
        "type": "object",
        "properties": {
            "schema": {
                "const": SCHEMA_VERSION,
                "description": "The version of this schema; 1 where it is left out.",
            },
            "image": {
                "type": "string",
                "description": "The path as it was given; a byte that is no UTF-8 is a lone "
                "surrogate, U+DC80 … U+DCFF, as os.fsencode reads it.",
            },
            "suitable": {
                "type": "boolean",
                "description": "Everything was measured and no filter was positive.",
            },
            "flagged": {
                **names,
                "description": "The filters that were positive; each has a prediction.",
            },
            "predictions": {
                "type": "object",
                "description": "What each filter measured, by its name; the second of one name "
                "is name#2.",
                "additionalProperties": {"type": "number"},
            },
            "seconds": {"type": "number", "minimum": 0, "description": "Time taken."},
            "ROI": {
                "type": "array",
                "items": {"type": "integer"},
                "minItems": 4,
                "maxItems": 4,
                "description": "The region that was judged: x, y, width, height. Left out: all.",
            },
            "companions": {
                "type": "object",
                "description": "By filter, the photos that belong together, this one among them, "
                "the best first. Left out where there are none.",
                "additionalProperties": names,
            },
            "failures": {
                "type": "object",
                "description": "The filters that failed on this photo. Left out: none.",
                "additionalProperties": error,
            },
            "error": {
                **error,
                "description": "Why the photo could not be judged at all. Left out: it could.",
            },
        },
        "required": ["image", "suitable", "flagged", "predictions", "seconds"],
    }


def result_from(plain: Any, place: str) -> Result:
    """Return the result that a file holds at a place.

    Raises
    ------
    ResultError
        It is none, or of a schema that is not known here.
    """
    if isinstance(plain, dict):
        check_version(plain.get("schema", SCHEMA_VERSION), place)
    try:
        return Result.from_dict(plain)
    except ResultError as error:
        raise ResultError(f"{place}: {error}", place=place) from error


def check_version(version: Any, place: str) -> None:
    """Check that what stands at a place is of a schema that is known here.

    Raises
    ------
    ResultError
        It is not.
    """
    if version != SCHEMA_VERSION:
        raise ResultError(
            f"{place} is of version {version!r} of the schema; this QualiPy reads version "
            f"{SCHEMA_VERSION}. Read it with a later one.",
            place=place,
        )


def _read_lines(path: str) -> Iterator[Result]:
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            place = f"{path}, line {number}"
            try:
                plain = json.loads(line)
            except (ValueError, RecursionError):
                if not line.endswith(b"\n"):  # the last one, of a run that was killed
                    return
                raise ResultError(f"{place}, is no JSON.", place=place) from None
            yield result_from(plain, place)


def _read_json(path: str) -> Iterator[Result]:
    with open(path, "rb") as file:
        try:
            plain = json.load(file)
        except (ValueError, RecursionError) as error:
            raise ResultError(f"{path} is no JSON: {error}.", place=path) from None
    if not isinstance(plain, list):
        raise ResultError(f"{path} is no array of results.", place=path)
    for number, each in enumerate(plain, 1):
        yield result_from(each, f"{path}, element {number}")


def _read_csv(path: str) -> Iterator[Result]:
    csv.field_size_limit(_LONGEST_CELL)
    whole = _ends_a_line(path)
    with open(path, encoding="utf-8", newline="") as file:
        rows = csv.reader(file, strict=True)
        try:
            header = next(rows, [])
            names = header[4:-1]
            if header != ["image", "suitable", "flagged", "error", *names, "seconds"]:
                raise ResultError(f"{path} has not the columns of results.", place=path)
            row = next(rows, None)
            while row is not None:
                place = f"{path}, line {rows.line_num}"
                following = next(rows, None)
                if following is not None or whole:  # a killed run leaves a last line half written
                    if len(row) != len(header):
                        raise ResultError(f"{place}, has too few or too many cells.", place=place)
                    yield result_from(_of_cells(row, names), place)
                row = following
        except UnicodeDecodeError as error:
            raise ResultError(f"{path} is no UTF-8: {error}.", place=path) from None
        except csv.Error as error:
            place = f"{path}, line {rows.line_num}"
            if whole:
                raise ResultError(f"{place}, is no CSV: {error}.", place=place) from None


def _ends_a_line(path: str) -> bool:
    with open(path, "rb") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _of_cells(row: list[str], names: list[str]) -> dict[str, Any]:
    image, _, flagged, error, *measured, seconds = row
    pairs = zip(names, measured, strict=True)
    plain: dict[str, Any] = {
        "image": image,
        "flagged": flagged.split(),
        "predictions": {name: _number(text) for name, text in pairs if text},
        "seconds": _number(seconds),
    }
    if error:
        plain |= _errors(error, image, names)
    return plain


def _errors(text: str, image: str, names: list[str]) -> dict[str, Any]:
    """Take apart what the column ``error`` says: of the image, or ``filter: `` of each filter."""
    if (whole := _ERROR.fullmatch(text)) and _is_known(whole["type"]):
        return {"error": {**whole.groupdict(), "image": image}}
    failures = {}
    labels = "|".join(map(re.escape, names))
    for part in re.split(rf"; (?=(?:{labels}): [A-Z]\w*: )", text):
        label, _, said = part.partition(": ")
        if label in names and (one := _ERROR.fullmatch(said)):
            failures[label] = one.groupdict()
    return (
        {"failures": failures} if failures else {"error": {"type": "QualipyError", "message": text}}
    )


def _is_known(name: str) -> bool:
    return type(error_from_dict({"type": name, "message": ""})).__name__ == name


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text  # which `Result.from_dict` refuses by its place
