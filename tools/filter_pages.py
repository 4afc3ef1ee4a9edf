"""The page of each built-in filter, made of what the filter itself says.

    python -m tools.filter_pages            write docs/filters/NAME.md and NAME.webp, and the
                                            table of docs/filters.md
    python -m tools.filter_pages --check    say which pages are out of date, and exit with 1

A page is the filter's docstring, its parameters, its published figures of ``docs/accuracy.json``,
and what `qualipy explain` draws of a free photo. To change a page, change those.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qualipy.explaining import draw, shows
from qualipy_core import Image, TrainableFilter, plugins
from qualipy_core.criterion import Criterion
from qualipy_core.opencv import cv2
from qualipy_core.parameters import parameters_of
from tools.environment import CHECKOUT

PACK = "qualipy-filters-builtin"
FOLDER = CHECKOUT / "docs" / "filters"
OVERVIEW = CHECKOUT / "docs" / "filters.md"
FIGURES = CHECKOUT / "docs" / "accuracy.json"
LARGEST = 60_000  # bytes of a picture
_SIDE = 340  # pixels, of the photo in a picture
_MARK = "<!-- made by tools/filter_pages.py: change the filter's docstring, then run it -->"
_TABLE = "<!-- table: made by tools/filter_pages.py -->", "<!-- end of the table -->"
_SECTION = re.compile(r"\n\n([A-Z][A-Za-z ]+)\n-{3,}\n")
_WORDS = {">": "above", ">=": "from", "<": "below", "<=": "up to", "==": "at", "!=": "other than"}


def filters() -> list[type[Criterion]]:
    """Return the classes of the built-in filters, by name."""
    registry = plugins.registry()
    entries = [entry for entry in registry.entries() if entry.distribution == PACK]
    return [registry.get(entry.name) for entry in sorted(entries, key=lambda e: e.name)]


def sections(docstring: str) -> dict[str, str]:
    """Return the sections of a numpydoc docstring by title.

    What stands before the first is ``"Summary"``, its first paragraph, and ``"Extended"``.
    """
    first, *rest = _SECTION.split(inspect.cleandoc(docstring))
    summary, _, extended = first.partition("\n\n")
    found = {"Summary": summary.replace("\n", " "), "Extended": extended}
    found.update(zip(rest[::2], (text.strip("\n") for text in rest[1::2]), strict=True))
    return found


def page(cls: type[Criterion]) -> str:
    """Return the page of a filter, as Markdown."""
    said = sections(cls.__doc__ or "")
    item = cls()
    parts = [
        _MARK,
        f"# {cls.name}",
        f"**{_markdown(said['Summary'])}**",
        f"`from qualipy.filters import {cls.__name__}` · flagged {_WORDS[item.comparison]} "
        f"{item.threshold:.4g} · speed {cls.speed} of 5, 1 is fast"
        + ("" if cls.by_default else " · runs when it is named, or with `--filters all`"),
        *_picture(item),
        "## How to read it",
        _markdown(said["Extended"]),
        *_titled("Where it fails", _markdown(said.get("Warnings", ""))),
        *_accuracy(item),
        "## How it works",
        _markdown(said.get("Notes", "")) or _markdown(said["Extended"]),
        *_titled("Sources", _references(said.get("References", ""))),
        "## Parameters",
        _parameters(cls),
        "```sh",
    ]
    commands = [f"qualipy scan photos/ --filters {cls.name}"]
    if shows(item):
        commands.append(f"qualipy explain {cls.name} photos/beach.jpg")
    return "\n\n".join(parts) + "\n" + "\n".join(commands) + "\n```\n"


def picture(cls: type[Criterion]) -> bytes | None:
    """Return what a filter shows of a photo that it flags, as WebP; None without such a photo."""
    from tools.example_photos import EXAMPLES

    item = cls()
    if cls.name not in EXAMPLES or not shows(item):
        return None
    drawn, _ = draw(item, Image(EXAMPLES[cls.name].make()), side=_SIDE)
    for quality in (85, 75, 65, 50, 35):
        options = [cv2.IMWRITE_WEBP_QUALITY, quality]
        data = cv2.imencode(".webp", drawn[..., ::-1], options)[1].tobytes()
        if len(data) < LARGEST:
            return data
    raise ValueError(f"the picture of {cls.name} is too large")


def overview(path: Path = OVERVIEW) -> str:
    """Return the page of all filters, with the table as it should be."""
    rows = ["| filter | flags | when it is | class |", "|---|---|---|---|"]
    for cls in filters():
        what = _markdown(sections(cls.__doc__ or "")["Summary"]).rstrip(".")
        named = "" if cls.by_default else " ¹"
        item = cls()
        rows.append(
            f"| [`{cls.name}`](filters/{cls.name}.md){named} | {what} "
            f"| {_WORDS[item.comparison]} {item.threshold:.4g} | `{cls.__name__}` |"
        )
    if any(not cls.by_default for cls in filters()):
        rows += ["", "¹ Runs when it is named, or with `--filters all`."]
    begin, end = _TABLE
    before, _, rest = path.read_text(encoding="utf-8").partition(begin)
    table = "\n".join(rows)
    return f"{before}{begin}\n\n{table}\n\n{end}{rest.partition(end)[2]}"


def stale(folder: Path = FOLDER, table: Path = OVERVIEW) -> Iterator[str]:
    """Yield what is out of date in the folder and in the page of all filters, a line each."""
    expected = {f"{cls.name}.md": page(cls) for cls in filters()}
    for name, text in expected.items():
        path = folder / name
        if not path.is_file():
            yield f"{name} is missing"
        elif path.read_text(encoding="utf-8") != text:
            yield f"{name} is out of date"
        shown = re.search(r"\]\((\w+\.webp)\)", text)
        if shown and not (folder / shown[1]).is_file():
            yield f"{shown[1]} is missing"
    if table.read_text(encoding="utf-8") != overview(table):
        yield f"the table of {table.name} is out of date"
    for path in sorted(folder.glob("*.md")):
        if path.name not in expected:
            yield f"{path.name} is of no built-in filter"


def write(folder: Path = FOLDER, table: Path = OVERVIEW) -> None:
    """Write every page and its picture, and the table."""
    folder.mkdir(exist_ok=True)
    table.write_text(overview(table), encoding="utf-8")
    for cls in filters():
        (folder / f"{cls.name}.md").write_text(page(cls), encoding="utf-8")
        data = picture(cls)
        if data is not None:
            (folder / f"{cls.name}.webp").write_bytes(data)


def _picture(item: Criterion) -> Iterator[str]:
    from tools.example_photos import EXAMPLES

    if item.name not in EXAMPLES or not shows(item):
        return
    caption = EXAMPLES[item.name].caption
    yield f"![What {item.name} sees: {caption}]({item.name}.webp)"
    what = inspect.cleandoc(item.explain.__doc__ or "").partition("\n")[0]
    what = re.sub(r"^Show ", "", what).rstrip(".")
    yield f"*{caption}* [`qualipy explain {item.name}`](../explain.md) shows {what}."


def _titled(title: str, text: str) -> list[str]:
    return [f"## {title}", text] if text else []


def _accuracy(item: Criterion) -> Iterator[str]:
    """The published figures, and those of the card of a model."""
    entry = json.loads(FIGURES.read_text(encoding="utf-8"))["filters"].get(item.name)
    if entry is None:
        return
    told = runpy.run_path(str(CHECKOUT / "benchmarks" / "accuracy.py"))
    parts = entry["parts"]
    rows = [
        ("photos, positive / negative", told["counts"](parts["all"])),
        ("balanced accuracy", told["interval"](parts["all"], "balanced_accuracy")),
        ("ROC AUC", told["interval"](parts["all"], "roc_auc")),
    ]
    for name, part, figure, of in (
        ("found: real", "real", "recall", "positives"),
        ("found: synthetic", "synthetic", "recall", "positives"),
        ("passed: ordinary", "ordinary", "specificity", "negatives"),
        ("passed: traps", "traps", "specificity", "negatives"),
    ):
        rows.append((name, told["share"](parts.get(part), figure, of)))
    held_out = entry["cross_validated"]
    rows.append((f"cross-validated ({held_out['fitted']})", f"{held_out['balanced_accuracy']:.3f}"))
    yield "## How accurate it is"
    yield "\n".join(["| on labelled photos | |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)])
    yield (
        "At the default threshold; shares are of so many photos. "
        "[What these figures are](../accuracy.md), and on which photos."
        + (_card(item) if isinstance(item, TrainableFilter) else "")
    )


def _card(item: TrainableFilter) -> str:
    card = item.card() or {}
    photos = int(card.get("positives", 0)) + int(card.get("negatives", 0))
    if not photos:
        return ""
    return f" The [card](../decisions/models.md) of its model has the figures on {photos:,} photos."


def _parameters(cls: type[Criterion]) -> str:
    rows = ["| parameter | type | default | meaning |", "|---|---|---|---|"]
    for known in parameters_of(cls):
        kind = known.type.replace("|", "\\|")
        default = (
            f"{known.default:.4g}" if isinstance(known.default, float) else repr(known.default)
        )
        meaning = _markdown(known.meaning).replace("|", "\\|")
        rows.append(f"| `{known.name}` | {kind} | `{default}` | {meaning} |")
    return "\n".join(rows)


def _references(text: str) -> str:
    """The sources as a list: each ends with the line that ends with a full stop."""
    entries: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.strip():
            entries[-1].append(line.strip())
        if line.endswith("."):
            entries.append([])
    return "\n".join(f"- {_markdown(' '.join(entry))}" for entry in entries if entry)


def _markdown(text: str) -> str:
    """Text of a docstring as Markdown: literals in single backquotes, DOIs as links."""
    return re.sub(r"\bdoi:(10\.\d+/\S*[^\s.,;:])", _link, text.replace("``", "`"))


def _link(found: re.Match[str]) -> str:
    """A DOI as a link; a bracket that closes behind it is none of its own."""
    doi, after = found[1], ""
    while doi.endswith(")") and doi.count(")") > doi.count("("):
        doi, after = doi[:-1].rstrip(".,;:"), ")" + after
    place = doi.replace("(", "%28").replace(")", "%29")
    return f"[doi:{doi}](https://doi.org/{place}){after}"


def main(arguments: list[str] | None = None) -> int:
    """Write the pages, or say which are out of date."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    if parser.parse_args(arguments).check:
        found: list[Any] = list(stale())
        print("\n".join(found) or "The pages are up to date.")
        return 1 if found else 0
    write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
