"""Waiting out a Redis that is away, starting up, or full: what was asked is asked again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from kombu.exceptions import OperationalError
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ConnectionError,  # noqa: A004
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,  # noqa: A004
    TryAgainError,
)

from qualipy_celery import settings
from qualipy_core.errors import ExecutorError

T = TypeVar("T")

PASSING = (
    BusyLoadingError,
    ConnectionError,
    OperationalError,
    OSError,
    OutOfMemoryError,
    ReadOnlyError,
    TimeoutError,
    TryAgainError,
)
"""Errors of a Redis that may be well again in a moment."""

_REFUSALS = (AuthenticationError, AuthorizationError, NoPermissionError)
_PASSING_WORDS = ("OOM ", "LOADING ", "READONLY ", "MISCONF ", "MASTERDOWN ", "CLUSTERDOWN ")
_LONGEST_PAUSE = 2.0
_FIRST_PAUSE = 0.05
_TELL_AFTER = 5.0

_log = logging.getLogger(__name__)


def patiently(
    call: Callable[[], T],
    *,
    seconds: float | None = None,
    meanwhile: Callable[[float], None] = time.sleep,
) -> T:
    """Return what a call returns, asking again while Redis is away.

    Parameters
    ----------
    call : callable
        Harmless when it is done twice: nobody knows whether a call whose answer got lost was done.
    seconds : float, optional
        How long; ``QUALIPY_PATIENCE`` by default.
    meanwhile : callable
        Given the seconds to pass before the next try.

    Raises
    ------
    ExecutorError
        (RuntimeError) It was away for longer, or lets this user do no such thing.
    """
    limit = settings.patience() if seconds is None else seconds
    began = time.monotonic()
    pause, told = _FIRST_PAUSE, False
    while True:
        try:
            return call()
        except _REFUSALS as error:
            raise ExecutorError(
                f"Redis refuses it: {_told(error)}. Do QUALIPY_BROKER_URL and "
                "QUALIPY_RESULT_BACKEND name the right user and password?"
            ) from error
        except Exception as error:
            if isinstance(error.__cause__, _REFUSALS):
                raise ExecutorError(f"Redis refuses it: {_told(error)}.") from error
            if not passes(error):
                raise
            away = time.monotonic() - began
            if away >= limit:
                raise ExecutorError(
                    f"Redis cannot be used: {_told(error)}. Is it running, and do "
                    "QUALIPY_BROKER_URL and QUALIPY_RESULT_BACKEND name it? `redis-server` starts "
                    "one on this machine."
                ) from error
            if away >= _TELL_AFTER and not told and limit > _TELL_AFTER:
                told = True
                _log.warning("Redis cannot be used (%s); waiting for it.", _told(error))
        meanwhile(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def passes(error: BaseException) -> bool:
    """Whether an error is one that time heals."""
    if isinstance(error, _REFUSALS) or isinstance(error.__cause__, _REFUSALS):
        return False
    if isinstance(error, PASSING):
        return True
    return isinstance(error, ResponseError) and str(error).startswith(_PASSING_WORDS)


def _told(error: Exception) -> str:
    return str(error).rstrip(".")
