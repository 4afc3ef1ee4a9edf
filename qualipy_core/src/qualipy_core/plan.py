"""What to do with each image of a run, and doing it to one: `Plan` and `Plan.judge`."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from qualipy_core import plugins
from qualipy_core.criterion import Criterion
from qualipy_core.errors import (
    FilterTypeError,
    ImageError,
    ImageReadError,
    ParameterValueError,
    QualipyError,
)
from qualipy_core.filter import Filter
from qualipy_core.image import Image, name_of
from qualipy_core.limits import Limits, checked
from qualipy_core.result import Result
from qualipy_core.roots import Roots
from qualipy_core.setfilter import SetFilter
from qualipy_core.thumbnails import MOST_SIDE, thumbnail
from qualipy_core.urls import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Task(NamedTuple):
    """One image of a run and the region of it to judge."""

    source: Any
    ROI: Any = None

    @property
    def label(self) -> str:
        """What results and errors call the image."""
        return self.source.name if isinstance(self.source, Image) else name_of(self.source)


@dataclass(frozen=True)
class Plan:
    """The filters of a run, in the order in which they will run, and what it may read.

    Attributes
    ----------
    steps : tuple of (str, Filter or SetFilter)
        Each filter with its key in the results; set filters behind the others, for they decide
        when all images are measured.
    stop_early : bool
        Leave out the remaining filters once one is positive.
    roots : Roots
        What may be read; what the environment says now, by default.
    thumbnails : int or None
        The long side of a small picture that comes with each result; None: without.
    limits : Limits
        What one image may cost, as far as the call has said it.
    """

    steps: tuple[tuple[str, Criterion], ...]
    stop_early: bool = False
    roots: Roots = field(default_factory=Roots.of_run)
    thumbnails: int | None = None
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def make(
        cls,
        filters: Iterable[Criterion | str],
        *,
        sort: bool = True,
        stop_early: bool = False,
        image_roots: Iterable[str | os.PathLike[str]] | None = None,
        thumbnails: int | None = None,
        limits: Limits | None = None,
    ) -> Plan:
        """Label the filters and, unless told otherwise, put the cheap ones first.

        Parameters
        ----------
        filters : iterable of Filter, SetFilter or str
            Filters, or the names of installed ones; left as it is.
        sort : bool
            Order by `Filter.speed`; equals keep the caller's order.
        stop_early : bool
            See the class.
        image_roots : iterable of (str or path), optional
            As in `qualipy_core.scan`.
        thumbnails : int, optional
            As in `qualipy_core.scan`.
        limits : Limits, optional
            As in `qualipy_core.scan`.

        Raises
        ------
        TypeError
            Something in it is neither a filter nor a name.
        ImageRootsError
            (ValueError) The image roots are no such.
        ParameterValueError
            (ValueError) There are no such thumbnails.
        LimitsError
            (ValueError) The limits, or those in the environment, are no such.
        """
        if thumbnails is not None and not 1 <= thumbnails <= MOST_SIDE:
            raise ParameterValueError(
                f"thumbnails must be a side of 1 to {MOST_SIDE} pixels, not {thumbnails}.",
                parameter="thumbnails",
            )
        labelled = list(_labelled(_as_filters(filters)))
        if sort:
            labelled.sort(key=lambda step: step[1].speed)
        labelled.sort(key=lambda step: isinstance(step[1], SetFilter))
        limits = checked(limits)
        limits.in_force()  # a slip in the environment is told now, not to each image
        return cls(tuple(labelled), stop_early, Roots.of_run(image_roots), thumbnails, limits)

    @property
    def filters(self) -> tuple[tuple[str, Filter], ...]:
        """Those of the steps that judge an image by itself."""
        return tuple((label, step) for label, step in self.steps if isinstance(step, Filter))

    @property
    def set_filters(self) -> tuple[tuple[str, SetFilter], ...]:
        """Those of the steps that judge an image among the others."""
        return tuple((label, step) for label, step in self.steps if isinstance(step, SetFilter))

    def judge(self, task: Task) -> Result:
        """Run the filters on one image; every error ends up in the result.

        Of set filters there are fingerprints, whatever the others say: what is known about the
        other images of the set must not depend on it.

        Parameters
        ----------
        task : Task
            The image and its ROI.

        Returns
        -------
        Result
            With the image's error, or with a prediction, a fingerprint or a failure per filter that
            ran.
        """
        started = time.perf_counter()
        predictions: dict[str, float] = {}
        decisions: dict[str, bool] = {}
        failures: dict[str, QualipyError] = {}
        fingerprints: dict[str, NDArray[Any]] = {}
        small: bytes | None = None
        error: QualipyError | None = None
        out = False
        image: Image | None = None
        try:
            image = Image.open(task.source, task.ROI, roots=self.roots, limits=self.limits)
            for label, step in self.steps:
                try:
                    if isinstance(step, SetFilter):
                        fingerprints[label] = step.fingerprint_of(image)
                    elif isinstance(step, Filter) and not out:
                        prediction = step.prediction(image)
                        decisions[label] = step.decision(prediction)
                        predictions[label] = prediction
                        out = self.stop_early and decisions[label]
                except ImageError:
                    raise
                except QualipyError as failure:
                    failures[label] = failure
            if self.thumbnails is not None:
                small = thumbnail(image, self.thumbnails)
        except QualipyError as problem:
            error = problem
        except MemoryError as problem:
            message = f"{shown(task.label)} does not fit into memory."
            error = ImageReadError(message, image=task.label)
            error.__cause__ = problem
        except Exception as problem:  # one bad file must never end a run, whatever is wrong with it
            kind = type(problem).__name__
            message = f"{shown(task.label)} cannot be judged: {kind}: {problem}."
            error = ImageReadError(message, image=task.label)
            error.__cause__ = problem
        return Result(
            image=image.name if image is not None else task.label,
            predictions=predictions,
            decisions=decisions,
            failures=failures,
            error=error,
            ROI=image.ROI if image is not None else None,
            seconds=time.perf_counter() - started,
            fingerprints={} if error is not None else fingerprints,
            thumbnail=None if error is not None else small,
        )


def _as_filters(filters: Any) -> list[Criterion]:
    if isinstance(filters, type) and issubclass(filters, Criterion):
        raise FilterTypeError(
            f"filters must be a list of filters: write [{filters.__name__}()], "
            f"not {filters.__name__}."
        )
    if isinstance(filters, Criterion | str) or not isinstance(filters, Iterable):
        kind = type(filters).__name__
        raise FilterTypeError(f"filters must be a list of filters or their names, not {kind}.")
    made: list[Criterion] = []
    for item in filters:
        if isinstance(item, str):
            made.append(plugins.registry().get(item)())
        elif isinstance(item, Filter | SetFilter):
            made.append(item)
        elif isinstance(item, type) and issubclass(item, Criterion):
            raise FilterTypeError(
                f"filters must hold filters: write {item.__name__}(), not {item.__name__}."
            )
        else:
            raise FilterTypeError(
                f"filters must hold filters or their names, not {type(item).__name__}."
            )
    return made


def _labelled(filters: Sequence[Criterion]) -> Iterable[tuple[str, Criterion]]:
    seen: Counter[str] = Counter()
    for item in filters:
        name = plugins.registry().name_of(type(item))
        seen[name] += 1
        yield (name if seen[name] == 1 else f"{name}#{seen[name]}"), item
