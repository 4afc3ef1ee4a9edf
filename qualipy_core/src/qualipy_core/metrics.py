"""How well decisions agree with labels: figures with their intervals, curves, the best threshold.

Everything takes parallel arrays, one entry per photo: ``positive`` (the label), ``flagged`` (the
decision) and ``score`` (higher is more positive). A figure that cannot be told, such as precision
where nothing was flagged, is ``None``; no figure is ever NaN.

Intervals are at 95 %. Shares get Wilson's score interval; so does F1, a function of a share.
Balanced accuracy joins the intervals of its two shares (Newcombe's square-and-add). ROC AUC
gets Newcombe's interval, which, other than DeLong's, does not shrink to a point where the classes
are separated. Photos of one group, such as variants of one picture, tell less than as many
others: with groups, each interval is that of as many single photos as would be as certain, their
number divided by the design effect.

References
----------
Wilson 1927, doi:10.1080/01621459.1927.10502953; Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I;
Newcombe 2006, doi:10.1002/sim.2324 (method 5); Hanley & McNeil 1982,
doi:10.1148/radiology.143.1.7063747; Rao & Scott 1992, doi:10.2307/2532311 (design effects of
shares); Obuchowski 1997, doi:10.2307/2533956 (of the AUC).
"""  # noqa: E501 (a DOI cannot be wrapped)

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

FIGURES = (
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "specificity",
    "f1",
    "roc_auc",
)
"""What `figures` tells, in order."""

_Z = 1.959963984540054  # the normal distribution's 97.5 % quantile


