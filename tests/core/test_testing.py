"""The contract finds what it is there to find."""

from __future__ import annotations

import numpy as np
import pytest
from sample_filters import Brightness, Darkness, Explodes, Nan, Vandal

from qualipy_core import Filter, Image
from qualipy_core.testing import FilterContract, sample_images


class TestBrightnessKeepsTheContract(FilterContract):
    filter_class = Brightness

    def positives(self):
        return [np.full((9, 9, 3), 250, np.uint8)]

    def negatives(self):
        return [np.zeros((9, 9), np.uint8)]


class TestDarknessKeepsTheContract(FilterContract):
    filter_class = Darkness


def breaches(cls, *arguments):
    """The names of the contract's tests that a filter fails."""

    class Contract(FilterContract):
        filter_class = cls

        def positives(self):
            return [np.zeros((9, 9, 3), np.uint8)]

    contract, failed = Contract(), []
    for name in dir(contract):
        if name.startswith("test_"):
            given = {"name": "natural"} if "finite_number" in name else {}
            if "request" in name or "another_process" in name:
                continue  # these need a temporary path, and a class that can be imported
            try:
                getattr(contract, name)(**given)
            except Exception:
                failed.append(name.removeprefix("test_"))
    return failed


def test_a_filter_without_words_is_found():
    class Silent(Filter):
        name = "silent"

        def measure(self, image: Image) -> float:
            return 1.0

    Silent.__doc__ = None
    assert breaches(Silent) == ["it_says_what_a_positive_means_and_what_each_parameter_does"]


def test_an_undocumented_parameter_is_found():
    class Terse(Brightness):
        """Terse."""

        name = "terse"
        threshold = 0.0
        secret: int = 0

        def measure(self, image: Image) -> float:
            return 1.0

    assert breaches(Terse) == ["it_says_what_a_positive_means_and_what_each_parameter_does"]


def test_a_wrong_verdict_is_found():
    assert "clear_positives_are_flagged" in breaches(Brightness)


@pytest.mark.parametrize("cls", [Explodes, Nan, Vandal])
def test_a_failing_filter_is_found(cls):
    assert "a_prediction_is_a_finite_number_without_a_warning" in breaches(cls)


def test_a_fickle_filter_is_found():
    class Fickle(Brightness):
        """Fickle."""

        name = "fickle"
        count = 0

        def measure(self, image: Image) -> float:
            type(self).count += 1
            return 1.0 / type(self).count

    assert "a_prediction_is_the_same_each_time" in breaches(Fickle)


def test_sample_images_are_the_same_each_time():
    one, two = sample_images(), sample_images()
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)
