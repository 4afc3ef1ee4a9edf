"""Fingerprints that are kept, and runs that go on: what was measured is not measured again."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_filters import Brightness, Copies, Darkness, Unlike, Unprinted, write_image

from qualipy_core import Image, Result, SetFilter, scan
from qualipy_core.errors import ImageReadError, StoreError
from qualipy_core.fingerprints import Fingerprints, Identity
from qualipy_core.journal import Journal, asked_by
from qualipy_core.plan import Plan, Task


def write(folder, name, value):
    return write_image(folder / f"{name}.png", np.full((4, 6, 3), value, np.uint8))


@pytest.fixture
def folder(tmp_path):
    return tmp_path


@pytest.fixture
def old(folder):
    return [write(folder, name, value) for name, value in [("a", 100), ("b", 120), ("c", 100)]]


@pytest.fixture
def new(folder):
    return [write(folder, name, value) for name, value in [("d", 100), ("e", 7), ("f", 120)]]


@pytest.fixture
def measured(monkeypatch):
    """The images of which fingerprints were made."""
    seen = []
    make = Copies.fingerprint

    def fingerprint(self, image):
        seen.append(image.name)
        return make(self, image)

    monkeypatch.setattr(Copies, "fingerprint", fingerprint)
    return seen


def plain(results):
    said = [result.to_dict() for result in results]
    for each in said:
        del each["seconds"]
    return said


FILTERS = [Copies(), Unlike(), Brightness()]


# Fingerprints that are kept


def test_new_photos_are_judged_among_those_of_before_without_reading_these(
    folder, old, new, measured
):
    store = folder / "all.qpf"
    first = list(scan(old, FILTERS, fingerprints=store))
    assert [result.image for result in first] == old
    for image in old:
        os.chmod(image, 0)
    measured.clear()
    results = list(scan([*old, *new], FILTERS, fingerprints=store))
    assert measured == new
    assert [result.image for result in results] == new
    assert results[0].companions == {"copies": (old[0], old[2], new[0])}
    assert results[0].decisions["copies"]
    assert results[1].companions == {}
    assert len(Fingerprints(store)) == 6
    assert list(Fingerprints(store).names()) == sorted([*old, *new])


parts = st.lists(st.lists(st.integers(0, 3), max_size=4), min_size=1, max_size=4)


@settings(max_examples=25, deadline=None)
@given(parts)
def test_piece_by_piece_is_the_same_as_all_at_once(tmp_path_factory, pieces):
    folder = tmp_path_factory.mktemp("pieces")
    names = iter("qwertyuiopasdfghjklzxcvbnm")
    photos = [[write(folder, next(names), 50 * value) for value in piece] for piece in pieces]
    store = folder / "all.qpf"
    for piece in photos:
        last = plain(scan(piece, FILTERS, fingerprints=store))
    together = plain(scan([image for piece in photos for image in piece], FILTERS))
    assert last == [each for each in together if each["image"] in photos[-1]]
    again = plain(
        scan(
            [image for piece in photos for image in piece],
            FILTERS,
            fingerprints=Fingerprints(store, again=True),
        )
    )
    assert again == together


def test_a_photo_that_has_changed_is_a_new_one(folder, old, measured):
    store = folder / "all.qpf"
    list(scan(old, FILTERS, fingerprints=store))
    write(folder, "b", 100)
    os.utime(old[1], ns=(1, 1))
    measured.clear()
    (result,) = scan(old, FILTERS, fingerprints=store)
    assert measured == [old[1]]
    assert result.companions == {"copies": tuple(old)}
    assert len(Fingerprints(store)) == 3


def test_photos_can_be_measured_again(folder, old, measured):
    store = Fingerprints(folder / "all.qpf", again=True)
    list(scan(old, FILTERS, fingerprints=store))
    measured.clear()
    results = list(scan(old[:1], FILTERS, fingerprints=store))
    assert measured == old[:1]
    assert results[0].companions == {"copies": (old[0], old[2])}
    assert len(store) == 3


def test_a_photo_is_known_by_its_absolute_path_and_its_region(folder, old, monkeypatch, measured):
    store = folder / "all.qpf"
    monkeypatch.chdir(folder)
    list(scan(["a.png", "./b.png"], FILTERS, fingerprints=store))
    assert list(Fingerprints("all.qpf").names()) == old[:2]
    measured.clear()
    assert list(scan(old[:2], FILTERS, fingerprints=store)) == []
    (region,) = scan(["a.png"], FILTERS, [(0, 0, 2, 2)], fingerprints=store)
    assert measured == ["a.png"]
    assert not region.companions  # a part of a photo is no copy of it
    assert len(Fingerprints(store)) == 3


def test_pictures_without_a_path_take_part_and_are_not_kept(folder, old):
    store = folder / "all.qpf"
    list(scan(old, FILTERS, fingerprints=store))
    images = [Image(np.full((4, 6, 3), 100, np.uint8), name="x"), Path(old[0]).read_bytes()]
    results = list(scan(images, FILTERS, fingerprints=store))
    assert [len(result.companions["copies"]) for result in results] == [4, 4]
    assert len(Fingerprints(store)) == 3


def test_what_could_not_be_measured_is_tried_again(folder, old, measured):
    store = folder / "all.qpf"
    missing = str(folder / "later.png")
    dark = write(folder, "dark", 0)
    filters = [Copies(), Unprinted()]
    results = list(scan([*old, missing, dark], filters, fingerprints=store))
    assert isinstance(results[3].error, ImageReadError)
    assert results[4].failures.keys() == {"unprinted"}
    write(folder, "later", 100)
    measured.clear()
    results = list(scan([*old, missing, dark], filters, fingerprints=store))
    assert measured == [missing, dark]
    assert results[0].companions["copies"] == (*old[::2], missing)


def test_a_run_that_is_left_before_its_end_keeps_nothing(folder, old):
    store = folder / "all.qpf"
    results = scan(old, FILTERS, fingerprints=store)
    next(results)
    results.close()
    assert len(Fingerprints(store)) == 0
    with pytest.raises(KeyboardInterrupt):
        list(scan(old, FILTERS, fingerprints=store, progress=interrupt))
    assert len(Fingerprints(store)) == 0


def interrupt(result):
    raise KeyboardInterrupt


def test_photos_can_be_forgotten(folder, old, monkeypatch):
    store = Fingerprints(folder / "all.qpf")
    list(scan(old, FILTERS, fingerprints=store))
    monkeypatch.chdir(folder)
    assert store.forget(["a.png", "nobody.png"]) == 1
    (result,) = scan([write(folder, "z", 100)], FILTERS, fingerprints=store)
    assert result.companions == {"copies": (old[2], result.image)}


def test_files_may_be_called_whatever_the_system_allows(folder):
    name = os.fsdecode(os.fsencode(folder / "a.png")[:-5] + b"\xff\n\xe9.png")
    os.rename(write(folder, "a", 5), name)
    store = folder / "all.qpf"
    list(scan([name], FILTERS, fingerprints=store))
    assert list(Fingerprints(store).names()) == [name]
    assert list(scan([name], FILTERS, fingerprints=store)) == []


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ([Copies()], "unlike is not there"),
        ([Copies(), Unlike(), Unprinted()], "unprinted is"),
        ([Copies(), Unlike(), Unlike()], "unlike#2 is"),
    ],
)
def test_fingerprints_of_other_filters_are_refused(folder, old, filters, said):
    store = folder / "all.qpf"
    list(scan(old, FILTERS, fingerprints=store))
    before = store.read_bytes()
    with pytest.raises(StoreError, match=said) as caught:
        list(scan(old, filters, fingerprints=store))
    assert caught.value.path == str(store)
    assert store.read_bytes() == before


def test_thresholds_and_what_compare_alone_looks_at_may_differ(folder, old, new):
    store = folder / "all.qpf"
    list(scan(old, FILTERS, fingerprints=store))
    filters = [Copies(0.7, most=4), Unlike() >= 0.1, Darkness()]
    results = list(scan(new, filters, fingerprints=store))
    assert results[0].predictions["copies"] == 0.0


def test_a_fingerprint_of_another_release_is_refused(folder, old, monkeypatch):
    store = folder / "all.qpf"
    list(scan(old, FILTERS, fingerprints=store))
    monkeypatch.setattr("qualipy_core.__version__", "0.0.1")
    with pytest.raises(StoreError, match=r"core is 0\.0\.1, and was"):
        list(scan(old, FILTERS, fingerprints=store))


def test_a_parameter_that_measures_matters(folder, old):
    class Fine(SetFilter):
        """Compares means.

        Parameters
        ----------
        step : float
            How fine.
        """

        name = "fine"
        step: float = 1.0
        fingerprint = Unprinted.fingerprint
        compare = Unprinted.compare

    list(scan(old, [Fine()], fingerprints=folder / "all.qpf"))
    with pytest.raises(StoreError, match=r'"step": 2\.0.*"step": 1\.0'):
        list(scan(old, [Fine(step=2.0)], fingerprints=folder / "all.qpf"))


def test_it_is_for_set_filters(folder, old):
    for option in ("fingerprints", "journal"):
        with pytest.raises(StoreError, match="is for set filters"):
            scan(old, [Brightness()], **{option: folder / "all.qpf"})
    with pytest.raises(StoreError, match="is for set filters"):
        scan(old, [Brightness()], fingerprints=Fingerprints(folder / "all.qpf"))


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"x", b"SQLite format 3\0" * 99])
def test_a_file_that_is_something_else_is_left_alone(folder, old, content):
    store = folder / "all.qpf"
    store.write_bytes(content)
    with pytest.raises(StoreError, match=r"all\.qpf"):
        list(scan(old, FILTERS, fingerprints=store))
    assert store.read_bytes() == content


def test_somebody_else_s_database_is_left_alone(folder, old):
    store = folder / "all.qpf"
    with sqlite3.connect(store) as database:
        database.execute("CREATE TABLE theirs (x)")
    database.close()
    before = store.read_bytes()
    with pytest.raises(StoreError, match="no file of fingerprints"):
        list(scan(old, FILTERS, fingerprints=store))
    assert store.read_bytes() == before


def test_a_folder_and_a_place_where_nothing_can_be_written_are_refused(folder, old):
    (folder / "all.qpf").mkdir()
    with pytest.raises(StoreError, match="is no file"):
        list(scan(old, FILTERS, fingerprints=folder / "all.qpf"))
    with pytest.raises(StoreError, match="cannot be used"):
        list(scan(old, FILTERS, fingerprints=folder / "nowhere" / "all.qpf"))


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE fingerprints SET data = x'00'",
        "UPDATE fingerprints SET data = 5",
        "UPDATE about SET value = 'no JSON' WHERE name LIKE 'form:%'",
        'UPDATE about SET value = \'{"dtype": "|O", "shape": [1]}\' WHERE name LIKE \'form:%\'',
        "UPDATE fingerprints SET data = x'000000000000f87f' || zeroblob(8) WHERE filter = 'unlike'",
        "DROP TABLE photos",
        "PRAGMA user_version = 99",
    ],
)
def test_damage_is_told_and_nothing_is_made_of_it(folder, old, new, damage):
    store = folder / "all.qpf"
    list(scan(old, FILTERS, fingerprints=store))
    with sqlite3.connect(store) as database:
        database.execute(damage)
    database.close()
    with pytest.raises(StoreError, match=r"all\.qpf"):
        list(scan(new, FILTERS, fingerprints=store))


def test_a_process_that_is_killed_while_it_writes_leaves_what_was_there(folder, old, new):
    store = folder / "all.qpf"
    list(scan(old, FILTERS, fingerprints=store))
    code = f"""
