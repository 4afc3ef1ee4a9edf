"""Photos straight out of ZIP archives: ``album.zip!beach.jpg`` is the member ``beach.jpg``.

This module is registered under the entry-point group ``qualipy.hooks``. QualiPy imports it before
it opens its first file, so it imports little itself.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

from qualipy_core import hookimpl

if TYPE_CHECKING:
    from qualipy_core.roots import Roots

LARGEST = 256 << 20  # bytes of one member: a few kilobytes may unpack to terabytes
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")


@hookimpl
def qualipy_open_source(source: str, roots: Roots) -> bytes | None:
    """Return the bytes of a member of an archive; ``None`` for every other source."""
    archive, separator, member = source.partition(".zip!")
    if not separator or os.path.exists(source):
        return None
    # The source may be read, but the archive may be a link that leads elsewhere.
    with roots.open(archive + ".zip") as file, zipfile.ZipFile(file) as opened:
        size = opened.getinfo(member).file_size
        if size > LARGEST:
            raise ValueError(f"{member} unpacks to {size >> 20} MiB; {LARGEST >> 20} are allowed")
        return opened.read(member)


def members(archive: str | os.PathLike[str]) -> Iterator[str]:
    """Yield the photos of an archive, as sources for `qualipy.scan`, sorted by name.

    Parameters
    ----------
    archive : str or path
        A ZIP file whose name ends in ``.zip``.

    Raises
    ------
    OSError
        It cannot be read.
    zipfile.BadZipFile
        It is no ZIP file.
    """
    with zipfile.ZipFile(archive) as opened:
        names = sorted(opened.namelist())
    for name in names:
        if name.lower().endswith(SUFFIXES):
            yield f"{os.fspath(archive)}!{name}"
