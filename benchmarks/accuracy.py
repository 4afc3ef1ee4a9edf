"""What is claimed about accuracy, measured: every built-in filter on a folder of labelled photos.

    python benchmarks/accuracy.py FOLDER [-o docs/accuracy.json] [--jobs N]
    python benchmarks/accuracy.py --table docs/accuracy.json [--into docs/accuracy.md]

The folder holds ``manifest.csv`` with the columns ``path, label, class, kind, variant, group``: a
filter's photos are those whose class has its name; ``kind`` is ``real`` or ``synthetic``; a variant
``hardneg_…`` is a trap. What is written holds figures alone, no photo and no path. The table of the
documentation is made from it, and a test holds that nobody has typed in it.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qualipy
from qualipy.evaluation import Evaluation, Photo, plain_figures
from qualipy_core import Filter, TrainableFilter, metrics, plugins, training

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "docs" / "accuracy.json"
PACK = "qualipy-filters-builtin"
IRREGULAR = "dtd_texture"  # textures that repeat nothing exactly: no pattern in our sense
DIGITS = 4
MARKS = ("<!-- figures: made by benchmarks/accuracy.py -->", "<!-- end of figures -->")

Keep = Callable[[Photo], bool]
PARTS: dict[str, Keep] = {
    "real": lambda photo: photo.columns["kind"] == "real",
    "synthetic": lambda photo: photo.columns["kind"] == "synthetic",
    "traps": lambda photo: photo.columns["variant"].startswith("hardneg_"),
    "ordinary": lambda photo: not photo.columns["variant"].startswith("hardneg_"),
}


def measure(folder: Path, jobs: int) -> dict[str, Any]:
    """Return the figures of every built-in filter that the folder has photos for."""
    manifest = folder / "manifest.csv"
    with manifest.open(newline="", encoding="utf-8") as file:
        classes = {row["class"] for row in csv.DictReader(file)}
    names = [
        entry.name
        for entry in plugins.registry().entries()
        if entry.distribution == PACK and entry.name in classes
    ]
    filters: dict[str, Any] = {}
    for name in names:
        item = plugins.registry().get(name)()
        print(f"{name} …", flush=True)
        where = {"class": [name]}
        result = qualipy.evaluate(item, labels=manifest, where=where, jobs=jobs)
        if result.failures:
            count, why = len(result.failures), result.failures[0][1]
            raise SystemExit(f"{count} photos cannot be judged. The first: {why}")
        filters[name] = described(item, result, jobs)
    return {
        "version": plugins.origin(plugins.registry().get(names[0]))[1],
        "photos": sum(part["positives"] + part["negatives"] for part in every(filters, "all")),
        "synthetic": sum(
            part["positives"] + part["negatives"] for part in every(filters, "synthetic")
        ),
        "filters": filters,
    }


def every(filters: dict[str, Any], part: str) -> list[dict[str, Any]]:
    """Return one part of each filter, the irregular textures counted with it."""
    found = [entry["parts"][part] for entry in filters.values() if part in entry["parts"]]
    if part == "all":
        found += [
            entry["parts"]["irregular"]
            for entry in filters.values()
            if "irregular" in entry["parts"]
        ]
    return found


def described(item: Filter, result: Evaluation, jobs: int) -> dict[str, Any]:
    """Return a filter's figures: on all of its photos, on parts of them, and cross-validated."""
    irregular = result.part(lambda photo: photo.columns["variant"].startswith(IRREGULAR))
    regular = result.part(lambda photo: not photo.columns["variant"].startswith(IRREGULAR))
    parts = {"all": regular, **{name: regular.part(keep) for name, keep in PARTS.items()}}
    if irregular.photos:
        parts["irregular"] = irregular
    return {
        "threshold": item.threshold,
        "trained": isinstance(item, TrainableFilter),
        "parts": {name: figures_of(part) for name, part in parts.items() if part.photos},
        "cross_validated": cross_validated(item, regular, jobs),
    }


def figures_of(result: Evaluation) -> dict[str, Any]:
    """Return the numbers of photos and the figures of an evaluation, rounded."""
    positives = int(result.positive.sum())
    return {
        "positives": positives,
        "negatives": len(result.photos) - positives,
        "groups": len(set(result.groups or range(len(result.photos)))),
        "figures": {
            name: figure and {key: round(value, DIGITS) for key, value in figure.items()}
            for name, figure in plain_figures(result.figures).items()
        },
    }