class Figure(NamedTuple):
    """A figure and the interval in which it lies with a probability of 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Confusion:
    """How many photos there are of each kind."""

    true_positives: int  #: positives that were flagged
    false_negatives: int  #: positives that were not
    false_positives: int  #: negatives that were flagged
    true_negatives: int  #: negatives that were not

    @classmethod
    def count(cls, positive: ArrayLike, flagged: ArrayLike) -> Confusion:
        """Count labels and decisions, both of shape (n,)."""
        label, decision = np.asarray(positive, dtype=bool), np.asarray(flagged, dtype=bool)
        return cls(
            int((label & decision).sum()),
            int((label & ~decision).sum()),
            int((~label & decision).sum()),
            int((~label & ~decision).sum()),
        )

    def to_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return asdict(self)


def figures(
    positive: ArrayLike,
    flagged: ArrayLike,
    score: ArrayLike,
    groups: Sequence[object] | None = None,
) -> dict[str, Figure | None]:
    """Return every figure of `FIGURES`.

    Parameters
    ----------
    positive, flagged : array_like of bool, shape (n,)
        Labels and decisions.
    score : array_like of float, shape (n,)
        Higher is more positive; infinite ones are ordered like others.
    groups : sequence, length n, optional
        Photos with equal entries belong together.

    Returns
    -------
    dict of str to (Figure or None)
        In [0, 1] each. Of one class alone there are accuracy and its recall or specificity.
    """
    label, decision = np.asarray(positive, dtype=bool), np.asarray(flagged, dtype=bool)
    group = np.arange(len(label)) if groups is None else _numbered(groups)
    right = label == decision
    recall = _share(right[label], group[label])
    specificity = _share(right[~label], group[~label])
    both = recall is not None and specificity is not None
    return {
        "accuracy": _share(right, group),
        "balanced_accuracy": _mean(recall, specificity),
        "precision": _share(right[decision], group[decision]) if both else None,
        "recall": recall,
        "specificity": specificity,
        "f1": _f1(label, decision, group) if both else None,
        "roc_auc": _auc(label, _ranks(score), group),
    }


def share(count: int, of: int, effect: float = 1.0) -> Figure | None:
    """Return a share with Wilson's interval; ``None`` of nothing.

    Parameters
    ----------
    count, of : int
        How many of how many.
    effect : float
        The design effect: how many of these photos tell as much as a single one.
    """
    if of == 0:
        return None
    value, size = count / of, of / effect
    centre = (value + _Z**2 / (2 * size)) / (1 + _Z**2 / size)
    reach = _Z * np.sqrt(value * (1 - value) / size + _Z**2 / (4 * size**2)) / (1 + _Z**2 / size)
    low, high = max(centre - reach, 0.0), min(centre + reach, 1.0)
    return Figure(value, min(float(low), value), max(float(high), value))


def roc_auc(positive: ArrayLike, score: ArrayLike) -> float | None:
    """Return the area under the ROC curve; ``None`` when there is one class alone.

    It is the probability that a positive has the higher score than a negative, ties counting half
    (Hanley & McNeil 1982).
    """
    label = np.asarray(positive, dtype=bool)
    if label.all() or not label.any():
        return None
    return float(_placements(label, _ranks(score))[label].mean())


class Cuts(NamedTuple):
    """What every possible threshold on the score does, the strictest first.

    A cut stands between two neighbouring scores: photos with a score of `lowest_flagged` or more
    are flagged, those of `highest_passed` or less are not. The first cut flags nothing, the last
    one everything.
    """

    highest_passed: Floats  #: shape (cuts,); ``-inf`` for the last
    lowest_flagged: Floats  #: shape (cuts,); ``inf`` for the first
    true_positives: NDArray[np.int64]  #: positives flagged, shape (cuts,)
    false_positives: NDArray[np.int64]  #: negatives flagged, shape (cuts,)

    @property
    def recall(self) -> Floats:
        """The share of positives that are flagged."""
        return self.true_positives / max(int(self.true_positives[-1]), 1)

    @property
    def false_alarms(self) -> Floats:
        """The share of negatives that are flagged: one minus the specificity."""
        return self.false_positives / max(int(self.false_positives[-1]), 1)

    @property
    def precision(self) -> Floats:
        """The share of the flagged that are positive; NaN where nothing is flagged."""
        flagged = self.true_positives + self.false_positives
        return np.where(flagged > 0, self.true_positives / np.maximum(flagged, 1), np.nan)

    @property
    def balanced_accuracy(self) -> Floats:
        """The mean of recall and specificity."""
        return (self.recall + 1 - self.false_alarms) / 2


def cuts(positive: ArrayLike, score: ArrayLike) -> Cuts:
    """Return what every possible threshold does.

    Parameters
    ----------
    positive : array_like of bool, shape (n,)
        Labels; n of at least 1.
    score : array_like of float, shape (n,)
        Higher is more positive.
    """
    label, values = np.asarray(positive, dtype=bool), np.asarray(score, dtype=np.float64)
    unique, ranked = np.unique(values, return_inverse=True)
    positives = np.bincount(ranked[label], minlength=len(unique))[::-1]
    negatives = np.bincount(ranked[~label], minlength=len(unique))[::-1]
    falling = unique[::-1]
    return Cuts(
        np.append(falling, -np.inf),
        np.insert(falling, 0, np.inf),
        np.insert(np.cumsum(positives), 0, 0),
        np.insert(np.cumsum(negatives), 0, 0),
    )


def best_cut(positive: ArrayLike, score: ArrayLike, near: float) -> tuple[float, float] | None:
    """Return the neighbouring scores between which a threshold has the best balanced accuracy.

    Parameters
    ----------
    positive, score
        As in `cuts`.
    near : float
        Of cuts that are equally good, the one that is nearest to this score is taken.

    Returns
    -------
    tuple of two floats, or None
        The highest score to pass and the lowest to flag; ``None`` when there is one class alone,
        or when no threshold is better than flagging everything or nothing.
    """
    label = np.asarray(positive, dtype=bool)
    if label.all() or not label.any():
        return None
    table = cuts(label, score)
    accuracy = table.balanced_accuracy
    if accuracy.max() <= 0.5 + 1e-12:
        return None
    best = np.flatnonzero(accuracy >= accuracy.max() - 1e-12)
    low, high = table.highest_passed[best], table.lowest_flagged[best]
    # How far outside of each gap `near` lies; in a gap, thresholds begin at its lower end.
    distance = np.where(near < low, low - near, np.where(near >= high, near - high, 0.0))
    chosen = int(np.argmin(distance))
    return float(low[chosen]), float(high[chosen])


def folds(
    positive: ArrayLike, groups: ArrayLike | None = None, count: int = 5
) -> NDArray[np.int64]:
    """Deal photos to folds in turn, positives and negatives apart, so that each fold gets both.

    Parameters
    ----------
    positive : array_like of bool, shape (n,)
        Labels.
    groups : array_like, shape (n,), optional
        Photos with equal entries share a fold. Groups are dealt in the order of their names, those
        with a positive apart.
    count : int
        How many folds.

    Returns
    -------
    ndarray of int64, shape (n,)
        The number of each photo's fold.
    """
    label = np.asarray(positive, dtype=bool)
    key = np.arange(len(label)) if groups is None else np.unique(groups, return_inverse=True)[1]
    with_positive = np.zeros(len(label) and int(key.max()) + 1, dtype=bool)
    with_positive[key[label]] = True
    turn = np.where(with_positive, np.cumsum(with_positive), np.cumsum(~with_positive)) - 1
    return np.asarray(turn[key] % count, dtype=np.int64)


def _mean(one: Figure | None, other: Figure | None) -> Figure | None:
    """The mean of two independent shares: Newcombe's square-and-add."""
    if one is None or other is None:
        return None
    value = (one.value + other.value) / 2
    below = float(np.hypot(one.value - one.low, other.value - other.low)) / 2
    above = float(np.hypot(one.high - one.value, other.high - other.value)) / 2
    return Figure(value, max(value - below, 0.0), min(value + above, 1.0))


