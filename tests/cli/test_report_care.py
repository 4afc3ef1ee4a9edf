"""What no page and no results take the place of, and what a page repeats of its command."""

from __future__ import annotations

import json
import re
import shlex

import pytest


def data_of(path):
    """The data in a page."""
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


DARK = ("--filters", "dark", "-q")


@pytest.mark.parametrize(
    "command", [("scan", "photos", *DARK, "--report"), ("report", "run.jsonl", "-o")]
)
@pytest.mark.parametrize(
    "text",
    ["my notes\n", "<!doctype html><title>Mine</title>", '<meta name="generator" content="Hugo">'],
)
def test_a_file_that_is_no_report_is_not_replaced(program, photos, tmp_path, command, text):
    program("scan", "photos", *DARK, "-o", "run.jsonl")
    (tmp_path / "notes.txt").write_text(text)
    done = program(*command, "notes.txt")
    assert done.returncode == 2
    assert b"notes.txt: a file is there that is no report" in done.stderr
    assert (tmp_path / "notes.txt").read_text() == text
    assert not done.stdout


def test_an_earlier_report_and_an_empty_file_are_replaced(program, photos, tmp_path):
    (tmp_path / "empty").touch()
    for name in ("empty", "empty", "new.html", "new.html"):
        done = program("scan", "photos", *DARK, "--report", name)
        assert done.returncode == 0, done.stderr
        assert len(data_of(tmp_path / name)["images"]) == 3


def test_a_page_is_known_whatever_it_shows(program, photos, tmp_path, paint):
    name = 'x"><meta name="generator"' + "long" * 40
    paint(photos / name, 3)
    for _ in range(2):
        assert program("scan", f"photos/{name}", *DARK, "--report", "r.html").returncode == 0


def test_results_in_another_form_replace_a_file_when_they_are_whole(program, photos, tmp_path):
    program("scan", "photos", *DARK, "-o", "run.jsonl")
    for form in ("csv", "json", "txt"):
        out = tmp_path / f"out.{form}"
        out.write_text("before")
        with open(tmp_path / "run.jsonl") as file:
            whole = file.read()
        (tmp_path / "broken.jsonl").write_text(f"no result\n{whole}")
        done = program("results", "broken.jsonl", "-o", out.name)
        assert done.returncode == 2
        assert out.read_text() == "before"
        assert not list(tmp_path.glob("*.part"))
        assert program("results", "run.jsonl", "-o", out.name, "-q").returncode == 0
        assert "photos/dark.png" in out.read_text()


@pytest.mark.parametrize("command", [("scan", "photos", *DARK), ("results", "run.jsonl")])
def test_results_are_no_page_by_mistake(program, photos, tmp_path, command):
    program("scan", "photos", *DARK, "-o", "run.jsonl")
    done = program(*command, "-o", "out.html")
    assert done.returncode == 2
    assert b"`qualipy scan --report`" in done.stderr
    assert not (tmp_path / "out.html").exists()
    assert program(*command, "-o", "out.html", "-f", "csv").returncode == 0


def test_what_a_photo_may_cost_is_repeated(program, photos, tmp_path):
    done = program(
        *("scan", "photos", *DARK, "--report", "r.html", "--max-pixels", "500e6"),
        *("--time-limit", "12.5"),
        QUALIPY_MAX_BYTES="inf",
    )
    assert done.returncode == 0, done.stderr
    assert data_of(tmp_path / "r.html")["options"] == [
        ["--max-pixels", "500000000"],
        ["--max-bytes", "inf"],
        ["--time-limit", "12.5"],
    ]


def test_the_command_of_a_page_judges_the_same_photos_among_the_same(tmp_path):
    pytest.importorskip("qualipy_filters_builtin")
    import subprocess
    import sys

    from sample_filters import write_image

    from qualipy_core.testing import sample_images

    for name in ("a", "b"):
        write_image(tmp_path / f"{name}.png", sample_images()["natural"])

    def run(*words):
        command = [sys.executable, "-m", "qualipy", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)

    first = ("--filters", "exact_duplicates", "--fingerprints", "known.qpf", "-q")
    assert run("scan", "a.png", "b.png", *first, "--report", "r.html").returncode == 0
    data = data_of(tmp_path / "r.html")
    assert data["options"] == [["--fingerprints", "known.qpf"], ["--known", "again"]]
    options = shlex.split(" ".join(" ".join(words) for words in data["options"]))
    done = run("scan", "a.png", "b.png", "--filters", "exact_duplicates", "-q", *options)
    assert len(done.stdout.splitlines()) == 2, done.stderr
