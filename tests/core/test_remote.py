"""Photos behind URLs: over real connections to a server of this machine, and in fsspec's memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid

import fsspec
import numpy as np
import pytest
from sample_files import encode
from sample_filters import Brightness
from web_server import web_server

from qualipy_core import hookimpl, hooks, image, plugins, process, remote, scan
from qualipy_core.errors import (
    ImageForbiddenError,
    ImageReadError,
    ImageTooLargeError,
    MissingLibraryError,
)
from qualipy_core.limits import Limits
from qualipy_core.roots import Roots

PHOTO = encode(".jpg")
SECRET = "sig=secret"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server():
    with web_server() as server:
        server.pages = {
            "/photos/a.jpg": PHOTO,
            "/other/b.jpg": PHOTO,
            "/photos/empty.jpg": b"",
            "/photos/text.jpg": b"no photo",
            "/photos/a%20b%2Fc.jpg": PHOTO,
        }
        yield server


@pytest.fixture
def memory():
    """A folder of fsspec's memory, as a URL, with two photos in it."""
    system = fsspec.filesystem("memory")
    folder = f"/{uuid.uuid4().hex}"
    system.pipe({f"{folder}/a.jpg": PHOTO, f"{folder}/below/empty.jpg": b""})
    yield f"memory:/{folder}"
    system.rm(folder, recursive=True)


def error_of(source, **options):
    (result,) = scan([source], [Brightness()], **options)
    assert isinstance(result.error, ImageReadError | ImageForbiddenError | None)
    return result.error


def test_a_photo_behind_a_url_is_judged_as_the_file_is(server, memory, tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(PHOTO)
    sources = [str(path), f"{server.url}/photos/a.jpg", f"{memory}/a.jpg"]
    answers = process(sources, [Brightness()], return_predictions=True)
    assert list(answers) == sources
    assert len({tuple(answer.items()) for answer in answers.values()}) == 1


def test_it_takes_one_request(server):
    url = f"{server.url}/photos/a.jpg"
    list(scan([url, url], [Brightness()], ROIs=[(0, 0, 50, 50), None]))
    assert server.asked == ["/photos/a.jpg"] * 2


def test_workers_open_urls_also_when_this_process_has(server):
    urls = [f"{server.url}/photos/a.jpg", f"{server.url}/photos/missing.jpg"] * 4
    for jobs in (1, 2, 1):
        results = list(scan(urls, [Brightness()], jobs=jobs))
        assert [result.failed for result in results] == [False, True] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_makes_connections_of_its_own(server):
    url = f"{server.url}/photos/a.jpg"
    assert error_of(url) is None
    child = os.fork()
    if child == 0:
        os._exit(0 if error_of(url) is None else 1)
    deadline = time.monotonic() + 20
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, 9)
        time.sleep(0.01)
    assert ended[1] == 0
    assert error_of(url) is None


@pytest.mark.parametrize(
    ("page", "why"),
    [
        ("/photos/missing.jpg", "nothing of that name"),
        ("/status/410", "nothing of that name"),
        ("/status/401", "credentials"),
        ("/status/403", "credentials"),
        ("/status/500", "the server answers 500 Internal Server Error"),
        ("/status/204", "the server answers 204"),
        ("/photos/empty.jpg", "is empty"),
        ("/photos/text.jpg", "is not an image"),
        ("/short", "ClientPayloadError"),
    ],
)
def test_what_a_server_cannot_give_is_that_images_error(server, page, why):
    bad, good = scan([f"{server.url}{page}?{SECRET}", f"{server.url}/photos/a.jpg"], [Brightness()])
    assert isinstance(bad.error, ImageReadError)
    assert why in str(bad.error)
    assert good.error is None


@pytest.mark.parametrize(
    "page", ["/photos/missing.jpg", "/status/500", "/short", "/photos/empty.jpg"]
)
def test_no_error_shows_the_query_of_a_url(server, page):
    error = error_of(f"{server.url}{page}?{SECRET}")
    while error is not None:
        assert "secret" not in str(error)
        error = error.__cause__


def test_an_address_is_asked_for_to_the_letter(server):
    assert error_of(f"{server.url}/photos/a%20b%2Fc.jpg?a=%2B%2f") is None
    assert server.asked == ["/photos/a%20b%2Fc.jpg?a=%2B%2f"]


def test_nobody_listening_is_that_images_error():
    with web_server() as gone:
        url = gone.url
    assert "Cannot connect" in str(error_of(f"{url}/a.jpg"))


