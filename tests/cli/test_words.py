"""Results in words."""

from __future__ import annotations

import pytest

from qualipy.cli.text import unstyled
from qualipy.cli.words import Tally, duration, line, reason, verdict
from qualipy_core import Filter, Result
from qualipy_core.errors import FilterError, ImageReadError, ModelError


class Some(Filter):
    """Something."""

    name = "some"

    def measure(self, image):
        return 0.0


class Odd(Some):
    """Decides in its own way."""

    name = "odd"

    def decide(self, prediction):
        return prediction == -1


def flagged(**predictions):
    return Result("a.jpg", predictions, dict.fromkeys(predictions, True))


BROKEN = Result("a.jpg", error=ImageReadError("a.jpg is empty.", image="a.jpg"))


@pytest.mark.parametrize(
    ("item", "prediction", "words"),
    [
        (Some(), 0.9312, "some 0.93 > 0.5"),
        (Some(), 0.5000001, "some 0.5000001 > 0.5"),
        (Some(0.05, invert_threshold=True), 0.004, "some 0.004 < 0.05"),
        (Some() <= 0.1, 0.1, "some 0.1 <= 0.1"),
        (Some() == 1, 1.0, "some 1 == 1"),
        (Some(16 / 9), 7 / 3, "some 2.33 > 1.78"),
        (Some(1000), 12345.678, "some 12345.68 > 1000"),
        (Odd(), -1.0, "odd -1"),
        (None, 0.25, "some 0.25"),
    ],
)
def test_a_reason_is_as_short_as_it_can_be_while_true(item, prediction, words):
    assert reason(item.name if item is not None else "some", item, prediction) == words


def test_a_line_has_verdict_image_and_reasons():
    filters = {"some": Some(), "other": Some(0.25)}
    shown = unstyled(line(flagged(some=0.75, other=0.5), filters))
    assert shown == "flagged   a.jpg  some 0.75 > 0.5, other 0.5 > 0.25"
    assert unstyled(line(Result("b.jpg"), {})) == "suitable  b.jpg"


def test_the_line_of_an_error_names_the_image_once():
    assert unstyled(line(BROKEN, {})) == "error     a.jpg  is empty"
    failure = FilterError("Filter some (pack 1.0) failed: ValueError: boom on a.jpg.")
    shown = unstyled(line(Result("a.jpg", failures={"some": failure}), {}))
    assert shown == "error     a.jpg  some (pack 1.0) failed: ValueError: boom"


def test_a_failure_always_says_whose_it_is():
    result = Result("a.jpg", failures={"some": ModelError("There is no model file x.npz.")})
    assert unstyled(line(result, {})).endswith("some: There is no model file x.npz")


def test_a_positive_filter_counts_even_if_another_one_failed():
    failure = FilterError("Filter b failed: ValueError.")
    result = Result("a.jpg", {"some": 1.0}, {"some": True}, {"b": failure})
    assert verdict(result) == "flagged"
    assert verdict(Result("a.jpg", failures={"b": failure})) == "error"


def test_the_counts_of_a_summary_add_up():
    tally = Tally()
    for result in (Result("a"), flagged(some=1.0), flagged(some=1.0, other=1.0), BROKEN):
        tally.add(result)
    assert tally.photos == tally.suitable + tally.flagged + tally.errors == 4
    assert unstyled(tally.summary(2.0)).splitlines() == [
        "4 photos in 2.0 s (2.0 photos/s)",
        "  suitable  1",
        "  flagged   2",
        "    some   2",
        "    other  1",
        "  error     1",
    ]


def test_a_time_is_told_as_people_do():
    assert duration(3.21) == "3.2 s"
    assert duration(59.99) == "60.0 s"
    assert duration(245) == "4 min 05 s"
    assert duration(7620) == "2 h 07 min"
