"""Decoders that talk: what they print about a bad file is kept from the standard error stream.

What is wrong with an image is in its error. libjpeg and libpng write to the C library's ``stderr``,
and OpenCV logs. Redirecting the descriptor would take along what Python writes in other threads;
here the C library's own stream is exchanged, which Python, tracebacks and the fault handler do not
use, and OpenCV's log level is lowered.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from qualipy_core.opencv import cv2

_logging = cv2.utils.logging
_lock = threading.Lock()
_inside = 0  # how many threads are in the block
_level_before = 0


class _Stream:
    """The C library's variable ``stderr``, and a stream into the void to put there."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self._variable = ctypes.c_void_p.in_dll(library, "stderr")
        self._real = self._variable.value
        open_stream = library.fopen
        open_stream.restype = ctypes.c_void_p
        self._void = open_stream(os.fsencode(os.devnull), b"w") or self._real

    def exchange(self, silent: bool) -> None:
        self._variable.value = self._void if silent else self._real


def _made() -> _Stream | None:
    # Elsewhere the variable has another name, or is read-only.
    if sys.platform != "linux" or "CS_GNU_LIBC_VERSION" not in os.confstr_names:
        return None
    try:
        return _Stream() if os.confstr("CS_GNU_LIBC_VERSION") else None
    except (OSError, ValueError, AttributeError):
        return None


_stream: Any = _made()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep C libraries and OpenCV from printing; in all threads, while one is in the block."""
    global _inside
    with _lock:
        _inside += 1
        if _inside == 1:
            _silence()
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _restore()


def quiet_for_good() -> None:
    """Keep them from printing in this process: a worker, whose user sees what is in the results."""
    global _inside
    with _lock:
        _inside += 1
        _silence()


def _silence() -> None:
    global _level_before
    _level_before = _logging.getLogLevel()
    _logging.setLogLevel(_logging.LOG_LEVEL_SILENT)
    if _stream is not None:
        _stream.exchange(silent=True)


def _restore() -> None:
    if _stream is not None:
        _stream.exchange(silent=False)
    _logging.setLogLevel(_level_before)


def _after_fork() -> None:
    """The threads that were in the block are the parent's."""
    global _lock, _inside
    _lock = threading.Lock()
    if _inside:
        _inside = 0
        _restore()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
