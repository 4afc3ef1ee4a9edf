"""What is claimed about distributed jobs, measured: one run prints every figure beside its target.

    python benchmarks/distributed.py [--rounds N] [--images N] [--simulate] [--only PART]
        [--json FILE]
    python benchmarks/distributed.py --page docs/distributed-figures.json [--into docs/scaling.md]

It starts a Redis server and workers of its own. Times are compared within a run, in turns, and
given as ratios of medians, for machines differ. `--simulate` finds out how much one client and one
Redis can carry, with workers that judge nothing; the page on scaling is made from what it writes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from _capacity import simulated
from _cluster import ROOT, Cluster, cluster, job, pictures, resident, stand_in
from _markdown import put_into
from _page import MAKER, rendered

from qualipy_celery.jobs import find_job
from qualipy_core import Filter, Result, scan
from qualipy_core.executors import available_cores

PUBLISHED = ROOT / "docs" / "distributed-figures.json"
PARTS = ("memory", "overhead", "commands", "simulation")
PROCESSES = 2
MARK = 100_000  # images after which memory is looked at for the first time
MIB = 1 << 20


@dataclass
class Line:
    """One figure of the table, with its target where there is one."""

    what: str
    figure: float
    unit: str
    target: float | None = None

    def __str__(self) -> str:
        wanted = verdict = ""
        if self.target is not None:
            wanted, verdict = f"≤ {self.target:<6g}", "ok"
            if self.figure > self.target:
                verdict = "MISSED"
        return f"{self.what:66} {self.figure:9.3f} {self.unit:9} {wanted:8} {verdict}".rstrip()


class Source:
    """Pictures, and the time when the first one was asked for: the processes stand by then."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.asked = 0.0

    def __iter__(self) -> Iterator[str]:
        self.asked = time.perf_counter()
        yield from pictures(self._count)


@dataclass
class Timed:
    """How long a run took: from the first image on, and with the start of what judges."""

    warm: float
    whole: float
    results: list[Result]


def locally(count: int, filters: Sequence[Filter]) -> Timed:
    """Run a local scan in processes, which start with it."""
    source = Source(count)
    start = time.perf_counter()
    results = list(scan(iter(source), filters, jobs=PROCESSES))
    end = time.perf_counter()
    return Timed(end - source.asked, end - start, results)


def distributed(count: int, filters: Sequence[Filter]) -> Timed:
    """Run a job on workers that stand; both times are from the call on."""
    start = time.perf_counter()
    results = list(job(pictures(count), filters))
    seconds = time.perf_counter() - start
    return Timed(seconds, seconds, results)


def overhead(here: Cluster, seconds: float, rounds: int) -> Iterator[Line]:
    """Compare jobs with local scans of the same images, in turns."""
    here.start_worker(PROCESSES)
    for kind in ("sleeps", "computes"):
        for milliseconds, target in ((20, 1.10), (5, 1.25)):
            busy = stand_in("busy", milliseconds=float(milliseconds))
            item = busy if kind == "computes" else stand_in("slow", seconds=milliseconds / 1000)
            count = int(seconds * PROCESSES * 1000 / milliseconds)
            distributed(20, [item])  # the sandboxes load the filter
            runs = [(locally(count, [item]), distributed(count, [item])) for _ in range(rounds)]
            alone, spread = zip(*((a.warm, b.warm) for a, b in runs), strict=True)
            ratio = statistics.median(spread) / statistics.median(alone)
            assert same(*(run.results for run in runs[-1]))
            what = f"job : scan, {PROCESSES} processes, {count} images, {kind} {milliseconds} ms"
            yield Line(what, ratio, "× time", target)
    here.stop()
    count, item = int(seconds * PROCESSES * 50), stand_in("slow", seconds=0.02)
    alone = locally(count, [item]).whole
    start = time.perf_counter()
    here.start_worker(PROCESSES)
    distributed(count, [item])
    spread = time.perf_counter() - start
    here.stop()
    yield Line(
        f"the same at sleeps 20 ms, {count} images, with their starts", spread / alone, "× time"
    )


def same(first: list[Result], second: list[Result]) -> bool:
    """Whether two runs have given the same answers, in whatever order."""

    def answers(results: list[Result]) -> dict[str, Any]:
        return {each.image: (each.predictions, each.decisions, each.error) for each in results}

    return answers(first) == answers(second)


