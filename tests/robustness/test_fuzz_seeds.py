"""What fuzzing begins with, and what it has found: each seed through its target."""

from __future__ import annotations

import subprocess
import sys
import time
from importlib import util
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[2] / "fuzz"
SEEDS = sorted(path for path in (FUZZ / "seeds").rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def targets():
    """The functions that are fuzzed, by name."""
    specification = util.spec_from_file_location("fuzz_targets", FUZZ / "targets.py")
    assert specification is not None
    assert specification.loader is not None
    module = util.module_from_spec(specification)
    sys.modules["fuzz_targets"] = module
    specification.loader.exec_module(module)
    yield module.TARGETS
    del sys.modules["fuzz_targets"]


@pytest.mark.parametrize("seed", SEEDS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_seed_ends_well_and_at_once(targets, seed):
    started = time.perf_counter()
    targets[seed.parent.name](seed.read_bytes())
    assert time.perf_counter() - started < 2


def test_every_target_has_seeds(targets):
    assert {path.parent.name for path in SEEDS} == set(targets)


@pytest.mark.parametrize("target", ["request", "header", "image"])
def test_a_moment_of_fuzzing_finds_nothing(target, tmp_path):
    pytest.importorskip("atheris")
    ran = subprocess.run(
        [sys.executable, FUZZ / "fuzz.py", target, "3"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
