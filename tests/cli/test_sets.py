"""``qualipy scan`` with set filters: results at the end, runs that go on, known photos."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

SETS = """
    import os
    import time

    import numpy as np

    from qualipy_core import Comparison, SetFilter


    class Copies(SetFilter):
        \"\"\"Photos that another one of the set equals.\"\"\"

        name = "copies"
        pause: float = 0.0
        thinks: float = 0.0
        comparing = ("thinks",)

        def fingerprint(self, image):
            time.sleep(self.pause)
            if "COPIES_LOG" in os.environ:
                with open(os.environ["COPIES_LOG"], "a") as log:
                    log.write(image.name + "\\n")
            return image.pixels(8)[0, 0]

        def compare(self, fingerprints):
            time.sleep(self.thinks)
            _, members = np.unique(fingerprints, axis=0, return_inverse=True)
            groups = [np.flatnonzero(members == m) for m in range(members.max() + 1)]
            predictions = np.zeros(len(members))
            for group in groups:
                predictions[group[1:]] = 1.0
            return Comparison(predictions, tuple(tuple(g.tolist()) for g in groups))
"""
COPIES = ("--filters", "dark,copies", "--fail-on", "never")


@pytest.fixture(autouse=True)
def sets(site):
    """A pack with a set filter, beside ``demo-pack``."""
    points = {"qualipy.filters": {"copies": "demo_sets:Copies"}}
    site.install("demo-sets", "0.1", points, demo_sets=SETS)
    return site


@pytest.fixture
def many(tmp_path, paint):
    """Ten photos; every third one is the same."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(10):
        paint(folder / f"{number:03}.png", 200 if number % 3 == 0 else number * 10)
    return folder


def lines(path):
    said = [json.loads(line) for line in path.read_text().splitlines()]
    for each in said:
        del each["seconds"]
    return said


def test_the_line_of_a_photo_names_the_others(invoke, many):
    done = invoke("scan", *COPIES, "many")
    assert done.exit_code == 0, done.output
    shown = done.stdout.splitlines()
    assert [line.split()[1] for line in shown] == [f"many/{number:03}.png" for number in range(10)]
    assert shown[9].endswith("copies 1 > 0.5 (with many/000.png, many/003.png, many/006.png)")
    assert "10 photos in" in done.stderr


def test_json_lines_have_the_companions(invoke, many, tmp_path):
    assert invoke("scan", *COPIES, "many", "-o", "run.jsonl", "-q").exit_code == 0
    said = lines(tmp_path / "run.jsonl")
    same = [f"many/{number:03}.png" for number in (0, 3, 6, 9)]
    assert [each.get("companions") for each in said] == [
        {"copies": same} if number % 3 == 0 else None for number in range(10)
    ]
    assert sorted(os.listdir(tmp_path)) == ["many", "run.jsonl", "site"]


def test_a_run_without_names_leaves_set_filters_out_and_all_takes_them(invoke, many, tmp_path):
    invoke("scan", "many", "-o", "usual.jsonl", "-q", "--fail-on", "never")
    assert "copies" not in lines(tmp_path / "usual.jsonl")[0]["predictions"]
    invoke("scan", "many", "--filters", "all", "-o", "all.jsonl", "-q", "--fail-on", "never")
    assert {"copies", "dark"} <= lines(tmp_path / "all.jsonl")[0]["predictions"].keys()
    done = invoke("scan", "many", "--filters", "all", "--set", "copies.threshold=2", "-q")
    assert done.exit_code == 1  # a filter of the demo fails


def test_the_list_of_filters_tells_which_run_only_when_named(invoke):
    done = invoke("filters")
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("  copies ")]
    assert "speed 1* Photos that another one of the set equals." in line
    assert "* Runs when it is named, or with --filters all." in done.stderr
    assert "judges a photo among the others" in invoke("filters", "copies").stdout
    (described,) = [
        f for f in json.loads(invoke("filters", "--json").stdout) if f["name"] == "copies"
    ]
    assert described["by_default"] is False
    assert described["judges"] == "a set"


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_run_that_is_interrupted_goes_on_and_measures_nothing_twice(
    program, many, tmp_path, form, jobs
):
    log = tmp_path / "log"
    slow = ("scan", *COPIES, "--set", "copies.pause=0.3", "many")
    assert program(*slow, "-o", f"whole.{form}", "-q").returncode == 0
    expected = (tmp_path / f"whole.{form}").read_text()
    run = tmp_path / f"run.{form}"
    journal = tmp_path / f"run.{form}.measured"
    os.environ["COPIES_LOG"] = str(log)
    try:
        process = program.start(*slow, "-o", run.name, "--jobs", jobs)
        until = time.monotonic() + 60
        while not (journal.exists() and journal.read_bytes().count(b"\n") > 3):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert b"with --resume goes on" in errors
        measured = journal.read_bytes().count(b"\n") - 1
        assert program(*slow, "-o", run.name).returncode == 2  # it would be a pity to replace it
        log.unlink()
        done = program(*slow, "-o", run.name, "--resume", "-q")
    finally:
        del os.environ["COPIES_LOG"]
    assert done.returncode == 0, done.stderr
    assert len(log.read_text().splitlines()) == 10 - measured
    assert without_seconds(run.read_text(), form) == without_seconds(expected, form)
    assert sorted(os.listdir(tmp_path)) == sorted(
        ["log", "many", "site", f"run.{form}", f"whole.{form}"]
    )
    done = program(*slow, "-o", run.name, "--resume")
    assert done.returncode == 0
    assert b"Nothing is left to judge" in done.stderr


