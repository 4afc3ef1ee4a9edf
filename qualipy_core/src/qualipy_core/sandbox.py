"""Judging images in a child process that may crash or hang: `Sandbox`.

::

    supervisor                        child
      prepare(make)  ── pickle ──►    plan = make()            the packs are imported here alone
      judge(task)    ── pickle ──►    plan.judge(task)
      Result         ◄── JSON ───     result.to_message()

The child has one image at a time, so that its death, or its silence, is that image's. What comes
back is plain data: nothing that the packs of the child define is imported by the supervisor.
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.util import Finalize
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from qualipy_core import errors, plugins
from qualipy_core.errors import (
    ExecutorError,
    ImageReadError,
    ImageTimeoutError,
    ImageTypeError,
    ProcessStartError,
    ResultError,
    WorkerDiedError,
)
from qualipy_core.plan import Plan, Task
from qualipy_core.result import Result
from qualipy_core.roots import Roots
from qualipy_core.servant import Alive, Died, Servant, TooLong
from qualipy_core.urls import shown

PREPARE_LIMIT = 60.0
"""Seconds in which a child must have started and imported its packs, at least."""

START_PAUSES = (0.05, 0.2, 1.0, 0.0)
"""Seconds after each vain attempt to start a child."""


class Sandbox:
    """A child process that judges images one at a time, and is replaced when it dies or hangs.

    Parameters
    ----------
    time_limit : float, optional
        Seconds for one image; ``None`` lets it take as long as it likes.
    tries : int
        How often an image is tried that the child dies on.

    Notes
    -----
    A sandbox belongs to the thread that uses it, and is a context manager. The child ends with
    this process, however that ends; on Linux, even while it hangs in C code.
    """

    def __init__(self, *, time_limit: float | None = None, tries: int = 3) -> None:
        if time_limit is not None and not time_limit > 0:
            raise ExecutorError(f"time_limit must be more than 0 seconds, not {time_limit}.")
        if tries < 1:
            raise ExecutorError(f"tries must be at least 1, not {tries}.")
        self.time_limit = time_limit
        self.tries = tries
        self.prepare_limit = max(PREPARE_LIMIT, time_limit or 0.0)
        self._make: bytes | None = None
        self._servant: Servant | None = None
        self._end: Callable[[], Any] | None = None

    @property
    def pid(self) -> int | None:
        """The child's process id, while there is one."""
        return self._servant.pid if self._servant is not None else None

    def rss(self) -> int:
        """Return the memory that the child has in use, in bytes; 0 where that is unknown."""
        with suppress(OSError):
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE")
        return 0

    def prepare(self, make: Callable[[], Plan], alive: Alive = None, every: float = 1.0) -> None:
        """Have the child make the plan that it judges by from now on.

        Parameters
        ----------
        make : callable
            Picklable; called in the child, and again in each that replaces it.
        alive, every
            As in `judge`.

        Raises
        ------
        QualipyError
            What `make` raised.
        ExecutorError
            `make` raised anything else, kills its process, or takes longer than `prepare_limit`;
            or no process can be started.
        """
        self._make = None
        try:
            request = pickle.dumps(make)
        except Exception as error:
            raise ExecutorError(f"The filters cannot be sent to a process: {error}.") from error
        self._load(request, alive, every)
        self._make = request

    def judge(self, task: Task, alive: Alive = None, every: float = 1.0) -> Result:
        """Run the filters on one image; every error that is the image's ends up in the result.

        Parameters
        ----------
        task : Task
            The image and its ROI.
        alive : callable, optional
            Called while waiting. What it raises ends the child at once and is raised from here;
            the sandbox can be used again afterwards.
        every : float
            Seconds between two calls of `alive`.

        Returns
        -------
        Result
            With an `ImageTimeoutError` where it took longer than `time_limit`, and a
            `WorkerDiedError` where the child died of it `tries` times.

        Raises
        ------
        ExecutorError
            The sandbox is not prepared, or the child that died cannot be replaced.
        """
        label = task.label
        try:
            request = pickle.dumps(task)
        except Exception as error:
            return unsendable(label, error)
        seconds = 0.0
        deaths = unread = 0
        while True:
            self._ready(alive, every)
            started = time.perf_counter()
            try:
                answer = self._ask(request, self.time_limit, alive, every)
            except TooLong:
                return too_long(label, self.time_limit or 0.0, time.perf_counter() - started)
            except Died as death:
                seconds += time.perf_counter() - started
                if death.unread and unread < self.tries:  # not of this image: it never had it
                    unread += 1
                    continue
                deaths += 1
                if deaths < self.tries:
                    continue
                return died(label, deaths, str(death), seconds)
            return received(label, answer)

    def close(self) -> None:
        """End the child; `prepare` starts another one."""
        self._make = None
        self._discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _ready(self, alive: Alive, every: float) -> None:
        if self._make is None:
            raise ExecutorError("The sandbox has no filters: call prepare first.")
        if self._servant is None or not self._servant.is_alive():
            self._load(self._make, alive, every)

    def _load(self, make: bytes, alive: Alive, every: float) -> None:
        """Have the child make its plan, starting one where there is none."""
        how = ""
        used = self._servant is not None  # one that has idled to death costs no try
        for _ in range(self.tries + used):
            if self._servant is None or not self._servant.is_alive():
                self._discard()
                self._start()
            try:
                answer = self._ask(make, self.prepare_limit, alive, every)
            except TooLong:
                raise ExecutorError(
                    f"Loading the filters took longer than {self.prepare_limit:g} seconds."
                ) from None
            except Died as death:
                how = str(death)
                continue
            if not answer:
                return
            self._discard()
            if "raised" in answer:
                raise errors.from_dict(answer["raised"])
            raise ExecutorError(f"The filters cannot be loaded: {problem(answer)}.")
        raise ExecutorError(
            f"The process that loads the filters died {self.tries} times; the last time, it {how}."
        )

    def _start(self) -> None:
        for pause in START_PAUSES:
            try:
                self._servant = Servant(answer_request, "qualipy_core._preloaded")
                break
            except (OSError, EOFError) as error:
                # A machine that is full for a moment, or a fork server that was killed just now.
                last = error
                time.sleep(pause)
        else:
            raise ProcessStartError(f"No process can be started: {last}.") from last
        # Before multiprocessing waits at the exit for a child that won't end by itself.
        self._end = Finalize(self, self._servant.end, exitpriority=100)

    def _ask(
        self, request: bytes, limit: float | None, alive: Alive, every: float
    ) -> dict[str, Any]:
        assert self._servant is not None  # noqa: S101
        try:
            return self._servant.ask(request, limit, alive, every)
        except BaseException:  # it is dead, or at work on what nobody waits for any more
            self._discard()
            raise

    def _discard(self) -> None:
        self._servant = None
        if self._end is not None:
            self._end()
            self._end = None


