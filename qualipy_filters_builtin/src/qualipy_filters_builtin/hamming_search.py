"""All pairs of 64-bit codes that differ in few bits, exactly, without comparing all with all.

Codes are cut into m parts. Two codes that differ in at most ``m q + a`` bits (a < m) differ in at
most q bits in one of the first a + 1 parts, or in at most q - 1 in one of the others. So for every
part there is a table of the codes by the value of that part, and every code is looked up under all
values that are so near its own; what is found is compared in full. Nothing within the radius is
missed. After Norouzi, Punjani & Fleet 2012, "Fast search in Hamming space with multi-index
hashing", doi:10.1109/CVPR.2012.6248043.

Codes are looked up one mask at a time, all codes at once, which is what NumPy is fast at.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import comb
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

BITS = 64
_MOST_PART_BITS = 22  # a table has two numbers per value of its part
_BLOCK = 1 << 21
"""Candidates that are compared at a time: some 100 MB."""
_FEW = 24
"""Buckets of up to so many are gone through one place at a time, all buckets at once."""
_LOOK_UP, _COMPARE, _COMPARE_ALL = 4.0, 20.0, 3.0
"""Nanoseconds for one look-up, one candidate, and one pair when all are compared with all; only
their ratios matter, for choosing the number of parts."""

Codes = NDArray[np.uint64]
Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


def pairs_within(codes: Codes, radius: int, others: Codes | None = None) -> Iterator[Pairs]:
    """Yield all pairs of codes that differ in at most ``radius`` bits, each once.

    Parameters
    ----------
    codes : ndarray of uint64, shape (n,)
        Equal codes are as many pairs as they make: pass them once if they are many.
    radius : int
        In bits, 0 … 64.
    others : ndarray of uint64, shape (m,), optional
        Pair the codes with these, instead of with each other.

    Yields
    ------
    i, j : ndarrays of int64
        Indexes into ``codes``, and into ``others`` or ``codes``; without others, each unordered
        pair once. In no particular order, in blocks of bounded size.
    """
    against = codes if others is None else others
    if not (len(codes) and len(against)):
        return
    parts = _parts(len(codes), len(against), radius)
    if not parts:
        yield from _all_with_all(codes, others, radius)
        return
    for number, part in enumerate(parts):
        for i, j in _found(codes, others, part, radius):
            new = np.ones(len(i), bool)
            for earlier in parts[:number]:  # what these found is not found again
                apart = np.bitwise_count(earlier.of(codes[i]) ^ earlier.of(against[j]))
                new &= apart > earlier.radius
            if new.any():
                yield i[new], j[new]


class _Part(NamedTuple):
    """Some bits of the codes, and how many of them may differ."""

    shift: int
    bits: int
    radius: int

    def of(self, codes: Codes) -> NDArray[np.int64]:
        low = codes >> np.uint64(self.shift)
        return (low & np.uint64((1 << self.bits) - 1)).astype(np.int64)

    @property
    def masks(self) -> int:
        return sum(comb(self.bits, weight) for weight in range(self.radius + 1))


def _parts(n: int, m: int, radius: int) -> list[_Part]:
    """The cheapest way of cutting the codes; none when comparing all with all is cheaper."""
    best, cheapest = [], _COMPARE_ALL * n * m
    for number in range(2, BITS // 4 + 1):
        parts = _cut(number, radius)
        if parts[0].bits > _MOST_PART_BITS:
            continue
        cost = sum(
            part.masks * (_LOOK_UP * n + _COMPARE * n * m / 2**part.bits) + 10.0 * 2**part.bits
            for part in parts
        )
        if cost < cheapest:
            best, cheapest = parts, cost
    return best


def _cut(number: int, radius: int) -> list[_Part]:
    quotient, rest = divmod(radius, number)
    ends = [round(BITS * index / number) for index in range(number + 1)]
    parts = []
    for index in range(number):
        bits = ends[index + 1] - ends[index]
        allowed = quotient if index <= rest else quotient - 1
        if allowed >= 0:
            parts.append(_Part(ends[index], bits, min(allowed, bits)))
    return parts


def _all_with_all(codes: Codes, others: Codes | None, radius: int) -> Iterator[Pairs]:
    against = codes if others is None else others
    rows = max(1, _BLOCK // len(against))
    for start in range(0, len(codes), rows):
        first = start + 1 if others is None else 0
        apart = np.bitwise_count(codes[start : start + rows, None] ^ against[None, first:])
        i, j = np.nonzero(apart <= radius)
        i, j = i + start, j + first
        if others is None:
            upper = i < j
            i, j = i[upper], j[upper]
        if len(i):
            yield i, j


def _found(codes: Codes, others: Codes | None, part: _Part, radius: int) -> Iterator[Pairs]:
    """Pairs within the radius whose parts are within the part's radius."""
    values = part.of(codes)
    order = np.argsort(values, kind="stable")
    values, ours = values[order], codes[order]
    if others is None:
        their_order, theirs, their_values = order, ours, values
    else:
        their_order = np.argsort(part.of(others), kind="stable")
        theirs = others[their_order]
        their_values = part.of(theirs)
    counts = np.bincount(their_values, minlength=1 << part.bits)
    starts = (np.cumsum(counts) - counts).astype(np.int32)
    # Small numbers stay in the processor's cache, where all look-ups but few end.
    counts = counts.astype(np.min_scalar_type(counts.max()))

    for rows, first, many in _looked_up(values, counts, starts, part, others is None):
        for a, b in _candidates(rows, first, many):
            near = np.bitwise_count(ours[a] ^ theirs[b]) <= radius
            if near.any():
                i, j = order[a[near]], their_order[b[near]]
                yield (np.minimum(i, j), np.maximum(i, j)) if others is None else (i, j)


