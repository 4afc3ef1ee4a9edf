"""``qualipy sort``."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from qualipy.cli.sort import Names

DARK = ("--filters", "dark")
INTO = ("--into", "kept", "dropped")


@pytest.fixture
def sort(invoke, photos):
    """Sort with the log ``log``."""

    def run(*args, **options):
        log = () if "--undo" in args or "--log" in args else ("--log", "log")
        return invoke("sort", *args, *log, **options)

    return run


def files(folder="."):
    """Every file below a folder but the packs and logs."""
    found = (str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())
    return sorted(name for name in found if not name.startswith(("site", "log", "qualipy-sort")))


PHOTOS = ["photos/bright.png", "photos/dark.png", "photos/more/night.png"]
SORTED = ["dropped/dark.png", "dropped/more/night.png", "kept/bright.png"]


def test_photos_are_copied_and_keep_their_path_below_the_folder(sort):
    done = sort("photos", *DARK, *INTO)
    assert done.exit_code == 0, done.output
    assert files() == sorted(PHOTOS + SORTED)
    assert done.stdout.splitlines() == [
        "kept     photos/bright.png -> kept/bright.png",
        "dropped  photos/dark.png -> dropped/dark.png  dark 0.92 > 0.5",
        "dropped  photos/more/night.png -> dropped/more/night.png  dark 0.98 > 0.5",
    ]
    assert "Copied: 1 to kept, 2 to dropped.\n`qualipy sort --undo log` takes it" in done.stderr


def test_photos_can_be_moved_and_everything_taken_back(sort):
    assert sort("photos", *DARK, *INTO, "--move").exit_code == 0
    assert files() == SORTED
    said = sort("--undo", "log", "--dry-run")
    assert files() == SORTED
    done = sort("--undo", "log")
    assert done.exit_code == 0
    assert done.stdout == said.stdout
    assert done.stdout.splitlines()[0] == "back     kept/bright.png -> photos/bright.png"
    assert "Back: 3. Removed: 0." in done.stderr
    assert files() == PHOTOS
    assert not os.path.exists("kept")


def test_a_dry_run_says_what_would_be_done_and_does_nothing(sort):
    dry = sort("photos", *DARK, *INTO, "-n")
    assert files() == PHOTOS
    assert sorted(os.listdir()) == ["photos", "site"]
    assert "Nothing of this was done: --dry-run." in dry.stderr
    assert sort("photos", *DARK, *INTO).stdout == dry.stdout


def test_links_are_the_same_files(sort):
    sort("photos", *DARK, *INTO, "--link")
    assert os.path.samefile("photos/dark.png", "dropped/dark.png")


def test_folders_below_the_photos_are_not_sorted_themselves(sort):
    into = ("--into", "photos/kept", "photos/dropped")
    assert sort("photos", *DARK, *into, "--move").exit_code == 0
    assert files("photos") == SORTED
    done = sort("photos", *DARK, *into, "--move", "--log", "log2")
    assert done.exit_code == 2
    assert "No image found" in done.stderr
    assert not os.path.exists("log2")
    for inside in ("photos/kept", "photos/dropped/more"):
        done = sort(inside, *DARK, *into, "--log", "log2")
        assert done.exit_code == 2
        assert "it lies in that folder" in done.stderr
    assert files("photos") == SORTED


def test_a_photo_that_cannot_be_judged_is_left_or_goes_to_a_folder_of_its_own(sort):
    Path("photos/broken.png").touch()
    done = sort("photos", *DARK, *INTO, "--move")
    assert done.exit_code == 1
    assert "left     photos/broken.png  is empty" in done.stdout
    assert "Left: 1." in done.stderr
    assert files("photos") == ["broken.png"]
    done = sort("photos", *DARK, *INTO, "--move", "--errors", "errors", "--log", "log2")
    assert done.exit_code == 0
    assert files("errors") == ["broken.png"]


def test_nothing_is_replaced(sort):
    os.mkdir("dropped")
    Path("dropped/dark.png").write_text("mine")
    done = sort("photos", *DARK, *INTO, "--move")
    assert done.exit_code == 1
    assert "left     photos/dark.png  another file is dropped/dark.png" in done.stdout
    assert Path("dropped/dark.png").read_text() == "mine"
    assert files("photos") == ["dark.png"]


def test_the_same_command_again_finds_it_done(sort):
    sort("photos", *DARK, *INTO)
    done = sort("photos", *DARK, *INTO, "--log", "log2")
    assert done.exit_code == 0
    assert "There already: 3." in done.stderr
    assert not os.path.exists("log2")


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize("paths", [(), ("photos",), ("./photos/../photos/",)])
def test_results_of_an_earlier_run_are_as_good(invoke, sort, form, paths):
    invoke("scan", "photos", *DARK, "-o", f"run.{form}")
    done = sort(*paths, "--results", f"run.{form}", *INTO, "--move")
    assert done.exit_code == 0, done.output
    os.unlink(f"run.{form}")
    assert files() == SORTED


def test_of_results_only_what_is_named_is_sorted(invoke, sort):
    invoke("scan", "photos", *DARK, "-o", "run.jsonl")
    sort("photos/more", "--results", "run.jsonl", *INTO)
    assert files("dropped") == ["night.png"]
    assert not files("kept")


def test_after_moving_results_find_everything_there(invoke, sort):
    invoke("scan", "photos", *DARK, "-o", "run.jsonl")
    sort("--results", "run.jsonl", *INTO, "--move")
    done = sort("--results", "run.jsonl", *INTO, "--move", "--log", "log2")
    assert done.exit_code == 0
    assert "There already: 3." in done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("photos",), "--into"),
        (INTO, "PATH"),
        (("photos", *INTO, "--results", "x.jsonl", *DARK), "leave out --filters"),
        (("photos", *INTO, "--results", "gone.jsonl"), "gone.jsonl cannot be read"),
        (("-", *INTO, "--results", "gone.jsonl"), "instead of a list"),
        (("photos", "--into", "kept", "kept"), "one folder"),
        (("photos", *DARK, "--into", "photos", "dropped"), "it lies in that folder"),
        (("photos", *INTO, "--undo", "log"), "--undo LOG says all"),
        (("--undo", "gone"), "gone cannot be read"),
        (("--undo", "photos/dark.png"), "is no log of a sort"),
        (("photos", *DARK, *INTO, "--log", "photos/dark.png"), "an earlier sort may need"),
        (("photos", *INTO, "--filters", "drak"), "Did you mean 'dark'?"),
        (("nothing/*.jpg", *DARK, "--into", "kept", "photos"), None),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_done(sort, args, said):
    before = files()
    done = sort(*args)
    if said is not None:
        assert done.exit_code == 2
        assert said in done.stderr
    assert files() == before


def test_a_folder_that_cannot_be_made_is_said(sort):
    Path("kept").touch()
    done = sort("photos", *DARK, *INTO)
    assert done.exit_code == 3
    assert "kept" in done.stderr
    assert files() == ["kept", *PHOTOS]


def test_the_log_has_a_name_of_its_own(invoke, photos):
    done = [invoke("sort", "photos", *DARK, "--into", f"kept{n}", f"dropped{n}") for n in range(3)]
    logs = sorted(Path().glob("qualipy-sort-*.jsonl"))
    assert len(logs) == 3
    assert all(any(str(log) in each.stderr for log in logs) for each in done)


def test_names_are_below_what_was_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("a/b", "c", "a[1]"):
        os.makedirs(folder)
    Path("c/single.jpg").touch()
    names = Names(["a", "a/b", "c/single.jpg", "d/**/*.jpg", "a[1]", "-"])
    for image, name in {
        "a/x.jpg": "x.jpg",
        "a/b/y/x.jpg": "y/x.jpg",
        os.path.abspath("a/x.jpg"): "x.jpg",
        "c/single.jpg": "single.jpg",
        "d/e/x.jpg": "e/x.jpg",
        "a[1]/x.jpg": "x.jpg",
        "f/x.jpg": "f/x.jpg",
        "./f/../g/x.jpg": "g/x.jpg",
        "/h/x.jpg": "h/x.jpg",
        "../x.jpg": str(tmp_path.parent / "x.jpg")[1:],
    }.items():
        assert names(image) == name


def test_the_names_of_a_list_are_kept_whole(sort):
    sort("-", *DARK, *INTO, input=b"photos/dark.png\nphotos/more\n")
    assert files("dropped") == ["photos/dark.png", "photos/more/night.png"]


# From here on the program runs in a process of its own, and ends as processes do.


@pytest.fixture
def many(tmp_path, paint):
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for number in range(60):
        paint(folder / ("more" if number % 2 else ".") / f"{number:03}.png", number * 4)
    return {path.name: path.read_bytes() for path in folder.rglob("*.png")}


def there(*folders):
    """What lies in the folders under the names of photos: each as a whole."""
    return [(p.name, p.read_bytes()) for folder in folders for p in Path(folder).rglob("[!.]*.png")]


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("action", ["--move", "--copy"])
def test_killed_again_and_again_it_loses_no_photo_and_comes_to_its_end(
    program, many, tmp_path, action, jobs, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    args = ["sort", "photos", *DARK, *INTO, "--jobs", jobs]
    if action == "--move":
        args.append(action)
    for number in range(4):
        process = program.start(*args, "--log", f"log{number}")
        deadline = time.monotonic() + 60
        while process.poll() is None and len(there("kept", "dropped")) < 12 * (number + 1):
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.01))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        found = there("photos", "kept", "dropped")
        assert {name for name, _ in found} == many.keys()
        assert all(content == many[name] for name, content in found)
    done = program(*args, "--log", "last")
    assert done.returncode in (0, 1), done.stderr  # 1: a photo is in both places
    assert dict(there("kept", "dropped")) == many
    for log in ("last", "log3", "log2", "log1", "log0"):
        if (tmp_path / log).exists():
            assert program("sort", "--undo", log).returncode == 0
    assert dict(there("photos")) == many
    assert not there("kept", "dropped")


def test_ctrl_c_ends_it_between_two_photos(program, many, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    slow = ("--filters", "slow", "--jobs", "1")
    process = program.start("sort", "photos", *slow, *INTO, "--move", "--log", "log")
    for _ in range(5):
        process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"`qualipy sort --undo log` takes it back" in errors
    assert 5 <= len(there("kept")) < 60
    assert dict(there("photos", "kept")) == many
    assert program("sort", "--undo", "log").returncode == 0
    assert dict(there("photos")) == many


def test_a_full_disk_ends_it_and_keeps_the_photos(program, many, tmp_path, monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.chdir(tmp_path)

    def small_disk():  # of which the log is the first to notice
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

    args = ("sort", "photos", *DARK, *INTO, "--move", "-j", "1", "--log", "log")
    process = program.start(*args, preexec_fn=small_disk)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 3, errors
    assert b"is left where it is: log: File too large" in errors
    assert b"Traceback" not in errors
    assert dict(there("photos", "kept", "dropped")) == many
    assert program("sort", "--undo", "log").returncode == 0
    assert dict(there("photos")) == many