import os, sqlite3
database = sqlite3.connect({str(store)!r})
database.execute("PRAGMA cache_size = 1")
database.execute("PRAGMA cache_spill = 1")
database.execute("BEGIN")
for number in range(20000):
    database.execute("INSERT INTO photos (name, region) VALUES (?, 'null')", (b"x%d" % number,))
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    (*_, last) = scan(new, FILTERS, fingerprints=store)
    assert len(Fingerprints(store)) == 6
    assert last.companions == {"copies": (old[1], new[2])}


FIRST_RUN = """
import sys

from sample_filters import Copies

from qualipy_core.fingerprints import Fingerprints
from qualipy_core.plan import Plan

plan = Plan.make([Copies()])
print("ready", flush=True)
for name in sys.stdin:
    with Fingerprints(name.strip()).opened(plan):
        pass
    print("done", flush=True)
"""


def test_first_runs_at_once_make_one_file_of_fingerprints(folder):
    support = str(Path(__file__).parents[1] / "support")
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", FIRST_RUN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": support},
            bufsize=0,
        )
        for _ in range(4)
    ]
    try:
        for run in runs:
            assert run.stdout.readline() == b"ready\n"
        for number in range(30):
            name = folder / f"{number}.qpf"
            for run in runs:
                run.stdin.write(f"{name}\n".encode())
            for run in runs:
                assert run.stdout.readline() == b"done\n", run.stderr.read().decode()
            assert len(Fingerprints(name)) == 0
    finally:
        for run in runs:
            run.kill()
            run.communicate()


