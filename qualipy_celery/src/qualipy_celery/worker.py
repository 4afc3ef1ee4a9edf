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
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from celery.exceptions import Reject
from celery.signals import worker_process_shutdown

from qualipy_celery import settings
from qualipy_celery.ledger import Ledger, Outcome
from qualipy_celery.messages import Chunk, Piece, make_plan, numbers_of, opened
from qualipy_core.errors import (
    ExecutorError,
    ImageReadError,
    MessageError,
    ProcessStartError,
    QualipyError,
    WorkerDiedError,
)
from qualipy_core.plan import Plan
from qualipy_core.result import Result
from qualipy_core.sandbox import Sandbox

if TYPE_CHECKING:
    from redis import Redis

BEAT = 1.0  # seconds between signs of life, and at most until a cancellation is seen
WEIGH = 0.5  # seconds between two looks at how much memory the process that judges has
ILL_PAUSE = 5.0  # seconds before a machine that can start no process takes another chunk
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
    try:
        begun = ledger.begin(chunk.id, worker, [piece.number for piece in chunk.tasks])
    except ExecutorError as error:
        raise Reject(error, requeue=True) from error
    if begun.attempt == 0:  # stopped or cancelled
        return
    record = _Record(ledger, chunk.id, worker)
    try:
        _judge(chunk, [p for p in chunk.tasks if p.number not in begun.done], record, begun.attempt)
        record.write(ended=True)
    except _JobOver:
        ledger.leave(chunk.id, record.trying)
    except ProcessStartError as error:
        # It is this machine that is ill, not the images: others shall have them.
        _log.error("Chunk %s of job %s is given back: %s", chunk.id, chunk.job, error)
        ledger.leave(chunk.id, record.trying)
        time.sleep(ILL_PAUSE)
        raise Reject(error, requeue=True) from error
    except _LedgerAwayError as error:
        raise Reject(error, requeue=True) from error


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


class _LedgerAwayError(Exception):
    """Redis was away for longer than anybody waits: nothing is known to be recorded."""


class _Record:
    """The outcomes of a chunk that are not recorded yet."""

    def __init__(self, ledger: Ledger, chunk: str, worker: str) -> None:
        self.ledger = ledger
        self._chunk = chunk
        self.worker = worker
        self._waiting: list[Outcome] = []
        self._told = time.monotonic()
        self.trying: int | None = None  # the image that is being tried with care

    def add(self, number: int, result: Result) -> None:
        """Take an outcome; what has waited for a second is recorded."""
        text = json.dumps(result.to_message())
        self._waiting.append(Outcome(number, result.failed, bool(result.flagged), text))
        self.alive()

    def alive(self) -> None:
        """Tell that the chunk is under way, once a second.

        Raises
        ------
        _JobOver
            The job was stopped or cancelled meanwhile.
        _LedgerAwayError
            Redis was away for too long.
        """
        if time.monotonic() - self._told < beat():
            return
        if self._waiting:
            self.write(ended=False)
        try:
            state = self.ledger.beat(self._chunk, self.worker)
        except ExecutorError as error:
            raise _LedgerAwayError(str(error)) from error
        self._told = time.monotonic()
        if state in ("cancelled", "stopped", "done"):
            raise _JobOver

    def write(self, *, ended: bool) -> None:
        """Record what there is."""
        try:
            new = self.ledger.record(self._chunk, self.worker, self._waiting, ended=ended)
        except ExecutorError as error:
            raise _LedgerAwayError(str(error)) from error
        if new < 0:
            raise _JobOver
        self._waiting.clear()


def _judge(chunk: Chunk, pieces: list[Piece], record: _Record, attempt: int) -> None:
    careful = attempt > 1  # a process that had this chunk before vanished
    how = (chunk.filters, chunk.stop_early, chunk.roots, record.worker, chunk.thumbnails)
    make = functools.partial(make_plan, *how)
    for piece in pieces:
        if careful:
            record.trying = piece.number
        if careful and record.ledger.trying(piece.number) > CAREFUL_TRIES:
            record.add(piece.number, Result(piece.image, error=_died(piece, CAREFUL_TRIES)))
        else:
            record.add(piece.number, _judged(piece, chunk.base, make, record))
        if careful:
            record.write(ended=False)
            record.trying = None


def _judged(piece: Piece, base: str, make: functools.partial[Plan], record: _Record) -> Result:
    task = opened(piece.image, piece.ROI, base)
    try:
        own = _prepared(make, record.alive)
    except ProcessStartError:
        raise
    except QualipyError as error:  # the filters of this job cannot even be loaded here
        return Result(piece.image, error=error)
    try:
        return own.judge(task, alive=record.alive, every=beat())
    except (_JobOver, _LedgerAwayError, ProcessStartError):
        raise
    except Exception as error:  # else it would be sent, and raise, for ever
        _log.exception("Judging %r failed.", piece.image)
        what = f"{piece.image} cannot be judged: {type(error).__name__}: {error}."
        return Result(piece.image, error=ImageReadError(what, image=piece.image))


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
    """A sandbox, and the plan that it has ready."""

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
        if self.sandbox.rss() < settings.worker_memory():
            return True
        _log.warning("A judging process outgrew QUALIPY_WORKER_MEMORY; a fresh one begins.")
        return False


_here = threading.local()  # a sandbox has one image at a time: threads have one each


def _prepared(make: functools.partial[Plan], alive: Callable[[], None] | None = None) -> Sandbox:
    """Return this thread's sandbox with a plan ready in it.

    Raises
    ------
    QualipyError
        The plan cannot be made, or kills or hangs whoever makes it.
    """
    own: _Own | None = getattr(_here, "own", None)
    if own is None or own.process != os.getpid():  # what was made before a fork is the parent's
        own = _here.own = _Own()
    if own.plan is not None:
        if own.serves(make):
            return own.sandbox
        own.sandbox.close()
        own.plan = own.make = None
    own.sandbox.prepare(make, alive, beat())
    own.plan = (make.func, json.dumps(make.args))
    return own.sandbox


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def close(**_: Any) -> None:
    """End the sandbox with the process that it belongs to."""
    own: _Own | None = getattr(_here, "own", None)
    if own is not None and own.process == os.getpid():
        own.sandbox.close()
    _here.own = None
