"""Labelled photos to train and measure on: reading them, and splitting them by source photo.

A dataset is a folder that holds ``manifest.csv`` with the columns ``path, label, class, source,
licence, kind, variant, group``. A filter's samples are those whose class has its name. Samples of
one group show the same source photo, so they must not stand on both sides of a split.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qualipy_core.opencv import cv2

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Sample:
    """One labelled photo."""

    path: Path
    positive: bool
    kind: str  #: "real" or "synthetic"
    variant: str  #: how it was made; ``hardneg_…`` marks a trap
    group: str  #: the source photo

    @property
    def trap(self) -> bool:
        """Whether it was chosen to mislead."""
        return self.variant.startswith("hardneg_")

    def read(self) -> Pixels:
        """Return its pixels, RGB."""
        return np.asarray(cv2.imread(str(self.path), cv2.IMREAD_COLOR_RGB), dtype=np.uint8)


@dataclass(frozen=True)
class Row:
    """One measured photo to train on."""

    features: NDArray[np.float64]
    positive: bool
    source: str  #: "labelled" for the filter itself, or where else it is from
    kind: str  #: how it was made
    group: str  #: the source photo
    origin: str = "made"  #: "real", "synthetic" (made by others) or "made" by the recipe

    @property
    def labelled(self) -> bool:
        """Whether it is one of the filter's own labelled photos."""
        return self.source == "labelled"

    @property
    def trap(self) -> bool:
        """Whether it was chosen to mislead."""
        return self.kind.startswith("hardneg_")


def load(root: Path, name: str) -> list[Sample]:
    """Return the samples of a filter, in the manifest's order.

    Parameters
    ----------
    root : Path
        The dataset's folder.
    name : str
        The filter's name.
    """
    with (root / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return [
            Sample(
                root / row["path"],
                row["label"] == "positive",
                row["kind"],
                row["variant"],
                row["group"],
            )
            for row in csv.DictReader(file)
            if row["class"] == name
        ]


def collections(root: Path, groups: Iterable[str]) -> dict[str, dict[str, object]]:
    """Return which public collections source photos are from, how many, and under which licence.

    Parameters
    ----------
    root : Path
        The dataset's folder.
    groups : iterable of str
        The source photos.
    """
    with (root / "manifest.csv").open(newline="", encoding="utf-8") as file:
        first = {row["group"]: row for row in reversed(list(csv.DictReader(file)))}
    found = [
        (first[group]["source"].partition(":")[0], first[group]["licence"]) for group in set(groups)
    ]
    return {
        name: {"photos": count, "licence": licence}
        for (name, licence), count in sorted(Counter(found).items())
    }


def folds(groups: list[str], count: int = 5, seed: int = 0) -> Iterator[NDArray[np.bool_]]:
    """Yield masks of held-out samples: each group is held out once, and whole.

    Parameters
    ----------
    groups : list of str
        One per sample.
    count : int
        How many folds.
    seed : int
        Deals the groups to the folds.
    """
    unique = sorted(set(groups))
    order = np.random.default_rng(seed).permutation(len(unique))
    fold_of = {unique[index]: turn % count for turn, index in enumerate(order)}
    assigned = np.array([fold_of[group] for group in groups])
    for number in range(count):
        yield assigned == number


def balanced_accuracy(positive: NDArray[np.bool_], flagged: NDArray[np.bool_]) -> float:
    """Return the mean of the shares of positives flagged and of negatives passed.

    Parameters
    ----------
    positive, flagged : ndarray of bool, shape (n,)
        The labels, and what a filter said.
    """
    return float((flagged[positive].mean() + (~flagged[~positive]).mean()) / 2)
