"""How a report looks and feels: contrast, narrow windows, tens of thousands of photos."""

from __future__ import annotations

import json

import pytest
from sample_reports import FILTERS, HOSTILE, broken, judged, many, thumbnail, unreadable

from qualipy.report import Origin, Report
from qualipy_core import Result

EVERYTHING = [
    *many(40),
    broken("x/half.jpg", "framed", exposure=0.1),
    Result("x/near.jpg", {"near": 0.9}, {"near": True}, companions={"near": ("x/near.jpg",)}),
    judged("y" * 200 + ".jpg", exposure=0.9, framed=0.9, unconventional_size=9.0),
    *(judged(name, picture=thumbnail(), exposure=0.9) for name in HOSTILE),
]

# Of every text that is seen, its contrast with what lies behind it, after WCAG 2.2. What is drawn
# over a photo has a ground of its own; where that lets the photo through, black and white are
# tried as the photo.
CONTRASTS = """
(() => {
  const parse = (text) => {
    const parts = text.match(/[\\d.]+/g).map(Number);
    return text.startsWith("color(srgb") ? [...parts.slice(0, 3).map((v) => v * 255), parts[3] ?? 1]
      : [parts[0], parts[1], parts[2], parts[3] ?? 1];
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((v, i) => v * a + under[i] * (1 - a));
  const luminance = (color) => color
    .map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const grounds = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color[3]) layers.push(color);
      if (color[3] === 1) return [layers];
      if (at.classList.contains("frame")) break;
      if (at.tagName === "DIALOG") break;
    }
    return [[...layers, [0, 0, 0, 1]], [...layers, [255, 255, 255, 1]]];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim()) continue;
    if (!element.checkVisibility({ checkVisibilityCSS: true })) continue;
    if (element.closest("script, style, noscript, svg, #said, option, [disabled]")) continue;
    const style = getComputedStyle(element);
    for (const layers of grounds(element)) {
      const ground = layers.reduceRight((under, layer) => over(layer, under), [0, 0, 0]);
      const text = over(parse(style.color), ground);
      const [high, low] = [luminance(text), luminance(ground)].sort((a, b) => b - a);
      const what = walker.currentNode.data.slice(0, 40);
      found.push([(high + 0.05) / (low + 0.05), what, element.className]);
    }
  }
  return found.sort((a, b) => a[0] - b[0]);
})()
"""


def see_everything(page):
    """Go through all that the page can show; yields what is seen."""
    views = page.count(".view")
    for view in range(views):
        page.run(f"document.querySelectorAll('.view')[{view}].click()")
        page.frame()
        yield "view"
    for part in range(page.count(".parts button")):
        page.run(f"document.querySelectorAll('.parts button')[{part}].click()")
        page.frame()
        yield "part"
    page.run("document.querySelector('.view.all').click()")
    page.press("g", "Enter", "k")
    yield "enlarged"
    page.press("Escape", "?")
    yield "help"
    page.press("Escape", "e")
    for tab in ("keep", "drop", "command", "request"):
        page.run(f"document.querySelector('#tab-{tab}').click()")
        yield tab
    page.press("Escape")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_the_contrast_of_wcag_aa(look, scheme):
    page = look(EVERYTHING)
    page.prefer(prefers_color_scheme=scheme)
    for what in see_everything(page):
        contrasts = page.run(CONTRASTS)
        assert len(contrasts) > 20
        assert contrasts[0][0] >= 4.5, (what, contrasts[:5])


def test_the_theme_can_be_chosen_and_is_remembered(look):
    page = look(EVERYTHING)
    page.prefer(prefers_color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.run(ground)
    page.run("document.querySelector('#theme').click()")
    assert page.run(ground) == light
    page.run("document.querySelector('#theme').click()")
    dark = page.run(ground)
    assert dark != light
    page.reload()
    page.wait("document.documentElement.dataset.ready")
    assert page.run(ground) == dark
    page.run("document.querySelector('#theme').click()")
    page.prefer(prefers_color_scheme="dark")
    assert page.run(ground) == dark


@pytest.mark.parametrize("width", [320, 390, 768, 1024])
def test_no_window_is_too_narrow(look, width):
    page = look(EVERYTHING)
    page.size(width, 800, phone=width < 500)
    page.frame()
    for what in see_everything(page):
        wide = page.run(
            "[document.documentElement, ...document.querySelectorAll('dialog[open]')]"
            ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.id || e.tagName)"
        )
        assert not wide, (what, width)
        assert page.run("innerWidth") == width