def too_long(label: str, limit: float, seconds: float) -> Result:
    """Return the result of an image that took too long."""
    message = f"Judging {shown(label)} took longer than {limit:g} seconds."
    return Result(label, error=ImageTimeoutError(message, image=label), seconds=seconds)


def died(label: str, times: int, how: str, seconds: float) -> Result:
    """Return the result of an image on which its process died, the last time as is told."""
    often = f"{times} times; the last time, it" if times > 1 else "once: it"
    message = f"The process that judged {shown(label)} died {often} {how}."
    return Result(label, error=WorkerDiedError(message, image=label), seconds=seconds)


def unsendable(label: str, problem: object) -> Result:
    """Return the result of an image that cannot go to another process."""
    message = f"{shown(label)} cannot be sent to a process: {problem}."
    return Result(label, error=ImageTypeError(message, image=label))


def received(label: str, answer: dict[str, Any]) -> Result:
    """Return the result that a child has answered, whatever it is."""
    try:
        if "result" in answer:
            return Result.from_dict(answer["result"])
        told = problem(answer)
    except ResultError as error:
        told = str(error).removesuffix(".")
    message = f"{shown(label)} cannot be judged: {told}."
    return Result(label, error=ImageReadError(message, image=label))


def problem(answer: dict[str, Any]) -> str:
    """Return what a child says that has not done what it was asked."""
    return str(answer.get("failed") or errors.from_dict(answer.get("raised")))


_plan = Plan((), roots=Roots())  # the child's own


def answer_request(request: bytes) -> dict[str, Any]:
    """Make the plan or judge an image: what the child does."""
    global _plan
    wanted = pickle.loads(request)  # noqa: S301 - from the process that started this one
    if isinstance(wanted, Task):
        return {"result": _plan.judge(wanted).to_message()}
    _plan = wanted if isinstance(wanted, Plan) else wanted()
    plugins.hooks()  # now, for the first image is not to be blamed for what they do
    return {}
