"""``qualipy evaluate``."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time

import pytest


@pytest.fixture
def labelled(tmp_path, paint):
    """Folders ``dark`` and ``bright`` with ten photos each, of which each holds a mistake."""
    for folder, levels in (("dark", [*range(10, 100, 10), 205]), ("bright", range(130, 230, 10))):
        (tmp_path / folder).mkdir()
        for level in levels:
            paint(tmp_path / folder / f"{level}.png", level)
    return tmp_path


FOLDERS = ("--positives", "dark", "--negatives", "bright")


def test_the_figures_are_told_with_their_intervals(invoke, labelled):
    result = invoke("evaluate", "dark", *FOLDERS, "-j", "1")
    assert result.exit_code == 0, result.output
    said = result.stdout
    assert "dark (demo-pack 1.2), positive when the prediction is > 0.5" in said
    assert "20 photos: 10 positive, 10 negative" in said
    for name in ("accuracy", "balanced accuracy", "precision", "recall", "F1", "ROC AUC"):
        (line,) = [line for line in said.splitlines() if line.startswith(f"{name} ")]
        value, low, high = map(float, re.findall(r"\d\.\d{3}", line))
        assert 0 <= low <= value <= high <= 1
    assert "Wilson" in said
    counts = {line.split()[0]: line.split()[1:] for line in said.splitlines() if "ive  " in line}
    assert counts == {"positive": ["9", "1"], "negative": ["0", "10"]}
    assert "20 photos in" in result.stderr


def test_the_best_threshold_is_told_with_what_it_gives(invoke, labelled):
    result = invoke("evaluate", "dark", *FOLDERS, "--threshold", "0.9")
    assert "positive when the prediction is > 0.9" in result.stdout
    assert "Best threshold: 0.6, balanced accuracy 0.950 (recall 0.900" in result.stdout
    assert "chosen on these very photos" in result.stdout
    in_use = invoke("evaluate", "dark", *FOLDERS, "--set", "threshold=0.6")
    assert "Best threshold: 0.6, the one in use." in in_use.stdout


def test_the_worst_mistakes_come_first_and_are_as_many_as_asked_for(invoke, labelled, paint):
    paint(labelled / "bright" / "5.png", 5)
    lines = invoke("evaluate", "dark", *FOLDERS).stdout.splitlines()
    at = lines.index("Worst mistakes")
    assert lines[at + 1].split() == ["false", "alarm", "0.9804", "bright/5.png"]
    assert lines[at + 2].split() == ["missed", "0.1961", "dark/205.png"]
    few = invoke("evaluate", "dark", *FOLDERS, "--worst", "1").stdout
    assert "Worst mistakes (1 of 2)" in few
    assert "dark/205.png" not in few


def test_no_mistakes_are_told_as_such(invoke, labelled):
    (labelled / "dark" / "205.png").unlink()
    assert "No mistakes." in invoke("evaluate", "dark", *FOLDERS).stdout


def test_photos_come_from_a_csv_file_and_are_told_by_column(invoke, labelled):
    rows = [f"dark/{n}.png,1,{'odd' if n % 20 else 'even'},all" for n in range(10, 100, 10)]
    rows += [f"bright/{n}.png,0,even,all" for n in range(130, 230, 10)]
    rows += ["dark/205.png,1,even,none"]
    (labelled / "labels.csv").write_text("\n".join(["path,label,parity,use", *rows]))
    args = ("--labels", "labels.csv", "--where", "use=all", "--by", "parity")
    result = invoke("evaluate", "dark", *args)
    assert result.exit_code == 0, result.output
    assert "19 photos: 9 positive, 10 negative" in result.stdout
    table = result.stdout.partition("\nparity ")[2].splitlines()[1:]
    assert [line.split()[:3] for line in table] == [["even", "4", "10"], ["odd", "5", "0"]]
    assert table[1].split()[3:6:2] == ["–", "(0.57"]


def test_groups_make_intervals_wider(invoke, labelled):
    for name, group in (("alone", "{n}"), ("together", "{half}")):
        rows = [f"dark/{n}.png,1,{group.format(n=n, half=n // 50)}" for n in range(10, 100, 10)]
        rows += [f"bright/{n}.png,0,{group.format(n=n, half=n // 50)}" for n in range(130, 230, 10)]
        (labelled / f"{name}.csv").write_text("\n".join(["path,label,group", *rows]))
    low = {}
    for name in ("alone", "together"):
        result = invoke("evaluate", "dark", "--labels", f"{name}.csv", "--json", f"{name}.json")
        figures = json.loads((labelled / f"{name}.json").read_text())["figures"]
        low[name] = figures["accuracy"]["low"]
    assert "in 5 groups" in result.stdout
    assert low["together"] < low["alone"]


def test_all_is_written_as_json(invoke, labelled):
    (labelled / "dark" / "broken.png").write_bytes(b"no photo")
    result = invoke("evaluate", "dark", *FOLDERS, "--json", "out.json")
    assert result.exit_code == 1
    plain = json.loads((labelled / "out.json").read_text())
    assert plain["filter"]["name"] == "dark"
    assert (plain["positives"], plain["negatives"], plain["failed"]) == (10, 10, 1)
    assert len(plain["photos"]) == 20
    assert plain["failures"][0]["image"] == "dark/broken.png"
    assert plain["best_threshold"]["value"] == 0.5
    assert plain["stopped"] is False


def test_pictures_are_drawn_into_a_new_folder(invoke, labelled):
    result = invoke("evaluate", "dark", *FOLDERS, "--plots", "deep/plots")
    assert result.exit_code == 0, result.output
    drawn = sorted(path.name for path in (labelled / "deep" / "plots").iterdir())
    assert drawn == ["mistakes.png", "roc.png", "threshold.png"]
    assert "Drawn: deep/plots/roc.png" in result.stderr


def test_without_matplotlib_plots_say_what_to_install_and_the_rest_works(
    invoke, labelled, monkeypatch
):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    result = invoke("evaluate", "dark", *FOLDERS, "--plots", "plots")
    assert result.exit_code == 3
    assert "pip install 'qualipy[plots]'" in result.stderr
    assert result.stdout == ""
    assert invoke("evaluate", "dark", *FOLDERS).exit_code == 0


def test_a_photo_that_cannot_be_read_costs_a_line_and_not_the_run(invoke, labelled):
    (labelled / "dark" / "broken.png").write_bytes(b"no photo")
    result = invoke("evaluate", "dark", *FOLDERS)
    assert result.exit_code == 1
    assert "20 photos: 10 positive, 10 negative; 1 more not judged" in result.stdout
    assert "dark/broken.png" in result.stdout.partition("Not judged\n")[2]


def test_a_filter_that_fails_on_every_photo_is_told_as_such(invoke, labelled):
    result = invoke("evaluate", "fails", *FOLDERS)
    assert result.exit_code == 1
    assert "0 photos: 0 positive, 0 negative; 20 more not judged" in result.stdout
    assert "boom" in result.stdout
    assert "\x1b" not in result.output


def test_photos_under_both_labels_are_left_out_and_told(invoke, labelled):
    shutil.copy(labelled / "dark" / "10.png", labelled / "bright" / "copy.png")
    result = invoke("evaluate", "dark", *FOLDERS)
    assert result.exit_code == 1
    assert "19 photos: 9 positive, 10 negative" in result.stdout
    assert "bright/copy.png stands under both labels, and is left out." in result.stderr
    assert "dark/10.png stands under both labels" in result.stderr
    same = invoke("evaluate", "dark", "--positives", "dark", "--negatives", "dark")
    assert same.exit_code == 2
    assert "Every photo stands under both labels" in same.stderr


def test_of_one_label_alone_what_can_be_told_is(invoke, labelled):
    result = invoke("evaluate", "dark", "--negatives", "bright", "--json", "out.json")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert any(line.startswith("specificity        1.000") for line in lines)
    assert any(line.split() == ["balanced", "accuracy", "–"] for line in lines)
    assert "photos of one label alone" in result.stdout
    assert "nan" not in (result.output + (labelled / "out.json").read_text()).lower()


def test_equal_predictions_have_no_best_threshold(invoke, labelled):
    result = invoke("evaluate", "chatty", *FOLDERS, "-j", "1")
    assert result.exit_code == 0
    assert "none is better than flagging every photo, or none" in result.stdout
    assert "ROC AUC            0.500" in result.stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("dark",), "No photos were given"),
        (("drak", *FOLDERS), "Did you mean 'dark'?"),
        (("dark", "--positives", "empty"), "No image found in empty"),
        (("dark", "--labels", "gone.csv"), "gone.csv cannot be read"),
        (("dark", *FOLDERS, "--set", "lvel=1"), "Did you mean 'level'?"),
        (("dark", *FOLDERS, "--set", "level"), "FILTER.PARAMETER=VALUE"),
        (("dark", *FOLDERS, "--set", "slow.pause=1"), "slow is not the filter of this run"),
        (("dark", *FOLDERS, "--threshold", "high"), "--threshold"),
        (("dark", *FOLDERS, "--threshold", "nan"), "threshold"),
        (("dark", *FOLDERS, "--by", "kind"), "columns come from a CSV file"),
        (("dark", *FOLDERS, "--where", "kind"), "COLUMN=VALUE"),
        (("dark", *FOLDERS, "--where", "kind=real"), "give its path"),
        (("dark", *FOLDERS, "--json", "dark/10.png"), "it is an image"),
        (("dark", *FOLDERS, "--json", "no/such/folder.json"), "no/such/folder.json"),
        (("dark", *FOLDERS, "--plots", "dark/10.png"), "--plots"),
        (("dark", *FOLDERS, "--plots", "dark/10.png/plots"), "cannot be made"),
        (("dark", "--positives", "-", "--negatives", "-"), "can be given once"),
    ],
)
def test_what_is_wrong_with_the_command_line_is_said(invoke, labelled, args, said):
    (labelled / "empty").mkdir()
    result = invoke("evaluate", *args)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert result.stdout == ""


def test_a_broken_filter_ends_the_run(invoke, labelled):
    result = invoke("evaluate", "broken", *FOLDERS)
    assert result.exit_code == 3
    assert "a_library_that_is_not_there" in result.stderr


def test_quiet_means_the_report_alone(invoke, labelled):
    shutil.copy(labelled / "dark" / "10.png", labelled / "bright" / "copy.png")
    result = invoke("evaluate", "dark", *FOLDERS, "-q", "--plots", "plots")
    assert result.stderr == ""
    assert "accuracy" in result.stdout


def test_a_list_comes_on_standard_input(invoke, labelled):
    listed = "".join(f"dark/{n}.png\n" for n in range(10, 60, 10))
    result = invoke("evaluate", "dark", "--positives", "-", "--negatives", "bright", input=listed)
    assert "15 photos: 5 positive, 10 negative" in result.stdout


# From here on the program runs in a process of its own.


def test_workers_change_nothing(program, labelled):
    told = {jobs: program("evaluate", "dark", *FOLDERS, "-q", "--jobs", jobs) for jobs in "123"}
    assert {done.returncode for done in told.values()} == {0}
    assert len({done.stdout for done in told.values()}) == 1


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_filters_print_does_not_get_into_the_report(program, labelled, jobs):
    done = program("evaluate", "chatty", *FOLDERS, "--jobs", jobs)
    assert b"noise" not in done.stdout
    assert b"noise on stdout" in done.stderr


COUNTING = """
    import time

    from qualipy_core import Filter


    class Counting(Filter):
        name = "counting"

        def measure(self, image):
            with open("seen", "a") as file:
                file.write(".")
            time.sleep(0.3)
            return 0.5
"""


def wait_for(path, size, process):
    deadline = time.monotonic() + 120
    while not (path.exists() and path.stat().st_size >= size):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_signal_keeps_what_is_done(program, labelled, jobs):
    points = {"qualipy.filters": {"counting": "demo_counting:Counting"}}
    program.site.install("counting-pack", "1", points, demo_counting=COUNTING)
    args = (*FOLDERS, "--json", "out.json", "--jobs", jobs)
    process = program.start("evaluate", "counting", *args)
    wait_for(labelled / "seen", 6, process)
    os.killpg(process.pid, signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert b"Traceback" not in errors
    plain = json.loads((labelled / "out.json").read_text())
    assert plain["stopped"] is True
    judged = plain["positives"] + plain["negatives"]
    assert 0 < judged < 20
    assert abs(plain["positives"] - plain["negatives"]) <= 1
    assert f"Stopped: {judged} of 20 photos were judged".encode() in errors
    assert b"accuracy" in said
