"""Explanations that crash, hang or raise: each costs its own drawing, in a page and alone."""

from __future__ import annotations

import json
import re
import signal
import time

import pytest

from qualipy.explaining.apart import Artists, Order
from qualipy.report import Origin, Report
from qualipy_core import Explanation, Filter, Image, scan
from qualipy_core.errors import FilterError, WorkerDiedError
from qualipy_core.limits import Limits
from qualipy_core.testing import sample_images

TROUBLE = """
    import os
    import signal
    import time

    import numpy as np

    from qualipy_core import Explanation, Filter
    from qualipy_core.explanation import Mask


    class Shows(Filter):
        \"\"\"Flags every photo, and shows all of it.\"\"\"

        name = "shows"

        def measure(self, image):
            return 1.0

        def explain(self, image):
            if "dark" in image.name:
                self.go_wrong()
            return Explanation("All of it.", (Mask(np.ones((2, 2), bool), "all"),))

        def go_wrong(self):
            pass


    class Crashes(Shows):
        name = "crashes"

        def go_wrong(self):
            os.kill(os.getpid(), signal.SIGSEGV)


    class Hangs(Shows):
        name = "hangs"

        def go_wrong(self):
            time.sleep(1000)


    class Raises(Shows):
        name = "raises"

        def go_wrong(self):
            raise RuntimeError("boom")
"""

TOLD = {
    "crashes": "The process that drew crashes on {} died: it was ended by SIGSEGV",
    "hangs": "Drawing hangs on {} took longer than 2 seconds",
    "raises": "Filter raises (trouble 1.0) could not explain itself: RuntimeError: boom",
}


@pytest.fixture
def trouble(site):
    """A pack whose filters show where, but for one photo."""
    points = {
        name.lower(): f"demo_trouble:{name}" for name in ("Shows", "Crashes", "Hangs", "Raises")
    }
    site.install("trouble", "1.0", {"qualipy.filters": points}, demo_trouble=TROUBLE)


def data_of(path):
    """The data in a page."""
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


@pytest.mark.parametrize("command", ["scan", "report"])
@pytest.mark.parametrize("name", TOLD)
def test_what_one_photo_does_to_a_filter_costs_that_drawing(
    program, trouble, photos, tmp_path, name, command
):
    if command == "scan":
        done = program(
            *("scan", "photos", "--filters", f"shows,{name}", "--time-limit", "2"),
            *("--report", "r.html", "--report-explain"),
        )
    else:
        program("scan", "photos", "--filters", f"shows,{name}", "-q", "-o", "run.jsonl")
        done = program("report", "run.jsonl", "-o", "r.html", "--explain", "--time-limit", "2")
    assert done.returncode == 0, done.stderr
    data = data_of(tmp_path / "r.html")
    dark = str(data["images"].index("photos/dark.png"))
    assert data["complete"]
    assert sorted(data["explanations"]["shows"]) == ["0", "1", "2"]
    assert {"0", "1", "2"} - set(data["explanations"][name]) == {dark}
    for told in data["explanations"].values():
        assert all((tmp_path / each["file"]).is_file() for each in told.values())
    said = done.stderr.decode()
    assert "One picture of where a filter sees it could not be drawn." in said
    assert TOLD[name].format("photos/dark.png") in said
    assert "Traceback" not in said


@pytest.mark.parametrize("name", TOLD)
def test_drawn_alone_it_is_an_error_of_one_line(program, trouble, photos, tmp_path, name):
    done = program("explain", name, "photos/dark.png", "-o", "why.png", "--time-limit", "2")
    assert done.returncode == 1
    assert TOLD[name].format("photos/dark.png") in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert not (tmp_path / "why.png").exists()


def test_of_several_filters_the_others_are_drawn(program, trouble, photos, tmp_path):
    done = program(
        *("explain", "crashes,hangs,raises,shows", "photos/dark.png", "-o", "why"),
        *("--time-limit", "2"),
    )
    assert done.returncode == 1
    assert [path.name for path in (tmp_path / "why").iterdir()] == ["dark.shows.png"]
    for told in TOLD.values():
        assert told.format("photos/dark.png") in done.stderr.decode()


def test_limits_hold_for_what_is_drawn(program, trouble, photos, tmp_path):
    done = program("explain", "shows", "photos/dark.png", "-o", "why.png", "--max-pixels", "99")
    assert done.returncode == 1
    assert b"the limit is" in done.stderr
    assert not (tmp_path / "why.png").exists()


