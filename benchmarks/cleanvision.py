"""Our filters beside cleanvision's checks: the same pictures, right and wrong, and the time.

    python benchmarks/cleanvision.py FOLDER --cleanvision-python PATH [--labels FILE] [--more DIR]
    python benchmarks/cleanvision.py --table docs/cleanvision.json [--into docs/from-cleanvision.md]

The folder holds ``manifest.csv`` as for `accuracy`. PATH is the Python of an environment that has
cleanvision; it runs there, by itself. What the folder has no labels for is made of its photos (see
`_hard_cases`), of those alone on which no filter was tuned; ``--labels``, a table with the columns
``path, check, label``, adds photos that somebody has looked at. ``--more`` adds large photos to
those that are timed. What is written (docs/cleanvision.json, unless ``-o`` says another place)
holds figures alone.

cleanvision is judged twice: with its own thresholds, and with those that would have been best on
these very pictures, which nobody can know beforehand. Our filters have their defaults.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _hard_cases import Case, write_cases
from _markdown import put_into, table

from qualipy_core import metrics, scan
from qualipy_core.opencv import cv2

MAKER = "benchmarks/cleanvision.py"
PUBLISHED = Path(__file__).parents[1] / "docs" / "cleanvision.json"
TUNED_ON = ("exposure", "pattern")  # classes whose photos the made pictures were tuned on
SOURCES = 90  # photos of which pictures are made
TIMED = 500
DIGITS = 4

THEIRS = """
import json, sys, time
from importlib.metadata import version
from cleanvision import Imagelab
asked = json.load(sys.stdin)
start = time.process_time()
lab = Imagelab(filepaths=asked["paths"], verbose=False)
lab.find_issues({name: {} for name in asked["checks"]}, n_jobs=1, verbose=False)
seconds = time.process_time() - start
issues = lab.issues.loc[asked["paths"]]
said = {
    name: [issues[f"{name}_score"].astype(float).tolist(), issues[f"is_{name}_issue"].tolist()]
    for name in asked["checks"]
}
json.dump({"seconds": seconds, "version": version("cleanvision"), "said": said}, sys.stdout)
"""


class Pair(NamedTuple):
    """A filter of ours and the checks of theirs that look for the same defect."""

    ours: str
    theirs: tuple[str, ...]


PAIRS = (
    Pair("dark", ("dark",)),
    Pair("light", ("light",)),
    Pair("low_information", ("low_information",)),
    Pair("grayscale", ("grayscale",)),
    Pair("whole_blur", ("blurry",)),
    Pair("exposure", ("dark", "light")),
    Pair("unconventional_size", ("odd_aspect_ratio",)),
)
THRESHOLDS = {"dark": 0.32, "light": 0.05}  # theirs: what makes scores of two checks comparable
SAME_DEFECTS = (  # what is timed: theirs read the size of a photo for one check more
    ("dark", "light", "low_information", "grayscale", "whole_blur", "unconventional_size"),
    ("dark", "light", "low_information", "grayscale", "blurry", "odd_aspect_ratio"),
)


def ask_theirs(python: Path, paths: Sequence[str], checks: Iterable[str]) -> dict[str, Any]:
    """Return what cleanvision says of photos, and the seconds that it took in one process."""
    ran = subprocess.run(
        [str(python), "-I", "-W", "ignore", "-c", THEIRS],
        input=json.dumps({"paths": list(paths), "checks": list(checks)}),
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise SystemExit(f"cleanvision failed: {ran.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(ran.stdout[ran.stdout.index('{"seconds"') :])
    return found


def labelled(folder: Path) -> tuple[list[Case], list[Path]]:
    """Return the photos of a folder that filters have labels for, and some to make others of."""
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = {pair.ours for pair in PAIRS}
    cases = [
        Case(str(folder / row["path"]), row["class"], row["variant"], row["label"] == "positive")
        for row in rows
        if row["class"] in names
    ]
    used = {row["group"] for row in rows if row["class"] in TUNED_ON}
    sources = []
    for row in rows:
        ordinary = row["label"] == "negative" and row["variant"].startswith("clean")
        if ordinary and row["group"] not in used:
            used.add(row["group"])
            sources.append(folder / row["path"])
    return cases, sources[:: max(1, len(sources) // SOURCES)][:SOURCES]


def looked_at(folder: Path, labels: Path | None) -> list[Case]:
    """Return the photos that somebody has looked at."""
    if labels is None:
        return []
    with labels.open(newline="", encoding="utf-8") as file:
        return [
            Case(str(folder / row["path"]), row["check"], "looked at", row["label"] == "positive")
            for row in csv.DictReader(file)
        ]


def compared(pair: Pair, cases: list[Case], python: Path) -> dict[str, Any]:
    """Return the figures of both on the same pictures."""
    paths = list(dict.fromkeys(case.path for case in cases))
    theirs = ask_theirs(python, paths, pair.theirs)["said"]
    scores, flags = np.zeros(len(paths)), np.zeros(len(paths), bool)
    for check in pair.theirs:
        score, flagged = theirs[check]
        # Their score falls with the defect. Of two checks the one that is nearer to being flagged.
        badness = -np.asarray(score) / THRESHOLDS.get(check, 1.0)
        scores = badness if check == pair.theirs[0] else np.maximum(scores, badness)
        flags |= np.asarray(flagged, bool)
    ours = {}
    for path, result in zip(paths, scan(paths, [pair.ours]), strict=True):
        if result.failed:
            raise SystemExit(f"{path} cannot be judged: {result.error}")
        ours[path] = (result.predictions[pair.ours], bool(result.decisions[pair.ours]))
    index = {path: number for number, path in enumerate(paths)}
    positive = np.array([case.positive for case in cases])
    both = {
        "ours": (
            np.array([ours[case.path][0] for case in cases]),
            np.array([ours[case.path][1] for case in cases]),
        ),
        "theirs": (
            np.array([scores[index[case.path]] for case in cases]),
            np.array([flags[index[case.path]] for case in cases]),
        ),
    }
    told: dict[str, Any] = {"positives": int(positive.sum()), "negatives": int((~positive).sum())}
    variants: dict[str, Any] = {}
    for who, (score, flagged) in both.items():
        told[who] = judged(positive, score, flagged)
        for number, case in enumerate(cases):
            entry = variants.setdefault(
                case.variant, {"positive": case.positive, "pictures": 0, "ours": 0, "theirs": 0}
            )
            entry["pictures"] += who == "ours"
            entry[who] += bool(flagged[number] == case.positive)
    told["variants"] = variants
    return told


def judged(positive: Any, score: Any, flagged: Any) -> dict[str, Any]:
    """Return balanced accuracy as decided and at the best threshold, and the ROC AUC."""
    found = metrics.figures(positive, flagged, score)
    best = float(metrics.cuts(positive, score).balanced_accuracy.max())
    auc = metrics.roc_auc(positive, score)
    accuracy = found["balanced_accuracy"]
    return {
        "balanced_accuracy": accuracy and round(accuracy.value, DIGITS),
        "at_best_threshold": round(best, DIGITS),
        "roc_auc": auc and round(auc, DIGITS),
    }


def timed(paths: list[str], python: Path, rounds: int) -> dict[str, Any]:
    """Return the processor's seconds of both for the same defects of the same photos, in turns.

    Both work in one thread; what else the machine does does not count.
    """
    ours, theirs = SAME_DEFECTS
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    filters = list(ours)
    for number in range(rounds + 1):
        some = paths if number else paths[:20]  # to warm up: libraries, what they make once
        begun = time.process_time()
        failed = [result.image for result in scan(some, filters, jobs=1) if result.failed]
        seconds = time.process_time() - begun
        if failed:
            raise SystemExit(f"{failed[0]} cannot be judged")
        other = ask_theirs(python, some, theirs)["seconds"]
        if number:
            times["ours"].append(seconds)
            times["theirs"].append(other)
    medians = {who: statistics.median(each) for who, each in times.items()}
    return {
        "photos": len(paths),
        "rounds": rounds,
        "ours": round(medians["ours"], 3),
        "theirs": round(medians["theirs"], 3),
        "share": round(medians["ours"] / medians["theirs"], DIGITS),
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure everything."""
    cases, sources = labelled(options.folder)
    python = options.cleanvision_python
    with tempfile.TemporaryDirectory() as name:
        made = write_cases(sources, Path(name))
        seen = looked_at(options.folder, options.labels)
        checks: dict[str, Any] = {}
        for pair in PAIRS:
            parts = {"labelled": cases, "made": made, "looked at": seen}
            for part, all_of_it in parts.items():
                chosen = [case for case in all_of_it if case.check == pair.ours]
                if len({case.positive for case in chosen}) == 2:
                    print(f"{pair.ours}, {part} …", flush=True)
                    told = compared(pair, chosen, python)
                    if part != "made":
                        del told["variants"]
                    checks.setdefault(pair.ours, {"theirs": pair.theirs, "parts": {}})
                    checks[pair.ours]["parts"][part] = told
    print("time …", flush=True)
    large = sorted(options.more.glob("*.jpg")) if options.more else []
    small = sorted(options.folder.rglob("*.jpg"))
    step = max(1, len(small) // TIMED)
    photos = [str(path) for path in [*large, *small[::step]][:TIMED]]
    return {
        "cleanvision": ask_theirs(python, photos[:1], ["grayscale"])["version"],
        "sources": len(sources),
        "checks": checks,
        "time": {**timed(photos, python, options.rounds), "large": len(large)},
    }


def rendered(data: dict[str, Any]) -> dict[str, str]:
    """Return the parts of the page that have figures, as Markdown, by name."""
    return {"figures": figures(data), "cases": hard_cases(data), "time": cost(data)}


def figures(data: dict[str, Any]) -> str:
    rows = []
    for name, entry in data["checks"].items():
        for part, told in entry["parts"].items():
            ours, theirs = told["ours"], told["theirs"]
            rows.append(
                (
                    f"`{name}`",
                    ", ".join(f"`{check}`" for check in entry["theirs"]),
                    f"{part}, {told['positives']} / {told['negatives']}",
                    digits(ours["balanced_accuracy"]),
                    digits(theirs["balanced_accuracy"]),
                    digits(theirs["at_best_threshold"]),
                    digits(ours["roc_auc"]),
                    digits(theirs["roc_auc"]),
                )
            )
    head = (
        "filter", "cleanvision's", "photos + / −", "balanced accuracy: ours", "theirs",
        "theirs at its best threshold", "ROC AUC: ours", "theirs",
    )  # fmt: skip
    return f"cleanvision {data['cleanvision']}.\n\n" + table(head, rows)


def hard_cases(data: dict[str, Any]) -> str:
    rows = []
    for name, entry in data["checks"].items():
        for variant, told in entry["parts"].get("made", {}).get("variants", {}).items():
            count = told["pictures"]
            rows.append(
                (
                    f"`{name}`",
                    variant,
                    "flagged" if told["positive"] else "passed",
                    f"{told['ours']} of {count}",
                    f"{told['theirs']} of {count}",
                )
            )
    return table(("check", "picture", "should be", "ours right", "theirs right"), rows)


def cost(data: dict[str, Any]) -> str:
    told = data["time"]
    return (
        f"{told['photos']} photos, {told['large']} of them of 6 to 16 megapixels, the six checks "
        "that both have, one process each, in seconds of the processor, medians of runs in turns "
        f"({told['rounds']}): QualiPy {told['ours']:.1f} s, cleanvision {told['theirs']:.1f} s: "
        f"{told['share']:.0%} of that."
    )


def digits(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def main() -> None:
    """Measure, or print the tables of what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="labelled photos with manifest.csv")
    parser.add_argument("--cleanvision-python", type=Path, help="a Python that has cleanvision")
    parser.add_argument("--labels", type=Path, help="path, check, label of photos looked at")
    parser.add_argument("--more", type=Path, help="a folder of large photos, for the time")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path, default=PUBLISHED)
    parser.add_argument("--table", type=Path, help="print the tables of these figures")
    parser.add_argument("--into", type=Path, help="put the tables into this page as well")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.folder:
        if options.cleanvision_python is None:
            parser.error("--cleanvision-python is needed to measure")
        data = measure(options)
        text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)
        options.output.write_text(text + "\n", encoding="utf-8")
    else:
        data = json.loads((options.table or PUBLISHED).read_text(encoding="utf-8"))
    blocks = rendered(data)
    print("\n\n".join(blocks.values()))
    if options.into:
        put_into(options.into, blocks, MAKER)


if __name__ == "__main__":
    main()
