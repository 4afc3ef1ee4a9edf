"""The page of a run that goes on: what it makes of the photos of before, and on which terms."""

from __future__ import annotations

import json
import os
import re
import signal
import time

import numpy as np
import pytest
from sample_filters import write_image

from qualipy.cli import report

RUN = ("scan", "photos", "--filters", "dark", "-o", "run.jsonl")
ON = (*RUN, "--resume", "--report", "r.html")


def data_of(path):
    """The data in a page."""
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


@pytest.fixture
def unfinished(invoke, photos, tmp_path, paint):
    """A run over nine photos that has ended after the sixth."""
    for number in range(6):
        paint(photos / f"{number}.png", number)
    assert invoke(*RUN).exit_code == 0
    lines = (tmp_path / "run.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "run.jsonl").write_text("".join(lines[:6]))
    record = tmp_path / "run.jsonl.unfinished"
    if not record.exists():
        from qualipy.cli.record import Record
        from qualipy.cli.selection import choose

        (dark,) = choose(["dark"], [])
        Record.of("jsonl", {"dark": dark}, None, False).keep(str(record))
    return invoke


@pytest.mark.parametrize("left", [3, 0])
def test_jobs_of_the_run_hold_for_the_photos_of_before(unfinished, left, monkeypatch, tmp_path):
    if not left:
        assert unfinished(*RUN, "--resume").exit_code == 0
    asked = []
    true = report.with_thumbnails

    def noted(file, side, jobs, limits):
        asked.append((jobs, limits.time_limit, limits.max_pixels))
        return true(file, side, jobs, limits)

    monkeypatch.setattr(report, "with_thumbnails", noted)
    done = unfinished(*ON, "-j", "1", "--max-pixels", "1e6")
    assert done.exit_code == 0, done.output
    assert asked == [(1, None, 1e6)]
    assert len(data_of(tmp_path / "r.html")["images"]) == 9


def test_limits_of_the_run_hold_for_the_photos_of_before(unfinished, tmp_path):
    done = unfinished(*ON, "--max-pixels", "99")  # photos have 768
    assert done.exit_code == 1
    data = data_of(tmp_path / "r.html")
    assert data["thumbnails"]["kind"] == "none"
    assert len(data["images"]) == 9
    assert len(data["errors"]) == 3


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_while_they_are_looked_at_leaves_a_page_of_all_that_is_known(
    unfinished, monkeypatch, tmp_path, jobs
):
    true = report.with_thumbnails

    def interrupted(*args):
        for number, result in enumerate(true(*args)):
            if number == 2:
                os.kill(os.getpid(), signal.SIGINT)
            yield result

    monkeypatch.setattr(report, "with_thumbnails", interrupted)
    done = unfinished(*ON, "-j", jobs)
    assert done.exit_code == 130, done.output
    assert "Stopped: 6 photos" in done.stderr
    data = data_of(tmp_path / "r.html")
    assert len(data["images"]) == 6
    assert not data["complete"]
    assert 0 < len(data["thumbnails"]["missing"]) < 6
    monkeypatch.setattr(report, "with_thumbnails", true)
    assert unfinished(*ON).exit_code == 0
    data = data_of(tmp_path / "r.html")
    assert len(data["images"]) == 9
    assert data["complete"]
    assert not data["thumbnails"]["missing"]


def test_where_nothing_is_left_to_judge_ctrl_c_leaves_the_page_before(program, photos, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (3000, 3000, 3), np.uint8)
    write_image(tmp_path / "noise.png", noise)
    for number in range(200):
        os.link(tmp_path / "noise.png", photos / f"{number}.png")
    line = {"suitable": True, "flagged": [], "predictions": {"dark": 0.4}, "seconds": 0.1}
    names = [f"photos/{path.relative_to(photos)}" for path in photos.rglob("*.png")]
    lines = [json.dumps({"image": name, **line}) + "\n" for name in names]
    (tmp_path / "run.jsonl").write_text("".join(lines))
    for command in (
        (*ON, "-j", "1"),
        (*ON, "-j", "2"),
        ("report", "run.jsonl", "-o", "r.html", "-j", "2"),
    ):
        process = program.start(*command)
        time.sleep(4)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
        assert process.returncode == 130, told
        assert not list(tmp_path.glob("*r.html*"))
        assert not list(tmp_path.glob("r_files"))


def test_progress_is_shown_before_the_rest_is_judged():
    from qualipy.cli.progress import Bar

    bar = Bar(done=6)
    shown = bar._progress
    with bar.first("Earlier photos", 6) as advance:
        advance()
        (task,) = (task for task in shown.tasks if task.visible)
        assert (task.description, task.completed, task.total) == ("Earlier photos", 1, 6)
    (task,) = shown.tasks
    assert (task.description, task.completed, task.visible) == ("Judging", 6, True)
