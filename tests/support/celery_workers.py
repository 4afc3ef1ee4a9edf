"""Real Celery workers, in processes of their own."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from processes import Started, children, kill, until

# What a lone worker would wait for others to say at its start, and send them all the time.
_ALONE = ("--without-gossip", "--without-mingle", "--without-heartbeat")


class Worker(Started):
    """``celery -A app worker``: a main process, its prefork children, and what they start.

    Parameters
    ----------
    folder : Path
        Where it works and writes its log; nothing of the checkout is found from it.
    url : str
        Of the broker and result backend.
    name : str
        Its name before the ``@``; unique among those that run at the same time.
    app : str
        The module of the Celery application.
    concurrency : int
        The number of prefork children.
    packs : sequence of Path
        Folders in which it finds modules and distributions besides what is installed.
    environment : mapping, optional
        Variables that it has in addition; no other ``QUALIPY_`` variable reaches it.
    options : sequence of str
        Further arguments of ``celery worker``.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        name: str = "worker",
        *,
        app: str = "qualipy_celery",
        concurrency: int = 2,
        packs: Sequence[Path] = (),
        environment: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.concurrency = concurrency
        given = {"QUALIPY_BROKER_URL": url, "QUALIPY_RESULT_BACKEND": url, **(environment or {})}
        command = [sys.executable, "-m", "celery", "-A", app, "worker", "--loglevel=INFO"]
        command += ["--pool=prefork", f"--concurrency={concurrency}", f"--hostname={name}@%h"]
        super().__init__(
            [*command, *_ALONE, *options],
            folder / f"{name}.log",
            {**clean_environment(*packs), **given},
            folder,
        )

    @property
    def main_pid(self) -> int:
        return self.pid

    def wait_ready(self, timeout: float = 120) -> None:
        """Wait until it takes tasks."""
        until(self._is_ready, timeout, lambda: f"worker {self.name} ready\n{self.tail()}", 0.05)

    def _is_ready(self) -> bool:
        log = self.log()
        assert self.returncode is None, f"worker {self.name} ended\n{self.tail()}"
        return any(f" {self.name}@" in line and " ready." in line for line in log.splitlines())

    def children(self) -> list[int]:
        """Return its prefork children, oldest first."""
        return children(self.pid)

    def grandchildren(self) -> list[int]:
        """Return what its prefork children have started, oldest first."""
        return sorted(pid for child in self.children() for pid in children(child))

    def kill_child(self, which: int = 0) -> int:
        """Kill a prefork child alone and return what its pid was."""
        pid = self.children()[which]
        kill(pid)
        return pid

    def kill_grandchild(self, which: int = 0) -> int:
        """Kill what a prefork child has started, alone, and return what its pid was."""
        pid = self.grandchildren()[which]
        kill(pid)
        return pid

    def term(self) -> None:
        """Ask it to end once its tasks are done; `wait` for it."""
        self.send(signal.SIGTERM)

    def quit(self) -> None:
        """Ask it to end at once and give its tasks back; `wait` for it."""
        self.send(signal.SIGQUIT)

    def stop(self, timeout: float = 60) -> int:
        """`term`, and wait until all that came of it has ended too; return how it has ended."""
        self.term()
        status = self.wait(timeout)
        until(lambda: not self.members(), timeout, lambda: f"end of all processes\n{self.tail()}")
        return status


def clean_environment(*packs: Path) -> dict[str, str]:
    """Return this process's variables without QualiPy's, Celery's, and with these packs alone."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("QUALIPY_", "CELERY_"))}
    return kept | {"PYTHONPATH": os.pathsep.join(map(str, packs)), "PYTHONUNBUFFERED": "1"}
