"""``qualipy results``, and ``scan -o run.parquet``."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sys
import time

import jsonschema
import pytest

import qualipy

DARK = ("--filters", "dark")


@pytest.fixture
def run(invoke, photos, tmp_path):
    """The results of a run over the three photos and one that is missing, in a form."""

    def scan(form="jsonl"):
        path = tmp_path / f"run.{form}"
        done = invoke("scan", *DARK, "photos", "gone.jpg", "-o", path.name, "--fail-on", "never")
        assert done.exit_code == 0, done.output
        return path

    return scan


def plain(path):
    return [result.to_dict() for result in qualipy.read_results(path)]


def test_parquet_holds_what_json_lines_hold(run, tmp_path):
    pytest.importorskip("pyarrow")
    one, other = plain(run("jsonl")), plain(run("parquet"))
    for each in (*one, *other):
        del each["seconds"]
    assert one == other
    assert len(one) == 4


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv", "parquet"])
@pytest.mark.parametrize("source", ["json", "jsonl", "parquet"])
def test_results_can_be_written_in_any_other_form(invoke, run, tmp_path, source, form):
    if "parquet" in (source, form):
        pytest.importorskip("pyarrow")
    file = run(source)
    done = invoke("results", file.name, "-f", form, "-o", "out")
    assert done.exit_code == 0, done.output
    assert "suitable  1" in done.stderr
    assert "Results: out" in done.stderr
    if form not in ("table", "csv"):
        read = qualipy.read_results(tmp_path / "out", form)
        assert [result.to_dict() for result in read] == plain(file)
    elif form == "csv":
        rows = list(csv.DictReader(io.StringIO((tmp_path / "out").read_text())))
        assert [row["image"] for row in rows] == [each["image"] for each in plain(file)]
        assert float(rows[1]["dark"]) == plain(file)[1]["predictions"]["dark"]


def test_without_more_they_are_shown(invoke, run):
    done = invoke("results", run().name)
    assert done.stdout.splitlines()[1].startswith("flagged   photos/dark.png  dark 0.92")
    assert done.stdout.splitlines()[3].startswith("error     gone.jpg")
    assert "4 photos" not in invoke("results", "run.jsonl", "-q").stderr


def test_the_schema_is_printed_and_what_scan_writes_is_valid(invoke, run):
    done = invoke("results", "--schema")
    assert done.exit_code == 0
    for line in run().read_text().splitlines():
        jsonschema.validate(json.loads(line), json.loads(done.stdout))


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "Missing argument 'FILE'"),
        (("gone.jsonl",), "gone.jsonl cannot be read: No such file"),
        (("photos/dark.png",), "line 1, is no JSON"),
        (("run.jsonl", "-o", "run.jsonl"), "is what is to be read"),
        (("run.jsonl", "-o", "photos/dark.png"), "it is an image"),
        (("run.jsonl", "-o", "no/folder/out.csv"), "cannot be written to no/folder/out.csv"),
        (("run.jsonl", "-f", "parquet"), "name a file with --output"),
        (("run.jsonl", "-o", "photos/dark.png", "-f", "parquet"), "it is an image"),
        (("run.jsonl", "-o", "no/folder/out.parquet"), "cannot be written to no/folder"),
    ],
)
def test_what_cannot_be_is_said(invoke, run, args, said):
    run()
    before = os.listdir("photos")
    done = invoke("results", *args)
    assert done.exit_code == 2
    assert said in done.stderr
    assert os.listdir("photos") == before


@pytest.mark.parametrize("command", [("scan", *DARK, "photos"), ("results", "run.jsonl")])
def test_without_pyarrow_the_extra_is_named_before_anything_is_done(
    invoke, run, monkeypatch, command, tmp_path
):
    run()
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    done = invoke(*command, "-o", "out.parquet")
    assert done.exit_code == 3
    assert "pip install 'qualipy[parquet]'" in done.stderr
    assert not list(tmp_path.glob("out*"))


def test_parquet_is_no_text_to_print_and_cannot_be_resumed(invoke, photos):
    assert "name a file with --output" in invoke("scan", *DARK, "photos", "-f", "parquet").stderr
    done = invoke("scan", *DARK, "photos", "-o", "out.parquet", "--resume")
    assert done.exit_code == 2
    assert "parquet cannot be resumed" in done.stderr


def test_ctrl_c_keeps_what_is_done_and_replaces_the_file_at_the_end_only(program, tmp_path, paint):
    pytest.importorskip("pyarrow")
    (tmp_path / "many").mkdir()
    for number in range(60):
        paint(tmp_path / "many" / f"{number:02}.png", number * 4)
    report = tmp_path / "run.parquet"
    report.write_bytes(b"an earlier one")
    slow = ("--filters", "slow", "--set", "slow.pause=0.05", "--jobs", "1")
    process = program.start("scan", "many", *slow, "-o", "run.parquet")
    for _ in range(10):
        process.stdout.readline()
    assert report.read_bytes() == b"an earlier one"
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert 10 <= len(plain(report)) < 60
    assert not (tmp_path / "run.parquet.part").exists()


def test_a_full_disk_is_told_and_the_earlier_file_stays(program, tmp_path, photos):
    pytest.importorskip("pyarrow")
    resource = pytest.importorskip("resource")
    report = tmp_path / "run.parquet"
    report.write_bytes(b"an earlier one")

    def small_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    process = program.start("scan", "photos", *DARK, "-o", report.name, preexec_fn=small_disk)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 3
    assert b"cannot be written to run.parquet: File too large" in errors
    assert b"Traceback" not in errors
    assert report.read_bytes() == b"an earlier one"
    assert not (tmp_path / "run.parquet.part").exists()


def test_a_killed_run_leaves_the_earlier_file(program, tmp_path, photos):
    pytest.importorskip("pyarrow")
    report = tmp_path / "run.parquet"
    report.write_bytes(b"an earlier one")
    slow = ("--filters", "slow", "--set", "slow.pause=1", "--jobs", "1")
    process = program.start("scan", "photos", *slow, "-o", report.name)
    deadline = time.monotonic() + 60
    while not (tmp_path / "run.parquet.part").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert report.read_bytes() == b"an earlier one"
    assert program("scan", "photos", *DARK, "-q", "-o", report.name).returncode == 0
    assert len(plain(report)) == 3
    assert not (tmp_path / "run.parquet.part").exists()
