"""What is claimed about speed, measured: one run prints every figure beside its target.

    python benchmarks/speed.py [--photos FOLDER] [--rounds N] [--json docs/speed.json]
    python benchmarks/speed.py --photos FOLDER --only PART … --json docs/speed.json
    python benchmarks/speed.py --page docs/speed.json --into docs/speed.md

Times are medians, on one core with OpenCV's threads off, and are given as ratios to ``cv2.imread``
of the same file, taken in turns: machines differ, and so do minutes of one machine; ratios hardly.
Without a folder of camera files the benchmark makes photos of its own. The parts are ``targets``,
the table, which is what is measured by default; ``growth``, how cost grows with megapixels,
filters, photos and workers; ``many``, a scan of 2,000 photos in one process and in two; and
``memory``, what a scan of 100,000 photos does to it. A file of figures keeps its other parts.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import _growth
import numpy as np
from _markdown import put_into
from numpy.typing import NDArray

from qualipy_core import Filter, Image, plugins, scan
from qualipy_core.executors import available_cores
from qualipy_core.opencv import cv2
from qualipy_core.plan import Plan, Task

MAKER = "benchmarks/speed.py"
PACK = "qualipy-filters-builtin"
CHEAP = ("exposure", "highlights", "framed", "posterized", "unconventional_size")
PARTS = ("targets", "growth", "many", "memory")
MANY = 2000  # photos of the scan that two processes share
SET = 100_000  # photos of the scan whose memory is watched
MEGAPIXELS = (0.25, 0.5, 1, 2, 4, 8, 12, 16)


class Trivial(Filter):
    """Measures nothing: what is left is the framework's own share."""

    name = "trivial"

    def measure(self, image: Image) -> float:
        """Return zero."""
        return 0.0


class Line:
    """One figure of the table, with its target."""

    def __init__(self, what: str, figure: float, target: float, unit: str) -> None:
        self.what, self.figure, self.target, self.unit = what, figure, target, unit

    def __str__(self) -> str:
        verdict = "ok" if self.figure <= self.target else "MISSED"
        return f"{self.what:62} {self.figure:9.3f}  ≤ {self.target:<7g} {self.unit:10} {verdict}"


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Return how long some work takes: this process's time, whatever else the machine does."""
    start = clock()
    work()
    return clock() - start


def in_turns(
    *works: Callable[[], object],
    rounds: int,
    clock: Callable[[], float] = time.process_time,
    warm: bool = True,
) -> list[float]:
    """Return the median seconds of each of some works that are done in turns, once to warm up."""
    for work in works if warm else ():
        work()
    turns = [[seconds(work, clock) for work in works] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*turns, strict=True)]


def median(
    work: Callable[[], object], rounds: int, clock: Callable[[], float] = time.process_time
) -> float:
    """Return the median seconds of some work, after one round to warm up."""
    return in_turns(work, rounds=rounds, clock=clock)[0]


def beside_imread(plan: Plan, path: str, rounds: int) -> tuple[float, float]:
    """Return the median seconds of judging a photo, and of ``cv2.imread`` in turns with it."""
    ours, plain = in_turns(lambda: judge(plan, path), lambda: cv2.imread(path), rounds=rounds)
    return ours, plain