def commands(here: Cluster) -> Iterator[Line]:
    """Count what is asked of Redis."""
    count, size = 6_400, 32
    here.start_worker(PROCESSES)
    item = stand_in("mean")
    list(job(pictures(100), [item], chunk=size))
    cost = here.measured(lambda: list(job(pictures(count), [item], chunk=size)))
    yield Line(
        f"commands per image, chunks of {size}, scripts' own ones too",
        cost.commands / count,
        "",
        0.7,
    )
    with Watched(here) as watched:
        list(job(pictures(count), [item], chunk=size))
    yield Line(f"commands per image, chunks of {size}, sent", watched.sent / count, "", 0.7)
    automatic = here.measured(lambda: list(job(pictures(4 * count), [item])))
    yield Line("commands per image, chunks as large as suits", automatic.commands / count / 4, "")
    for what, cpu in (
        ("client", automatic.client),
        ("workers and sandboxes", automatic.workers),
        ("Redis", automatic.redis),
    ):
        yield Line(f"CPU per image, trivial filter: {what}", cpu / count / 4 * 1e3, "ms")
    here.stop()
    for count in (10, 1_000, 100_000):
        running = job(pictures(count), [item], chunk=256)
        running.advance(0.0)
        found = find_job(running.id)
        cost = here.measured(found.status)
        own = here.measured(lambda: None)
        yield Line(f"commands of a status, {count} images", cost.commands - own.commands, "", 1)
        here.server.client().flushall()


class Watched:
    """Counts the commands that clients send, not those of scripts."""

    def __init__(self, here: Cluster) -> None:
        self._here = here
        self.sent = 0
        self._thread = threading.Thread(target=self._count, daemon=True)
        self._began = threading.Event()

    def __enter__(self) -> Watched:
        self._thread.start()
        self._began.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._here.server.client().echo("end")
        self._thread.join()

    def _count(self) -> None:
        with self._here.server.client().monitor() as monitor:
            self._began.set()
            for told in monitor.listen():
                if told["command"] == "ECHO end":
                    return
                self.sent += told["client_type"] != "lua"


def memory(here: Cluster, images: int) -> Iterator[Line]:
    """Look at what a long job holds, early on and at its end; workers that judge nothing."""
    here.start_fakes("--workers", str(PROCESSES))
    item = stand_in("mean")
    list(job(pictures(1_000), [item]))
    marks = {min(MARK, images // 2): "early", images: "late"}
    seen: dict[str, tuple[float, float]] = {}
    start = time.perf_counter()
    for number, _ in enumerate(job(pictures(images), [item]), start=1):
        if number in marks:
            seen[marks[number]] = resident() / MIB, here.server.used_memory() / MIB
    rate = images / (time.perf_counter() - start)
    here.stop()
    first, last = (f"{number:,}" for number in marks)
    for place, what in enumerate(("the client's", "Redis'")):
        early, late = seen["early"][place], seen["late"][place]
        yield Line(f"{what} memory after {first} images", early, "MiB")
        yield Line(f"{what} memory after {last} images", late, "MiB", round(early * 1.05 + 2, 1))
    yield Line("images per second that the client was through with", rate, "/s")


def machine() -> dict[str, Any]:
    """Tell what this was measured on."""
    packages = ("celery", "kombu", "redis", "qualipy-celery")
    return {
        "python": platform.python_version(),
        "cores": available_cores(),
        **{name: version(name) for name in packages},
    }


def measured(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure everything that is wanted, and print each figure as it comes."""
    figures: dict[str, Any] = {"machine": machine(), "parts": {}}
    if options.only and options.json and options.json.exists():
        figures["parts"] = json.loads(options.json.read_text(encoding="utf-8"))["parts"]
    parts: dict[str, Callable[[Cluster], Iterator[Line]]] = {
        # First of all: what other parts have taken and given back would hide what it takes.
        "memory": lambda here: memory(here, options.images),
        "overhead": lambda here: overhead(here, options.seconds, options.rounds),
        "commands": commands,
    }
    for name in options.only or ([*parts, "simulation"] if options.simulate else parts):
        before = os.getloadavg()[0]
        print(f"{name}: load of this machine {before:.1f}", flush=True)
        part = figures["parts"][name] = {}
        if name == "simulation":
            part |= simulated(folder)
        else:
            part["lines"] = []
            with cluster(folder / name) as here:
                version = here.server.client().info("server")["redis_version"]
                figures["machine"]["redis-server"] = version
                for line in parts[name](here):
                    print(line, flush=True)
                    part["lines"].append(asdict(line))
        part["load"] = [round(before, 1), round(os.getloadavg()[0], 1)]
    return figures


def main() -> None:
    """Measure, or make the page of what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=2, help="of each comparison")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each run of a comparison")
    parser.add_argument("--images", type=int, default=2 * MARK, help="of the long job")
    parser.add_argument("--only", action="append", choices=PARTS, help="the rest of FILE stays")
    parser.add_argument(
        "--simulate", action="store_true", help="how much one client and Redis carry"
    )
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    parser.add_argument(
        "--page", type=Path, help="measure nothing: print the page of these figures"
    )
    parser.add_argument("--into", type=Path, help="put them into this page")
    options = parser.parse_args()
    if options.page:
        figures = json.loads(options.page.read_text(encoding="utf-8"))
        blocks = rendered(figures)
        if options.into:
            put_into(options.into, blocks, MAKER)
        else:
            print("\n\n".join(blocks.values()))
        return
    with tempfile.TemporaryDirectory() as name:
        figures = measured(options, Path(name))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
