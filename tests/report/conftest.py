"""Reports of made-up results, and a real browser to open them in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser import Browser, Page
from sample_reports import FILTERS

from qualipy.report import Origin, Report

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a report of results, and return the page."""

    def write(
        results: object, *, name: str = "report.html", thumbnails: str = "auto", **origin: object
    ) -> Path:
        results = list(results)
        measured = {name for result in results for name in (*result.predictions, *result.failures)}
        filters = {name: item for name, item in FILTERS.items() if name in measured}
        known = {"filters": filters, "paths": ["photos"], "folder": str(tmp_path), **origin}
        report = Report(tmp_path / name, Origin(**known), thumbnails=thumbnails)
        report.begin()
        for result in results:
            report.add(result)
        report.end()
        return tmp_path / name

    return write


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests."""
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page; in the end, nothing must have gone wrong in it, and nothing been asked for."""
    page = browser.page()
    yield page
    # Looking for a photo that is no longer there is no problem of the page.
    problems = [text for text in page.problems if "ERR_FILE_NOT_FOUND" not in text]
    dialogs = list(page.dialogs)
    asked = [url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))]
    page.close()
    assert not problems
    assert not dialogs
    assert not asked


@pytest.fixture
def look(make: Make, page: Page) -> Callable[..., Page]:
    """Write a report of results and open it."""

    def open_(results: object, **options: object) -> Page:
        page.open(make(results, **options))
        page.wait("document.documentElement.dataset.ready")
        page.frame()
        return page

    return open_
