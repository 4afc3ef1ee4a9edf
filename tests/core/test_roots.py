"""Image roots: what a run may read, and what not, however it is spelt."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys

import numpy as np
import pytest
from sample_filters import Brightness, write_image

from qualipy_core import Image, hookimpl, process, process_request, scan
from qualipy_core.errors import ImageForbiddenError, ImageReadError, ImageRootsError
from qualipy_core.plan import Plan
from qualipy_core.roots import VARIABLE, Roots
from qualipy_core.testing import hooked, registered

links = pytest.mark.skipif(sys.platform == "win32", reason="links need privileges there")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with roots ``photos`` and ``scans``, and ``secret`` beside them."""
    tmp_path = tmp_path.resolve()
    for folder in ("photos", "photos/2024", "photos2", "scans", "secret"):
        (tmp_path / folder).mkdir()
        write_image(tmp_path / folder / "a.png", np.full((20, 30, 3), 200, np.uint8))
    (tmp_path / "secret" / "passwords.txt").write_text("no photo")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def outcome(source, **options):
    (result,) = scan([source], [Brightness()], **options)
    return result.error


def may_be_read(source, place):
    error = outcome(source, image_roots=[place / "photos", place / "scans"])
    assert error is None or isinstance(error, ImageForbiddenError), error
    return error is None


@pytest.mark.parametrize(
    "source",
    [
        "photos/a.png",
        "{place}/photos/a.png",
        "scans/a.png",
        "./photos/./2024//a.png",
        "photos/2024/../a.png",
        "photos/../scans/a.png",
        "../{name}/photos/a.png",
    ],
)
def test_a_path_below_a_root_is_read(source, place):
    assert may_be_read(source.format(place=place, name=place.name), place)


OUTSIDE = [
    "secret/{name}",
    "{place}/secret/{name}",
    "{place}/photos/../secret/{name}",
    "photos/2024/../../secret/{name}",
    "../{folder}/secret/{name}",
    "photos2/{name}",
    "photos/link/{name}",
    "photos/link/../secret/{name}",
    "photos/link.png",
    "photos/dangling.png",
    "photos/loop/../../secret/{name}",
    "secret/{name}/../../photos/a.png",
    "secret/no/such/../../../photos/a.png",
    "file://{place}/photos/a.png",
    "file:{place}/photos/a.png",
    "FILE:///{place}/photos/a.png",
    "local://{place}/photos/a.png",
    "photos/a.png::file://{place}/secret/{name}",
    "simplecache::{place}/secret/{name}",
    "https://host{place}/photos/a.png",
    "s3://bucket/photos/a.png",
    "/proc/self/cwd/secret/{name}",
    "/proc/self/root{place}/secret/{name}",
    "/dev/stdin",
    "~/{name}",
    "",
    ".",
    "..",
    "/",
    "photos/\0/../../secret/{name}",
    "photos/\ud800.png",
    "{long}",
]


@links
@pytest.mark.parametrize("name", ["a.png", "missing.png", "passwords.txt"])
@pytest.mark.parametrize("source", OUTSIDE)
def test_nothing_outside_is_read_nor_does_an_error_tell_whether_it_is_there(source, name, place):
    (place / "photos" / "link").symlink_to("../secret")
    (place / "photos" / "link.png").symlink_to(place / "secret" / "a.png")
    (place / "photos" / "dangling.png").symlink_to(place / "secret" / "missing.png")
    (place / "photos" / "loop").symlink_to("loop")
    words = {"place": place, "folder": place.name, "name": name, "long": "x/" * 5000}
    source = source.format(**words)
    error = outcome(source, image_roots=[place / "photos", place / "scans"])
    assert type(error) is ImageForbiddenError
    assert isinstance(error, PermissionError)
    assert error.image == source
    assert str(error) == (f"{source} may not be read: it is not below an image root of this run.")


@links
def test_links_are_followed_where_they_lead_into_a_root(place):
    (place / "secret" / "link.png").symlink_to(place / "photos" / "a.png")
    (place / "photos" / "scans").symlink_to(place / "scans")
    assert may_be_read("secret/link.png", place)
    assert may_be_read("photos/scans/a.png", place)


@links
def test_a_root_may_itself_be_a_link_or_a_file(place):
    (place / "current").symlink_to("photos")
    assert outcome("current/a.png", image_roots=["current"]) is None
    assert outcome("photos/a.png", image_roots=["current"]) is None
    assert outcome("photos/a.png", image_roots=["photos/a.png"]) is None
    assert isinstance(outcome("photos/2024/a.png", image_roots=["photos/a.png"]), PermissionError)


