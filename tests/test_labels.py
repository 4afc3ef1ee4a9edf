"""Labelled photos: folders, CSV files, photos under both labels."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from qualipy.labels import check_column, gather
from qualipy_core import Image
from qualipy_core.errors import LabelsError


@pytest.fixture
def folders(tmp_path, photos):
    """Two folders with six photos each, dark ones and bright ones."""
    for number, photo in enumerate(photos):
        folder = tmp_path / ("dark" if number < 6 else "bright")
        folder.mkdir(exist_ok=True)
        shutil.move(photo, folder)
    return tmp_path


def names(found, positive):
    return sorted(str(s.image).rpartition("/")[2] for s in found.samples if s.positive == positive)


def write(path, text, encoding="utf-8"):
    path.write_text(text, encoding=encoding)
    return path


def test_folders_are_taken_with_all_that_is_below(folders):
    (folders / "dark" / "more").mkdir()
    shutil.copy(folders / "dark" / "00.png", folders / "dark" / "more" / "copy.png")
    (folders / "dark" / "notes.txt").write_text("no photo")
    found = gather([str(folders / "dark")], folders / "bright")
    assert names(found, True) == [f"0{n}.png" for n in range(6)] + ["copy.png"]
    assert names(found, False) == ["06.png", "07.png", "08.png", "09.png", "10.png", "11.png"]
    assert found.groups is None


def test_photos_may_be_patterns_pixels_and_images(folders):
    pixels = np.zeros((4, 4, 3), np.uint8)
    found = gather([pixels, Image(pixels)], str(folders / "bright" / "*.png"))
    assert (found.count(True), found.count(False)) == (2, 6)
    assert gather(pixels).count(True) == 1


def test_both_labels_are_seen_early(folders):
    found = gather(folders / "dark", folders / "bright")
    seen = [sample.positive for sample in found.samples]
    assert all(set(seen[begin : begin + 4]) == {True, False} for begin in range(len(seen) - 3))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_csv_file_names_photos_relative_to_itself(folders, delimiter, monkeypatch):
    rows = [
        ("path", "label", "group", "kind"),
        ("dark/00.png", "positive", "a", "real"),
        ("dark/01.png", " 1 ", "a", "synthetic"),
        ("bright/06.png", "No", "", "real"),
    ]
    text = "\n".join(delimiter.join(row) for row in rows)
    file = write(folders / "labels.csv", text, "utf-8-sig")
    monkeypatch.chdir("/")
    found = gather(labels=file)
    assert names(found, True) == ["00.png", "01.png"]
    assert names(found, False) == ["06.png"]
    groups = dict(zip([s.image for s in found.samples], found.groups, strict=True))
    assert len(set(groups.values())) == 2
    assert next(s for s in found.samples if not s.positive).columns["kind"] == "real"


def test_a_name_may_hold_what_looks_like_the_end_of_a_line(folders):
    text = 'path,label\r\n"a\u2028b\x0b.png",1\r\n"two\nlines.png",0\r\n'
    found = gather(labels=write(folders / "labels.csv", text))
    assert names(found, True) == ["a\u2028b\x0b.png"]
    assert names(found, False) == ["two\nlines.png"]


def test_rows_are_chosen_by_their_columns(folders):
    text = "path,label,class,kind\na.png,1,x,real\nb.png,0,x,made\nc.png,1,y,real\nd.png,0,x,odd\n"
    file = write(folders / "labels.csv", text)
    found = gather(labels=file, where={"class": ["x"], "kind": ["real", "made"]})
    assert (names(found, True), names(found, False)) == (["a.png"], ["b.png"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no column 'path'"),
        ("path,lable\na.png,1\n", "Did you mean 'lable'"),
        ("path,label\na.png,maybe\n", "line 2: 'maybe' is no label"),
        ("path,label\na.png\n", "line 2: '' is no label"),
        ("path,label\n,1\n", "line 2: there is no path"),
        ('path,label\n"a.png,1\n', "line"),
    ],
)
def test_what_is_wrong_with_a_csv_file_is_said(folders, text, said):
    with pytest.raises(LabelsError, match=said) as caught:
        gather(labels=write(folders / "labels.csv", text))
    assert caught.value.path == str(folders / "labels.csv")


def test_a_csv_file_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        gather(labels=tmp_path / "gone.csv")
    (tmp_path / "latin.csv").write_bytes(b"path,label\ncaf\xe9.png,1\n")
    with pytest.raises(LabelsError, match="no UTF-8"):
        gather(labels=tmp_path / "latin.csv")


def test_a_column_that_there_is_not_is_an_error(folders):
    file = write(folders / "labels.csv", "path,label,kind\na.png,1,real\n")
    with pytest.raises(LabelsError, match=r"no column 'knid'.*Did you mean 'kind'"):
        gather(labels=file, where={"knid": ["real"]})
    with pytest.raises(LabelsError, match=r"no column 'knid'.*Did you mean 'kind'"):
        check_column(gather(labels=file).samples, "knid")
    with pytest.raises(LabelsError, match="columns come from a CSV"):
        check_column(gather(folders / "dark").samples, "kind")
    with pytest.raises(LabelsError, match="give its path"):
        gather(folders / "dark", where={"kind": ["real"]})


def test_an_empty_folder_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(LabelsError, match=r"No image found in .*empty"):
        gather(tmp_path / "empty")


def test_a_photo_under_both_labels_is_kept_apart(folders):
    found = gather([folders / "dark", folders / "bright" / "06.png"], folders / "bright")
    assert found.contradictory == (str(folders / "bright" / "06.png"),)
    assert "06.png" not in names(found, True) + names(found, False)
    assert (found.count(True), found.count(False)) == (6, 5)


def test_so_is_a_copy_of_one_and_a_link_to_one(folders):
    shutil.copy(folders / "dark" / "01.png", folders / "bright" / "copy.png")
    (folders / "bright" / "link.png").symlink_to(folders / "dark" / "02.png")
    found = gather(folders / "dark", folders / "bright")
    apart = [path.rpartition("/")[2] for path in found.contradictory]
    assert apart[0] == "copy.png"
    assert set(apart) >= {"copy.png", "01.png"}
    assert len(apart) == 3
    assert (found.count(True), found.count(False)) == (4, 6)


def test_a_photo_that_is_named_twice_counts_once(folders):
    found = gather([folders / "dark", folders / "dark" / "00.png"], folders / "bright")
    assert found.count(True) == 6
    assert found.repeated == 1
