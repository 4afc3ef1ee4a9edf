"""The published figures of speed: made by a command, never typed."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture
def benchmark_modules(monkeypatch):
    """What `_growth` and `_markdown` define, found as they are when a benchmark runs."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield [runpy.run_path(str(BENCHMARKS / f"{name}.py")) for name in ("_growth", "_markdown")]
    for name in set(sys.modules) - before:
        if name.startswith("_"):
            del sys.modules[name]


def test_the_page_holds_what_was_measured(benchmark_modules):
    growth, markdown = benchmark_modules
    figures = json.loads((DOCS / "speed.json").read_text(encoding="utf-8"))
    page = (DOCS / "speed.md").read_text(encoding="utf-8")
    for name, block in growth["rendered"](figures).items():
        begin, end = markdown["marks"](name, "benchmarks/speed.py")
        assert page.partition(begin)[2].partition(end)[0].strip() == block
    for name in growth["SECTIONS"]:
        assert f"(speed-{name}.svg)" in page
        assert (DOCS / f"speed-{name}.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_a_figure_beyond_its_target_is_told_as_such(benchmark_modules):
    growth, _ = benchmark_modules
    figures = json.loads((DOCS / "speed.json").read_text(encoding="utf-8"))
    missed = [
        line["what"]
        for part in ("targets", "many", "memory")
        for line in figures.get(part, ())
        if line["figure"] > line["target"]
    ]
    told = growth["targets"](figures)
    assert told.count("**missed**") == len(missed)
