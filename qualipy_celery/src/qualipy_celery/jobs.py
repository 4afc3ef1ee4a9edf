"""The jobs that there are: how they stand, and ending them before their time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qualipy_celery.application import app
from qualipy_celery.ledger import JobStatus, Ledger, connection, known_jobs
from qualipy_celery.messages import JOB
from qualipy_core.errors import JobError, UnknownJobError
from qualipy_core.result import Result

AT_ONCE = 3.0  # seconds in which a Redis must answer a person who begins something


def find_job(name: str) -> Job:
    """Return the job of a name.

    Raises
    ------
    UnknownJobError
        (LookupError) There is no record of one.
    """
    job = Job(name)
    job.status()
    return job


def list_jobs() -> list[JobStatus]:
    """Return how every job stands that there is a record of, the latest first."""
    return list(known_jobs(connection(app), seconds=AT_ONCE))


class Job:
    """A job that there is a record of, whoever feeds it.

    Parameters
    ----------
    name : str
        What it is called.
    """

    def __init__(self, name: str) -> None:
        if not JOB.fullmatch(name):
            raise JobError(
                f"A job's name is made of letters, digits, '.', '_' and '-', unlike {name!r}."
            )
        self.id = name
        self._ledger = Ledger(connection(app), name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"

    def status(self) -> JobStatus:
        """Return how it stands, in one command of Redis.

        Raises
        ------
        UnknownJobError
            (LookupError) There is no record of it.
        """
        status = self._ledger.status(seconds=AT_ONCE)
        if status is None:
            raise self._unknown()
        return status

    def cancel(self) -> None:
        """Give it up: workers stop within a second, and nothing more is recorded, ever.

        Raises
        ------
        UnknownJobError
            (LookupError) There is no record of it.
        """
        self._change("cancelled")

    def stop(self) -> None:
        """Interrupt it: workers stop within a second; it can be resumed.

        Raises
        ------
        UnknownJobError
            (LookupError) There is no record of it.
        """
        self._change("stopped")

    def untaken(self) -> Iterator[Result]:
        """Yield the results that are recorded and that no client has taken."""
        after = "0"
        while entries := self._ledger.read(after, 0.0):
            after = entries[-1].entry
            for taken in entries:
                yield from (Result.from_dict(plain) for _, plain in taken.outcomes)

    def forget(self) -> None:
        """Remove its record."""
        self._ledger.delete()

    def _change(self, state: Any) -> None:
        if not self._ledger.change(state, seconds=AT_ONCE):
            raise self._unknown()

    def _unknown(self) -> UnknownJobError:
        return UnknownJobError(
            f"There is no job {self.id!r}. `qualipy jobs list` shows those that there are. A "
            "record is kept for a day after the end, and for a week after the last sign of life.",
            job=self.id,
        )
