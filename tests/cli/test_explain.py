"""``qualipy explain`` and `qualipy.explain`: pictures of what filters saw."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import qualipy
from qualipy.explaining import explained
from qualipy.explaining.canvas import text_width, wrapped
from qualipy.explaining.charts import HEIGHT, drawn
from qualipy.explaining.overlays import overlaid
from qualipy.explaining.page import page, scaled
from qualipy_core import Explanation, Filter, Image
from qualipy_core.errors import ExplanationError, FilterError, ImageReadError
from qualipy_core.explanation import Boxes, Chart, HeatMap, Inset, Lines, Mask, Series
from qualipy_core.testing import sample_images

SHOWING = """
    import numpy as np

    from qualipy_core import Explanation, Filter, gray
    from qualipy_core.explanation import Mask


    class Night(Filter):
        \"\"\"Shows the dark part.\"\"\"

        name = "night"
        level: int = 100

        def measure(self, image):
            return float((gray(image) < self.level).mean())

        def explain(self, image):
            dark = gray(image) < self.level
            print("noise")
            return Explanation(f"{dark.mean():.0%} is darker than {self.level}.",
                               (Mask(dark, "dark"),))


    class Empty(Filter):
        \"\"\"Could show, but has nothing to show here.\"\"\"

        name = "empty"

        def measure(self, image):
            return 0.0

        def explain(self, image):
            return None


    class Fails(Filter):
        \"\"\"Fails to explain itself.\"\"\"

        name = "fails_to_show"

        def measure(self, image):
            return 0.0

        def explain(self, image):
            raise ValueError("boom")