# Runs that go on


def test_a_run_that_was_interrupted_is_gone_on_with(folder, old, new, measured):
    journal = folder / "run.journal"
    images = [*old, *new]
    expected = plain(scan(images, FILTERS))

    def until_the_third(result):
        if result.image == old[2]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(scan(images, FILTERS, journal=journal, progress=until_the_third))
    measured.clear()
    seen = []
    assert plain(scan(images, FILTERS, journal=journal, progress=seen.append)) == expected
    assert measured == new
    assert [result.image for result in seen] == images
    measured.clear()
    assert plain(scan(images[::-1], FILTERS, journal=journal)) == expected[::-1]
    assert measured == []


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1))
def test_a_journal_that_is_cut_at_any_byte_is_mended(tmp_path_factory, share):
    folder = tmp_path_factory.mktemp("cut")
    images = [write(folder, name, value) for name, value in [("a", 1), ("b", 90), ("c", 1)]]
    journal = folder / "run.journal"
    expected = plain(scan(images, FILTERS, journal=journal, thumbnails=8))
    whole = journal.read_bytes()
    journal.write_bytes(whole[: round(share * len(whole))])
    assert plain(scan(images, FILTERS, journal=journal, thumbnails=8)) == expected
    assert plain(scan(images, FILTERS, journal=journal, thumbnails=8)) == expected
    lines = journal.read_bytes().splitlines()
    assert len(lines) == 4
    assert [json.loads(line)["asked"][0] for line in lines[1:]].count(images[0]) == 1


