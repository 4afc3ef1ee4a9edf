"""What lies beside a page: never taken from under another page, nor left behind for ever."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sample_reports import FILTERS, judged, many, thumbnail

from qualipy.report import Origin, Report

pytest.importorskip("fcntl", reason="without locks, what was left behind is left alone")


def pictures(page):
    """How many pictures there are of those that a page says that it has beside it."""
    text = page.read_text(encoding="utf-8")
    told = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    place = page.parent / told["thumbnails"]["folder"]
    return sum((place / "0" / f"{n}.jpg").is_file() for n in range(len(told["images"])))


def begun(page, size=3):
    """A report that has results, and no end yet."""
    report = Report(page, Origin(FILTERS), thumbnails="folder")
    for number in range(size):
        report.add(judged(f"{number}.jpg", picture=thumbnail(number), exposure=0.9))
    return report


@pytest.mark.parametrize("names", [("x.html", "x.htm"), ("x.html", "x"), ("x.htm", "x.xhtml")])
def test_pages_of_one_stem_keep_their_own_pictures(make, names):
    one, other = (make(many(3), name=name, thumbnails="folder") for name in names)
    assert (pictures(one), pictures(other)) == (3, 3)
    one = make(many(5), name=names[0], thumbnails="folder")
    assert (pictures(one), pictures(other)) == (5, 3)
    make(many(3), name=names[0], thumbnails="inline")
    assert pictures(other) == 3


def test_two_runs_at_once_do_not_take_the_pictures_of_each_other(tmp_path):
    page = tmp_path / "report.html"
    one, other = begun(page), begun(page)
    one.end()
    assert pictures(page) == 3
    other.add(judged("more.jpg", picture=thumbnail(9), exposure=0.9))
    other.end()
    assert pictures(page) == 4
    assert len([each for each in (tmp_path / "report_files").iterdir() if each.is_dir()]) == 1


def test_a_page_that_was_given_another_name_keeps_its_pictures(make, tmp_path):
    kept = make(many(3), thumbnails="folder").rename(tmp_path / "monday.html")
    new = make(many(4), thumbnails="folder")
    assert (pictures(kept), pictures(new)) == (3, 4)
    make(many(4), thumbnails="inline")
    assert pictures(kept) == 3


KILLED = """
import os, sys
from pathlib import Path
from qualipy.report.thumbnails import Thumbnails

files = Thumbnails(Path(sys.argv[1]), "folder")
files.add(b"a picture")
os._exit(1)
"""


def test_what_a_killed_run_has_left_goes_with_the_next_report(make, tmp_path):
    for _ in range(2):
        subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "report.html")], check=False)
    assert len(list(tmp_path.glob("report_files/*/0/0.jpg"))) == 2
    make(many(3), thumbnails="inline")
    assert os.listdir(tmp_path) == ["report.html"]


def test_a_report_that_is_given_up_leaves_nothing(make, tmp_path):
    begun(tmp_path / "report.html").abandon()
    assert not list(tmp_path.iterdir())
    page = make(many(3), thumbnails="folder")
    begun(page, 7).abandon()
    assert pictures(page) == 3
    assert sum(each.is_dir() for each in Path(f"{page.with_suffix('')}_files").iterdir()) == 1