def test_the_root_of_the_file_system_allows_every_path_and_no_url(place):
    assert outcome("secret/a.png", image_roots=[os.path.abspath(os.sep)]) is None
    assert isinstance(outcome("https://host/a.jpg", image_roots=[os.sep]), ImageForbiddenError)


def test_what_is_missing_or_no_image_below_a_root_is_named_as_ever(place):
    for path, why in (("photos/no.png", "No such file"), ("photos", "is a folder")):
        error = outcome(path, image_roots=["photos"])
        assert isinstance(error, ImageReadError)
        assert why in str(error)


def test_no_root_at_all_allows_nothing(place):
    assert isinstance(outcome("photos/a.png", image_roots=[]), ImageForbiddenError)


def test_bytes_and_arrays_are_not_touched(place):
    data = (place / "photos" / "a.png").read_bytes()
    assert outcome(data, image_roots=[]) is None
    assert outcome(np.zeros((8, 8, 3), np.uint8), image_roots=[]) is None
    assert outcome(Image(data, name="/etc/passwd"), image_roots=[]) is None


def test_an_image_of_a_path_is_judged_by_its_path_whatever_it_is_called(place):
    image = Image("secret/a.png", name="photos/a.png")
    image.pixels()
    error = outcome(image, image_roots=["photos"])
    assert isinstance(error, ImageForbiddenError)
    assert error.image == "photos/a.png"
    assert image.size == (30, 20)


def test_an_image_keeps_its_roots_on_the_way_to_another_process(place):
    image = Image("secret/a.png", roots=Roots.of_run(["photos"]))
    with pytest.raises(ImageForbiddenError):
        _ = pickle.loads(pickle.dumps(image)).size
    assert isinstance(outcome(image), ImageForbiddenError)
    allowed = Image("photos/a.png", roots=Roots.of_run(["photos"]))
    assert pickle.loads(pickle.dumps(allowed)).size == (30, 20)
    assert isinstance(outcome(allowed, image_roots=["scans"]), ImageForbiddenError)


def test_a_region_of_a_forbidden_image_is_forbidden_before_its_size_is_told(place):
    (result,) = scan(["secret/a.png"], [Brightness()], [(0, 0, 999, 999)], image_roots=["photos"])
    assert isinstance(result.error, ImageForbiddenError)


def test_workers_keep_to_the_roots(place):
    sources = ["photos/a.png", "secret/a.png", "secret/missing.png", "scans/a.png"] * 3
    for jobs in (1, 2):
        results = scan(sources, [Brightness()], jobs=jobs, image_roots=["photos", "scans"])
        refused = [isinstance(r.error, ImageForbiddenError) for r in results]
        assert refused == [False, True, True, False] * 3


def test_a_prediction_does_not_depend_on_the_roots(place):
    (free,) = scan(["photos/a.png"], [Brightness()])
    (bound,) = scan(["photos/a.png"], [Brightness()], image_roots=["photos"])
    assert free.predictions == bound.predictions


@links
@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="the system does not tell")
def test_a_link_that_is_swapped_between_the_look_and_the_opening_is_found_out(place, monkeypatch):
    roots = Roots.of_run(["photos"])
    check = Roots.check

    def swapped(self, source, name=None):
        check(self, source, name)
        os.unlink("photos/a.png")
        os.symlink(place / "secret" / "passwords.txt", "photos/a.png")

    monkeypatch.setattr(Roots, "check", swapped)
    with pytest.raises(ImageForbiddenError):
        roots.open("photos/a.png")


@links
def test_a_folder_that_is_swapped_for_a_link_while_a_run_goes_on_is_found_out(place):
    def sources():
        yield "photos/2024/a.png"
        shutil.rmtree("photos/2024")
        os.symlink(place / "secret", "photos/2024")
        yield "photos/2024/a.png"

    before, after = scan(sources(), [Brightness()], image_roots=["photos"])
    assert before.error is None
    assert isinstance(after.error, ImageForbiddenError)


def test_process_and_requests_keep_to_the_roots(place):
    with pytest.raises(ImageForbiddenError):
        process(["photos/a.png", "secret/a.png"], [Brightness()], image_roots=["photos"])
    request = {"images": {"secret/a.png": None}, "filters": {"brightness": {}}}
    with registered(Brightness):
        assert process_request(request) == {"secret/a.png": False}
        with pytest.raises(ImageForbiddenError):
            process_request(request, image_roots=["photos"])
        with pytest.raises(ImageForbiddenError):  # trust is about filters' files
            process_request(request, image_roots=["photos"], trusted=True)


