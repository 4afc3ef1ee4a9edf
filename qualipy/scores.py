"""Predictions on one scale, whichever way a filter decides: the higher, the more positive.

Most filters flag what lies above a threshold; some what lies below, and some decide in a way of
their own. What all have in common is the threshold: the score of a photo is the threshold at
which its decision changes, with the sign turned where photos are flagged below it. For a filter
that decides as `Criterion.decide` does, that is the prediction itself, or minus the prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qualipy_core.criterion import Criterion

Floats = NDArray[np.float64]

_HALVINGS = 100
_SNAP = 1e-12  # of the range: a threshold this near to a prediction is that prediction


@dataclass(frozen=True)
class Scores:
    """Scores, and where the filter's own threshold stands among them.

    Attributes
    ----------
    values : ndarray of float64, shape (n,)
        Higher is more positive; infinite for photos that no threshold changes.
    cut : float or None
        The threshold as a score: those above it are flagged. ``None`` where no threshold orders
        the photos.
    sign : {1, -1}
        A threshold is the sign times a score.
    how : str
        What the score is, in words.
    """

    values: Floats
    cut: float | None
    sign: Literal[1, -1]
    how: str


def orient(item: Criterion, predictions: Sequence[float], flagged: Sequence[bool]) -> Scores:
    """Return the scores of photos by what a filter predicted and decided.

    Parameters
    ----------
    item : Filter
        The filter.
    predictions, flagged : sequence, length n
        What it measured, and what it decided.
    """
    values = np.asarray(predictions, dtype=np.float64)
    if type(item).decide is not Criterion.decide:
        for strict in (True, False):
            found = _flips(item, values, strict)
            if found is None or found.cut is None:
                break
            if np.array_equal(found.values > found.cut, flagged):
                return found
        alone = np.asarray(flagged, dtype=np.float64)
        return Scores(alone, None, 1, "the decision alone: no threshold orders the photos")
    if item.comparison in ("==", "!="):
        away = np.abs(values - item.threshold)
        if item.comparison == "!=":
            return Scores(away, None, 1, "the distance from the threshold")
        return Scores(-away, None, 1, "the nearness to the threshold")
    above = (item.comparison in (">", ">=")) != item.invert_threshold
    strict = item.comparison in (">", "<")
    if above:
        return Scores(values, _cut(item.threshold, strict), 1, "the prediction")
    how = "minus the prediction, for positives lie below the threshold"
    return Scores(-values, _cut(-item.threshold, strict), -1, how)


def threshold_between(scores: Scores, item: Criterion, low: float, high: float) -> float:
    """Return the shortest decimal number that, as a threshold, parts two scores.

    Parameters
    ----------
    scores : Scores
        With a cut.
    item : Filter
        Whose threshold is returned where it parts them already.
    low, high : float
        The highest score to pass and the lowest to flag.
    """
    if scores.cut is not None and low <= scores.cut < high:
        return item.threshold
    if not np.isfinite(low):
        low = high - max(abs(high), 1.0) if np.isfinite(high) else -1.0
    if not np.isfinite(high):
        high = low + max(abs(low), 1.0)
    ends = sorted((scores.sign * low, scores.sign * high))
    middle = (ends[0] + ends[1]) / 2
    for decimals in range(17):
        if ends[0] < (short := round(middle, decimals)) < ends[1]:
            return short
    if ends[0] < middle < ends[1]:
        return middle
    return scores.sign * (low if item.comparison in (">", "<") else high)  # neighbouring numbers


def _cut(score: float, strict: bool) -> float:
    """The score above which photos are flagged; what equals the threshold may be flagged, too."""
    return score if strict else float(np.nextafter(score, -np.inf))


def _flips(item: Criterion, values: Floats, strict: bool) -> Scores | None:
    """The threshold at which each decision changes, found by halving."""
    probe = item.replace()  # a copy of our own, so its threshold may be turned like a knob

    def positive(threshold: float, prediction: float) -> bool:
        object.__setattr__(probe, "threshold", threshold)
        return bool(probe.decide(prediction))

    reach = 4 * float(np.abs(np.append(values, item.threshold)).max()) + 1
    try:
        ends = [(positive(-reach, value), positive(reach, value)) for value in values]
        signs = {1 if low else -1 for low, high in ends if low != high}
        if len(signs) != 1:
            return None
        (sign,) = signs
        flips = [
            _flip(positive, value, sign * reach)
            if low != high
            else (np.inf if low else -np.inf) * sign
            for value, (low, high) in zip(values, ends, strict=True)
        ]
    except Exception:  # a filter's own decide may refuse thresholds that nobody has set
        return None
    how = "the threshold at which the decision changes, for the filter decides in its own way"
    cut = _cut(sign * item.threshold, strict)
    return Scores(sign * np.array(flips), cut, 1 if sign > 0 else -1, how)


def _flip(positive: Callable[[float, float], bool], value: float, outside: float) -> float:
    """Halve the range between ``-outside``, where a photo is positive, and ``outside``."""
    inside, range_ = -outside, abs(outside)
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        if positive(middle, value):
            inside = middle
        else:
            outside = middle
    for known in (value, -value):
        if abs(known - outside) <= _SNAP * range_:
            return float(known)
    return outside
