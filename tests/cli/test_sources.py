"""What the paths on a command line mean."""

from __future__ import annotations

import io
import os
import sys
from types import SimpleNamespace

import pytest

from qualipy.cli.sources import Sources


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (
        "t/b.JPG",
        "t/a.png",
        "t/notes.txt",
        "t/.hidden.png",
        "t/.git/c.png",
        "t/c/2.webp",
        "t/c/10.webp",
        "t/d[1].png",
    ):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb"):
            pass
    return tmp_path


def found(*paths, **options):
    problems = []
    sources = Sources(paths, **options)
    images = list(sources.images(lambda path, error: problems.append(path)))
    assert "-" in paths or sources.count() == len(images)
    assert not problems
    return images


def give(monkeypatch, data):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))


def test_a_folder_is_walked_in_the_order_of_names_without_what_is_hidden(tree):
    assert found("t") == ["t/a.png", "t/b.JPG", "t/c/10.webp", "t/c/2.webp", "t/d[1].png"]


def test_a_hidden_folder_that_is_named_is_walked(tree):
    assert found("t/.git") == ["t/.git/c.png"]


def test_a_named_file_is_taken_whatever_its_suffix(tree):
    assert found("t/notes.txt", "t/.hidden.png") == ["t/notes.txt", "t/.hidden.png"]


def test_more_suffixes_can_be_taken_from_folders(tree):
    assert "t/notes.txt" in found("t", suffixes=["TXT"])
    assert "t/notes.txt" in found("t", suffixes=[".txt"])


def test_a_missing_file_is_handed_on(tree):
    assert found("gone.jpg", "s3://bucket/*.jpg") == ["gone.jpg", "s3://bucket/*.jpg"]


def test_a_pattern_is_what_a_shell_makes_of_it(tree):
    assert found("t/*.png") == ["t/a.png", "t/d[1].png"]
    assert found("t/c*") == ["t/c/10.webp", "t/c/2.webp"]
    assert found("t/**/*.webp") == ["t/c/10.webp", "t/c/2.webp"]
    assert found("t/**").count("t/c/2.webp") == 1
    assert found("nothing/*.png") == ["nothing/*.png"]


def test_an_existing_file_is_no_pattern(tree):
    assert found("t/d[1].png") == ["t/d[1].png"]


def test_a_list_has_a_path_a_line(tree, monkeypatch):
    give(monkeypatch, b"t/a.png\r\n\nt/c\ngone \xff.jpg")
    images = found("-")
    assert images == ["t/a.png", "t/c/10.webp", "t/c/2.webp", os.fsdecode(b"gone \xff.jpg")]


def test_a_list_may_be_separated_by_nul(tree, monkeypatch):
    give(monkeypatch, b"with\nnewline.jpg\0t/a.png\0")
    assert found("-", null=True) == ["with\nnewline.jpg", "t/a.png"]


def test_a_list_is_read_as_it_comes(monkeypatch):
    class Slow:
        chunks = iter([b"a.jp", b"g\nb.jpg\nc", b""])

        def read1(self, size):
            return next(self.chunks)

        read = read1

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Slow()))
    images = Sources(["-"]).images(lambda path, error: None)
    assert next(images) == "a.jpg"
    assert list(images) == ["b.jpg", "c"]


def test_a_link_that_leads_back_is_not_followed(tree):
    os.symlink(tree / "t", tree / "t" / "c" / "loop.png")
    os.symlink(tree / "t", tree / "t" / "c" / "loop")
    assert len(found("t")) == 5


def test_a_link_that_leads_nowhere_is_not_passed_over(tree):
    os.symlink("gone.png", tree / "t" / "link.png")
    assert "t/link.png" in found("t")


def test_a_folder_that_cannot_be_listed_is_told(tree, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    problems = []
    assert list(Sources(["t"]).images(lambda path, error: problems.append((path, error)))) == []
    assert [path for path, _ in problems] == ["t"]


def test_a_link_to_itself_is_one_error_and_not_the_end(invoke, photos):
    (photos / "self.png").symlink_to("self.png")
    result = invoke("scan", "photos", "--filters", "dark")
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 4
    assert result.stdout.count("error") == 1


def test_a_pattern_does_not_go_round_in_circles(invoke, photos):
    (photos / "more" / "up").symlink_to("..")
    result = invoke("scan", "photos/**/*.png", "--filters", "dark")
    assert len(result.stdout.splitlines()) == 3
