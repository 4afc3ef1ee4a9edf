"""The page of each built-in filter: made by a command, true, and small."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from qualipy_core import plugins

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "filters"
sys.path.insert(0, str(ROOT))

from tools import filter_pages  # noqa: E402
from tools.example_photos import EXAMPLES  # noqa: E402

CLASSES = {
    entry.name: entry
    for entry in plugins.find(plugins.FILTERS)
    if entry.distribution == filter_pages.PACK
}


def get(name):
    return plugins.registry().get(name)


def test_the_pages_are_what_the_command_makes_of_the_filters():
    found = list(filter_pages.stale())
    assert not found, f"run `python -m tools.filter_pages`: {found}"


@pytest.mark.parametrize("name", CLASSES)
def test_every_installed_built_in_filter_has_a_page_with_every_part(name):
    page = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    for title in ("How to read it", "Where it fails", "How it works", "Sources", "Parameters"):
        assert f"\n## {title}\n" in page, f"the docstring of {name} lacks what makes {title!r}"
    assert "``" not in page.replace("```", "")
    for parameter in ("threshold", "invert_threshold", "comparison"):
        assert f"| `{parameter}` |" in page


@pytest.mark.parametrize("name", sorted(EXAMPLES.keys() & CLASSES.keys()))
def test_the_photo_of_a_page_is_flagged_by_its_filter(name):
    assert get(name)().predict(EXAMPLES[name].make())


@pytest.mark.parametrize("name", sorted(EXAMPLES.keys() & CLASSES.keys()))
def test_the_picture_of_a_page_is_small_and_shows(name):
    path = FOLDER / f"{name}.webp"
    assert path.stat().st_size < filter_pages.LARGEST
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    assert min(pixels.shape[:2]) > 200
    page = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert f"]({name}.webp)" in page
    assert EXAMPLES[name].caption in page


def test_what_is_out_of_date_is_told(tmp_path):
    folder, table = tmp_path / "filters", tmp_path / "filters.md"
    shutil.copyfile(FOLDER.with_suffix(".md"), table)
    filter_pages.write(folder, table)
    assert not list(filter_pages.stale(folder, table))
    (folder / "exposure.md").write_text("old")
    (folder / "framed.md").unlink()
    (folder / "hdr.webp").unlink()
    (folder / "gone.md").write_text("of a filter that is no more")
    table.write_text(table.read_text(encoding="utf-8").replace("`hdr`", "hdr"), encoding="utf-8")
    assert list(filter_pages.stale(folder, table)) == [
        "exposure.md is out of date",
        "framed.md is missing",
        "hdr.webp is missing",
        "the table of filters.md is out of date",
        "gone.md is of no built-in filter",
    ]


def test_a_docstring_falls_into_its_sections():
    found = filter_pages.sections(
        """Photos of something.

        More of it,
        in two lines.

        Parameters
        ----------
        threshold : float
            It.

        Warnings
        --------
        Fails often.

        References
        ----------
        One, doi:10.1/a(2)b.
        Two.
        """
    )
    assert found["Summary"] == "Photos of something."
    assert found["Extended"] == "More of it,\nin two lines."
    assert found["Warnings"] == "Fails often."
    assert set(found) == {"Summary", "Extended", "Parameters", "Warnings", "References"}


def test_every_source_that_has_a_doi_is_linked():
    for path in FOLDER.glob("*.md"):
        text = path.read_text(encoding="utf-8")
        for doi in re.findall(r"(?<!\[)\bdoi:10\.\S+", text):
            pytest.fail(f"{path.name} has a bare {doi}")
