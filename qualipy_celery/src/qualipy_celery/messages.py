"""What client and workers say to each other: a chunk of images and the filters to judge them by.

A message is JSON. Filters travel as name and parameters, and are found on the worker; images travel
as paths and URLs. `VERSION` changes when an older worker would misunderstand a message; a field
that it may ignore can be added without.
"""

from __future__ import annotations

import os
import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from qualipy_core import parameters
from qualipy_core.criterion import Criterion
from qualipy_core.errors import (
    FilterError,
    FilterTypeError,
    ImageTypeError,
    MessageError,
    ParameterValueError,
    QualipyError,
)
from qualipy_core.filter import Filter
from qualipy_core.image import Image
from qualipy_core.plan import Plan, Task
from qualipy_core.roots import Roots
from qualipy_core.thumbnails import MOST_SIDE

VERSION = 1
MOST_TASKS = 1024  # a script of the ledger takes fewer than 2000 at once
MOST_FILTERS = 1000
JOB = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

Described = tuple[tuple[str, dict[str, Any]], ...]
"""Filters as they travel: each with its key in the results, as `Filter.to_dict` gives it."""

MOST_NUMBER = (1 << 32) - 1  # a bit each in a text of Redis


class Piece(NamedTuple):
    """One image of a chunk: its number in the job, its path or URL, its ROI."""

    number: int
    image: str
    ROI: list[int] | None = None


@dataclass(frozen=True)
class Chunk:
    """The images that one message carries, and how to judge them."""

    job: str
    tasks: tuple[Piece, ...]
    filters: Described  #: in the order in which they run
    stop_early: bool = False  #: as in `Plan`
    base: str = ""  #: the folder that relative paths are meant from
    roots: tuple[tuple[str, ...], ...] = ()  #: of `Roots`: what the client lets be read
    thumbnails: int | None = None  #: as in `Plan`

    @classmethod
    def parse(cls, message: object) -> Self:
        """Read and validate a message.

        Raises
        ------
        MessageError
            (ValueError) It is of another version, or malformed.
        """
        if not isinstance(message, Mapping):
            raise MessageError(f"A message is a JSON object, not {reprlib.repr(message)}.")
        version = message.get("v")
        if version != VERSION:
            raise MessageError(
                f"The message is of version {reprlib.repr(version)}, and version {VERSION} is "
                "understood here: install the same release of qualipy-celery on every machine."
            )
        tasks = _checked(message, "tasks", list, _are_pieces)
        filters = _checked(message, "filters", list, _are_filters)
        return cls(
            job=_checked(message, "job", str, JOB.fullmatch),
            tasks=tuple(Piece(*each) for each in tasks),
            filters=tuple((label, description) for label, description in filters),
            stop_early=_checked(message, "stop_early", bool, default=False),
            base=_checked(message, "base", str, default=""),
            roots=tuple(map(tuple, _checked(message, "roots", list, _are_roots, default=[]))),
            thumbnails=_checked(message, "thumbnails", int, _is_side, default=0) or None,
        )

    @property
    def id(self) -> str:
        """What the chunk is called within its job."""
        return str(self.tasks[0].number)

    def to_dict(self) -> dict[str, Any]:
        """Return the message as JSON types."""
        return {"v": VERSION, **vars(self), "thumbnails": self.thumbnails or 0}


def _checked(
    message: Mapping[str, Any],
    key: str,
    kind: type,
    fits: Callable[[Any], Any] = lambda value: True,
    default: Any = None,
) -> Any:
    value = message.get(key, default)
    if type(value) is not kind or not fits(value):
        raise MessageError(f"The message is malformed: {key} is {reprlib.repr(value)}.")
    return value


def _are_pieces(tasks: list[Any]) -> bool:
    return 0 < len(tasks) <= MOST_TASKS and all(map(_is_piece, tasks))


def _is_piece(value: Any) -> bool:
    if not (isinstance(value, list) and len(value) == len(Piece._fields)):
        return False
    number, image, roi = value
    region = roi is None or (
        isinstance(roi, list) and len(roi) == 4 and all(type(part) is int for part in roi)
    )
    return _is_number(number) and isinstance(image, str) and region


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MOST_NUMBER


def _is_side(value: int) -> bool:
    return 0 <= value <= MOST_SIDE


def _are_roots(groups: list[Any]) -> bool:
    return all(
        isinstance(group, list) and all(isinstance(root, str) for root in group) for group in groups
    )


def _are_filters(filters: list[Any]) -> bool:
    return len(filters) <= MOST_FILTERS and all(
        isinstance(each, list) and [type(part) for part in each] == [str, dict] for each in filters
    )


def numbers_of(message: object) -> tuple[str, list[int]] | None:
    """Return the job and the image numbers of a message that cannot be used, if it tells them."""
    if not isinstance(message, Mapping):
        return None
    job, tasks = message.get("job"), message.get("tasks")
    if not (isinstance(job, str) and JOB.fullmatch(job) and isinstance(tasks, list)):
        return None
    numbers = [
        each[0]
        for each in tasks[:MOST_TASKS]
        if isinstance(each, list) and each and _is_number(each[0])
    ]
    return (job, numbers) if numbers else None


