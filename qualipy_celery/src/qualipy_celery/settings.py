"""Where the settings come from: ours, under the user's file, under the environment.

The user's file is Celery's own: a module ``celeryconfig`` in the working directory or on the path
(``CELERY_CONFIG_MODULE`` names another), with the lower-case names of today or the upper-case ones
of before, taken as it stands. What it says wins over our defaults, and the environment over both.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, TypeVar

# The table behind `celery upgrade settings`. Private, but the only complete one; a test holds it.
from celery.app.defaults import _TO_NEW_KEY
from celery.utils.imports import cwd_in_path

from qualipy_core.errors import ExecutorError, PluginWarning

Number = TypeVar("Number", int, float)

REDIS = "redis://localhost:6379/0"

DEFAULTS: dict[str, Any] = {
    "broker_url": REDIS,
    "result_backend": REDIS,
    # Neither takes a message of another program's on the same Redis, nor loses one to it.
    "task_default_queue": "qualipy",
    # Nothing but JSON is read, whoever writes.
    "accept_content": ["json"],
    "result_accept_content": ["json"],
    "task_serializer": "json",
    "result_serializer": "json",
    # A message is acknowledged when its work is recorded; a killed process gives it back.
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_prefetch_multiplier": 1,
    "worker_consumer": "qualipy_celery.consumer:Consumer",
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    # How long a worker that vanished may keep its messages, and how often to look.
    "broker_transport_options": {
        "visibility_timeout": 3600,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        # A link that swallows bytes is noticed, and a blocked read ends.
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 10,
    },
    "redis_socket_timeout": 30.0,
    "redis_socket_connect_timeout": 5.0,
    "redis_socket_keepalive": True,
    "redis_backend_health_check_interval": 10,
    # A worker may start before Redis, and outlive it.
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    # Without it a result that could not be stored at once turns into a failure of the task.
    "result_backend_always_retry": True,
    "result_expires": 86400,
    "worker_soft_shutdown_timeout": 30.0,
}
"""Our settings, by Celery's names; docs/operating.md says what each is for."""

RATE_LIMITED_PREFETCH = 4  # with 1, Celery's rate limit holds back the very messages it waits for

ENVIRONMENT = {
    "broker_url": "QUALIPY_BROKER_URL",
    "result_backend": "QUALIPY_RESULT_BACKEND",
    "task_default_queue": "QUALIPY_QUEUE",
}


def celery_settings(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return the settings of the Celery app.

    Parameters
    ----------
    environment : mapping of str to str
        Where the variables are looked up.

    Raises
    ------
    ExecutorError
        The user's file cannot be imported, or a number in the environment is none.
    """
    for number in (time_limit, lease, patience, worker_memory):
        number()  # a slip is told now, not to the first image
    chosen = translated(_users_file(environment.get("CELERY_CONFIG_MODULE") or "celeryconfig"))
    for key, variable in ENVIRONMENT.items():
        if environment.get(variable):
            chosen[key] = environment[variable]
    merged = DEFAULTS | chosen
    for key, value in DEFAULTS.items():
        if isinstance(value, dict) and isinstance(chosen.get(key), dict):
            merged[key] = value | chosen[key]
    if "broker_url" in chosen and "result_backend" not in chosen:
        # Whoever names one Redis does not mean another one on this machine for the results.
        merged["result_backend"] = chosen["broker_url"]
    if "socket:" in str(merged["result_backend"]) and "redis_socket_keepalive" not in chosen:
        del merged["redis_socket_keepalive"]  # there is none for a socket of Unix
    if "worker_prefetch_multiplier" not in chosen and _limits_rates(merged):
        merged["worker_prefetch_multiplier"] = RATE_LIMITED_PREFETCH
    if "imports" in merged:
        merged["imports"] = _importable(merged["imports"])
    return merged


def translated(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by today's names; both kinds may stand side by side, and today's wins.

    Parameters
    ----------
    settings : mapping
        By Celery's names of today (``broker_url``) or of before (``BROKER_URL``).
    """
    old = {_TO_NEW_KEY[key]: value for key, value in settings.items() if key in _TO_NEW_KEY}
    new = {key: value for key, value in settings.items() if key not in _TO_NEW_KEY}
    return old | new


def time_limit() -> float:
    """Return how many seconds a worker may take for one image: ``QUALIPY_TIME_LIMIT``, 60."""
    return _number("QUALIPY_TIME_LIMIT", 60.0, float)


def lease() -> float:
    """Return after how many silent seconds work is given to another: ``QUALIPY_LEASE``, 30."""
    return _number("QUALIPY_LEASE", 30.0, float)


def patience() -> float:
    """Return how many seconds of a lost Redis are waited out: ``QUALIPY_PATIENCE``, 3600."""
    return _number("QUALIPY_PATIENCE", 3600.0, float)


def worker_memory() -> int:
    """Return how many bytes a judging process may keep: ``QUALIPY_WORKER_MEMORY`` MiB, 2048."""
    return _number("QUALIPY_WORKER_MEMORY", 2048, int) << 20


def _number(variable: str, default: Number, kind: Callable[[str], Number]) -> Number:
    text = os.environ.get(variable)
    if not text:
        return default
    try:
        value = kind(text)
    except ValueError:
        value = kind("0")
    if not 0 < value < float("inf"):
        raise ExecutorError(f"{variable} must be a number above 0, not {text!r}.")
    return value


def _users_file(name: str) -> dict[str, Any]:
    with cwd_in_path():
        if not _is_there(name):
            if name == "celeryconfig":
                return {}
            raise ExecutorError(
                f"CELERY_CONFIG_MODULE names a module {name!r}, which is neither in this folder "
                "nor on the path."
            )
        try:
            module: ModuleType = importlib.import_module(name)
        except Exception as error:
            raise ExecutorError(
                f"The settings in {name}.py cannot be read: {type(error).__name__}: {error}."
            ) from error
    return {
        key: value
        for key, value in vars(module).items()
        if not key.startswith("_") and not isinstance(value, ModuleType)
    }


def _limits_rates(settings: Mapping[str, Any]) -> bool:
    annotations = settings.get("task_annotations") or {}
    listed = annotations if isinstance(annotations, list | tuple) else [annotations]
    by_task = [each for each in listed if isinstance(each, Mapping)]
    return bool(settings.get("task_default_rate_limit")) or any(
        options.get("rate_limit")
        for each in by_task
        for options in each.values()
        if isinstance(options, Mapping)
    )


def _importable(names: Any) -> tuple[str, ...]:
    """Leave out modules that are gone: ours are there anyway, by whatever name they once went."""
    kept = []
    with cwd_in_path():
        for name in (names,) if isinstance(names, str) else tuple(names):
            if _is_there(name):
                kept.append(name)
            else:
                warnings.warn(
                    f"The settings import {name!r}, which is not installed; left out.",
                    PluginWarning,
                    stacklevel=4,
                )
    return tuple(kept)


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # of its parent; of a name that is none
        return False