def made_photos(folder: Path) -> list[Path]:
    """Write photos of 12 and 16 megapixels: smoothed noise at many scales, like a photo's.

    They take 1.6 bits a pixel, and their 1-megapixel copies 1.8: camera files took 1.6 to 2.8, and
    their copies 0.6 to 2.7. Smoother ones cost the decoder less than any camera's do.
    """
    rng = np.random.default_rng(1)
    paths = []
    for number, (width, height) in enumerate([(4000, 3000), (4928, 3264), (3264, 4928)]):
        total = np.zeros((height, width, 3), np.float32)
        for scale in (2, 8, 32, 128, 512):
            coarse = rng.random((height // scale + 2, width // scale + 2, 3), dtype=np.float32)
            total += scale**0.3 * cv2.resize(coarse, (width, height))
        pixels = (total / total.max() * 255).astype(np.uint8)
        paths.append(folder / f"made-{number}.jpg")
        cv2.imwrite(str(paths[-1]), pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return paths


def copies(photos: list[Path], folder: Path, megapixels: float = 1.0) -> list[Path]:
    """Write copies of so many megapixels, of photos that have more."""
    made = []
    for photo in photos:
        pixels = np.asarray(cv2.imread(str(photo)))
        factor = (megapixels * 1e6 / (pixels.shape[0] * pixels.shape[1])) ** 0.5
        if factor <= 1:
            small = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            made.append(folder / f"{megapixels:g}-{photo.stem}.jpg")
            cv2.imwrite(str(made[-1]), small, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return made


def judge(plan: Plan, path: str | NDArray[np.uint8]) -> None:
    """Judge an image; an error would be quick."""
    plan.judge(Task(path)).raise_error()


def judge_all(paths: Iterable[str], filters: list[Filter], jobs: int = 1) -> None:
    """Scan images, in so many processes."""
    for result in scan(paths, filters, jobs=jobs):
        result.raise_error()


def cost(paths: list[Path], filters: list[Filter], rounds: int) -> float:
    """Return the median over photos of the filters' time in units of ``cv2.imread``."""
    plan = Plan.make(filters)
    pairs = [beside_imread(plan, str(path), rounds) for path in paths]
    return statistics.median(ours / plain for ours, plain in pairs)


def command(*arguments: str, rounds: int = 7) -> float:
    """Return the median seconds of a command."""
    run = functools.partial(subprocess.run, arguments, check=True, capture_output=True)
    return median(run, rounds, time.perf_counter)


def builtin() -> list[Filter]:
    """Return the built-in filters that run when none are chosen."""
    registry = plugins.registry()
    filters = [
        registry.get(entry.name)() for entry in registry.entries() if entry.distribution == PACK
    ]
    return [each for each in filters if each.by_default and isinstance(each, Filter)]


def targets(photos: list[Path], small: list[Path], rounds: int) -> list[Line]:
    """Measure every figure that has a target and takes no quarter of an hour."""
    filters = {each.name: each for each in builtin()}
    every = list(filters.values())
    lines = [
        Line(
            f"all {len(every)} filters, 12–16 megapixels",
            cost(photos, every, rounds),
            1.0,
            "× imread",
        ),
        Line(f"all {len(every)} filters, 1 megapixel", cost(small, every, rounds), 4.0, "× imread"),
    ]
    for name, item in filters.items():
        if name != "unconventional_size":
            ratio = cost(photos, [item], rounds)
            lines.append(Line(f"{name} alone, 12–16 megapixels", ratio, 0.6, "× imread"))
    size = Plan.make([filters["unconventional_size"]])
    alone = median(lambda: judge(size, str(photos[0])), rounds)
    lines.append(Line("unconventional_size alone", alone * 1e3, 1.0, "ms"))
    cheap = [filters[name] for name in CHEAP]
    lines.append(Line("the five cheap ones together", cost(photos, cheap, rounds), 0.5, "× imread"))

    blank = np.zeros((8, 8, 3), np.uint8)
    trivial = Plan.make([Trivial()])
    share = median(lambda: [judge(trivial, blank) for _ in range(1000)], rounds) * 1e3
    lines.append(Line("the framework's share per image", share, 50.0, "µs"))

    bare = command(sys.executable, "-c", "pass")
    core = command(sys.executable, "-c", "import qualipy_core") - bare
    lines.append(Line("import qualipy_core", core * 1e3, 60.0, "ms"))
    told = command(sys.executable, "-m", "qualipy", "--help")
    lines.append(Line("qualipy --help", told * 1e3, 250.0, "ms"))
    return lines


def shared(small: list[Path], count: int, rounds: int = 3) -> Line:
    """Scan many photos in two processes and in one, in turns, from the start to the last result."""
    every, paths = builtin(), list(islice(cycle(map(str, small)), count))
    judge_all(paths[:20], every)
    works = [functools.partial(judge_all, paths, every, jobs) for jobs in (2, 1)]
    two, one = in_turns(*works, rounds=rounds, clock=time.perf_counter, warm=False)
    return Line(f"scan of {count:,} photos, 2 jobs : 1", two / one, 0.55, "× time")


def growth(photos: list[Path], small: list[Path], folder: Path, rounds: int) -> dict[str, Any]:
    """Measure how cost grows; in milliseconds, or seconds where a name says so."""
    every = sorted(builtin(), key=lambda each: each.speed)
    plan = Plan.make(every)
    megapixels = []
    for size in MEGAPIXELS:
        names = [str(path) for path in copies(photos, folder, size)]
        if names:
            pairs = [beside_imread(plan, name, rounds) for name in names]
            ours, plain = (statistics.median(column) * 1e3 for column in zip(*pairs, strict=True))
            megapixels.append({"megapixels": size, "filters": ours, "imread": plain})
    filters = [
        {
            "filters": count,
            "last": every[count - 1].name,
            "large": cost(photos, every[:count], rounds),
            "small": cost(small, every[:count], rounds),
        }
        for count in range(1, len(every) + 1)
    ]
    pool = [str(path) for path in small]
    images = [
        {"images": count, "seconds": seconds(lambda: judge_all(islice(cycle(pool), count), every))}  # noqa: B023
        for count in (50, 100, 200, 400)
    ]
    work = functools.partial(judge_all, list(islice(cycle(pool), 400)), every)
    counts = range(1, available_cores() + 1)
    works = [functools.partial(work, jobs) for jobs in counts]
    times = in_turns(*works, rounds=3, clock=time.perf_counter)
    workers = [{"jobs": jobs, "seconds": took} for jobs, took in zip(counts, times, strict=True)]
    return {"megapixels": megapixels, "filters": filters, "images": images, "workers": workers}


def memory(folder: Path, count: int) -> Line:
    """Scan many small photos in a process of its own, and compare its memory, early and late."""
    rng = np.random.default_rng(2)
    for number in range(50):
        pixels = cv2.resize(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), (96, 72))
        cv2.imwrite(str(folder / f"tiny-{number}.jpg"), pixels)
    code = """
import itertools, pathlib, sys
from qualipy_core import scan
folder, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
paths = sorted(map(str, folder.glob("tiny-*.jpg")))
resident = lambda: int(pathlib.Path("/proc/self/statm").read_text().split()[1])
seen = []
for number, result in enumerate(scan(itertools.islice(itertools.cycle(paths), count))):
    result.raise_error()
    if number % (count // 100) == 0:
        seen.append(resident())
tenth = len(seen) // 10
print(sum(seen[:tenth]) / tenth, sum(seen[-tenth:]) / tenth)
"""
    run = [sys.executable, "-c", code, str(folder), str(count)]
    done = subprocess.run(run, check=True, capture_output=True, text=True)
    first, last = map(float, done.stdout.split())
    print(f"{last * os.sysconf('SC_PAGE_SIZE') / (1 << 20):.0f} MiB at the end of {count:,}")
    what = f"memory of a scan of {count:,}: its last tenth : its first"
    return Line(what, last / first, 1.05, "× MiB")


def on_one_core() -> None:
    """Start again with one thread for linear algebra, which is read when NumPy is imported."""
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Measure what is asked for, printing as it goes; return it as plain data."""
    cv2.setNumThreads(1)
    figures: dict[str, Any] = {}

    def keep(part: str, lines: list[Line]) -> None:
        print("\n".join(map(str, lines)), flush=True)
        figures[part] = [vars(line) for line in lines]

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = sorted(options.photos.glob("*.jpg")) if options.photos else made_photos(folder)
        small = copies(photos, folder)
        if "targets" in options.only:
            keep("targets", targets(photos, small, options.rounds))
            sizes = [np.prod(np.asarray(cv2.imread(str(path))).shape[:2]) / 1e6 for path in photos]
            figures["photos"] = {
                "camera": options.photos is not None,
                "megapixels": sorted(round(float(size), 1) for size in sizes),
            }
            figures["machine"] = {"python": platform.python_version(), "cores": available_cores()}
        if "growth" in options.only:
            figures["growth"] = growth(photos, small, folder, options.rounds)
        if "many" in options.only:
            keep("many", [shared(small, MANY)])
        if "memory" in options.only:
            keep("memory", [memory(folder, options.images)])
    return figures


def main() -> None:
    """Measure, or show what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photos", type=Path, help="a folder of camera JPEGs")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=["targets"])
    parser.add_argument("--images", type=int, default=SET, help="photos of the scan for memory")
    parser.add_argument("--json", type=Path, help="keep the figures here")
    parser.add_argument("--page", type=Path, help="measure nothing: show these figures")
    parser.add_argument("--into", type=Path, help="put them into this page, its plots beside it")
    options = parser.parse_args()
    if options.page is None:
        on_one_core()
        figures = measured(options)
        if options.json:
            if options.json.exists():
                figures = json.loads(options.json.read_text(encoding="utf-8")) | figures
            text = json.dumps(figures, indent=1, ensure_ascii=False)
            options.json.write_text(text + "\n", encoding="utf-8")
        return
    figures = json.loads(options.page.read_text(encoding="utf-8"))
    blocks = _growth.rendered(figures)
    if options.into:
        put_into(options.into, blocks, MAKER)
        _growth.draw(figures, options.into.parent)
    else:
        print("\n\n".join(blocks.values()))


if __name__ == "__main__":
    main()
