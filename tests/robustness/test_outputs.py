"""Reports of runs that end in the middle: what is done is there, and can be read."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bad_files import valid_files

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

SCAN = [sys.executable, "-m", "qualipy", "scan", "photos", "-q", "--filters", "exposure"]
SCAN += ["--fail-on", "never", "--jobs", "1"]


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Two hundred photos in the current folder's ``photos``."""
    (tmp_path / "photos").mkdir()
    for number in range(200):
        (tmp_path / "photos" / f"{number:03}.jpg").write_bytes(valid_files()["jpeg.jpg"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def killed_in_the_middle(report, lines=5):
    """Begin a scan and kill it once it has written something."""
    process = subprocess.Popen([*SCAN, "-o", report], start_new_session=True)
    part = Path(report + ".part")
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        written = part if part.exists() else Path(report)
        if written.exists() and written.read_bytes().count(b"\n") > lines:
            break
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_lines_and_rows_are_whole_whenever_a_run_is_killed(photos):
    killed_in_the_middle("run.jsonl")
    killed_in_the_middle("run.csv")
    for line in Path("run.jsonl").read_text().splitlines():
        assert json.loads(line)["suitable"] in (True, False)
    with Path("run.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert {len(row) for row in rows} == {len(rows[0])}


def test_an_array_has_its_name_when_it_is_whole_and_not_before(photos):
    assert subprocess.run([*SCAN, "-o", "run.json"], check=False).returncode == 0
    before = Path("run.json").read_bytes()
    assert len(json.loads(before)) == 200
    assert not Path("run.json.part").exists()
    killed_in_the_middle("run.json")
    assert Path("run.json").read_bytes() == before
    assert subprocess.run([*SCAN, "-o", "run.json"], check=False).returncode == 0
    assert not Path("run.json.part").exists()


@pytest.mark.parametrize("report", ["run.jsonl", "run.csv", "run.json"])
def test_a_full_disk_is_said_and_costs_nothing_that_was_done(photos, report):
    resource = pytest.importorskip("resource")

    def small_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

    Path(report).write_text("[]")
    ran = subprocess.run(
        [*SCAN, "-o", report], capture_output=True, text=True, preexec_fn=small_disk, check=False
    )
    assert ran.returncode == 3
    assert f"cannot be written to {report}" in ran.stderr
    assert "Traceback" not in ran.stderr
    if report == "run.json":
        assert Path(report).read_text() == "[]"
    else:
        assert Path(report).read_bytes().count(b"\n") > 5
        assert Path(report).read_bytes().endswith(b"\n")


def test_a_small_disk_that_fills_up_is_said(photos):
    """A file system of 16 KiB, where this user may mount one."""
    code = (
        "mkdir small && mount -t tmpfs -o size=16k none small && "
        f"{' '.join(SCAN)} -o small/run.jsonl; status=$?; "
        "cat small/run.jsonl >kept.jsonl; exit $status"
    )
    unshare = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    try:
        tried = subprocess.run([*unshare, "mount -t tmpfs none /mnt"], capture_output=True)  # noqa: PLW1510
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if tried.returncode:
        pytest.skip("this user may not mount a file system of his own")
    ran = subprocess.run([*unshare, code], capture_output=True, text=True, check=False)
    assert ran.returncode == 3, ran.stderr
    assert "No space left on device" in ran.stderr
    lines = Path("kept.jsonl").read_text().splitlines()
    assert len(lines) > 20
    assert all(json.loads(line)["image"] for line in lines)


def test_what_is_written_to_a_pipe_or_a_full_device_is_told():
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    for form in ("json", "jsonl", "csv"):
        command = [sys.executable, "-m", "qualipy", "scan", __file__, "-q", "-o", "/dev/full"]
        ran = subprocess.run(
            [*command, "-f", form, "--filters", "framed"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ran.returncode == 3
        assert "No space left on device" in ran.stderr
        assert "Traceback" not in ran.stderr