class Opener:
    """Opens everything."""

    def __init__(self):
        self.asked = []

    @hookimpl
    def qualipy_open_source(self, source):
        self.asked.append(source)
        return np.zeros((8, 8, 3), np.uint8)


def test_what_is_refused_is_not_shown_to_any_pack(place):
    opener = Opener()
    sources = ["https://host/photos/a.jpg", "https://host/b.jpg", "secret/a.png", "odd:photo"]
    with hooked(opener):
        results = list(scan(sources, [Brightness()], image_roots=["https://host/photos"]))
    assert opener.asked == ["https://host/photos/a.jpg"]
    assert [result.error is None for result in results] == [True, False, False, False]


def test_a_pack_can_ask_for_the_roots(place):
    class Archives:
        @hookimpl
        def qualipy_open_source(self, source, roots):
            with roots.open(source.partition("!")[0]) as file:
                return file.read()

    with hooked(Archives()):
        assert outcome("photos/a.png!x", image_roots=["photos"]) is None
        os.symlink(place / "secret" / "a.png", "photos/b.png")
        assert isinstance(outcome("photos/b.png!x", image_roots=["photos"]), ImageForbiddenError)
        assert outcome("photos/b.png!x") is None


class TestTheVariable:
    def test_it_lists_folders_as_path_does(self, place, monkeypatch):
        monkeypatch.setenv(VARIABLE, f"photos{os.pathsep}{os.pathsep}{place / 'scans'}")
        assert outcome("photos/a.png") is None
        assert outcome("scans/a.png") is None
        assert isinstance(outcome("secret/a.png"), ImageForbiddenError)

    def test_it_may_be_json_which_urls_need(self, place, monkeypatch):
        roots = [f"odd{os.pathsep}name", "https://host:8080/photos"]
        monkeypatch.setenv(VARIABLE, json.dumps(roots))
        assert Roots.of_run().allow("https://host:8080/photos/a.jpg")
        assert not Roots.of_run().allow("https://host/photos/a.jpg")
        assert Roots.of_run().allow(f"./odd{os.pathsep}name/a.jpg")
        assert not Roots.of_run().allow("photos/a.png")

    def test_nothing_is_allowed_by_an_empty_array(self, place, monkeypatch):
        monkeypatch.setenv(VARIABLE, "[]")
        assert isinstance(outcome("photos/a.png"), ImageForbiddenError)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            os.pathsep,
            "https://host/photos",
            "/photos:https://host/photos",
            "[",
            "[1]",
            "[null]",
            '[""]',
            '["file:///photos"]',
            '["https://user@host/photos"]',
            '["https://host/photos?a=b"]',
            '["https://host/photos/../x"]',
            '["zip://a::https://host/photos"]',
        ],
    )
    def test_what_it_cannot_mean_ends_the_run_before_it_begins(self, text, place, monkeypatch):
        monkeypatch.setenv(VARIABLE, text)
        with pytest.raises(ImageRootsError, match=VARIABLE):
            scan("photos/a.png", [Brightness()])

    def test_an_argument_narrows_it_and_never_widens_it(self, place, monkeypatch):
        monkeypatch.setenv(VARIABLE, "photos")
        assert outcome("photos/2024/a.png", image_roots=["photos/2024"]) is None
        assert outcome("photos/2024/a.png", image_roots=[place]) is None
        assert isinstance(outcome("photos/a.png", image_roots=["photos/2024"]), PermissionError)
        assert isinstance(outcome("scans/a.png", image_roots=["scans"]), PermissionError)

    def test_it_is_read_once_per_run_and_by_plans_that_are_made_otherwise(self, place, monkeypatch):
        monkeypatch.setenv(VARIABLE, "photos")
        assert Plan(()).roots == Plan.make([]).roots == Roots(((str(place / "photos"),),))
        results = scan(["photos/a.png", "secret/a.png"], [Brightness()])
        monkeypatch.delenv(VARIABLE)
        assert [result.failed for result in results] == [False, True]
        assert not Plan(()).roots


@pytest.mark.parametrize("roots", ["photos", b"photos", 3, [3], [b"photos"], [""], ["a\0b"]])
def test_an_argument_that_is_no_list_of_roots_is_an_error_of_the_call(roots):
    with pytest.raises(ImageRootsError, match="image_roots"):
        scan([], [Brightness()], image_roots=roots)
