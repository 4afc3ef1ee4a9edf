"""`qualipy scan --report` and `qualipy report`: a page beside whatever else is written."""

from __future__ import annotations

import json
import os
import re
import signal
import time

import pytest


def data_of(path):
    """The data in a page."""
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


def thumbnails_of(path):
    text = path.read_text(encoding="utf-8")
    pieces = re.findall(r'class="thumbnails" data-first="\d+">(.*?)</script>', text, re.DOTALL)
    return [each for piece in pieces for each in json.loads(piece)]


def test_a_scan_writes_a_page_beside_its_table(program, photos, tmp_path):
    done = program("scan", "photos", "--filters", "dark", "--report", "report.html")
    assert done.returncode == 0, done.stderr
    assert b"flagged   photos/dark.png" in done.stdout
    assert b"Report: report.html" in done.stderr
    data = data_of(tmp_path / "report.html")
    assert sorted(data["images"]) == [
        "photos/bright.png",
        "photos/dark.png",
        "photos/more/night.png",
    ]
    assert data["paths"] == ["photos"]
    assert data["complete"]
    (dark,) = data["filters"]
    assert (dark["label"], dark["sign"], dark["threshold"]) == ("dark", ">", 0.5)
    assert dark["summary"] == "Photos that are dark."
    assert len(list(filter(None, thumbnails_of(tmp_path / "report.html")))) == 3


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_the_page_tells_what_would_repeat_the_run(program, photos, tmp_path, jobs):
    done = program(
        *("scan", "photos", "-j", jobs, "--filters", "dark,slow", "--set", "dark.level=200"),
        *("--set", "slow.threshold=0.1", "--roi", "0,0,9,9", "--stop-early", "--suffix", ".x"),
        *("--report", "r.html", "-o", "r.jsonl", "-q"),
    )
    assert done.returncode == 0, done.stderr
    data = data_of(tmp_path / "r.html")
    assert data["options"] == [["--roi", "0,0,9,9"], ["--stop-early"], ["--suffix", ".x"]]
    assert data["stopEarly"]
    filters = {each["label"]: each for each in data["filters"]}
    assert filters["dark"]["parameters"] == {"level": 200.0}
    assert (filters["slow"]["threshold"], filters["slow"]["standard"]) == (0.1, 0.5)
    assert len((tmp_path / "r.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize("mode", ["inline", "folder", "none"])
def test_thumbnails_go_where_they_are_wanted(program, photos, tmp_path, mode):
    program(
        *("scan", "photos", "--filters", "dark", "-q"),
        *("--report", "r.html", "--report-thumbnails", mode),
    )
    assert data_of(tmp_path / "r.html")["thumbnails"]["kind"] == mode
    assert bool(thumbnails_of(tmp_path / "r.html")) == (mode == "inline")
    assert len(list((tmp_path).glob("r_files/*/0/*.jpg"))) == (3 if mode == "folder" else 0)


def test_a_page_from_earlier_results_is_that_of_the_run(program, photos, tmp_path):
    for suffix in ("jsonl", "csv", "json"):
        program(
            "scan",
            "photos",
            "--filters",
            "dark",
            "-q",
            "-o",
            f"run.{suffix}",
            "--report",
            "one.html",
        )
        done = program("report", f"run.{suffix}", "-o", "two.html")
        assert done.returncode == 0, done.stderr
        one, two = data_of(tmp_path / "one.html"), data_of(tmp_path / "two.html")
        assert one["images"] == two["images"]
        assert one["filters"][0]["predictions"] == two["filters"][0]["predictions"]
        assert thumbnails_of(tmp_path / "one.html") == thumbnails_of(tmp_path / "two.html")
        assert "assumed" in two["filters"][0]["note"]


def test_parameters_that_the_results_do_not_hold_can_be_told(program, photos, tmp_path):
    program(
        *("scan", "photos", "--filters", "dark", "--set", "dark.threshold=0.95", "-q"),
        *("-o", "run.jsonl"),
    )
    program("report", "run.jsonl", "-q")
    (dark,) = data_of(tmp_path / "report.html")["filters"]
    assert "inferred" in dark["note"]
    assert 0.92 < dark["threshold"] < 0.99
    program("report", "run.jsonl", "-q", "--set", "dark.threshold=0.95")
    (dark,) = data_of(tmp_path / "report.html")["filters"]
    assert dark["threshold"] == 0.95
    done = program("report", "run.jsonl", "--set", "slow.threshold=1")
    assert done.returncode == 2
    assert b"slow is not among the filters of run.jsonl: dark" in done.stderr


def test_photos_that_are_gone_have_no_thumbnail(program, photos, tmp_path):
    program("scan", "photos", "--filters", "dark", "-q", "-o", "run.jsonl")
    (photos / "dark.png").unlink()
    done = program("report", "run.jsonl", "-q")
    assert done.returncode == 0, done.stderr
    data = data_of(tmp_path / "report.html")
    missing = [data["images"][number] for number in data["thumbnails"]["missing"]]
    assert missing == ["photos/dark.png"]


def wait_for_a_line(process, file):
    """Wait until a run has written its first result."""
    while not file.exists() or not file.stat().st_size:
        time.sleep(0.02)
        assert process.poll() is None, process.communicate()


SLOWLY = ("-j", "1", "--filters", "slow", "--set", "slow.pause=0.1", "-o", "run.jsonl")


def test_a_resumed_run_has_all_photos_in_its_page(program, photos, tmp_path, paint):
    for number in range(6):
        paint(photos / f"{number}.png", number)
    command = ("scan", "photos", *SLOWLY, "--report", "report.html")
    process = program.start(*command)
    wait_for_a_line(process, tmp_path / "run.jsonl")
    process.kill()
    process.communicate()
    assert not (tmp_path / "report.html").exists()
    done = program(*command, "--resume")
    assert done.returncode == 0, done.stderr
    data = data_of(tmp_path / "report.html")
    lines = (tmp_path / "run.jsonl").read_text().splitlines()
    assert data["complete"]
    assert data["images"] == [json.loads(line)["image"] for line in lines]
    assert len(list(filter(None, thumbnails_of(tmp_path / "report.html")))) == 9
    (tmp_path / "report.html").unlink()
    done = program(*command, "--resume")  # nothing is left to judge
    assert done.returncode == 0, done.stderr
    assert data_of(tmp_path / "report.html")["filters"] == data["filters"]


def test_ctrl_c_leaves_a_page_of_what_is_done(program, photos, tmp_path, paint):
    for number in range(60):
        paint(photos / f"{number}.png", number)
    process = program.start("scan", "photos", *SLOWLY, "--report", "report.html")
    wait_for_a_line(process, tmp_path / "run.jsonl")
    os.kill(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    data = data_of(tmp_path / "report.html")
    done = (tmp_path / "run.jsonl").read_text().splitlines()
    assert not data["complete"]
    assert 0 < len(data["images"]) == len(done) < 60
    assert len(list(filter(None, thumbnails_of(tmp_path / "report.html")))) == len(done)
    assert not list(tmp_path.glob(".report*"))


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("nowhere/report.html", b"there is no folder"),
        ("photos", b"it is no file"),
        ("photos/dark.png", b"it is an image"),
    ],
)
def test_a_page_that_cannot_be_written_is_told_before_the_work(program, photos, path, told):
    done = program("scan", "photos", "--filters", "dark", "--report", path)
    assert done.returncode == 2
    assert told in done.stderr
    assert not done.stdout


def test_a_folder_that_is_in_the_way_is_told_before_the_work(program, photos, tmp_path):
    (tmp_path / "r_files").mkdir()
    (tmp_path / "r_files" / "mine").touch()
    done = program("scan", "photos", "--filters", "dark", "--report", "r.html")
    assert done.returncode == 2
    assert b"not of an earlier report" in done.stderr
    assert program("scan", "photos", "--filters", "dark", "-q", "--report", "r.html",
                   "--report-thumbnails", "inline").returncode == 0  # fmt: skip


def test_options_of_a_page_need_one(program, photos):
    done = program("scan", "photos", "--filters", "dark", "--report-explain")
    assert done.returncode == 2
    assert b"are for a --report" in done.stderr


def test_the_results_are_not_replaced_by_the_page(program, photos, tmp_path):
    program("scan", "photos", "--filters", "dark", "-q", "-o", "run.jsonl")
    done = program("report", "run.jsonl", "-o", "run.jsonl")
    assert done.returncode == 2
    assert b"what is to be read" in done.stderr


@pytest.mark.parametrize("option", ["--output", "--fingerprints"])
def test_a_page_does_not_take_the_place_of_what_else_is_written(program, photos, tmp_path, option):
    done = program("scan", "photos", "--filters", "dark", "--report", "run.x", option, "./run.x")
    assert done.returncode == 2
    assert b"--report and " + option.encode() + b" name one file" in done.stderr
    assert not (tmp_path / "run.x").exists()