def test_a_server_that_hangs_costs_its_photo_and_little_time(server, monkeypatch):
    monkeypatch.setattr(remote, "SILENCE", 0.2)
    remote._web.cache_clear()
    began = time.monotonic()
    assert "has not come in time" in str(error_of(f"{server.url}/hang"))
    assert time.monotonic() - began < 10
    assert error_of(f"{server.url}/photos/a.jpg") is None
    remote._web.cache_clear()


def test_a_server_that_never_ends_is_left_in_time(server, monkeypatch):
    monkeypatch.setattr(remote, "ALTOGETHER", 0.3)
    remote._web.cache_clear()
    assert "has not come in time" in str(error_of(f"{server.url}/endless"))
    remote._web.cache_clear()


def test_no_more_is_read_than_an_image_may_have(server, monkeypatch):
    monkeypatch.setenv("QUALIPY_MAX_BYTES", "100000")
    assert isinstance(error_of(f"{server.url}/endless"), ImageTooLargeError)
    assert server.sent < 20_000_000  # what the system's buffers hold is sent in vain


def test_what_is_announced_as_too_large_is_not_read(server, memory, monkeypatch):
    monkeypatch.setenv("QUALIPY_MAX_BYTES", str(len(PHOTO) - 1))
    for url in (f"{server.url}/photos/a.jpg", f"{memory}/a.jpg"):
        assert isinstance(error_of(url), ImageTooLargeError)
    monkeypatch.setenv("QUALIPY_MAX_BYTES", str(len(PHOTO)))
    for url in (f"{server.url}/photos/a.jpg", f"{memory}/a.jpg"):
        assert error_of(url) is None


class TestRedirects:
    def test_they_are_followed(self, server):
        assert error_of(f"{server.url}/to?/to?/photos/a.jpg") is None
        assert len(server.asked) == 3

    def test_not_for_ever(self, server):
        url = f"{server.url}/" + "to?/" * 20 + "photos/a.jpg"
        assert "more than 5 times" in str(error_of(url))

    @pytest.mark.parametrize(
        "target", ["file:///etc/passwd", "ftp://host/a.jpg", "memory://a.jpg", "http:///", "::"]
    )
    def test_they_do_not_lead_out_of_the_web(self, server, target):
        assert isinstance(error_of(f"{server.url}/to?{target}"), ImageReadError)

    def test_they_do_not_bring_passwords(self, server):
        error = error_of(f"{server.url}/to?http://user:secret@127.0.0.1/a.jpg")
        assert "password" in str(error)
        assert "secret" not in str(error)

    def test_they_do_not_leave_a_safe_connection(self):
        with pytest.raises(ImageReadError, match="safe connection"):
            remote._check_redirect("https://a/b", "https://a/b", "http://a/b", Roots())

    def test_they_do_not_leave_the_image_roots(self, server):
        with web_server() as other:
            other.pages = {"/photos/a.jpg": PHOTO}
            roots = [f"{server.url}/photos", f"{server.url}/to"]
            for target in ("/other/b.jpg", "/photos/../other/b.jpg", f"{other.url}/photos/a.jpg"):
                error = error_of(f"{server.url}/to?{target}", image_roots=roots)
                assert isinstance(error, ImageForbiddenError)
                assert target not in str(error)
            assert other.asked == []
        assert not [page for page in server.asked if not page.startswith("/to")]
        assert error_of(f"{server.url}/to?/photos/a.jpg", image_roots=roots) is None


def test_the_image_roots_hold_before_anything_is_asked(server):
    roots = [f"{server.url}/photos"]
    assert error_of(f"{server.url}/photos/a.jpg?{SECRET}", image_roots=roots) is None
    for page in ("other/b.jpg", "photos/%2e%2e/other/b.jpg", "photos2/a.jpg"):
        assert isinstance(error_of(f"{server.url}/{page}", image_roots=roots), ImageForbiddenError)
    assert server.asked == [f"/photos/a.jpg?{SECRET}"]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("file:///etc/hostname", "give its path"),
        ("LOCAL:///etc/hostname", "give its path"),
        ("zip://a.jpg::https://host/a.zip", "a chain of URLs"),
        ("simplecache::https://host/a.jpg", "cannot be opened"),
        ("https://user:secret@host/a.jpg", "credentials"),
        ("https://secret@host/a.jpg", "credentials"),
        ("sftp://user:secret@host/a.jpg", "credentials"),
        ("no-such-protocol://host/a.jpg", "neither a pack nor fsspec knows no-such-protocol://"),
    ],
)
def test_what_is_not_opened_says_why(url, why):
    error = error_of(url)
    assert isinstance(error, ImageReadError)
    assert why in str(error)
    assert "secret" not in str(error)


