"""Sorting photos into folders: nothing is replaced, nothing is lost, and it can be taken back."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from qualipy import transfer
from qualipy.sorting import Sorter, undo
from qualipy.sortlog import NOTE
from qualipy_core import Result
from qualipy_core.errors import ImageReadError, SortError

GOOD, BAD, BROKEN = "good.jpg", "bad.jpg", "broken.jpg"
ACTIONS = ("copy", "link", "move")


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder with three files, as current folder's ``photos``."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in (GOOD, BAD, BROKEN):
        (folder / name).write_bytes(name.encode() * 1000)
    return folder


def result(name, folder="photos"):
    image = os.path.join(folder, name)
    if name == BROKEN:
        return Result(image, error=ImageReadError(f"{image} is empty.", image=image))
    return Result(image, {"f": 0.7}, {"f": name == BAD})


def place(names=(GOOD, BAD, BROKEN), *, into=("kept", "dropped"), log="log.jsonl", **options):
    with Sorter(*into, log=log, **options) as sorter:
        return [sorter.place(result(name)) for name in names]


def tree(folder="."):
    """Every file below a folder, with its content."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file() and not path.name.startswith("log")
    }


@pytest.mark.parametrize("action", ACTIONS)
def test_photos_go_where_their_results_say(photos, action):
    before = tree()
    placed = place(action=action)
    assert [(each.folder, each.status) for each in placed] == [
        ("kept", "put"),
        ("dropped", "put"),
        ("errors", "left"),
    ]
    after = tree()
    assert after.pop(f"kept/{GOOD}") == before[f"photos/{GOOD}"]
    assert after.pop(f"dropped/{BAD}") == before[f"photos/{BAD}"]
    assert after == (
        {f"photos/{BROKEN}": before[f"photos/{BROKEN}"]} if action == "move" else before
    )


def test_photos_that_could_not_be_judged_go_to_a_folder_of_their_own_if_there_is_one(photos):
    place(errors="errors", action="move")
    assert sorted(tree()) == [f"dropped/{BAD}", f"errors/{BROKEN}", f"kept/{GOOD}"]


@pytest.mark.parametrize("action", ACTIONS)
def test_what_was_done_can_be_taken_back_and_again(photos, action):
    before = tree()
    place(action=action)
    undone = list(undo("log.jsonl"))
    assert {each.status for each in undone} == {"back" if action == "move" else "removed"}
    assert tree() == before
    assert sorted(os.listdir()) == ["log.jsonl", "photos"]
    assert {each.status for each in undo("log.jsonl")} == {"done"}
    assert tree() == before


@pytest.mark.parametrize("action", ACTIONS)
def test_a_dry_run_changes_nothing_and_says_the_same(photos, action):
    before = tree()
    said = place(action=action, dry_run=True)
    assert os.listdir() == ["photos"]
    assert tree() == before
    assert place(action=action) == said
    before = tree()
    list(undo("log.jsonl", dry_run=True))
    assert tree() == before


def stopped_after(name, **options):
    with Sorter("kept", "dropped", **options) as sorter:
        sorter.place(result(name))
        raise KeyboardInterrupt


def unfinished(name, log="first.jsonl"):
    with Sorter("kept", "dropped", action="move", log=log) as sorter:
        assert sorter.place(result(name)).status == "put"
        sorter.ended_early = True


def test_what_a_sort_that_ended_early_has_moved_is_known_until_one_has_come_to_its_end(photos):
    unfinished(GOOD)
    assert os.path.exists(f"kept/{NOTE}")
    was, now = os.path.abspath(f"photos/{GOOD}"), os.path.abspath(f"kept/{GOOD}")
    dry = Sorter("kept", "dropped", action="move", dry_run=True)
    assert dry.go_on(lambda path: path == was) == {was: now}
    with dry:
        assert [dry.place(result(name)).status for name in (GOOD, BAD)] == ["there", "put"]
    with pytest.raises(KeyboardInterrupt):
        stopped_after(BAD, action="move", log="2")
    last = Sorter("kept", "dropped", action="move", log="3")
    assert last.go_on(lambda path: path.startswith(str(photos))).keys() == {
        was,
        os.path.abspath(f"photos/{BAD}"),
    }
    with last:
        assert [last.place(result(name)).status for name in (GOOD, BAD)] == ["there", "there"]
    assert not os.path.exists(f"kept/{NOTE}")
    assert Sorter("kept", "dropped", action="move").go_on(bool) == {}


