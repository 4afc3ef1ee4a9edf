"""What stands in a report already: which images have a line, and where the whole lines end.

A process that was killed, or a machine that lost its power, leaves at most one line that is not
whole, the last one: each result is one write. Something else that is no line means that somebody
else has been at the file, and is an error.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, BinaryIO, NamedTuple

from qualipy.cli.failures import WrongUse
from qualipy.cli.outputs import csv_columns, identity
from qualipy.cli.text import visible
from qualipy.cli.words import Tally

RESUMABLE = ("jsonl", "csv")
"""The forms that another run can go on with: a table does not tell all, a JSON array is closed."""

_LONGEST = 1 << 24  # bytes of a line: a few names and numbers, and messages of errors
_SECONDS = re.compile(r"\d+\.\d{6}")


class Line(NamedTuple):
    """What a line of a report tells of an image."""

    image: str
    flagged: Sequence[str]
    failed: bool
    predictions: dict[str, float]
    judged: set[str] | None = None  #: filters that ran; None: not told
    ROI: list[int] | None = None


class Done:
    """The images that have a line, each as often as it has: 12 bytes for one.

    A name is kept as eight bytes of its digest. The digest has a secret key, so that nobody can
    make up names that are taken for one another; that two of 10 million are, has odds of 1 in
    200,000.
    """

    def __init__(self) -> None:
        self._key = os.urandom(16)
        self._digests = array("Q")
        self._passed = array("I")

    def add(self, name: bytes) -> None:
        """Note a line of an image."""
        self._digests.append(self._digest(name))

    def close(self) -> None:
        """Make ready for `take`, when all lines are noted."""
        import numpy as np

        if self._digests:
            np.frombuffer(self._digests, np.uint64).sort()
        self._passed = array("I", bytes(array("I").itemsize * len(self._digests)))

    def take(self, name: bytes) -> bool:
        """Whether an image has a line that has not been taken yet; it is from now on."""
        digest = self._digest(name)
        first = bisect_left(self._digests, digest)
        if first == len(self._digests) or self._digests[first] != digest:
            return False
        place = first + self._passed[first]
        if place == len(self._digests) or self._digests[place] != digest:
            return False
        self._passed[first] += 1
        return True

    def _digest(self, name: bytes) -> int:
        digest = hashlib.blake2b(name, digest_size=8, key=self._key).digest()
        return int.from_bytes(digest, "little")


@dataclass
class Earlier:
    """What a report holds."""

    form: str
    tally: Tally = field(default_factory=Tally)
    done: Done = field(default_factory=Done)
    end: int = 0  #: where the last whole line ends, in bytes
    torn: int = 0  #: the number of a line behind that, which is not whole; 0: there is none

    def take(self, image: str) -> bool:
        """Whether an image has a line, which stands for it once."""
        return bool(self.tally.photos) and self.done.take(identity(self.form, image))


def read(
    file: BinaryIO, path: str, form: str, names: Sequence[str], check: Callable[[Line], str | None]
) -> Earlier:
    """Read a report from its beginning, a line at a time.

    Parameters
    ----------
    file : binary file
        The report.
    path : str
        What to call it.
    form : str
        One of `RESUMABLE`.
    names : sequence of str
        The keys of the run's filters.
    check : callable
        Says of a line what tells that it is not of a run such as this one, or nothing.

    Raises
    ------
    WrongUse
        Something in it that is not at its end is no line, or of another run.
    """
    csv.field_size_limit(_LONGEST)
    earlier = Earlier(form)
    quoted = form == "csv"
    parse = partial(_csv_line, names) if quoted else _json_line
    header = csv_columns(names) if quoted else None
    for number, record in _records(file, quoted=quoted):
        if earlier.torn:
            raise _broken(path, earlier.torn)
        if header is not None and _whole(record) and (cells := _cells(record))[:1] == header[:1]:
            if cells != header:
                there, here = ", ".join(cells), ", ".join(header)
                raise WrongUse(visible(f"{path} has other columns: {there}; not {here}."))
            header = None
        elif header is None and _whole(record) and (line := parse(record)) is not None:
            if told := check(line):
                raise WrongUse(f"{path}, line {number}, {visible(line.image)}: {told}.")
            earlier.tally.count(line.flagged, line.failed)
            earlier.done.add(identity(form, line.image))
        elif _has_lines_below_the_first(record, parse):
            raise _broken(path, number)
        else:
            earlier.torn = number
            continue
        earlier.end += len(record)
    earlier.done.close()
    return earlier


def _records(file: BinaryIO, *, quoted: bool) -> Iterator[tuple[int, bytes]]:
    """Yield each record with the number of its first line; in CSV, quotes may hold line ends."""
    number = 1
    while first := file.readline(_LONGEST):
        lines, size = [first], len(first)
        odd = quoted and first.count(b'"') % 2
        while odd and size < _LONGEST and (more := file.readline(_LONGEST)):
            lines.append(more)
            size += len(more)
            odd ^= more.count(b'"') % 2
        yield number, b"".join(lines)
        number += len(lines)


def _whole(record: bytes) -> bool:
    return record.endswith(b"\n") and b"\0" not in record


def _has_lines_below_the_first(record: bytes, parse: Callable[[bytes], Line | None]) -> bool:
    """Whether a lost quotation mark has made one record of several lines, or of no end of bytes.

    If so it is not what was left of the last line.
    """
    below = record.splitlines(keepends=True)[1:]
    return len(record) >= _LONGEST or any(_whole(line) and parse(line) for line in below)


def _broken(path: str, number: int) -> WrongUse:
    return WrongUse(
        f"{path}, line {number}, is no line of such a report, and more follows. Mend or remove "
        "that line; nothing has been changed."
    )


def _json_line(record: bytes) -> Line | None:
    try:
        plain: dict[str, Any] = json.loads(record.decode())
        predictions, failures = plain["predictions"], plain.get("failures", {})
        line = Line(
            plain["image"],
            plain["flagged"],
            bool(failures) or "error" in plain,
            predictions,
            None if "error" in plain else {*predictions, *failures},
            plain.get("ROI"),
        )
        numbers = {float, int}.issuperset(map(type, predictions.values()))
        sound = isinstance(plain["image"], str) and predictions.keys() >= set(line.flagged)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return line if numbers and sound else None


def _csv_line(names: Sequence[str], record: bytes) -> Line | None:
    try:
        image, suitable, flagged, error, *measured, seconds = _cells(record)
        pairs = zip(names, measured, strict=True)
        predictions = {name: float(text) for name, text in pairs if text}
    except ValueError:
        return None
    if suitable not in ("true", "false") or not _SECONDS.fullmatch(seconds):
        return None
    return Line(image, flagged.split(), bool(error), predictions)


def _cells(record: bytes) -> list[str]:
    try:
        rows = list(csv.reader([record.decode()], strict=True))
    except (ValueError, csv.Error):
        return []
    return rows[0] if len(rows) == 1 else []
