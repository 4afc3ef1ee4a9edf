"""Photos behind URLs, through fsspec, which the extra ``remote`` brings.

Credentials come from the environment of the process, as the library of each protocol reads them.
A URL that holds some is refused, and errors show no URL's query, which may hold a signature.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from qualipy_core.errors import (
    ImageError,
    ImageForbiddenError,
    ImageReadError,
    ImageTooLargeError,
    MissingLibraryError,
)
from qualipy_core.limits import shown_bytes
from qualipy_core.urls import address, has_credentials, is_chain, redacted, shown

if TYPE_CHECKING:
    from qualipy_core.roots import Roots

CONNECT = 10.0
"""Seconds for a web server to accept a connection: three lost packets take seven."""

SILENCE = 30.0
"""Seconds that a web server may be silent: some make a picture when it is asked for."""

ALTOGETHER = 300.0
"""Seconds for one photo, over any protocol: enough for 20 MB at half a megabit per second."""

REDIRECTS = 5
"""How often a web server may send on: to https, to its other name, to its store, …"""

_PIECE = 1 << 20
_REDIRECTED = (301, 302, 303, 307, 308)
_WEB = ("http", "https")
_HERE = ("file", "local")  # fsspec's names for the files of this machine
_EXTRA = 'pip install "qualipy-core[remote]"'
_KEPT = 16  # file systems, one per host or bucket


def open_url(source: str, roots: Roots, max_bytes: float) -> bytes | None:
    """Return the bytes behind a URL.

    Parameters
    ----------
    source : str
        A URL that may be read.
    roots : Roots
        What else may be read, where it is redirected to.
    max_bytes : float
        How much may come.

    Returns
    -------
    bytes or None
        ``None`` for what is no URL.

    Raises
    ------
    ImageReadError, ImageTooLargeError, ImageForbiddenError
        It cannot be had; the message says why, without what may be secret.
    """
    scheme, host = address(source)
    if not scheme or os.path.exists(source):  # a file whose name only looks like a URL
        return None
    if scheme in _HERE:
        raise _failed(source, "is a file of this machine: give its path instead")
    if is_chain(source):
        raise _failed(source, "is a chain of URLs, which is not followed")
    if has_credentials(source):
        raise _failed(source, "holds a user or password: credentials belong in the environment")
    try:
        if scheme in _WEB:
            return _read_web(source, roots, max_bytes)
        return _read(source, f"{scheme}://{host}", max_bytes)
    except (ImageError, MemoryError):
        raise
    except ImportError as error:
        failed = _without_library(source, scheme, error)
        raise failed from MissingLibraryError(failed.message)
    except Exception as error:
        # What a library says, and its traceback, may hold the whole URL.
        raise _explained(source, scheme, error) from (error if shown(source) == source else None)


def _read(source: str, place: str, max_bytes: float) -> bytes:
    key = (os.getpid(), threading.get_ident())

    def read() -> bytes:
        with _file_system(*key, place).open(source, "rb") as file:
            if (getattr(file, "details", None) or {}).get("type") == "directory":
                raise IsADirectoryError(source)  # object stores open these as empty
            data = bytearray()
            _check_size(source, getattr(file, "size", None), max_bytes)
            while piece := file.read(int(min(_PIECE, max_bytes + 1 - len(data)))):
                data += piece
                _check_size(source, len(data), max_bytes)
            return bytes(data)

    return _in_time(read)


def _in_time(function: Callable[[], bytes]) -> bytes:
    """Call a function in a thread, which is left alone with its work when it takes too long."""
    future: Future[bytes] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="qualipy-remote", daemon=True).start()
    try:
        return future.result(ALTOGETHER)
    except TimeoutError:
        _file_system.cache_clear()  # what it hangs in is nothing to ask again
        raise


@lru_cache(_KEPT)
def _file_system(process: int, thread: int, place: str) -> Any:
    """The file system of a host or bucket: not shared with a fork, nor among threads."""
    import fsspec

    return fsspec.core.url_to_fs(place, skip_instance_cache=True)[0]


@lru_cache(1)
def _web(process: int) -> Any:
    import aiohttp
    import fsspec

    timeout = aiohttp.ClientTimeout(total=ALTOGETHER, connect=CONNECT, sock_read=SILENCE)
    # trust_env: the proxies and the .netrc of the environment
    options = {"timeout": timeout, "trust_env": True}
    return fsspec.filesystem("https", skip_instance_cache=True, client_kwargs=options)


def _read_web(source: str, roots: Roots, max_bytes: float) -> bytes:
    system = _web(os.getpid())

    from fsspec.asyn import sync

    asked = (system, source, roots, max_bytes)
    data: bytes = sync(system.loop, _fetch, *asked, timeout=ALTOGETHER)
    return data


async def _fetch(system: Any, source: str, roots: Roots, max_bytes: float) -> bytes:
    """Follow redirects one by one: each may lead to where this run must not read."""
    from yarl import URL

    session = await system.set_session()
    url = source
    for _ in range(REDIRECTS + 1):
        # What was compared with the roots is what is asked for, to the letter.
        encoded = url.isascii() and " " not in url
        asked = session.get(
            URL(url, encoded=encoded),
            allow_redirects=False,
            headers={"Accept-Encoding": "identity"},
        )
        async with asked as answer:
            if answer.status not in _REDIRECTED:
                return await _body(source, answer, max_bytes)
            target = urljoin(url, answer.headers.get("Location", ""))
        _check_redirect(source, url, target, roots)
        url = target
    raise _failed(source, f"is redirected more than {REDIRECTS} times")


async def _body(source: str, answer: Any, max_bytes: float) -> bytes:
    if answer.status in (404, 410):
        raise FileNotFoundError(source)
    if answer.status in (401, 403, 407):
        raise PermissionError(source)
    if answer.status != 200:
        reason = f"{answer.status} {answer.reason or ''}".strip()
        raise _failed(source, f"cannot be opened: the server answers {reason}")
    _check_size(source, answer.content_length, max_bytes)
    data = bytearray()
    async for piece in answer.content.iter_chunked(_PIECE):
        data += piece
        _check_size(source, len(data), max_bytes)
    return bytes(data)


def _check_redirect(source: str, url: str, target: str, roots: Roots) -> None:
    to = f"is redirected to {shown(target)}"
    scheme, _ = address(target)
    if scheme not in _WEB:
        raise _failed(source, f"{to}, which is no web page")
    if scheme == "http" and url.lower().startswith("https:"):
        raise _failed(source, f"{to}, from a safe connection to an open one")
    if has_credentials(target):
        raise _failed(source, f"{to}, with a user or password in it")
    if not roots.allow(target):
        # Where to is nothing for those who may not go there.
        raise ImageForbiddenError(
            f"{shown(source)} is redirected to what is not below an image root of this run.",
            image=source,
        )


def _check_size(source: str, size: int | None, max_bytes: float) -> None:
    if size is not None and size > max_bytes:
        raise ImageTooLargeError(
            f"{shown(source)} is larger than {shown_bytes(max_bytes)}, the limit "
            "(QUALIPY_MAX_BYTES).",
            image=source,
        )


def _explained(source: str, scheme: str, error: Exception) -> ImageReadError:
    """The error of an image, for what the libraries of fsspec raise."""
    if isinstance(error, FileNotFoundError):
        return _failed(source, "cannot be opened: there is nothing of that name")
    if isinstance(error, IsADirectoryError):
        return _failed(source, "is a folder, not an image file")
    if isinstance(error, PermissionError):
        return _failed(source, "may not be read with the credentials of this environment")
    if isinstance(error, TimeoutError):
        return _failed(source, "has not come in time: the server is silent, or too slow")
    if isinstance(error, ValueError) and "Protocol not known" in str(error):
        return _failed(source, f"cannot be opened: neither a pack nor fsspec knows {scheme}://")
    told = redacted(f"{type(error).__name__}: {error}").rstrip(".: ")
    return _failed(source, f"cannot be opened: {told}")


def _without_library(source: str, scheme: str, error: ImportError) -> ImageReadError:
    missing = error
    while isinstance(missing.__cause__, ImportError):  # fsspec's words first, then Python's
        missing = missing.__cause__
    library = (missing.name or "").partition(".")[0]
    if library in ("fsspec", "aiohttp", "yarl"):
        how = f"{scheme}:// needs {library}, which is not installed: {_EXTRA}"
    else:
        how = f"{scheme}:// needs {library or 'a library'}, which cannot be imported: {error}"
    return _failed(source, f"cannot be opened: {how}")


def _failed(source: str, what: str) -> ImageReadError:
    return ImageReadError(f"{shown(source)} {what}.", image=source)
