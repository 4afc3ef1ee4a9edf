"""What this pack adds to QualiPy: the executor ``celery``, and commands for workers and jobs.

Loaded with every command, so nothing of Celery is imported before it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qualipy_core import hookimpl

if TYPE_CHECKING:
    from qualipy_core.executors import Executor, ExecutorFactory


def _celery(jobs: int) -> Executor:
    # How many jobs run at a time is the workers' affair.
    from qualipy_celery.executor import Celery
    from qualipy_celery.runs import adopt, remember

    return Celery(begun=remember, before=adopt)


@hookimpl
def qualipy_executors() -> Mapping[str, ExecutorFactory]:
    """Offer the executor ``celery``."""
    return {"celery": _celery}


@hookimpl
def qualipy_commands(cli: Any) -> None:
    """Add ``qualipy worker`` and ``qualipy jobs``."""
    from qualipy_celery.commands import jobs, worker

    cli.add_command(worker)
    cli.add_command(jobs)