def test_an_image_twice_and_with_several_regions_is_each_time_its_own(folder, old, measured):
    images, regions = [old[0], old[0], old[0]], [None, (0, 0, 2, 2), None]
    expected = plain(scan(images, FILTERS, regions))
    journal = folder / "run.journal"
    list(scan(images[:2], FILTERS, regions[:2], journal=journal))
    measured.clear()
    assert plain(scan(images, FILTERS, regions, journal=journal)) == expected
    assert measured == [old[0]]


def test_a_file_that_has_changed_is_measured_again(folder, old, measured):
    journal = folder / "run.journal"
    list(scan([*old, str(folder / "later.png")], FILTERS, journal=journal))
    write(folder, "b", 100)
    os.utime(old[1], ns=(1, 1))  # as a restored file has it: what matters is that it is another
    images = [*old, write(folder, "later", 100)]
    expected = plain(scan(images, FILTERS))
    measured.clear()
    assert plain(scan(images, FILTERS, journal=journal)) == expected
    assert measured == [old[1], images[3]]
    measured.clear()
    assert plain(scan(images, FILTERS, journal=journal)) == expected
    assert measured == []


def test_a_file_that_changes_while_a_run_is_at_it_is_measured_again(folder, old, measured):
    journal = folder / "run.journal"

    def change(result):
        if result.image == old[1]:
            write(folder, "b", 7)
            os.utime(old[1], ns=(1, 1))

    list(scan(old, FILTERS, journal=journal, progress=change))
    measured.clear()
    assert plain(scan(old, FILTERS, journal=journal)) == plain(scan(old, FILTERS))
    assert measured[0] == old[1]


@pytest.mark.parametrize("jobs", [1, 2])
def test_pictures_without_a_file_are_known_by_their_content(folder, old, jobs):
    journal = folder / "run.journal"
    one, other = (np.full((4, 6, 3), value, np.uint8) for value in (10, 200))
    file = Path(old[0]).read_bytes()
    images = [one, other, Image(one, name="same"), Image(other, name="same"), file, one]
    images += [Image(one).crop((0, 0, 2, 2)), Image(old[0], name="a"), Image(old[1], name="a")]
    expected = plain(scan(images, FILTERS))
    list(scan(images[1:5], FILTERS, journal=journal, jobs=jobs))
    assert plain(scan(images, FILTERS, journal=journal, jobs=jobs)) == expected
    before = journal.read_bytes()
    assert plain(scan(images[::-1], FILTERS, journal=journal, jobs=jobs)) == expected[::-1]
    assert journal.read_bytes() == before


def test_an_image_that_has_many_lines_is_given_each_of_them_once_in_order(folder, old):
    journal = Journal.at(folder / "run.journal", plan := Plan.make([Copies()]))
    asked = asked_by(task := Task(old[0]), Identity.of(task))
    for number in range(100):
        journal.write(Result(f"{number}"), asked)
    journal.close()
    again = Journal.at(folder / "run.journal", plan)
    assert [again.take(asked) for _ in range(101)] == [*range(100), None]
    again.close()


