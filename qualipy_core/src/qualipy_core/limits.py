"""How much one image may cost: pixels, bytes, metadata, seconds.

Photos come from strangers, and a small file can ask for all the memory or all the time that there
is. What a call says wins over the environment, and that over the defaults, which are far beyond any
camera's photos.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from functools import lru_cache
from numbers import Real
from typing import Any

from qualipy_core.errors import LimitsError

VARIABLES = {
    "max_pixels": "QUALIPY_MAX_PIXELS",
    "max_bytes": "QUALIPY_MAX_BYTES",
    "max_exif": "QUALIPY_MAX_EXIF",
    "time_limit": "QUALIPY_TIME_LIMIT",
}

DEFAULTS = {
    "max_pixels": 500e6,  # 1.5 GB once decoded
    "max_bytes": float(1 << 30),  # what it takes to hold 500 megapixels, barely compressed
    "max_exif": float(1 << 20),  # the orientation stands near the start
    "time_limit": 60.0,
}


@dataclass(frozen=True)
class Limits:
    """What one image may cost; what is not said is as in the environment, or else the default.

    Parameters
    ----------
    max_pixels : float, optional
        Pixels of the whole picture, whatever region is judged; 500 million by default
        (``QUALIPY_MAX_PIXELS``). Beyond: `ImageTooLargeError`, before anything is decoded.
    max_bytes : float, optional
        Bytes of a file, 1 GiB by default (``QUALIPY_MAX_BYTES``). Beyond: `ImageTooLargeError`.
    max_exif : float, optional
        Bytes of Exif data that are looked at, 1 MiB by default (``QUALIPY_MAX_EXIF``). Beyond: the
        photo counts as upright.
    time_limit : float, optional
        Seconds for one image in a worker process, 60 by default (``QUALIPY_TIME_LIMIT``). Beyond:
        the process is ended, and the image gets an `ImageTimeoutError`.

    Raises
    ------
    LimitsError
        (ValueError) One is not a number above 0.

    Notes
    -----
    ``math.inf`` takes a limit away.
    """

    max_pixels: float | None = None
    max_bytes: float | None = None
    max_exif: float | None = None
    time_limit: float | None = None

    def __post_init__(self) -> None:
        for name, value in self.said().items():
            if type(value) is bool or not _is_above_0(value):
                raise LimitsError(f"{name} must be a number above 0, not {value!r}.")

    def __bool__(self) -> bool:
        return bool(self.said())

    def said(self) -> dict[str, float]:
        """Return those that are said, by name; JSON types, as long as none is infinite."""
        values = {name: getattr(self, name) for name in VARIABLES}
        return {name: value for name, value in values.items() if value is not None}

    def with_environment(self) -> Limits:
        """Return these, with what the environment says where they say nothing.

        Raises
        ------
        LimitsError
            (ValueError) A variable holds no number above 0.
        """
        return Limits(**{**_of_environment(_texts()), **self.said()})

    def in_force(self) -> Limits:
        """Return these, with all that they do not say filled in: nothing is ``None``.

        Raises
        ------
        LimitsError
            (ValueError) A variable holds no number above 0.
        """
        if None not in (self.max_pixels, self.max_bytes, self.max_exif, self.time_limit):
            return self
        return _filled(self, _texts())  # kept: it is asked for with every image

    def within(self, others: Limits) -> Limits:
        """Return the stricter one of each, of what is in force of the others and said here."""
        values = others.in_force().said()
        return Limits(**values | {n: min(v, values[n]) for n, v in self.said().items()})


def _is_above_0(value: Any) -> bool:
    return isinstance(value, Real) and float(value) > 0


def _texts() -> tuple[str | None, ...]:
    return tuple([os.environ.get(variable) for variable in VARIABLES.values()])


@lru_cache(maxsize=64)
def _filled(limits: Limits, texts: tuple[str | None, ...]) -> Limits:
    return Limits(**{**DEFAULTS, **_of_environment(texts), **limits.said()})


def _of_environment(texts: tuple[str | None, ...]) -> dict[str, float]:
    return {
        name: _number(variable, text)
        for (name, variable), text in zip(VARIABLES.items(), texts, strict=True)
        if text
    }


def _number(variable: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not value > 0:
        raise LimitsError(f"{variable} must be a number above 0, not {text!r}.")
    return value


def shown_bytes(count: float) -> str:
    """Return a number of bytes as people write it."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:.4g} {unit}"
    return f"{count:.0f} bytes"


def checked(value: Any) -> Limits:
    """Return what a call was given as limits.

    Raises
    ------
    LimitsError
        (ValueError) It is something else.
    """
    if value is None:
        return _UNSAID
    if not isinstance(value, Limits):
        raise LimitsError(f"limits must be Limits(...), not {value!r}.")
    return value


_UNSAID = Limits()