def without_seconds(text, form):
    if form == "csv":
        return [line.rpartition(",")[0] for line in text.splitlines()]
    return [{**json.loads(line), "seconds": 0} for line in text.splitlines()]


def test_a_run_that_is_killed_goes_on(program, many, tmp_path):
    slow = ("scan", *COPIES, "--set", "copies.pause=0.2", "many", "--jobs", "1", "-o", "run.jsonl")
    process = program.start(*slow)
    journal = tmp_path / "run.jsonl.measured"
    until = time.monotonic() + 60
    while not (journal.exists() and journal.read_bytes().count(b"\n") > 2):
        assert time.monotonic() < until
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert program(*slow, "--resume", "-q").returncode == 0
    assert len(lines(tmp_path / "run.jsonl")) == 10
    assert not journal.exists()


def test_other_parameters_do_not_go_on_with_it_and_begin_anew_without_resume(
    program, invoke, many, tmp_path
):
    slow = ("scan", *COPIES, "--set", "copies.pause=0.2", "many", "--jobs", "1", "-o", "run.jsonl")
    process = program.start(*slow)
    journal = tmp_path / "run.jsonl.measured"
    until = time.monotonic() + 60
    while not (journal.exists() and journal.read_bytes().count(b"\n") > 2):
        assert time.monotonic() < until
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = invoke("scan", *COPIES, "many", "-o", "run.jsonl", "--resume")
    assert done.exit_code == 2
    assert "copies.pause is 0.0, and was 0.2" in done.stderr
    assert invoke("scan", *COPIES, "many", "-o", "run.jsonl", "-q").exit_code == 0
    assert len(lines(tmp_path / "run.jsonl")) == 10
    assert not journal.exists()


def test_a_run_goes_on_with_a_photo_that_has_changed_and_not_with_other_thumbnails(
    program, invoke, many, tmp_path, paint
):
    slow = ("scan", *COPIES, "--set", "copies.pause=0.2", "many", "--jobs", "1", "-o", "run.jsonl")
    process = program.start(*slow)
    journal = tmp_path / "run.jsonl.measured"
    until = time.monotonic() + 60
    while not (journal.exists() and journal.read_bytes().count(b"\n") > 2):
        assert time.monotonic() < until
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = journal.read_bytes()
    done = program(*slow, "--resume", "--report", "page.html")
    assert done.returncode == 2
    assert b"was begun otherwise (thumbnails)" in done.stderr
    assert journal.read_bytes() == before
    paint(many / "000.png", 10)
    assert program(*slow, "--resume", "-q").returncode == 0
    first, second, *_ = lines(tmp_path / "run.jsonl")
    both = {"copies": [first["image"], second["image"]]}
    assert first["companions"] == second["companions"] == both


def test_new_photos_are_judged_among_those_of_before(invoke, many, tmp_path, paint):
    options = (*COPIES, "--fingerprints", "all.qpf", "-q")
    assert invoke("scan", "many", *options).exit_code == 0
    (tmp_path / "new").mkdir()
    paint(tmp_path / "new" / "a.png", 10)
    done = invoke("scan", "many", "new", *options[:-1], "-o", "new.jsonl")
    assert done.exit_code == 0, done.output
    (line,) = lines(tmp_path / "new.jsonl")
    assert line["image"] == "new/a.png"
    assert line["companions"] == {"copies": [str(many / "001.png"), "new/a.png"]}
    assert "knows 10 photos: left out" in done.stderr
    invoke("scan", "many", "new", *options, "--known", "again", "-o", "again.jsonl")
    assert len(lines(tmp_path / "again.jsonl")) == 11


def test_fingerprints_are_for_set_filters_and_of_the_same_ones(invoke, many):
    done = invoke("scan", "many", "--filters", "dark", "--fingerprints", "all.qpf")
    assert done.exit_code == 2
    assert "--fingerprints" in done.stderr
    assert "judge a photo among others" in " ".join(done.stderr.split())
    assert invoke("scan", "many", *COPIES, "--fingerprints", "all.qpf", "-q").exit_code == 0
    other = ("--set", "copies.pause=0.001")
    done = invoke("scan", "many", *COPIES, *other, "--fingerprints", "all.qpf", "-q")
    assert done.exit_code == 2
    assert "fingerprints that this run cannot use" in done.stderr


