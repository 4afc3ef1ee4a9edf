"""``qualipy scan``."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from qualipy.cli.selection import parse_settings


def lines(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_folder_is_judged_and_summed_up(invoke, photos):
    result = invoke("scan", "photos", "--filters", "dark")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "suitable  photos/bright.png",
        "flagged   photos/dark.png  dark 0.92 > 0.5",
        "flagged   photos/more/night.png  dark 0.98 > 0.5",
    ]
    assert "3 photos in " in result.stderr
    assert "flagged   2\n    dark  2" in result.stderr
    assert "\x1b" not in result.output


def test_without_names_every_filter_that_works_is_run(invoke, photos):
    result = invoke("scan", photos / "dark.png", "--format", "jsonl")
    assert result.stderr.count("warning: left out: 'broken' of demo-pack 1.2") == 1
    (line,) = lines(result)
    assert line["predictions"].keys() == {"dark", "slow", "chatty"}
    assert line["failures"].keys() == {"fails"}
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("filters", "fail_on", "code"),
    [
        ("dark", "error", 0),
        ("dark", "flagged", 1),
        ("dark", "any", 1),
        ("dark", "never", 0),
        ("slow", "flagged", 0),
        ("slow", "any", 0),
        ("fails", "error", 1),
        ("fails", "flagged", 0),
        ("fails", "any", 1),
        ("fails", "never", 0),
        ("dark,fails", "error", 1),
    ],
)
def test_the_exit_status_tells_what_it_is_asked_about(invoke, photos, filters, fail_on, code):
    args = ("scan", photos / "dark.png", "--filters", filters, "--fail-on", fail_on, "-q")
    assert invoke(*args).exit_code == code


def test_a_missing_file_costs_a_line_and_not_the_run(invoke, photos):
    result = invoke("scan", "gone.jpg", "photos/bright.png", "--filters", "dark")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "error     gone.jpg  cannot be opened: No such file or directory",
        "suitable  photos/bright.png",
    ]


def test_no_image_at_all_is_a_usage_error(invoke, tmp_path):
    (tmp_path / "empty").mkdir()
    result = invoke("scan", "empty", "--filters", "dark", "-o", "results.csv")
    assert result.exit_code == 2
    assert "No image found in empty" in result.stderr
    assert not (tmp_path / "results.csv").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--filters", "drak"), "Did you mean 'dark'?"),
        (("--filters", " , "), "no filter is named"),
        (("--filters", "dark", "--set", "dark.treshold=1"), "Did you mean 'threshold'?"),
        (("--filters", "dark", "--set", "dark.threshold=high"), "dark.threshold should be a valid"),
        (("--filters", "dark", "--set", "dark.threshold=NaN"), "dark.threshold should be a valid"),
        (("--filters", "dark", "--set", "slow.pause=1"), "slow is not among the filters"),
        (("--set", "drak.level=1"), "Did you mean 'dark'?"),
        (("--set", "level=1"), "FILTER.PARAMETER=VALUE"),
        (("--set", "dark.level"), "FILTER.PARAMETER=VALUE"),
        (("--filters", "dark", "--roi", "1,2,3"), "--roi"),
        (("--filters", "dark", "--roi", "1,2,x,4"), "50,50,200,200"),
        (("--filters", "dark", "--roi", "0,0,0,4"), "empty"),
        (("--executor", "celry"), "Unknown executor 'celry'"),
        (("--jobs", "0"), "--jobs"),
        (("--filters", "dark", "-o", "no/such/folder.csv"), "no/such/folder.csv"),
    ],
)
def test_what_is_wrong_with_the_command_line_is_said(invoke, photos, args, said):
    result = invoke("scan", "photos", *args)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_a_broken_filter_that_is_asked_for_ends_the_run(invoke, photos):
    result = invoke("scan", "photos", "--filters", "broken")
    assert result.exit_code == 3
    assert "demo-pack 1.2" in result.stderr
    assert "a_library_that_is_not_there" in result.stderr


def test_values_are_json_or_else_text():
    settings = ["a.x=0.5", "a.y=true", "b.z=a text", 'b.t="7"', "d:c.q=null", "c.p=a=b.c"]
    assert parse_settings(settings) == {
        "a": {"x": 0.5, "y": True},
        "b": {"z": "a text", "t": "7"},
        "d:c": {"q": None},
        "c": {"p": "a=b.c"},
    }


def test_parameters_are_set(invoke, photos):
    args = ("--filters", "dark", "--set", "dark.threshold=0.95", "--set", "dark.comparison=>=")
    result = invoke("scan", "photos", *args, "-f", "jsonl")
    assert [line["suitable"] for line in lines(result)] == [True, True, False]


def test_a_filter_may_be_named_with_its_distribution(invoke, photos):
    args = ("--filters", "demo-pack:dark", "--set", "demo-pack:dark.threshold=0.95")
    result = invoke("scan", "photos/dark.png", *args, "-f", "jsonl")
    assert lines(result)[0]["suitable"]


def test_a_region_is_judged(invoke, photos):
    args = ("--filters", "dark", "--roi", "4,4,8,8", "-f", "jsonl")
    assert [line["ROI"] for line in lines(invoke("scan", "photos", *args))] == [[4, 4, 8, 8]] * 3
    result = invoke("scan", "photos", "--filters", "dark", "--roi", "0,0,9999,8", "-f", "jsonl")
    assert {line["error"]["type"] for line in lines(result)} == {"ROIValueError"}


def test_other_filters_are_left_out_once_one_is_positive(invoke, photos):
    result = invoke("scan", "photos", "--filters", "slow,dark", "--stop-early", "-f", "jsonl")
    assert [set(line["predictions"]) for line in lines(result)] == [
        {"dark", "slow"},
        {"dark"},
        {"dark"},
    ]


def test_the_columns_of_csv_are_in_the_order_asked_for(invoke, photos):
    result = invoke("scan", "photos", "--filters", "slow,dark,fails", "-f", "csv")
    rows = list(csv.reader(io.StringIO(result.stdout, newline="")))
    columns = ["image", "suitable", "flagged", "error", "slow", "dark", "fails", "seconds"]
    assert rows[0] == columns
    assert len(rows) == 4


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "table"])
def test_a_file_takes_the_report_and_stdout_the_table(invoke, photos, tmp_path, form):
    plain = invoke("scan", "photos", "--filters", "dark", "-f", form).stdout
    result = invoke("scan", "photos", "--filters", "dark", "-f", form, "-o", "report")
    assert result.stdout == invoke("scan", "photos", "--filters", "dark").stdout
    assert "3 photos in" in result.stderr
    assert "Results: report" in result.stderr
    written = (tmp_path / "report").read_text()
    assert len(written.splitlines()) == len(plain.splitlines())
    assert written.splitlines()[0][:20] == plain.splitlines()[0][:20]


def test_quiet_and_a_file_leave_nothing_to_say(invoke, photos, tmp_path):
    result = invoke("scan", "photos", "--filters", "dark", "-q", "-o", "report.csv")
    assert result.stdout == result.stderr == ""
    assert len((tmp_path / "report.csv").read_text().splitlines()) == 4


def test_quiet_means_the_report_alone(invoke, photos):
    result = invoke("scan", "photos", "--filters", "dark", "-q")
    assert result.stderr == ""
    assert len(result.stdout.splitlines()) == 3


def test_an_executor_of_a_pack_is_used(invoke, hooks, photos):
    result = invoke("scan", "photos", "--filters", "dark", "--executor", "backwards", "-f", "jsonl")
    assert [line["suitable"] for line in lines(result)] == [True, False, False]


def test_a_folder_that_cannot_be_listed_costs_a_line(invoke, photos, monkeypatch):
    really = os.scandir

    def scandir(path):
        if str(path).endswith("more"):
            raise PermissionError(13, "Permission denied", path)
        return really(path)

    monkeypatch.setattr(os, "scandir", scandir)
    result = invoke("scan", "photos", "--filters", "dark")
    assert result.exit_code == 1
    assert "error     photos/more  cannot be listed: Permission denied" in result.stdout
    assert "3 photos" in result.stderr


# From here on the program runs in a process of its own.


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_workers_change_nothing(program, photos, jobs):
    done = program("scan", "photos", "--filters", "dark", "-f", "jsonl", "--jobs", jobs)
    assert done.returncode == 0
    assert [json.loads(line)["suitable"] for line in done.stdout.splitlines()] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_filters_print_does_not_get_into_the_results(program, photos, jobs):
    done = program("scan", "photos", "--filters", "chatty", "-f", "json", "--jobs", jobs)
    assert len(json.loads(done.stdout)) == 3
    assert b"noise on stdout" in done.stderr


def test_lists_come_on_standard_input(program, photos):
    listed = b"photos/dark.png\nphotos/more\n\n"
    done = program("scan", "-", "--filters", "dark", "-q", stdin=listed)
    assert done.stdout.count(b"flagged") == 2
    done = program("scan", "-0", "-", "--filters", "dark", "-q", stdin=listed.replace(b"\n", b"\0"))
    assert done.stdout.count(b"flagged") == 2


NASTY = (
    b"line\nbreak.png",
    b"\x1b[31mred\x07.png",
    b"caf\xe9.png",
    "🐈 [bold red]cat :smile:.png".encode(),
    b'quote", comma.png',
    b"=1+1.png",
    b"-q.png",
)


@pytest.fixture
def nasty(tmp_path, paint):
    folder = tmp_path / "nasty"
    folder.mkdir()
    for name in NASTY:
        paint(os.fsencode(folder) + b"/" + name, 230)
    return folder


def test_no_file_name_breaks_a_table(program, nasty):
    for locale in ("C.UTF-8", "POSIX"):
        done = program("scan", "nasty", "--filters", "dark", LC_ALL=locale)
        assert done.returncode == 0
        shown = done.stdout.decode()
        assert len(shown.splitlines()) == len(NASTY)
        assert "\x1b" not in shown
        assert "suitable  nasty/caf\\xe9.png\n" in shown
        assert "nasty/🐈 [bold red]cat :smile:.png\n" in shown


def test_json_gives_every_file_name_back(program, nasty):
    done = program("scan", "nasty", "--filters", "dark", "-f", "jsonl", "-q")
    images = [json.loads(line)["image"] for line in done.stdout.splitlines()]
    assert {os.fsencode(image) for image in images} == {b"nasty/" + name for name in NASTY}


def test_names_that_look_like_options_or_formulas_are_paths(program, nasty):
    done = program("scan", "-f", "csv", "-q", "--filters", "dark", "--", "-q.png", "=1+1.png")
    rows = list(csv.reader(io.StringIO(done.stdout.decode(), newline="")))
    assert [row[0] for row in rows[1:]] == ["./-q.png", "./=1+1.png"]


def test_a_reader_that_leaves_ends_the_run_quietly(program, photos, paint, tmp_path):
    for number in range(200):
        paint(tmp_path / "photos" / f"{number:03}.png", 100)
    args = ("scan", "photos", "--filters", "slow", "--jobs", "1", "-f", "jsonl")
    process = program.start(*args)
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 141
    assert b"Traceback" not in errors
    assert b"Exception ignored" not in errors


def test_a_full_disk_is_said(program, photos):
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    done = program("scan", "photos", "--filters", "dark", "-o", "/dev/full")
    assert done.returncode == 3
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.fixture
def many(tmp_path, paint):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(400):
        paint(folder / f"{number:03}.png", 100)
    return folder


def wait_for_lines(path, count, process):
    if path.suffix == ".json":  # no file of that name before it is whole
        path = path.with_name(f"{path.name}.part")
    deadline = time.monotonic() + 60
    while not (path.exists() and len(path.read_bytes().splitlines()) >= count):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_what_is_done(program, many, tmp_path, jobs, number, code):
    report = tmp_path / "report.json"
    args = ("scan", "many", "--filters", "slow", "--jobs", jobs, "-o", report)
    process = program.start(*args)
    wait_for_lines(report, 10, process)
    # A terminal sends Ctrl-C to the whole job; others send signals to the one process.
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert b"Traceback" not in errors
    results = json.loads(report.read_bytes())
    assert 9 <= len(results) < 400
    assert f"Stopped: {len(results)} photos".encode() in errors


def wait_for_children(process):
    """Wait until a process has begun to start others."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None and not children.read_text():
        time.sleep(0.005)


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.2, 0.4, 0.8, 1.6])
def test_an_early_interrupt_shows_no_traceback_of_a_worker(program, many, delay):
    process = program.start("scan", "many", "--filters", "slow", "--jobs", "2")
    wait_for_children(process)  # not while Python itself is starting
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in errors


