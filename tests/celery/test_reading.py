"""What a worker reads: files by the client's paths, URLs, and nothing outside its image roots."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from celery_client import connect, disconnect
from sample_files import encode
from web_server import web_server

from qualipy_celery import process_image, submit
from qualipy_core import plugins, scan
from qualipy_core.errors import ImageForbiddenError, ImageReadError, ParameterValueError

pytestmark = pytest.mark.usefixtures("stand_ins", "_client")


@pytest.fixture
def _client(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    yield
    disconnect()


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The client's folder, with a photo; the worker works in another one."""
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(encode(".jpg"))
    (tmp_path / "secret.jpg").write_bytes(encode(".jpg"))
    monkeypatch.chdir(folder)
    return folder


def judged(images, filters=("mean",), **options):
    return {result.image: result for result in submit(images, filters, **options)}


def test_photos_behind_urls_are_read_by_the_worker(shared_redis, start_workers, folder):
    start_workers(shared_redis.url, environment={"no_proxy": "*"})
    connect(shared_redis.url)
    with web_server() as server:
        server.pages["/a.jpg"] = encode(".jpg")
        good, gone = f"{server.url}/a.jpg", f"{server.url}/gone.jpg"
        results = judged(["a.jpg", good, gone])
        assert results[good].predictions == results["a.jpg"].predictions
        assert isinstance(results[gone].error, ImageReadError)
        (local,) = scan([good], ["mean"])
        assert local.predictions == results[good].predictions


def test_a_worker_reads_nothing_outside_its_roots(shared_redis, start_workers, folder, tmp_path):
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    with web_server() as server:
        server.pages["/in/a.jpg"] = server.pages["/out/a.jpg"] = encode(".jpg")
        roots = json.dumps([str(folder), f"{server.url}/in"])
        start_workers(shared_redis.url, environment={"QUALIPY_IMAGE_ROOTS": roots, "no_proxy": "*"})
        connect(shared_redis.url)
        inside = ["a.jpg", str(folder / "a.jpg"), f"{server.url}/in/a.jpg"]
        outside = [
            "../secret.jpg",
            str(tmp_path / "secret.jpg"),
            "link.jpg",
            "/etc/passwd",
            "/no/such/file",
            f"file://{tmp_path}/secret.jpg",
            f"{server.url}/out/a.jpg",
            f"{server.url}/in/../out/a.jpg",
        ]
        results = judged([*inside, *outside])
        assert server.asked == ["/in/a.jpg"]
        assert not [image for image in inside if results[image].failed]
        for image in outside:
            assert isinstance(results[image].error, ImageForbiddenError), image
        with pytest.raises(ImageForbiddenError):
            process_image.delay(str(tmp_path / "secret.jpg"), ["mean"]).get(timeout=60)
        answer = process_image.delay(str(folder / "a.jpg"), ["mean"]).get(timeout=60)
        assert list(answer) == [str(folder / "a.jpg")]


def test_roots_of_the_client_hold_on_the_worker(shared_redis, start_workers, folder, tmp_path):
    start_workers(shared_redis.url)
    connect(shared_redis.url)
    secret = str(tmp_path / "secret.jpg")
    results = list(scan(["a.jpg", secret], ["mean"], executor="celery", image_roots=[folder]))
    assert [result.image for result in results] == ["a.jpg", secret]
    assert not results[0].failed
    assert isinstance(results[1].error, ImageForbiddenError)


def test_a_message_may_not_name_a_program_where_there_are_roots(
    shared_redis, start_workers, folder
):
    text = plugins.registry().get("text_detection")(tesseract_path="/bin/true")
    start_workers(shared_redis.url, environment={"QUALIPY_IMAGE_ROOTS": str(folder)})
    connect(shared_redis.url)
    (result,) = submit(["a.jpg"], [text, "mean"])
    assert list(result.predictions) == ["mean"]
    assert isinstance(result.failures["text_detection"], ParameterValueError)
    assert "QUALIPY_IMAGE_ROOTS" in str(result.failures["text_detection"])
