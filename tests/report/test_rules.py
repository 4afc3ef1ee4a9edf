"""Thresholds that a page may move, and those that it may not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualipy.filters import Exposure, Framed, ObjectTooSmall, UnconventionalSize
from qualipy.report.rules import UNKNOWN_THRESHOLD, UNKNOWN_WAY, rule
from qualipy_core import Filter

HOLDS = {
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


class Odd(Filter):
    """Decides as no threshold could."""

    name = "odd"

    def measure(self, image):
        return 0.0

    def decide(self, prediction):
        return int(prediction * 10) % 2 == 1


def decided(item, predictions):
    return np.array([item.decision(value) for value in predictions], dtype=bool)


SOME = np.linspace(0, 1, 41)


@pytest.mark.parametrize("sign", list(HOLDS))
@pytest.mark.parametrize("inverted", [False, True])
def test_a_rule_gives_the_decisions_of_the_filter(sign, inverted):
    item = Framed(threshold=0.25, invert_threshold=inverted, comparison=sign)
    flagged = decided(item, SOME)
    found = rule(item, SOME, flagged)
    assert found.sign is not None
    assert np.array_equal(HOLDS[found.sign](found.positions, found.threshold), flagged)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_a_filter_that_decides_in_its_own_way_is_asked_where_its_decisions_change(threshold):
    item = Exposure(negative_under_exposed=True)
    predictions = np.append(SOME, -1.0)
    found = rule(item, predictions, decided(item, predictions))
    assert found.sign is not None
    moved = decided(item.replace(threshold=threshold), predictions)
    assert np.array_equal(HOLDS[found.sign](found.positions, threshold), moved)


def test_a_way_that_no_threshold_explains_is_left_alone():
    found = rule(Odd(), SOME, decided(Odd(), SOME))
    assert found.sign is None
    assert found.note == UNKNOWN_WAY


def test_photos_without_a_prediction_change_nothing():
    predictions = np.array([0.2, np.nan, 0.8])
    found = rule(Framed(), predictions, np.array([False, False, True]))
    assert found.sign == ">"
    assert found.note == ""


@given(st.lists(st.floats(0, 1), min_size=1), st.floats(0, 1))
def test_the_worst_photos_are_the_farthest_beyond_the_threshold(values, threshold):
    item, predictions = Framed(threshold=threshold), np.array(values)
    flagged = decided(item, predictions)
    margins = rule(item, predictions, flagged).margins(flagged)
    assert ((margins >= 0) & (margins <= 1)).all()
    assert not margins[~flagged].any()
    order = np.argsort(predictions[flagged])
    assert (np.diff(margins[flagged][order]) >= 0).all()


def test_margins_of_filters_with_other_scales_can_be_compared():
    small = rule(ObjectTooSmall(), np.array([0.0, 0.04]), np.array([True, True]))
    assert small.margins(np.array([True, True])) == pytest.approx([1, 0.2])


def test_the_scale_fits_predictions_that_are_no_probabilities():
    predictions = np.append(np.linspace(1, 3, 200), 20_000.0)
    item = UnconventionalSize()
    found = rule(item, predictions, decided(item, predictions))
    assert 0 < found.low <= 1
    assert 3 <= found.high < 10  # one strange photo does not squeeze the others
    assert found.margins(decided(item, predictions))[-1] == 1


def test_the_scale_of_probabilities_is_zero_to_one():
    found = rule(Framed(), np.array([0.4, 0.41]), np.array([False, False]))
    assert (found.low, found.high) == (0, 1)


@pytest.mark.parametrize("values", [[], [0.3], [7.0], [5.0, 5.0], [-4.0]])
def test_a_scale_has_two_ends_whatever_was_measured(values):
    predictions = np.array(values, dtype=float)
    found = rule(Framed(), predictions, decided(Framed(), predictions))
    assert found.low < found.high
    assert found.low <= found.threshold <= found.high


def test_the_default_threshold_is_assumed_where_it_fits_and_that_is_said():
    found = rule(Framed(), SOME, SOME > 0.5, certain=False)
    assert found.threshold == 0.5
    assert "assumed" in found.note


def test_a_threshold_is_inferred_from_the_verdicts():
    found = rule(Framed(), SOME, SOME > 0.3, certain=False)
    assert np.array_equal(found.positions > found.threshold, SOME > 0.3)
    assert "inferred" in found.note


def test_the_side_of_an_unknown_filter_is_inferred_too():
    found = rule(None, SOME, SOME < 0.3, certain=False)
    assert found.sign == "<"
    assert np.array_equal(found.positions < found.threshold, SOME < 0.3)


@pytest.mark.parametrize("flagged", [SOME > 2, SOME >= 0, np.abs(SOME - 0.5) < 0.1])
def test_of_an_unknown_filter_nothing_is_made_up(flagged):
    found = rule(None, SOME, flagged, certain=False)
    assert found.sign is None
    assert found.note == UNKNOWN_THRESHOLD
