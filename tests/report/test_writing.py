"""Writing a report: whole or not at all, within bounds, and never over what is somebody else's."""

from __future__ import annotations

import json
import re
import tracemalloc
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_filters import write_image
from sample_reports import FILTERS, HOSTILE, judged, many, thumbnail, unreadable

from qualipy.report import Origin, Report, thumbnails, writing
from qualipy.report.page import script_json
from qualipy_core import scan


def data_of(path):
    """The data in a page."""
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


@given(
    st.recursive(
        st.text() | st.integers(), lambda each: st.lists(each) | st.dictionaries(st.text(), each)
    )
)
def test_data_survive_the_way_through_a_script_element(value):
    text = str(script_json(value))
    assert json.loads(text) == value
    assert text.isascii()
    assert not re.search(r"[<>&\x00-\x1f\x7f]", text)


def test_no_name_ends_the_element_that_holds_it(make):
    path = make([judged(name, exposure=0.9) for name in HOSTILE] + [unreadable(HOSTILE[0])])

    class Tags(HTMLParser):
        def __init__(self):
            super().__init__()
            self.seen = []

        def handle_starttag(self, tag, attrs):
            self.seen.append(tag)
            assert not any(name.startswith("on") for name, _ in attrs)

    tags = Tags()
    tags.feed(path.read_text(encoding="utf-8"))
    assert tags.seen.count("script") == 2
    assert data_of(path)["images"] == [*HOSTILE, HOSTILE[0]]


def test_the_page_names_no_other_server(make):
    text = make(many(3)).read_text(encoding="utf-8")
    urls = set(re.findall(r"\w+://[^\s\"'<>]*", text))
    assert all(url.startswith(("file://", "http://www.w3.org/")) for url in urls), urls


def test_a_report_that_fails_leaves_the_one_before(make, tmp_path, monkeypatch):
    before = make(many(3)).read_bytes()

    def full(*args):
        yield "<!doctype html>"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "render", full)
    with pytest.raises(OSError, match="No space"):
        make(many(5), thumbnails="folder")
    assert (tmp_path / "report.html").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_new_report_takes_the_place_of_the_old_one_and_of_its_files(make, tmp_path):
    make(many(5), thumbnails="folder")
    (old,) = (path for path in (tmp_path / "report_files").iterdir() if path.is_dir())
    page = make(many(8), thumbnails="folder")
    (new,) = (path for path in (tmp_path / "report_files").iterdir() if path.is_dir())
    assert old != new
    assert data_of(page)["thumbnails"]["folder"] == f"report_files/{new.name}/"
    assert len(list(new.rglob("*.jpg"))) == 8
    make(many(8), thumbnails="inline")
    assert not (tmp_path / "report_files").exists()


def test_a_folder_of_somebody_else_is_never_touched(make, tmp_path):
    theirs = tmp_path / "report_files" / "0123456789ab" / "mine.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    report = Report(tmp_path / "report.html", Origin(FILTERS), thumbnails="folder")
    assert "is not of an earlier report" in report.thumbnails.check()
    make(many(3), thumbnails="inline")
    assert theirs.read_text() == "mine"


def test_thumbnails_move_out_of_a_page_that_would_become_too_large(make, tmp_path, monkeypatch):
    monkeypatch.setattr(thumbnails, "INLINE_MOST", 10)
    results = [judged(f"{n}.jpg", picture=thumbnail(n) if n % 3 else None) for n in range(12)]
    page = make(results[:10], name="small.html")
    assert data_of(page)["thumbnails"]["kind"] == "inline"
    assert not (tmp_path / "small_files").exists()
    page = make(results, name="large.html")
    told = data_of(page)["thumbnails"]
    assert told["kind"] == "folder"
    assert told["missing"] == [0, 3, 6, 9]
    for number, result in enumerate(results):
        file = tmp_path / told["folder"] / "0" / f"{number}.jpg"
        assert file.exists() == bool(number % 3)
        assert not number % 3 or file.read_bytes() == result.thumbnail


def test_a_page_without_thumbnails_says_that_none_were_wanted(make, tmp_path):
    told = data_of(make(many(3), thumbnails="none"))["thumbnails"]
    assert (told["kind"], told["wanted"]) == ("none", False)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize("mode", ["inline", "folder"])
def test_thumbnails_do_not_pile_up_in_memory(tmp_path, mode):
    picture = thumbnail(size=(200, 200)) * 40  # 30 kB or more
    assert len(picture) > 30_000
    size = 800
    report = Report(tmp_path / "report.html", Origin(FILTERS), thumbnails=mode)
    tracemalloc.start()
    for number in range(size):
        report.add(judged(f"{number}.jpg", picture=picture, exposure=0.4))
    report.end()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # In the page, they are taken in pieces; without spooling it would be all of them.
    assert peak < 0.75 * size * len(picture)
    assert mode == "inline" or peak < 4_000_000


def test_a_result_costs_its_name_and_eight_bytes_a_filter(tmp_path):
    report = Report(tmp_path / "report.html", Origin(FILTERS), thumbnails="none")
    tracemalloc.start()
    for result in many(5000, pictures=0):
        report.add(result)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held / 5000 < 250


def test_predictions_are_exact(make):
    import base64

    values = [0.1 + 0.2, 1 / 3, 5e-324, 0.5]
    page = make([judged(f"{value}", exposure=value) for value in values])
    packed = data_of(page)["filters"][0]["predictions"]
    assert np.frombuffer(base64.b64decode(packed), "<f8").tolist() == values


def test_the_page_finds_photos_from_where_it_lies(tmp_path):
    page = tmp_path / "out" / "sub#1" / "report.html"
    page.parent.mkdir(parents=True)
    places = Origin(folder=str(tmp_path / "in put")).places(page)
    assert places["relative"] == "../../in%20put/"
    assert places["absolute"] == (tmp_path / "in put").as_uri() + "/"


def test_a_page_behind_a_link_is_written_where_the_link_leads(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link.html").symlink_to(tmp_path / "real" / "page.html")
    report = Report(tmp_path / "link.html", Origin(FILTERS))
    report.end()
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "real" / "page.html").is_file()


def test_explanations_are_drawn_of_what_is_flagged_and_lie_beside_the_page(tmp_path):
    picture = np.full((240, 320, 3), 250, np.uint8)
    picture[40:-40, 40:-40] = np.random.default_rng(0).integers(0, 200, (160, 240, 3))
    write_image(tmp_path / "framed.png", picture)
    write_image(tmp_path / "plain.png", picture[40:-40, 40:-40])
    names = [str(tmp_path / name) for name in ("framed.png", "plain.png")]
    report = Report(tmp_path / "report.html", Origin(FILTERS), thumbnails="inline", explain=True)
    for result in scan(names, [FILTERS["framed"]]):
        report.add(result)
    report.add(judged("gone.jpg", framed=0.9))
    report.end()
    told = data_of(tmp_path / "report.html")["explanations"]
    assert list(told) == ["framed"]
    assert list(told["framed"]) == ["0"]
    assert told["framed"]["0"]["text"]
    assert (tmp_path / told["framed"]["0"]["file"]).read_bytes().startswith(b"\xff\xd8")


def test_every_source_of_the_page_is_used():
    from qualipy.report.page import SCRIPTS, STYLE

    folder = Path(writing.__file__).parent / "page"
    assert {path.name for path in folder.iterdir()} == {*SCRIPTS, STYLE, "report.html.j2"}