def test_a_sort_of_other_photos_does_not_end_one_that_ended_early(photos):
    unfinished(GOOD)
    other = Sorter("kept", "dropped", action="move", log="other.jsonl")
    other.go_on(lambda path: path.endswith(BAD))
    with other:
        other.place(result(BAD))
    (was,) = Sorter("kept", "dropped", action="move").go_on(bool)
    assert was == os.path.abspath(f"photos/{GOOD}")


def test_what_was_moved_elsewhere_than_it_belongs_now_is_left_there(photos):
    unfinished(BAD)
    again = Sorter("kept", "other", action="move", log="second.jsonl")
    again.go_on(bool)
    with again:
        placed = again.place(result(BAD))
    assert (placed.status, placed.reason) == (
        "left",
        f"an earlier sort has moved it to {os.path.abspath(f'dropped/{BAD}')}",
    )
    assert os.path.exists(f"dropped/{BAD}")


def test_taking_a_sort_back_that_ended_early_leaves_no_trace_of_it(photos):
    before = tree()
    unfinished(GOOD)
    list(undo("first.jsonl", dry_run=True))
    assert os.path.exists(f"kept/{NOTE}")
    assert [each.status for each in undo("first.jsonl")] == ["back"]
    assert tree() == before | {"first.jsonl": Path("first.jsonl").read_bytes()}
    assert not os.path.exists("kept")


def test_a_note_that_names_no_log_any_more_says_nothing(photos):
    unfinished(GOOD)
    os.unlink("first.jsonl")
    assert Sorter("kept", "dropped", action="move").go_on(bool) == {}


@pytest.mark.parametrize("action", ["copy", "link"])
def test_a_sort_that_leaves_photos_where_they_are_needs_no_note(photos, action):
    with pytest.raises(KeyboardInterrupt):
        stopped_after(GOOD, action=action, log="l")
    assert os.listdir("kept") == [GOOD]


def test_a_copy_keeps_times_and_permissions(photos):
    os.utime(photos / GOOD, (1e9, 1e9))
    os.chmod(photos / GOOD, 0o440)
    place([GOOD])
    status = os.stat(f"kept/{GOOD}")
    assert status.st_mtime == 1e9
    assert stat.S_IMODE(status.st_mode) == 0o440


def test_a_link_is_the_same_file(photos):
    place([GOOD], action="link")
    assert os.path.samefile(photos / GOOD, f"kept/{GOOD}")
    assert not os.path.islink(f"kept/{GOOD}")


@pytest.mark.parametrize("action", ACTIONS)
def test_another_file_of_that_name_stays_and_so_does_the_photo(photos, action):
    os.mkdir("kept")
    Path("kept", GOOD).write_bytes(b"mine")
    before = tree()
    (placed,) = place([GOOD], action=action)
    assert placed.status == "left"
    assert placed.reason == f"another file is kept/{GOOD}"
    assert tree() == before
    assert not os.path.exists("log.jsonl")


@pytest.mark.parametrize("action", ACTIONS)
def test_a_dangling_link_or_a_folder_of_that_name_counts_as_well(photos, action):
    os.makedirs(f"kept/{GOOD}")
    os.mkdir("dropped")
    os.symlink("nowhere", f"dropped/{BAD}")
    assert {each.status for each in place([GOOD, BAD], action=action)} == {"left"}
    assert os.readlink(f"dropped/{BAD}") == "nowhere"


@pytest.mark.parametrize(
    ("action", "status"), [("copy", "there"), ("link", "there"), ("move", "left")]
)
def test_an_equal_file_of_that_name_is_no_reason_to_do_it_again(photos, action, status):
    os.mkdir("kept")
    shutil.copy(photos / GOOD, "kept")
    (placed,) = place([GOOD], action=action)
    assert placed.status == status
    assert (photos / GOOD).exists()


@pytest.mark.parametrize("action", ACTIONS)
def test_the_same_again_finds_everything_there(photos, action):
    place([GOOD, BAD], action=action)
    assert {each.status for each in place([GOOD, BAD], action=action, log="log2")} == {"there"}


