"""Jobs for ten to ten million photos: sent in chunks, recorded once, resumable.

The client owns the list of images. It keeps a bounded number of chunks under way, takes outcomes
from the ledger as they come, and sends a chunk again that nobody works on any more: messages and
workers may get lost, an image may not.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import time
from array import array
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count, zip_longest
from typing import TYPE_CHECKING, Any

from qualipy_celery import settings
from qualipy_celery.application import app
from qualipy_celery.jobs import AT_ONCE, Job
from qualipy_celery.ledger import Outcome
from qualipy_celery.manifest import Manifest
from qualipy_celery.messages import Chunk, Described, Piece, described, piece
from qualipy_celery.patience import patiently
from qualipy_celery.tasks import process_chunk
from qualipy_core.errors import ImageTypeError, JobCancelledError, JobError, QualipyError
from qualipy_core.pipeline import tasks_of
from qualipy_core.plan import Plan, Task
from qualipy_core.result import Result
from qualipy_core.sets import Gathered

if TYPE_CHECKING:
    from qualipy_core.criterion import Criterion

CHUNK_SECONDS = 0.5  # of work in a chunk: the queue costs little, and the last ones end together
MOST_CHUNKS = 150  # to send in a second: those of many workers are larger
FIRST_CHUNK = 4  # images, while nobody knows how long one takes
LARGEST_CHUNK = 256
GATHER_SECONDS = 0.5  # a slow source of images does not hold back those that it has given
CHUNKS_PER_WORKER = 3  # one being judged, one waiting for the worker, one on the way
FEWEST_CHUNKS = 8
REACH = 50_000  # images between the oldest without outcome and the next to send
MOST_SENDS = 10  # of a chunk that no worker begins, though there are workers and no queue
LONG_QUEUE = 900.0  # seconds after which a message is thought lost though others wait
CLIENT_BEAT = 5.0
READ_EVERY = 0.1  # seconds: what many workers record meanwhile is read together
KEEP_EVERY = 0.5  # seconds between two digests of what has been sent
WORKER_REMEMBERED = 60.0
LONELY = 10.0

_log = logging.getLogger(__name__)


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
        results are taken, so a generator may be endless.
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


@dataclass
class _Sent:
    """A chunk that is under way."""

    chunk: Chunk
    waiting: set[int]  #: its images that have no outcome yet
    order: int  #: of its last sending
    life: float  #: when something was last heard of it
    begun: bool = False
    beat: str = ""
    vain: int = 0  #: how often it was sent and vanished
    first: int = -1  #: of its first sending

    def __post_init__(self) -> None:
        self.first = self.order


@dataclass
class _Known:
    """The images whose outcome this client has, a bit each, as Redis orders them."""

    bits: bytearray = field(default_factory=bytearray)

    def __contains__(self, number: int) -> bool:
        place = number >> 3
        return place < len(self.bits) and bool(self.bits[place] & (0x80 >> (number & 7)))

    def add(self, number: int) -> None:
        place = number >> 3
        if place >= len(self.bits):
            self.bits.extend(bytes(place + 1 - len(self.bits)))
        self.bits[place] |= 0x80 >> (number & 7)

    def __len__(self) -> int:
        return int.from_bytes(self.bits, "big").bit_count()


class Submission(Job):
    """A job that this process feeds with images.

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
        self._chunk = chunk
        self._about: dict[str, Any] = {
            "filters": as_sent(plan),
            "stop_early": plan.stop_early,
            "base": self._base,
        }
        self._client = secrets.token_hex(8)
        self._done_before = _Known()
        self._counts = {"done": 0, "failed": 0, "flagged": 0}
        self._over = False
        known = self._open(resume and name is not None)
        self._manifest = Manifest(known)
        self._tasks: Iterator[tuple[int, Task]] = zip(
            count(), self._manifest.checked(tasks), strict=False
        )
        self._error: BaseException | None = None  # of the source of images
        self._received = _Known()
        self._sent: dict[str, _Sent] = {}
        self._where: dict[int, _Sent] = {}  # by number, in the order of sending
        self._orders = count()
        self._next = 0
        self._exhausted = False
        self._seconds: float | None = None  # that an image takes, lately
        self._workers: dict[str, float] = {}
        self._after = "0"
        self._came: list[tuple[int, Result]] = []  # outcomes that nobody has been given yet
        self._pieces: list[Piece] = []  # images for the next chunk
        self._recorded_here: dict[int, Outcome] = {}  # until they come back
        self._untaken: dict[int, str] = {}  # the stream's entry by number
        self._left: dict[str, int] = {}  # by entry, how many of its outcomes are not taken yet
        self._look_at = self._note_at = self._looked = time.monotonic()
        self._keep_at = self._read_at = 0.0
        self._began = time.monotonic()
        self._told_lonely = False

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
            while not self.over and (came != [] or self._waits_for_more):
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

    @property
    def _waits_for_more(self) -> bool:
        """Whether there are images without an outcome, whoever has taken that of the others."""
        return not self._exhausted or bool(self._where or self._came)

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
        entry = self._untaken.pop(number, None)
        if entry is not None:
            self._left[entry] -= 1
            if not self._left[entry]:
                del self._left[entry]
                self._ledger.forget([entry])

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
        if seconds and len(self._sent) >= FEWEST_CHUNKS:
            time.sleep(max(0.0, min(seconds, self._read_at - time.monotonic())))
        self._read_at = time.monotonic() + READ_EVERY
        self._read(seconds)
        self._watch()
        came, self._came = self._came, []
        if not (came or self._where or self._untaken) and self._exhausted:
            self._finish()
        return came

    def _wait(self) -> float:
        idle = not self._exhausted and len(self._sent) < self._most()
        return 0.0 if idle or not self._where else min(0.5, settings.lease() / 5)

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
        self._done_before = _Known(bytearray(self._ledger.done()))
        status = self.status()
        self._counts = {"done": status.done, "failed": status.failed, "flagged": status.flagged}
        if status.state == "stopped":
            self._ledger.resume()

    # Sending

    def _most(self) -> int:
        """How many chunks to have under way."""
        return max(FEWEST_CHUNKS, CHUNKS_PER_WORKER * len(self._workers))

    def _size(self) -> int:
        """How many images make a chunk."""
        if self._chunk is not None:
            return self._chunk
        if self._seconds is None:
            return FIRST_CHUNK
        seconds = max(CHUNK_SECONDS, len(self._workers) / MOST_CHUNKS)
        return max(1, min(LARGEST_CHUNK, int(seconds / max(self._seconds, 1e-6))))

    def _send_more(self) -> None:
        while not self._exhausted and (self._chunk is not None or len(self._sent) < self._most()):
            oldest = next(iter(self._where), self._next)
            if self._chunk is None and self._next - oldest > self._reach():
                return
            pieces = self._gather(self._size())
            if pieces:
                self._send(pieces)
            if self._chunk is None and self._look_at < time.monotonic():
                return  # a source without end that needs no workers leaves time for the rest
        if self._pieces:  # gathered when something came in between
            pieces, self._pieces = self._pieces, []
            self._send(pieces)

    def _reach(self) -> int:
        """How far to go on while an image is waited for: what bounds results held in order.

        Many workers must not come to a halt for the lease of one that is lost.
        """
        return max(REACH, 2 * self._most() * self._size())

    def _gather(self, size: int) -> list[Piece]:
        until = time.monotonic() + GATHER_SECONDS
        while len(self._pieces) < size and (self._chunk is not None or time.monotonic() < until):
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
            if number in self._done_before or number in self._received:
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
        sent = _Sent(chunk, {each.number for each in pieces}, next(self._orders), time.monotonic())
        self._sent[chunk.id] = sent
        for each in pieces:
            self._where[each.number] = sent
        if time.monotonic() > self._keep_at:
            self._keep_at = time.monotonic() + KEEP_EVERY
            self._ledger.keep_manifest(self._manifest.fields())
        self._post(chunk)

    def _post(self, chunk: Chunk) -> None:
        message = chunk.to_dict()
        # What monitors show of the arguments; without it Celery would look through them all.
        shown = {"argsrepr": f"<chunk {chunk.id} of job {self.id}>", "kwargsrepr": "{}"}
        patiently(lambda: process_chunk.apply_async((message,), compression="zlib", **shown))

    def _record_here(self, number: int, label: str, error: QualipyError) -> None:
        """Record an outcome that needs no worker; it comes back as all others do."""
        outcome = Outcome(number, True, False, json.dumps(Result(label, error=error).to_dict()))
        if number not in self._where:  # never sent, but waited for
            chunk = Chunk(self.id, (Piece(number, label),), ())
            self._where[number] = _Sent(chunk, {number}, next(self._orders), time.monotonic())
        self._recorded_here[number] = outcome
        self._ledger.record("client", self._client, [outcome], ended=True)

    # Receiving

    def _read(self, wait: float) -> None:
        """Take in what was recorded."""
        for taken in self._ledger.read(self._after, wait):
            for pair in self._took(*taken):
                self._came.append(pair)

    def _took(
        self, entry: str, _chunk: str, worker: str, outcomes: list[tuple[int, dict[str, Any]]]
    ) -> Iterator[tuple[int, Result]]:
        self._after = entry
        if worker != self._client:
            self._workers[worker] = time.monotonic()
        fresh = [(number, plain) for number, plain in outcomes if number not in self._received]
        self._left[entry] = len(fresh)
        if not fresh:
            del self._left[entry]
            self._ledger.forget([entry])
        for number, plain in fresh:
            self._untaken[number] = entry
            sent = self._leave(number)
            if sent is not None and not plain.get("image"):  # the worker could not read the message
                plain["image"] = next(p.image for p in sent.chunk.tasks if p.number == number)
            try:
                result = Result.from_dict(plain)
            except QualipyError as error:  # of a worker whose release makes results otherwise
                result = Result(str(plain.get("image")), error=error)
            self._note_result(number, result)
            yield number, result

    def _note_result(self, number: int, result: Result) -> None:
        self._received.add(number)
        self._recorded_here.pop(number, None)
        if number not in self._done_before:
            self._counts["done"] += 1
            self._counts["failed"] += result.failed
            self._counts["flagged"] += bool(result.flagged)
        # The latest images tell best how long the next ones will take.
        old = result.seconds if self._seconds is None else self._seconds
        self._seconds = 0.9 * old + 0.1 * result.seconds

    def _leave(self, number: int) -> _Sent | None:
        """Note that an image has its outcome; return the chunk that it was under way in."""
        sent = self._where.pop(number, None)
        if sent is not None:
            sent.life = time.monotonic()
            sent.begun = True
            sent.waiting.discard(number)
            if not sent.waiting:
                self._sent.pop(sent.chunk.id, None)
        return sent

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
            for sent in self._sent.values():
                sent.life = now
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
        self._after = "0"
        self._ledger.restore(
            bytes(a | b for a, b in _longest(self._received.bits, self._done_before.bits)),
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
        for name, beat in beats.items():
            sent = self._sent.get(name)
            if sent is not None and beat != sent.beat:
                sent.beat, sent.life, sent.begun = beat, now, True
                self._workers[beat.partition(" ")[2]] = now
        for worker in [w for w, seen in self._workers.items() if now - seen > WORKER_REMEMBERED]:
            del self._workers[worker]

    def _send_lost_again(self, now: float, lease: float) -> None:
        # Of a chunk that was sent again, either copy may be begun: the first one tells its place.
        newest = max((sent.first for sent in self._sent.values() if sent.begun), default=-1)
        queued: int | None = None
        for sent in list(self._sent.values()):
            if now - sent.life <= lease:
                continue
            # One that nobody began is lost if a later one was begun, or nothing waits any more.
            if not sent.begun and sent.order > newest:
                queued = self._queued() if queued is None else queued
                if queued and now - sent.life <= max(LONG_QUEUE, 20 * lease):
                    continue
                sent.vain += not queued
            else:
                sent.vain += not sent.begun
            if not self._still_waited_for(sent):
                continue
            if sent.vain >= MOST_SENDS and self._workers:
                self._give_up(sent)
                continue
            sent.life, sent.order, sent.begun = now, next(self._orders), False
            _log.info("Sending chunk %s of job %s again.", sent.chunk.id, self.id)
            self._post(sent.chunk)

    def _still_waited_for(self, sent: _Sent) -> bool:
        """Drop images that have an outcome which is not in the stream: another client took it."""
        recorded = self._ledger.recorded(sorted(sent.waiting))
        if recorded:
            self._read(0.0)
        for number in recorded - set(self._untaken):
            if number in sent.waiting:
                self._done_before.add(number)
                self._leave(number)
        return bool(sent.waiting)

    def _give_up(self, sent: _Sent) -> None:
        error = JobError(
            f"Sent {sent.vain} times, and no worker began it: does another program take messages "
            f"from the queue {_queue()!r}?",
            job=self.id,
        )
        for each in sent.chunk.tasks:
            if each.number in sent.waiting:
                self._record_here(each.number, each.image, error)

    def _queued(self) -> int:
        """How many messages wait in the queue."""

        def size() -> int:
            with app.pool.acquire(block=True) as link:
                queue = _queue()
                try:
                    declared = link.default_channel.queue_declare(queue, passive=True)
                except link.channel_errors:  # there is no such queue while nothing waits in it
                    return 0
                return int(declared.message_count)

        return patiently(size)

    def _tell_if_lonely(self, now: float) -> None:
        if not (self._workers or self._told_lonely) and self._sent and now - self._began > LONELY:
            self._told_lonely = True
            _log.warning(
                "No worker has begun job %s yet. `celery -A qualipy_celery worker` starts one.",
                self.id,
            )


def _queue() -> str:
    """The queue that chunks go to, by the user's routes if there are any."""
    route = app.amqp.router.route({}, process_chunk.name)
    queue = route.get("queue") or app.conf.task_default_queue
    return str(getattr(queue, "name", queue))


def as_sent(plan: Plan) -> list[Any]:
    """Return a plan's filters as JSON types."""
    filters: list[Any] = json.loads(json.dumps(described(plan)))
    return filters


def _longest(first: bytearray, second: bytearray) -> Iterator[tuple[int, int]]:
    return zip_longest(first, second, fillvalue=0)
