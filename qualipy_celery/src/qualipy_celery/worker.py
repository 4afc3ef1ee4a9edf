"""A worker's part: judging the images of a chunk, recording their outcomes, telling that it lives.

Each process of a worker keeps a `Sandbox`: a process of its own in which the filters are found and
the photos are judged one by one. What kills it or hangs in it is known by name, costs that image
alone, and leaves the worker as it was.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import time
from typing import TYPE_CHECKING, Any

from celery.signals import worker_process_shutdown

from qualipy_celery import settings
from qualipy_celery.ledger import Ledger, Outcome
from qualipy_celery.messages import Chunk, Piece, make_plan, numbers_of, opened
from qualipy_core.errors import MessageError, QualipyError, WorkerDiedError
from qualipy_core.plan import Plan
from qualipy_core.result import Result
from qualipy_core.sandbox import Sandbox

if TYPE_CHECKING:
    from redis import Redis

BEAT = 1.0  # seconds between signs of life, and at most until a cancellation is seen
WEIGH = 0.5  # seconds between two looks at how much memory the process that judges has
CAREFUL_TRIES = 3  # images are guilty when whole workers vanish over them this often

_log = logging.getLogger(__name__)


def beat() -> float:
    """Return how many seconds pass between two signs of life."""
    return min(BEAT, settings.lease() / 5)


def run_chunk(message: object, redis: Redis, worker: str) -> None:
    """Judge the images of a message and record an outcome for each.

    Parameters
    ----------
    message : object
        What came as JSON.
    redis : Redis
        Where the ledger is.
    worker : str
        What to call this process.
    """
    try:
        chunk = Chunk.parse(message)
    except MessageError as error:
        _refuse(message, error, redis, worker)
        return
    ledger = Ledger(redis, chunk.job)
    begun = ledger.begin(chunk.id, worker, [piece.number for piece in chunk.tasks])
    if begun.attempt == 0:  # stopped or cancelled
        return
    record = _Record(ledger, chunk.id, worker)
    try:
        _judge(chunk, [p for p in chunk.tasks if p.number not in begun.done], record, begun.attempt)
        record.write(ended=True)
    except _JobOver:
        return


def judge(image: str, region: Any, make: functools.partial[Plan]) -> Result:
    """Judge one image in this process's sandbox.

    Parameters
    ----------
    image : str
        Its path or URL.
    region : ROI or None
        Of it, to judge.
    make : functools.partial
        Makes the plan, in the sandbox; its arguments are JSON.

    Raises
    ------
    QualipyError
        The plan cannot be made.
    """
    return _prepared(make).judge(opened(image, region, ""))


class _JobOver(Exception):  # noqa: N818 (no error: somebody wanted it)
    """The job was stopped or cancelled."""


class _Record:
    """The outcomes of a chunk that are not recorded yet."""

    def __init__(self, ledger: Ledger, chunk: str, worker: str) -> None:
        self.ledger = ledger
        self._chunk = chunk
        self.worker = worker
        self._waiting: list[Outcome] = []
        self._told = time.monotonic()

    def add(self, number: int, result: Result) -> None:
        """Take an outcome; what has waited for a second is recorded."""
        text = json.dumps(result.to_dict())
        self._waiting.append(Outcome(number, result.failed, bool(result.flagged), text))
        self.alive()

    def alive(self) -> None:
        """Tell that the chunk is under way, once a second.

        Raises
        ------
        _JobOver
            The job was stopped or cancelled meanwhile.
        """
        if time.monotonic() - self._told < beat():
            return
        if self._waiting:
            self.write(ended=False)
        state = self.ledger.beat(self._chunk, self.worker)
        self._told = time.monotonic()
        if state in ("cancelled", "stopped", "done"):
            raise _JobOver

    def write(self, *, ended: bool) -> None:
        """Record what there is."""
        if self.ledger.record(self._chunk, self.worker, self._waiting, ended=ended) < 0:
            raise _JobOver
        self._waiting.clear()


def _judge(chunk: Chunk, pieces: list[Piece], record: _Record, attempt: int) -> None:
    careful = attempt > 1  # a process that had this chunk before vanished
    make = functools.partial(make_plan, chunk.filters, chunk.stop_early, chunk.roots, record.worker)
    for piece in pieces:
        if careful and record.ledger.trying(piece.number) > CAREFUL_TRIES:
            record.add(piece.number, Result(piece.image, error=_died(piece, CAREFUL_TRIES)))
        else:
            record.add(piece.number, _judged(piece, chunk.base, make, record))
        if careful:
            record.write(ended=False)


def _judged(piece: Piece, base: str, make: functools.partial[Plan], record: _Record) -> Result:
    task = opened(piece.image, piece.ROI, base)
    try:
        return _prepared(make).judge(task, alive=record.alive, every=beat())
    except QualipyError as error:  # the filters of this job cannot even be loaded here
        return Result(piece.image, error=error)


def _died(piece: Piece, times: int) -> WorkerDiedError:
    return WorkerDiedError(
        f"{piece.image} was being judged each of {times} times that a worker vanished.",
        image=piece.image,
    )


def _refuse(message: object, error: MessageError, redis: Redis, worker: str) -> None:
    """Give the images of a message that cannot be used an outcome that says why."""
    why = MessageError(f"Worker {worker}: {error}", worker=worker)
    _log.error("%s", why)
    told = numbers_of(message)
    if told is None:
        return
    job, numbers = told
    text = json.dumps(Result("", error=why).to_dict())
    outcomes = [Outcome(number, True, False, text) for number in numbers]
    Ledger(redis, job).record(str(numbers[0]), worker, outcomes, ended=True)


class _Own:
    """A process's sandbox, and the plan that it has ready."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.sandbox = Sandbox(time_limit=settings.time_limit())
        self.plan: tuple[Any, ...] | None = None
        self.make: functools.partial[Plan] | None = None  #: what asked for it last
        self._weigh_at = 0.0

    def serves(self, make: functools.partial[Plan]) -> bool:
        """Whether this plan is ready, in a process that has not grown too large."""
        if make is not self.make:
            if (make.func, json.dumps(make.args)) != self.plan:
                return False
            self.make = make
        now = time.monotonic()
        if now < self._weigh_at:
            return True
        self._weigh_at = now + WEIGH
        return self.sandbox.rss() < settings.worker_memory()


_own: _Own | None = None


def _prepared(make: functools.partial[Plan]) -> Sandbox:
    """Return this process's sandbox with a plan ready in it.

    Raises
    ------
    QualipyError
        The plan cannot be made, or kills or hangs whoever makes it.
    """
    global _own
    if _own is None or _own.process != os.getpid():  # what was made before a fork is the parent's
        _own = _Own()
    if _own.plan is not None:
        if _own.serves(make):
            return _own.sandbox
        _own.sandbox.close()
        _own.plan = _own.make = None
    _own.sandbox.prepare(make)
    _own.plan = (make.func, json.dumps(make.args))
    return _own.sandbox


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def close(**_: Any) -> None:
    """End the sandbox with the process that it belongs to."""
    global _own
    if _own is not None and _own.process == os.getpid():
        _own.sandbox.close()
    _own = None