"""


@pytest.fixture
def showing(site, invoke):
    """The program with a pack whose filters show where."""
    names = {"night": "Night", "empty": "Empty", "fails_to_show": "Fails"}
    points = {name: f"demo_showing:{cls}" for name, cls in names.items()}
    site.install("showing", "2.0", {"qualipy.filters": points}, demo_showing=SHOWING)
    return invoke


def picture(path):
    pixels = cv2.imread(str(path))
    assert pixels is not None
    return pixels


def test_a_picture_is_written_and_the_finding_told(showing, photos, tmp_path):
    result = showing("explain", "night", photos / "dark.png", "-o", "why.png")
    assert result.exit_code == 0, result.output
    assert result.stdout == "night 1 > 0.5: flagged\n  100% is darker than 100.\n"
    assert "written: why.png" in result.stderr
    height, width = picture(tmp_path / "why.png").shape[:2]
    assert width > 2 * 360
    assert height > 360 * 24 / 32


def test_without_an_output_it_goes_into_this_folder_under_both_names(showing, photos, tmp_path):
    assert showing("explain", "night", photos / "bright.png", "-q").stdout == ""
    picture(tmp_path / "bright.night.png")


def test_an_existing_file_is_kept_unless_forced(showing, photos, tmp_path):
    (tmp_path / "why.png").write_text("mine")
    result = showing("explain", "night", photos / "dark.png", "-o", "why.png")
    assert result.exit_code == 2
    assert "why.png exists. Name another file, or replace it with --force." in result.stderr
    assert (tmp_path / "why.png").read_text() == "mine"
    assert (
        showing("explain", "night", photos / "dark.png", "-o", "why.png", "--force").exit_code == 0
    )
    picture(tmp_path / "why.png")


def test_a_full_disk_leaves_no_half_picture(showing, program, photos, tmp_path):
    resource = pytest.importorskip("resource")

    def small_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    args = ("explain", "night", "photos/dark.png", "-o", "why.png")
    process = program.start(*args, preexec_fn=small_disk)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 3, errors
    assert b"why.png cannot be written: File too large" in errors
    assert not (tmp_path / "why.png").exists()
    assert program(*args).returncode == 0


def test_the_photo_itself_is_never_replaced(showing, photos):
    before = (photos / "dark.png").read_bytes()
    result = showing("explain", "night", photos / "dark.png", "-o", photos / "dark.png", "--force")
    assert result.exit_code == 2
    assert "is the photo itself" in result.stderr
    assert (photos / "dark.png").read_bytes() == before


def test_parameters_and_regions_count(showing, photos):
    set_level = ("--set", "level=10")
    result = showing("explain", "night", photos / "dark.png", "-o", "a.jpg", *set_level)
    assert "0% is darker than 10" in result.stdout
    result = showing("explain", "night", photos / "dark.png", "-o", "b.png", "--roi", "0,0,8,4")
    assert result.exit_code == 0
    height, width = picture("b.png").shape[:2]
    assert width > height
    result = showing("explain", "night", photos / "dark.png", "-o", "c.png", "--roi", "0,0,99,4")
    assert result.exit_code == 1
    assert "99" in result.stderr


def test_the_overlay_alone_has_the_shape_of_the_photo(showing, photos):
    showing("explain", "night", photos / "dark.png", "-o", "o.png", "--overlay-only", "--side", 640)
    assert picture("o.png").shape == (270, 360, 3)
    showing("explain", "night", photos / "dark.png", "-o", "s.png", "--overlay-only", "--side", 64)
    assert picture("s.png").shape == (48, 64, 3)


def test_several_filters_write_into_a_folder(showing, photos, tmp_path):
    result = showing("explain", "night,night", photos / "dark.png", "-o", "why")
    assert result.exit_code == 0, result.output
    assert [path.name for path in (tmp_path / "why").iterdir()] == ["dark.night.png"]


def test_all_takes_those_that_can_show_where_and_says_which_have_nothing_to_show(
    showing, photos, tmp_path, monkeypatch
):
    monkeypatch.setenv("QUALIPY_DISABLE", "qualipy-filters-builtin,fails_to_show")
    result = showing("explain", "all", photos / "dark.png", "-o", "why")
    assert result.exit_code == 0, result.output
    assert "empty cannot show where: it has nothing to show in this photo." in result.stderr
    assert [path.name for path in (tmp_path / "why").iterdir()] == ["dark.night.png"]
    alone = showing("explain", "empty", photos / "dark.png", "-o", "why.png")
    assert alone.exit_code == 2
    assert not (tmp_path / "why.png").exists()


def test_a_filter_that_cannot_show_where_says_so_before_any_work(showing, photos, tmp_path):
    for names in ("dark", "night,dark"):
        result = showing("explain", names, photos / "dark.png", "-o", "why")
        assert result.exit_code == 2
        assert "dark cannot show where: it does not explain itself." in result.stderr
        assert not (tmp_path / "why").exists()


def test_what_goes_wrong_is_told_without_a_traceback(showing, photos):
    for args, code, said in (
        (("nigth", photos / "dark.png"), 2, "Did you mean 'night'?"),
        (("night", photos / "missing.png"), 1, "missing.png"),
        (("night", photos), 1, "is a folder"),
        (("night", photos / "dark.png", "-o", "why.gif"), 2, "must end with .png"),
        (("night", photos / "dark.png", "-o", "file/why.png"), 3, "cannot be written"),
        (("fails_to_show", photos / "dark.png"), 1, "could not explain itself: ValueError: boom"),
        (("night", photos / "dark.png", "--set", "level=low"), 2, "level should be"),
        (("night", photos / "dark.png", "--roi", "1,2"), 2, "roi"),
    ):
        (photos.parent / "file").write_text("not a folder")
        result = showing("explain", *args)
        assert result.exit_code == code, (args, result.output)
        assert said in result.stderr
        assert "Traceback" not in result.output


class Everything(Filter):
    """Shows one of each kind."""

    name = "everything"

    def measure(self, image: Image) -> float:
        return 0.875

    def explain(self, image: Image) -> Explanation:
        ramp = np.linspace(0, 1, 16).reshape(4, 4)
        square = np.array([[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [1.5, 1.5]])
        return Explanation(
            "One of each kind, in a sentence that is long enough to need a second line somewhere.",
            (
                HeatMap(ramp, "heat", weight=ramp),
                Mask(ramp > 0.5, "a mask"),
                Mask(ramp > 0.9, "a mask of its own colour", color=(120, 40, 160)),
                Boxes(np.array([[0.1, 0.1, 0.3, 0.3], [0.9, 0.9, 0.3, 0.3]]), "boxes", "other"),
                Lines((square,), "a line", "reference"),
                Boxes([], "no box"),
            ),
            (
                Chart(
                    "a chart",
                    (
                        Series([0, 1, 2], [0, 5, 1], "area", kind="area"),
                        Series([0, 1, 2], [2, 2, 2], "line", role="reference"),
                        Series([0, 1, 2], [1, 2, 3], "points", kind="points", role="other"),
                    ),
                    "x",
                    "y",
                    marks=((0.5, "a mark"), (0.6, "a near one")),
                ),
                Inset(ramp, "an inset", np.array([[0.5, 0.5]])),
            ),
        )


class Mute(Filter):
    """Shows nothing."""

    name = "mute"

    def measure(self, image: Image) -> float:
        return 0.0


@pytest.mark.parametrize("name", sample_images())
def test_any_photo_can_be_shown(name):
    pixels = sample_images()[name]
    for overlay_only in (False, True):
        shown = qualipy.explain(Everything(), pixels, overlay_only=overlay_only)
        assert shown.dtype == np.uint8
        assert shown.shape[2] == 3
        assert max(shown.shape[:2]) < 4000
    card = explained(Everything(), pixels)
    assert card is not None
    assert card.width <= 640


def test_from_python_the_picture_comes_back_and_is_written(tmp_path):
    photo = sample_images()["natural"]
    for suffix in (".png", ".jpg", ".webp"):
        path = tmp_path / f"why{suffix}"
        shown = qualipy.explain(Everything(), photo, save_path=path)
        assert picture(path).shape == shown.shape
    assert np.array_equal(picture(tmp_path / "why.png")[..., ::-1], shown)
    qualipy.explain(Everything(), photo, save_path=str(path))  # again: a file is replaced
    region = qualipy.explain(Everything(), photo, ROI=(0, 0, 20, 200), overlay_only=True)
    assert region.shape[0] > region.shape[1]


def test_from_python_what_cannot_be_shown_is_an_error(tmp_path):
    photo = sample_images()["natural"]
    with pytest.raises(ExplanationError, match="mute cannot show where") as caught:
        qualipy.explain(Mute(), photo)
    assert caught.value.filter == "mute"
    with pytest.raises(ExplanationError, match="must end with"):
        qualipy.explain(Everything(), photo, save_path=tmp_path / "why.bmp")
    with pytest.raises(ImageReadError):
        qualipy.explain(Everything(), tmp_path / "missing.png")
    with pytest.raises(ValueError, match="ROI"):
        qualipy.explain(Everything(), photo, ROI=(0, 0, 5000, 1))


def test_a_page_gets_an_encoded_picture_with_its_sentence():
    image = Image(sample_images()["natural"])
    for kind in ("jpeg", "png", "webp"):
        card = explained(Everything(), image, side=400, kind=kind)
        assert card is not None
        assert card.media_type == f"image/{kind}"
        decoded = cv2.imdecode(np.frombuffer(card.data, np.uint8), cv2.IMREAD_COLOR)
        assert decoded.shape[:2] == (card.height, card.width)
        assert card.width <= 400
        assert card.summary.startswith("One of each kind")
    assert explained(Mute(), image) is None


def test_a_page_learns_that_a_filter_failed():
    class Breaks(Mute):
        """Fails."""

        name = "breaks"

        def explain(self, image):
            raise KeyError

    with pytest.raises(FilterError, match="breaks"):
        explained(Breaks(), sample_images()["natural"])


def test_showing_twice_gives_the_same_bytes_and_leaves_the_photo_alone():
    photo = sample_images()["natural"]
    before = photo.copy()
    one, two = (explained(Everything(), photo) for _ in range(2))
    assert one == two
    assert np.array_equal(photo, before)


def test_where_nothing_is_shown_the_photo_stays_as_it_is():
    photo = sample_images()["natural"]
    bare = Explanation("Nothing.", (Mask(np.zeros((3, 3), bool), "x"), Lines((), "x")))
    assert np.array_equal(overlaid(photo, bare), photo)


@pytest.mark.parametrize("tone", [0, 128, 255])
def test_marks_show_on_dark_on_grey_and_on_light(tone):
    photo = np.full((200, 200, 3), tone, np.uint8)
    for role in ("found", "other", "reference"):
        line = Lines((np.array([[0.1, 0.5], [0.9, 0.5]]),), "x", role)
        drawn_over = overlaid(photo, Explanation("x", (line,))).astype(int)
        stripe = drawn_over[90:110, 40:160].reshape(-1, 3)
        assert np.abs(stripe - drawn_over[20, 20]).max() > 80


def test_a_hotter_cell_is_brighter_whatever_the_eye():
    photo = np.full((100, 200, 3), 128, np.uint8)
    shown = overlaid(photo, Explanation("x", (HeatMap(np.linspace(0, 1, 32)[None], "x"),)))
    for channel_weights in ((0.299, 0.587, 0.114), (0.0, 0.9, 0.1)):  # all cones; no red ones
        tones = (shown[50] @ np.array(channel_weights))[4:-4]
        assert (np.diff(tones) >= -3).all()
        assert tones[-1] > tones[0] + 60


def test_what_has_no_weight_shows_the_photo_in_grey():
    photo = sample_images()["natural"]
    heat = HeatMap(np.ones((2, 2)), "x", weight=np.zeros((2, 2)))
    shown = overlaid(photo, Explanation("x", (heat,))).astype(int)
    assert (np.ptp(shown, axis=2) <= 1).all()


def test_a_panorama_stands_below_its_explanation_and_others_beside():
    for shape, wide in (((40, 400, 3), False), ((300, 400, 3), True)):
        photo = np.full(shape, 90, np.uint8)
        whole = page(photo, Explanation("x"), "name", "verdict", True, 400)
        assert (whole.shape[1] > 2 * 400) == wide


def test_small_photos_are_enlarged_and_large_ones_shrunk():
    assert max(scaled(np.zeros((10, 20, 3), np.uint8), 640).shape) == 360
    assert max(scaled(np.zeros((10, 20, 3), np.uint8), 200).shape) == 200
    assert max(scaled(np.zeros((1000, 500, 3), np.uint8), 640).shape) == 640


def test_lines_of_text_fit_and_lose_no_word():
    text = "Beyond strong edges the tones come back by 22 % of the edge, as halos do (15 %)."
    lines = wrapped(text, 15, 200)
    assert " ".join(lines) == text
    assert all(text_width(line, 15) <= 200 for line in lines)
    assert wrapped("one-very-long-word-that-cannot-be-parted", 15, 10)


@pytest.mark.parametrize(
    "series",
    [
        Series([0], [0]),
        Series([0, 0], [1e9, -1e9]),
        Series([1, 2], [5, 5], "flat"),
        Series(np.arange(256), np.zeros(256), kind="area"),
        Series([1e-9, 2e-9], [1e-9, 2e-9], kind="points"),
    ],
)
def test_any_numbers_can_be_charted(series):
    shown = drawn(
        Chart("a chart with a label that is longer than it is wide, by far", (series,)), 240
    )
    assert shown.shape == (HEIGHT, 240, 3)
    assert (shown < 128).any()


def test_older_opencv_writes_plain_letters(monkeypatch):
    from qualipy.explaining import canvas

    monkeypatch.setattr(canvas, "_face", lambda: None)
    assert canvas.text_width("1.5 × 2 ≥ 3 – äöü…", 15) > 50
    shown = qualipy.explain(Everything(), sample_images()["natural"])
    assert shown.shape[2] == 3