def _looked_up(
    values: NDArray[np.int64],
    counts: NDArray[Any],
    starts: NDArray[np.int32],
    part: _Part,
    among_themselves: bool,
) -> Iterator[tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]]:
    """For each mask: rows whose masked value is in the table, where it starts, how many there."""
    rows = np.arange(len(values))
    first: NDArray[Any]
    many: NDArray[Any]
    if among_themselves:  # equal values: every row with those after it in its own bucket
        first, many = rows + 1, starts[values] + counts[values].astype(np.int64) - rows - 1
    else:
        first, many = starts[values], counts[values]
    hit = np.flatnonzero(many)
    yield hit, first[hit], many[hit]

    for top in range(part.bits):
        # A mask's highest bit is clear in one of two values: from there each pair is seen once.
        chosen = np.flatnonzero(values >> top & 1 == 0) if among_themselves else rows
        mine = values[chosen].astype(np.int32)
        for weight in range(part.radius):
            for lower in combinations(range(top), weight):
                mask = (1 << top) + sum(1 << bit for bit in lower)
                sought = mine ^ np.int32(mask)
                many = counts[sought]
                hit = np.flatnonzero(many)
                yield chosen[hit], starts[sought[hit]], many[hit]


def _candidates(
    rows: NDArray[np.int64], first: NDArray[Any], many: NDArray[Any]
) -> Iterator[Pairs]:
    """Every row with each of the ``many`` places from ``first`` on, in blocks."""
    if not len(rows):
        return
    most = int(many.max())
    if most <= _FEW:
        for number in range(most):
            if number:
                more = many > number
                rows, first, many = rows[more], first[more], many[more]
            yield rows, first + number
        return
    first, many = first.astype(np.int64), many.astype(np.int64)
    ends = np.cumsum(many)
    start = 0
    while start < len(rows):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _BLOCK, side="right")))
        some = many[start:stop]
        if stop == start + 1 and some[0] > _BLOCK:  # one row with very many
            for piece in range(0, int(some[0]), _BLOCK):
                b = first[start] + np.arange(piece, min(piece + _BLOCK, int(some[0])))
                yield np.full(len(b), rows[start]), b
        else:
            before = np.repeat(np.cumsum(some) - some, some)
            b = np.arange(len(before)) - before + np.repeat(first[start:stop], some)
            yield np.repeat(rows[start:stop], some), b
        start = stop
