"""The comparison with cleanvision: its page is made by a command, and the pictures are as said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
HARNESS = ROOT / "benchmarks" / "cleanvision.py"
PAGE = ROOT / "docs" / "from-cleanvision.md"
PUBLISHED = ROOT / "docs" / "cleanvision.json"
OURS = ("dark", "light", "low_information", "grayscale")


@pytest.fixture(scope="module")
def recipes():
    sys.path.insert(0, str(HARNESS.parent))
    try:
        import _hard_cases
    finally:
        sys.path.remove(str(HARNESS.parent))
    return _hard_cases


def test_the_tables_of_the_page_are_what_the_command_makes_of_the_figures(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    command = [sys.executable, str(HARNESS), "--table", str(PUBLISHED), "--into", str(page)]
    subprocess.run(command, check=True, capture_output=True)
    assert page.read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")


def test_what_is_published_holds_figures_alone():
    data = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    assert set(OURS) <= data["checks"].keys()
    assert "/" not in json.dumps({**data, "checks": {}})
    for entry in data["checks"].values():
        for part in entry["parts"].values():
            assert part["positives"] > 0 < part["negatives"]


@pytest.mark.parametrize("name", OURS)
def test_our_filters_beat_the_best_threshold_on_the_made_pictures(name):
    told = json.loads(PUBLISHED.read_text(encoding="utf-8"))["checks"][name]["parts"]["made"]
    assert told["ours"]["balanced_accuracy"] > told["theirs"]["at_best_threshold"]


def test_every_recipe_makes_a_picture_and_the_same_each_time(recipes):
    photo = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    for made in recipes.RECIPES.values():
        assert {positive for _, positive in made} == {True, False}
        for recipe in made.values():
            first, second = (recipe(photo.copy(), np.random.default_rng(1)) for _ in range(2))
            assert first.shape[:2] == photo.shape[:2]
            assert np.array_equal(first, second)
