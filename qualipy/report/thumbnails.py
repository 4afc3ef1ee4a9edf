"""Small pictures for a report: in the page, or in files beside it: `Thumbnails`.

They never pile up in memory. At first they go to a temporary file, for nobody knows how many
there will be; a page that would become too large has them in a folder beside it instead.

In there, each run has a folder of its own, which its page names. It goes when that page is
replaced, and not before; what a run that was killed has left goes with the next report.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import tempfile
from array import array
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

MODES = ("auto", "inline", "folder", "none")
SIDE = 200
"""The long side in pixels: what a card of the gallery is wide, about 7 kB."""
INLINE_MOST = 2000
"""Photos up to which ``auto`` keeps the thumbnails in the page: some 20 MB."""

_MARK = "qualipy-report.json"  # tells that a folder is ours to clean
_UNFINISHED = "unfinished"  # in a run's folder until its page is there; locked while it lives
_PER_FOLDER = 1000
_RUN = re.compile(r"[0-9a-f]{12}")


class Thumbnails:
    """The thumbnails of one page.

    Parameters
    ----------
    page : Path
        The page that is going to be written.
    mode : str
        One of `MODES`.
    others : bool
        Whether other files will go beside the page, too.
    """

    def __init__(self, page: Path, mode: str, *, others: bool = False) -> None:
        whole = page.name if page.suffix != ".html" else page.stem  # x.htm is not x.html
        self.folder = page.with_name(f"{whole}_files")
        self.run = secrets.token_hex(6)
        self._mode = mode
        self._others = others
        self._alive: BinaryIO | None = None  # locked as long as this run may add files
        self._spool = _spool() if mode in ("auto", "inline") else None
        self._ends = array("q")  # where each one ends in the spool
        self._has = bytearray()

    @property
    def wanted(self) -> bool:
        """Whether there are to be any."""
        return self._mode != "none"

    @property
    def beside(self) -> Path | None:
        """The folder beside the page, if there is anything in it."""
        return self.folder if (self.folder / self.run).is_dir() else None

    def add(self, data: bytes | None) -> None:
        """Take the thumbnail of the next photo, if there is one."""
        number = len(self._has)
        self._has.append(data is not None)
        if self._mode == "auto" and number >= INLINE_MOST:
            self._move_out()
        if self._spool is None:
            if data is not None:
                self._file(number, data)
        else:
            start = self._ends[-1] if self._ends else 0
            self._spool.seek(start)
            self._spool.write(data or b"")
            self._ends.append(start + len(data or b""))

    def check(self) -> str | None:
        """Say what stands in the way of using the folder, before the work."""
        needed = self._others or self._mode in ("auto", "folder")
        if needed and not _is_ours(self.folder):
            return f"{self.folder} is there already, and is not of an earlier report"
        return None

    def described(self) -> dict[str, Any]:
        """Return where the page finds them."""
        kind = "inline" if self._spool is not None else "folder" if self.wanted else "none"
        if not any(self._has):
            kind = "none"
        return {
            "kind": kind,
            "folder": f"{self.folder.name}/{self.run}/" if kind == "folder" else None,
            "perFolder": _PER_FOLDER,
            "missing": [number for number, has in enumerate(self._has) if not has]
            if kind != "none"
            else [],
            "wanted": self.wanted,
        }

    def pieces(self, size: int = 64) -> Iterator[tuple[int, list[str]]]:
        """Yield those that go into the page: the number of the first one, and base64 of some."""
        if self._spool is None or not any(self._has):
            return
        for first in range(0, len(self._ends), size):
            numbers = range(first, min(first + size, len(self._ends)))
            yield first, [b64encode(self._read(number)).decode() for number in numbers]

    def place(self, name: str, data: bytes) -> str:
        """Write another file of the page into its folder, and return its relative name."""
        path = self._ready() / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return f"{self.folder.name}/{self.run}/{name}"

    def finish(self, replaced: str | None) -> None:
        """Note that the page is there; remove what only the one before has needed.

        Parameters
        ----------
        replaced : str or None
            The run of the page whose place it has taken.
        """
        if self._alive is not None:
            (self.folder / self.run / _UNFINISHED).unlink(missing_ok=True)
            self._mark()  # a run that ended meanwhile may have cleared it away
        self._tidy(replaced)
        self.close()

    def forget(self) -> None:
        """Remove what this report has put into the folder, for it will not be written."""
        self.close()
        if (self.folder / self.run).is_dir():
            shutil.rmtree(self.folder / self.run, ignore_errors=True)
            self._tidy(None)

    def close(self) -> None:
        """Let go of the temporary files."""
        for file in (self._spool, self._alive):
            if file is not None:
                file.close()
        self._alive = None

    def _tidy(self, replaced: str | None) -> None:
        """Remove what no page needs: of the one that was replaced, and of runs that were killed."""
        if not (self.folder / _MARK).is_file():
            return
        for entry in _entries(self.folder):
            if not _RUN.fullmatch(entry.name) or entry.name == self.run or entry.is_symlink():
                continue
            if entry.name == replaced or _is_left_over(entry):
                shutil.rmtree(entry, ignore_errors=True)
        if all(entry.name == _MARK for entry in _entries(self.folder)):
            with suppress(OSError):
                (self.folder / _MARK).unlink()
                self.folder.rmdir()

    def _move_out(self) -> None:
        """There are too many for the page."""
        for number in range(len(self._ends)):
            if self._has[number]:
                self._file(number, self._read(number))
        assert self._spool is not None  # noqa: S101
        self._spool.close()
        self._spool = None
        self._mode = "folder"

    def _read(self, number: int) -> bytes:
        assert self._spool is not None  # noqa: S101
        start = self._ends[number - 1] if number else 0
        self._spool.seek(start)
        return self._spool.read(self._ends[number] - start)

    def _file(self, number: int, data: bytes) -> None:
        folder = self._ready() / str(number // _PER_FOLDER)
        if number % _PER_FOLDER == 0 or not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.jpg").write_bytes(data)

    def _ready(self) -> Path:
        place = self.folder / self.run
        if self._alive is None:
            place.mkdir(parents=True)
            self._alive = open(place / _UNFINISHED, "xb")  # noqa: SIM115 (until the end)
            _lock(self._alive)
            self._mark()
        return place

    def _mark(self) -> None:
        note = json.dumps({"about": "Of a report by QualiPy; the next one of its name removes it."})
        (self.folder / _MARK).write_text(f"{note}\n", encoding="utf-8")


def _spool() -> BinaryIO:
    """A file of no name, open until the page is written."""
    return cast(BinaryIO, tempfile.TemporaryFile())


def _lock(file: BinaryIO) -> bool:
    """Lock a file until it is closed, or this process ends; whether nobody else has."""
    try:
        import fcntl
    except ImportError:  # Windows: nobody can tell, so nothing is removed
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another run's, or a file system without locks
        return False
    return True


def _is_left_over(place: Path) -> bool:
    """Whether a folder is that of a run which has come to no end, and is no longer there."""
    try:
        with open(place / _UNFINISHED, "rb") as file:
            return _lock(file)
    except OSError:
        return False


def _is_ours(folder: Path) -> bool:
    """Whether nobody loses anything when a report uses a folder."""
    return not os.path.lexists(folder) or (folder / _MARK).is_file() or not _entries(folder)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except NotADirectoryError:
        return [folder]
    except OSError:
        return []