def test_what_memory_lacks_is_that_images_error(memory):
    assert "nothing of that name" in str(error_of(f"{memory}/no.jpg"))
    assert "is empty" in str(error_of(f"{memory}/below/empty.jpg"))
    assert isinstance(error_of(f"{memory}/below"), ImageReadError)


def test_a_library_that_hangs_is_left_alone(memory, monkeypatch):
    monkeypatch.setattr(remote, "ALTOGETHER", 0.1)
    system = type(fsspec.filesystem("memory"))
    monkeypatch.setattr(system, "open", lambda *_args: time.sleep(1))
    assert "has not come in time" in str(error_of(f"{memory}/a.jpg"))


def test_other_sources_are_none_of_its_business(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd:").mkdir()
    (tmp_path / "odd:" / "a.jpg").write_bytes(PHOTO)
    assert error_of("odd://a.jpg") is None
    for source in ("a.jpg", "/a.jpg", "a:b.jpg", "://", "1://a", "a b://c", "\0://"):
        assert hooks.qualipy_open_source(source, Roots(), Limits().in_force()) is None


def test_a_pack_that_opens_the_same_urls_comes_first(install_pack):
    source = """
from qualipy_core import hookimpl
import numpy as np

@hookimpl
def qualipy_open_source(source):
    return np.full((8, 8, 3), 255, np.uint8) if source.startswith("https://") else None
"""
    install_pack("zzz-pack", source, {plugins.HOOKS: {"zzz": "zzz_pack"}})
    asked = [entry.distribution for entry, _ in plugins.hooks().callers("qualipy_open_source")]
    assert asked[-1] == "qualipy-core"
    assert error_of("https://host.invalid/a.jpg") is None


def test_packs_are_asked_in_the_order_of_their_marks_then_of_their_names():
    class Hook:
        @hookimpl
        def qualipy_result(self):
            pass

    class First(Hook):
        @hookimpl(tryfirst=True)
        def qualipy_result(self):
            pass

    class Last(Hook):
        @hookimpl(trylast=True)
        def qualipy_result(self):
            pass

    everybody = plugins.Hooks()
    for name, plugin in {"a": Last(), "b": Hook(), "d": First(), "c": Hook(), "e": First()}.items():
        everybody.add(plugin, plugins.Entry(name, name, "0", name, plugins.HOOKS))
    assert "".join(entry.name for entry, _ in everybody.callers("qualipy_result")) == "debca"


def test_it_can_be_switched_off(server, monkeypatch):
    monkeypatch.setenv("QUALIPY_DISABLE", "qualipy-core:remote")
    plugins.refresh()
    assert "No such file" in str(error_of(f"{server.url}/photos/a.jpg"))
    assert server.asked == []


@pytest.mark.parametrize(
    ("missing", "url", "advice"),
    [
        ("fsspec", "https://host/a.jpg", 'pip install "qualipy-core[remote]"'),
        ("aiohttp", "https://host/a.jpg", 'pip install "qualipy-core[remote]"'),
        ("fsspec", "s3://bucket/a.jpg", 'pip install "qualipy-core[remote]"'),
        ("s3fs", "s3://bucket/a.jpg", "s3:// needs s3fs"),
        ("paramiko", "sftp://host/a.jpg", "sftp:// needs paramiko"),
    ],
)
def test_a_library_that_is_missing_is_named(monkeypatch, missing, url, advice):
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    if missing == "paramiko":
        monkeypatch.delitem(sys.modules, "fsspec.implementations.sftp", raising=False)
    remote._web.cache_clear()
    remote._file_system.cache_clear()
    error = error_of(url)
    assert advice in str(error)
    assert isinstance(error.__cause__, MissingLibraryError)


def test_nothing_of_it_is_imported_before_the_first_url(photo):
    code = (
        "import sys\n"
        "from qualipy_core import scan\n"
        f"assert next(scan({photo!r}, ['exposure'])).error is None\n"
        "assert 'qualipy_core.hooks' in sys.modules\n"
        "print(sorted({'fsspec', 'aiohttp', 'asyncio', 'qualipy_core.remote'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_picture_of_a_url_has_the_size_of_its_pixels(server):
    opened = image.Image(f"{server.url}/photos/a.jpg")
    assert opened.size == (211, 150)
    assert np.array_equal(opened.pixels(), image.Image(PHOTO).pixels())
