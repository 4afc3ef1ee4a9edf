"""``qualipy scan --resume``: whatever ends a run, nothing is judged twice and nothing is lost."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import signal
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualipy.cli.earlier import Done

SHORT = """
    from itertools import islice

    from qualipy_core import hookimpl
    from qualipy_core.errors import ExecutorError


    class Short:
        def __init__(self, jobs):
            pass

        def run(self, tasks, plan):
            yield from map(plan.judge, islice(tasks, 2))
            raise ExecutorError("The workers are gone.")


    class Backwards:
        def __init__(self, jobs):
            pass

        def run(self, tasks, plan):
            return map(plan.judge, tasks)


    @hookimpl
    def qualipy_executors():
        return {"short": Short, "other": Backwards}
"""
DARK = ("--filters", "dark")


@pytest.fixture
def short(site):
    """An executor that fails after two photos."""
    points = {"qualipy.hooks": {"short": "demo_short"}}
    site.install("demo-short", "0.1", points, demo_short=SHORT)
    return site


@pytest.fixture
def interrupted(short, invoke, photos, tmp_path):
    """Begin a run over three photos that ends after two; return the file."""

    def run(form="jsonl", *args):
        report = tmp_path / f"run.{form}"
        options = args or (*DARK, "photos")
        done = invoke("scan", *options, "-o", report.name, "--executor", "short")
        assert done.exit_code == 3
        assert f"What is done is in {report.name}. The same command with --resume" in done.stderr
        return report

    return run


def read(path):
    """Return the lines of a report without the seconds."""
    text = path.read_bytes().decode()
    if path.suffix == ".csv":
        return [row[:-1] for row in csv.reader(io.StringIO(text, newline=""))]
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        del line["seconds"]
    return lines


def record_of(path):
    return path.with_name(f"{path.name}.unfinished")


@pytest.fixture
def whole(invoke, photos, tmp_path):
    """What a run over the three photos writes that nothing disturbs."""

    def run(form="jsonl", *args):
        report = tmp_path / f"whole.{form}"
        invoke("scan", *(args or (*DARK, "photos")), "-o", report.name, "--fail-on", "never")
        assert not record_of(report).exists()
        return report

    return run


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize("more", [(), ("--jobs", "2"), ("--executor", "other")])
def test_a_run_goes_on_where_it_ended(invoke, interrupted, whole, form, more):
    report = interrupted(form)
    assert record_of(report).exists()
    done = invoke("scan", *DARK, "photos", "-o", report.name, "--resume", *more)
    assert done.exit_code == 0
    assert done.stdout == "flagged   photos/more/night.png  dark 0.98 > 0.5\n"
    assert "3 photos, 1 of them now, in " in done.stderr
    assert "flagged   2" in done.stderr
    assert read(report) == read(whole(form))
    assert not record_of(report).exists()


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_line_that_is_torn_at_any_byte_is_mended(invoke, interrupted, whole, form):
    report = interrupted(form)
    record = record_of(report).read_bytes()
    text, expected = whole(form).read_bytes(), read(whole(form))
    last = text[:-1].rindex(b"\n") + 1
    for end in range(last, len(text)):
        for tail in (b"", b"\0" * 5000):
            report.write_bytes(text[:end] + tail)
            record_of(report).write_bytes(record)
            done = invoke("scan", *DARK, "photos", "-o", report.name, "--resume", "-q")
            assert done.exit_code == 0, done.output
            assert read(report) == expected
    report.write_bytes(text[:-20] + b"~garbage~\n")
    record_of(report).write_bytes(record)
    assert invoke("scan", *DARK, "photos", "-o", report.name, "--resume", "-q").exit_code == 0
    assert read(report) == expected


def test_a_torn_header_begins_anew(invoke, interrupted, whole):
    report = interrupted("csv")
    record, header = record_of(report).read_bytes(), report.read_bytes().splitlines(True)[0]
    for end in range(len(header) + 1):
        report.write_bytes(header[:end])
        record_of(report).write_bytes(record)
        assert invoke("scan", *DARK, "photos", "-o", report.name, "--resume").exit_code == 0
        assert read(report) == read(whole("csv"))


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize("damage", [b"", b'"', b"\0\0\0", b"\xff", b"{}", b'{"image": 1}', b"a,b"])
def test_a_line_that_is_broken_in_the_middle_is_named_and_nothing_changes(
    invoke, interrupted, whole, form, damage
):
    report = interrupted(form)
    lines = whole(form).read_bytes().splitlines(keepends=True)
    lines[-2] = damage + lines[-2][9:] if damage == b'"' else damage + b"\n"
    report.write_bytes(b"".join(lines))
    done = invoke("scan", *DARK, "photos", "-o", report.name, "--resume")
    assert done.exit_code == 2
    assert f"run.{form}, line {len(lines) - 1}, is no line" in done.stderr
    assert report.read_bytes() == b"".join(lines)
    assert record_of(report).exists()


def test_what_never_began_begins(invoke, photos, tmp_path, whole):
    done = invoke("scan", *DARK, "photos", "-o", "new.csv", "--resume")
    assert done.exit_code == 0
    assert "3 photos in" in done.stderr
    assert read(tmp_path / "new.csv") == read(whole("csv"))
    (tmp_path / "empty.jsonl").touch()
    assert invoke("scan", *DARK, "photos", "-o", "empty.jsonl", "--resume").exit_code == 0
    assert read(tmp_path / "empty.jsonl") == read(whole())


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_when_nothing_is_left_the_exit_status_tells_of_the_whole(invoke, whole, form):
    report = whole(form)
    before = report.read_bytes()
    done = invoke("scan", *DARK, "photos", "-o", report.name, "--resume", "--fail-on", "flagged")
    assert done.exit_code == 1
    assert "Nothing is left to judge" in done.stderr
    assert "3 photos, 0 of them now" in done.stderr
    assert report.read_bytes() == before
    assert invoke("scan", *DARK, "photos", "-o", report.name, "--resume").exit_code == 0


def test_the_exit_status_counts_what_was_found_before(invoke, photos, interrupted):
    paths = ("photos/dark.png", "gone.png", "photos/bright.png")
    report = interrupted("csv", *DARK, *paths)
    args = ("scan", *DARK, *paths, "-o", report.name, "--resume")
    assert invoke(*args, "--fail-on", "flagged").exit_code == 1
    assert invoke(*args).exit_code == 1
    assert invoke(*args, "--fail-on", "never").exit_code == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--filters", "slow"), "the filters are slow, and were dark"),
        (("--filters", "dark,slow"), "the filters are dark, slow, and were dark"),
        ((*DARK, "--set", "dark.threshold=0.9"), "dark.threshold is 0.9, and was 0.5"),
        ((*DARK, "--set", "dark.level=99"), "dark.level is 99.0, and was 255.0"),
        ((*DARK, "--set", "dark.comparison=<"), 'dark.comparison is "<", and was left out'),
        ((*DARK, "--roi", "1,2,3,4"), "the ROI is 1,2,3,4, and was none"),
        ((*DARK, "--stop-early"), "--stop-early is set, and was not set"),
        ((*DARK, "-f", "csv"), "the form is csv, and was jsonl"),
    ],
)
def test_a_run_of_another_kind_is_refused(invoke, interrupted, args, said):
    report = interrupted()
    before = report.read_bytes()
    done = invoke("scan", "photos", "-o", report.name, "--resume", *args)
    assert done.exit_code == 2
    assert said in done.stderr
    assert report.read_bytes() == before


def test_another_version_of_a_pack_is_refused(invoke, interrupted):
    report = interrupted()
    record = record_of(report)
    record.write_text(record.read_text().replace("demo-pack 1.2", "demo-pack 1.1"))
    done = invoke("scan", *DARK, "photos", "-o", report.name, "--resume")
    assert done.exit_code == 2
    assert "dark is of demo-pack 1.2, and was of demo-pack 1.1" in done.stderr


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_without_a_record_nothing_is_added_and_lines_must_agree(invoke, whole, paint, form):
    report = whole(form)
    args = ("scan", "photos", "-o", report.name, "--resume")
    before = report.read_bytes()
    done = invoke(*args, *DARK, "--set", "dark.threshold=0.95")
    assert done.exit_code == 2
    assert "photos/dark.png: dark 0.921569 would be decided otherwise" in done.stderr
    assert invoke(*args, "--filters", "dark,slow").exit_code == 2
    paint("photos/one-more.png", 9)
    done = invoke(*args, *DARK)
    assert done.exit_code == 2
    assert f"{report.name}.unfinished" in done.stderr
    report.write_bytes(before[:-1])
    assert invoke(*args, *DARK).exit_code == 2
    assert report.read_bytes() == before[:-1]


def test_lines_of_other_filters_or_regions_are_refused(invoke, interrupted, whole):
    report = interrupted()
    for args, said in [
        (("--filters", "dark,slow"), "line 1, photos/bright.png: it was judged by slow, too"),
        (("--filters", "slow"), "judged by slow, too"),
        ((*DARK, "--roi", "0,0,4,4"), "the ROI was [0, 0, 4, 4]"),
    ]:
        report.write_bytes(whole("jsonl", *args, "photos").read_bytes())
        done = invoke("scan", *DARK, "photos", "-o", report.name, "--resume")
        assert done.exit_code == 2
        assert said in done.stderr


def test_with_stop_early_lines_may_lack_filters(invoke, interrupted, whole):
    args = ("--filters", "slow,dark", "--stop-early", "photos")
    report = interrupted("jsonl", *args)
    assert invoke("scan", *args, "-o", report.name, "--resume").exit_code == 0
    assert read(report) == read(whole("jsonl", *args))


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "name it with --output"),
        (("-o", "-"), "name it with --output"),
        (("-o", "run.json"), "only jsonl and csv can"),
        (("-o", "run.jsonl", "-f", "table"), "only jsonl and csv can"),
        (("-o", os.devnull, "-f", "csv"), "it is no file"),
        (("-o", "photos", "-f", "csv"), "it is no file"),
    ],
)
def test_what_cannot_be_resumed_is_said(invoke, photos, args, said):
    done = invoke("scan", *DARK, "photos", "--resume", *args)
    assert done.exit_code == 2
    assert said in done.stderr


def test_the_same_command_does_not_replace_what_it_left_unfinished(invoke, interrupted, whole):
    report = interrupted()
    before = report.read_bytes()
    done = invoke("scan", *DARK, "photos", "-o", report.name)
    assert done.exit_code == 2
    assert "Add --resume" in done.stderr
    assert report.read_bytes() == before
    report.unlink()
    assert invoke("scan", *DARK, "photos", "-o", report.name).exit_code == 0
    assert read(report) == read(whole())


def test_another_command_replaces_what_was_left_unfinished(invoke, interrupted, whole):
    report = interrupted()
    other = ("--filters", "dark,slow", "photos")
    assert invoke("scan", *other, "-o", report.name).exit_code == 0
    assert read(report) == read(whole("jsonl", *other))
    assert not record_of(report).exists()


def test_a_report_in_another_form_leaves_no_record_behind(invoke, interrupted):
    report = interrupted()
    assert invoke("scan", *DARK, "photos", "-o", report.name, "-f", "json").exit_code == 0
    assert not record_of(report).exists()


def test_a_file_that_is_no_record_is_left_alone(invoke, photos, tmp_path):
    (tmp_path / "run.csv").touch()
    (tmp_path / "run.csv.unfinished").write_text("my novel")
    for more in ((), ("--resume",)):
        done = invoke("scan", *DARK, "photos", "-o", "run.csv", *more)
        assert done.exit_code == 2
        assert "Move it away" in done.stderr
    assert (tmp_path / "run.csv.unfinished").read_text() == "my novel"


def test_an_image_that_is_named_twice_has_as_many_lines_as_before(invoke, interrupted, whole):
    paths = ["photos/dark.png", "photos/bright.png", "photos/dark.png", "photos/dark.png"]
    report = interrupted("jsonl", *DARK, *paths)
    assert invoke("scan", *DARK, *paths, "-o", report.name, "--resume").exit_code == 0
    assert read(report) == read(whole("jsonl", *DARK, *paths))


def test_images_that_have_come_in_between_are_judged_too(invoke, interrupted, paint):
    report = interrupted()
    paint("photos/a-new-one.png", 200)
    assert invoke("scan", *DARK, "photos", "-o", report.name, "--resume").exit_code == 0
    assert len(read(report)) == 4


def test_a_folder_that_cannot_be_listed_has_its_line_once(invoke, interrupted, monkeypatch):
    really = os.scandir

    def scandir(path):
        if str(path).endswith("more"):
            raise PermissionError(13, "Permission denied", path)
        return really(path)

    monkeypatch.setattr(os, "scandir", scandir)
    paths = ("photos/more", "photos/dark.png", "photos/bright.png", "photos/dark.png")
    report = interrupted("csv", *DARK, *paths)
    assert invoke("scan", *DARK, *paths, "-o", report.name, "--resume").exit_code == 1
    assert Counter(row[0] for row in read(report)[1:]) == Counter(paths)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_no_file_name_is_taken_for_another(invoke, short, paint, tmp_path, form):
    names = [b"line\nbreak.png", b"caf\xe9.png", b'quote", comma.png', b"=1.png", b"-q.png"]
    names += [b"a.jpg,true,,,0.5,0.000001\nb.png", "🐈.png".encode(), b"caf\\udce9.png"]
    for name in names:
        paint(os.fsencode(tmp_path) + b"/" + name, 230)
    rest = [os.fsdecode(name) for name in names]
    args = ("scan", *DARK, "-f", form, "-o", "out", "--executor", "short")
    for _ in range(len(names) // 2):
        assert invoke(*args, "--resume", "--", *rest).exit_code == 3
    done = invoke(*args[:-2], "--resume", "--", *rest)
    assert done.exit_code == 0
    lines = (tmp_path / "out").read_bytes().decode()
    if form == "jsonl":
        there = [json.loads(line)["image"] for line in lines.splitlines()]
        assert there == rest
    else:
        assert len(list(csv.reader(io.StringIO(lines, newline="")))) == len(names) + 1


def test_a_name_that_holds_nul_makes_no_nul_in_csv(invoke, photos, tmp_path):
    invoke("scan", *DARK, "-", "-o", "out.csv", input=b"photos/dark.png\0photos/bright.png\0")
    assert b"\0" not in (tmp_path / "out.csv").read_bytes()


@given(st.lists(st.binary(max_size=2)), st.lists(st.binary(max_size=2)))
def test_each_line_stands_for_its_image_once(lines, images):
    done = Done()
    for line in lines:
        done.add(line)
    done.close()
    taken = Counter(image for image in images if done.take(image))
    assert taken == Counter(lines) & Counter(images)


def test_the_bar_shows_what_is_done_as_done():
    from qualipy.cli.progress import Bar

    (task,) = Bar(5)._progress.tasks
    assert task.completed == 5


def test_a_record_that_cannot_be_written_costs_a_warning(invoke, photos, monkeypatch):
    def refuse(source, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    done = invoke("scan", *DARK, "photos", "-o", "run.csv")
    assert done.exit_code == 0
    assert "run.csv.unfinished cannot be written: Permission denied" in done.stderr
    assert sorted(os.listdir()) == ["photos", "run.csv", "site"]


# From here on the program runs in a process of its own, and ends as processes do.


@pytest.fixture
def many(tmp_path, paint):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(80):
        paint(folder / f"{number:03}.png", number * 3)
    return folder


MANY = ("scan", "many", "--filters", "dark,slow", "--set", "slow.pause=0.01", "--fail-on", "never")


def wait_for_lines(path, count, process):
    deadline = time.monotonic() + 60
    while not (path.exists() and path.read_bytes().count(b"\n") >= count):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_run_that_is_killed_again_and_again_comes_to_its_end(program, many, tmp_path, form, jobs):
    report, undisturbed = tmp_path / f"killed.{form}", tmp_path / f"undisturbed.{form}"
    args = (*MANY, "--jobs", jobs, "--resume", "-o", report.name)
    for count in (1, 30):
        process = program.start(*args)
        wait_for_lines(report, count, process)
        time.sleep(random.uniform(0, 0.1))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        assert record_of(report).exists()
    done = program(*args)
    assert done.returncode == 0, done.stderr
    assert b" of them now, " in done.stderr
    program(*MANY, "-o", undisturbed.name)
    assert read(report) == read(undisturbed)
    assert not record_of(report).exists()


def test_a_signal_says_how_to_go_on(program, many, tmp_path):
    report = tmp_path / "run.csv"
    process = program.start(*MANY, "--jobs", "2", "-o", report.name)
    wait_for_lines(report, 10, process)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Results: run.csv. The same command with --resume goes on." in errors
    assert program(*MANY, "-o", report.name, "--resume").returncode == 0
    assert len(read(report)) == 81


def test_two_runs_do_not_write_the_same_file(program, many, tmp_path):
    pytest.importorskip("fcntl")
    report = tmp_path / "run.csv"
    slow = (*MANY, "--set", "slow.pause=2")
    process = program.start(*slow, "--jobs", "1", "-o", report.name)
    wait_for_lines(report, 2, process)
    for more in ((), ("--resume",), ("--roi", "0,0,4,4")):
        done = program(*slow, "-o", report.name, *more)
        assert done.returncode == 2
        assert b"run.csv is being written by another run" in done.stderr
    wait_for_lines(report, 3, process)  # it goes on
    os.killpg(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert b"with --resume goes on" in errors
    assert len(read(report)) > 2


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_full_disk_keeps_what_is_done(program, many, tmp_path, form):
    resource = pytest.importorskip("resource")
    report = tmp_path / f"run.{form}"

    def small_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    process = program.start(*MANY, "--jobs", "1", "-q", "-o", report.name, preexec_fn=small_disk)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 3
    assert b"run." in errors
    assert b"cannot be written" in errors
    assert b"Traceback" not in errors
    assert 1500 < report.stat().st_size <= 2000
    assert report.read_bytes().endswith(b"\n")
    assert program(*MANY, "-o", report.name, "--resume").returncode == 0
    assert len(read(report)) == 80 + (form == "csv")
