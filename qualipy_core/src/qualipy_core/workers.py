"""Local processes that judge images, each with the next one at hand: `Workers`.

A worker answers in the order in which it was asked, so the oldest image without an answer is the
one that it is at: its death, or its silence, is that image's, and nobody else's. That it has the
next one already keeps it from waiting for this process.
"""

from __future__ import annotations

import math
import os
import pickle
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import connection
from multiprocessing.util import Finalize
from types import TracebackType
from typing import Any, Self

from qualipy_core import sandbox
from qualipy_core.errors import ExecutorError
from qualipy_core.plan import Plan, Task
from qualipy_core.result import Result
from qualipy_core.roots import Roots
from qualipy_core.sandbox import PREPARE_LIMIT, START_PAUSES
from qualipy_core.servant import Died, Servant

TRIES = 2  # how often an image is tried that its process dies on: somebody else may have killed it
RESTARTS = 3  # vain attempts in a row to replace a worker
DEPTH = 3 if os.name == "posix" else 1  # images that a worker has: the one it is at, and the next
SMALL = 16 << 10  # bytes that a pipe surely takes at once: sending them never waits for the worker
_KNOCK = pickle.dumps(Plan((), roots=Roots()))  # a plan that any pipe takes at once
LOOK = 1.0  # seconds between two looks whether a worker has died without a sign


@dataclass(slots=True)
class Job:
    """An image, and what has come of it."""

    task: Task
    result: Result | None = None
    request: bytes = b""
    deaths: int = 0
    seconds: float = 0.0  #: of the attempts that its process did not survive


@dataclass(slots=True, eq=False)
class _Worker:
    servant: Servant
    jobs: deque[Job] = field(default_factory=deque)  #: not answered yet, oldest first
    loading: bool = True  #: the plan is not answered yet
    knocked: bool = False  #: nor sent, for it is large: an empty one shows when the worker reads
    since: float = 0.0  #: when it began with what it is at

    def takes(self, job: Job) -> bool:
        """Whether a job can be sent without waiting, and will not wait for long."""
        if not self.jobs:
            return not self.loading
        small = len(job.request) <= SMALL and len(self.jobs[-1].request) <= SMALL
        return small and len(self.jobs) < DEPTH


