from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qualipy_core import scan
from qualipy_core.testing import SetFilterContract
from qualipy_filters_builtin.odd_size import OddSize


class TestOddSizeKeepsTheContract(SetFilterContract):
    filter_class = OddSize

    def sets(self):
        usual = [np.zeros((90, 120, 3), np.uint8)] * 12
        return [([*usual, np.zeros((18, 24, 3), np.uint8)], [False] * 12 + [True])]


def oddness(*sizes):
    return OddSize().compare(np.array(sizes, np.uint32)).predictions


USUAL = [(4000, 3000)] * 20


def test_a_thumbnail_among_camera_files_is_odd():
    *usual, thumbnail = oddness(*USUAL, (160, 120))
    assert thumbnail > 0.5
    assert max(usual) == 0


def test_a_banner_among_photos_is_odd_though_its_area_is_usual():
    assert oddness(*USUAL, (8500, 1400))[-1] > 0.5


def test_the_further_the_odder():
    values = [oddness(*USUAL, (4000 // by, 3000 // by))[-1] for by in (1, 2, 3, 5, 10, 40)]
    assert values == sorted(values)
    values = [oddness(*USUAL, (4000 * by, 3000 * by))[-1] for by in (1, 2, 3, 5, 10, 40)]
    assert values == sorted(values)


@pytest.mark.parametrize("size", [(4001, 3000), (3999, 2999), (3000, 4000), (4000, 2250)])
def test_a_little_off_is_not_odd(size):
    assert oddness(*USUAL, size)[-1] < 0.5


def test_two_common_sizes_are_not_odd():
    assert oddness(*[(4000, 3000)] * 14, *[(1024, 768)] * 6).max() == 0
    assert oddness(*[(4000, 3000)] * 10, *[(640, 480)] * 10, *[(8000, 2000)] * 4).max() < 0.5


def test_an_outlier_of_two_common_sizes_is_odd():
    values = oddness(*[(4000, 3000)] * 20, *[(3000, 2250)] * 20, (100, 75))
    assert np.flatnonzero(values > 0.5).tolist() == [40]


def test_sizes_that_vary_much_need_more_to_be_odd():
    sides = np.geomspace(400, 6000, 60).astype(int)
    varied = [(4 * side, 3 * side) for side in sides]
    assert oddness(*varied).max() < 0.5
    assert oddness(*varied, (1200, 900))[-1] < oddness(*USUAL, (1200, 900))[-1]


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_nothing_is_odd_among_few(number):
    sizes = [(4000, 3000), (10, 10), (1, 5000), (640, 480)][:number]
    assert not oddness(*sizes).any()


def test_five_are_enough():
    assert oddness(*[(4000, 3000)] * 4, (64, 48))[-1] > 0.5


@settings(max_examples=50)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 9999), st.integers(1, 9999)), min_size=1, max_size=30),
    random=st.randoms(use_true_random=False),
)
def test_order_and_orientation_change_nothing(sizes, random):
    values = oddness(*sizes)
    assert np.all((values >= 0) & (values < 1))
    order = random.sample(range(len(sizes)), len(sizes))
    turned = [sizes[i] if random.random() < 0.5 else sizes[i][::-1] for i in order]
    assert oddness(*turned) == pytest.approx(values[order])


def test_a_large_set_is_compared_in_seconds():
    rng = np.random.default_rng(0)
    sizes = rng.integers(500, 6000, (200_000, 2)).astype(np.uint32)
    assert OddSize().compare(sizes).predictions.shape == (200_000,)


def test_it_goes_through_scan():
    pictures = [np.zeros((300, 400, 3), np.uint8)] * 6 + [np.zeros((30, 40, 3), np.uint8)]
    results = list(scan(pictures, [OddSize()]))
    assert [result.suitable for result in results] == [True] * 6 + [False]