def described(plan: Plan) -> Described:
    """Return a plan's filters as they travel.

    Raises
    ------
    ParameterValueError
        One has a model in memory alone.
    """
    return tuple((label, _located(step)) for label, step in plan.steps)


def piece(number: int, task: Task) -> Piece:
    """Return an image as it travels.

    Raises
    ------
    ImageTypeError
        (TypeError) It is no path or URL.
    """
    source = task.source
    if isinstance(source, os.PathLike):
        source = os.fspath(source)
    if not isinstance(source, str):
        raise ImageTypeError(
            f"{task.label} cannot be sent to workers: give a path or URL that they can open.",
            image=task.label,
        )
    return Piece(number, source, None if task.ROI is None else list(task.ROI))


def opened(image: str, region: Any, base: str) -> Task:
    """Return the task that a worker judges: what is called `image`, where it lies from `base`."""
    path = image if "://" in image else os.path.join(base, image)
    return Task(Image(path, name=image), region)


def make_plan(
    filters: Sequence[Any],
    stop_early: bool,
    roots: Sequence[Sequence[str]],
    worker: str,
    thumbnails: int | None = None,
) -> Plan:
    """Find the filters on this machine.

    One that is not there, or does not take its parameters, fails on every image, with an error that
    names the worker; the others stand.

    Parameters
    ----------
    filters : sequence of (str, dict)
        As they travel.
    stop_early : bool
        As in `Plan`.
    roots : sequence of sequences of str
        What the client lets be read; the ``QUALIPY_IMAGE_ROOTS`` of this machine hold too.
    worker : str
        What to call this worker.
    thumbnails : int, optional
        As in `Plan`.

    Raises
    ------
    ImageRootsError
        (ValueError) This machine's roots are none.
    """
    steps = tuple((label, _found(each, worker)) for label, each in filters)
    return Plan(steps, stop_early, Roots.of_run() + Roots(tuple(map(tuple, roots))), thumbnails)


class _Missing(Filter):
    """Stands for a filter that cannot be had here: fails, and says why."""

    name = "missing"

    def measure(self, image: Image) -> float:
        raise self._state()

    def _state(self) -> Any:
        return self.__dict__["why"]


def _found(description: Any, worker: str) -> Criterion:
    try:
        return _trusted(Criterion.from_dict(description))
    except QualipyError as error:
        why = _told_by(worker, error)
    except Exception as error:
        name = description.get("name") if isinstance(description, dict) else None
        why = FilterError(
            f"Worker {worker}: filter {name} cannot be made: {type(error).__name__}: {error}.",
            filter=name,
        )
    missing = _Missing()
    missing.__dict__["why"] = why
    return missing


def _trusted(step: Criterion) -> Criterion:
    """Refuse what names a file or program where a worker may not read everything."""
    for parameter in parameters.parameters_of(type(step)) if Roots.of_run() else ():
        if parameter.local and getattr(step, parameter.name) is not None:
            raise ParameterValueError(
                f"{step.name}: {parameter.name} names a file or program, which a message may not "
                "do where QUALIPY_IMAGE_ROOTS limits what is read.",
                filter=step.name,
                parameter=parameter.name,
            )
    return step


def _told_by(worker: str, error: QualipyError) -> QualipyError:
    details = {name: getattr(error, name) for name in error.details}
    return type(error)(f"Worker {worker}: {error}", **details)


def _located(step: Criterion) -> dict[str, Any]:
    """A filter's description, in which a file of this machine goes by its whole path."""
    description = step.to_dict()
    for parameter in parameters.parameters_of(type(step)):
        value = description.get(parameter.name)
        if parameter.local and isinstance(value, str) and os.path.isfile(value):
            description[parameter.name] = os.path.abspath(value)
    return description


def plan_of_call(filters: Sequence[Any], sort: bool, stop_early: bool, worker: str) -> Plan:
    """Make the plan of a call that came as a message; the roots are this machine's.

    Parameters
    ----------
    filters : sequence of dict or str
        Descriptions or names.
    sort, stop_early : bool
        As in `Plan.make`.
    worker : str
        What to call this worker.

    Raises
    ------
    QualipyError
        A filter is unknown here, does not take its parameters, or needs a set of images; the error
        names the worker.
    """
    try:
        made = [
            _trusted(Criterion.from_dict(each)) if isinstance(each, dict) else each
            for each in filters
        ]
        plan = Plan.make(made, sort=sort, stop_early=stop_early)
        if plan.set_filters:
            label, _ = plan.set_filters[0]
            raise FilterTypeError(
                f"{label} judges a photo among the others of its set, and a call for one photo has "
                "none: give the photos together to celery_process, submit or scan."
            )
        return plan
    except QualipyError as error:
        raise _told_by(worker, error) from None