def test_two_photos_of_one_name_do_not_replace_each_other(photos):
    os.mkdir("other")
    Path("other", GOOD).write_bytes(b"another")
    for dry_run in (True, False):
        with Sorter("kept", "dropped", action="move", log="log", dry_run=dry_run) as sorter:
            both = [sorter.place(result(GOOD)), sorter.place(result(GOOD, "other"))]
        assert [each.status for each in both] == ["put", "left"]
    assert tree()[f"other/{GOOD}"] == b"another"


def test_a_name_below_the_folder_may_be_given_but_none_outside(photos):
    with Sorter("kept", "dropped", log="log") as sorter:
        assert sorter.place(result(GOOD), "a/b/c.jpg").status == "put"
        for name in ("../x", "/x", "a/../../x", "", "a//b"):
            with pytest.raises(SortError):
                sorter.place(result(GOOD), name)
    assert "kept/a/b/c.jpg" in tree()
    list(undo("log"))
    assert not os.path.exists("kept")


def test_a_symbolic_link_is_followed_to_be_copied_and_left_where_it_would_be_moved(photos):
    os.symlink(GOOD, photos / "link.jpg")
    assert place(["link.jpg"], action="move")[0].reason == "it is a symbolic link"
    for number, action in enumerate(("copy", "link")):
        kept = f"kept{number}"
        place(["link.jpg"], into=(kept, "dropped"), action=action, log=f"log{number}")
        assert not os.path.islink(f"{kept}/link.jpg")
        assert Path(kept, "link.jpg").read_bytes() == (photos / GOOD).read_bytes()


@pytest.mark.parametrize("action", ACTIONS)
def test_what_is_no_file_is_left(photos, action):
    os.mkfifo(photos / "pipe.jpg")
    names = ["gone.jpg", "pipe.jpg", ".", "nul\0.jpg"]
    assert {each.status for each in place(names[:2], action=action)} == {"left"}
    with Sorter("kept", "dropped", action=action) as sorter:
        placed = [sorter.place(result(name), "x.jpg") for name in names]
        placed.append(sorter.place(Result("s3://bucket/x.jpg"), "x.jpg"))
    assert {each.reason for each in placed} == {"it is no file on this machine"}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    "name", [b"line\nbreak.jpg", b"caf\xe9.jpg", b"-rf", b"\xf0\x9f\x90\x88", b"a" * 255]
)
def test_any_name_that_a_file_can_have_goes_there_and_back(photos, name, action):
    path = os.fsencode(photos) + b"/" + name
    with open(path, "wb") as file:
        file.write(b"photo")
    (placed,) = place([os.fsdecode(name)], action=action)
    assert placed.status == "put", placed.reason
    with open(b"kept/" + name, "rb") as file:
        assert file.read() == b"photo"
    list(undo("log.jsonl"))
    assert os.path.exists(path)
    assert not os.path.exists("kept")


def test_the_folders_must_differ_and_no_two_sorts_work_in_one(photos):
    os.symlink(".", "here")
    with pytest.raises(SortError, match="one folder"):
        Sorter("kept", "here/kept")
    with Sorter("kept", "dropped"), pytest.raises(SortError, match="Another sort is at work"):
        place(into=("kept", "other"), log="log2")
    assert not os.path.exists("log2")


def test_photos_in_the_folders_themselves_are_known(photos):
    os.mkdir("photos/kept")
    with Sorter("photos/kept", "dropped", action="move") as sorter:
        assert sorter.is_target("photos/kept/a/b.jpg")
        assert sorter.is_target(os.path.abspath("dropped/x.jpg"))
        assert not sorter.is_target("photos/a.jpg")
        Path("photos/kept", GOOD).touch()
        assert sorter.place(result(GOOD, "photos/kept"), "again.jpg").status == "left"


def test_an_earlier_log_is_not_replaced(photos):
    place([GOOD])
    with pytest.raises(SortError, match=r"There is a log\.jsonl already"):
        place([BAD])
    assert not os.path.exists(f"dropped/{BAD}")


def test_the_step_is_on_the_disk_before_it_is_taken(photos, monkeypatch):
    synced = []
    really = os.fsync

    def fsync(descriptor):
        synced.append(Path("log.jsonl").read_text())
        really(descriptor)

    def refuse(source, target):
        assert json.loads(synced[-1].splitlines()[-1])["to"] == os.path.abspath(target)
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr("qualipy.sorting._DO", dict.fromkeys(ACTIONS, refuse))
    (placed,) = place([GOOD])
    assert placed.reason == "permission denied"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_ends_it_and_leaves_nothing_half_done(photos, monkeypatch, code):
    before = tree()

    def full(reader, writer, length):
        writer.write(b"half")
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(OSError, match=os.strerror(code)):
        place([GOOD, BAD])
    assert tree() == before


