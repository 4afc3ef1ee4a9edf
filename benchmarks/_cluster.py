"""A Redis server, workers and this process as their client: what `distributed` measures on."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SUPPORT = ROOT / "tests" / "support"
PACK = SUPPORT / "packs" / "stand_ins"
sys.path[:0] = [str(path) for path in (ROOT, SUPPORT, PACK) if str(path) not in sys.path]
os.environ["PYTHONPATH"] = str(PACK)  # for the processes of a local scan

from celery_client import connect, disconnect  # noqa: E402
from celery_workers import Worker, clean_environment  # noqa: E402
from processes import Started, until  # noqa: E402
from redis_server import RedisServer  # noqa: E402

from qualipy_celery.submission import Submission  # noqa: E402
from qualipy_core import Filter, plugins  # noqa: E402
from qualipy_core.pipeline import tasks_of  # noqa: E402
from qualipy_core.plan import Plan  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Cost:
    """What a run has cost: seconds of CPU by part, commands and bytes of Redis."""

    client: float
    workers: float
    redis: float
    commands: int  #: those within scripts among them
    received: int  #: bytes that came in to Redis
    sent: int
    wall: float

    def __sub__(self, other: Cost) -> Cost:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Cost(*(a - b for a, b in pairs))


@dataclass
class Cluster:
    """A server with what works for it, and this process as client."""

    server: RedisServer
    folder: Path
    working: list[Started]

    def start_worker(self, processes: int) -> Worker:
        """Start a real worker and wait until it takes tasks."""
        name = f"worker{len(self.working)}"
        worker = Worker(self.folder, self.server.url, name, concurrency=processes, packs=(PACK,))
        self.working.append(worker)
        worker.wait_ready()
        return worker

    def start_fakes(self, *options: str) -> Started:
        """Start a process of `_simulation`, whose workers judge nothing."""
        log = self.folder / f"fakes{len(self.working)}.log"
        script = Path(__file__).with_name("_simulation.py")
        variables = clean_environment() | {
            name: value for name, value in os.environ.items() if name == "QUALIPY_LEASE"
        }
        fakes = Started([sys.executable, str(script), self.server.url, *options], log, variables)
        self.working.append(fakes)
        until(lambda: "ready" in fakes.log() or fakes.returncode is not None, 60, "the fakes")
        if fakes.returncode is not None:
            raise SystemExit(fakes.tail())
        return fakes

    def stop(self) -> None:
        """End what works here."""
        while self.working:
            self.working.pop().kill_all()

    def cost(self) -> Cost:
        """What everything has cost so far."""
        redis = self.server.client()
        told: Any = redis.info("everything")
        return Cost(
            client=time.process_time(),
            workers=sum(cpu(pid) for each in self.working for pid in each.members()),
            redis=told["used_cpu_user"] + told["used_cpu_sys"],
            commands=told["total_commands_processed"],
            received=told["total_net_input_bytes"],
            sent=told["total_net_output_bytes"],
            wall=time.perf_counter(),
        )

    def measured(self, work: Callable[[], object]) -> Cost:
        """Run something and return what it has cost."""
        before = self.cost()
        work()
        return self.cost() - before


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Start a server; end it, and all that works for it."""
    folder.mkdir()
    with RedisServer(folder) as server:
        connect(server.url)
        made = Cluster(server, folder, [])
        try:
            yield made
        finally:
            made.stop()
            disconnect()


def cpu(pid: int) -> float:
    """Return the seconds of CPU that a process and its dead children have used."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS


def resident() -> int:
    """Return the bytes that this process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def stand_in(name: str, **parameters: Any) -> Filter:
    """Return a filter of the pack of stand-ins."""
    return plugins.registry().get(name)(**parameters)


def pictures(count: int) -> Iterator[str]:
    """Yield the names of pictures that cost nothing."""
    return (f"stand-in://{number}" for number in range(count))


def job(images: Any, filters: Sequence[Filter], chunk: int | None = None) -> Submission:
    """Begin a job, by default as `qualipy_celery.submit` does."""
    return Submission(tasks_of(images, None), Plan.make(filters), chunk=chunk)
