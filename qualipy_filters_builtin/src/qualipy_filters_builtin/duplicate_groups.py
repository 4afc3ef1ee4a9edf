"""From pairs of photos that are alike to groups, each around its best photo.

A group is a star: its best photo is kept, and *every other is directly alike to that one*. There
are no chains: in a row of photos that drift slowly, where each is like the next, those far from the
first are in other groups. Photos go in order of quality; each joins the best kept photo that it is
alike to, or is kept.

Candidates come in stages, from near to far. After every stage only what is still kept goes on, so a
hundred thousand frames of one scene shrink to a few before the far ones are looked for. In the end
each photo is compared with the one that is kept in its place; those that are not alike to it form
groups among themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

ALIKE = 0.5
"""The likeness from which on photos are of one group."""
_MOST_OF_A_CODE = 32
"""So many photos of equal codes that are *not* alike are paired with others; the best ones."""
_MOST_ROUNDS = 8
"""So many photos of equal codes that are not alike are each compared with all others of that code,
the best ones. All of them, and a thousand photos of one code would be half a million pairs."""
_NEIGHBOURS = 16
"""With so many each photo of a crowded code is compared: those whose pictures are nearest its."""
_LEAST_CORRELATION = 0.4
"""Pictures that are copies, moved and cut as little as equal codes allow, correlate far more."""
_ROWS, _REACH = 1024, 2048
"""Pictures are correlated with those up to the reach away, so many rows at a time: some 20 MB."""

Indexes = NDArray[np.int64]
Floats = NDArray[np.float64]
Stage = Callable[[Indexes], Iterable[tuple[Indexes, Indexes]]]
Alike = Callable[[Indexes, Indexes], Floats]


def stars(
    number: int, same: Sequence[NDArray[np.uint64]], stages: Sequence[Stage], alike: Alike
) -> tuple[Indexes, Floats]:
    """Group photos around the best of each group.

    Parameters
    ----------
    number : int
        How many photos; a lower index is a better photo.
    same : sequence of ndarrays of uint64, shape (number,)
        Codes; of each kind in turn, photos with equal ones are compared first, without pairing all
        with all: only a few of those that are not alike are compared with all the others.
    stages : sequence of callables
        Each takes the indexes of photos and yields pairs of candidates among them.
    alike : callable
        The likeness of pairs, given as indexes of the better and of the worse photos.

    Returns
    -------
    kept : ndarray of int64, shape (number,)
        The best photo of each photo's group; itself for the best.
    likeness : ndarray of float64, shape (number,)
        To that photo; 0 for the best.
    """
    kept, likeness = np.arange(number), np.zeros(number)
    left = np.arange(number)
    while len(left):
        parent = np.arange(number)
        active = left
        for codes in same:
            active = _among_equals(active, codes, parent, alike)
        for stage in stages:
            better, worse = _verified(stage(active), alike)
            _join(better, worse, parent)
            active = active[parent[active] == active]
        root = parent[left]
        while not np.array_equal(root, parent[root]):
            root = parent[root]
        members = root != left
        values = np.zeros(len(left))
        values[members] = alike(root[members], left[members])
        fit = members & (values >= ALIKE)
        kept[left[fit]], likeness[left[fit]] = root[fit], values[fit]
        left = left[members & ~fit]
    return kept, likeness


def neighbours(
    same: NDArray[np.uint64], content: NDArray[np.uint8]
) -> Iterator[tuple[Indexes, Indexes]]:
    """Yield pairs of photos among many of one code: each with those whose pictures are nearest.

    What it costs for a photo has a bound however many share its code: in the order of their first
    principal component, pictures are correlated with the 2,048 before and behind them. Among more
    than that, a copy may be missed if much of its picture has changed.

    Parameters
    ----------
    same : ndarray of uint64, shape (n,)
        The codes.
    content : ndarray of uint8, shape (n, k)
        Small pictures, as rows.
    """
    order = np.argsort(same, kind="stable")
    starts = np.flatnonzero(np.diff(same[order], prepend=~same[order[:1]]))
    sizes = np.diff(starts, append=len(order))
    crowded = sizes > _MOST_ROUNDS
    for start, size in zip(starts[crowded].tolist(), sizes[crowded].tolist(), strict=True):
        members = order[start : start + size]
        for i, j in _correlated(_normalised(content[members])):
            yield members[i], members[j]


def _normalised(content: NDArray[np.uint8]) -> NDArray[np.float32]:
    pictures = content.astype(np.float32)
    pictures -= pictures.mean(axis=1, keepdims=True)
    pictures /= np.maximum(np.linalg.norm(pictures, axis=1, keepdims=True), 1e-6)
    return pictures


def _correlated(pictures: NDArray[np.float32]) -> Iterator[tuple[Indexes, Indexes]]:
    count = len(pictures)
    order = np.arange(count)
    if count > _REACH:
        centred = pictures - pictures.mean(axis=0)
        _, directions = np.linalg.eigh(centred.T @ centred)
        order = np.argsort(pictures @ directions[:, -1], kind="stable")
        pictures = pictures[order]
    most = min(_NEIGHBOURS, count - 1)
    for start in range(0, count, _ROWS):
        stop = min(start + _ROWS, count)
        first, last = max(0, start - _REACH), min(stop + _REACH, count)
        near = pictures[start:stop] @ pictures[first:last].T
        rows = np.arange(stop - start)
        near[rows, rows + start - first] = -1.0  # not with itself
        best = np.argpartition(near, -most, axis=1)[:, -most:]
        alike = np.take_along_axis(near, best, axis=1) > _LEAST_CORRELATION
        i, j = np.nonzero(alike)[0] + start, best[alike] + first
        pairs = np.unique(np.minimum(i, j) * count + np.maximum(i, j))
        yield order[pairs // count], order[pairs % count]


def groups_of(kept: Indexes) -> Iterator[Indexes]:
    """Yield the groups of two and more, as `stars` tells them: the best first, then by quality."""
    order = np.argsort(kept, kind="stable")
    starts = np.flatnonzero(np.diff(kept[order], prepend=-1))
    for group in np.split(order, starts[1:]):
        if len(group) > 1:
            yield group


def code_pairs(
    codes: NDArray[np.uint64],
    others: NDArray[np.uint64] | None,
    search: Callable[..., Iterable[tuple[Indexes, Indexes]]],
    radius: int,
) -> Iterator[tuple[Indexes, Indexes]]:
    """Yield pairs of photos whose codes are near, by searching each code once.

    Parameters
    ----------
    codes, others : ndarrays of uint64, shape (n,)
        Codes of the same photos: pairs are of one's code and another's other code. Without others,
        of their codes, equal ones left out.
    search : callable
        `qualipy_filters_builtin.hamming_search.pairs_within`.
    radius : int
        In bits.
    """
    mine = _Bucketed(codes)
    theirs = mine if others is None else _Bucketed(others)
    found = search(mine.codes, radius, None if others is None else theirs.codes)
    for a, b in found:
        many = theirs.counts[b] * mine.counts[a]
        pair = np.repeat(np.arange(len(a)), many)
        place = np.arange(len(pair)) - np.repeat(np.cumsum(many) - many, many)
        i = mine.order[mine.starts[a[pair]] + place // theirs.counts[b[pair]]]
        j = theirs.order[theirs.starts[b[pair]] + place % theirs.counts[b[pair]]]
        apart = i != j
        yield i[apart], j[apart]


class _Bucketed:
    """Distinct codes and, of each, the places where it stands: the first ones, if they are many."""

    def __init__(self, codes: NDArray[np.uint64]) -> None:
        self.order = np.argsort(codes, kind="stable")
        self.codes, self.starts, counts = np.unique(
            codes[self.order], return_index=True, return_counts=True
        )
        self.counts = np.minimum(counts, _MOST_OF_A_CODE)


def _among_equals(
    left: Indexes, same: NDArray[np.uint64], parent: Indexes, alike: Alike
) -> Indexes:
    """Join photos of equal codes to the best ones of them; return what is not joined to any."""
    undecided = left[np.argsort(same[left], kind="stable")]
    kept = []
    for _ in range(_MOST_ROUNDS):
        if not len(undecided):
            break
        first = np.flatnonzero(np.diff(same[undecided], prepend=~same[undecided[0]]))
        best = undecided[first]
        kept.append(best)
        sizes = np.diff(first, append=len(undecided))
        better = np.repeat(best, sizes)
        rest = better != undecided
        better, worse = better[rest], undecided[rest]
        joins = alike(better, worse) >= ALIKE
        parent[worse[joins]] = better[joins]
        undecided = worse[~joins]
    return np.sort(np.concatenate([*kept, undecided]))


def _verified(pairs: Iterable[tuple[Indexes, Indexes]], alike: Alike) -> tuple[Indexes, Indexes]:
    """The pairs that are alike, the better first, in order of quality."""
    betters, worses = [], []
    for i, j in pairs:
        better, worse = np.minimum(i, j), np.maximum(i, j)
        good = alike(better, worse) >= ALIKE
        betters.append(better[good])
        worses.append(worse[good])
    if not betters:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    better, worse = np.concatenate(betters), np.concatenate(worses)
    order = np.lexsort((worse, better))
    return better[order], worse[order]


def _join(better: Indexes, worse: Indexes, parent: Indexes) -> None:
    """Let each photo that is still free join the best one that is kept."""
    starts = np.flatnonzero(np.diff(better, prepend=-1))
    ends = np.append(starts, len(better))[1:]
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        best = better[start]
        if parent[best] == best:
            free = worse[start:end]
            parent[free[parent[free] == free]] = best
