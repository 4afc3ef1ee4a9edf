"""The Celery tasks: one photo for whoever calls Celery, a chunk of them for jobs."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from celery.backends.redis import RedisBackend
from kombu.utils.json import register_type

from qualipy_celery import worker
from qualipy_celery.application import app
from qualipy_celery.ledger import KEEP_DONE, connection
from qualipy_celery.messages import plan_of_call
from qualipy_core import roi
from qualipy_core.criterion import Criterion
from qualipy_core.errors import ImageTypeError, WorkerDiedError
from qualipy_core.result import Result

# A filter among a task's arguments becomes its name and parameters; so nothing that the other
# side lacks is needed to read the message.
register_type(Criterion, None, Criterion.to_dict)
register_type(PurePath, None, os.fspath)


def answer(result: Result, return_predictions: bool, combine_results: bool) -> dict[str, Any]:
    """Return a result in the form that these calls have had since 2015.

    Raises
    ------
    QualipyError
        The image's error, or the failure of a filter.
    """
    result.raise_error()
    if return_predictions:
        return {result.image: dict(result.predictions)}
    return {result.image: result.suitable if combine_results else dict(result.decisions)}


@app.task(name="tasks.process_image", bind=True)  # type: ignore[untyped-decorator]
def process_image(
    self: Any,
    image: str | os.PathLike[str],
    filters: Sequence[Criterion | dict[str, Any] | str],
    ROI: Any = None,
    return_predictions: bool = False,
    combine_results: bool = False,
    sort_filters: bool = True,
) -> dict[str, Any]:
    """Judge one image: ``process_image.delay("a.jpg", [Framed(), Highlights()])``.

    The name of the task is the one of 2015: settings files and other programs know it.

    Parameters
    ----------
    image : str or path
        As the worker finds it: a path relative to the worker's folder, an absolute one, or a URL.
    filters : sequence of Filter, dict or str
        Filters, what `Filter.to_dict` makes of them, or names; no set filters, which judge a photo
        among others.
    ROI : sequence of four int, optional
        ``(x, y, width, height)``: judge this region alone.
    return_predictions, combine_results, sort_filters : bool
        As in `celery_process`.

    Returns
    -------
    dict
        By image: ``{filter: number}`` with `return_predictions`; ``True`` or ``False`` with
        `combine_results`; else ``{filter: bool}``.

    Raises
    ------
    QualipyError
        What is wrong with the image, a filter or the call.
    """
    if not isinstance(image, str | os.PathLike):
        raise ImageTypeError(f"An image must be a path or URL here, not {type(image).__name__}.")
    path = os.fspath(image)
    region = None if ROI is None else roi.ROI.parse(ROI, path)
    if (self.request.delivery_info or {}).get("redelivered"):
        _check_vanished(self.request.id, path)
    combine = combine_results and not return_predictions
    where = self.request.hostname or "here"
    plain = [each.to_dict() if isinstance(each, Criterion) else each for each in filters]
    make = functools.partial(plan_of_call, plain, sort_filters, combine, where)
    return answer(worker.judge(path, region, make), return_predictions, combine_results)


def _check_vanished(task: str, image: str) -> None:
    """End what workers vanish over again and again; without Redis nobody counts.

    Raises
    ------
    WorkerDiedError
        (RuntimeError) It was so often enough.
    """
    if not isinstance(app.backend, RedisBackend):
        return
    key = f"qualipy:vanished:{task}"
    times = app.backend.client.incr(key)
    app.backend.client.expire(key, KEEP_DONE)
    if times > worker.CAREFUL_TRIES:
        raise WorkerDiedError(
            f"{image} was being judged each of {times} times that a worker vanished.", image=image
        )


@app.task(name="qualipy.process_chunk", bind=True, ignore_result=True)  # type: ignore[untyped-decorator]
def process_chunk(self: Any, message: Any) -> None:
    """Judge the images of a job's chunk; their outcomes go to the ledger."""
    where = f"{self.request.hostname or 'here'}:{os.getpid()}"
    worker.run_chunk(message, connection(app), where)
