"""Judging many images: `scan` streams results, `process` collects them in the historic form."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from qualipy_core import plugins
from qualipy_core.errors import (
    ExecutorError,
    ImageTypeError,
    ROITypeError,
    ROIValueError,
    StoreError,
)
from qualipy_core.executors import Executor, Processes, ThisThread, available_cores
from qualipy_core.image import Image
from qualipy_core.plan import Plan, Task
from qualipy_core.result import Result
from qualipy_core.roi import ROI

if TYPE_CHECKING:
    from qualipy_core.criterion import Criterion
    from qualipy_core.fingerprints import Fingerprints
    from qualipy_core.image import ImageSource
    from qualipy_core.limits import Limits


_KINDS = (str, bytes, bytearray, memoryview, os.PathLike, np.ndarray, Image)


def scan(
    images: ImageSource | Image | Iterable[ImageSource | Image],
    filters: Iterable[Criterion | str] | Literal["all"] | None = None,
    ROIs: Any = None,
    *,
    sort_filters: bool = True,
    stop_early: bool = False,
    jobs: int = 1,
    executor: str | Executor | None = None,
    image_roots: Iterable[str | os.PathLike[str]] | None = None,
    thumbnails: int | None = None,
    limits: Limits | None = None,
    progress: Callable[[Result], object] | None = None,
    fingerprints: str | os.PathLike[str] | Fingerprints | None = None,
    journal: str | os.PathLike[str] | None = None,
) -> Iterator[Result]:
    """Judge images and yield a result for each, in their order, as soon as it is known.

    One bad file never stops a run: its error is in its result. Images are taken from the iterable
    as results are taken from the scan, so a generator may be endless; with set filters it may not.

    With a `SetFilter` among the filters, results come when all images are measured, for each is
    judged among the others: the images must end. Meanwhile results wait in a temporary file.

    Parameters
    ----------
    images : image or iterable of images
        Each one a path, the bytes of an image file, an RGB array or an `Image`.
    filters : iterable of Filter or str, optional
        Filters or names of installed ones. By default those of the installed ones that say so
        (`Criterion.by_default`); ``"all"`` takes every one; with a `PluginWarning` for one that
        cannot be loaded. Not changed.
    ROIs : ROI or iterable of (ROI or None), optional
        For one image its ROI ``(x, y, width, height)``; for several, as many as there are images.
    sort_filters : bool
        Run cheap filters first.
    stop_early : bool
        Leave out an image's remaining filters once one is positive.
    jobs : int
        Worker processes; 1 judges in this thread, 0 takes one per core that this process may use.
        A worker that crashes, or takes longer than the time limit, costs its image alone.
    executor : str or Executor, optional
        What spreads the images instead: the name of one that a pack offers, or an executor.
    image_roots : iterable of (str or path), optional
        Folders and URLs below which images given as paths and URLs must lie, beside what the
        variable ``QUALIPY_IMAGE_ROOTS`` says; others get an `ImageForbiddenError`.
    thumbnails : int, optional
        The long side in pixels, up to 1024, of a small JPEG of each image: `Result.thumbnail`.
    limits : Limits, optional
        What one image may cost: pixels, bytes, seconds. With one job, nothing could end what takes
        too long in this thread; a time limit that is given, here or by ``QUALIPY_TIME_LIMIT``,
        takes a worker process for that.
    progress : callable, optional
        Called with each result once the image is measured, in their order: with set filters, before
        any result comes. What it raises ends the run.
    fingerprints : str, path or Fingerprints, optional
        A file that keeps what set filters compare. Images that it knows, and that have not changed,
        are left out; the others are judged among all, and added to it when the last result has
        been taken.
    journal : str or path, optional
        A file in which results wait for the end of their set, instead of a temporary one. Images
        that have a line in it are not measured again, so that a run that was interrupted is gone
        on with by the same call. A file is known by its path, its size and its time of
        modification, an array or bytes by the content; what has changed is measured again. Yours
        to remove.

    Yields
    ------
    Result
        Predictions, decisions, failures of filters or the image's error, and seconds.

    Raises
    ------
    ImageTypeError, FilterTypeError
        (TypeError) `images` is neither an image nor iterable; `filters` holds something else.
    ROIValueError
        (ValueError) There are more images than ROIs, or fewer; found when the shorter one ends.
    ImageRootsError
        (ValueError) The image roots are no such.
    LimitsError
        (ValueError) The limits are no such.
    UnknownFilterError
        (ValueError) No installed filter has that name.
    ExecutorError
        (RuntimeError) No executor of that name, or its workers cannot be started.
    StoreError
        (ValueError) The file of fingerprints, or the journal, cannot be used.

    Examples
    --------
    >>> for result in scan(paths, [Exposure(), WholeBlur() > 0.8], jobs=4):
    ...     print(result.image, result.flagged or result.error or "suitable")
    """
    if filters is None or (isinstance(filters, str) and filters == "all"):
        filters = plugins.usable_filters(every=filters is not None)
    plan = Plan.make(
        filters,
        sort=sort_filters,
        stop_early=stop_early,
        image_roots=image_roots,
        limits=limits,
        thumbnails=thumbnails,
    )
    chosen = _executor(executor, jobs, plan)
    tasks = tasks_of(images, ROIs)
    return _observed(_results(tasks, plan, chosen, progress, fingerprints, journal))


def process(
    images: ImageSource | Image | Iterable[ImageSource | Image],
    filters: Iterable[Criterion],
    ROIs: Any = None,
    return_predictions: bool = False,
    combine_results: bool = True,
    sort_filters: bool = True,
    *,
    jobs: int = 1,
    image_roots: Iterable[str | os.PathLike[str]] | None = None,
    limits: Limits | None = None,
) -> dict[Any, Any] | bool:
    """Judge images and return all results at once.

    Parameters
    ----------
    images : image or iterable of images
        Each one a path, the bytes of an image file, an RGB array or an `Image`.
    filters : iterable of Filter
        Not changed.
    ROIs : ROI or iterable of (ROI or None), optional
        For one image its ROI ``(x, y, width, height)``; for several, as many as there are images.
    return_predictions : bool
        Return what the filters measured instead of what they decided.
    combine_results : bool
        Combine the decisions to one: ``True`` when no filter is positive. Stops at the first that
        is.
    sort_filters : bool
        Run cheap filters first.
    jobs : int
        As in `scan`.
    image_roots : iterable of (str or path), optional
        As in `scan`.
    limits : Limits, optional
        As in `scan`.

    Returns
    -------
    dict or bool
        By image, as it was given (what is not hashable, by its name), in the order given:
        ``True`` suitable or ``False``; with ``combine_results=False``, ``{filter name: bool}``;
        with ``return_predictions=True``, ``{filter name: number}``. Without filters, ``True``.

    Raises
    ------
    QualipyError
        What is wrong with the first bad image, or the failure of a filter on it: see `scan` and
        `Filter.predict`.
    """
    combine = combine_results and not return_predictions
    plan = Plan.make(
        filters, sort=sort_filters, stop_early=combine, image_roots=image_roots, limits=limits
    )
    tasks = list(tasks_of(images, ROIs))
    if not plan.steps:
        return True
    # Of a set, the first bad image ends the call before the others are measured, too.
    results = _observed(_results(tasks, plan, _executor(None, jobs, plan), Result.raise_error))
    collected: dict[Any, Any] = {}
    judged: dict[Any, Any] = {}
    for number, (task, result) in enumerate(zip(tasks, results, strict=True)):
        result.raise_error()
        key = _key(task, number, single=len(tasks) == 1)
        if judged.setdefault(key, result.ROI) != result.ROI:
            raise ROIValueError(
                f"{result.image} is given twice with different ROIs, and the result has one entry "
                "per image; use scan, which yields a result each.",
                image=result.image,
            )
        if return_predictions:
            collected[key] = dict(result.predictions)
        else:
            collected[key] = result.suitable if combine else dict(result.decisions)
    return collected


def _executor(executor: str | Executor | None, jobs: int, plan: Plan) -> Executor:
    if executor is None:
        if jobs < 0:
            raise ExecutorError(f"jobs must be 0 or more, not {jobs}.")
        jobs = jobs or available_cores()
        # A time limit that somebody has asked for needs a process that can be ended.
        timed = plan.limits.with_environment().time_limit not in (None, math.inf)
        return ThisThread() if jobs == 1 and not timed else Processes(jobs)
    if not isinstance(executor, str):
        return executor
    offered = plugins.executors()
    if executor not in offered:
        there_are = ", ".join(sorted(offered)) or "none are installed"
        raise ExecutorError(
            f"Unknown executor {executor!r}: {there_are}. `pip install qualipy-celery` brings "
            "'celery'; leave it out to use local processes."
        )
    return offered[executor](jobs)


def _results(
    tasks: Iterable[Task],
    plan: Plan,
    executor: Executor,
    progress: Callable[[Result], object] | None = None,
    fingerprints: str | os.PathLike[str] | Fingerprints | None = None,
    journal: str | os.PathLike[str] | None = None,
) -> Iterator[Result]:
    """The results of all tasks, in their order: as they come, or when their set is there."""

    def measured(tasks: Iterable[Task]) -> Iterator[Result]:
        return executor.run(tasks, plan)

    if plan.set_filters:
        from qualipy_core.sets import together

        return together(
            tasks, plan, measured, progress=progress, fingerprints=fingerprints, journal=journal
        )
    for given in (fingerprints, journal):
        if given is not None:
            name = given if isinstance(given, str | os.PathLike) else given.path
            raise StoreError(
                f"{os.fspath(name)} is for set filters, and there is none among the filters.",
                path=os.fspath(name),
            )
    results = measured(tasks)
    return results if progress is None else _watched(results, progress)


def _watched(results: Iterator[Result], progress: Callable[[Result], object]) -> Iterator[Result]:
    for result in results:
        progress(result)
        yield result


def _observed(results: Iterator[Result]) -> Iterator[Result]:
    for result in results:
        plugins.observe(result)
        yield result


def tasks_of(images: Any, ROIs: Any) -> Iterator[Task]:
    """Return the tasks of a call of `scan`, checked as they are taken; for executors of packs.

    Parameters
    ----------
    images, ROIs : as in `scan`

    Raises
    ------
    ImageTypeError, ROITypeError, ROIValueError
        As in `scan`.
    """
    if _is_one(images):
        return iter([Task(images, _only(ROIs))])
    if not isinstance(images, Iterable):
        raise ImageTypeError(
            "images must be a path, bytes, an array, an Image or an iterable of these, "
            f"not {type(images).__name__}."
        )
    if ROIs is None:
        return map(_task, images)
    if not isinstance(ROIs, Iterable) or isinstance(ROIs, str | bytes):
        raise ROITypeError(f"ROIs must be a list as long as images, not {ROIs!r}.")
    if isinstance(images, Sized) and isinstance(ROIs, Sized) and len(images) != len(ROIs):
        raise ROIValueError(
            f"There are {len(images)} images and {len(ROIs)} ROIs; give each image one, or None."
        )
    return _zipped(images, ROIs)


def _zipped(images: Iterable[Any], ROIs: Iterable[Any]) -> Iterator[Task]:
    try:
        for image, roi in zip(images, ROIs, strict=True):
            yield _task(image, roi)
    except ValueError as error:
        if "zip()" not in str(error):
            raise
        raise ROIValueError("There are not as many ROIs as images.") from None


def _task(image: Any, roi: Any = None) -> Task:
    if not _is_one(image):
        raise ImageTypeError(
            f"An image is a path, bytes, an array or an Image, not {type(image).__name__}."
        )
    if roi is not None:
        roi = ROI.parse(roi, Task(image).label)
    return Task(image, roi)


def _is_one(images: Any) -> bool:
    return isinstance(images, _KINDS)


def _only(ROIs: Any) -> Any:
    """The ROI of a single image, given as itself or in a list of one."""
    if isinstance(ROIs, list | tuple) and len(ROIs) == 1:
        ROIs = ROIs[0]
    return None if ROIs is None else ROI.parse(ROIs)


def _key(task: Task, number: int, *, single: bool) -> Any:
    if isinstance(task.source, str | os.PathLike):
        return task.source
    return task.label if single else f"{task.label} {number}"
