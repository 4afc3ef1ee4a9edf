"""Runs QualiPy's photo filters over Celery and Redis.

``celery -A qualipy_celery worker`` starts a worker. Names are imported when they are first used:
``import qualipy_celery`` loads no Celery.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qualipy_celery.application import app as app
    from qualipy_celery.calls import celery_process as celery_process
    from qualipy_celery.calls import celery_process_request as celery_process_request
    from qualipy_celery.calls import get_job_status as get_job_status
    from qualipy_celery.jobs import Job as Job
    from qualipy_celery.jobs import find_job as find_job
    from qualipy_celery.jobs import list_jobs as list_jobs
    from qualipy_celery.ledger import JobStatus as JobStatus
    from qualipy_celery.submission import Submission as Submission
    from qualipy_celery.submission import submit as submit
    from qualipy_celery.tasks import process_image as process_image

_HOMES = {
    "Job": "jobs",
    "JobStatus": "ledger",
    "Submission": "submission",
    "app": "application",
    "celery_process": "calls",
    "celery_process_request": "calls",
    "find_job": "jobs",
    "get_job_status": "calls",
    "list_jobs": "jobs",
    "process_image": "tasks",
    "submit": "submission",
}

__version__ = "1.0.0"
__all__ = [
    "Job",
    "JobStatus",
    "Submission",
    "app",
    "celery_process",
    "celery_process_request",
    "find_job",
    "get_job_status",
    "list_jobs",
    "process_image",
    "submit",
]


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
