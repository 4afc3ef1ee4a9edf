"""What child processes have in common: how they start, settle in, and end with their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.context import BaseContext


def fresh_context(*preload: str) -> BaseContext:
    """Return the way to start processes that inherit nothing of this one's threads and locks.

    Forking this process would copy its threads' locks; a fork server has none, and has paid for
    importing OpenCV and the modules named once for all children.
    """
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if "forkserver" in methods:
        context.set_forkserver_preload(["qualipy_core._forkserver", "qualipy_core.image", *preload])
    if hasattr(signal, "pthread_sigmask"):
        resource_tracker.ensure_running()  # started within `no_interrupts`, it would lift the mask
    return context


@contextmanager
def no_interrupts() -> Iterator[None]:
    """Put Ctrl-C off while processes start: they are half made, and the terminal tells all."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def settle() -> None:
    """Make the process that this runs in a well-behaved child: called first thing in it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to handle
    threading.Thread(target=_die_with_parent, daemon=True).start()

    from qualipy_core.opencv import cv2
    from qualipy_core.quiet import quiet_for_good

    cv2.setNumThreads(1)  # the workers share the cores already
    quiet_for_good()
    with suppress(OSError):
        os.dup2(2, 1)  # what packs print is no result, which standard output may be full of


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


_forked_with_threads = False


def may_fork() -> bool:
    """Whether a fork of this process is as good as a fresh one: it has one thread, and always had.

    Threads do not survive a fork, but what they worked for does: OpenCV's pool, once used, hangs
    for ever in the fork, and NumPy's algebra still shares its work among all cores.
    """
    return sys.platform == "linux" and not _forked_with_threads and _native_threads() == 1


def _native_threads() -> int:
    return len(os.listdir("/proc/self/task"))  # those of C libraries too


def _before_fork() -> None:
    global _forked_with_threads
    if sys.platform == "linux":
        _forked_with_threads = _forked_with_threads or _native_threads() > 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork)
