"""One child process that answers requests one after the other, and can be killed while it does.

Requests are bytes, answers are JSON: nothing that the child has imported is needed to read them,
and nothing that a child says is run.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import math
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import AuthenticationString, BaseProcess  # type: ignore[attr-defined]
from typing import Any

from qualipy_core import children
from qualipy_core.errors import QualipyError
from qualipy_core.threads import one_library_thread

Answer = Callable[[bytes], dict[str, Any]]
"""What the child does: a function of a module, of one request."""

Alive = Callable[[], None] | None
"""What wants calling while one waits for an answer; an exception of it ends the waiting."""

_GRACE = 1.0  # seconds from the end of a connection to the end of the process that held it
_PATIENCE = 5.0  # seconds for a kill to work: it waits while the system reads from a dead disk
_PR_SET_PDEATHSIG = 1  # of prctl(2)


class Died(Exception):  # noqa: N818
    """The child died; the text says how: "was ended by SIGSEGV"."""

    unread = False  # whether it died before it had read what it was asked


class TooLong(Exception):  # noqa: N818
    """The child has taken longer than it may."""


class Servant:
    """A child process that answers requests, one after the other.

    Parameters
    ----------
    answer : callable
        Of a module: called in the child, with each request. What it raises is in the answer: under
        ``raised``, as `QualipyError.to_dict` gives it, or under ``failed``, as text.
    *preload : str
        Modules to have imported once for all children.
    may_fork : bool
        Whether it may be a fork of this process, where that is as good as a fresh one.
    """

    def __init__(self, answer: Answer, *preload: str, may_fork: bool = True) -> None:
        fork = may_fork and children.may_fork()
        if fork:
            for module in preload:
                importlib.import_module(module)
        context = multiprocessing.get_context("fork") if fork else children.fresh_context(*preload)
        self.connection, theirs = context.Pipe()
        try:
            with children.no_interrupts(), one_library_thread(), _as_main_process():
                # A fork has this end as well, which would hide from it that this process is gone;
                # a fresh process has the variables that were set when the fork server started.
                inherited = (self.connection, None) if fork else (None, dict(os.environ))
                self._process: BaseProcess = context.Process(  # type: ignore[attr-defined]
                    target=_serve, args=(answer, theirs, *inherited), name="servant"
                )
                self._process.start()
        except BaseException:
            self.connection.close()
            raise
        finally:
            theirs.close()
        self.pid = self._process.pid

    def is_alive(self) -> bool:
        """Whether its process exists."""
        return self._process.exitcode is None

    def ask(
        self, request: bytes, limit: float | None, alive: Alive, every: float
    ) -> dict[str, Any]:
        """Send a request and return the answer; raise `Died` or `TooLong` without one."""
        self.send(request)
        now = time.monotonic()
        deadline = math.inf if limit is None else now + limit
        beat = now + every
        while True:
            ready = wait(
                [self.connection, self._process.sentinel], max(0.0, min(deadline, beat) - now)
            )
            # A program that the child has started may hold its ends of both open: ask the system.
            if ready or not self.is_alive():
                return self.receive()
            now = time.monotonic()
            if now >= deadline:
                raise TooLong
            if now >= beat:
                if alive is not None:
                    alive()
                now = time.monotonic()
                beat = now + every

    def send(self, request: bytes) -> None:
        """Send a request, and do not wait for the answer; raise `Died` where nobody reads it."""
        try:
            self.connection.send_bytes(request)
        except OSError:
            raise self._died(unread=True) from None

    def receive(self) -> dict[str, Any]:
        """Return the answer to the oldest request, once there is a sign of it; raise `Died`."""
        try:
            if self.connection.poll():
                return dict(json.loads(self.connection.recv_bytes()))
        except ConnectionResetError:  # the system's word for a request that was never read
            raise self._died(unread=True) from None
        except (EOFError, OSError, ValueError):
            pass
        raise self._died()

    def _died(self, unread: bool = False) -> Died:
        code = self._exitcode(_GRACE)
        death = Died("broke its connection" if code is None else _told(code))
        death.unread = unread
        return death

    def _exitcode(self, patience: float) -> int | None:
        until = time.monotonic() + patience
        while self._process.exitcode is None and time.monotonic() < until:
            self._process.join(0.02)
        return self._process.exitcode

    def kill(self) -> None:
        """Kill it, with the programs that it has started, and do not wait."""
        if self.pid is not None and hasattr(os, "killpg"):
            with suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)
        self._process.kill()

    def end(self) -> None:
        """Kill it, with the programs that it has started, and clear up behind it."""
        self.kill()
        self.connection.close()
        if self._exitcode(_PATIENCE) is not None:
            self._process.close()


@contextmanager
def _as_main_process() -> Iterator[None]:
    """Start processes from a daemonic one too, and from those that Celery starts its own way.

    A daemon is refused children lest these outlive it; a servant does not.
    """
    settings = vars(multiprocessing.current_process())["_config"]
    before = dict(settings)
    settings.pop("daemon", None)
    settings["authkey"] = AuthenticationString(settings["authkey"])  # Celery's can't be pickled
    try:
        yield
    finally:
        settings.update(before)


def _told(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = ", as the system does when memory runs out" if name == "SIGKILL" else ""
    return f"was ended by {name}{hint}"


def _serve(
    answer: Answer,
    connection: Connection[Any, Any],
    inherited: Connection[Any, Any] | None,
    environment: dict[str, str] | None,
) -> None:
    """Answer requests until nobody can ask any more: what the child does."""
    if inherited is not None:
        inherited.close()
        gc.freeze()  # what is the parent's is not to be finalised, and said goodbye for, here
    if environment is not None:
        os.environ.clear()
        os.environ.update(environment)
    _settle()
    while True:
        try:
            request = connection.recv_bytes()
        except (EOFError, OSError):
            os._exit(0)
        try:
            data = json.dumps(answer(request))
        except QualipyError as error:
            data = json.dumps({"raised": error.to_dict()})
        except BaseException as error:  # sys.exit too: it is the supervisor who ends this process
            data = json.dumps({"failed": f"{type(error).__name__}: {error}".removesuffix(": ")})
        try:
            connection.send_bytes(data.encode())
        except OSError:
            os._exit(0)


def _settle() -> None:
    _die_with_parent()
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # a group of its own, to be killed with all that it starts
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)  # a fork has the handlers of its parent
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the supervisor decides when this one ends
    children.settle()
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_SETMASK, set())


def _die_with_parent() -> None:
    """Let the system kill this process when its supervisor ends, whatever runs here.

    A thread that watches, as `children.settle` starts one, waits for ever on C code that does not
    let go of the interpreter.
    """
    parent = multiprocessing.parent_process()
    if sys.platform != "linux" or parent is None:
        return
    import fcntl

    # For a fork: the process that made it is the supervisor.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # For a child of the fork server: a pipe from the supervisor, which now signals its closing.
    pipe = parent.sentinel
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    if not parent.is_alive():  # since before the system knew
        os._exit(1)