def cross_validated(item: Filter, result: Evaluation, jobs: int) -> dict[str, Any]:
    """Return the balanced accuracy where what is fitted has not seen the photo, nor its group.

    Of filters with a model: of models of the same kind on the same features, trained on the other
    photos of the folder alone. Of the others: of thresholds that were chosen on the other photos.
    """
    if not isinstance(item, TrainableFilter):
        best = result.best
        return {"fitted": "threshold", "balanced_accuracy": best and round(best.elsewhere, DIGITS)}
    sources = [photo.source for photo in result.photos]
    table = [training.row(found) for found in training.scan_features(item, sources, jobs=jobs)]
    held_out = training.cross_validated(item, table, result.positive, result.groups)
    flagged = [item.decision(float(value)) for value in held_out]
    figure = metrics.figures(result.positive, flagged, held_out)["balanced_accuracy"]
    return {"fitted": "model", "balanced_accuracy": figure and round(figure.value, DIGITS)}


def table(data: dict[str, Any]) -> str:
    """Return the table of the documentation, as Markdown."""
    lines = [
        f"{data['photos']:,} photos for {len(data['filters'])} filters, {data['synthetic']:,} of "
        f"them synthetic; filters of version {data['version']}.",
        "",
        "| filter | photos + / − | balanced accuracy | ROC AUC | found: real | found: synthetic "
        "| passed: ordinary | passed: traps | cross-validated |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, entry in sorted(data["filters"].items()):
        parts = entry["parts"]
        lines.append(
            row(
                f"`{name}`",
                counts(parts["all"]),
                interval(parts["all"], "balanced_accuracy"),
                interval(parts["all"], "roc_auc"),
                share(parts.get("real"), "recall", "positives"),
                share(parts.get("synthetic"), "recall", "positives"),
                share(parts.get("ordinary"), "specificity", "negatives"),
                share(parts.get("traps"), "specificity", "negatives"),
                f"{entry['cross_validated']['balanced_accuracy']:.3f} "
                f"({entry['cross_validated']['fitted']})",
            )
        )
        if "irregular" in parts:
            found = share(parts["irregular"], "recall", "positives")
            other = (counts(parts["irregular"]), "", "", found, "", "", "", "")
            lines.append(row(f"`{name}`, irregular textures", *other))
    return "\n".join(lines)


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def counts(part: dict[str, Any]) -> str:
    return f"{part['positives']} / {part['negatives']}"


def interval(part: dict[str, Any], name: str) -> str:
    figure = part["figures"][name]
    return f"{figure['value']:.3f} ({figure['low']:.3f} – {figure['high']:.3f})"


def share(part: dict[str, Any] | None, name: str, of: str) -> str:
    if part is None or part["figures"][name] is None:
        return "–"
    return f"{part['figures'][name]['value']:.2f} of {part[of]}"


def write(data: dict[str, Any], path: Path) -> None:
    """Write the figures as JSON, one to a line."""
    text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)
    text = re.sub(r"\{[^{}]*\}", lambda flat: re.sub(r"\s+", " ", flat[0]), text)
    path.write_text(text + "\n", encoding="utf-8")


def put_into(page: Path, text: str) -> None:
    """Replace what stands between the marks of a page."""
    begin, end = MARKS
    old = page.read_text(encoding="utf-8")
    pattern = f"{re.escape(begin)}.*?{re.escape(end)}"
    new, times = re.subn(pattern, lambda _: f"{begin}\n\n{text}\n\n{end}", old, flags=re.S)
    if times != 1:
        raise SystemExit(f"{page} does not hold the marks {begin} and {end} once.")
    page.write_text(new, encoding="utf-8")


def main() -> None:
    """Measure, or print the table of what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="labelled photos with manifest.csv")
    parser.add_argument("-o", "--output", type=Path, help="write the figures here, as JSON")
    parser.add_argument("--jobs", type=int, default=1, help="worker processes; 0: one per core")
    parser.add_argument("--table", type=Path, help="print the table of these figures")
    parser.add_argument("--into", type=Path, help="put the table into this page as well")
    options = parser.parse_args()
    if options.folder:
        data = measure(options.folder, options.jobs)
        if options.output:
            write(data, options.output)
    else:
        data = json.loads((options.table or PUBLISHED).read_text(encoding="utf-8"))
    print(table(data))
    if options.into:
        put_into(options.into, table(data))


if __name__ == "__main__":
    main()
