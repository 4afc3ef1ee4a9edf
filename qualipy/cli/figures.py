"""Figures in words: an evaluation as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from qualipy.cli.text import visible
from qualipy.cli.words import MIRRORED

if TYPE_CHECKING:
    from qualipy.evaluation import Evaluation, Figures, Photo
    from qualipy_core.criterion import Criterion
    from qualipy_core.metrics import Figure

NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "precision": "precision",
    "recall": "recall",
    "specificity": "specificity",
    "f1": "F1",
    "roc_auc": "ROC AUC",
}
"""What each of `qualipy_core.metrics.FIGURES` is called."""

NONE = "–"
_METHOD = "95 % intervals: Wilson (shares, F1), Newcombe (balanced accuracy, ROC AUC)"
_GROUPS = ", design effects for groups"
_BY = ("balanced_accuracy", "recall", "specificity", "roc_auc")


def title(item: Criterion) -> str:
    """Return which filter it is, and when it is positive."""
    from qualipy_core import plugins
    from qualipy_core.criterion import Criterion

    distribution, version = plugins.origin(type(item))
    of = f" ({visible(distribution)} {visible(version or '')})" if distribution else ""
    if type(item).decide is not Criterion.decide:
        rule = f"threshold {item.threshold:.6g}, decided in a way of its own"
    else:
        sign = MIRRORED[item.comparison] if item.invert_threshold else item.comparison
        rule = f"positive when the prediction is {sign} {item.threshold:.6g}"
    return f"{click.style(item.name, bold=True)}{of}, {rule}"


def counts(result: Evaluation) -> str:
    """Return how many photos there are of each label."""
    positives = int(result.positive.sum())
    negatives = len(result.photos) - positives
    groups = result.groups
    said = f"{len(result.photos):,} photos: {positives:,} positive, {negatives:,} negative"
    if groups is not None:
        said += f", in {len(set(groups)):,} groups"
    return f"{said}; {len(result.failures):,} more not judged" if result.failures else said


def table(columns: Mapping[str, Figures]) -> Iterator[str]:
    """Yield the lines of a table: a row per figure, a column per evaluation."""
    if any(columns):
        heads = [f"{head:<23}" for head in columns]
        yield f"{'':17}  {'  '.join(heads)}".rstrip()
    for name, called in NAMES.items():
        cells = [f"{interval(figures[name]):<23}" for figures in columns.values()]
        yield f"{called:17}  {'  '.join(cells)}".rstrip()


def method(result: Evaluation) -> str:
    """Return where the intervals come from."""
    return f"{_METHOD}{_GROUPS if result.groups is not None else ''}."


def interval(figure: Figure | None) -> str:
    """Return a figure and its interval."""
    if figure is None:
        return NONE
    return f"{figure.value:.3f}  ({figure.low:.3f} – {figure.high:.3f})"


def confusion(result: Evaluation) -> Iterator[str]:
    """Yield the lines of the confusion matrix."""
    cells = result.confusion
    yield f"{'':10}{'flagged':>9}{'passed':>9}"
    yield f"{'positive':10}{cells.true_positives:>9,}{cells.false_negatives:>9,}"
    yield f"{'negative':10}{cells.false_positives:>9,}{cells.true_negatives:>9,}"


def best(result: Evaluation) -> Iterator[str]:
    """Yield the lines about the best threshold."""
    chosen, now = result.best, result.figures["balanced_accuracy"]
    if now is None:
        yield "Best threshold: none can be told, for there are photos of one label alone."
    elif result.scores.cut is None:
        yield f"Best threshold: none can be told. The score is {result.scores.how}."
    elif chosen is None:
        yield "Best threshold: none is better than flagging every photo, or none."
    elif chosen.value == result.filter.threshold:
        yield f"Best threshold: {chosen.value:.6g}, the one in use."
    else:
        figures = chosen.figures
        yield (
            f"Best threshold: {chosen.value:.6g}, balanced accuracy "
            f"{short(figures['balanced_accuracy'])} (recall {short(figures['recall'])}, "
            f"specificity {short(figures['specificity'])}); {now.value:.3f} at "
            f"{result.filter.threshold:.6g}, the one in use."
        )
        verdict = "better" if chosen.elsewhere > now.value else "no better"
        yield (
            "It was chosen on these very photos. Chosen on nine tenths and tried on the other: "
            f"{chosen.elsewhere:.3f}, {verdict}."
        )


def mistakes(photos: Sequence[Photo], most: int) -> Iterator[str]:
    """Yield a line for each of the worst mistakes."""
    if not photos:
        yield "No mistakes."
        return
    shown = photos[:most]
    of = f" ({len(shown):,} of {len(photos):,})" if len(shown) < len(photos) else ""
    yield click.style(f"Worst mistakes{of}", bold=True)
    predictions = [f"{photo.prediction:.4g}" for photo in shown]
    width = max(map(len, predictions), default=0)
    for photo, prediction in zip(shown, predictions, strict=True):
        kind = "missed" if photo.positive else "false alarm"
        yield f"  {kind:<11}  {prediction:>{width}}  {visible(photo.image)}"


def failures(result: Evaluation) -> Iterator[str]:
    """Yield a line for each photo that could not be judged."""
    if result.failures:
        yield ""
        yield click.style("Not judged", bold=True)
    for _, why in result.failures:
        yield click.style(f"  {visible(why)}", fg="red")


def by(parts: Mapping[str, Evaluation], column: str) -> Iterator[str]:
    """Yield the lines of a table with a row for each value of a column."""
    width = max(len(visible(name)) for name in (*parts, column))
    heads = "  ".join(f"{NAMES[name]:<20}" for name in _BY)
    yield click.style(f"{visible(column):<{width}}  {'+':>6} {'-':>6}  {heads}".rstrip(), bold=True)
    for value, part in parts.items():
        cells = "  ".join(f"{narrow(part.figures[name]):<20}" for name in _BY)
        positives = int(part.positive.sum())
        numbers = f"{positives:>6,} {len(part.photos) - positives:>6,}"
        yield f"{visible(value) or '(empty)':<{width}}  {numbers}  {cells}".rstrip()


def narrow(figure: Figure | None) -> str:
    """Return a figure and its interval in twenty characters."""
    if figure is None:
        return NONE
    return f"{figure.value:.3f} ({figure.low:.2f} – {figure.high:.2f})"


def short(figure: Figure | None) -> str:
    """Return a figure alone."""
    return NONE if figure is None else f"{figure.value:.3f}"
