from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qualipy_filters_builtin import hamming_search
from qualipy_filters_builtin.hamming_search import pairs_within

codes_of = st.lists(st.integers(0, 2**64 - 1), max_size=40).map(lambda c: np.array(c, np.uint64))


def found(codes, radius, others=None):
    blocks = [
        zip(i.tolist(), j.tolist(), strict=True) for i, j in pairs_within(codes, radius, others)
    ]
    return [pair for block in blocks for pair in block]


def compared(codes, radius, others=None):
    against = codes if others is None else others
    near = np.bitwise_count(codes[:, None] ^ against[None]) <= radius
    if others is None:
        near = np.triu(near, 1)
    return sorted(zip(*(index.tolist() for index in np.nonzero(near)), strict=True))


def near_copies(number, most_bits, seed=0):
    """Random codes, half of them few bits away from another."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2**64, number, np.uint64)
    for index in range(number // 2, number):
        flipped = rng.choice(64, rng.integers(0, most_bits + 1), replace=False)
        change = sum(1 << int(bit) for bit in flipped)
        codes[index] = codes[rng.integers(0, number // 2)] ^ np.uint64(change)
    return codes


@pytest.fixture(params=[2, 3, 4, 7, 16])
def cut_into(request, monkeypatch):
    """Codes are cut into so many parts, where comparing all with all would be cheaper."""

    def parts(n, m, radius):
        return hamming_search._cut(request.param, radius)

    monkeypatch.setattr(hamming_search, "_parts", parts)


@settings(max_examples=60)
@given(codes=codes_of, radius=st.integers(0, 64))
def test_all_pairs_within_the_radius_are_found_once(codes, radius):
    assert sorted(found(codes, radius)) == compared(codes, radius)


@settings(max_examples=60)
@given(codes=codes_of, others=codes_of, radius=st.integers(0, 64))
def test_two_sets_of_codes_are_paired(codes, others, radius):
    assert sorted(found(codes, radius, others)) == compared(codes, radius, others)


@pytest.mark.parametrize("cut_into", [3, 4, 7, 16], indirect=True)
@pytest.mark.parametrize("radius", [0, 1, 3, 7, 8])
def test_tables_find_what_comparing_all_with_all_finds(cut_into, radius):
    codes = near_copies(400, 10)
    assert sorted(found(codes, radius)) == compared(codes, radius)
    one, other = codes[:150], codes[150:]
    assert sorted(found(one, radius, other)) == compared(one, radius, other)


@pytest.mark.parametrize("cut_into", [4], indirect=True)
def test_many_codes_in_one_bucket_are_found_in_blocks(cut_into, monkeypatch):
    monkeypatch.setattr(hamming_search, "_BLOCK", 50)
    codes = near_copies(300, 3) & np.uint64(0xFF)  # three parts of four are zero
    assert sorted(found(codes, 2)) == compared(codes, 2)


def test_the_way_of_searching_changes_nothing():
    codes = near_copies(20_000, 8, seed=1)
    assert hamming_search._parts(len(codes), len(codes), 5)
    pairs = found(codes, 5)
    assert len(pairs) == len(set(pairs))
    brute = [(a, b) for a, b in compared_in_blocks(codes, 5)]
    assert sorted(pairs) == brute


def compared_in_blocks(codes, radius):
    pairs = hamming_search._all_with_all(codes, None, radius)
    return sorted(p for i, j in pairs for p in zip(i.tolist(), j.tolist(), strict=True))


def test_a_hundred_thousand_codes_take_seconds():
    codes = np.random.default_rng(0).integers(0, 2**64, 100_000, np.uint64)
    assert len(found(codes, 4)) < 10  # far fewer than five billion are compared, or this is slow


def test_no_codes_make_no_pairs():
    nothing = np.empty(0, np.uint64)
    assert found(nothing, 10) == found(nothing, 10, near_copies(5, 2)) == []
