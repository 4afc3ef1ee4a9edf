"""Spreading images over workers: this thread, or local processes.

Executors yield one `Result` per task, in the order of the tasks, and take tasks only as fast as
results are taken from them: a run over a million images holds a few dozen.
"""

from __future__ import annotations

import os
import pickle
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from qualipy_core.errors import ExecutorError
from qualipy_core.plan import Plan, Task
from qualipy_core.result import Result
from qualipy_core.workers import Job, Workers

AHEAD = 12  # images per worker that are taken before the first of them has been judged
HURRY = 0.005  # seconds for which images are taken before somebody looks what the workers have done


class Executor(Protocol):
    """Anything that can run a plan over tasks."""

    def run(self, tasks: Iterable[Task], plan: Plan) -> Iterator[Result]:
        """Yield one result per task; an image's error is in its result."""
        ...


ExecutorFactory = Callable[[int], Executor]
"""Makes an executor for a number of jobs; what the hook ``qualipy_executors`` offers by name."""


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class ThisThread:
    """Judges one image after the other, here: nothing can end one that crashes or hangs."""

    def run(self, tasks: Iterable[Task], plan: Plan) -> Iterator[Result]:
        """Yield one result per task, in order."""
        return map(plan.judge, tasks)


class Processes:
    """Judges images in local worker processes: one that crashes or hangs costs its image alone.

    Parameters
    ----------
    jobs : int
        How many processes.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def run(self, tasks: Iterable[Task], plan: Plan) -> Iterator[Result]:
        """Yield one result per task, in order.

        An image that takes longer than the plan's time limit gets an `ImageTimeoutError`, and one
        on which its process dies twice a `WorkerDiedError`. What the tasks raise is raised once
        the images that were taken before have been yielded.

        Raises
        ------
        ExecutorError
            The worker processes cannot be started.
        """
        tasks = iter(tasks)
        time_limit = plan.limits.in_force().time_limit or 0.0
        under_way: deque[Job] = deque()
        more, problem = True, None
        with Workers(self.jobs, _as_request(plan), _modules(plan), time_limit) as workers:
            while more or under_way:
                until = time.monotonic() + HURRY
                while more and len(under_way) < self.jobs * AHEAD and time.monotonic() < until:
                    try:
                        job = Job(next(tasks))
                    except StopIteration:
                        more = False
                    except Exception as error:
                        more, problem = False, error
                    else:
                        under_way.append(job)
                        workers.take(job)
                full = not more or len(under_way) >= self.jobs * AHEAD
                if under_way:
                    workers.advance(wait=full and under_way[0].result is None)
                while under_way and under_way[0].result is not None:
                    yield under_way.popleft().result  # type: ignore[misc]
        if problem is not None:
            raise problem


def _modules(plan: Plan) -> list[str]:
    """Return what all workers need, to be imported once for all of them."""
    modules = {type(step).__module__ for _, step in plan.steps} - {"__main__", "__mp_main__"}
    return ["qualipy_core._preloaded", *sorted(modules)]


def _as_request(plan: Plan) -> bytes:
    for label, step in plan.steps:
        try:
            pickle.dumps(step)
        except Exception as error:
            raise ExecutorError(
                f"Filter {label} cannot be sent to worker processes: {error}. Define its class at "
                "the top of a module, or use jobs=1."
            ) from error
    return pickle.dumps(plan)
