"""Celery as an executor: ``executor="celery"`` of `scan`, ``--executor celery`` of the program."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from qualipy_celery import runs
from qualipy_celery.client import as_sent
from qualipy_celery.jobs import Job
from qualipy_celery.submission import Submission
from qualipy_core.errors import ExecutorError, UnknownJobError
from qualipy_core.plan import Plan, Task
from qualipy_core.result import Result


class Celery:
    """Judges images on Celery workers.

    Parameters
    ----------
    begun : callable, optional
        Told of each job that begins.
    before : callable, optional
        Returns jobs that this run goes on with: what they have recorded, and nobody has taken, is
        not judged again.
    """

    def __init__(
        self,
        begun: Callable[[Submission], None] | None = None,
        before: Callable[[], Iterable[Job]] | None = None,
    ) -> None:
        self._begun = begun
        self._before = before

    def run(self, tasks: Iterable[Task], plan: Plan) -> Iterator[Result]:
        """Yield one result per task, in the order of the tasks.

        Left before the end, the job is stopped, and can be resumed.

        Raises
        ------
        ExecutorError
            Redis cannot be reached; or the plan says what an image may cost, which workers decide.
        """
        if plan.limits:
            raise ExecutorError(
                "What an image may cost, its workers decide: set QUALIPY_TIME_LIMIT, "
                "QUALIPY_MAX_PIXELS and QUALIPY_MAX_BYTES where they run."
            )
        old = list(self._before()) if self._before is not None else []
        order = _Order(_recorded(old, plan))
        job = Submission(order.unrecorded(tasks), plan)
        if self._begun is not None:
            self._begun(job)
        try:
            for number, result in job.outcomes():
                for taken, ready in order.put(number, result):
                    yield ready
                    if taken is not None:
                        job.taken(taken)
            for _, ready in order.rest():
                yield ready
        finally:
            if not job.over:
                job.stop()
        runs.forget(job.id)
        for each in old:
            each.forget()
            runs.forget(each.id)


class _Order:
    """Brings results into the order of their images, those that were recorded before among them."""

    def __init__(self, recorded: dict[str, list[Result]]) -> None:
        self._recorded = recorded
        self._places: dict[int, int] = {}  # of the images that a job has, by their number there
        self._early: dict[int, tuple[int | None, Result]] = {}
        self._next = 0

    def unrecorded(self, tasks: Iterable[Task]) -> Iterator[Task]:
        """Yield the tasks that have no result yet."""
        number = 0
        for place, task in enumerate(tasks):
            if known := self._recorded.get(task.label):
                self._early[place] = None, known.pop()
            else:
                self._places[number] = place
                number += 1
                yield task

    def put(self, number: int, result: Result) -> Iterator[tuple[int | None, Result]]:
        """Take a result, and yield those whose turn it is with their number in the job."""
        self._early[self._places.pop(number)] = number, result
        return self.rest()

    def rest(self) -> Iterator[tuple[int | None, Result]]:
        """Yield those whose turn it is."""
        while self._next in self._early:
            yield self._early.pop(self._next)
            self._next += 1


def _recorded(jobs: Iterable[Job], plan: Plan) -> dict[str, list[Result]]:
    """Stop jobs, and return what they have recorded by the same filters."""
    found: dict[str, list[Result]] = defaultdict(list)
    for job in jobs:
        try:
            job.stop()
            about = job.status().about
        except UnknownJobError:
            continue
        if about.get("filters") == as_sent(plan) and about.get("stop_early") == plan.stop_early:
            for result in job.untaken():
                found[result.image].append(result)
    return found