def test_without_hard_links_files_are_moved_all_the_same(photos, monkeypatch):
    def refuse(source, target, **options):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    os.mkdir("kept")
    before = tree()
    place([GOOD], action="move")
    assert tree()[f"kept/{GOOD}"] == before[f"photos/{GOOD}"]
    list(undo("log.jsonl"))
    assert tree() == before
    with pytest.raises(FileExistsError):
        transfer.rename(f"photos/{GOOD}", f"photos/{BAD}")
    assert tree() == before


@pytest.fixture
def elsewhere(tmp_path):
    """A folder on another file system."""
    try:
        folder = tempfile.mkdtemp(dir="/dev/shm")
    except OSError:
        pytest.skip("there is no other file system")
    if os.stat(folder).st_dev == os.stat(tmp_path).st_dev:
        os.rmdir(folder)
        pytest.skip("there is no other file system")
    yield folder
    shutil.rmtree(folder)


def test_to_another_file_system_photos_are_copied_and_then_removed(photos, elsewhere):
    before = tree()
    into = (f"{elsewhere}/kept", f"{elsewhere}/dropped")
    place([GOOD, BAD], into=into, action="move")
    assert tree(elsewhere) == {
        f"kept/{GOOD}": before[f"photos/{GOOD}"],
        f"dropped/{BAD}": before[f"photos/{BAD}"],
    }
    assert list(tree()) == [f"photos/{BROKEN}"]
    assert {each.status for each in undo("log.jsonl")} == {"back"}
    assert tree() == before
    (placed,) = place([GOOD], into=into, action="link", log="log2")
    assert placed.reason == "a link cannot lead to another file system; copy it"


def test_a_source_that_cannot_be_removed_keeps_its_photo_and_the_copy_goes(photos, monkeypatch):
    before = tree()
    really = os.unlink

    def unlink(path):
        if str(path).startswith("photos"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        really(path)

    monkeypatch.setattr(os, "unlink", unlink)
    assert place([GOOD], action="move")[0].status == "left"
    monkeypatch.undo()
    os.chdir(photos.parent)
    assert tree() == before


def test_what_is_one_file_under_two_paths_is_never_removed(photos):
    os.symlink("photos", "again")
    with pytest.raises(OSError, match="it is the same file"):
        transfer.remove(f"photos/{GOOD}", other=f"again/{GOOD}")
    assert len(tree()) == 3


@pytest.mark.parametrize("action", ["copy", "link"])
def test_what_was_changed_or_is_the_only_one_is_not_taken_back(photos, action):
    place([GOOD, BAD], action=action)
    os.replace(photos / GOOD, "mine")
    os.unlink(photos / BAD)
    Path(photos, GOOD).write_bytes(b"edited")
    undone = list(undo("log.jsonl"))
    assert [each.status for each in undone] == ["left", "left"]
    assert f"differs from {photos / GOOD}" in undone[0].reason
    assert "the only one" in undone[1].reason
    assert {f"kept/{GOOD}", f"dropped/{BAD}"} <= tree().keys()


def test_a_photo_that_was_moved_does_not_replace_what_is_in_its_place_now(photos):
    place([GOOD], action="move")
    Path(photos, GOOD).write_bytes(b"a new one")
    (each,) = undo("log.jsonl")
    assert each.status == "left"
    assert tree()[f"photos/{GOOD}"] == b"a new one"
    assert f"kept/{GOOD}" in tree()


def test_the_photos_folder_is_made_again_for_what_was_moved(photos):
    place(errors="errors", action="move")
    os.rmdir("photos")
    assert {each.status for each in undo("log.jsonl")} == {"back"}
    assert sorted(tree()) == sorted(f"photos/{name}" for name in (GOOD, BAD, BROKEN))


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "nonsense", '{"qualipy": "sort", "version": 1, "action": "burn"}\n'],
)
def test_what_is_no_log_is_refused(photos, text):
    Path("log.jsonl").write_text(text)
    with pytest.raises(SortError, match="is no log of a sort"):
        list(undo("log.jsonl"))


