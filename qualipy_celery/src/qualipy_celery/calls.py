"""The calls of 2015: `celery_process`, `celery_process_request` and `get_job_status`."""

from __future__ import annotations

import functools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

from celery import states
from celery.backends.base import BaseKeyValueStoreBackend
from celery.exceptions import TaskRevokedError
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import AsyncResult, ResultSet, assert_will_not_block

from qualipy_celery.application import app
from qualipy_celery.submission import Submission
from qualipy_celery.tasks import answer
from qualipy_core.criterion import Criterion
from qualipy_core.errors import JobCancelledError, JobError, QualipyError
from qualipy_core.pipeline import tasks_of
from qualipy_core.plan import Plan
from qualipy_core.request import Request
from qualipy_core.result import Result
from qualipy_core.sets import Gathered

LARGEST_CHUNK = 16  # all is sent at once here, before anybody knows how long an image takes
CHUNKS = 64  # to share among workers of whom nobody knows how many there are

Answer = Callable[[Result], dict[str, Any]]


def celery_process(
    images: Any,
    filters: Iterable[Criterion],
    ROIs: Any = None,
    return_predictions: bool = False,
    combine_results: bool = False,
    sort_filters: bool = True,
) -> ImageResults:
    """Judge images on Celery workers.

    Parameters
    ----------
    images : path, URL or iterable of these
        As the workers find them; relative paths are meant from this process's folder.
    filters : iterable of Filter or SetFilter
        Not changed.
    ROIs : ROI or iterable of (ROI or None), optional
        As in `qualipy_core.process`.
    return_predictions : bool
        Return what the filters measured instead of what they decided.
    combine_results : bool
        Combine the decisions to one: ``True`` when no filter is positive. Unlike in `process`, not
        the default.
    sort_filters : bool
        Run cheap filters first.

    Returns
    -------
    ImageResults
        A `celery.result.ResultSet`: ``get()`` returns a dict per image, in the order given.

    Raises
    ------
    ExecutorError
        (RuntimeError) Redis cannot be reached.

    Examples
    --------
    >>> results = celery_process(paths, [Exposure(), Fisheye()], return_predictions=True)
    >>> results.get()
    [{'a.jpg': {'fisheye': 0.02, 'exposure': 0.1}}, ...]
    """
    combine = combine_results and not return_predictions
    plan = Plan.make(filters, sort=sort_filters, stop_early=combine)
    tasks = list(tasks_of(images, ROIs))
    chunk = min(LARGEST_CHUNK, max(1, len(tasks) // CHUNKS))
    job = Submission(iter(tasks), plan, chunk=chunk)
    return ImageResults(
        job,
        len(tasks),
        lambda result: answer(result, return_predictions, combine_results),
        Gathered(plan) if plan.set_filters else None,
    )


def celery_process_request(
    request: str | bytes | Mapping[str, Any], *, trusted: bool = False
) -> ImageResults:
    """Judge the images of a JSON request on Celery workers.

    Parameters
    ----------
    request : str, bytes or mapping
        As `qualipy_core.process_request` takes it.
    trusted : bool
        Let the request set parameters that name a file or program on a worker.

    Returns
    -------
    ImageResults
        As from `celery_process`.

    Raises
    ------
    RequestError
        (ValueError) The request is malformed; the message says where and what would be right.
    ExecutorError
        (RuntimeError) Redis cannot be reached.
    """
    job = Request.parse(request)
    return celery_process(
        list(job.images),
        job.make_filters(trusted=trusted),
        job.parse_rois(),
        job.return_predictions,
        job.combine_results,
        job.sort_filters,
    )


def get_job_status(results: ResultSet) -> float:
    """Return how much of a set of results is there, in per cent.

    Parameters
    ----------
    results : ResultSet
        From `celery_process`, or any other.

    Returns
    -------
    float
        0.0 … 100.0; images that ended in an error count as done.
    """
    if isinstance(results, ImageResults):
        return results.percent()
    members = list(results)
    return 100.0 * _ready_of(members) / len(members) if members else 100.0


def _ready_of(members: Sequence[Any]) -> int:
    """Count the results that are there, with one question to a store for all that it keeps."""
    alone, together = [], defaultdict(list)
    for each in members:
        kept = isinstance(each, AsyncResult) and not isinstance(each, ImageResult)
        if kept and isinstance(each.backend, BaseKeyValueStoreBackend):
            together[each.backend].append(each.id)
        else:
            alone.append(each)
    ready = sum(bool(each.ready()) for each in alone)
    for backend, ids in together.items():
        there = {name for name, _ in backend.get_many(set(ids), interval=0, max_iterations=1)}
        ready += sum(name in there for name in ids)
    return ready


class ImageResults(ResultSet):  # type: ignore[misc]
    """The results of `celery_process`: a result per image, in the order given.

    They mean what Celery's mean. They are kept in the job's ledger, which loses none when a worker
    or Redis dies, instead of one by one; asking is what drives the job, so ask now and then.

    Parameters
    ----------
    job : Submission
        What was sent.
    total : int
        How many images there are.
    form : callable
        Makes the answer of a `Result`, or raises its error.
    gathered : Gathered, optional
        With set filters: where results wait for the last one.
    """

    def __init__(
        self, job: Submission, total: int, form: Answer, gathered: Gathered | None = None
    ) -> None:
        self.job = job
        self._form = form
        self._gathered = gathered
        self._measured: list[int] = []  # the numbers of those that wait
        self._total = total
        self._outcomes: dict[int, Any] = {}
        self._revoked = False
        self._broken: JobError | None = None
        self._failed = 0
        self._lock = threading.RLock()
        super().__init__([], app=app)
        self.results = _Members(self, total)
        self._advance(0.0)  # sends everything, so that the caller may leave

    @property
    def id(self) -> str:
        """The job's name, by which ``qualipy jobs`` knows it."""
        return self.job.id

    @property
    def supports_native_join(self) -> bool:
        """Whether Celery would fetch these itself: no."""
        return False

    def percent(self) -> float:
        """How much is there, from 0.0 to 100.0, errors included."""
        self._advance(0.0)
        if self._revoked or not self._total:
            return 100.0
        return 100.0 * max(len(self._outcomes), len(self._measured)) / self._total

    def ready(self) -> bool:
        """Whether every image has an outcome."""
        self._advance(0.0)
        return self._complete()

    def waiting(self) -> bool:
        """Whether an image has no outcome yet."""
        return not self.ready()

    def successful(self) -> bool:
        """Whether every image has a result."""
        return self.ready() and not self.failed()

    def failed(self) -> bool:
        """Whether an image ended in an error."""
        self._advance(0.0)
        return self._revoked or self._failed > 0

    def completed_count(self) -> int:
        """How many images have a result; errors do not count, as with Celery."""
        self._advance(0.0)
        return len(self._outcomes) - self._failed

    def get(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        callback: Callable[[str, Any], Any] | None = None,
        no_ack: bool = True,
        on_message: Any = None,
        disable_sync_subtasks: bool = True,
        on_interval: Callable[[], Any] | None = None,
    ) -> list[Any]:
        """Wait for all results and return them, a dict per image in the order given.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.
        propagate : bool
            Raise the first error in the order of the images; otherwise it stands in the list.
        interval : float
            Seconds between two calls of `on_interval`.
        callback : callable, optional
            Called with each member's id and result instead.
        no_ack, on_message
            As in Celery, where they mean nothing for Redis.
        disable_sync_subtasks : bool
            Refuse to wait within a task.
        on_interval : callable, optional
            Called now and then while waiting.

        Raises
        ------
        celery.exceptions.TimeoutError
            It takes longer than `timeout`.
        QualipyError
            What is wrong with an image.
        """
        if disable_sync_subtasks:
            assert_will_not_block()
        self.wait_for(self._complete, timeout, interval, on_interval)
        values = []
        for member in self.results:
            value = member.get(propagate=propagate, disable_sync_subtasks=disable_sync_subtasks)
            if callback is not None:
                callback(member.id, value)
            else:
                values.append(value)
        return values

    join = get
    join_native = get

    def iterate(
        self, timeout: float | None = None, propagate: bool = True, interval: float = 0.5
    ) -> Iterator[Any]:
        """Yield the results in the order of completion."""
        for _, meta in self.iter_native(timeout, interval):
            if propagate and meta["status"] in states.PROPAGATE_STATES:
                raise meta["result"]
            yield meta["result"]

    def iter_native(
        self, timeout: float | None = None, interval: float = 0.5, *_: Any, **__: Any
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each member's id and what is known of it, in the order of completion."""
        given = 0
        while given < self._total:
            self.wait_for(functools.partial(self._has_more_than, given), timeout, interval)
            numbers = list(self._outcomes)[given:]
            if self._revoked:
                numbers += [n for n in range(self._total) if n not in self._outcomes]
            for number in numbers:
                yield self.results[number].id, self.meta(number)
            given += len(numbers)

    def maybe_throw(self, callback: Any = None, propagate: bool = True) -> None:
        """Raise the first error that is there."""
        self._advance(0.0)
        for number in sorted(self._outcomes):
            self.results[number].maybe_throw(callback=callback, propagate=propagate)

    maybe_reraise = maybe_throw

    def revoke(self, *_: Any, **__: Any) -> None:
        """Give up what is not done: workers stop within a second."""
        with self._lock:
            if not self._complete():
                self.job.cancel()
                self._give_up()

    def forget(self) -> None:
        """Remove the record of the job."""
        self.job.forget()

    def __repr__(self) -> str:
        return f"<ImageResults: {self.id}, {len(self._outcomes)} of {self._total}>"

    def meta(self, number: int) -> dict[str, Any]:
        """Return what Celery keeps of a task: its state and result."""
        known = {"task_id": self.results[number].id, "traceback": None, "children": []}
        if number in self._outcomes:
            value = self._outcomes[number]
            failed = isinstance(value, BaseException)
            return known | {
                "status": states.FAILURE if failed else states.SUCCESS,
                "result": value,
            }
        if self._revoked:
            return known | {"status": states.REVOKED, "result": TaskRevokedError("revoked")}
        return known | {"status": states.PENDING, "result": None}

    def wait_for(
        self,
        done: Callable[[], bool],
        timeout: float | None,
        interval: float = 0.5,
        on_interval: Callable[[], Any] | None = None,
    ) -> None:
        """Wait until something holds.

        Raises
        ------
        celery.exceptions.TimeoutError
            It takes longer than `timeout` seconds.
        """
        until = None if timeout is None else time.monotonic() + timeout
        self._advance(0.0)
        while not done():
            left = interval if until is None else min(interval, until - time.monotonic())
            if left <= 0:
                raise CeleryTimeoutError("The operation timed out.")
            self._advance(left)
            if on_interval is not None:
                on_interval()

    def _has_more_than(self, count: int) -> bool:
        return len(self._outcomes) > count or self._complete()

    def _complete(self) -> bool:
        return self._revoked or len(self._outcomes) >= self._total

    def _advance(self, wait: float) -> None:
        """Take in what has come."""
        with self._lock:
            if self._broken is not None:
                raise self._broken
            if self.job.over:
                return
            try:
                came = self.job.advance(wait)
            except JobCancelledError:
                self._give_up()
                return
            except JobError as error:  # nothing more will come, whoever asks
                self._broken = error
                raise
            for number, result in came if self._gathered is None else self._compared(came):
                self._outcomes[number] = self._formed(result)
                self.job.taken(number)
                self.results.fulfil(number)
            if len(self._outcomes) == self._total:
                self._end()

    def _compared(self, came: list[tuple[int, Result]]) -> Iterator[tuple[int, Result]]:
        """Keep what has come, and yield everything when all is there."""
        gathered = self._gathered
        assert gathered is not None  # noqa: S101 (who asks has looked)
        for number, result in came:
            gathered.add(result)
            self._measured.append(number)
        if came and len(self._measured) == self._total:
            yield from zip(self._measured, list(gathered.compared()), strict=True)
            gathered.close()

    def _give_up(self) -> None:
        if not self._revoked:
            self._revoked = True
            for number in range(self._total):
                self.results.fulfil(number)
            self.on_ready()

    def _end(self) -> None:
        while not self.job.over:
            self.job.advance(0.0)
        self.on_ready()

    def _formed(self, result: Result) -> Any:
        try:
            return self._form(result)
        except QualipyError as error:
            self._failed += 1
            return error


class ImageResult(AsyncResult):  # type: ignore[misc]
    """The result of one image of a set, as Celery's results are."""

    def __init__(self, owner: ImageResults, number: int) -> None:
        super().__init__(f"{owner.id}:{number}", app=app)
        self._owner = owner
        self._number = number

    def get(self, timeout: float | None = None, propagate: bool = True, **options: Any) -> Any:
        """Wait for the result and return it, or raise the image's error."""
        if options.get("disable_sync_subtasks", True):
            assert_will_not_block()
        interval, told = options.get("interval", 0.5), options.get("on_interval")
        self._owner.wait_for(self._is_there, timeout, interval, told)
        meta = self._get_task_meta()
        if propagate and meta["status"] in states.PROPAGATE_STATES:
            raise meta["result"]
        return meta["result"]

    wait = get

    def then(self, callback: Any, on_error: Any = None, weak: bool = False) -> Any:
        """Call back with this result once it is there, while somebody asks for any of the set."""
        promise = self.on_ready.then(callback, on_error)
        if self._is_there():
            self.fulfil()
        return promise

    def fulfil(self) -> None:
        """Keep what was promised."""
        if not self.on_ready.ready:
            self.on_ready(self)

    def revoke(self, *_: Any, **__: Any) -> None:
        """Not for one image: a chunk of them is one task.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError("Images are sent in chunks: revoke the whole set.")

    def forget(self) -> None:
        """Forget nothing: the record is the set's."""

    def _is_there(self) -> bool:
        return self._owner.meta(self._number)["status"] in states.READY_STATES

    def _get_task_meta(self) -> dict[str, Any]:
        self._owner.wait_for(lambda: True, None)
        return self._owner.meta(self._number)


class _Members(Sequence[ImageResult]):
    """The results of a set, each made when it is asked for."""

    def __init__(self, owner: ImageResults, total: int) -> None:
        self._owner = owner
        self._total = total
        self._made: dict[int, ImageResult] = {}

    def __len__(self) -> int:
        return self._total

    @overload
    def __getitem__(self, index: int) -> ImageResult: ...
    @overload
    def __getitem__(self, index: slice) -> list[ImageResult]: ...
    def __getitem__(self, index: int | slice) -> ImageResult | list[ImageResult]:
        if isinstance(index, slice):
            return [self[number] for number in range(self._total)[index]]
        number = range(self._total)[index]
        if number not in self._made:
            self._made[number] = ImageResult(self._owner, number)
        return self._made[number]

    def fulfil(self, number: int) -> None:
        """Tell those who wait for one result."""
        if number in self._made:
            self._made[number].fulfil()
