"""What is claimed about finding duplicates, measured: accuracy on pairs, and time over set sizes.

    python benchmarks/duplicates.py [--pairs FOLDER] [--photos FOLDER] [--sizes N ...] [--json FILE]

A folder of pairs has photos ``<id>_a.jpg`` and ``<id>_b.jpg``, alike under ``positive/`` and others
under ``negative/``. From a folder of photos edited copies are made, all photos being different
ones. Where imagededup is installed, its perceptual hash is measured on the same files; without
its neural networks' libraries too.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Image
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.hamming_search import pairs_within
from qualipy_filters_builtin.near_duplicates import FINGERPRINT, NearDuplicates

Pixels = NDArray[Any]
Linked = Callable[[list[str]], set[tuple[int, int]]]
RADIUS = 10


def cut(p: Pixels, left: float, top: float, right: float, bottom: float) -> Pixels:
    """Cut shares off the sides."""
    height, width = p.shape[:2]
    rows = slice(int(top * height), height - int(bottom * height))
    return p[rows, int(left * width) : width - int(right * width)]


def marked(p: Pixels) -> Pixels:
    """Write across a photo."""
    height, width = p.shape[:2]
    over = p.copy()
    place = (width // 10, height // 2)
    cv2.putText(over, "SAMPLE", place, cv2.FONT_HERSHEY_DUPLEX, width / 250, (255,) * 3, 3)
    return np.asarray(cv2.addWeighted(over, 0.6, p, 0.4, 0))


EDITS: dict[str, Callable[[Pixels], Pixels]] = {
    "half size": lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "brighter": lambda p: cv2.convertScaleAbs(p, alpha=1.2, beta=15),
    "darker": lambda p: cv2.convertScaleAbs(p, alpha=0.7),
    "grey": lambda p: np.repeat(cv2.cvtColor(p, cv2.COLOR_BGR2GRAY)[..., None], 3, axis=2),
    "blurred": lambda p: cv2.GaussianBlur(p, (0, 0), 2.5),
    "watermark": marked,
    "framed": lambda p: cv2.copyMakeBorder(
        p, 20, 20, 20, 20, cv2.BORDER_CONSTANT, value=(245, 245, 245)
    ),
    "cut 2.5 % all around": lambda p: cut(p, 0.025, 0.025, 0.025, 0.025),
    "cut 5 % all around": lambda p: cut(p, 0.05, 0.05, 0.05, 0.05),
    "cut 9 % all around": lambda p: cut(p, 0.09, 0.09, 0.09, 0.09),
    "cut 7 % on two sides": lambda p: cut(p, 0.07, 0.07, 0, 0),
    "turned 2 degrees": lambda p: cv2.warpAffine(
        p,
        cv2.getRotationMatrix2D((p.shape[1] / 2, p.shape[0] / 2), 2, 1.06),
        (p.shape[1], p.shape[0]),
    ),
}


def ours(names: list[str]) -> set[tuple[int, int]]:
    """Pairs of photos that are in one group."""
    found = NearDuplicates()
    rows = np.array([found.fingerprint(Image(name)) for name in names])
    groups = found.compare(rows).groups
    return {(min(i, j), max(i, j)) for group in groups for i in group for j in group if i != j}


def imagededup() -> Linked | None:
    """Return the same by imagededup's perceptual hash within its default of 10 bits, or None."""
    spec = importlib.util.find_spec("imagededup")
    if spec is None or not spec.submodule_search_locations:
        return None
    methods = types.ModuleType("imagededup.methods")  # the package itself would import torch
    methods.__path__ = [f"{spec.submodule_search_locations[0]}/methods"]
    sys.modules["imagededup.methods"] = methods
    networks = types.ModuleType("imagededup.utils.models")
    networks.CustomModel = None  # type: ignore[attr-defined]
    sys.modules["imagededup.utils.models"] = networks
    from imagededup.methods.hashing import PHash  # type: ignore[import-not-found]

    hasher = PHash(verbose=False)

    def linked(names: list[str]) -> set[tuple[int, int]]:
        codes = {str(i): hasher.encode_image(image_file=name) for i, name in enumerate(names)}
        found = hasher.find_duplicates(encoding_map=codes, max_distance_threshold=RADIUS)
        return {tuple(sorted((int(i), int(j)))) for i in found for j in found[i]}  # type: ignore[misc]

    return linked