def test_a_file_of_fingerprints_that_cannot_be_used_costs_no_report(invoke, many, tmp_path):
    (tmp_path / "run.jsonl").write_text("precious\n")
    (tmp_path / "all.qpf").write_text("something else")
    done = invoke("scan", "many", *COPIES, "--fingerprints", "all.qpf", "-o", "run.jsonl")
    assert done.exit_code == 2
    assert "all.qpf is no file of fingerprints." in done.stderr
    assert (tmp_path / "run.jsonl").read_text() == "precious\n"


def test_a_request_may_name_a_set_filter(invoke, many):
    images = {f"many/{number:03}.png": None for number in range(4)}
    request = json.dumps({"images": images, "filters": {"copies": {}}})
    done = invoke("request", "-", input=request)
    assert json.loads(done.stdout) == {image: number != 3 for number, image in enumerate(images)}


@pytest.mark.parametrize(
    ("command", "last"),
    [(("scan",), "Writing"), (("sort", "--into", "kept", "dropped", "--log", "log"), "Sorting")],
)
def test_the_bar_says_what_is_being_done(in_terminal, many, command, last):
    slow = ("--filters", "copies", "--set", "copies.pause=0.3", "--set", "copies.thinks=0.3")
    code, written = in_terminal(*command, "many", *slow, "--jobs", "1")
    assert code == 0, written
    measuring, _, rest = written.partition("Comparing 10 photos")
    comparing, _, placing = rest.partition(last)
    assert "Judging" in measuring
    assert {f"{number}/10" for number in range(3, 9)} <= set(re.findall(r"\d+/10", measuring))
    assert "Judging" not in rest
    assert "many/000.png" not in measuring + comparing
    assert "many/009.png" in placing
    assert "10/10" in placing


def test_the_bar_goes_on_to_comparing_when_the_last_photos_are_known(in_terminal, invoke, many):
    options = ("--filters", "copies", "--fingerprints", "all.qpf")
    assert invoke("scan", "many/003.png", "many/009.png", *options, "-q").exit_code == 0
    _, written = in_terminal("scan", "many", *options)
    assert "Comparing 8 photos" in written


@pytest.fixture
def pairs(tmp_path, paint):
    """Thirty photos, each there twice: the second one, by its name, is the duplicate."""
    for name in ("photos", "expected"):
        (tmp_path / name / "more").mkdir(parents=True)
        for number in range(60):
            below = "more" if number % 3 else "."
            paint(tmp_path / name / below / f"{number:03}.png", number % 30 * 8)
    return tmp_path


def placed(folder="."):
    return {
        kind: sorted(path.name for path in (Path(folder) / kind).rglob("[!.]*.png"))
        for kind in ("kept", "dropped")
    }


@pytest.mark.parametrize("paths", [("photos",), ("photos/*.png", "photos/more/*.png"), ("-",)])
def test_a_sort_that_is_killed_while_it_moves_goes_on_with_all_of_the_set(program, pairs, paths):
    copies = ("--filters", "copies", "--move", "--jobs", "1")
    done = program("sort", "expected", *copies, "--into", "e/kept", "e/dropped", "--log", "elog")
    assert done.returncode == 0, done.stderr
    expected = placed(pairs / "e")
    assert len(expected["dropped"]) == 30

    listed = "".join(f"photos/{'more' if n % 3 else '.'}/{n:03}.png\n" for n in range(60)).encode()
    into = ("--into", "kept", "dropped")
    for number in range(2):
        command = ("sort", *paths, *copies, *into, "--log", f"log{number}")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = program.start(*command, stdin=subprocess.PIPE, **quiet)
        process.stdin.write(listed)
        process.stdin.close()
        until = time.monotonic() + 60
        while process.poll() is None:
            if sum(map(len, placed(pairs).values())) >= 12 * (number + 1):
                os.killpg(process.pid, signal.SIGKILL)
                break
            assert time.monotonic() < until
            time.sleep(0.001)
        process.wait(60)
    assert list((pairs / "photos").rglob("*.png"))
    done = program("sort", *paths, *copies, *into, "--log", "last", stdin=listed)
    assert done.returncode in (0, 1), done.stderr  # 1: a photo is in both places
    assert b"There already: " in done.stderr
    assert placed(pairs) == expected
    assert not [path for path in (pairs / "kept").iterdir() if path.name.startswith(".")]
    for log in ("last", "log1", "log0"):
        if (pairs / log).exists():
            assert program("sort", "--undo", log).returncode == 0
    assert len(list((pairs / "photos").rglob("*.png"))) == 60
