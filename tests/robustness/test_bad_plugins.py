"""Filters that misbehave harm their own prediction; the others stand, and it is said who it was."""

from __future__ import annotations

import sys
import time

import bad_filters
import pytest
from bad_filters import Segfaults, Talks, Threads
from sample_filters import Brightness

from qualipy_core import plugins, scan
from qualipy_core.errors import FilterError, WorkerDiedError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

FAILING = ("Raises", "Exits", "Recurses", "Hoards", "SaysNothing", "SaysText", "SaysNan", "Paints")


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("name", FAILING)
def test_a_filter_that_fails_harms_only_itself_and_is_named(name, jobs, photo):
    bad = getattr(bad_filters, name)()
    expected = Brightness().predict(photo, False)
    for result in scan([photo, photo], [bad, Brightness()], jobs=jobs):
        assert result.error is None
        assert result.predictions == {"brightness": expected}
        failure = result.failures[bad.name]
        assert isinstance(failure, FilterError)
        assert failure.filter == bad.name
        assert failure.image == photo
        assert bad.name in str(failure)
        assert photo in str(failure)


def test_the_distribution_of_a_failing_filter_is_named(photo, install_pack):
    source = (
        "from qualipy_core import Filter\n"
        "class Bad(Filter):\n    '''Bad.'''\n    name = 'bad'\n"
        "    def measure(self, image):\n        raise MemoryError\n"
    )
    install_pack("bad-pack", source, {plugins.FILTERS: {"bad": "bad_pack:Bad"}}, "3.1")
    (result,) = scan(photo, ["bad", Brightness()])
    assert (result.failures["bad"].distribution, result.failures["bad"].version) == (
        "bad-pack", "3.1",
    )  # fmt: skip
    assert "Filter bad (bad-pack 3.1) failed: MemoryError" in str(result.failures["bad"])
    assert "brightness" in result.predictions


def test_a_filter_that_crashes_takes_its_image_along_and_no_other(photo, tmp_path):
    results = list(scan([photo] * 3, [Brightness(), Segfaults()], jobs=2))
    assert all(isinstance(result.error, WorkerDiedError) for result in results)
    assert all("SIGSEGV" in str(result.error) for result in results)
    assert all(not result.failed for result in scan([photo] * 3, [Brightness()], jobs=2))


def test_a_thread_that_a_filter_leaves_behind_holds_no_run_up(photo):
    started = time.monotonic()
    assert not any(result.failed for result in scan([photo] * 4, [Threads()], jobs=2))
    assert time.monotonic() - started < 30


def test_what_a_filter_prints_is_no_part_of_the_results(photo, capfd):
    assert not any(result.failed for result in scan([photo] * 4, [Talks()], jobs=2))
    assert capfd.readouterr().out == ""