def judged(names: list[str], true: set[tuple[int, int]], linked: Linked) -> dict[str, float]:
    """Recall, precision and milliseconds per photo of one method on one set."""
    start = time.perf_counter()
    found = linked(names)
    seconds = time.perf_counter() - start
    right = len(found & true)
    return {
        "pairs": len(true),
        "recall": right / len(true),
        "precision": right / len(found) if found else 1.0,
        "false_pairs": len(found - true),
        "ms_per_photo": seconds / len(names) * 1e3,
    }


def labelled_pairs(folder: Path) -> tuple[list[str], set[tuple[int, int]]]:
    """Photos of a folder of pairs, and which of them are alike."""
    names = sorted(str(path) for path in folder.rglob("*_[ab].jpg"))
    true = {(i, i + 1) for i in range(0, len(names), 2) if "positive" in names[i]}
    return names, true


def edited(photos: list[Path], folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Write edited copies of photos; yield each edit's name and files."""
    for edit, change in EDITS.items():
        names = []
        for number, photo in enumerate(photos):
            names.append(str(folder / f"{number}.jpg"))
            copy = change(np.asarray(cv2.imread(str(photo))))
            cv2.imwrite(names[-1], copy, [cv2.IMWRITE_JPEG_QUALITY, 80])
        yield edit, names


def searched(number: int, radius: int) -> dict[str, float]:
    """Time and memory of finding all pairs of random codes, of which a tenth have a near copy."""
    rng = np.random.default_rng(number)
    codes = rng.integers(0, 2**64, number, np.uint64)
    copies = number // 10
    for _ in range(radius // 2):
        codes[-copies:] ^= np.left_shift(np.uint64(1), rng.integers(0, 64, copies, np.uint64))
    codes[:copies] = codes[-copies:] ^ np.uint64(3 << 40)
    start = time.process_time()
    found = sum(len(i) for i, _ in pairs_within(codes, radius))
    return {"codes": number, "radius": radius, "pairs": found, **_cost(start)}


def compared(number: int) -> dict[str, float]:
    """Time and memory of `NearDuplicates.compare` on made fingerprints, a tenth of them copies."""
    rng = np.random.default_rng(number)
    rows = np.zeros(number, FINGERPRINT)
    rows["codes"] = rng.integers(0, 2**64, rows["codes"].shape, np.uint64)
    rows["tiny"] = rng.integers(0, 256, rows["tiny"].shape, np.uint8)
    rows["size"] = (4000, 3000)
    rows["sharpness"] = rng.random(number)
    copies = number // 10
    rows[-copies:] = rows[:copies]
    rows["sharpness"][-copies:] -= 1
    start = time.process_time()
    result = NearDuplicates(radius=RADIUS).compare(rows)
    return {"photos": number, "flagged": float((result.predictions > 0.5).sum()), **_cost(start)}


def _cost(start: float) -> dict[str, float]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu_seconds": time.process_time() - start, "peak_MB": peak}


def shown(what: str, figures: dict[str, float]) -> None:
    """Print one line."""
    values = "  ".join(f"{key} {value:.4g}" for key, value in figures.items())
    print(f"{what:44} {values}", flush=True)


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=Path, help="a folder of labelled pairs")
    parser.add_argument("--photos", type=Path, help="a folder of different photos, to be edited")
    parser.add_argument("--most", type=int, default=150, help="of these at most")
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--compare", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    report: dict[str, dict[str, float]] = {}

    def add(what: str, figures: dict[str, float]) -> None:
        report[what] = figures
        shown(what, figures)

    methods: dict[str, Linked] = {"near_duplicates": ours}
    if (rival := imagededup()) is not None:
        methods["imagededup PHash"] = rival
    for name, linked in methods.items():
        if options.pairs:
            add(f"labelled pairs, {name}", judged(*labelled_pairs(options.pairs), linked))
        if options.photos:
            photos = sorted(options.photos.rglob("*.jpg"))[: options.most]
            plain = [str(photo) for photo in photos]
            true = {(i, i + len(photos)) for i in range(len(photos))}
            with tempfile.TemporaryDirectory() as folder:
                for edit, files in edited(photos, Path(folder)):
                    add(f"{edit}, {name}", judged(plain + files, true, linked))
    for number in options.sizes:
        add(f"search among {number:,}", searched(number, RADIUS))
    for number in options.compare:
        add(f"compare {number:,}", compared(number))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
