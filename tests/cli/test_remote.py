"""URLs and image roots on the command line."""

from __future__ import annotations

import json

import pytest
from sample_files import encode
from web_server import web_server


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with web_server() as server:
        server.pages = {"/photos/a.jpg": encode(".jpg")}
        yield server


def scan(invoke, *args):
    result = invoke("scan", *args, "--filters", "dark", "-q", "--format", "jsonl")
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_url_is_scanned_like_a_path(invoke, server, photos, jobs):
    url = f"{server.url}/photos/a.jpg?size=[large]*"
    status, rows = scan(invoke, url, photos, f"{server.url}/photos/b.jpg", "--jobs", jobs)
    assert status == 1
    assert [row["image"] for row in rows][:1] == [url]
    assert [row.get("error", {}).get("type") for row in rows] == [None] * 4 + ["ImageReadError"]


def test_a_request_may_name_urls(invoke, server, tmp_path):
    url = f"{server.url}/photos/a.jpg"
    (tmp_path / "job.json").write_text(json.dumps({"images": {url: None}, "filters": {"dark": {}}}))
    assert json.loads(invoke("request", "job.json").stdout) == {url: True}


def test_the_image_roots_of_the_environment_hold(invoke, photos, monkeypatch, tmp_path):
    monkeypatch.setenv("QUALIPY_IMAGE_ROOTS", str(photos / "more"))
    status, rows = scan(invoke, photos)
    assert status == 1
    refused = [row["image"].rpartition("/")[2] for row in rows if "error" in row]
    assert refused == ["bright.png", "dark.png"]
    assert {row["error"]["type"] for row in rows if "error" in row} == {"ImageForbiddenError"}
    job = {"images": {str(photos / "dark.png"): None}, "filters": {"dark": {}}}
    (tmp_path / "job.json").write_text(json.dumps(job))
    result = invoke("request", "job.json")
    assert result.exit_code == 1
    assert "may not be read" in result.stderr


def test_image_roots_that_are_none_end_the_program_before_it_begins(invoke, photos, monkeypatch):
    monkeypatch.setenv("QUALIPY_IMAGE_ROOTS", "")
    result = invoke("scan", photos, "--filters", "dark")
    assert result.exit_code == 2
    assert "QUALIPY_IMAGE_ROOTS is empty" in result.stderr


def test_plugins_shows_the_hook_of_the_core(invoke, monkeypatch):
    monkeypatch.setenv("QUALIPY_DISABLE", "demo-pack,qualipy-filters-builtin")
    assert "qualipy-core" in invoke("plugins").stdout
    rows = json.loads(invoke("plugins", "--json").stdout)
    core = [row for row in rows if row["distribution"] == "qualipy-core"]
    assert [(row["kind"], row["name"], row["state"]) for row in core] == [
        ("hook", "remote", "loaded")
    ]


def test_plugins_says_what_brings_filters_where_there_are_none(invoke, monkeypatch):
    monkeypatch.setattr("qualipy_core.plugins.survey", list)
    assert "pip install qualipy-filters-builtin" in invoke("plugins").stdout
