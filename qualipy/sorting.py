"""Sorting photos into folders by what was found: `Sorter`, and taking it back: `undo`.

>>> with Sorter("kept", "dropped", log="sort.jsonl") as sorter:
...     for result in qualipy.scan(paths):
...         sorter.place(result)
>>> for each in undo("sort.jsonl"):
...     print(each.path, each.status)
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Self

from qualipy import transfer
from qualipy.sortlog import VERSION, Unfinished, moved, steps
from qualipy_core.errors import SortError

if TYPE_CHECKING:
    from qualipy_core import Result

Action = Literal["copy", "link", "move"]
Folder = Literal["kept", "dropped", "errors"]

_DO = {"copy": transfer.copy, "link": transfer.link, "move": transfer.move}
# With these there is no sense in trying the next photo.
_FATAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


@dataclass(frozen=True)
class Placed:
    """What has become of a photo."""

    image: str
    folder: Folder  #: where it belongs
    target: str | None  #: its path there; None: there is no folder for it
    #: ``put`` there now, ``there`` already, or ``left`` where it was
    status: Literal["put", "there", "left"]
    reason: str = ""  #: why it was left


@dataclass(frozen=True)
class Undone:
    """What has become of a photo that was put somewhere."""

    path: str  #: where it was put
    source: str  #: where it came from
    #: ``back`` at its source; ``removed``, for it is at its source as well; ``done`` before;
    #: ``left`` where it was put
    status: Literal["back", "removed", "done", "left"]
    reason: str = ""  #: why it was left


class Sorter:
    """Puts photos into folders; a context manager.

    Parameters
    ----------
    kept, dropped : path
        For suitable photos, and for those that a filter has flagged.
    errors : path, optional
        For photos that could not be judged; they stay where they are, by default.
    action : {"copy", "link", "move"}
        ``link`` makes hard links.
    log : path, optional
        A file to be made, in which each step stands before it is taken; for `undo`.
    dry_run : bool
        Change nothing, and make no log.

    Attributes
    ----------
    ended_early : bool
        To be set where photos are left to be placed, by a later sort that goes on; it need not be
        where an error ends the block.

    Raises
    ------
    SortError
        The folders cannot be used so; another sort is at work in them; there is a log already.
    OSError
        A folder or the log cannot be made.
    """

    def __init__(
        self,
        kept: str | os.PathLike[str],
        dropped: str | os.PathLike[str],
        errors: str | os.PathLike[str] | None = None,
        *,
        action: Action = "copy",
        log: str | os.PathLike[str] | None = None,
        dry_run: bool = False,
    ) -> None:
        folders = {"kept": kept, "dropped": dropped, "errors": errors}
        self.folders = {name: os.fspath(path) for name, path in folders.items() if path is not None}
        self.action: Action = action
        self.log = None if log is None or dry_run else os.fspath(log)
        self.dry_run = dry_run
        self._real = [os.path.realpath(path) for path in self.folders.values()]
        if len(set(self._real)) < len(self._real):
            raise SortError("Photos of different kinds cannot go to one folder; name another.")
        self._planned: set[str] = set()  # targets of a dry run
        self._log: BinaryIO | None = None
        self._made: list[str] = []
        self._empty = True  # the log tells of no photo
        self._locks: list[int] = []
        self._folder = ("", False)  # the last one that `is_target` was asked about
        self.ended_early = False
        self._unfinished = Unfinished(self.folders["kept"])
        self._earlier: dict[str, dict[str, str]] = {}  # by log, what sorts have moved
        self._are_mine: Callable[[str], bool] = lambda _path: False

    def __enter__(self) -> Self:
        if self.dry_run:
            return self
        try:
            if self.log is not None:
                self._log = _new_log(self.log)
                first = os.path.abspath(self.folders["kept"])
                self._note(qualipy="sort", version=VERSION, action=self.action, into=first)
            for path in self.folders.values():
                self._make_folder(path)
                if (lock := _locked(path)) is not None:
                    self._locks.append(lock)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None and not self.ended_early and not self.dry_run:
            over = [] if self.log is None else [os.path.abspath(self.log)]
            for log, photos in self._earlier.items():
                if all(map(self._are_mine, photos)):
                    over.append(log)
            self._unfinished.discard(over)
        self._close()

    def go_on(self, are_mine: Callable[[str], bool]) -> Mapping[str, str]:
        """Take up sorts into these folders that ended early, and return where their photos are.

        A set is judged as a whole: the photos that were moved before belong to it, too. Their
        results, under their old paths, are to be placed like the others: these are there already.

        Parameters
        ----------
        are_mine : callable
            Whether a photo that was at a path belongs to this sort; asked at its end. A sort whose
            photos all do has come to its end with this one.

        Returns
        -------
        mapping of str to str
            From the absolute path of each photo that was moved to the one where it is now.

        Raises
        ------
        SortError
            What should be the log of such a sort is none.
        OSError
            It cannot be read.
        """
        self._are_mine = are_mine
        self._earlier = {log: moved(log) for log in self._unfinished.logs()}
        return {old: new for photos in self._earlier.values() for old, new in photos.items()}

    def is_target(self, path: str) -> bool:
        """Whether a path lies in one of the folders that photos are sorted into."""
        parent = os.path.dirname(path)
        if parent != self._folder[0]:
            real = os.path.realpath(parent)
            inside = any(real == top or real.startswith(top + os.sep) for top in self._real)
            self._folder = (parent, inside)
        return self._folder[1]

    def place(self, result: Result, name: str | None = None) -> Placed:
        """Put a photo where its result says.

        Parameters
        ----------
        result : Result
            Of a photo that is a file.
        name : str, optional
            Its path below the folder; the name of the file, by default.

        Raises
        ------
        OSError
            The disk is full or read-only, or the log cannot be written.
        SortError
            The name leads out of the folder.
        """
        folder: Folder = "dropped" if result.flagged else "errors" if result.failed else "kept"
        if folder not in self.folders:
            return Placed(result.image, folder, None, "left")
        below = os.path.basename(result.image) if name is None else name
        if os.path.isabs(below) or {"", ".."} & set(below.split(os.sep)):
            raise SortError(f"{below!r} is no path below a folder.")
        target = os.path.join(self.folders[folder], below)
        try:
            status, reason = self._put(result.image, target)
        except OSError as error:
            if isinstance(error, _LogError) or error.errno in _FATAL:
                error.filename = error.filename or target
                raise
            status, reason = "left", _told(error, self.action)
        return Placed(result.image, folder, target, status, reason)

    def _put(self, source: str, target: str) -> tuple[Literal["put", "there", "left"], str]:
        if "\0" in source:
            return "left", "it is no file on this machine"
        if os.path.lexists(target) or target in self._planned:
            return self._taken(source, target)
        if not transfer.is_file(source):
            for photos in self._earlier.values():
                if (now := photos.get(os.path.abspath(source))) is not None:
                    return "left", f"an earlier sort has moved it to {now}"
            return "left", "it is no file on this machine"
        if self.is_target(source):
            return "left", "it lies in a folder that photos are sorted into"
        if self.action == "move" and os.path.islink(source):
            return "left", "it is a symbolic link"
        if self.dry_run:
            self._planned.add(target)
            return "put", ""
        self._make_folder(os.path.dirname(target))
        if self._empty and self.action == "move" and self.log is not None:
            try:
                self._unfinished.add(self.log)
            except OSError as error:
                raise _LogError(error.errno, error.strerror, self._unfinished.path) from None
        self._empty = False
        self._note(**{"from": os.path.abspath(source), "to": os.path.abspath(target)})
        try:
            _DO[self.action](source, target)
        except FileExistsError:
            return self._taken(source, target)
        return "put", ""

    def _taken(self, source: str, target: str) -> tuple[Literal["there", "left"], str]:
        """Say what it means that something has the name already; nothing is done."""
        if target in self._planned:
            return "left", f"another photo goes to {target}"
        if not os.path.lexists(source) and self.action == "move":
            return "there", ""  # an earlier run has moved it
        if not (transfer.is_file(target) and transfer.are_equal(source, target)):
            return "left", f"another file is {target}"
        if self.action == "move":
            return "left", f"an equal file is {target}"
        return "there", ""

    def _make_folder(self, path: str) -> None:
        if os.path.isdir(path):
            return
        parent = os.path.dirname(path)
        if parent:
            self._make_folder(parent)
        self._note(made=os.path.abspath(path))
        os.mkdir(path)
        self._made.append(path)

    def _note(self, **entry: Any) -> None:
        """Write a line to the log, and wait until it is on the disk."""
        if self._log is None:
            return
        end = self._log.tell()
        line = memoryview(json.dumps(entry).encode() + b"\n")
        try:
            while line:
                line = line[self._log.write(line) :]
            os.fsync(self._log.fileno())
        except OSError as error:
            with suppress(OSError):  # nobody could read on behind half a line
                self._log.truncate(end)
            raise _LogError(error.errno, error.strerror, self.log) from None

    def _close(self) -> None:
        if self._empty:  # and nothing is left of a sort that has put no photo anywhere
            _remove_empty(self._made)
        if self._log is not None:
            with suppress(OSError):
                self._log.close()
            if self._empty and self.log is not None:
                with suppress(OSError):
                    os.unlink(self.log)
            self._log = None
        while self._locks:
            os.close(self._locks.pop())


def undo(log: str | os.PathLike[str], *, dry_run: bool = False) -> Iterator[Undone]:
    """Take a sort back, as far as that loses nothing; may be repeated.

    What was moved goes back, unless there is something in its place. A copy or a link is removed
    if its source is still there and the same. Folders that were made and are empty go as well.

    Parameters
    ----------
    log : path
        Of the sort.
    dry_run : bool
        Change nothing.

    Yields
    ------
    Undone
        For each photo that was put somewhere.

    Raises
    ------
    SortError
        It is no log of a sort.
    OSError
        It cannot be read.
    """
    made = []
    taken = steps(log)
    head = next(taken)
    for step in taken:
        if "made" in step:
            made.append(step["made"])
            continue
        source, target = step["from"], step["to"]
        try:
            yield _taken_back(head["action"], source, target, dry_run)
        except OSError as error:
            yield Undone(target, source, "left", _told(error, head["action"]))
    if not dry_run:
        if isinstance(first := head.get("into"), str):
            Unfinished(first).discard([os.path.abspath(log)])
        _remove_empty(made)


def _taken_back(action: str, source: str, target: str, dry_run: bool) -> Undone:
    there, here = os.path.lexists(source), os.path.lexists(target)
    if not here:
        reason = "" if there else "neither file is there any more"
        return Undone(target, source, "done" if there else "left", reason)
    if not there:
        if action != "move":
            return Undone(target, source, "left", "it is the only one: the photo itself is gone")
        if not dry_run:
            os.makedirs(os.path.dirname(source), exist_ok=True)
            transfer.move(target, source)
        return Undone(target, source, "back")
    if not transfer.is_file(target) or not transfer.are_equal(source, target):
        return Undone(target, source, "left", f"it differs from {source}")
    if not dry_run:
        transfer.remove(target, other=source)
    return Undone(target, source, "removed")


def _remove_empty(folders: list[str]) -> None:
    for folder in reversed(folders):
        with suppress(OSError):
            os.unlink(os.path.join(folder, transfer.UNFINISHED))
        with suppress(OSError):
            os.rmdir(folder)


class _LogError(OSError):
    """The log cannot be written: whatever the reason, no step may be taken."""


def _new_log(path: str) -> BinaryIO:
    try:
        return open(path, "xb", buffering=0)
    except FileExistsError:
        raise SortError(
            f"There is a {path} already, which an earlier sort may need to be undone. Name "
            "another log."
        ) from None


def _locked(folder: str) -> int | None:
    """Keep other sorts from working in a folder while this process lives."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise SortError(f"Another sort is at work in {folder}.") from None
    except OSError:  # a file system without locks
        pass
    return descriptor


def _told(error: OSError, action: str) -> str:
    if error.errno == errno.EXDEV and action == "link":
        return "a link cannot lead to another file system; copy it"
    return (error.strerror or str(error)).lower()
