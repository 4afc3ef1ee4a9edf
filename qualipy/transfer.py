"""Copying, linking and moving files so that no moment of it can lose one.

A file is under its new name as a whole or not at all; what has that name already stays; and the
old name goes only when the new one is on the disk. Whoever is killed on the way leaves at most a
file with the name `UNFINISHED` in the folder of the target, which the next one removes.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import suppress

UNFINISHED = ".qualipy-sort.part"
_CHUNK = 1 << 20
# What file systems without hard links, and systems that forbid them, answer to one.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def copy(source: str, target: str) -> None:
    """Copy a file with its times and permissions.

    Raises
    ------
    FileExistsError
        There is something under that name.
    OSError
        It cannot be done; then nothing is under that name.
    """
    unfinished = os.path.join(os.path.dirname(target), UNFINISHED)
    with suppress(FileNotFoundError):
        os.unlink(unfinished)
    try:
        with open(source, "rb") as reader, open(unfinished, "xb") as writer:
            shutil.copyfileobj(reader, writer, _CHUNK)
            writer.flush()
            os.fsync(writer.fileno())
        with suppress(OSError):  # a file system that keeps no permissions
            shutil.copystat(source, unfinished)
        rename(unfinished, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(unfinished)
        raise


def link(source: str, target: str) -> None:
    """Give a file a second name: a hard link, of the file itself where the source is a link.

    Raises
    ------
    FileExistsError
        There is something under that name.
    OSError
        It cannot be done, for it would be on another file system, say.
    """
    os.link(os.path.realpath(source), target)


def move(source: str, target: str) -> None:
    """Move a file, to another file system as well.

    Raises
    ------
    FileExistsError
        There is something under that name.
    OSError
        It cannot be done; then the source is where it was.
    """
    try:
        rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy(source, target)
        try:
            remove(source, other=target)
        except OSError:
            with suppress(OSError):
                remove(target, other=source)
            raise


def rename(source: str, target: str) -> None:
    """Rename a file within a file system.

    Raises
    ------
    FileExistsError
        There is something under that name; `os.rename` would replace it.
    OSError
        It cannot be done; then the source is where it was.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from None
        os.rename(source, target)
        to_disk(target)
        return
    to_disk(target)
    try:
        os.unlink(source)
    except OSError:
        with suppress(OSError):
            remove(target, other=source)
        raise


def remove(path: str, *, other: str) -> None:
    """Remove a file of which there is another copy, if that is really another one.

    Two paths may lead to one file: the folder is mounted twice, say. So it is put aside first,
    and put back if the other one has gone with it.

    Raises
    ------
    OSError
        It cannot be done, or both are one.
    """
    aside = os.path.join(os.path.dirname(path), f".qualipy-sort-{os.urandom(4).hex()}.old")
    os.replace(path, aside)
    if not _is_there_itself(other):
        os.replace(aside, path)
        raise OSError(errno.EINVAL, f"it is the same file as {other}", path)
    os.unlink(aside)


def are_equal(one: str, other: str) -> bool:
    """Whether two regular files have the same content."""
    if os.path.samefile(one, other):
        return True
    with open(one, "rb") as first, open(other, "rb") as second:
        if os.fstat(first.fileno()).st_size != os.fstat(second.fileno()).st_size:
            return False
        while chunk := first.read(_CHUNK):
            if chunk != second.read(_CHUNK):
                return False
        return not second.read(1)


def _is_there_itself(path: str) -> bool:
    """Whether a path is a regular file, and no link to one that may be the file put aside."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def is_file(path: str) -> bool:
    """Whether a path leads to a regular file: no folder, no pipe, nothing that is missing."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def to_disk(path: str) -> None:
    """Wait until a folder's entry has reached the disk."""
    with suppress(OSError):  # not on Windows
        folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
