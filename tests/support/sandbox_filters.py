"""Filters that crash or hang on images of certain names, and plans of them, for child processes."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from sample_filters import Brightness, Explodes, Recurses

from qualipy_core import Filter, Image
from qualipy_core.errors import ImageReadError, UnknownFilterError
from qualipy_core.plan import Plan, Task

GREY = np.full((20, 30, 3), 51, np.uint8)


def crash(number: int) -> None:
    """End this process by a signal, without a core file."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(number, signal.SIG_DFL) if number != signal.SIGKILL else None
    os.kill(os.getpid(), number)
    time.sleep(10)


def hang_in_c() -> None:
    """Hang in C code that does not let go of the interpreter."""
    ctypes.PyDLL(None).sleep(1000)


def start_a_program(pid_file: str) -> None:
    """Hang with a program that this process has started, which holds all that it has open."""
    program = subprocess.Popen(["sleep", "1000"], close_fds=False)
    Path(pid_file).write_text(str(program.pid))
    program.wait()


def leave_a_fork(pid_file: str) -> None:
    """Die and leave a process that holds all that this one had open."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        time.sleep(1000)
    with Path(pid_file).open("a") as file:
        file.write(f"{pid}\n")
    crash(signal.SIGKILL)


def die_at_first(marker: str) -> None:
    """Die, the first time."""
    if not Path(marker).exists():
        Path(marker).touch()
        crash(signal.SIGSEGV)


def deny() -> None:
    """Raise an error of this module's own, which is in no tree."""
    raise Denied("no such luck", image="denied")


def close_everything() -> None:
    """Close what the supervisor listens to, and go on."""
    os.closerange(3, 256)
    time.sleep(1000)


def tell_variable(file: str) -> None:
    """Write an environment variable to a file of the current folder."""
    Path(file).write_text(os.environ.get("QUALIPY_DISABLE", ""))


class Denied(ImageReadError):
    """An error of a pack's own."""


ACTS: dict[str, Callable[..., object]] = {
    "SIGKILL": partial(crash, signal.SIGKILL),
    "SIGSEGV": partial(crash, signal.SIGSEGV),
    "SIGABRT": os.abort,
    "exit": partial(os._exit, 3),
    "sleeps": partial(time.sleep, 1000),
    "hangs": hang_in_c,
    "sys.exit": partial(sys.exit, 3),
    "prints": partial(print, "x" * 100_000),
    "writes": partial(os.write, 1, b"\0" * 100_000),
    "program": start_a_program,
    "fork": leave_a_fork,
    "once": die_at_first,
    "denies": deny,
    "closes": close_everything,
    "tells": tell_variable,
    "naps": lambda seconds: time.sleep(float(seconds)),
}


class Acts(Filter):
    """Does what the image's name says, in the form ``act`` or ``act:argument``."""

    name = "acts"
    speed = 3
    told: str = ""

    def measure(self, image: Image) -> float:
        name, _, argument = image.name.partition(":")
        if name in ACTS:
            ACTS[name](*[argument] if argument else [])
        return 0.25


def leave(request: bytes) -> dict[str, object]:
    """End this process instead of answering."""
    os._exit(3)


def task(name: str) -> Task:
    """Return the task of judging an image of that name."""
    return Task(Image(GREY, name=name))


def plan() -> Plan:
    """Return the plan of the filters that act, and of one that does not."""
    return Plan((("brightness", Brightness()), ("acts", Acts())))


def unlucky_plan() -> Plan:
    """Return a plan of filters that fail."""
    return Plan.make([Brightness(), Explodes(), Recurses()])


def no_plan(act: str, *arguments: str) -> Plan:
    """Do something else instead of returning a plan."""
    ACTS[act](*arguments)
    return plan()


def unknown() -> Plan:
    """Raise an error of the tree."""
    raise UnknownFilterError("no such filter", name="hrd", installed=("hdr",))


def broken() -> Plan:
    """Raise any other error."""
    raise ZeroDivisionError("what a pack may do")
