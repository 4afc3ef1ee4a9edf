"""The contract finds what it is there to find."""

from __future__ import annotations

import numpy as np
import pytest
from sample_filters import Brightness, Copies, Darkness, Explodes, Nan, Unlike, Vandal

from qualipy_core import Comparison, Filter, Image, SetFilter
from qualipy_core.testing import FilterContract, SetFilterContract, sample_images


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
            given = {"name": "natural"} if "finite_number" in name or "drawn" in name else {}
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


class TestCopiesKeepTheContractOfSetFilters(SetFilterContract):
    filter_class = Copies

    def sets(self):
        black, white = np.zeros((9, 9, 3), np.uint8), np.full((9, 9, 3), 255, np.uint8)
        return [([black, white, black], [False, False, True]), ([white], [False])]


class TestUnlikeKeepsTheContractOfSetFilters(SetFilterContract):
    filter_class = Unlike


def set_breaches(cls, tmp_path):
    """The names of the contract's tests that a set filter fails."""

    class Contract(SetFilterContract):
        filter_class = cls

        def sets(self):
            return [([np.zeros((9, 9, 3), np.uint8)], [True])]

    contract, failed = Contract(), []
    for name in dir(contract):
        if name.startswith("test_") and "another_process" not in name:
            given = {"count": 3} if "equal_pictures" in name else {}
            if "request" in name or "piece" in name:
                given = {"tmp_path": tmp_path}
            try:
                getattr(contract, name)(**given)
            except Exception:
                failed.append(name.removeprefix("test_"))
    return failed


class Flawed(SetFilter):
    """Flawed."""

    name = "flawed"

    def fingerprint(self, image: Image):
        return image.pixels()[0, 0]

    def compare(self, fingerprints):
        return Comparison(np.ones(len(fingerprints)))


def test_a_set_filter_without_flaws_has_none(tmp_path):
    assert set_breaches(Flawed, tmp_path) == []


@pytest.mark.parametrize(
    ("method", "breach"),
    [
        ({"fingerprint": lambda self, image: image.pixels()[0]}, "fingerprints_have_one_form"),
        ({"fingerprint": lambda self, image: np.random.random(2)}, "a_fingerprint_is_the_same"),
        (
            {"fingerprint": lambda self, image: np.array([self.threshold])},
            "a_fingerprint_does_not_depend_on_what_decides",
        ),
        ({"comparing": ("radius",)}, "parameters_that_only_compare_uses"),
        (
            {"compare": lambda self, rows: Comparison(np.zeros(len(rows)))},
            "clear_sets_are_judged_as_they_must",
        ),
        (
            {"compare": lambda self, rows: Comparison(rows[:, 0] / np.ptp(rows[:, 0]))},
            "a_set_of_equal_pictures_can_be_compared",
        ),
    ],
)
def test_a_flaw_of_a_set_filter_is_found(tmp_path, method, breach):
    cls = type("Other", (Flawed,), {"__doc__": "Other.", "name": "other", **method})
    assert any(found.startswith(breach) for found in set_breaches(cls, tmp_path))
