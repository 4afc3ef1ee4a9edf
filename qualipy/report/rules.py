"""How a filter's threshold rules on its predictions, so that a page can move it: `Rule`.

Most filters compare the prediction with the threshold, and the page does the same. One that
overrides `Criterion.decide` is asked for the threshold at which each photo's decision changes
(`qualipy.scores`), and the page compares that. Either way the rule is used only if it gives the
very decisions that the run has made; where it does not, the decisions stand and nothing moves.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qualipy.cli.words import MIRRORED
from qualipy.scores import orient

if TYPE_CHECKING:
    from qualipy_core.criterion import Criterion

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_HOLDS: dict[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
_BEYOND = 99.0  # per cent of the photos on a fitted scale; the few beyond pile up at its end
_ROOM = 0.25  # of the distance from the scale's start, which is left beyond a threshold

UNKNOWN_WAY = (
    "This filter decides in a way of its own, which this page cannot repeat. Its verdicts are "
    "those of the run."
)
UNKNOWN_THRESHOLD = (
    "The results do not say how this filter's threshold was set, and no single one explains its "
    "verdicts, which are shown as they are."
)


@dataclass(frozen=True)
class Rule:
    """A threshold, and what it rules on.

    Attributes
    ----------
    sign : str or None
        A photo is flagged when its position compares so with the threshold; ``None`` when the
        decisions cannot be made again.
    threshold : float
        That of the run.
    positions : ndarray of float64, shape (n,)
        What is compared, photo by photo: the prediction, or the threshold at which the decision
        changes; NaN where there is no prediction.
    low, high : float
        The ends of a scale that shows them.
    note : str
        What to know about it, in a sentence; nothing for a threshold that is known.
    """

    sign: str | None
    threshold: float
    positions: Floats
    low: float
    high: float
    note: str = ""

    def margins(self, flagged: Bools) -> Floats:
        """Return how far photos are beyond the threshold, in [0, 1]; 0 where not flagged.

        It is the share of the way from the threshold to the end of the scale, which makes filters
        comparable whose numbers mean different things. The page computes the same.
        """
        gaps = {
            "above": (self.positions - self.threshold, self.high - self.threshold),
            "below": (self.threshold - self.positions, self.threshold - self.low),
        }
        if self.sign in (">", ">="):
            way, whole = gaps["above"]
        elif self.sign in ("<", "<="):
            way, whole = gaps["below"]
        elif self.sign == "!=":
            way = np.abs(gaps["above"][0])
            whole = max(gaps["above"][1], gaps["below"][1])
        else:
            return np.where(flagged, 1.0 if self.sign == "==" else 0.0, 0.0)
        shares = np.clip(way / whole, 0, 1) if whole > 0 else np.ones(len(way))
        return np.where(flagged & ~np.isnan(shares), shares, 0.0)


def rule(
    item: Criterion | None, predictions: Floats, flagged: Bools, *, certain: bool = True
) -> Rule:
    """Return the rule of a filter.

    Parameters
    ----------
    item : Criterion or None
        The filter, if it is known.
    predictions : ndarray of float64, shape (n,)
        NaN where there is none.
    flagged : ndarray of bool, shape (n,)
        What was decided.
    certain : bool
        Whether the parameters are those of the run, and not only likely.
    """
    found = None if item is None else _known(item, predictions, flagged)
    if found is not None and certain:
        return found
    if found is not None:
        note = f"{found.threshold:g} is assumed: it is the filter's own default, and it fits."
        return _with_note(found, note)
    if certain:
        return _fixed(item, predictions, UNKNOWN_WAY)
    return _inferred(item, predictions, flagged) or _fixed(item, predictions, UNKNOWN_THRESHOLD)


def _known(item: Criterion, predictions: Floats, flagged: Bools) -> Rule | None:
    sign, positions = _compared(item, predictions, flagged)
    if sign is None:
        return None
    measured = ~np.isnan(predictions)
    if not np.array_equal(_HOLDS[sign](positions, item.threshold)[measured], flagged[measured]):
        return None
    return _scaled(sign, float(item.threshold), positions)


def _compared(item: Criterion, predictions: Floats, flagged: Bools) -> tuple[str | None, Floats]:
    """How positions compare with the threshold, and the positions."""
    from qualipy_core.criterion import Criterion

    if type(item).decide is Criterion.decide:
        sign = MIRRORED[item.comparison] if item.invert_threshold else item.comparison
        return sign, predictions
    measured = ~np.isnan(predictions)
    distinct, first, back = np.unique(predictions[measured], return_index=True, return_inverse=True)
    scores = orient(item, distinct.tolist(), flagged[measured][first].tolist())
    if scores.cut is None:
        return None, predictions
    strict = scores.cut == scores.sign * item.threshold
    sign = (">" if scores.sign > 0 else "<") + ("" if strict else "=")
    positions = predictions.copy()
    positions[measured] = (scores.sign * scores.values)[back]
    return sign, positions


def _inferred(item: Criterion | None, predictions: Floats, flagged: Bools) -> Rule | None:
    """The rule with a threshold between the highest that passed and the lowest flagged, say."""
    measured = ~np.isnan(predictions)
    if not flagged.any() or flagged[measured].all():
        return None
    positions = predictions
    signs: tuple[str, ...] = (">", "<")
    if item is not None:
        sign_of_item, positions = _compared(item, predictions, flagged)
        if sign_of_item is None or sign_of_item in ("==", "!="):
            return None
        signs = (sign_of_item[0],)
    inside, outside = positions[flagged], positions[measured & ~flagged]
    for sign in signs:
        upper, lower = (inside, outside) if sign == ">" else (outside, inside)
        nearest, last = upper.min(), lower.max()
        if last < nearest and math.isfinite(last) and math.isfinite(nearest):
            threshold = _between(float(last), float(nearest))
            note = (
                f"{threshold:g} is inferred: the results do not hold the threshold, and any from "
                f"{last:.4g} to {nearest:.4g} gives their verdicts."
            )
            return _with_note(_scaled(sign, threshold, positions), note)
    return None


def _between(low: float, high: float) -> float:
    """The shortest decimal number between two."""
    middle = (low + high) / 2
    for decimals in range(17):
        if low < (short := round(middle, decimals)) < high:
            return short
    return middle if low < middle else low


def _with_note(found: Rule, note: str) -> Rule:
    return Rule(found.sign, found.threshold, found.positions, found.low, found.high, note)


def _fixed(item: Criterion | None, predictions: Floats, note: str) -> Rule:
    threshold = 0.5 if item is None else float(item.threshold)
    return _with_note(_scaled(None, threshold, predictions), note)


def _scaled(sign: str | None, threshold: float, positions: Floats) -> Rule:
    return Rule(sign, threshold, positions, *_scale(positions[np.isfinite(positions)], threshold))


def _scale(values: Floats, threshold: float) -> tuple[float, float]:
    """0 to 1 where everything lies there; else round numbers around nearly everything."""
    known = np.append(values, threshold)
    if known.min() >= 0 and known.max() <= 1:
        return 0.0, 1.0
    low = float(known.min())
    high = max(float(np.percentile(known, _BEYOND)), threshold + _ROOM * (threshold - low))
    step = 10.0 ** math.floor(math.log10(high - low)) / 2 if high > low else 0.5
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    return low, high if high > low else low + step
