"""What a person does with a report, in a real browser."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from sample_reports import FILTERS, HOSTILE, broken, judged, many, thumbnail, unreadable

from qualipy.cli.words import reason
from qualipy.filters import Exposure
from qualipy_core import Filter, Result, process_request

FEW = [
    judged("a/dark.jpg", exposure=0.9, framed=0.1),
    judged("a/pale.jpg", exposure=0.6, framed=0.0),
    judged("b/framed.jpg", exposure=0.1, framed=0.98),
    judged("b/good.jpg", exposure=0.2, framed=0.3),
    judged("c/fine.jpg", exposure=0.3, framed=0.45),
]


def names(page):
    """The photos in view, as they stand."""
    cards = "[...document.querySelectorAll('#photos .name')].map(e => e.textContent)"
    return [name.rpartition("/")[2] for name in page.run(cards)]


def counts(page):
    """The numbers beside the views, by label."""
    return dict(
        page.run(
            "[...document.querySelectorAll('.view')].map(e => [e.querySelector('.label').innerText,"
            " Number(e.querySelector('.number').innerText.replace(/,/g, ''))])"
        )
    )


def choose(page, label):
    """Go to a view by its label."""
    found = page.run(
        f"[...document.querySelectorAll('.view')].findIndex(e => e.querySelector('.label')"
        f".innerText === {json.dumps(label)})"
    )
    assert found >= 0, label
    page.run(f"document.querySelectorAll('.view')[{found}].click()")
    page.frame()


def drag_to(page, fraction, move=None):
    """Drag the handle of the histogram to a place of its scale."""
    left, _, width, _ = page.box(".histogram")
    x, y = page.middle(".handle")
    way = [((x + left + fraction * width) / 2, y), (left + fraction * width, y)]
    (move or page.drag)((x, y), way)
    page.frame()


def test_flagged_photos_stand_worst_first_with_their_reasons(look):
    page = look(FEW)
    assert names(page) == ["framed.jpg", "dark.jpg", "pale.jpg"]
    assert "framed\n0.98 > 0.5" in page.text("#photos .why")
    known = {"Flagged": 3, "Suitable": 2, "All photos": 5, "exposure": 2, "framed": 1}
    assert counts(page) == known


def test_the_words_of_a_reason_are_those_of_the_command_line(look):
    page = look(many(40))
    page.size(1280, 8000)
    choose(page, "All photos")
    told = page.run("[...document.querySelectorAll('#photos .card')].map(e => e.ariaLabel)")
    assert len(told) == 40
    for result in many(40):
        reasons = {reason(n, FILTERS[n], result.predictions[n]) for n in result.flagged}
        (label,) = (label for label in told if label.startswith(result.image))
        assert set(label.split(", ")[1:]) == reasons


@pytest.mark.parametrize("way", ["mouse", "finger"])
def test_dragging_a_threshold_judges_every_photo_again(look, way):
    page = look(FEW)
    choose(page, "exposure")
    assert page.text("#flags") == "2 photos"
    drag_to(page, 0.75, page.swipe if way == "finger" else None)
    assert float(page.run("document.querySelector('#threshold').value")) == pytest.approx(
        0.75, abs=0.02
    )
    assert page.text("#flags") == "1 photo"
    assert page.text("#changes").startswith("0 more, 1 fewer than in the run")
    assert counts(page)["Flagged"] == 2
    assert counts(page)["Suitable"] == 3
    assert names(page) == ["dark.jpg"]
    drag_to(page, 0.05, page.swipe if way == "finger" else None)
    assert page.text("#flags") == "5 photos"
    assert page.text("#changes") == (
        "3 more, 0 fewer than in the run; over all filters 2 more, 0 fewer"
    )
    page.click(".setting .link")
    assert page.text("#flags") == "2 photos"
    assert page.count("#changes") == 0


def test_a_click_on_the_histogram_moves_the_handle(look):
    page = look(FEW)
    choose(page, "exposure")
    left, top, width, _ = page.box(".histogram")
    page.drag((left + 0.25 * width, top + 60), ())
    page.frame()
    assert page.text("#flags") == "3 photos"


def test_the_handle_is_a_slider_for_the_keyboard(look):
    page = look(FEW)
    choose(page, "exposure")
    page.run("document.querySelector('.handle').focus()")

    def slider(name):
        return page.run(f"document.querySelector('[role=slider]').getAttribute('aria-{name}')")

    assert (slider("valuemin"), slider("valuenow"), slider("valuemax")) == ("0", "0.5", "1")
    page.press("ArrowRight")
    assert slider("valuenow") == "0.505"
    page.press("ArrowLeft", "ArrowLeft", shift=True)
    assert slider("valuenow") == "0.504"
    page.press("PageDown")
    assert float(slider("valuenow")) == pytest.approx(0.454, abs=0.005)
    page.press("End")
    assert (slider("valuenow"), page.text("#flags")) == ("1", "0 photos")
    assert page.text("#nothing") == "exposure flags no photo at this threshold."
    page.press("Home")
    assert slider("valuetext") == "0, flags 5 photos of 5"


def test_a_threshold_can_be_typed(look):
    page = look(FEW)
    choose(page, "exposure")
    for text, flagged in (("0.25", "3 photos"), ("0,1", "4 photos"), ("nonsense", "4 photos")):
        page.run("document.querySelector('#threshold').select()")
        page.type(text)
        page.press("Enter")
        assert page.text("#flags") == flagged


def test_filters_that_flag_what_lies_below_are_honoured(look):
    few = [judged(f"{value}.jpg", object_too_small=value) for value in (0.01, 0.04, 0.2, 0.6)]
    page = look(few)
    choose(page, "object_too_small")
    assert page.text(".setting label") == "Flagged below"
    assert names(page) == ["0.01.jpg", "0.04.jpg"]
    drag_to(page, 0.4)
    assert names(page) == ["0.01.jpg", "0.04.jpg", "0.2.jpg"]


def test_a_filter_with_a_decision_of_its_own_is_judged_again_by_it(look):
    item = Exposure(negative_under_exposed=True)
    few = [
        Result(f"{value}.jpg", {"exposure": value}, {"exposure": item.decision(value)})
        for value in (-1.0, 0.1, 0.7, 0.95)
    ]
    page = look(few, filters={"exposure": item})
    choose(page, "exposure")
    assert sorted(names(page)) == ["-1.0.jpg", "0.7.jpg", "0.95.jpg"]
    drag_to(page, 0.8)
    assert sorted(names(page)) == ["-1.0.jpg", "0.95.jpg"]  # -1 is as far as can be
    drag_to(page, 0.02)
    assert page.text("#flags") == "4 photos"


def test_a_filter_that_decides_in_an_unknown_way_keeps_its_verdicts(look):
    class Odd(Filter):
        """Decides as no threshold could."""

        name = "odd"

        def measure(self, image):
            return 0.0

        def decide(self, prediction):
            return int(prediction * 10) % 2 == 1

    values = [0.05, 0.15, 0.25, 0.35]
    few = [Result(f"{v}.jpg", {"odd": v}, {"odd": Odd().decision(v)}) for v in values]
    page = look(few, filters={"odd": Odd()})
    choose(page, "odd")
    assert sorted(names(page)) == ["0.15.jpg", "0.35.jpg"]
    assert "a way of its own" in page.text("#panel")
    slider = "document.querySelector('[role=slider]')"
    assert page.run(f"{slider}.getAttribute('aria-disabled')") == "true"
    assert page.count("#threshold") == 0
    left, top, _, _ = page.box(".histogram")
    page.drag((left + 20, top + 60), [(left + 200, top + 60)])
    assert page.text("#flags") == "2 photos"


def test_ratios_get_a_scale_that_fits_them(look):
    few = [judged(f"{value}.jpg", unconventional_size=value) for value in (1.0, 1.5, 2.5, 4.0)]
    page = look(few)
    choose(page, "unconventional_size")
    axis = page.run("[...document.querySelectorAll('.bars text')].map(e => Number(e.textContent))")
    assert min(axis) >= 1
    assert max(axis) >= 4
    assert names(page) == ["4.0.jpg", "2.5.jpg"]


def test_both_sides_of_the_threshold_can_be_looked_at(look):
    page = look(FEW)
    choose(page, "exposure")
    page.run("[...document.querySelectorAll('.parts button')].at(-1).click()")
    page.frame()
    assert names(page) == ["dark.jpg", "pale.jpg", "fine.jpg", "good.jpg", "framed.jpg"]
    heads = page.run("[...document.querySelectorAll('.head h3')].map(e => e.innerText)")
    assert heads == ["Flagged", "Passed: not above 0.5"]
    page.run("[...document.querySelectorAll('.parts button')][1].click()")
    page.frame()
    assert names(page) == ["fine.jpg", "good.jpg", "framed.jpg"]


def test_photos_can_be_sorted_and_found(look):
    page = look(FEW)
    choose(page, "All photos")
    for order, first in (("name", "dark.jpg"), ("order", "dark.jpg"), ("worst", "framed.jpg")):
        page.run(f"(s => {{ s.value = '{order}'; s.dispatchEvent(new Event('change')) }})"
                 "(document.querySelector('#sort'))")  # fmt: skip
        page.frame()
        assert names(page)[0] == first
    page.press("/")
    page.type("B/")
    page.frame()
    assert names(page) == ["framed.jpg", "good.jpg"]
    page.type("nowhere")
    page.frame()
    assert page.text("#nothing") == "No photo of this view fits the search."


def test_the_keyboard_does_it_all(look):
    page = look(FEW)
    page.press("g")
    page.press("ArrowRight")
    active = "document.querySelector('#photos .active')"
    assert page.run(f"{active}.getAttribute('aria-label')").startswith("a/dark.jpg, exposure")
    assert page.run("document.querySelector('#photos').getAttribute('aria-activedescendant')") == (
        page.run(f"{active}.id")
    )
    page.press("k")
    assert page.run(f"{active}.classList.contains('kept')")
    page.press("k")
    assert not page.run(f"{active}.classList.contains('kept')")
    page.press("d", "Enter")
    assert page.run("document.querySelector('#enlarged').open")
    assert page.text("#enlarged h2") == "dark.jpg"
    assert page.text("#enlarged .position") == "2 of 3"
    page.press("ArrowRight")
    assert page.text("#enlarged h2") == "pale.jpg"
    page.press("ArrowRight")  # there is none behind the last
    assert page.text("#enlarged h2") == "pale.jpg"
    page.press("k", "Escape")
    assert not page.run("document.querySelector('#enlarged').open")
    assert page.run("document.activeElement.id") == "photos"
    page.press("Home")
    assert page.run(f"{active}.getAttribute('aria-label')").startswith("b/framed.jpg")
    page.press("?")
    assert page.run("document.querySelector('#helping').open")
    page.press("Escape", "e")
    assert page.run("document.querySelector('#takeaway').open")


def test_the_enlarged_photo_comes_from_the_disk(look, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "dark.jpg").write_bytes(thumbnail(size=(300, 400)))
    page = look([judged("a/dark.jpg", picture=thumbnail(), exposure=0.9)])
    page.press("g", "Enter")
    page.wait("/400 × 300/.test(document.querySelector('.state').textContent)")
    assert page.run("document.querySelector('.stage img').naturalWidth") == 400


def test_photos_with_odd_names_are_found_on_the_disk(look, tmp_path):
    odd = [name for name in HOSTILE if "\0" not in name]
    for name in odd:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(thumbnail(size=(300, 400)))
    page = look([judged(name, exposure=0.9) for name in odd])
    page.press("g", "Enter")
    for _ in odd:
        page.wait("/400 × 300/.test(document.querySelector('.state').textContent)")
        page.press("ArrowRight")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gone.jpg", "Shown is the thumbnail: the photo is not where it was"),
        ("https://example.org/a.jpg", "Shown is the thumbnail: the photo lies behind a URL"),
    ],
)
def test_the_page_says_when_it_cannot_show_the_photo(look, name, told):
    page = look([judged(name, picture=thumbnail(), exposure=0.9)])
    page.press("g", "Enter")
    page.wait("!/Looking/.test(document.querySelector('.state').textContent)")
    assert page.text(".state").startswith(told)
    assert page.run("document.querySelector('.stage img').naturalWidth") == 80


def test_the_path_can_be_copied(look):
    page = look([judged("some folder/a b.jpg", exposure=0.9)])
    page.allow("clipboardReadWrite", "clipboardSanitizedWrite")
    page.press("g", "ArrowRight", "c")
    page.wait("/copied/.test(document.querySelector('#said').textContent)")
    assert page.clipboard() == "some folder/a b.jpg"


def test_errors_stand_apart_and_name_the_filter(look):
    few = [
        *FEW,
        unreadable("x/text.jpg", "is no image"),
        broken("x/half.jpg", "framed", exposure=0.1),
        broken("x/half-flagged.jpg", "framed", exposure=0.9),
    ]
    page = look(few)
    assert counts(page)["Errors"] == 3
    assert counts(page)["Suitable"] == 2
    choose(page, "Errors")
    heads = page.run("[...document.querySelectorAll('.head h3')].map(e => e.innerText)")
    assert heads == ["Could not be judged at all", "framed failed"]
    assert names(page) == ["text.jpg", "half.jpg", "half-flagged.jpg"]
    assert "is no image (ImageReadError)" in page.text(".line .problem")
    choose(page, "framed")
    assert "failed on 2 photos" in page.text("#panel")


def test_photos_that_were_not_asked_everything_are_not_called_suitable(look):
    few = [judged("a.jpg", exposure=0.9), judged("b.jpg", exposure=0.1, framed=0.1)]
    two = {name: FILTERS[name] for name in ("exposure", "framed")}
    page = look(few, filters=two, stop_early=True)
    assert "left out once one had flagged it" in page.text("#notices")
    assert counts(page)["Suitable"] == 1
    choose(page, "exposure")
    drag_to(page, 0.95)
    assert counts(page)["Flagged"] == 0
    assert counts(page)["Suitable"] == 1  # a.jpg may have a frame: nobody has looked
    choose(page, "Not asked everything")
    assert names(page) == ["a.jpg"]


def take(page, which, form=None):
    """Open what is taken away, and save it."""
    page.run("document.querySelector('#take').click()")
    page.run(f"document.querySelector('#tab-{which}').click()")
    if form:
        page.run(f"(s => {{ s.value = '{form}'; s.dispatchEvent(new Event('change')) }})"
                 "(document.querySelector('#form'))")  # fmt: skip
    page.run("document.querySelector('.acts .strong').click()")


def test_lists_leave_the_page_with_thresholds_and_marks_applied(look, tmp_path):
    page = look([*FEW, unreadable("x.jpg")])
    saved = page.downloads(tmp_path / "saved")
    choose(page, "exposure")
    drag_to(page, 0.75)  # pale.jpg is suitable now
    choose(page, "All photos")
    page.run("document.querySelector('[aria-label^=\"b/good.jpg\"] .drop').click()")
    page.run("document.querySelector('[aria-label^=\"b/framed.jpg\"] .keep').click()")
    take(page, "keep", "lines")
    assert saved("keep.txt") == b"a/pale.jpg\nb/framed.jpg\nc/fine.jpg\n"
    take(page, "drop", "nul")
    assert saved("drop.txt") == b"a/dark.jpg\0b/good.jpg\0"
    assert "1 photo could not be judged by every filter" in page.text("#taking")
    take(page, "drop", "csv")
    rows = list(csv.DictReader(io.StringIO(saved("drop.csv").decode())))
    assert [(row["image"], row["decided_by"], row["flagged"]) for row in rows] == [
        ("a/dark.jpg", "filters", "exposure"),
        ("b/good.jpg", "hand", ""),
    ]
    assert [float(row["exposure"]) for row in rows] == [0.9, 0.2]


def test_lists_hold_the_very_names(look, tmp_path):
    odd = [name for name in HOSTILE if "\0" not in name]
    page = look([judged(name, exposure=0.1) for name in odd])
    saved = page.downloads(tmp_path / "saved")
    take(page, "keep", "nul")
    assert saved("keep.txt") == b"".join(os.fsencode(name) + b"\0" for name in odd)
    take(page, "keep", "csv")
    rows = list(csv.reader(io.StringIO(saved("keep.csv").decode(), newline="")))
    assert not any(row[0].startswith(("=", "+", "-", "@")) for row in rows)
    assert [row[0] for row in rows[1:3]] == odd[:2]


def test_thresholds_leave_the_page_as_a_command(look, tmp_path):
    item = Exposure(threshold=0.6, negative_under_exposed=True)
    few = [judged("a.jpg", exposure=0.7, framed=0.1)]
    filters = {"exposure": item, "framed": FILTERS["framed"]}
    paths = [*(name for name in HOSTILE if "\0" not in name), "-dash", "ü.jpg"]
    options = [["--roi", "1,2,3,4"]]
    page = look(few, filters=filters, paths=paths, options=options)
    saved = page.downloads(tmp_path / "saved")
    choose(page, "framed")
    drag_to(page, 0.75)
    take(page, "command")
    command = saved("scan.sh")
    script = command.replace(b"qualipy scan", b"printf '%s\\0'", 1)
    for shell in ("bash", "/bin/bash --posix"):
        done = subprocess.run([*shlex.split(shell), "-c", script], capture_output=True, check=True)
        words = [os.fsdecode(word) for word in done.stdout.split(b"\0")[:-1]]
        assert words == [
            *paths[:-2], "./-dash", "ü.jpg", "--filters", "exposure,framed",
            "--set", "exposure.negative_under_exposed=true", "--set", "exposure.threshold=0.6",
            "--set", "framed.threshold=0.75", "--roi", "1,2,3,4",
        ]  # fmt: skip


def test_the_request_is_one_that_qualipy_answers(look, photo, tmp_path):
    page = look([judged(photo, exposure=0.7, framed=0.1)])
    saved = page.downloads(tmp_path / "saved")
    choose(page, "framed")
    drag_to(page, 0.75)
    take(page, "request")
    request = json.loads(saved("request.json"))
    assert request["filters"]["framed"] == {"threshold": 0.75}
    answer = process_request(request)
    assert set(answer) == {photo}
    assert set(answer[photo]) == {"exposure", "framed"}


def test_choices_are_there_again_when_the_page_is_opened_again(look):
    page = look(FEW)
    page.press("g", "ArrowRight", "k")
    choose(page, "exposure")
    drag_to(page, 0.75)
    page.reload()
    page.wait("document.documentElement.dataset.ready")
    assert counts(page)["exposure"] == 1
    choose(page, "All photos")
    assert page.count(".kept") == 1
    page.click("#notices .link")
    assert counts(page)["exposure"] == 2
    assert page.count(".kept") == 0


def test_companions_stand_as_groups(look):
    group = ("b.jpg", "a.jpg", "not among the results.jpg")
    few = [
        Result(name, {"near": value}, {"near": value > 0.5}, companions=companions)
        for name, value, companions in (
            ("a.jpg", 0.9, {"near": group}),
            ("b.jpg", 0.2, {"near": group}),
            ("c.jpg", 0.1, {}),
        )
    ]
    page = look(few, filters={}, certain=False)
    choose(page, "near")
    assert "not who belongs together" in page.text("#panel")
    page.run("[...document.querySelectorAll('.parts button')].at(-1).click()")
    page.frame()
    assert names(page) == ["b.jpg", "a.jpg"]
    assert page.text(".card .best") == "best"
    page.run("document.querySelector('.head button').click()")
    page.frame()
    assert page.run("[...document.querySelectorAll('.card')].map(e => e.className)") == [
        "card suitable kept", "card flagged dropped",
    ]  # fmt: skip
    page.run("document.querySelector('#photos').focus()")
    page.press("Enter")
    listed = "[...document.querySelectorAll('.companions button')].map(e => e.innerText)"
    assert page.run(listed) == ["b.jpg", "a.jpg"]


def test_explanations_are_shown_where_there_are_any(look, make, tmp_path):
    path = make([judged("a.jpg", picture=thumbnail(), exposure=0.9, framed=0.9)])
    (tmp_path / "where.jpg").write_bytes(thumbnail(size=(30, 50)))
    text = path.read_text(encoding="utf-8")
    where = json.dumps({"framed": {"0": {"file": "where.jpg", "text": "<b>Here</b>."}}})
    told = text.replace('"explanations":{}', f'"explanations":{where}')
    assert told != text
    path.write_text(told, encoding="utf-8")
    page = look([])
    path.write_text(told, encoding="utf-8")
    page.reload()
    page.wait("document.documentElement.dataset.ready")
    page.press("g", "Enter")
    assert page.count(".where") == 1
    page.click(".where")
    page.wait("document.querySelector('.stage img').naturalWidth === 50")
    assert page.text(".state") == "framed: <b>Here</b>."
    page.click(".where")
    page.wait("document.querySelector('.stage img').naturalWidth === 80")


def test_hostile_names_stay_text(look):
    few = [judged(name, picture=thumbnail(), exposure=0.9) for name in HOSTILE]
    few += [unreadable(name, "</script><img src=x onerror=alert(5)>") for name in HOSTILE]
    page = look(few, paths=[HOSTILE[0]])
    assert page.run("document.title").startswith("<script>alert(1)</script>.jpg")
    shown = page.run("[...document.querySelectorAll('#photos .name')].map(e => e.title)")
    assert sorted(shown) == sorted(
        [
            *HOSTILE[:3],
            r"line\nbreak\r.jpg",
            r"turned \u202e gpj.exe",
            r"separators \u2028 \u2029.jpg",
            r"no utf-8 \xff\x80.jpg",
            *HOSTILE[7:11],
            r"\x1b[31mred\x07 \x00.jpg",
        ]
    )
    for place in range(len(HOSTILE)):
        page.run("document.querySelector('#photos').focus()")
        page.press("Enter", "ArrowRight", "Escape", "ArrowRight")
        assert page.count("#enlarged script, #enlarged h2 img") == 0, place
    choose(page, "Errors")
    page.run("document.querySelector('#take').click()")
    for tab in ("keep", "drop", "command", "request"):
        page.run(f"document.querySelector('#tab-{tab}').click()")
    page.press("Escape")
    assert page.count("script") == page.count("body > script")
    assert page.count("img[onerror], img[src=x]") == 0


def test_the_page_may_run_nothing_but_its_own_script(look):
    page = look(FEW)
    page.run(
        "document.body.insertAdjacentHTML('beforeend',"
        ' \'<img src="data:," onerror="document.title = 1"><p style="color: red">\')'
    )
    page.run("fetch('https://example.org/').catch(() => { document.title += ' refused' })")
    page.wait("document.title.endsWith(' refused')")
    refused = [text for text in page.problems if "Content Security Policy" in text]
    assert len(refused) >= 3
    page.problems.clear()
    page.requests[:] = [url for url in page.requests if "example.org" not in url]


def test_the_page_says_something_without_scripts(browser, make):
    page = browser.page()
    page.scripts(False)
    page.open(make([*FEW, unreadable("<b>x</b>.jpg")]))
    shown = page.send("DOM.getDocument", depth=-1)["root"]
    text = page.send("DOM.getOuterHTML", nodeId=shown["nodeId"])["outerHTML"]
    page.close()
    assert "<noscript>" in text or "plain" in text
    plain = re.sub(r"\s+", " ", text)
    assert "6 photos: 3 flagged, 1 with errors." in plain
    assert plain.index("b/framed.jpg") < plain.index("a/dark.jpg") < plain.index("a/pale.jpg")
    assert "framed 0.98 &gt; 0.5" in plain
    assert "&lt;b&gt;x&lt;/b&gt;.jpg" in plain


@pytest.mark.parametrize("size", [0, 1])
def test_a_report_of_next_to_nothing_works(look, size):
    page = look(FEW[:size])
    assert counts(page)["All photos"] == size
    for label in counts(page):
        choose(page, label)


def test_a_run_that_was_stopped_says_so(browser, page, tmp_path):
    from qualipy.report import Origin, Report

    report = Report(tmp_path / "r.html", Origin(FILTERS))
    report.add(FEW[0])
    report.end(complete=False)
    page.open(Path(tmp_path / "r.html"))
    assert "stopped before it had seen every photo" in page.text("#notices")