def test_a_log_of_a_later_version_and_a_broken_line_are_named(photos):
    place([GOOD])
    text = Path("log.jsonl").read_text()
    Path("log.jsonl").write_text(text.replace('"version": 1', '"version": 2'))
    with pytest.raises(SortError, match="version 2"):
        list(undo("log.jsonl"))
    Path("log.jsonl").write_text(text + "{}\n")
    with pytest.raises(SortError, match="line 5, is no step"):
        list(undo("log.jsonl"))


def test_a_torn_last_line_is_a_step_that_was_not_taken(photos):
    before = tree()
    place([GOOD], action="move")
    with open("log.jsonl", "ab") as file:
        file.write(b'{"from": "/x", "to')
    assert [each.status for each in undo("log.jsonl")] == ["back"]
    assert tree() == before


KILLING = """
import os, shutil, signal, sys
from pathlib import Path
from qualipy.sorting import Sorter, undo
from qualipy.sortlog import NOTE
from qualipy_core.result import Result

home, other, action = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
EVENTS = {"open", "os.link", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.chmod",
          "os.utime", "os.listxattr", "shutil.copyfile"}
RESULTS = [Result(f"photos/{n}.jpg", {"f": 1.0}, {"f": n == 1}) for n in range(2)]
CONTENT = {n: bytes([65 + n]) * 300_000 for n in range(2)}
killing, left = False, 0

def watch(event, args):
    global left
    if killing and event in EVENTS:
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)

def half(reader, writer, length=0):  # a moment within a copy
    data = reader.read()
    writer.write(data[: len(data) // 2])
    writer.flush()
    watch("shutil.copyfile", ())
    writer.write(data[len(data) // 2 :])

shutil.copyfileobj = half

def sort(log):
    with Sorter(f"{other}/kept", f"{other}/dropped", action=action, log=log) as sorter:
        return [sorter.place(result) for result in RESULTS]

def killed(after, work):
    global killing, left
    child = os.fork()
    if not child:
        killing, left = True, after
        work()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])

def found(*folders):
    files = [p for folder in folders for p in Path(folder).rglob("*.jpg")]
    assert {p.read_bytes() for p in files} <= set(CONTENT.values()), files  # whole, each of them
    return {int(p.stem) for p in files if p.read_bytes() == CONTENT[int(p.stem)]}

def check_nothing_is_lost():
    assert found("photos", other) == {0, 1}

steps = 0
while True:
    for folder in (home, Path(other)):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    os.chdir(home)
    Path("photos").mkdir()
    for n, content in CONTENT.items():
        Path(f"photos/{n}.jpg").write_bytes(content)
    was_killed = killed(steps, lambda: sort("first"))
    check_nothing_is_lost()
    if action != "move":
        assert found("photos") == {0, 1}
    sort("second")
    check_nothing_is_lost()
    assert found(other) == {0, 1}
    logs = [log for log in ("second", "first") if Path(log).exists()]
    if Path("first").exists() and not Path("first").read_bytes().count(b"\\n"):
        logs.remove("first")  # killed while it was made
    killed(steps, lambda: [list(undo(log)) for log in logs])
    check_nothing_is_lost()
    for log in logs:
        list(undo(log))
    assert found("photos") == {0, 1}
    assert not found(other)
    if not was_killed:
        break
    steps += 1
print(steps)
"""


@pytest.mark.parametrize("action", ACTIONS)
def test_killed_before_any_step_it_has_lost_nothing_and_can_go_on_and_back(tmp_path, action):
    kill(action, tmp_path, tmp_path / "there")


def test_killed_between_two_file_systems_it_has_lost_nothing(tmp_path, elsewhere):
    kill("move", tmp_path, elsewhere)


def kill(action, tmp_path, elsewhere):
    script = [sys.executable, "-W", "error", "-c", KILLING, tmp_path / "here", elsewhere, action]
    done = subprocess.run(script, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 5


def test_a_link_is_no_other_copy(tmp_path):
    photo, link = tmp_path / "photo.png", tmp_path / "link.png"
    photo.write_bytes(b"the only one")
    link.symlink_to(photo)
    with pytest.raises(OSError, match="same file"):
        transfer.remove(str(photo), other=str(link))
    assert photo.read_bytes() == b"the only one"
    assert sorted(os.listdir(tmp_path)) == ["link.png", "photo.png"]