def test_on_a_phone_everything_is_large_enough_for_a_finger(look):
    page = look(EVERYTHING)
    page.size(390, 844, phone=True)
    page.run("document.querySelector('.view.filter').click()")
    page.frame()
    small = page.run(
        "[...document.querySelectorAll('button, select, input, .handle')]"
        ".filter(e => e.checkVisibility() && !e.matches('.link'))"
        ".map(e => [e.getBoundingClientRect(), e.className || e.id])"
        ".filter(([r]) => Math.min(r.width, r.height) < 24).map(([r, name]) => name)"
    )
    assert not small  # WCAG 2.2, 2.5.8


def test_what_can_be_used_has_a_name_and_is_reached_by_tab(look):
    page = look(EVERYTHING)
    page.run("document.querySelector('.view.filter').click()")
    unnamed = page.run(
        "[...document.querySelectorAll('button, select, input, [role=slider], [role=listbox]')]"
        ".filter(e => e.checkVisibility() && !e.closest('[aria-hidden=true]'))"
        ".filter(e => !(e.innerText || e.ariaLabel || e.labels?.length)).map(e => e.outerHTML)"
    )
    assert not unnamed
    reached = set()
    for _ in range(60):
        page.press("Tab")
        reached.add(page.run("document.activeElement.id || document.activeElement.className"))
    assert {"take", "theme", "help", "threshold", "handle", "search", "sort", "photos"} <= reached


SIZE = 20_000


@pytest.fixture(scope="module")
def large_report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    # Not exposure: it is asked about each photo where its decision changes, which takes seconds.
    known = {name: item for name, item in FILTERS.items() if name != "exposure"}
    report = Report(folder / "report.html", Origin(known), thumbnails="folder")
    for result in many(SIZE, pictures=20):
        report.add(result)
    report.end()
    return report.path


class TestTwentyThousand:
    """20,000 photos: what the document holds does not grow with them."""

    MOST_NODES = 2_500  # a screen's worth of cards, above and below it, and the page around

    @pytest.fixture
    def large(self, page, large_report):
        page.open(large_report)
        page.wait("document.documentElement.dataset.ready")
        page.run("document.querySelector('.view.all').click()")
        page.frame()
        return page

    def nodes(self, page):
        return page.run("document.querySelectorAll('*').length")

    def test_scrolling_through_all_keeps_the_document_small(self, large):
        assert large.text(".shown") == "20,000 photos"
        height = large.run("document.documentElement.scrollHeight")
        seen, pictures = set(), set()
        for step in range(21):
            large.run(f"scrollTo(0, {height} * {step} / 20)")
            large.frame()
            assert self.nodes(large) < self.MOST_NODES
            inside = large.run(
                "[...document.querySelectorAll('.card')].filter(e => { const r = "
                "e.getBoundingClientRect(); return r.bottom > 0 && r.top < innerHeight })"
                ".map(e => Number(e.getAttribute('aria-posinset')))"
            )
            assert len(inside) >= 10  # nothing is blank
            seen.update(inside)
            pictures.add(large.count(".frame img"))
        assert min(seen) == 1
        assert max(seen) == SIZE
        assert max(pictures) > 0

    def test_the_keyboard_reaches_the_last_photo(self, large):
        large.press("g", "End")
        active = "document.querySelector('#photos .active')"
        assert large.run(f"Number({active}.getAttribute('aria-posinset'))") == SIZE
        top, height = large.run(f"(r => [r.top, r.height])({active}.getBoundingClientRect())")
        assert top >= 0
        assert top + height <= 800
        assert self.nodes(large) < self.MOST_NODES

    def test_moving_a_threshold_agrees_with_the_filter(self, large):
        name = "framed"
        item = FILTERS[name].replace(threshold=0.25)
        values = [r.predictions[name] for r in many(SIZE, pictures=0) if r.predictions]
        large.run(f"[...document.querySelectorAll('.view.filter')].find(e => e.querySelector("
                  f"'.label').innerText === {json.dumps(name)}).click()")  # fmt: skip
        large.run("document.querySelector('#threshold').select()")
        large.type("0.25")
        large.press("Enter")
        flagged = sum(map(item.decision, values))
        assert large.text("#flags") == f"{flagged:,} photos"
        assert self.nodes(large) < self.MOST_NODES


def test_thumbnails_in_the_page_are_shown_piece_by_piece(look):
    results = [judged(f"{n:04}.jpg", picture=thumbnail(n % 200), exposure=0.9) for n in range(600)]
    page = look([*results, unreadable("x.jpg")])
    assert page.count("script.thumbnails") == 10
    for place in ("Home", "End"):
        page.press("g", place)
        page.wait(
            "[...document.querySelectorAll('.frame img')].every(e => e.complete && e.naturalWidth)"
        )
        assert page.count(".frame img") > 10
