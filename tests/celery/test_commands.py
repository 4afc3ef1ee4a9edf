"""What people type: ``qualipy worker``, ``qualipy jobs`` and ``scan --executor celery``."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from celery_client import connect, disconnect
from celery_workers import clean_environment
from click.testing import CliRunner
from processes import Started, until
from sample_filters import write_image
from stand_ins import STAND_INS, picture, runs

from qualipy.cli import cli
from qualipy_celery import celery_process, find_job, list_jobs
from qualipy_celery import runs as remembered
from qualipy_celery.ledger import Ledger
from qualipy_core import plugins

TIMEOUT = 120
PROGRAM = (sys.executable, "-m", "qualipy")
PHOTOS = 48


@pytest.fixture
def folder(tmp_path) -> Path:
    """Where the program is called: with flat photos, and one that is none."""
    photos = tmp_path / "home" / "photos"
    photos.mkdir(parents=True)
    for number in range(PHOTOS):
        write_image(photos / f"{number:02}.png", np.full((3, 4), number * 5, np.uint8))
    (photos / "20.png").write_text("no photo")
    return photos.parent


@pytest.fixture
def variables(tmp_path, standing) -> dict[str, str]:
    """The environment of the program."""
    state = str(tmp_path / "state")
    own = {"QUALIPY_BROKER_URL": standing.url, "XDG_STATE_HOME": state, "COLUMNS": "100"}
    return {**clean_environment(STAND_INS), **own}


class Program:
    """The program in processes of its own."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder = folder
        self.variables = variables

    def __call__(self, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments, **options) as process:
            out, err = process.communicate(timeout=TIMEOUT)
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def start(self, *arguments: object, **options: Any) -> subprocess.Popen[str]:
        """Start it as the leader of a group of its own, as shells do."""
        return subprocess.Popen(
            [*PROGRAM, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **{"cwd": self.folder, "env": self.variables, **options},
        )


@pytest.fixture
def program(folder, variables) -> Program:
    return Program(folder, variables)


@pytest.fixture
def typed(folder, variables, monkeypatch):
    """A function that runs a command in this process: its exit status, output and errors."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(cli, "commands", dict(cli.commands))
    monkeypatch.setattr(cli, "_asked", False)

    def run(*arguments: object) -> tuple[int, str, str]:
        done = CliRunner().invoke(cli, [str(each) for each in arguments], prog_name="qualipy")
        return done.exit_code, done.stdout, done.stderr

    return run


def scan_of(tmp_path: Path, output: str, seconds: float = 0.05) -> list[str]:
    """Return a command that takes a while and notes which photos are judged."""
    return [
        *("scan", "photos", "--filters", "mean,slow,counted", "--roi", "0,0,3,3"),
        *("--fail-on", "never"),
        *("--set", f"slow.seconds={seconds}", "--set", f"counted.file={tmp_path / 'counted'}"),
        *("--executor", "celery", "-o", output),
    ]


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a report, but how long each photo took."""
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            lines: list[dict[str, Any]] = list(csv.DictReader(file))
    else:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        del line["seconds"]
    return lines


def wait_for_lines(path: Path, count: int, process: subprocess.Popen[str]) -> None:
    def enough() -> bool:
        assert process.poll() is None, process.communicate()
        return path.exists() and path.read_bytes().count(b"\n") >= count

    until(enough, TIMEOUT, f"{count} lines in {path}", 0.005)


def job_told_by(err: str) -> str:
    (line,) = [line for line in err.splitlines() if line.startswith("Job ")]
    return line.split()[1].rstrip(";")


def assert_complete(typed, folder: Path, report: Path) -> None:
    """A report is what a local scan writes, line by line."""
    expected = folder / f"local{report.suffix}"
    if not expected.exists():
        code, _, err = typed(
            *("scan", "photos", "--filters", "mean,slow,counted", "--roi", "0,0,3,3"),
            *("--set", "slow.seconds=0", "--fail-on", "never", "-q", "-j", "1", "-o", expected),
        )
        assert code == 0, err
    assert lines_of(report) == lines_of(expected)
    assert len(lines_of(report)) == PHOTOS


# qualipy worker


def test_qualipy_worker_is_a_worker(shared_redis, stand_ins, tmp_path):
    connect(shared_redis.url)
    variables = {**clean_environment(STAND_INS), "QUALIPY_BROKER_URL": shared_redis.url}
    command = [*PROGRAM, "worker", "-c", "1", "-l", "WARNING", "--hostname=mine@%h", "-O", "fair"]
    try:
        with Started(command, tmp_path / "worker.log", variables, tmp_path) as worker:
            by_mean = [plugins.registry().get("mean")()]
            results = celery_process([picture(n) for n in range(4)], by_mean)
            assert len(results.get(timeout=TIMEOUT)) == 4
            worker.send(signal.SIGTERM)
            assert worker.wait() == 0
            assert "INFO" not in worker.log()
            assert "Traceback" not in worker.log()
    finally:
        disconnect()


def test_help_is_there(typed):
    for words in (
        ["worker"],
        ["jobs"],
        *(["jobs", name] for name in ("list", "status", "cancel", "stop", "forget", "resume")),
    ):
        code, out, err = typed(*words, "--help")
        assert (code, err) == (0, "")
        assert out.startswith(f"Usage: qualipy {' '.join(words)} ")
    code, out, _ = typed("--help")
    assert "worker" in out
    assert "jobs" in out
    assert typed("worker", "-c", "0")[0] == 2


# scan --executor celery


def without_times(err: str) -> list[str]:
    lines = [line for line in err.splitlines() if not line.startswith("Job ")]
    return [line.partition(" in ")[0] for line in lines]


def test_a_scan_writes_what_a_local_one_writes(program, typed, folder):
    command = ("scan", "photos", "--filters", "mean,exposure", "--roi", "0,0,3,3")
    done = program(*command, "--executor", "celery", "-o", "out.jsonl")
    there = {"jsonl": (done.returncode, done.stdout, done.stderr)}
    there["csv"] = typed(*command, "--executor", "celery", "-o", "out.csv")
    for suffix, (code, out, err) in there.items():
        report = folder / f"out.{suffix}"
        lines = lines_of(report)
        assert len(lines) == PHOTOS
        assert typed(*command, "--jobs", "1", "-o", report.name)[:2] == (code, out)
        assert code == 1  # for the photo that is none
        assert lines == lines_of(report)
        local = typed(*command, "--jobs", "1", "-o", report.name)[2]
        assert without_times(err) == without_times(local)
        assert job_told_by(err) in {status.id for status in list_jobs()}


def test_a_scan_writes_to_a_pipe_in_order_and_quietly(typed):
    command = ("scan", "photos", "--filters", "mean", "-f", "jsonl", "-q")
    _, out, err = typed(*command, "--executor", "celery")
    assert err == ""
    images = [json.loads(line)["image"] for line in out.splitlines()]
    assert images == [f"photos/{number:02}.png" for number in range(PHOTOS)]


def test_whatever_ends_a_scan_it_is_resumed_and_comes_to_its_end(program, typed, folder, tmp_path):
    report = folder / "out.jsonl"
    process = program.start(*scan_of(tmp_path, "out.jsonl"))
    wait_for_lines(report, 5, process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "The same command with --resume goes on." in err
    first = job_told_by(err)
    assert find_job(first).status().state == "stopped"
    done = len(lines_of(report))
    assert 5 <= done < PHOTOS
    code, out, _ = typed("jobs", "status", first)
    assert code == 0
    assert f"{first}: stopped" in out
    assert f"`qualipy jobs resume {first}` goes on." in out

    # From wherever one is, as it was called; and then the power fails.
    process = program.start("jobs", "resume", first, cwd=tmp_path)
    wait_for_lines(report, done + 5, process)
    os.killpg(process.pid, signal.SIGKILL)
    second = job_told_by(process.communicate(timeout=TIMEOUT)[1])
    done = report.read_bytes().count(b"\n")

    code, _, err = typed("jobs", "resume", first)
    assert code == 0, err
    assert f"{PHOTOS} photos, {PHOTOS - done} of them now" in err
    assert_complete(typed, folder, report)
    assert not {status.id for status in list_jobs()} & {first, second}
    for job in (first, second):
        assert typed("jobs", "resume", job)[0] == 2
    # What was under way, and not recorded yet, was judged once more.
    judged = runs(tmp_path / "counted")
    assert len(judged) == PHOTOS - 1  # one cannot be read
    assert max(judged.values()) <= 3
    assert judged.total() < 2 * PHOTOS


def test_a_killed_scan_is_resumed_and_each_photo_judged_once(
    program, typed, folder, tmp_path, standing
):
    report = folder / "out.csv"
    process = program.start(*scan_of(tmp_path, "out.csv"))
    wait_for_lines(report, 6, process)
    os.killpg(process.pid, signal.SIGKILL)
    _, err = process.communicate(timeout=TIMEOUT)
    job = job_told_by(err)
    redis = standing.server.client()
    for _ in range(2):  # a message on its way from one to the other is in neither
        time.sleep(0.2)
        until(
            lambda: not (redis.llen("qualipy") or redis.hlen("unacked")),
            TIMEOUT,
            "the end of what was sent",
        )
    code, _, err = typed("jobs", "resume", job)
    assert code == 0, err
    judged = runs(tmp_path / "counted")
    assert set(judged.values()) == {1}
    assert len(judged) == PHOTOS - 1  # one cannot be read
    assert_complete(typed, folder, report)
    assert job not in {status.id for status in list_jobs()}


def test_redis_killed_during_a_scan_pauses_it(standing, folder, variables, typed, tmp_path):
    """What it held is lost; the worker is that of other tests."""
    program = Program(folder, {**variables, "QUALIPY_LEASE": "2"})
    process = program.start(*scan_of(tmp_path, "out.jsonl"))
    wait_for_lines(folder / "out.jsonl", 5, process)
    standing.server.kill()
    time.sleep(0.5)
    standing.server.start()
    _, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert_complete(typed, folder, folder / "out.jsonl")


def test_without_redis_there_is_a_message_and_no_traceback(folder, tmp_path):
    nowhere = {"QUALIPY_BROKER_URL": f"redis+socket://{tmp_path}/none?virtual_host=0"}
    program = Program(folder, {**clean_environment(STAND_INS), **nowhere})
    began = time.monotonic()
    processes = [
        program.start("scan", "photos", "--filters", "mean", "--executor", "celery", "-o", "x.csv"),
        program.start("jobs", "list"),
        program.start("jobs", "status", "some"),
    ]
    for process in processes:
        out, err = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 3
        assert "Error: Redis cannot be used: " in err
        assert "Is it running, and do QUALIPY_BROKER_URL" in err
        assert "Traceback" not in err
        assert out == ""
    assert time.monotonic() - began < 20  # 10, and what a machine under load adds
    assert "photos/" not in (folder / "x.csv").read_text()


# qualipy jobs


@pytest.fixture
def a_job(standing, tmp_path):
    """The record of a job that somebody feeds, or so it seems."""
    ledger = Ledger(standing.server.client(), f"job-{tmp_path.name}"[:90])
    ledger.open({"filters": [["mean", {"name": "mean"}], ["hdr#2", {}]], "stop_early": False})
    ledger.note(total=4000, done=1000, flagged=3, failed=2)
    yield ledger
    ledger.delete()


def test_jobs_are_listed(typed, a_job, standing):
    code, out, err = typed("jobs", "list")
    assert (code, err) == (0, "")
    head, *rows = out.splitlines()
    assert head.split() == ["JOB", "STATE", "DONE", "OF", "FLAGGED", "ERRORS", "BEGAN"]
    assert rows[0].split()[:6] == [a_job.job, "running", "1,000", "4,000", "3", "2"]
    long_ago = time.time() - 100
    a_job.redis.hset(a_job._keys[0], mapping={"updated": long_ago})
    assert typed("jobs", "list")[1].splitlines()[1].split()[1] == "interrupted"


def test_no_job_is_no_table(typed, standing):
    names = [status.id for status in list_jobs()]
    redis = standing.server.client()
    kept = redis.zrange("qualipy:jobs", 0, -1, withscores=True)
    redis.delete("qualipy:jobs")
    try:
        code, out, err = typed("jobs", "list")
    finally:
        if names:
            redis.zadd("qualipy:jobs", dict(kept))
    assert (code, out) == (0, "")
    assert "There are no jobs. `qualipy scan PATH --executor celery` begins one." in err


def test_a_job_s_status_is_told_to_people_and_programs(typed, a_job):
    code, out, _ = typed("jobs", "status", a_job.job)
    assert code == 0
    assert out.splitlines() == [
        f"{a_job.job}: running",
        "1,000 of 4,000 (25.0 %) done, 3 flagged, 2 with an error",
        "filters: mean, hdr#2",
    ]
    code, out, _ = typed("jobs", "status", "--json", a_job.job)
    told = json.loads(out)
    assert (told["id"], told["state"], told["percent"]) == (a_job.job, "running", 25.0)
    assert (told["done"], told["total"], told["flagged"], told["failed"]) == (1000, 4000, 3, 2)


def test_a_job_is_stopped_cancelled_and_forgotten(typed, a_job):
    job = a_job.job
    code, _, err = typed("jobs", "forget", job)
    assert code == 1
    assert "is running: stop or cancel it first" in err
    assert typed("jobs", "stop", job) == (
        0,
        f"Job {job} is stopped; `qualipy jobs resume {job}` goes on.\n",
        "",
    )
    assert a_job.status().state == "stopped"
    assert typed("jobs", "cancel", job) == (0, f"Job {job} is cancelled.\n", "")
    assert a_job.status().state == "cancelled"
    code, out, err = typed("jobs", "stop", job)
    assert (code, out) == (1, "")
    assert "is cancelled already" in err
    code, out, err = typed("jobs", "resume", job)
    assert (code, out) == (2, "")
    assert "was cancelled" in err
    assert typed("jobs", "forget", job) == (0, f"Job {job} is forgotten.\n", "")
    assert a_job.status() is None


@pytest.mark.parametrize("command", ["status", "cancel", "stop", "forget", "resume"])
def test_a_job_that_is_unknown_or_no_name_is_a_message(typed, command):
    for name, said in (("nobody", "job 'nobody'"), ("../nobody", "'../nobody'")):
        code, out, err = typed("jobs", command, name)
        assert out == ""
        assert code == (1 if ".." in name and command != "resume" else 2)
        assert err.startswith("Error: ")
        assert said in err
    assert typed("jobs", command)[0] == 2


def test_a_scan_that_somebody_else_stops_ends_and_can_be_resumed(program, typed, folder, tmp_path):
    process = program.start(*scan_of(tmp_path, "out.jsonl", 0.1))
    wait_for_lines(folder / "out.jsonl", 5, process)
    job = job_told_by(process.stderr.readline())
    assert typed("jobs", "stop", job)[0] == 0
    _, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 1
    assert f"was stopped by somebody else; `qualipy jobs resume {job}` goes on." in err
    assert "Traceback" not in err
    code, _, err = typed("jobs", "resume", job)
    assert code == 0, err
    assert_complete(typed, folder, folder / "out.jsonl")


def test_a_scan_that_somebody_else_cancels_ends_and_the_file_stays(
    program, typed, folder, tmp_path
):
    process = program.start(*scan_of(tmp_path, "out.jsonl", 0.1))
    wait_for_lines(folder / "out.jsonl", 5, process)
    job = job_told_by(process.stderr.readline())
    assert typed("jobs", "cancel", job)[0] == 0
    _, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 1
    assert "was cancelled by somebody else." in err
    assert "What is done is in out.jsonl. The same command with --resume goes on." in err
    assert typed("jobs", "resume", job)[0] == 2
    done = lines_of(folder / "out.jsonl")
    assert max(Counter(line["image"] for line in done).values()) == 1


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"output": None, "paths": ["photos"]}, "wrote its report to a terminal or pipe"),
        ({"output": "x.csv", "paths": ["-"]}, "read its list of images from standard input"),
        ({"output": "x.csv", "paths": ["photos"]}, "cannot be entered"),
    ],
)
def test_what_cannot_be_resumed_is_said(typed, params, said):
    path = remembered._path("kept")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"id": "kept", "folder": "/not/there", "params": params}))
    code, out, err = typed("jobs", "resume", "kept")
    assert code in (1, 2)
    assert said in err
    assert out == ""
    path.write_text("{")
    assert "No unfinished `qualipy scan` of this machine" in typed("jobs", "resume", "kept")[2]
