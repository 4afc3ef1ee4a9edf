"""Filters that work, dawdle, hang, raise and die as they are told, and pictures that cost nothing.

A picture is named ``stand-in://3``, or ``stand-in://word/3``; that of the word ``broken`` cannot
be opened. Others, such as ``hang`` and ``poison``, tell filters what to do.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Comparison, Filter, Image, SetFilter, hookimpl

SCHEME = "stand-in://"
STARTED_BY_TEST = b"QUALIPY_STARTED_BY_TEST="


@hookimpl
def qualipy_open_source(source: str) -> NDArray[np.uint8] | None:
    if not source.startswith(SCHEME):
        return None
    word, _, number = source.removeprefix(SCHEME).rpartition("/")
    if word == "broken":
        raise OSError(f"no picture behind {source}")
    return np.full((4, 4, 3), int(number) % 256, np.uint8)


def label(image: Image) -> str:
    """What tells a filter what to do: not the folders of a file, which are named after a test."""
    name = image.name
    return name.removeprefix(SCHEME) if name.startswith(SCHEME) else Path(name).name


def note(file: str, image: Image) -> None:
    """Append ``image pid time`` to a file, in one piece whoever else does."""
    line = f"{image.name} {os.getpid()} {time.time():.6f}\n".encode()
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def noted(file: str, image: Image) -> int:
    """How often an image has been noted."""
    lines = Path(file).read_text().splitlines()
    return sum(line.rsplit(" ", 2)[0] == image.name for line in lines)


class Mean(Filter):
    """Bright pictures: the mean of all pixels, 0 … 1."""

    name = "mean"

    def measure(self, image: Image) -> float:
        return float(image.pixels().mean()) / 255


class Slow(Filter):
    """Sleeps.

    Parameters
    ----------
    seconds : float
        For each image.
    """

    name = "slow"
    seconds: float = 0.05

    def measure(self, image: Image) -> float:
        time.sleep(self.seconds)
        return 0.0


class Busy(Filter):
    """Computes, in one thread.

    Parameters
    ----------
    milliseconds : float
        Of CPU time for each image.
    """

    name = "busy"
    milliseconds: float = 5.0

    def measure(self, image: Image) -> float:
        end = time.thread_time() + self.milliseconds / 1000
        while time.thread_time() < end:
            pass
        return 0.0


class Counted(Filter):
    """Notes each run before anything else can happen to it.

    Parameters
    ----------
    file : str
        Gets a line ``image pid time`` for each run.
    """

    name = "counted"
    file: str = "counted.txt"

    def measure(self, image: Image) -> float:
        note(self.file, image)
        return 0.0


class Raising(Filter):
    """Raises on every image."""

    name = "raising"

    def measure(self, image: Image) -> float:
        raise ZeroDivisionError("boom")


class Same(SetFilter):
    """Pictures that another one of the set equals: all but the first, by name.

    Parameters
    ----------
    file : str
        Where to note each image of which a fingerprint is made; empty: nowhere.
    """

    name = "same"
    file: str = ""

    def fingerprint(self, image: Image) -> NDArray[np.uint8]:
        if self.file:
            note(self.file, image)
        if label(image).startswith("faceless"):
            raise ValueError("no face")
        return image.pixels()[0, 0]

    def compare(self, fingerprints: NDArray[np.uint8]) -> Comparison:
        if fingerprints.max() == 13:
            raise ValueError("bad luck")
        _, members = np.unique(fingerprints, axis=0, return_inverse=True)
        groups = [np.flatnonzero(members == member) for member in range(members.max() + 1)]
        predictions = np.zeros(len(members))
        for group in groups:
            predictions[group[1:]] = 1.0
        return Comparison(predictions, tuple(tuple(group.tolist()) for group in groups))


class Poison(Filter):
    """Kills its process on images whose name has ``poison`` in it.

    Parameters
    ----------
    how : str
        ``kill``: SIGKILL. ``segv``: reads where nothing is. ``exit``: ends without a word.
        ``parent``: kills the process that started this one as well. A name with ``poison-segv``
        and so on chooses for its image.
    times : int
        Only the first runs of an image are deadly, so many as this; 0: all.
    file : str
        Where the runs are noted as `counted` does, when ``times`` is given.
    """

    name = "poison"
    how: str = "kill"
    times: int = 0
    file: str = "poisoned.txt"

    def measure(self, image: Image) -> float:
        if "poison" not in label(image):
            return 0.0
        if self.times:
            note(self.file, image)
            if noted(self.file, image) > self.times:
                return 0.0
        named = [how for how in DEATHS if f"poison-{how}" in label(image)]
        DEATHS[named[0] if named else self.how]()
        raise AssertionError("still alive")


class Hang(Filter):
    """Never returns on images whose name has ``hang`` in it.

    Parameters
    ----------
    how : str
        ``python``: in a loop that a signal can interrupt. ``c``: in the C library, where no other
        thread and no signal handler of Python gets a turn, and no CPU time is used.
    """

    name = "hang"
    how: str = "python"

    def measure(self, image: Image) -> float:
        if "hang" not in label(image):
            return 0.0
        if self.how == "c":
            library = ctypes.PyDLL(None)  # unlike CDLL, keeps the interpreter to itself
            mutex = ctypes.create_string_buffer(128)
            library.pthread_mutex_lock(mutex)
            library.pthread_mutex_lock(mutex)
        while True:
            time.sleep(0.05)


def _kill_with_parent() -> None:
    parent = os.getppid()
    # Never the test itself, nor what has started it.
    assert STARTED_BY_TEST in Path(f"/proc/{parent}/environ").read_bytes()
    os.kill(parent, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


DEATHS = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segv": lambda: ctypes.string_at(0),
    "exit": lambda: os._exit(7),
    "parent": _kill_with_parent,
}
