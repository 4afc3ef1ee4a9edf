"""What a filter saw, as plain data: `Explanation` and its parts, and `Filter.explanation`."""

from __future__ import annotations

import numpy as np
import pytest

from qualipy_core import Explanation, Filter, Image
from qualipy_core.errors import FilterError, ImageReadError
from qualipy_core.explanation import Boxes, Chart, HeatMap, Inset, Lines, Mask, Series
from qualipy_core.testing import FilterContract, sample_images

HEAT = HeatMap(np.eye(3), "heat")


class Explains(Filter):
    """Shows what it is told to.

    Parameters
    ----------
    threshold : float
        The level.
    """

    name = "explains"

    def measure(self, image: Image) -> float:
        return 0.0

    def explain(self, image: Image) -> Explanation:
        return Explanation("All of it.", (HEAT,))


class TestExplains(FilterContract):
    filter_class = Explains


class Mute(Filter):
    """Has nothing to show."""

    name = "mute"

    def measure(self, image: Image) -> float:
        return 0.0


def image():
    return Image(sample_images()["natural"], name="a.jpg")


def saying(returned):
    class Says(Mute):
        """Returns something."""

        name = "says"

        def explain(self, image):
            if isinstance(returned, Exception):
                raise returned
            return returned

    return Says()


def test_a_filter_that_does_not_explain_itself_says_none():
    assert Mute().explanation(image()) is None


def test_an_explanation_comes_as_the_filter_made_it():
    found = Explains().explanation(image())
    assert found.summary == "All of it."
    assert found.layers == (HEAT,)
    assert found.charts == ()


@pytest.mark.parametrize("returned", ["a text", {"summary": "x"}, 3, [HEAT]])
def test_what_is_no_explanation_is_the_filters_fault(returned):
    with pytest.raises(FilterError, match=r"by a \w+, which is no Explanation on a.jpg") as caught:
        saying(returned).explanation(image())
    assert (caught.value.filter, caught.value.image) == ("says", "a.jpg")


def test_a_filter_that_fails_to_explain_itself_is_named():
    with pytest.raises(FilterError, match=r"could not explain itself: KeyError: 'x' on a.jpg"):
        saying(KeyError("x")).explanation(image())


def test_a_part_that_cannot_be_drawn_is_the_filters_fault():
    class Wrong(Mute):
        """Gives a map of percentages."""

        name = "wrong"

        def explain(self, image):
            return Explanation("x", (HeatMap(np.full((2, 2), 50.0), "percent"),))

    with pytest.raises(FilterError, match=r"'percent': values must lie in \[0, 1\]"):
        Wrong().explanation(image())


def test_an_image_that_cannot_be_read_is_no_fault_of_the_filter(tmp_path):
    class Looks(Mute):
        """Looks at the image."""

        name = "looks"

        def explain(self, image):
            image.pixels()

    with pytest.raises(ImageReadError):
        Looks().explanation(Image(tmp_path / "missing.jpg"))


def test_the_checked_answer_may_not_be_overridden():
    with pytest.raises(TypeError, match="override explain"):
        type("Sly", (Mute,), {"name": "sly", "explanation": lambda self, image: None})


@pytest.mark.parametrize(
    "values",
    [
        np.full((2, 2), np.nan),
        np.full((2, 2), np.inf),
        np.full((2, 2), 1.5),
        np.full((2, 2), -0.5),
        np.zeros(4),
        np.zeros((0, 3)),
        np.zeros((2, 2, 3)),
    ],
)
def test_a_map_has_rows_and_columns_of_shares(values):
    for make in (HeatMap, Inset):
        with pytest.raises(ValueError, match="values"):
            make(values, "x")


def test_a_map_may_go_beyond_its_range_by_rounding():
    assert HeatMap(np.full((1, 1), 1 + 1e-6), "x").values.max() == 1


def test_a_weight_has_the_shape_of_its_map():
    with pytest.raises(ValueError, match="weight"):
        HeatMap(np.zeros((2, 2)), "x", weight=np.zeros((2, 3)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Mask(np.zeros(3, bool), "x"),
        lambda: Mask(np.zeros((2, 2), bool), ""),
        lambda: Mask(np.zeros((2, 2), bool), "x", role="bad"),
        lambda: Mask(np.zeros((2, 2), bool), "x", color=(0, 0, 256)),
        lambda: Mask(np.zeros((2, 2), bool), "x", color=(0, 0)),
        lambda: Boxes(np.zeros((2, 3)), "x"),
        lambda: Boxes(np.array([[0, 0, -1, 1]]), "x"),
        lambda: Boxes(np.array([[0, 0, np.nan, 1]]), "x"),
        lambda: Lines((np.zeros((4, 3)),), "x"),
        lambda: Lines((np.full((4, 2), np.inf),), "x"),
        lambda: Series([1, 2], [1]),
        lambda: Series([2, 1], [1, 1]),
        lambda: Series([], []),
        lambda: Series([1], [np.nan]),
        lambda: Series([1], [1], kind="pie"),
        lambda: Chart("x", ()),
        lambda: Chart("x", ([1, 2],)),
        lambda: Chart("x", (Series([1], [1]),), marks=((np.nan, "here"),)),
        lambda: Chart("x", (Series([1], [1]),), y_range=(0, np.inf)),
        lambda: Inset(np.zeros((2, 2)), "x", np.zeros((2, 3))),
        lambda: Explanation(""),
        lambda: Explanation("x" * 1000),
        lambda: Explanation("two\nlines"),
    ],
)
def test_what_cannot_be_drawn_cannot_be_made(make):
    with pytest.raises(ValueError, match=r"^\w+( '.*')?: "):
        make()


def test_layers_and_charts_are_what_they_are_called():
    chart = Chart("x", (Series([1], [1]),))
    with pytest.raises(TypeError, match="layers of an Explanation are HeatMap, Mask, Boxes, Lines"):
        Explanation("x", (chart,))
    with pytest.raises(TypeError, match="charts"):
        Explanation("x", (), (HEAT,))


def test_what_an_explanation_holds_is_read_only_and_the_source_stays_as_it_was():
    values = np.eye(3, dtype=np.float32)
    heat = HeatMap(values, "x", weight=np.ones((3, 3)))
    parts = [
        heat.values,
        heat.weight,
        Mask(values > 0, "x").where,
        Boxes(np.ones((1, 4)), "x").boxes,
        *Lines((np.ones((2, 2)),), "x").lines,
        Series([1, 2], [1, 2]).y,
        Inset(values, "x", np.ones((1, 2))).points,
    ]
    for part in parts:
        with pytest.raises(ValueError, match="read-only"):
            part[...] = 0
    values[0, 0] = 0.5  # whose array it is may go on with it


def test_lists_do_as_well_as_arrays_and_may_be_empty():
    assert Boxes([], "x").boxes.shape == (0, 4)
    assert Inset([[0, 1]], "x").points.shape == (0, 2)
    assert Lines((), "x").lines == ()
    assert Lines([[(0, 0), (1, 1)]], "x").lines[0].shape == (2, 2)
    assert Mask([[0, 1]], "x").where.dtype == np.bool_