class Workers:
    """Processes that judge jobs; each job gets its result, whatever becomes of the process.

    Parameters
    ----------
    count : int
        How many processes.
    plan : bytes
        The pickled plan.
    modules : sequence of str
        To have imported once for all processes.
    time_limit : float
        Seconds for one image; may be infinite.
    """

    def __init__(self, count: int, plan: bytes, modules: Sequence[str], time_limit: float) -> None:
        self._count = count
        self._plan = plan
        self._modules = modules
        self._time_limit = time_limit
        self._prepare_limit = max(PREPARE_LIMIT, time_limit if time_limit < math.inf else 0.0)
        self._workers: list[_Worker] = []
        self._waiting: deque[Job] = deque()
        self._failed_starts = 0
        self._worked = False  # whether a worker has ever had its plan ready

    def __enter__(self) -> Self:
        # Before multiprocessing waits at the exit for children that won't end by themselves.
        self._finalizer = Finalize(self, _end, (self._workers,), exitpriority=100)
        try:
            for _ in range(self._count):
                self._workers.append(self._started())
            for worker in list(self._workers):
                self._load(worker)
            while any(worker.loading for worker in self._workers):
                self.advance(wait=True)
        except BaseException:
            self._finalizer()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._finalizer()

    def take(self, job: Job) -> None:
        """Take a job on; its result is there after some `advance`."""
        try:
            job.request = pickle.dumps(job.task)
        except Exception as error:
            job.result = sandbox.unsendable(job.task.label, error)
        else:
            self._waiting.append(job)

    def advance(self, *, wait: bool) -> None:
        """Hand jobs out and take results in, waiting until there is something to take in or not.

        Raises
        ------
        ExecutorError
            Workers cannot be started, or replaced.
        """
        self._hand_out()
        if self._take_in(self._until_something() if wait else 0.0):
            self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting:
            job = self._waiting[0]
            free = [worker for worker in self._workers if worker.takes(job)]
            if not free:
                break
            worker = min(free, key=lambda worker: len(worker.jobs))
            self._waiting.popleft()
            if not worker.jobs:
                worker.since = time.monotonic()
            worker.jobs.append(job)
            try:
                worker.servant.send(job.request)
            except Died:
                worker.jobs.pop()  # it has never had it
                self._waiting.appendleft(job)
                self._replace(worker)
        if self._waiting and len(self._workers) < self._count:
            self._load(self._added())

    def _until_something(self) -> float:
        now = time.monotonic()
        limits = [
            worker.since + self._limit(worker) - now
            for worker in self._workers
            if worker.jobs or worker.loading
        ]
        return max(0.0, min([LOOK, *limits]))

    def _limit(self, worker: _Worker) -> float:
        return self._prepare_limit if worker.loading else self._time_limit

    def _take_in(self, seconds: float) -> bool:
        """Take in what there is, and end what takes too long; whether there was anything."""
        told = connection.wait([worker.servant.connection for worker in self._workers], seconds)
        # A program that a dead worker has started may hold its end open: ask the system then.
        look = seconds > 0 and not told
        now = time.monotonic()
        for worker in list(self._workers):
            if worker.servant.connection in told or (look and not worker.servant.is_alive()):
                self._hear(worker, now)
            elif (worker.jobs or worker.loading) and now - worker.since >= self._limit(worker):
                self._give_up(worker, now)
        return bool(told)

    def _hear(self, worker: _Worker, now: float) -> None:
        try:
            answer = worker.servant.receive()
        except Died as death:
            self._mourn(worker, death, now)
            return
        if worker.loading:
            self._loaded(worker, answer)
        elif worker.jobs:
            job = worker.jobs.popleft()
            job.result = sandbox.received(job.task.label, answer)
        worker.since = now

    def _loaded(self, worker: _Worker, answer: dict[str, Any]) -> None:
        if answer:
            raise _unusable(sandbox.problem(answer))
        if worker.knocked:
            worker.knocked = False
            self._send_plan(worker, self._plan)
            return
        worker.loading = False
        self._worked = True
        self._failed_starts = 0

    def _mourn(self, worker: _Worker, death: Died, now: float) -> None:
        if worker.loading:
            self._failed_starts += 1
            if not self._worked or self._failed_starts >= RESTARTS:
                raise _unusable(f"one {death}")
        elif worker.jobs:
            guilty = worker.jobs[0]
            guilty.deaths += 1
            guilty.seconds += now - worker.since
            if guilty.deaths >= TRIES:
                worker.jobs.popleft()
                label = guilty.task.label
                guilty.result = sandbox.died(label, guilty.deaths, str(death), guilty.seconds)
        self._replace(worker)

    def _give_up(self, worker: _Worker, now: float) -> None:
        if worker.loading:
            raise ExecutorError(
                f"Loading the filters took longer than {self._prepare_limit:g} seconds."
            )
        late = worker.jobs.popleft()
        late.result = sandbox.too_long(late.task.label, self._time_limit, now - worker.since)
        self._replace(worker)

    def _replace(self, worker: _Worker) -> None:
        """End a worker; its jobs go to others, and another one comes when it is needed."""
        self._workers.remove(worker)
        self._waiting.extendleft(reversed(worker.jobs))
        worker.servant.end()

    def _added(self) -> _Worker:
        worker = self._started()
        self._workers.append(worker)
        return worker

    def _started(self) -> _Worker:
        for pause in START_PAUSES if self._worked else START_PAUSES[-1:]:
            try:
                return _Worker(Servant(sandbox.answer_request, *self._modules, may_fork=False))
            except (OSError, EOFError) as error:
                problem = error
                time.sleep(pause)
        raise ExecutorError(
            f"The worker processes cannot be started: {problem}. jobs=1 needs none."
        ) from problem

    def _load(self, worker: _Worker) -> None:
        worker.since = time.monotonic()
        worker.knocked = len(self._plan) > SMALL
        self._send_plan(worker, _KNOCK if worker.knocked else self._plan)

    def _send_plan(self, worker: _Worker, plan: bytes) -> None:
        # One that is dead already tells when it is heard.
        with suppress(Died):
            worker.servant.send(plan)


def _end(workers: list[_Worker]) -> None:
    for worker in workers:
        with suppress(ValueError):  # it has ended already
            worker.servant.kill()
    for worker in workers:
        worker.servant.end()
    workers.clear()


def _unusable(problem: object) -> ExecutorError:
    return ExecutorError(
        f"The worker processes cannot be started: {problem}. In a script, the call must stand "
        "under `if __name__ == '__main__':`, for each worker imports the script; filters must be "
        "defined in a module that the workers can import. jobs=1 needs no workers."
    )
