"""What the paths on a command line mean: files, folders, patterns, lists on standard input.

A path is, in this order: ``-``, the list on standard input; a folder, taken with all that is
below it; an existing file, whatever its name; a pattern such as ``photos/**/*.png``; and else a
name that is handed on as it is, for a pack may open it (``s3://…``) and if none does, its line in
the report says that it is missing.
"""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable, Iterable, Iterator

SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".webp",
        ".tif",
        ".tiff",
        ".bmp",
        ".dib",
        ".gif",
        ".avif",
        ".jp2",
        ".pbm",
        ".pgm",
        ".ppm",
        ".pnm",
    ]
)
"""What a file's name must end with to be taken from a folder; case does not matter."""

_CHUNK = 1 << 16

Unreadable = Callable[[str, OSError], None]


class Sources:
    """The images that a list of paths stands for, found as they are asked for.

    Parameters
    ----------
    paths : iterable of str
        As on the command line.
    null : bool
        The list on standard input is separated by NUL, not by line.
    suffixes : iterable of str
        Taken from folders beside `SUFFIXES`.
    """

    def __init__(
        self, paths: Iterable[str], *, null: bool = False, suffixes: Iterable[str] = ()
    ) -> None:
        self.paths = tuple(paths)
        self.null = null
        extra = (word.strip().lower() for word in suffixes)
        self.suffixes = SUFFIXES | {f".{word.lstrip('.')}" for word in extra if word.strip(".")}

    def images(self, unreadable: Unreadable) -> Iterator[str]:
        """Yield the path of every image, in the order given; within a folder, sorted.

        Parameters
        ----------
        unreadable : callable
            Told of each folder that cannot be listed, and why.
        """
        for path in self.paths:
            if path == "-":
                for listed in read_list(null=self.null):
                    yield from self._meant(listed, unreadable)
            else:
                yield from self._meant(path, unreadable)

    def count(self) -> int | None:
        """Count the images, without keeping them; ``None`` when there is a list to wait for."""
        if "-" in self.paths:
            return None
        return sum(1 for _ in self.images(lambda _path, _error: None))

    def _meant(self, path: str, unreadable: Unreadable) -> Iterator[str]:
        if os.path.isdir(path):
            yield from self._below(path, unreadable)
        elif "://" in path or os.path.lexists(path) or not glob.has_magic(path):
            yield path
        else:
            yield from self._matching(path, unreadable)

    def _matching(self, pattern: str, unreadable: Unreadable) -> Iterator[str]:
        """What a shell would make of a pattern; one that matches nothing is handed on."""
        matches = sorted(glob.glob(pattern, recursive=True))
        seen = set()  # `**` follows links, round in circles if they lead there
        for match in matches:
            if not os.path.isdir(match):
                if (real := os.path.realpath(match)) not in seen:
                    yield match
                seen.add(real)
            elif "**" not in pattern:  # which lists what is below by itself
                yield from self._below(match, unreadable)
        if not matches:
            yield pattern

    def _below(self, folder: str, unreadable: Unreadable) -> Iterator[str]:
        """Walk a folder, depth first, in the order of the names; hidden ones are left out."""
        stack = [self._listed(folder, unreadable)]
        while stack:
            entry = next(stack[-1], None)
            if entry is None:
                stack.pop()
            elif _is_folder(entry, follow=False):
                stack.append(self._listed(entry.path, unreadable))
            elif self._by_suffix(entry.name) and not _is_folder(entry, follow=True):
                yield entry.path

    def _by_suffix(self, name: str) -> bool:
        return os.path.splitext(name)[1].lower() in self.suffixes

    def _listed(self, folder: str, unreadable: Unreadable) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                shown = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            unreadable(folder, error)
            return iter(())
        return iter(sorted(shown, key=lambda entry: entry.name))


def _is_folder(entry: os.DirEntry[str], *, follow: bool) -> bool:
    """Whether an entry is a folder; a link to itself is none, and an error once it is opened."""
    try:
        return entry.is_dir(follow_symlinks=follow)
    except OSError:
        return False


def read_list(*, null: bool) -> Iterator[str]:
    """Yield the paths of the list on standard input as they arrive; empty ones are left out."""
    separator = b"\0" if null else b"\n"
    if sys.stdin is None:  # closed by who started us
        return
    stream = sys.stdin.buffer
    read = getattr(stream, "read1", stream.read)
    rest = b""
    while chunk := read(_CHUNK):
        *lines, rest = (rest + chunk).split(separator)
        yield from _paths(lines, null)
    yield from _paths([rest], null)


def _paths(lines: Iterable[bytes], null: bool) -> Iterator[str]:
    for line in lines:
        path = line if null else line.removesuffix(b"\r")  # lists made on Windows
        if path:
            yield os.fsdecode(path)