def _share(right: Bools, group: NDArray[np.int64]) -> Figure | None:
    return share(int(right.sum()), len(right), _design_effect(right, group))


def _design_effect(right: Bools, group: NDArray[np.int64]) -> float:
    """How many photos tell as much about a share as a single one: at least 1.

    It is estimated as if there were two groups more, one right and one wrong altogether: where
    hardly any photo is wrong, nothing could be learned about groups otherwise.
    """
    if not len(right):
        return 1.0
    _, number = np.unique(group, return_inverse=True)
    sizes = np.bincount(number)
    size = len(right) / len(sizes)
    total = len(right) + 2 * size
    value = (int(right.sum()) + size) / total
    residuals = np.bincount(number, weights=right - value)
    clustered = float((residuals**2).sum()) + size**2 * (value**2 + (1 - value) ** 2)
    return max(clustered / (total * value * (1 - value)), 1.0)


def _f1(label: Bools, flagged: Bools, group: NDArray[np.int64]) -> Figure | None:
    """F1 from the share of true positives among all that is positive or flagged."""
    either = label | flagged
    overlap = _share((label & flagged)[either], group[either])
    return None if overlap is None else Figure(*(2 * end / (1 + end) for end in overlap))


def _placements(label: Bools, ranked: NDArray[np.int64]) -> Floats:
    """The share of the other class that a photo is on the right side of, ties counting half."""
    size = int(ranked.max()) + 1
    positives = np.bincount(ranked[label], minlength=size)
    negatives = np.bincount(ranked[~label], minlength=size)
    below = (np.cumsum(negatives) - negatives / 2) / negatives.sum()
    above = 1 - (np.cumsum(positives) - positives / 2) / positives.sum()
    return np.asarray(np.where(label, below[ranked], above[ranked]))


def _auc(label: Bools, ranked: NDArray[np.int64], group: NDArray[np.int64]) -> Figure | None:
    """The AUC with the interval of those from which it is at most z standard errors away."""
    positives, negatives = int(label.sum()), int((~label).sum())
    if not positives or not negatives:
        return None
    placements = _placements(label, ranked)
    auc = float(placements[label].mean())
    effect = _auc_effect(placements - auc, label, group)
    extra = max((positives + negatives) / (2 * effect) - 1, 0.0)

    def away(area: float) -> float:
        variance = area * (1 - area) * (1 + extra * ((1 - area) / (2 - area) + area / (1 + area)))
        return (auc - area) ** 2 - _Z**2 * variance * effect**2 / (positives * negatives)

    return Figure(auc, _crossing(away, 0.0, auc), _crossing(away, 1.0, auc))


def _auc_effect(residuals: Floats, label: Bools, group: NDArray[np.int64]) -> float:
    """The design effect of the AUC, as if there were one more group, halfway wrong."""
    _, number = np.unique(group, return_inverse=True)
    weighted = residuals / np.where(label, label.sum(), (~label).sum())
    size = len(label) / (int(number.max()) + 1)
    more = 0.25 * (1 / int(label.sum()) ** 2 + 1 / int((~label).sum()) ** 2)
    clustered = (np.bincount(number, weights=weighted) ** 2).sum() + more * size**2
    return max(float(clustered) / float((weighted**2).sum() + more * size), 1.0)


def _crossing(function: Callable[[float], float], outside: float, inside: float) -> float:
    """Where a function that is positive outside and not inside changes its sign."""
    if function(outside) <= 0:
        return outside
    for _ in range(60):
        middle = (outside + inside) / 2
        outside, inside = (middle, inside) if function(middle) > 0 else (outside, middle)
    return inside


def _ranks(score: ArrayLike) -> NDArray[np.int64]:
    """The place of each score among the distinct ones."""
    return np.unique(np.asarray(score, dtype=np.float64), return_inverse=True)[1].astype(np.int64)


def _numbered(groups: Sequence[object]) -> NDArray[np.int64]:
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(group, len(numbers)) for group in groups])
