"""Where results wait for the end of their set: a file with a line for each, temporary or kept.

A kept one is what a later run goes on with: an image that has a line is not measured again, unless
it has changed. The lines are those of `Result.to_message`, below a line that says by what was
measured. Each is one write, so whatever ends the process leaves at most one line that is not whole,
the last one, which is cut off when the file is opened again.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from array import array
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Self, cast

import numpy as np

from qualipy_core.errors import QualipyError, StoreError
from qualipy_core.image import Image
from qualipy_core.result import Result

if TYPE_CHECKING:
    from qualipy_core.fingerprints import Identity
    from qualipy_core.plan import Plan, Task

VERSION = 2
_IN_MEMORY = 1 << 24  # bytes of a temporary file before it goes to the disk
_LONGEST = 1 << 24  # bytes of a line: a thumbnail of 1024 px, some numbers, messages of errors
_DAMAGED = "Mend or remove that line, or begin a new file; nothing has been changed."


class Journal:
    """Results in a file, in the order in which they came.

    Parameters
    ----------
    file : binary file
        Open for reading and writing; the lines begin at its end.
    path : str
        What to call it.
    """

    def __init__(self, file: IO[bytes], path: str = "") -> None:
        self.path = path
        self._file = file
        self._ends = array("Q", [file.seek(0, os.SEEK_END)])
        self._known: dict[int, list[int]] = {}  # by image, the numbers of lines not taken yet

    @classmethod
    def temporary(cls) -> Self:
        """Return one that is gone when it is closed."""
        return cls(tempfile.SpooledTemporaryFile(_IN_MEMORY))

    @classmethod
    def at(cls, path: str | os.PathLike[str], plan: Plan) -> Self:
        """Begin a file, or go on with it.

        Parameters
        ----------
        path : str or path
            Of the file.
        plan : Plan
            What images are measured by.

        Raises
        ------
        StoreError
            (ValueError) It cannot be opened, another run has it, it is no such file, or its images
            were measured by something else.
        """
        name = os.fspath(path)
        try:
            descriptor = os.open(name, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
            file = open(descriptor, "r+b", buffering=0)  # noqa: SIM115 (closed by `close`)
        except OSError as error:
            raise StoreError(f"{name} cannot be opened: {error.strerror}.", path=name) from None
        try:
            _lock(file, name)
            journal = cls(file, name)
            journal._take_up(plan)
        except BaseException:
            file.close()
            raise
        return journal

    def __len__(self) -> int:
        return len(self._ends) - 1

    def write(self, result: Result, asked: list[Any] | None = None) -> int:
        """Add a result and return the number of its line.

        Parameters
        ----------
        result : Result
            What is measured.
        asked : list, optional
            What a later run asks for it by: `asked_by`.

        Raises
        ------
        StoreError
            The disk is full, say.
        """
        plain = result.to_message()
        if asked is not None:
            plain["asked"] = asked
        return self._add(plain)

    def take(self, asked: list[Any]) -> int | None:
        """Return the number of a line that an image had at the beginning; each once."""
        numbers = self._known.get(_digest(asked))
        return numbers.pop() if numbers else None

    def read(self, number: int) -> Result:
        """Return the result of a line.

        Raises
        ------
        StoreError
            Somebody else has been at the file.
        """
        start, end = self._ends[number], self._ends[number + 1]
        try:
            self._file.seek(start)
            return Result.from_dict(json.loads(self._file.read(end - start)))
        except (OSError, ValueError) as error:
            raise self._error(f"cannot be read again: {error}") from None

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _add(self, plain: dict[str, Any]) -> int:
        line = json.dumps(plain).encode() + b"\n"
        end = self._ends[-1]
        try:
            self._file.seek(end)
            written = self._file.write(line)
            while written < len(line):  # a raw file may take less than all
                written += self._file.write(line[written:])
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(end)
            raise self._error(f"cannot be written: {error.strerror}") from None
        self._ends.append(end + len(line))
        return len(self) - 1

    def _take_up(self, plan: Plan) -> None:
        head = _head(plan)
        self._file.seek(0)
        # No second descriptor: closing that would lift the lock.
        reader = io.BufferedReader(cast("io.RawIOBase", self._file))
        try:
            first = reader.readline(_LONGEST)
            if not first.endswith(b"\n"):
                if first and not json.dumps(head).encode().startswith(first):
                    raise self._error("is no journal of a run")
                first = b""  # nothing was measured before that line was whole
            else:
                self._check(first, head)
            self._ends = array("Q", [len(first)])
            torn = 0
            for number, line in enumerate(iter(lambda: reader.readline(_LONGEST), b""), 2):
                if torn:
                    raise self._error(f"is damaged: line {torn} is no result. {_DAMAGED}")
                asked = _asked(line)
                if asked is None:
                    torn = number
                    continue
                self._known.setdefault(_digest(asked), []).append(len(self))
                self._ends.append(self._ends[-1] + len(line))
            for numbers in self._known.values():
                numbers.reverse()  # the first one is taken first, from the end
        finally:
            reader.detach()
        self._file.truncate(self._ends[-1])
        if not first:
            self._add(head)
            self._ends = self._ends[-1:]

    def _check(self, line: bytes, head: dict[str, Any]) -> None:
        try:
            there = json.loads(line)
            version = there["journal"]
        except (ValueError, LookupError, TypeError):
            raise self._error("is no journal of a run") from None
        if there != head:
            unlike = ", ".join(key for key in head if there.get(key) != head[key])
            what = unlike if version == VERSION else "by another release"
            raise self._error(
                f"was begun otherwise ({what}), and this run "
                "can't go on with it: repeat the run as it was, or begin a new file"
            )

    def _error(self, what: str) -> StoreError:
        name = self.path or "What is measured"
        return StoreError(f"{name} {what}".rstrip(".") + ".", path=self.path or None)


def _head(plan: Plan) -> dict[str, Any]:
    from qualipy_core import __version__, plugins

    filters = [[label, step.to_dict()] for label, step in plan.steps]
    packs = [[label, *plugins.origin(type(step))] for label, step in plan.steps]
    head = {
        "journal": VERSION,
        "filters": filters,
        "packs": packs,
        "stop_early": plan.stop_early,
        "thumbnails": plan.thumbnails,
        "core": __version__,
    }
    read: dict[str, Any] = json.loads(json.dumps(head))  # as it will be read
    return read


def asked_by(task: Task, identity: Identity | None) -> list[Any]:
    """Return what a later run asks by for what is measured of an image, as JSON types.

    It is the same for the same region of the same image as long as that has not changed: a file
    that has its size and its time of modification, an array or bytes of the same content.

    Parameters
    ----------
    task : Task
        The image.
    identity : Identity or None
        By what its file is known again; ``None``: it is no file.
    """
    source, own = task.source, None
    if isinstance(source, Image):
        own, picture = source.ROI, source._picture
        source = picture.source if picture.path is None else picture.path
    regions = [None if roi is None else [int(part) for part in roi] for roi in (own, task.ROI)]
    if identity is None:
        return [task.label, *regions, _content(source)]
    path = os.fspath(source)
    return [task.label, *regions, None if path == task.label else path, *identity[2:]]


def _content(source: Any) -> str:
    """A digest of pixels, or of the bytes of a file."""
    if not isinstance(source, np.ndarray):
        return hashlib.blake2b(source, digest_size=16).hexdigest()
    digest = hashlib.blake2b(f"{source.dtype.str} {source.shape}".encode(), digest_size=16)
    digest.update(source.tobytes())
    return digest.hexdigest()


def _digest(key: list[Any]) -> int:
    return int.from_bytes(hashlib.blake2b(json.dumps(key).encode(), digest_size=8).digest())


def _asked(line: bytes) -> list[Any] | None:
    """What a line was asked by; nothing for one that is not whole."""
    if not line.endswith(b"\n"):
        return None
    try:
        plain = json.loads(line)
        asked = plain.pop("asked")
        Result.from_dict(plain)
    except (ValueError, LookupError, TypeError, RecursionError, QualipyError):
        return None
    return asked if isinstance(asked, list) else None


def _lock(file: IO[bytes], path: str) -> None:
    """Keep other runs from writing the same file while this process lives."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        raise StoreError(f"{path} is being written by another run.", path=path) from None
    except OSError:  # a file system without locks
        pass
