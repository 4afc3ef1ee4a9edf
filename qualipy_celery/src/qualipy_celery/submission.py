"""Jobs for ten to ten million photos: sent in chunks, recorded once, resumable.

The client owns the list of images. It keeps a bounded number of chunks under way, takes outcomes
from the ledger as they come, and sends a chunk again that nobody works on any more: messages and
workers may get lost, an image may not.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from qualipy_celery.client import Client
from qualipy_core.errors import JobError
from qualipy_core.pipeline import tasks_of
from qualipy_core.plan import Plan
from qualipy_core.result import Result
from qualipy_core.sets import Gathered

if TYPE_CHECKING:
    from qualipy_core.criterion import Criterion


def submit(
    images: Any,
    filters: Iterable[Criterion | str],
    ROIs: Any = None,
    *,
    name: str | None = None,
    resume: bool = False,
    stop_early: bool = False,
    sort_filters: bool = True,
) -> Submission:
    """Begin a job; iterating over it sends the images and yields results as workers have them.

    Parameters
    ----------
    images : path, URL or iterable of these
        As the workers find them: relative paths are meant from this process's folder. Taken as
        results are taken, so a generator may be endless, unless there are set filters.
    filters : iterable of Filter, SetFilter or str
        Filters or names of installed ones.
    ROIs : ROI or iterable of (ROI or None), optional
        As in `qualipy_core.scan`.
    name : str, optional
        What to call the job: letters, digits, ``.``, ``_`` and ``-``; made up by default.
    resume : bool
        Go on with the job of that name if there is one: the images must be the same in the same
        order, and those that have an outcome are left out. What was recorded and not yet taken is
        yielded.
    stop_early : bool
        Leave out an image's remaining filters once one is positive.
    sort_filters : bool
        Run cheap filters first.

    Returns
    -------
    Submission
        The job, fed by this process.

    Raises
    ------
    JobError
        (RuntimeError) There is such a job already, or the one to resume is about something else.
    ExecutorError
        (RuntimeError) Redis cannot be reached.

    Examples
    --------
    >>> for result in submit(paths, ["exposure", "hdr"], name="holiday"):
    ...     print(result.image, result.flagged)
    """
    plan = Plan.make(filters, sort=sort_filters, stop_early=stop_early)
    return Submission(tasks_of(images, ROIs), plan, name=name, resume=resume)


class Submission(Client):
    """A job that this process feeds with images, and whose results it yields.

    Parameters
    ----------
    tasks : iterator of Task
        The images.
    plan : Plan
        What to judge them by.
    name, resume : str or None, bool
        As in `submit`.
    chunk : int, optional
        Send everything at once in chunks of so many images.
    """

    def __iter__(self) -> Iterator[Result]:
        """Yield a result per image in the order of completion, errors among them.

        With set filters, they come when all images are measured, and wait in Redis until the last
        one has been taken: a job that is resumed yields them all again.

        Raises
        ------
        JobCancelledError
            Somebody cancelled or stopped it meanwhile.
        JobError
            A job that is resumed was begun by a client that has taken results one by one.
        ExecutorError
            (RuntimeError) Redis was away for longer than ``QUALIPY_PATIENCE``.
        """
        if self._plan.set_filters:
            yield from self._compared()
            return
        for number, result in self.outcomes():
            yield result
            self.taken(number)

    def _compared(self) -> Iterator[Result]:
        numbers = array("Q")
        with closing(Gathered(self._plan)) as gathered:
            came: list[tuple[int, Result]] | None = None
            while not self.over and (came != [] or self.waits_for_more):
                came = self.advance()
                for number, result in came:
                    gathered.add(result)
                    numbers.append(number)
            if len(numbers) < self._next:
                raise JobError(
                    f"Of the images of the job {self.id!r}, {self._next - len(numbers):,} were "
                    "handed out before, and the others cannot be compared with them: begin a new "
                    "job.",
                    job=self.id,
                )
            yield from gathered.compared()
        for number in numbers:
            self.taken(number)
        while not self.over:
            self.advance(0.0)
