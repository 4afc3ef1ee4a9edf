"""Spreading images over workers: this thread, or local processes.

Executors yield one `Result` per task, in the order of the tasks, and take tasks only as fast as
results are taken from them: a run over a million images holds a few dozen.
"""

from __future__ import annotations

import os
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Protocol

from qualipy_core import children
from qualipy_core.errors import ExecutorError, WorkerDiedError
from qualipy_core.plan import Plan, Task
from qualipy_core.result import Result
from qualipy_core.roots import Roots
from qualipy_core.threads import one_library_thread
from qualipy_core.urls import shown

CHUNK = 4  # images per message: the hand-over costs less than 1 % of the cheapest photo
CHUNKS_PER_WORKER = 3  # being judged, waiting for the worker, waiting to be taken
RESTARTS = 3  # how often to try to start workers again that have run before
CAREFUL_TRIES = 2  # an image is guilty when a worker dies on it alone, twice


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
    """Judges one image after the other, here."""

    def run(self, tasks: Iterable[Task], plan: Plan) -> Iterator[Result]:
        """Yield one result per task, in order."""
        return map(plan.judge, tasks)


class Processes:
    """Judges images in local worker processes; a worker that dies costs one image, not the run.

    Parameters
    ----------
    jobs : int
        How many processes.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def run(self, tasks: Iterable[Task], plan: Plan) -> Iterator[Result]:
        """Yield one result per task, in order.

        Raises
        ------
        ExecutorError
            The worker processes cannot be started.
        """
        tasks = iter(tasks)
        waiting: deque[tuple[list[Task], Future[list[Result]]]] = deque()
        pool = _start(self.jobs, plan)
        try:
            while True:
                for chunk in _chunks(tasks, self.jobs * CHUNKS_PER_WORKER - len(waiting)):
                    waiting.append((chunk, _submit(pool, chunk)))
                if not waiting:
                    return
                try:
                    results = waiting[0][1].result()
                except BrokenProcessPool:
                    # Nobody knows which image killed the worker: all that were under way are
                    # judged again, alone with a worker each; what had finished is kept.
                    pool.shutdown(wait=True)
                    suspects, waiting = waiting, deque()
                    for chunk, future in suspects:
                        if _finished(future):
                            yield from future.result()
                        else:
                            yield from _judge_carefully(chunk, plan)
                    pool = _start(self.jobs, plan, RESTARTS)
                    continue
                waiting.popleft()
                yield from results
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _chunks(tasks: Iterator[Task], count: int) -> Iterator[list[Task]]:
    for _ in range(count):
        chunk = list(islice(tasks, CHUNK))
        if not chunk:
            return
        yield chunk


def _submit(pool: ProcessPoolExecutor, chunk: list[Task]) -> Future[list[Result]]:
    try:
        return pool.submit(_judge_here, chunk)
    except BrokenProcessPool as error:  # it broke since the last result: found out in order
        broken: Future[list[Result]] = Future()
        broken.set_exception(error)
        return broken


def _finished(future: Future[list[Result]]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _judge_carefully(chunk: list[Task], plan: Plan) -> Iterator[Result]:
    pool = _start(1, plan, RESTARTS)
    try:
        for task in chunk:
            for _ in range(CAREFUL_TRIES):
                try:
                    yield from pool.submit(_judge_here, [task]).result()
                    break
                except BrokenProcessPool:
                    pool.shutdown(wait=True)
                    pool = _start(1, plan, RESTARTS)
            else:
                image = shown(task.label)
                message = f"A worker process died {CAREFUL_TRIES} times while judging {image}."
                yield Result(task.label, error=WorkerDiedError(message, image=task.label))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start(jobs: int, plan: Plan, tries: int = 1) -> ProcessPoolExecutor:
    _check_sendable(plan)
    modules = {type(step).__module__ for _, step in plan.steps} - {"__main__", "__mp_main__"}
    context = children.fresh_context(*sorted(modules))
    try:
        pool = ProcessPoolExecutor(
            jobs, mp_context=context, initializer=_become_worker, initargs=(plan,)
        )
        with children.no_interrupts(), one_library_thread():
            for ready in [pool.submit(os.getpid) for _ in range(jobs)]:
                ready.result()
    except OSError as error:
        raise ExecutorError(
            f"The worker processes cannot be started: {error}. jobs=1 needs none."
        ) from error
    except BrokenProcessPool as error:
        pool.shutdown(wait=True)
        if tries > 1:  # it has worked before: somebody killed a worker just now
            return _start(jobs, plan, tries - 1)
        raise ExecutorError(
            "The worker processes cannot be started. In a script, the call must stand under "
            "`if __name__ == '__main__':`, for each worker imports the script; filters must be "
            "defined in a module that the workers can import. jobs=1 needs no workers."
        ) from error
    return pool


def _check_sendable(plan: Plan) -> None:
    for label, step in plan.steps:
        try:
            pickle.dumps(step)
        except Exception as error:
            raise ExecutorError(
                f"Filter {label} cannot be sent to worker processes: {error}. Define its class at "
                "the top of a module, or use jobs=1."
            ) from error


_plan = Plan((), roots=Roots())  # a worker's own: sent once, not with every chunk


def _become_worker(plan: Plan) -> None:
    global _plan
    _plan = plan
    children.settle()


def _judge_here(chunk: list[Task]) -> list[Result]:
    return [_plan.judge(task) for task in chunk]