def test_a_second_interrupt_does_not_wait(program, many, tmp_path):
    report = tmp_path / "report.json"
    setting = ("--set", "slow.pause=0.7")
    args = ("scan", "many", "--filters", "slow", *setting, "--jobs", "2", "-o", report)
    process = program.start(*args)
    wait_for_lines(report, 2, process)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.2)
    before = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - before < 5
    assert process.returncode == 130
    assert b"Traceback" not in errors
    assert len(json.loads(report.read_bytes())) >= 1


def test_interrupts_to_the_very_end_do_not_change_the_exit_status(program, many):
    process = program.start("scan", "many", "--filters", "slow", "--jobs", "2")
    assert process.stdout.readline()
    os.kill(process.pid, signal.SIGINT)
    assert process.stderr.readline().startswith(b"Stopping")
    assert process.stderr.readline().startswith(b"Stopped: ")
    while process.poll() is None:
        os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in errors


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_signal_that_is_ignored_for_it_stays_ignored(program, many, jobs):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        quick = ("--filters", "slow", "--set", "slow.pause=0.005")
        process = program.start("scan", "many", *quick, "--jobs", jobs)
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert b"Stopp" not in errors


def test_an_interrupt_is_heard_while_a_list_is_awaited(program, photos):
    process = program.start("scan", "-", "--filters", "dark", "--jobs", "1", stdin=subprocess.PIPE)
    process.stdin.write(b"photos/dark.png\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"flagged   photos/dark.png  dark 0.92 > 0.5\n"
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Stopped: 1 photo in" in errors


def test_a_terminal_shows_colours_a_bar_and_the_summary(in_terminal, many, nasty):
    code, written = in_terminal("scan", "many", "nasty", "--filters", "dark,slow")
    assert code == 0
    assert "photos/s" in written
    assert "\x1b[" in written
    assert "/407" in written  # the bar has found out how many there are
    assert "\x1b[31mred" not in written  # no file name's own escape sequence
    assert "\\x1b[31mred\\x07.png" in written
    assert "407 photos in" in written


def test_no_color_is_respected(in_terminal, photos):
    _, written = in_terminal("scan", "photos", "--filters", "dark", NO_COLOR="1")
    assert "\x1b[3" not in written
    assert "flagged   photos/dark.png  dark 0.92 > 0.5" in written


def test_a_dumb_terminal_gets_plain_lines(in_terminal, photos):
    _, written = in_terminal("scan", "photos", "--filters", "dark", TERM="dumb")
    assert "\x1b" not in written


def test_csv_on_a_terminal_holds_no_escape_sequence_of_a_file_name(in_terminal, nasty):
    _, written = in_terminal("scan", "nasty", "--filters", "dark", "-f", "csv", "-q")
    assert "\x1b" not in written


def test_the_report_never_replaces_a_photo(invoke, photos):
    before = (photos / "dark.png").read_bytes()
    result = invoke("scan", "--filters", "dark", "-o", "photos/dark.png", "photos/bright.png")
    assert result.exit_code == 2
    assert "it is an image" in result.stderr
    assert (photos / "dark.png").read_bytes() == before


def test_an_empty_list_is_told_as_such(invoke):
    result = invoke("scan", "-", "--filters", "dark", input=b"")
    assert result.exit_code == 2
    assert "list of images on standard input is empty" in result.stderr


def test_what_a_pack_prints_on_import_stays_out_of_the_report(program, photos, site):
    site.install("loud", "1", {"qualipy.filters": {"loud": "loud_pack:Loud"}})
    (site.path / "loud_pack.py").write_text(
        "import os\nfrom qualipy_core import Filter\nprint('hello')\nos.system('echo hello')\n"
        "class Loud(Filter):\n    '''Loud.'''\n    name = 'loud'\n"
        "    def measure(self, image):\n        return 0.0\n"
    )
    for arguments in (
        ["scan", "photos", "-f", "json"],
        ["filters", "--json"],
        ["plugins", "--json"],
    ):
        done = program(*arguments)
        json.loads(done.stdout)
        assert b"hello" in done.stderr
