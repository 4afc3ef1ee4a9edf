"""What a run may read: the image roots, folders and URLs below which every image must lie.

A service lets strangers name images; without roots they could name any file that it may read.
The roots are those of the variable ``QUALIPY_IMAGE_ROOTS``, and those of the call: a source must
lie below one of each, so a call can only narrow what the environment allows.

A path is judged by where it really is, links resolved, before it is opened and once more when it
is open, by what was opened. What is refused is refused before anybody looks whether it exists.
A URL is judged by how it is written; see `qualipy_core.urls`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from qualipy_core.errors import ImageForbiddenError, ImageRootsError
from qualipy_core.urls import URL, shown

VARIABLE = "QUALIPY_IMAGE_ROOTS"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # two letters at least: `C:` is a drive


@dataclass(frozen=True)
class Roots:
    """What a run may read; everything, when there are no groups.

    Attributes
    ----------
    groups : tuple of tuple of str
        A source must lie below one root of each group. Roots are real paths and URLs.
    """

    groups: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def of_run(cls, image_roots: Iterable[str | os.PathLike[str]] | None = None) -> Roots:
        """Return the roots of a run that begins now.

        Parameters
        ----------
        image_roots : iterable of (str or path), optional
            Folders and URLs beside those of the environment: a source must be below one of both.

        Raises
        ------
        ImageRootsError
            (ValueError) These, or those in the environment, are no roots.
        """
        groups = []
        if (text := os.environ.get(VARIABLE)) is not None:
            groups.append(_group(_listed(text), VARIABLE))
        if image_roots is not None:
            if isinstance(image_roots, str | bytes | os.PathLike):
                raise ImageRootsError(f"image_roots must be a list, not {image_roots!r}.")
            groups.append(_group(image_roots, "image_roots"))
        return cls(tuple(groups))

    def __bool__(self) -> bool:
        return bool(self.groups)

    def __add__(self, other: Roots) -> Roots:
        return Roots(self.groups + tuple(g for g in other.groups if g not in self.groups))

    def allow(self, source: str) -> bool:
        """Whether a path or URL may be read."""
        if not self.groups:
            return True
        if "://" in source or "::" in source or _SCHEME.match(source):
            url = URL.parse(source)
            return url is not None and all(_holds_url(group, url) for group in self.groups)
        try:
            return all(self._hold(os.path.realpath(p)) for p in (source, *_turning_points(source)))
        except (OSError, ValueError):  # a name that no file can have, or no working directory
            return False

    def check(self, source: str, name: str | None = None) -> None:
        """Do nothing for what may be read, a path or URL.

        Parameters
        ----------
        source : str
            The path or URL.
        name : str, optional
            What errors call it.

        Raises
        ------
        ImageForbiddenError
            (PermissionError) It may not be read. Whether it exists was not looked at.
        """
        if not self.allow(source):
            raise self._forbidden(source, name)

    def open(self, path: str, name: str | None = None) -> BinaryIO:
        """Open a file for reading, if it may be read: also when links change meanwhile.

        Parameters
        ----------
        path : str
            A path, not a URL.
        name : str, optional
            What errors call it.

        Raises
        ------
        ImageForbiddenError
            (PermissionError) It may not be read.
        OSError, ValueError
            It cannot be opened.
        """
        self.check(path, name)
        file = open(path, "rb")  # noqa: SIM115 (the caller closes it)
        if self.groups and not self._hold(_place(file, path)):
            file.close()
            raise self._forbidden(path, name)
        return file

    def _hold(self, real_path: str) -> bool:
        return all(_holds_path(group, real_path) for group in self.groups)

    def _forbidden(self, source: str, name: str | None) -> ImageForbiddenError:
        name = name or source
        return ImageForbiddenError(
            f"{shown(name)} may not be read: it is not below an image root of this run.",
            image=name,
        )


def _listed(text: str) -> list[Any]:
    """The roots that the variable lists: separated as in PATH, or as a JSON array.

    URLs hold colons themselves, in places that a rule for telling them apart would one day get
    wrong, in favour of too much: they need the array.
    """
    if text.lstrip().startswith("["):
        try:
            listed = json.loads(text)
        except ValueError as error:
            raise ImageRootsError(f"{VARIABLE} is not valid JSON: {error}.") from None
        return list(listed)
    if "://" in text:
        raise ImageRootsError(
            f'{VARIABLE} holds a URL: write a JSON array, such as ["/photos", "https://host/a"].'
        )
    roots = [root for root in text.split(os.pathsep) if root]
    if not roots:
        raise ImageRootsError(
            f"{VARIABLE} is empty: remove it to allow everything, or write [] to allow nothing."
        )
    return roots


def _group(roots: Iterable[Any], origin: str) -> tuple[str, ...]:
    try:
        return tuple(_root(root) for root in roots)
    except (TypeError, ValueError, OSError) as error:
        if isinstance(error, ImageRootsError):
            raise
        raise ImageRootsError(f"{origin}: {error}.") from None


def _root(root: Any) -> str:
    root = os.fspath(root)
    if not isinstance(root, str) or not root:
        raise ValueError(f"a root is a folder or a URL, not {root!r}")
    if "://" not in root:
        return os.path.realpath(root)
    url = URL.parse(root)
    if url is None or (url.scheme.startswith("http") and re.search(r"[?#]", root)):
        raise ValueError(f"{shown(root)} is no URL to be a root: https://host/folder, plainly")
    if url.scheme in ("file", "local"):
        raise ValueError(f"{root}: give a folder of this machine by its path")
    return root


def _holds_url(group: Iterable[str], url: URL) -> bool:
    parsed = (URL.parse(root) for root in group if "://" in root)
    return any(root is not None and url.is_below(root) for root in parsed)


def _holds_path(group: Iterable[str], real_path: str) -> bool:
    path = os.path.normcase(real_path)
    for root in group:
        if "://" not in root:
            folder = os.path.normcase(root)
            if path == folder or path.startswith(folder.rstrip(os.sep) + os.sep):
                return True
    return False


def _turning_points(path: str) -> Iterator[str]:
    """Yield each folder that a path enters and leaves again by ``..``.

    Outside the roots, what comes of such a path would tell whether the folder is there.
    """
    parts = re.split(r"[\\/]" if os.sep == "\\" else "/", path)
    for number, part in enumerate(parts):
        before = parts[:number]
        if part == ".." and any(name not in ("", ".", "..") for name in before):
            yield os.sep.join(before)


def _place(file: BinaryIO, path: str) -> str:
    """Where an open file really is: told by the system where it can, else by its path again."""
    try:
        return os.readlink(f"/proc/self/fd/{file.fileno()}")
    except OSError:
        return os.path.realpath(path)