def test_errors_and_failures_are_gone_on_with_too(folder, old):
    journal = folder / "run.journal"
    dark = write(folder, "dark", 0)
    images = [*old, str(folder / "missing.png"), dark]
    filters = [Unprinted(), Copies()]
    expected = plain(scan(images, filters))
    assert plain(scan(images, filters, journal=journal)) == expected
    assert plain(scan(images, filters, journal=journal)) == expected


def test_a_journal_of_another_run_is_refused(folder, old):
    journal = folder / "run.journal"
    list(scan(old, FILTERS, journal=journal))
    before = journal.read_bytes()
    with pytest.raises(StoreError, match=r"begun otherwise \(filters"):
        list(scan(old, [Copies(0.7)], journal=journal))
    with pytest.raises(StoreError, match=r"begun otherwise \(stop_early\)"):
        list(scan(old, FILTERS, journal=journal, stop_early=True))
    with pytest.raises(StoreError, match=r"begun otherwise \(thumbnails\)"):
        list(scan(old, FILTERS, journal=journal, thumbnails=8))
    assert journal.read_bytes() == before


@pytest.mark.parametrize("content", [b"some text\n", b"{}\n{}\n", b"[]\n", b"\xff\n", b"half"])
def test_a_file_that_is_no_journal_is_left_alone(folder, old, content):
    journal = folder / "run.journal"
    journal.write_bytes(content)
    with pytest.raises(StoreError, match="no journal of a run"):
        list(scan(old, FILTERS, journal=journal))
    assert journal.read_bytes() == content


def test_a_line_that_is_damaged_in_the_middle_is_told(folder, old):
    journal = folder / "run.journal"
    list(scan(old, FILTERS, journal=journal))
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([lines[0], b"what\n", *lines[2:]]))
    with pytest.raises(StoreError, match="line 2 is no result"):
        list(scan(old, FILTERS, journal=journal))


def test_two_runs_do_not_write_one_journal(folder, old):
    pytest.importorskip("fcntl")
    journal = folder / "run.journal"
    code = "import sys\nfrom qualipy_core.journal import Journal\n"
    code += "from qualipy_core.plan import Plan\n"
    code += f"kept = Journal.at({str(journal)!r}, Plan.make([]))\nprint('ready', flush=True)\n"
    code += "sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"ready\n"
        with pytest.raises(StoreError, match="another run"):
            Journal.at(journal, Plan.make([]))
        other.stdin.close()


def test_a_journal_that_cannot_be_opened_is_an_error_that_names_it(folder, old):
    with pytest.raises(StoreError, match="nowhere"):
        list(scan(old, FILTERS, journal=folder / "nowhere" / "run.journal"))


def test_a_run_goes_on_and_its_fingerprints_are_kept(folder, old, new, measured):
    store, journal = folder / "all.qpf", folder / "run.journal"
    list(scan(old, FILTERS, fingerprints=store))
    expected = plain(scan([*old, *new], FILTERS))[3:]
    with pytest.raises(KeyboardInterrupt):
        list(scan([*old, *new], FILTERS, fingerprints=store, journal=journal, progress=interrupt))
    measured.clear()
    results = scan([*old, *new], FILTERS, fingerprints=store, journal=journal)
    assert plain(results) == expected
    assert measured == new[1:]
    assert len(Fingerprints(store)) == 6
    # Interrupted after that, before anybody removed the journal: the same again.
    assert plain(scan([*old, *new], FILTERS, fingerprints=store, journal=journal)) == expected


def test_fingerprints_that_do_not_fit_those_that_are_kept_spoil_nothing(folder, old, monkeypatch):
    store = folder / "all.qpf"
    list(scan(old[:1], [Copies()], fingerprints=store))
    make = Copies.fingerprint
    twice = lambda self, image: np.concatenate([make(self, image)] * 2)  # noqa: E731
    monkeypatch.setattr(Copies, "fingerprint", twice)
    (failed,) = scan(old[1:2], [Copies()], fingerprints=store)
    assert "another form" in str(failed.failures["copies"])
    monkeypatch.undo()
    (third,) = scan(old[2:], [Copies()], fingerprints=store)
    assert third.companions["copies"]
    assert len(Fingerprints(store)) == 2
