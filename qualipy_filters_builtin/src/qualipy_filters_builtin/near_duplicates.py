"""Near duplicates: photos of which the set has a better copy.

Each photo is kept as a few codes, a tiny picture and how large and sharp it is (212 bytes). Codes
that are near (`hamming_search`) propose pairs, the tiny pictures decide (`likeness`), and the pairs
are joined to groups around the best photo (`duplicate_groups`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Comparison, Image, SetFilter, gray
from qualipy_core.errors import ParameterValueError
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.duplicate_groups import (
    Indexes,
    Stage,
    code_pairs,
    groups_of,
    neighbours,
    stars,
)
from qualipy_filters_builtin.hamming_search import pairs_within
from qualipy_filters_builtin.likeness import contrast, likeness
from qualipy_filters_builtin.perceptual_hash import (
    TINY,
    UPRIGHT,
    VIEWS,
    Turn,
    tiny_picture,
    turned_codes,
    turned_pictures,
    turns,
    view_codes,
    without_border,
)

_SIDE = 256
"""The long side, in pixels, of what codes and the tiny picture are made of."""
_SHARPNESS_SIDE = 512
_LEAST_CONTRAST = 4.0
"""In levels; a tiny picture of less says nothing: black frames, blank pages, clear sky."""
_NEAR = 2
"""The radius of the first stage, in bits: re-saved and resized copies, frames of one scene."""
_MIXING = np.uint64(0x9E3779B97F4A7C15)  # odd, half of its bits set: 2**64 / the golden ratio
_WIDEST_STRETCH = 1.3
"""Photos whose ratios of width to height differ by more are not compared."""

FINGERPRINT = np.dtype(
    [
        ("codes", np.uint64, (len(VIEWS),)),
        ("tiny", np.uint8, (TINY, TINY)),
        ("size", np.uint32, (2,)),
        ("sharpness", np.float32),
        ("digest", np.uint64),
    ]
)

WIDEST_RADIUS = 16
"""Beyond, different photos are as near as copies: a quarter of the bits."""


class NearDuplicates(SetFilter):
    """Photos of which the set has a better copy: re-saved, resized, cut a little, edited.

    Photos are grouped around the best one of each group, the largest, then the sharpest; it alone
    is no positive. Every other is directly alike to it. The prediction is how alike: 1 the same,
    0.95 … 1 re-saved, resized, brighter or darker, 0.5 … 0.95 cut, watermarked, strongly edited;
    0 for photos that are kept. The companions of a photo are its group, the best first.

    Parameters
    ----------
    threshold : float
        The likeness beyond which a photo is positive. Groups are made from 0.5 on: more than that
        is stricter, less changes nothing.
    invert_threshold : bool
        Flag the photos *without* a better copy instead.
    comparison : str
        How the likeness is compared with the threshold.
    radius : int
        In how many of 64 bits the codes of two photos may differ for the photos to be compared at
        all, 0 … 16. Different photos differ in 32 ± 4, re-saved and resized copies in 0 … 3,
        brightened ones in 0 … 7, those of which 3 % are cut off on every side in 0 … 12. A wider
        radius finds stronger edits, and costs more in sets of hundreds of thousands.
    cropped : bool
        Compare also views of the photos from which 8 % are cut off, all around or on two sides:
        finds cuts of up to 10 %, at many times the cost of the search.
    mirrored : bool
        Find also copies that are mirrored left to right.
    rotated : bool
        Find also copies that are turned by 90, 180 or 270 degrees.

    Notes
    -----
    Codes are the signs of the 64 lowest frequencies of the discrete cosine transform (Zauner 2010);
    all pairs within the radius are found (Norouzi et al. 2012). Pairs are then verified on pictures
    of 12 × 12 pixels: how much of one the other explains, when contrast, brightness and small moves
    are free. Plain borders are left out of account first.

    Photos that say nothing at that size, black frames, blank pages, clear sky, count as duplicates
    only where they are the same pixel by pixel.

    Warnings
    --------
    It fails on cuts of much more than 10 %, on collages, and on photos with a large overlay. Frames
    of a burst or of an exposure bracket are alike and are found as well. Pages of text and other
    pictures that differ in small details alone are taken for copies.

    References
    ----------
    Zauner 2010, "Implementation and benchmarking of perceptual image hash functions".
    Norouzi, Punjani & Fleet 2012, "Fast search in Hamming space with multi-index hashing",
    doi:10.1109/CVPR.2012.6248043.
    """

    name = "near_duplicates"
    speed = 1
    comparing: ClassVar[tuple[str, ...]] = ("radius", "cropped", "mirrored", "rotated")

    radius: int = 10
    cropped: bool = True
    mirrored: bool = False
    rotated: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.radius <= WIDEST_RADIUS:
            raise ParameterValueError(
                f"{self.name}: radius must be 0 … {WIDEST_RADIUS} bits, not {self.radius}"
            )

    def fingerprint(self, image: Image) -> NDArray[Any]:
        """Return codes, tiny picture, size and sharpness, a scalar of `FINGERPRINT`."""
        luma = gray(image, _SIDE)
        inside = without_border(luma)
        tiny = tiny_picture(inside)
        row = np.zeros((), FINGERPRINT)
        row["codes"] = view_codes(inside)
        row["tiny"] = tiny
        row["size"] = [
            max(round(full * part / whole), 1)
            for full, part, whole in zip(
                image.size, inside.shape[::-1], luma.shape[::-1], strict=True
            )
        ]
        row["sharpness"] = _sharpness(gray(image, _SHARPNESS_SIDE))
        if contrast(tiny[None])[0] < _LEAST_CONTRAST:
            row["digest"] = _digest(image)
        return row

    def compare(self, fingerprints: NDArray[Any]) -> Comparison:
        """Return the likeness to the best photo of each photo's group, and the groups."""
        order = _by_quality(fingerprints)
        rows = fingerprints[order]
        kept, values = np.arange(len(rows)), np.zeros(len(rows))

        empty = rows["digest"] != 0
        for told, find in ((np.flatnonzero(~empty), self._alike), (np.flatnonzero(empty), _same)):
            best, value = find(rows[told])
            kept[told], values[told] = told[best], value

        predictions = np.empty(len(rows))
        predictions[order] = values
        groups = [tuple(order[group].tolist()) for group in groups_of(kept)]
        return Comparison(predictions, tuple(groups))

    def _alike(self, rows: NDArray[Any]) -> tuple[Indexes, NDArray[np.float64]]:
        """The best photo of each one's group, and how alike it is, of photos that say something."""
        ways = turns(self.mirrored, self.rotated)
        codes = {turn: turned_codes(rows["codes"], turn) for turn in ways}
        content = rows["tiny"].reshape(len(rows), TINY * TINY)
        crowds = partial(_in_crowds, rows["codes"][:, 0], content)
        near = partial(_stage, codes, UPRIGHT, 0, 0, min(_NEAR, self.radius))
        stages: list[Stage] = [crowds, crowds, near]  # the second looks among what the first kept
        for turn in ways:
            stages.append(partial(_stage, codes, turn, 0, 0, self.radius))
            for view in range(1, len(VIEWS) if self.cropped else 1):
                stages.append(partial(_stage, codes, turn, view, view, self.radius))
                stages.append(partial(_stage, codes, turn, 0, view, self.radius))

        def alike(better: Indexes, worse: Indexes) -> NDArray[np.float64]:
            found = [_likeness(rows, better, worse, turn) for turn in _all(ways)]
            return np.asarray(np.max(found, axis=0), dtype=np.float64)

        same = [_digests(content), rows["codes"][:, 0]]
        return stars(len(rows), same, stages, alike)


