"""What is claimed about speed, measured: one run prints every figure beside its target.

    python benchmarks/speed.py [--photos FOLDER] [--json FILE] [--rounds N]

All times are medians, on one core with OpenCV's threads off, and are given as ratios to
``cv2.imread`` of the same file in the same run: machines differ, ratios hardly. Without a folder of
camera files the benchmark makes photos of its own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from qualipy_core import Filter, Image, plugins, scan
from qualipy_core.opencv import cv2
from qualipy_core.plan import Plan, Task

CHEAP = ("exposure", "highlights", "framed", "posterized", "unconventional_size")


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


def median(work: Callable[[], object], rounds: int) -> float:
    """Return the median seconds of some work, after one round to warm up."""
    work()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def made_photos(folder: Path) -> list[Path]:
    """Write photos of 12 and 16 megapixels: smoothed noise at many scales, like a photo's."""
    rng = np.random.default_rng(1)
    paths = []
    for number, (width, height) in enumerate([(4000, 3000), (4928, 3264), (3264, 4928)]):
        total = np.zeros((height, width, 3), np.float32)
        for scale in (2, 8, 32, 128, 512):
            coarse = rng.random((height // scale + 2, width // scale + 2, 3), dtype=np.float32)
            total += scale**0.7 * cv2.resize(coarse, (width, height))
        pixels = (total / total.max() * 255).astype(np.uint8)
        paths.append(folder / f"made-{number}.jpg")
        cv2.imwrite(str(paths[-1]), pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return paths


def megapixel_copies(photos: list[Path], folder: Path) -> list[Path]:
    """Write copies of about one megapixel."""
    copies = []
    for photo in photos:
        pixels = np.asarray(cv2.imread(str(photo)))
        factor = (1e6 / (pixels.shape[0] * pixels.shape[1])) ** 0.5
        small = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        copies.append(folder / f"small-{photo.stem}.jpg")
        cv2.imwrite(str(copies[-1]), small, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return copies


def cost(paths: list[Path], filters: list[Filter], rounds: int) -> float:
    """Return the median over photos of the filters' time in units of ``cv2.imread``."""
    plan = Plan.make(filters)
    ratios = []
    for path in paths:
        name = str(path)
        ours = median(lambda name=name: plan.judge(Task(name)), rounds)  # type: ignore[misc]
        ratios.append(ours / median(lambda name=name: cv2.imread(name), rounds))  # type: ignore[misc]
    return statistics.median(ratios)


def command(*arguments: str, rounds: int = 7) -> float:
    """Return the median seconds of a command."""
    return median(lambda: subprocess.run(arguments, check=True, capture_output=True), rounds)


def measure(photos: list[Path], folder: Path, rounds: int) -> list[Line]:
    """Measure every figure."""
    copies = megapixel_copies(photos, folder)
    filters = {name: plugins.registry().get(name)() for name in plugins.registry().names()}
    builtin = [f for f in filters.values() if plugins.origin(type(f))[0] == PACK]
    lines = [
        Line("all filters, 12–16 megapixels", cost(photos, builtin, rounds), 1.0, "× imread"),
        Line("all filters, 1 megapixel", cost(copies, builtin, rounds), 4.0, "× imread"),
    ]
    for item in builtin:
        if item.name != "unconventional_size":
            ratio = cost(photos, [item], rounds)
            lines.append(Line(f"{item.name} alone, 12–16 megapixels", ratio, 0.6, "× imread"))
    size = Plan.make([filters["unconventional_size"]])
    seconds = median(lambda: size.judge(Task(str(photos[0]))), rounds)
    lines.append(Line("unconventional_size alone", seconds * 1e3, 1.0, "ms"))
    cheap = [filters[name] for name in CHEAP]
    lines.append(Line("the five cheap ones together", cost(photos, cheap, rounds), 0.5, "× imread"))

    blank = np.zeros((8, 8, 3), np.uint8)
    trivial = Plan.make([Trivial()])
    share = median(lambda: [trivial.judge(Task(blank)) for _ in range(1000)], rounds) * 1e3
    lines.append(Line("the framework's share per image", share, 50.0, "µs"))

    many = [str(path) for path in copies] * 40
    alone = median(lambda: list(scan(many, builtin, jobs=1)), 1)
    spread = median(lambda: list(scan(many, builtin, jobs=2)), 1)
    lines.append(Line(f"scan of {len(many)} photos, 2 jobs : 1", spread / alone, 0.55, "× time"))

    bare = command(sys.executable, "-c", "pass")
    core = command(sys.executable, "-c", "import qualipy_core") - bare
    lines.append(Line("import qualipy_core", core * 1e3, 60.0, "ms"))
    shown = command(sys.executable, "-m", "qualipy", "--help")
    lines.append(Line("qualipy --help", shown * 1e3, 250.0, "ms"))
    return lines


PACK = "qualipy-filters-builtin"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photos", type=Path, help="a folder of camera JPEGs")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = sorted(options.photos.glob("*.jpg")) if options.photos else made_photos(folder)
        lines = measure(photos, folder, options.rounds)
    print("\n".join(map(str, lines)))
    if options.json:
        rows = [vars(line) for line in lines]
        options.json.write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
