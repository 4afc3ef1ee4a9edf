"""Filters that do what no filter should, in a module that worker processes can import."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time

import numpy as np

from qualipy_core import Filter, Image, gray


class _Odd(BaseException):
    """No Exception: what is caught as one does not catch it."""


class Raises(Filter):
    """Raises what is no Exception."""

    name = "raises"

    def measure(self, image: Image) -> float:
        raise _Odd("odd")


class Exits(Filter):
    """Wants to end the program."""

    name = "exits"

    def measure(self, image: Image) -> float:
        sys.exit("enough")


class Recurses(Filter):
    """Calls itself for ever."""

    name = "recurses"

    def measure(self, image: Image) -> float:
        return self.measure(image)


class Hoards(Filter):
    """Asks for more memory than there is."""

    name = "hoards"

    def measure(self, image: Image) -> float:
        return float(np.ones(1 << 50)[0])


class SaysNothing(Filter):
    """Measures nothing."""

    name = "says_nothing"

    def measure(self, image: Image) -> float:
        return None  # type: ignore[return-value]


class SaysText(Filter):
    """Measures a text."""

    name = "says_text"

    def measure(self, image: Image) -> float:
        return "0.5"  # type: ignore[return-value]


class SaysNan(Filter):
    """Measures no number."""

    name = "says_nan"

    def measure(self, image: Image) -> float:
        return float("nan")


class Paints(Filter):
    """Paints over what all filters share."""

    name = "paints"
    speed = 1

    def measure(self, image: Image) -> float:
        gray(image)[:] = 0
        return 0.0


class Talks(Filter):
    """Writes to standard output, as text and below."""

    name = "talks"

    def measure(self, image: Image) -> float:
        print("{}", flush=True)
        os.write(1, b"noise\n")
        return 0.5


class Threads(Filter):
    """Leaves a thread behind that never ends."""

    name = "threads"

    def measure(self, image: Image) -> float:
        threading.Thread(target=time.sleep, args=(1000,)).start()
        return 0.5


class Segfaults(Filter):
    """Reads where nothing is."""

    name = "segfaults"

    def measure(self, image: Image) -> float:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        return float(ctypes.string_at(0)[0])
