"""The page on scaling says what was measured, and what it was measured with still works."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from celery_client import connect, disconnect
from celery_workers import clean_environment
from processes import Started, until
from stand_ins import picture

from qualipy_celery import submit
from qualipy_celery.pace import CHUNK_SECONDS, LARGEST_CHUNK, MOST_CHUNKS, REACH, Pace
from qualipy_core import plugins

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"


def module(name: str):
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def page():
    sys.path.insert(0, str(BENCHMARKS))  # as it is for a benchmark that is run
    yield module("_page")
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def marks(page):
    return module("_markdown").marks


def test_the_page_holds_what_was_measured(page, marks):
    figures = json.loads((ROOT / "docs" / "distributed-figures.json").read_text(encoding="utf-8"))
    text = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    for name, block in page.rendered(figures).items():
        begin, end = marks(name, page.MAKER)
        assert text.count(begin) == text.count(end) == 1
        there = text.partition(begin)[2].partition(end)[0].strip()
        assert there == block, f"benchmarks/distributed.py --page … --into … makes another {name}"


def test_the_page_speaks_of_the_sizes_that_are_used():
    text = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    assert CHUNK_SECONDS == 0.5
    assert "half a second of work" in text
    assert f"more than {MOST_CHUNKS} in a second" in text
    assert f"up to {REACH:,} photos" in text


@pytest.mark.parametrize("seconds", [0.001, 0.02, 0.2, 5.0])
@pytest.mark.parametrize("processes", [1, 100, 800, 10_000])
def test_the_arithmetic_sizes_chunks_as_a_client_does(page, processes, seconds):
    load = page.load(processes, seconds)
    pace = Pace()
    pace.seconds = seconds
    for number in range(processes):
        pace.heard(str(number), 0.0)
    assert load.chunk == pace.size() <= LARGEST_CHUNK
    assert load.images == pytest.approx(processes / seconds)
    assert load.chunks == pytest.approx(load.images / load.chunk)


@pytest.mark.usefixtures("stand_ins")
def test_workers_that_judge_nothing_give_every_image_an_outcome(shared_redis, tmp_path):
    command = [sys.executable, str(BENCHMARKS / "_simulation.py"), shared_redis.url]
    command += ["--workers", "4", "--results", "14", "--seconds", "0.0001"]
    with Started(command, tmp_path / "fakes.log", clean_environment()) as fakes:
        until(lambda: "ready" in fakes.log(), 60, fakes.tail)
        connect(shared_redis.url)
        images = [picture(number) for number in range(500)]
        try:
            results = list(submit(images, [plugins.registry().get("mean")()]))
        finally:
            disconnect()
    assert sorted(result.image for result in results) == sorted(images)
    assert all(len(result.predictions) == 14 for result in results)
