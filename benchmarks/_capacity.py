"""How much one client and one Redis carry, found with workers that judge nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _cluster import Cluster, cluster, job, resident

from qualipy_celery.ledger import Ledger
from qualipy_celery.manifest import BLOCK
from qualipy_core import Filter, plugins

PACK = "qualipy-filters-builtin"
SIZES = (2, 8, 32, 128)  # images in a chunk
CHUNKS = 300  # of each size, at least
IMAGES = 6_400
SECONDS = 0.2  # of a photo, in the clusters that are played
CLUSTERS = (100, 800)  # processes of workers
FAKES = 4  # processes that play the workers
PLAYED = 40.0  # seconds for which each of them would take
LOST = 5  # processes of the smaller cluster that vanish
MANIFEST = 10_000_000  # images


def simulated(folder: Path) -> dict[str, Any]:
    """Return what chunks and images cost, and how well large clusters are kept at work."""
    with cluster(folder / "costs") as here:
        figures: dict[str, Any] = {"filters": len(filters()), "seconds": SECONDS}
        figures["costs"] = costs(here)
        figures["waiting"] = waiting(here)
    figures["clusters"] = []
    for processes in CLUSTERS:
        with cluster(folder / f"cluster{processes}") as here:
            figures["clusters"].append(played(here, processes))
            print(figures["clusters"][-1], flush=True)
    figures["lost"] = []
    for lost in (0, LOST):
        with cluster(folder / f"lost{lost}") as here:
            figures["lost"].append(lose(here, lost))
            print(figures["lost"][-1], flush=True)
    return figures


def filters() -> list[Filter]:
    """Return every built-in filter."""
    found = (plugins.registry().get(name) for name in plugins.registry().names())
    return [each() for each in found if plugins.origin(each)[0] == PACK]


def photos(count: int) -> Iterator[str]:
    """Yield names as long as those of photos are."""
    return (f"/srv/photos/2015/08/17/IMG_20150817_{number:08d}.jpg" for number in range(count))


def costs(here: Cluster) -> dict[str, dict[str, float]]:
    """Fit what a chunk costs, and what each image in it does, to chunks of several sizes."""
    made = filters()
    here.start_fakes("--workers", "8", "--results", str(len(made)))
    list(job(photos(100), made))
    found: dict[str, list[float]] = {}
    for size in SIZES:
        chunks = max(CHUNKS, IMAGES // size)
        cost = here.measured(lambda n=chunks * size, s=size: list(job(photos(n), made, chunk=s)))
        for name, value in vars(cost).items():
            found.setdefault(name, []).append(value / chunks)
        print(f"chunks of {size}: {cost}", flush=True)
    here.stop()
    fits = {}
    for name, values in found.items():
        # Relative deviations are what counts: the small chunks are as telling as the large ones.
        weights = 1 / np.asarray(values)
        design = np.stack([np.ones(len(SIZES)), np.asarray(SIZES)], axis=1)
        fit, *_ = np.linalg.lstsq(design * weights[:, None], np.ones(len(SIZES)), rcond=None)
        fits[name] = {"chunk": float(fit[0]), "image": float(fit[1])}
    return fits


def waiting(here: Cluster) -> dict[str, float]:
    """Measure what chunks that wait take in Redis and in the client, in bytes."""
    sizes, redis, client = (8, 64), [], []
    for size in sizes:
        here.server.client().flushall()
        before = here.server.used_memory(), resident()
        waits = job(photos(1_000 * size), filters(), chunk=size)
        waits.advance(0.0)
        redis.append((here.server.used_memory() - before[0]) / 1_000)
        client.append((resident() - before[1]) / 1_000)
    image = (redis[1] - redis[0]) / (sizes[1] - sizes[0])
    return {
        "chunk": redis[0] - image * sizes[0],
        "image": image,
        "client_image": client[1] / sizes[1],
        "manifest": manifest(here) / MANIFEST,
    }


def manifest(here: Cluster) -> int:
    """Return the bytes that the digests of a very large job take in Redis."""
    digests = {str(block): f"{block:016x}" for block in range(MANIFEST // BLOCK)}
    Ledger(here.server.client(), "large").keep_manifest(digests)
    return int(here.server.client().memory_usage("qualipy:{large}:manifest"))


def start_fakes(here: Cluster, workers: int, results: int, lost: int = 0) -> None:
    """Start so many fakes, which take as long as workers would."""
    for process in range(FAKES):
        here.start_fakes(
            *("--workers", str(workers // FAKES), "--seconds", str(SECONDS)),
            *("--results", str(results), "--lose", str(lost if process == 0 else 0)),
        )


def played(here: Cluster, processes: int) -> dict[str, float]:
    """Play a cluster in real time, and see how busy it is kept in the middle of a job."""
    made = filters()
    start_fakes(here, processes, len(made))
    count = int(processes * PLAYED / SECONDS)
    first, last = count * 4 // 10, count * 9 // 10
    times = {}
    before = here.cost()
    running = job(photos(count), made)
    for number, _ in enumerate(running, start=1):
        if number in (first, last):
            times[number] = time.perf_counter()
            peak = here.server.used_memory()
    cost = here.cost() - before
    rate = (last - first) / (times[last] - times[first])
    return {
        "processes": processes,
        "images": count,
        "rate": rate,
        "busy": rate * SECONDS / processes,
        "whole": count * SECONDS / processes / cost.wall,
        "client_cpu": cost.client / cost.wall,
        "fakes_cpu": cost.workers / cost.wall,
        "redis_cpu": cost.redis / cost.wall,
        "redis_memory": peak,
        "commands": cost.commands / cost.wall,
    }


def lose(here: Cluster, lost: int) -> dict[str, float]:
    """Play a cluster that some workers vanish from, and see what that costs."""
    made, processes = filters(), CLUSTERS[0]
    start_fakes(here, processes, len(made), lost)
    count = int(processes * PLAYED / SECONDS)
    start = time.perf_counter()
    longest = last = 0.0
    for _ in job(photos(count), made):
        now = time.perf_counter() - start
        longest, last = max(longest, now - last), now
    return {
        "processes": processes,
        "lost": lost,
        "images": count,
        "seconds": last,
        "longest_pause": longest,
    }
