"""The logs of sorts, and which of these have not come to their end: `steps`, `Unfinished`.

A sort that moves photos and ends early has taken some of them from where they were. Whoever judges
the others among all photos must look for those at their new place: while a sort is under way, a
note in its first folder names its log, which tells where they are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Any

from qualipy import transfer
from qualipy_core.errors import SortError

VERSION = 1
NOTE = ".qualipy-sort.unfinished"
"""The name of the note: a JSON string a line, the path of a log."""


def steps(log: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """Yield the head of a log, and each step of its sort.

    Raises
    ------
    SortError
        It is no log of a sort.
    OSError
        It cannot be read.
    """
    with open(log, "rb") as file:
        yield _head(file.readline(), os.fspath(log))
        for number, line in enumerate(file, 2):
            if not line.endswith(b"\n"):  # a step that was not taken any more
                break
            match entry(line):
                case ({"made": str()} | {"from": str(), "to": str()}) as step:
                    yield step
                case _:
                    raise SortError(f"{log}, line {number}, is no step of a sort.")


def entry(line: bytes) -> Any:
    """Return what a line says; nothing, if it says nothing."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def moved(log: str | os.PathLike[str]) -> dict[str, str]:
    """Return where the photos are that a sort has moved: from their old path to the new one.

    Those that are back, or gone from there as well, are not among them.

    Raises
    ------
    SortError, OSError
        As of `steps`.
    """
    taken = steps(log)
    if next(taken)["action"] != "move":
        return {}
    places = {}
    for step in taken:
        if "from" in step and not os.path.lexists(step["from"]) and transfer.is_file(step["to"]):
            places[step["from"]] = step["to"]
    return places


class Unfinished:
    """The sorts into a folder that have not come to their end.

    Parameters
    ----------
    folder : str
        The first of the folders.
    """

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(os.path.abspath(folder), NOTE)

    def logs(self) -> list[str]:
        """Return the logs of these sorts, in their order; those that are gone are left out."""
        try:
            with open(self.path, "rb") as file:
                named = [entry(line) for line in file]
        except OSError:
            return []
        return [log for log in dict.fromkeys(named) if isinstance(log, str) and os.path.isfile(log)]

    def add(self, log: str) -> None:
        """Note a sort, on the disk.

        Raises
        ------
        OSError
            It cannot be written.
        """
        self._write([*self.logs(), os.path.abspath(log)])

    def discard(self, logs: Collection[str]) -> None:
        """Forget sorts; the note is gone with the last one."""
        with suppress(OSError):
            if os.path.exists(self.path):
                self._write([log for log in self.logs() if log not in logs])

    def _write(self, logs: list[str]) -> None:
        if not logs:
            os.unlink(self.path)
            return
        new = f"{self.path}.new"
        with open(new, "wb") as file:
            file.writelines(json.dumps(log).encode() + b"\n" for log in logs)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self.path)
        transfer.to_disk(self.path)


def _head(line: bytes, path: str) -> dict[str, Any]:
    match entry(line):
        case {"qualipy": "sort", "version": 1, "action": "copy" | "link" | "move"} as head:
            return dict(head)
        case {"qualipy": "sort", "version": int(version)} if version > VERSION:
            raise SortError(f"{path} is a log of version {version}, which a later QualiPy reads.")
    raise SortError(f"{path} is no log of a sort.")
