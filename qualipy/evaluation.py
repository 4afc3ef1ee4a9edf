"""How well a filter does on labelled photos: `evaluate`.

>>> import qualipy
>>> result = qualipy.evaluate("exposure", "bad/", "good/")
>>> result.figures["balanced_accuracy"]
Figure(value=0.96, low=0.91, high=0.98)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qualipy.labels import Sample, check_column, gather, grouped
from qualipy.scores import Scores, orient, threshold_between
from qualipy_core import metrics, plugins, scan
from qualipy_core.errors import ParameterValueError
from qualipy_core.metrics import Confusion, Figure

if TYPE_CHECKING:
    from qualipy.labels import Source
    from qualipy_core import Result
    from qualipy_core.criterion import Criterion

Figures = Mapping[str, Figure | None]

_FOLDS = 10


@dataclass(frozen=True)
class Photo:
    """One labelled photo and what the filter said."""

    image: str  #: its path, or what an image without one is called
    positive: bool  #: the label
    prediction: float  #: what the filter measured
    flagged: bool  #: what it decided
    group: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict, repr=False)
    source: Any = field(default=None, repr=False, compare=False)  #: what it was opened from

    @property
    def right(self) -> bool:
        """Whether the decision agrees with the label."""
        return self.positive == self.flagged

    def to_dict(self) -> dict[str, Any]:
        """Return the photo as JSON types."""
        return {
            "image": self.image,
            "positive": self.positive,
            "flagged": self.flagged,
            "prediction": self.prediction,
        }


@dataclass(frozen=True)
class Threshold:
    """A threshold, and what it gives."""

    value: float
    figures: Figures  #: on the photos that it was chosen on
    elsewhere: float  #: the balanced accuracy when it is chosen on other photos of these


@dataclass(frozen=True)
class Evaluation:
    """How a filter did on labelled photos.

    Attributes
    ----------
    filter : Filter
        The filter.
    photos : tuple of Photo
        Those that could be judged.
    failures : tuple of (str, str)
        Those that could not: the image, and why.
    """

    filter: Criterion
    photos: tuple[Photo, ...]
    failures: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, item: Criterion, judged: Iterable[tuple[Sample, Result]]) -> Evaluation:
        """Return the evaluation of a filter from samples and the results of judging them."""
        photos, failures = [], []
        for sample, result in judged:
            problem = result.error or next(iter(result.failures.values()), None)
            if problem is not None:
                failures.append((result.image, str(problem)))
                continue
            ((name, prediction),) = result.predictions.items()
            photos.append(
                Photo(
                    result.image,
                    sample.positive,
                    prediction,
                    result.decisions[name],
                    sample.group,
                    sample.columns,
                    sample.image,
                )
            )
        return cls(item, tuple(photos), tuple(failures))

    @cached_property
    def positive(self) -> NDArray[np.bool_]:
        """The labels, shape (n,)."""
        return np.array([photo.positive for photo in self.photos], dtype=bool)

    @cached_property
    def flagged(self) -> NDArray[np.bool_]:
        """The decisions, shape (n,)."""
        return np.array([photo.flagged for photo in self.photos], dtype=bool)

    @cached_property
    def scores(self) -> Scores:
        """The predictions on a scale on which higher is more positive."""
        return orient(
            self.filter, [photo.prediction for photo in self.photos], self.flagged.tolist()
        )

    @property
    def groups(self) -> list[str] | None:
        """The group of each photo, if there are any."""
        return grouped(self.photos)

    @cached_property
    def confusion(self) -> Confusion:
        """How many photos of each label were flagged, and not."""
        return Confusion.count(self.positive, self.flagged)

    @cached_property
    def figures(self) -> Figures:
        """Every figure of `qualipy_core.metrics.FIGURES`, with its interval."""
        return metrics.figures(self.positive, self.flagged, self.scores.values, self.groups)

    @cached_property
    def best(self) -> Threshold | None:
        """The threshold with the best balanced accuracy; ``None`` where none beats chance.

        Of equally good ones, the nearest to the filter's own. It was chosen on these very photos,
        which flatters it; `Threshold.elsewhere` is what comes when each tenth of them is judged
        by a threshold that was chosen on the others.
        """
        scores = self.scores
        if scores.cut is None:
            return None
        gap = metrics.best_cut(self.positive, scores.values, scores.cut)
        if gap is None:
            return None
        value = threshold_between(scores, self.filter, *gap)
        return Threshold(value, self.at(value).figures, self._elsewhere(scores.cut))

    def at(self, threshold: float) -> Evaluation:
        """Return the evaluation of the same predictions with another threshold."""
        other = self.filter.replace(threshold=threshold)
        photos = [replace(photo, flagged=other.decision(photo.prediction)) for photo in self.photos]
        return Evaluation(other, tuple(photos), self.failures)

    @property
    def mistakes(self) -> list[Photo]:
        """The photos on which the filter is wrong, the farthest from its threshold first."""
        scores = self.scores
        away = np.abs(scores.values - (0.5 if scores.cut is None else scores.cut))
        order = np.lexsort((np.arange(len(away)), -away))
        return [self.photos[number] for number in order if not self.photos[number].right]

    def by(self, column: str) -> dict[str, Evaluation]:
        """Return the evaluation of the photos of each value of a column of the CSV file.

        Raises
        ------
        LabelsError
            (ValueError) There is no such column.
        """
        check_column(self.photos, column)
        values = sorted({photo.columns[column] for photo in self.photos})
        parts = {}
        for value in values:
            photos = [photo for photo in self.photos if photo.columns[column] == value]
            parts[value] = Evaluation(self.filter, tuple(photos))
        return parts

    def part(self, keep: Callable[[Photo], bool]) -> Evaluation:
        """Return the evaluation of some of the photos."""
        return Evaluation(self.filter, tuple(photo for photo in self.photos if keep(photo)))

    def to_dict(self, *, photos: bool = True) -> dict[str, Any]:
        """Return all figures as JSON types.

        Parameters
        ----------
        photos : bool
            With what the filter said about each photo, and those that could not be judged.
        """
        distribution, version = plugins.origin(type(self.filter))
        best = self.best
        plain: dict[str, Any] = {
            "filter": _described(self.filter),
            "distribution": distribution,
            "version": version,
            "score": self.scores.how,
            "positives": int(self.positive.sum()),
            "negatives": int((~self.positive).sum()),
            "groups": None if self.groups is None else len(set(self.groups)),
            "failed": len(self.failures),
            "confusion": self.confusion.to_dict(),
            "figures": plain_figures(self.figures),
            "best_threshold": best
            and {
                "value": best.value,
                "figures": plain_figures(best.figures),
                "balanced_accuracy_elsewhere": best.elsewhere,
            },
        }
        if photos:
            plain["photos"] = [photo.to_dict() for photo in self.photos]
            plain["failures"] = [{"image": image, "error": why} for image, why in self.failures]
        return plain

    def _elsewhere(self, otherwise: float) -> float:
        """The balanced accuracy of thresholds that were each chosen on other photos."""
        values, flagged = self.scores.values, np.zeros(len(self.photos), dtype=bool)
        fold = metrics.folds(self.positive, self.groups, _FOLDS)
        for number in range(_FOLDS):
            here = fold == number
            gap = metrics.best_cut(self.positive[~here], values[~here], otherwise)
            flagged[here] = values[here] > (otherwise if gap is None else _middle(*gap, otherwise))
        label = self.positive
        return float((flagged[label].mean() + (~flagged[~label]).mean()) / 2)


def evaluate(
    filter: Criterion | str,  # noqa: A002 (it is what the thing is called)
    positives: Source = (),
    negatives: Source = (),
    *,
    labels: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
    where: Mapping[str, Iterable[str]] | None = None,
    jobs: int = 1,
) -> Evaluation:
    """Judge labelled photos with a filter and return how well it does.

    Parameters
    ----------
    filter : Filter or str
        A filter, or the name of an installed one.
    positives, negatives : image or iterable of images
        Photos that have the property, and photos that do not: paths, folders with all photos
        below them, patterns; or pixels, bytes, Images.
    labels : path or iterable of paths
        CSV files with a header: ``path``, relative to the file; ``label``; ``group`` where photos
        belong together, such as variants of one picture; and any others.
    where : mapping of str to iterable of str, optional
        Take only rows of the CSV files whose column has one of these values.
    jobs : int
        Worker processes; 1 judges in this thread, 0 takes one per core.

    Returns
    -------
    Evaluation
        Figures with intervals, the best threshold, the mistakes.

    Raises
    ------
    LabelsError
        (ValueError) A CSV file cannot be used, or a folder holds no photo.
    UnknownFilterError
        (ValueError) No installed filter has that name.
    """
    item = plugins.registry().get(filter)() if isinstance(filter, str) else filter
    found = gather(positives, negatives, labels, where)
    images = [sample.image for sample in found.samples]
    return Evaluation.of(item, zip(found.samples, scan(images, [item], jobs=jobs), strict=True))


def plain_figures(figures: Figures) -> dict[str, dict[str, float] | None]:
    """Return figures as JSON types: ``{"value": ..., "low": ..., "high": ...}`` by name."""
    return {name: figure and figure._asdict() for name, figure in figures.items()}


def _described(item: Criterion) -> dict[str, Any]:
    try:
        return item.to_dict()
    except ParameterValueError:  # its model is in memory alone
        return {"name": item.name}


def _middle(low: float, high: float, preferred: float) -> float:
    """The preferred score if it parts the two, or the middle between them."""
    if low <= preferred < high:
        return preferred
    finite = [end for end in (low, high) if np.isfinite(end)]
    return sum(finite) / len(finite) if finite else preferred
