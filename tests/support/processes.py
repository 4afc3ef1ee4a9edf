"""Processes that tests start, kill and look into; none outlives the tests, whatever happens.

A process and all that come of it carry a mark in their environment. It tells whose a process is
even when its parent has been killed and it has moved to a session of its own, and by it a guard,
a process that waits for the end of the tests, finds whatever they have left.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self, TypeVar

T = TypeVar("T")

MARK = "QUALIPY_STARTED_BY_TEST"
_OURS = f"{os.getpid()}-{secrets.token_hex(8)}"
_serial = itertools.count()

_GUARD = """
import os, shutil, signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.stdin.read()
mark = b"\\0" + sys.argv[1].encode()
found = True
while found:
    found = False
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in b"\\0" + (entry / "environ").read_bytes():
                found = True
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:
            pass
shutil.rmtree(sys.argv[2], ignore_errors=True)
"""


def until(
    condition: Callable[[], T], timeout: float, what: str | Callable[[], str], pause: float = 0.02
) -> T:
    """Wait until a condition holds and return its value; fail with what it was waited for."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            said = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {timeout:g} s: {said}")
        time.sleep(pause)


def parents() -> dict[int, int]:
    """Return the parent of every process that is alive; the dead that nobody has asked for, not."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state not in "ZX":
            found[int(entry.name)] = int(parent)
    return found


def children(pid: int) -> list[int]:
    """Return the living children of a process, oldest first."""
    return sorted(child for child, parent in parents().items() if parent == pid)


def is_alive(pid: int) -> bool:
    """Whether a process runs, or is stopped: not whether it is dead and waited for."""
    return pid in parents()


def marked(mark: str) -> list[int]:
    """Return the living processes that carry a mark, oldest first."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for pid in parents():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if wanted in environment.split(b"\0"):
            found.append(pid)
    return sorted(found)


@functools.cache
def guarded_folder() -> Path:
    """Return a folder with a short path, as sockets need, that goes when the tests end.

    It comes with the guard: one ends what the tests have started, and removes the other.
    """
    folder = Path(tempfile.mkdtemp(prefix="qualipy-", dir="/tmp"))
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _GUARD, f"{MARK}={_OURS}.", str(folder)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )

    def dismiss() -> None:
        assert guard.stdin
        guard.stdin.close()
        guard.wait()

    atexit.register(dismiss)
    return folder


class Started:
    """A process in a session of its own, and whatever it starts in its turn.

    Parameters
    ----------
    command : sequence of str
    log : Path
        Takes what it writes to both its outputs; what was in it is kept.
    environment : mapping, optional
        All of its variables; those of this process, by default.
    folder : Path, optional
        Where it works.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        guarded_folder()
        self.log_file = log
        self._mark = f"{_OURS}.{next(_serial)}."
        own = os.environ if environment is None else environment
        # Else setproctitle writes over the variables, the mark among them, wherever it is there.
        marked_environment = {**own, MARK: self._mark, "SPT_NOENV": "1"}
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                env=marked_environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """How it has ended; ``None`` while it runs. Negative is the signal that has killed it."""
        return self._process.poll()

    def members(self) -> list[int]:
        """Return the living processes that have come of it, itself included."""
        return marked(self._mark)

    def send(self, number: int) -> None:
        """Send a signal to it alone."""
        self._process.send_signal(number)

    def send_all(self, number: int) -> None:
        """Send a signal to it and all that have come of it."""
        for pid in self.members():
            kill(pid, number)

    def wait(self, timeout: float = 60) -> int:
        """Wait for its end and return how it has ended."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not within {timeout:g} s: end\n{self.tail()}") from None

    def kill(self) -> None:
        """Kill it alone; its children find out for themselves."""
        self.send(signal.SIGKILL)
        self.wait()

    def kill_all(self) -> None:
        """Kill it and all that have come of it, as when the power goes."""
        while self.members():
            self.send_all(signal.SIGKILL)
            time.sleep(0.005)
        self.wait()

    def freeze(self) -> None:
        """Stop it and all that have come of it in mid-air, until `thaw`."""
        self.send_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self.send_all(signal.SIGCONT)

    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def tail(self, lines: int = 60) -> str:
        """Return the end of the log."""
        return "\n".join(self.log().splitlines()[-lines:])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill_all()


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process that may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
