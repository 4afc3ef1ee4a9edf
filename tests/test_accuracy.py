"""The published figures of accuracy: made by a command, never typed."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sample_filters import write_image

from qualipy_core import plugins

ROOT = Path(__file__).parents[1]
HARNESS = ROOT / "benchmarks" / "accuracy.py"
PAGE = ROOT / "docs" / "accuracy.md"
PUBLISHED = ROOT / "docs" / "accuracy.json"


@pytest.fixture(scope="module")
def harness():
    return runpy.run_path(str(HARNESS))


def run(*arguments):
    command = [sys.executable, str(HARNESS), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8")


def test_the_table_of_the_page_is_what_the_command_makes_of_the_figures(harness):
    begin, end = harness["MARKS"]
    between = PAGE.read_text(encoding="utf-8").partition(begin)[2].partition(end)[0]
    assert between.strip() == run("--table", PUBLISHED).stdout.strip()


def test_every_built_in_filter_that_runs_by_default_is_published():
    data = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    registry = plugins.registry()
    builtin = {
        entry.name
        for entry in registry.entries()
        if entry.distribution == "qualipy-filters-builtin" and registry.get(entry.name).by_default
    }
    assert data["filters"].keys() == builtin
    for name, entry in data["filters"].items():
        assert f"`{name}`" in PAGE.read_text(encoding="utf-8")
        for part in entry["parts"].values():
            assert part["positives"] + part["negatives"] >= part["groups"] > 0


def test_what_is_published_holds_figures_alone():
    def texts(value):
        if isinstance(value, dict):
            return [text for item in value.values() for text in texts(item)]
        return [value] if isinstance(value, str) else []

    data = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    assert {text for text in texts(data) if text != data["version"]} <= {"model", "threshold"}


def test_a_folder_of_labelled_photos_is_measured(tmp_path):
    random = np.random.default_rng(0)
    rows = ["path,label,class,source,licence,kind,variant,group"]
    for number in range(24):
        positive = number % 2
        shape = (40, 160 if positive else 60, 3)
        name = f"{number}.png"
        write_image(tmp_path / name, random.integers(0, 255, shape, dtype=np.uint8))
        variant = "wide" if positive else "hardneg_near" if number % 4 else "clean"
        label = "positive" if positive else "negative"
        kind = "real" if number < 12 else "synthetic"
        rows.append(f"{name},{label},unconventional_size,me,mine,{kind},{variant},g{number // 2}")
        rows.append(f"{name},{label},something_else,me,mine,{kind},{variant},g{number // 2}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    figures, page = tmp_path / "figures.json", tmp_path / "page.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    table = run(tmp_path, "-o", figures, "--into", page).stdout.partition("…\n")[2]
    assert run("--table", figures).stdout == table
    assert table.strip() in page.read_text(encoding="utf-8")
    parts = json.loads(figures.read_text())["filters"]["unconventional_size"]["parts"]
    assert parts.keys() == {"all", "real", "synthetic", "traps", "ordinary"}
    assert parts["all"]["figures"]["balanced_accuracy"]["value"] == 1
    assert (parts["traps"]["positives"], parts["traps"]["negatives"]) == (0, 6)
    assert str(tmp_path) not in figures.read_text()
