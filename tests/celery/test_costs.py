"""What a job asks of Redis and of its client, counted: no clock decides here."""

from __future__ import annotations

import json
import threading

import pytest
from celery_client import connect, disconnect
from stand_ins import picture

from qualipy_celery.application import app
from qualipy_celery.jobs import find_job
from qualipy_celery.ledger import KEEP, KEEP_DONE, Ledger, Outcome, connection
from qualipy_celery.messages import Chunk
from qualipy_celery.pace import LARGEST_CHUNK
from qualipy_celery.submission import Submission
from qualipy_core import Result, plugins
from qualipy_core.pipeline import tasks_of
from qualipy_core.plan import Plan

CHUNK = 32

pytestmark = pytest.mark.usefixtures("stand_ins", "_client")


@pytest.fixture
def _client(shared_redis):
    connect(shared_redis.url)
    yield
    disconnect()


def begun(count: int, chunk: int | None = None) -> Submission:
    plan = Plan.make([plugins.registry().get("mean")()])
    return Submission(tasks_of(map(picture, range(count)), None), plan, chunk=chunk)


class Work:
    """What a worker says to Redis, in this thread and when it is told to."""

    def __init__(self, job: str) -> None:
        self.ledger = Ledger(connection(app), job)

    def all(self) -> None:
        """Judge whatever is in the queue."""
        with app.connection_for_read() as link:
            while message := link.default_channel.basic_get("qualipy"):
                chunk = Chunk.parse(message.payload[0][0])
                self.begin(chunk)
                self.record(chunk)
                message.ack()

    def begin(self, chunk: Chunk) -> None:
        self.ledger.begin(chunk.id, "here:1", [piece.number for piece in chunk.tasks])

    def record(self, chunk: Chunk) -> None:
        outcomes = [
            Outcome(piece.number, False, False, json.dumps(Result(piece.image).to_dict()))
            for piece in chunk.tasks
        ]
        self.ledger.record(chunk.id, "here:1", outcomes, ended=True)


class Watched:
    """The commands that clients send while this is entered, and those of scripts."""

    def __init__(self, server) -> None:
        self._server = server
        self._thread = threading.Thread(target=self._count, daemon=True)
        self._began = threading.Event()
        self.sent = self.within = 0

    def __enter__(self):
        self._thread.start()
        assert self._began.wait(10)
        return self

    def __exit__(self, *_):
        self._server.client().echo("the end")
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _count(self) -> None:
        with self._server.client().monitor() as monitor:
            self._began.set()
            for told in monitor.listen():
                if told["command"] == "ECHO the end":
                    return
                if told["client_type"] == "lua":
                    self.within += 1
                else:
                    self.sent += 1


def test_a_job_sends_few_commands_for_an_image(shared_redis, start_workers):
    start_workers(shared_redis.url, concurrency=2)
    assert len(list(begun(CHUNK * 4, CHUNK))) == CHUNK * 4
    count = CHUNK * 100
    job = begun(count, CHUNK)
    with Watched(shared_redis) as watched:
        assert len(list(job)) == count
    assert watched.sent / count <= 0.7
    # Beside those, a script that begins a chunk runs three, and one that records it five.
    assert watched.within <= (3 + 5) * 100 + 20


@pytest.mark.parametrize("count", [10, 1_000, 100_000])
def test_a_status_takes_one_command_however_long_the_job(shared_redis, count):
    job = begun(count, LARGEST_CHUNK)
    job.advance(0.0)
    found = find_job(job.id)
    before = shared_redis.commands()
    status = found.status()
    assert shared_redis.commands() - before == 1 + 1  # and the one that counts them
    assert (status.done, status.total) == (0, count)


def test_a_client_remembers_what_is_under_way_and_no_more():
    count = 20_000
    job = begun(count)
    work = Work(job.id)
    seen = 0
    while not job.over:
        for number, _ in job.advance(0.0):
            job.taken(number)
            seen += 1
        most = job._pace.most() * LARGEST_CHUNK
        held = {
            name: len(value)
            for name, value in {**vars(job), **vars(job._under_way), **vars(job._inbox)}.items()
            if isinstance(value, dict | list | set)
        }
        assert held.pop("sent") <= job._pace.most()
        assert max(held.values()) <= most < count / 2
        work.all()
    assert seen == count
    assert len(job._inbox.received) == count
    assert len(job._inbox.received.bits) <= count / 8 + 1


def of_job(server, job: Submission) -> dict[str, int]:
    """The seconds after which each key of a job expires; -1 for one that never does."""
    redis = server.client()
    return {key.decode(): redis.ttl(key) for key in redis.scan_iter(f"*{{{job.id}}}*")}


def test_every_key_of_a_job_expires_at_any_time(shared_redis):
    job = begun(1_000)
    work = Work(job.id)
    moments = [of_job(shared_redis, job)]
    while not job.over:
        for number, _ in job.advance(0.0):
            job.taken(number)
        moments.append(of_job(shared_redis, job))
        for sent in list(job._under_way.sent.values()):
            work.begin(sent.chunk)
            moments.append(of_job(shared_redis, job))
            work.record(sent.chunk)
            moments.append(of_job(shared_redis, job))
    for seconds in moments:
        assert seconds
        assert all(0 < each <= KEEP for each in seconds.values()), seconds


def test_what_a_finished_job_leaves_does_not_grow_with_it_and_goes(shared_redis):
    left = {}
    for count in (100, 10_000):
        job = begun(count)
        work = Work(job.id)
        while not job.over:
            for number, _ in job.advance(0.0):
                job.taken(number)
            work.all()
        kept = of_job(shared_redis, job)
        assert all(seconds > 0 for seconds in kept.values())
        assert min(kept.values()) <= KEEP_DONE
        redis = shared_redis.client()
        left[count] = sum(redis.memory_usage(key) for key in kept)
        assert job.status().done == count
    assert left[10_000] < left[100] + 2_000


def test_a_cancelled_job_leaves_its_name_alone(shared_redis):
    job = begun(10_000)
    job.advance(0.0)
    Work(job.id).all()
    job.advance(0.0)
    job.cancel()
    assert not any(":results" in key or ":done" in key for key in of_job(shared_redis, job))
    assert all(seconds > 0 for seconds in of_job(shared_redis, job).values())