def _digests(content: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """A code of each tiny picture: equal for equal ones, and hardly ever for others."""
    words = np.ascontiguousarray(content).view(np.uint64)
    digests = np.zeros(len(words), np.uint64)
    for column in words.T:
        digests = (digests ^ column) * _MIXING
        digests ^= digests >> np.uint64(32)
    return digests


def _in_crowds(
    codes: NDArray[np.uint64], content: NDArray[np.uint8], active: Indexes
) -> Iterator[tuple[Indexes, Indexes]]:
    """Pairs of active photos among many that share a code."""
    for i, j in neighbours(codes[active], content[active]):
        yield active[i], active[j]


def _stage(
    codes: dict[Turn, NDArray[np.uint64]],
    turn: Turn,
    view: int,
    other: int,
    radius: int,
    active: Indexes,
) -> Iterator[tuple[Indexes, Indexes]]:
    """Pairs of active photos of which a view of one is near a view of the other, turned."""
    mine = codes[UPRIGHT][active, view]
    theirs = None if turn == UPRIGHT and view == other else codes[turn][active, other]
    for i, j in code_pairs(mine, theirs, pairs_within, radius):
        yield active[i], active[j]


def _all(ways: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """Ways of turning, with the inverse of those that have another."""
    inverse = {Turn(True, True, False): Turn(True, False, True)}
    return ways + tuple(inverse[turn] for turn in ways if turn in inverse)


def _likeness(
    rows: NDArray[Any], better: Indexes, worse: Indexes, turn: Turn
) -> NDArray[np.float64]:
    size = np.log(rows["size"].astype(float))
    shape = size[:, 0] - size[:, 1]
    turned = -shape[worse] if turn.transpose else shape[worse]
    fits = np.abs(shape[better] - turned) <= np.log(_WIDEST_STRETCH)
    values = np.zeros(len(better))
    tiny = rows["tiny"]
    values[fits] = likeness(tiny[better[fits]], turned_pictures(tiny[worse[fits]], turn))
    return values


def _same(rows: NDArray[Any]) -> tuple[Indexes, NDArray[np.float64]]:
    """As `NearDuplicates._alike`, of photos that say nothing: the same pixels."""
    _, first, inverse = np.unique(rows["digest"], return_index=True, return_inverse=True)
    kept = first[inverse]
    return kept, (kept != np.arange(len(rows))).astype(float)


def _by_quality(rows: NDArray[Any]) -> Indexes:
    """Indexes, the best photo first: the largest, then the sharpest, then by content."""
    area = rows["size"].astype(float).prod(axis=1)
    content = np.ascontiguousarray(rows["tiny"]).reshape(len(rows), -1).view(np.uint64)
    ties = np.column_stack([content, rows["codes"], rows["digest"], rows["size"][:, :1]])
    return np.lexsort((*ties.T, -rows["sharpness"], -area))


def _sharpness(luma: NDArray[np.uint8]) -> float:
    """The mean absolute Laplacian, in levels."""
    return float(cv2.norm(cv2.Laplacian(luma, cv2.CV_16S), cv2.NORM_L1) / luma.size)


def _digest(image: Image) -> int:
    pixels = image.pixels()
    digest = hashlib.sha256(np.array(pixels.shape, "<u4").tobytes())
    digest.update(pixels.data)
    return int.from_bytes(digest.digest()[:8], "little") | 1