def test_a_filter_that_hangs_on_every_photo_is_not_asked_for_ever(
    program, trouble, photos, tmp_path, paint
):
    for number in range(12):
        paint(photos / f"dark{number}.png", number)
    done = program(
        *("scan", "photos", "-j", "1", "--filters", "hangs", "--time-limit", "1"),
        *("--report", "r.html", "--report-explain"),
    )
    assert done.returncode == 0, done.stderr
    assert b"14 pictures of where a filter sees it could not be drawn. The first: " in done.stderr
    assert b"No more of hangs were tried." in done.stderr


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_does_not_wait_for_a_drawing_that_hangs(program, trouble, photos, tmp_path, jobs):
    process = program.start(
        *("scan", "photos", "-j", jobs, "--filters", "hangs", "--time-limit", "1000"),
        *("-o", "run.jsonl", "--report", "r.html", "--report-explain"),
    )
    lines = tmp_path / "run.jsonl"
    while not lines.exists() or lines.read_bytes().count(b"\n") < 3:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130, told
    data = data_of(tmp_path / "r.html")
    assert len(data["images"]) == 3
    assert len(data["explanations"].get("hangs", {})) < 3


class Whole(Filter):
    """Flags every photo."""

    name = "whole"

    def measure(self, image: Image) -> float:
        return 1.0

    def explain(self, image: Image) -> Explanation:
        return Explanation("The whole photo.")


def test_from_python_all_is_drawn_when_the_page_is_there(tmp_path, photos):
    names = [str(path) for path in sorted(photos.glob("*.png"))]
    report = Report(tmp_path / "r.html", Origin({"whole": Whole()}), explain=True)
    for result in scan(names, [Whole()]):
        report.add(result)
    report.end()
    assert len(data_of(tmp_path / "r.html")["explanations"]["whole"]) == len(names) == 2


def test_what_cannot_go_to_a_process_is_told_as_the_filter_s(photos):
    class Local(Whole):
        """Cannot be pickled."""

        name = "local"

    answers = []
    artists = Artists(1)
    artists.take(Order(Local(), str(photos / "dark.png")), answers.append)
    assert isinstance(answers[0], FilterError)
    assert "cannot be sent to a process" in str(answers[0])


class Names(Whole):
    """Says which photo it has seen."""

    name = "names"

    def explain(self, image: Image) -> Explanation:
        return Explanation(image.name)


def _not_there() -> Filter:
    raise ModuleNotFoundError("No module named 'not_there'")


class NotThere(Names):
    """Of a pack that no other process finds."""

    name = "not_there"

    def __reduce__(self):
        return _not_there, ()


def test_a_filter_that_the_child_does_not_find_leaves_the_next_pictures_their_own(photos):
    names = [str(photos / name) for name in ("dark.png", "bright.png", "more/night.png")]
    answers = []
    artists = Artists(1)
    try:
        artists.take(Order(NotThere(), names[0]), answers.append)
        for name in names:
            artists.take(Order(Names(), name), answers.append)
        artists.catch_up(lambda: False, rest=True)
    finally:
        artists.close()
    assert isinstance(answers[0], FilterError)
    assert "No module named 'not_there'" in str(answers[0])
    assert [answer.picture.summary for answer in answers[1:]] == names


def test_artists_draw_whatever_order_the_answers_come_in(tmp_path):
    from sample_filters import write_image

    names = []
    for name, pixels in list(sample_images().items())[:6]:
        names.append(str(tmp_path / f"{name}.png"))
        write_image(names[-1], pixels)
    drawn = {}
    artists = Artists(2)
    try:
        for name in names:
            artists.take(
                Order(Whole(), name), lambda answer, name=name: drawn.update({name: answer})
            )
        artists.catch_up(lambda: False, rest=True)
    finally:
        artists.close()
    assert drawn.keys() == set(names)
    assert all(each.picture.summary == "The whole photo." for each in drawn.values())


def test_a_photo_that_is_gone_is_its_own_error(photos):
    answers = []
    artists = Artists(1)
    try:
        for name in ("gone.png", "dark.png"):
            order = Order(Whole(), str(photos / name), limits=Limits(time_limit=60))
            artists.take(order, answers.append)
        artists.catch_up(lambda: False, rest=True)
    finally:
        artists.close()
    assert isinstance(answers[0], OSError)
    assert not isinstance(answers[0], WorkerDiedError)
    assert answers[1].picture.data.startswith(b"\xff\xd8")
