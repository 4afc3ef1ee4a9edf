"""The page of promises names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "robustness.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/.]+)::(\w+)`", PAGE)


def test_promises_are_made():
    assert len(NAMED) > 20
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "::" in line]
    assert len(rows) == len(NAMED) - 1  # the other one stands in the text


@pytest.mark.parametrize(("path", "test"), NAMED)
def test_a_promise_names_a_test_that_exists(path, test):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
