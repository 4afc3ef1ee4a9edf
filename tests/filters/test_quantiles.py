"""Quantiles: what NumPy gives, sooner."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qualipy_filters_builtin.quantiles import nearest_percentiles, percentiles, quantile

NUMBERS = arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 60)),
    elements=st.floats(-1000, 1000, width=32),
)
SHARES = st.lists(st.floats(0, 100), min_size=1, max_size=4)


@given(NUMBERS, SHARES)
def test_percentiles_of_rows_are_those_of_numpy(values, shares):
    expected = np.percentile(values.astype(np.float64), shares, axis=1).T
    np.testing.assert_allclose(percentiles(values, shares), expected, rtol=1e-6, atol=1e-3)


@given(NUMBERS, SHARES)
def test_nearest_percentiles_are_numbers_next_to_those_of_numpy(values, shares):
    found = nearest_percentiles(values, tuple(shares))
    lower = np.percentile(values, shares, method="lower")
    higher = np.percentile(values, shares, method="higher")
    assert ((found == lower) | (found == higher)).all()


@given(NUMBERS, st.floats(0, 1))
def test_a_quantile_is_that_of_numpy(values, share):
    expected = np.quantile(values[0].astype(np.float64), share)
    np.testing.assert_allclose(quantile(values[0], share), expected, rtol=1e-6, atol=1e-3)


def test_whole_numbers_do_not_overflow():
    ends = np.array([[np.iinfo(np.int16).min, np.iinfo(np.int16).max]], dtype=np.int16)
    assert percentiles(ends, [50])[0, 0] == -0.5
    assert quantile(ends[0], 0.5) == -0.5
