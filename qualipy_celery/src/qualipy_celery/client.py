"""The client of a job: it sends chunks, takes in outcomes, and sends again what got lost.

::

    images ─ _gather ─► chunks ─ _send ─► queue
                           ▲                      workers
    outcomes ◄─ _read ─ ledger ◄──────────────────┘
                  _watch: what is silent for too long is sent again; what Redis lost is put back
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import time
from collections.abc import Iterator
from itertools import count, zip_longest
from typing import Any

from qualipy_celery import settings
from qualipy_celery.inbox import Inbox
from qualipy_celery.jobs import AT_ONCE, Job
from qualipy_celery.ledger import Outcome
from qualipy_celery.manifest import Manifest
from qualipy_celery.messages import Chunk, Described, Piece, described, piece
from qualipy_celery.pace import FEWEST_CHUNKS, Pace
from qualipy_celery.posting import post, queue_name, queued
from qualipy_celery.underway import Known, Sent, UnderWay
from qualipy_core.errors import ImageTypeError, JobCancelledError, JobError, QualipyError
from qualipy_core.plan import Plan, Task
from qualipy_core.result import Result

GATHER_SECONDS = 0.5  # a slow source of images does not hold back those that it has given
MOST_SENDS = 10  # of a chunk that no worker begins, though there are workers and no queue
CLIENT_BEAT = 5.0
READ_EVERY = 0.1  # seconds: what many workers record meanwhile is read together
KEEP_EVERY = 0.5  # seconds between two digests of what has been sent
LONELY = 10.0

_log = logging.getLogger("qualipy_celery.submission")  # the name that operators know


class Client(Job):
    """A job that this process feeds with images.

    Parameters
    ----------
    tasks : iterator of Task
        The images.
    plan : Plan
        What to judge them by.
    name, resume : str or None, bool
        As in `qualipy_celery.submit`.
    chunk : int, optional
        Send everything at once in chunks of so many images.
    """

    def __init__(
        self,
        tasks: Iterator[Task],
        plan: Plan,
        *,
        name: str | None = None,
        resume: bool = False,
        chunk: int | None = None,
    ) -> None:
        super().__init__(name or secrets.token_hex(4))
        self.filters: Described = described(plan)
        self._plan = plan
        self._stop_early = plan.stop_early
        self._roots = plan.roots.groups
        self._thumbnails = plan.thumbnails
        self._base = os.getcwd()
        self._about: dict[str, Any] = {
            "filters": as_sent(plan),
            "stop_early": plan.stop_early,
            "base": self._base,
        }
        self._client = secrets.token_hex(8)
        self._done_before = Known()
        self._counts = {"done": 0, "failed": 0, "flagged": 0}
        self._over = False
        known = self._open(resume and name is not None)
        self._manifest = Manifest(known)
        self._tasks: Iterator[tuple[int, Task]] = zip(
            count(), self._manifest.checked(tasks), strict=False
        )
        self._error: BaseException | None = None  # of the source of images
        self._under_way = UnderWay()
        self._pace = Pace(chunk)
        self._next = 0
        self._exhausted = False
        self._inbox = Inbox(self._ledger)
        self._came: list[tuple[int, Result]] = []  # outcomes that nobody has been given yet
        self._pieces: list[Piece] = []  # images for the next chunk
        self._recorded_here: dict[int, Outcome] = {}  # until they come back
        self._look_at = self._note_at = self._looked = time.monotonic()
        self._keep_at = self._read_at = 0.0
        self._began = time.monotonic()
        self._told_lonely = False

    @property
    def waits_for_more(self) -> bool:
        """Whether there are images without an outcome, whoever has taken that of the others."""
        return not self._exhausted or bool(self._under_way.where or self._came)

    def outcomes(self) -> Iterator[tuple[int, Result]]:
        """Yield each image's number and result in the order of completion.

        Of set filters there are fingerprints, to be compared by whoever takes the results.

        What is yielded counts as delivered once it is `taken`; a client that dies before gets it
        again when it resumes the job.
        """
        while not self.over:
            yield from self.advance()

    @property
    def over(self) -> bool:
        """Whether every image has an outcome that was taken from here."""
        return self._over

    def taken(self, number: int) -> None:
        """Note that an image's result has arrived where it was wanted."""
        self._inbox.taken(number)

    def advance(self, wait: float | None = None) -> list[tuple[int, Result]]:
        """Send what there is room for, and return the outcomes that have come.

        Parameters
        ----------
        wait : float, optional
            Seconds to wait for one; by default what suits.

        Raises
        ------
        JobCancelledError, ExecutorError
            As in iterating.
        """
        if self._over:
            return []
        self._send_more()
        seconds = 0.0 if self._came else self._wait() if wait is None else wait
        if seconds and len(self._under_way) >= FEWEST_CHUNKS:
            time.sleep(max(0.0, min(seconds, self._read_at - time.monotonic())))
        self._read_at = time.monotonic() + READ_EVERY
        self._read(seconds)
        self._watch()
        came, self._came = self._came, []
        if not (came or self._under_way.where or self._inbox) and self._exhausted:
            self._finish()
        return came

    def _wait(self) -> float:
        idle = not self._exhausted and len(self._under_way) < self._pace.most()
        return 0.0 if idle or not self._under_way.where else min(0.5, settings.lease() / 5)

    def _finish(self) -> None:
        self._over = True
        if self._error is not None:
            self._ledger.change("stopped")
            raise self._error
        if not self._ledger.change("done"):  # Redis has lost everything just now
            self._restore()
            self._ledger.change("done")

    def _open(self, resume: bool) -> dict[str, str]:
        """Begin the record, or take up the one that there is; return its manifest."""
        if self._ledger.open(self._about, self._client, seconds=AT_ONCE):
            return {}
        self._take_up(resume)
        return self._ledger.manifest()

    def _take_up(self, resume: bool) -> None:
        status = self.status()
        if not resume:
            raise JobError(
                f"There is a job {self.id!r} already ({status.state}): resume it, or choose "
                "another name.",
                job=self.id,
            )
        for key in ("filters", "stop_early"):
            if status.about.get(key) != self._about[key]:
                raise JobError(
                    f"The job {self.id!r} was begun with other {key}: begin a new one.", job=self.id
                )
        if status.state == "cancelled":
            raise JobCancelledError(f"The job {self.id!r} was cancelled.", job=self.id)
        if status.state == "done":
            self._over = True
            return
        self._base = status.about.get("base", self._base)
        # First we become its client, then we look: another one may still be taking outcomes.
        self._ledger.note(client=self._client)
        self._done_before = Known(bytearray(self._ledger.done()))
        status = self.status()
        self._counts = {"done": status.done, "failed": status.failed, "flagged": status.flagged}
        if status.state == "stopped":
            self._ledger.resume()

    # Sending

    def _send_more(self) -> None:
        pace, under_way = self._pace, self._under_way
        while not self._exhausted and (not pace.is_bounded or len(under_way) < pace.most()):
            if pace.is_bounded and self._next - under_way.oldest(self._next) > pace.reach():
                return
            pieces = self._gather(pace.size())
            if pieces:
                self._send(pieces)
            if pace.is_bounded and self._look_at < time.monotonic():
                return  # a source without end that needs no workers leaves time for the rest
        if self._pieces:  # gathered when something came in between
            pieces, self._pieces = self._pieces, []
            self._send(pieces)

    def _gather(self, size: int) -> list[Piece]:
        until = time.monotonic() + GATHER_SECONDS
        while len(self._pieces) < size and (not self._pace.is_bounded or time.monotonic() < until):
            try:
                number, task = next(self._tasks)
            except StopIteration:
                self._end()
                break
            except BaseException as error:
                self._error = error
                self._end()
                if not isinstance(error, Exception):
                    raise
                break
            self._next = number + 1
            self._manifest.add(task)
            # A worker may have recorded it for the client before us, and we have its outcome.
            if number in self._done_before or number in self._inbox.received:
                continue
            try:
                self._pieces.append(piece(number, task))
            except ImageTypeError as error:
                self._record_here(number, task.label, error)
        pieces, self._pieces = self._pieces, []
        return pieces

    def _end(self) -> None:
        self._exhausted = True
        self._ledger.keep_manifest(self._manifest.fields())
        if self._error is None:
            self._ledger.note(total=self._next)

    def _send(self, pieces: list[Piece]) -> None:
        chunk = Chunk(
            self.id,
            tuple(pieces),
            self.filters,
            self._stop_early,
            self._base,
            self._roots,
            self._thumbnails,
        )
        self._under_way.add(chunk)
        if time.monotonic() > self._keep_at:
            self._keep_at = time.monotonic() + KEEP_EVERY
            self._ledger.keep_manifest(self._manifest.fields())
        self._post(chunk)

    def _post(self, chunk: Chunk) -> None:
        post(chunk)

    def _record_here(self, number: int, label: str, error: QualipyError) -> None:
        """Record an outcome that needs no worker; it comes back as all others do."""
        outcome = Outcome(number, True, False, json.dumps(Result(label, error=error).to_dict()))
        self._under_way.add_unsent(number, Chunk(self.id, (Piece(number, label),), ()))
        self._recorded_here[number] = outcome
        self._ledger.record("client", self._client, [outcome], ended=True)

    # Receiving

    def _read(self, wait: float) -> None:
        """Take in what was recorded."""
        for worker, fresh in self._inbox.read(wait):
            if worker != self._client:
                self._pace.heard(worker, time.monotonic())
            self._came.extend(self._results_of(fresh))

    def _results_of(self, fresh: list[tuple[int, dict[str, Any]]]) -> Iterator[tuple[int, Result]]:
        for number, plain in fresh:
            sent = self._under_way.leave(number)
            if sent is not None and not plain.get("image"):  # the worker could not read the message
                plain["image"] = next(p.image for p in sent.chunk.tasks if p.number == number)
            try:
                result = Result.from_dict(plain)
            except QualipyError as error:  # of a worker whose release makes results otherwise
                result = Result(str(plain.get("image")), error=error)
            self._note_result(number, result)
            yield number, result

    def _note_result(self, number: int, result: Result) -> None:
        self._recorded_here.pop(number, None)
        if number not in self._done_before:
            self._counts["done"] += 1
            self._counts["failed"] += result.failed
            self._counts["flagged"] += bool(result.flagged)
        self._pace.took(result.seconds)

    # Watching

    def _watch(self) -> None:
        now = time.monotonic()
        if now < self._look_at:
            return
        lease = settings.lease()
        pause = min(1.0, lease / 5)
        state, client, beats = self._ledger.look()
        self._act_on(state, client)
        now = time.monotonic()
        self._look_at = now + pause
        if now - self._looked > lease / 2:
            # Redis was away, or we were: nothing could be heard meanwhile.
            self._under_way.excuse(now)
        self._looked = now
        self._hear(beats, now)
        self._send_lost_again(now, lease)
        if now >= self._note_at:
            self._note_at = now + CLIENT_BEAT
            self._ledger.note(client=self._client)
        self._tell_if_lonely(now)

    def _act_on(self, state: str, client: str) -> None:
        if state == "":
            self._restore()
        elif state in ("cancelled", "stopped", "done"):
            self._over = True
            raise JobCancelledError(
                f"The job {self.id!r} was {state} by somebody else"
                + (f"; `qualipy jobs resume {self.id}` goes on." if state == "stopped" else "."),
                job=self.id,
            )
        elif client != self._client:
            self._over = True
            raise JobError(f"The job {self.id!r} was resumed by another client.", job=self.id)

    def _restore(self) -> None:
        """Put back what Redis has lost, as far as it is known here."""
        self._inbox.read_again()
        self._ledger.restore(
            bytes(a | b for a, b in _longest(self._inbox.received.bits, self._done_before.bits)),
            state="running",
            client=self._client,
            total=self._next if self._exhausted else "",
            created=repr(time.time()),
            about=json.dumps(self._about),
            **self._counts,
        )
        self._ledger.keep_manifest(self._manifest.everything())
        if self._recorded_here:
            again = list(self._recorded_here.values())
            self._ledger.record("client", self._client, again, ended=True)

    def _hear(self, beats: dict[str, str], now: float) -> None:
        for worker in self._under_way.hear(beats, now):
            self._pace.heard(worker, now)
        self._pace.forget_silent(now)

    def _send_lost_again(self, now: float, lease: float) -> None:
        for sent in self._under_way.lost(now, lease, queued):
            if not self._still_waited_for(sent):
                continue
            if sent.vain >= MOST_SENDS and self._pace.workers:
                self._give_up(sent)
                continue
            self._under_way.again(sent, now)
            _log.info("Sending chunk %s of job %s again.", sent.chunk.id, self.id)
            self._post(sent.chunk)

    def _still_waited_for(self, sent: Sent) -> bool:
        """Drop images that have an outcome which is not in the stream: another client took it."""
        recorded = self._ledger.recorded(sorted(sent.waiting))
        if recorded:
            self._read(0.0)
        for number in recorded & sent.waiting:
            if number not in self._inbox:
                self._done_before.add(number)
                self._under_way.leave(number)
        return bool(sent.waiting)

    def _give_up(self, sent: Sent) -> None:
        error = JobError(
            f"Sent {sent.vain} times, and no worker began it: does another program take messages "
            f"from the queue {queue_name()!r}?",
            job=self.id,
        )
        for each in sent.chunk.tasks:
            if each.number in sent.waiting:
                self._record_here(each.number, each.image, error)

    def _tell_if_lonely(self, now: float) -> None:
        alone = bool(self._under_way) and not self._pace.workers
        if alone and not self._told_lonely and now - self._began > LONELY:
            self._told_lonely = True
            _log.warning(
                "No worker has begun job %s yet. `celery -A qualipy_celery worker` starts one.",
                self.id,
            )


def as_sent(plan: Plan) -> list[Any]:
    """Return a plan's filters as JSON types."""
    filters: list[Any] = json.loads(json.dumps(described(plan)))
    return filters


def _longest(first: bytearray, second: bytearray) -> Iterator[tuple[int, int]]:
    return zip_longest(first, second, fillvalue=0)
