"""A client's part of a job, with workers played by the test: every step is the test's to choose."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from celery_client import connect, disconnect
from stand_ins import picture

from qualipy_celery import client, jobs, submit, worker
from qualipy_celery.calls import ImageResults
from qualipy_celery.jobs import Job
from qualipy_celery.ledger import Ledger, Outcome, connection
from qualipy_celery.submission import Submission
from qualipy_core import plugins
from qualipy_core.errors import (
    ImageReadError,
    ImageTypeError,
    JobError,
    ProcessStartError,
)
from qualipy_core.plan import Plan, Task
from qualipy_core.result import Result

LEASE = 0.3

pytestmark = pytest.mark.usefixtures("stand_ins", "_client")


@pytest.fixture
def _client(shared_redis, monkeypatch):
    monkeypatch.setenv("QUALIPY_LEASE", str(LEASE))
    connect(shared_redis.url)
    yield
    disconnect()


@pytest.fixture
def posted(monkeypatch):
    """What clients send, for the test to work on."""
    chunks = []
    monkeypatch.setattr(Submission, "_post", lambda self, chunk: chunks.append(chunk))
    monkeypatch.setattr(client, "queued", lambda: 0)
    return chunks


def images(count):
    return [picture(number) for number in range(count)]


def plan():
    return Plan.make([plugins.registry().get("mean")()])


def ledger_of(job) -> Ledger:
    return Ledger(connection(jobs.app), job.id)


def work_on(chunk, *, name="here:1", numbers=None, fails=False) -> int:
    """Record what a worker would."""
    ledger = Ledger(connection(jobs.app), chunk.job)
    begun = ledger.begin(chunk.id, name, [each.number for each in chunk.tasks])
    if not begun.attempt:
        return -1
    outcomes = []
    for each in chunk.tasks:
        if each.number in begun.done or (numbers is not None and each.number not in numbers):
            continue
        error = ImageReadError("bad", image=each.image) if fails else None
        result = Result(each.image, {} if fails else {"mean": 0.5}, error=error)
        outcomes.append(Outcome(each.number, fails, False, json.dumps(result.to_dict())))
    return ledger.record(chunk.id, name, outcomes, ended=numbers is None)


def run(job, posted, *, seconds=10.0):
    """Work on all that is sent until the job is over; return the images in order of coming."""
    came = []
    end = time.monotonic() + seconds
    while not job.over and time.monotonic() < end:
        while posted:
            work_on(posted.pop(0))
        for number, result in job.advance(0.05):
            came.append(result)
            job.taken(number)
    assert job.over
    return came


def test_a_client_that_resumes_delivers_no_image_twice(posted):
    """Though a worker of the one before records while this one gets there."""
    first = submit(images(40), ["mean"], name="mine")
    first.advance(0.0)
    of_the_first = list(posted)
    posted.clear()
    second = submit(images(40), ["mean"], name="mine", resume=True)
    for chunk in of_the_first:
        work_on(chunk)
    came = run(second, posted)
    assert sorted(result.image for result in came) == sorted(images(40))
    assert not any(result.failed for result in came)
    status = second.status()
    assert (status.done, status.failed, status.total) == (40, 0, 40)


def test_what_another_client_took_meanwhile_is_no_error_here(posted):
    first = submit(images(40), ["mean"], name="mine")
    first.advance(0.0)
    of_the_first = list(posted)
    posted.clear()
    second = submit(images(40), ["mean"], name="mine", resume=True)
    for chunk in of_the_first:
        work_on(chunk)
    first._look_at = time.monotonic() + 60  # the first client, which does not know yet, takes them
    taken = set()
    for number, result in first.advance(1.0):
        taken.add(result.image)
        first.taken(number)
    assert taken
    came = run(second, posted)
    assert not any(result.failed for result in came)
    assert taken | {result.image for result in came} == set(images(40))


def test_waiting_is_no_error_while_nobody_works(posted):
    job = submit(images(8), ["mean"])
    end = time.monotonic() + LEASE * 15
    while time.monotonic() < end:
        assert not job.advance(0.05)
    assert len(run(job, posted)) == 8
    assert job.status().failed == 0


def test_waiting_in_a_queue_is_no_reason_to_send_again(posted, monkeypatch):
    monkeypatch.setattr(client, "queued", lambda: 5)
    job = submit(images(8), ["mean"])
    end = time.monotonic() + LEASE * 8
    while time.monotonic() < end:
        assert not job.advance(0.05)
    assert [chunk.id for chunk in posted] == ["0", "4"]


def test_one_lost_chunk_does_not_send_all_others_again(posted, monkeypatch):
    monkeypatch.setattr(client, "queued", lambda: 5)
    job = submit(images(32), ["mean"])
    while len(posted) < 8:
        job.advance(0.0)
    vanished = posted[2]
    ledger_of(job).begin(vanished.id, "gone:1", [each.number for each in vanished.tasks])
    end = time.monotonic() + LEASE * 10
    while time.monotonic() < end:
        job.advance(0.05)
    others = [chunk.id for chunk in posted[8:] if chunk.id != vanished.id]
    # Those before it in the queue count as lost, since it was begun: each once per lease, no more.
    assert set(others) <= {posted[0].id, posted[1].id}
    assert len(run(job, posted)) == 32
    assert job.status().failed == 0


def test_a_finished_job_that_is_resumed_yields_nothing(posted):
    run(submit(images(5), ["mean"], name="mine"), posted)
    again = submit(images(5), ["mean"], name="mine", resume=True)
    assert list(again) == []
    assert not posted
    assert again.status().state == "done"


def test_counts_go_on_where_they_were_when_a_job_is_resumed(posted):
    job = submit(images(12), ["mean"], name="mine")
    job.advance(0.0)
    work_on(posted.pop(0), fails=True)
    for number, _ in job.advance(0.5):
        job.taken(number)
    posted.clear()
    again = submit(images(12), ["mean"], name="mine", resume=True)
    run(again, posted)
    status = again.status()
    assert (status.done, status.failed, status.state) == (12, 4, "done")


def test_a_job_can_be_resumed_after_redis_lost_everything(posted, shared_redis, monkeypatch):
    monkeypatch.setattr(client, "KEEP_EVERY", 0.0)
    many = images(3000)
    job = submit(many, ["mean"], name="mine")
    job._pace.seconds = 1e-6
    while job._next < 2000:
        job.advance(0.0)
        while posted:
            work_on(posted.pop(0))
        for number, _ in job.advance(0.05):
            job.taken(number)
    shared_redis.client().flushall()
    job._look_at = 0.0
    job.advance(0.0)
    assert job.status().state == "running"
    again = submit(many, ["mean"], name="mine", resume=True)
    came = run(again, posted, seconds=60)
    assert again.status().done == 3000
    assert len({result.image for result in came}) == len(came) < 3000


def test_redis_that_loses_all_at_the_very_end_leaves_a_finished_job(posted, shared_redis):
    job = submit(images(4), ["mean"])
    job.advance(0.0)
    work_on(posted.pop(0))
    for number, _ in job.advance(0.5):
        job.taken(number)
    job._look_at = time.monotonic() + 60
    shared_redis.client().flushall()
    while not job.over:
        job.advance(0.0)
    status = job.status()
    assert (status.state, status.done, status.total) == ("done", 4, 4)


def test_what_cannot_be_sent_is_that_image_s_error_and_survives_a_loss(posted, shared_redis):
    mixed = [picture(0), np.zeros((4, 4, 3), np.uint8), picture(2)]
    came = run(submit(mixed, ["mean"]), posted)
    assert [type(result.error) for result in came].count(ImageTypeError) == 1
    job = submit([np.zeros((4, 4, 3), np.uint8)], ["mean"])
    job._send_more()
    shared_redis.client().flushall()
    job._look_at = 0.0
    (result,) = run(job, posted)
    assert isinstance(result.error, ImageTypeError)


def test_an_interrupted_source_of_images_ends_the_job_as_stopped(posted):
    def source():
        yield from images(6)
        raise KeyboardInterrupt

    job = submit(source(), ["mean"])
    came, interrupts = [], 0
    while not job.over:
        try:
            came += job.advance(0.05)
        except KeyboardInterrupt:
            interrupts += 1
        for number, _ in came:
            job.taken(number)
        while posted:
            work_on(posted.pop(0))
    assert len(came) == 6
    assert interrupts == 2  # where it came from, and at the end, instead of a full set
    assert job.status().state == "stopped"


def test_results_that_can_no_longer_come_raise_for_everybody_who_asks(posted):
    chunked = Submission(iter([Task(image) for image in images(4)]), plan(), name="mine", chunk=2)
    results = ImageResults(chunked, 4, lambda result: {result.image: 1})
    submit(images(4), ["mean"], name="mine", resume=True)
    time.sleep(LEASE)
    for _ in range(2):
        with pytest.raises(JobError, match="another client"):
            results.get(timeout=5)


def test_the_index_of_jobs_forgets_the_old_ones(posted, shared_redis):
    redis = shared_redis.client()
    redis.zadd("qualipy:jobs", {"ancient": time.time() - 30 * 86400})
    job = submit(images(1), ["mean"])
    assert redis.zscore("qualipy:jobs", "ancient") is None
    assert redis.zscore("qualipy:jobs", job.id) is not None


def test_a_job_is_cancelled_though_redis_is_full(posted, shared_redis):
    job = submit(images(40), ["mean"])
    job.advance(0.0)
    work_on(posted.pop(0))
    redis = shared_redis.client()
    redis.config_set("maxmemory", "1")
    try:
        job.cancel()
        assert job.status().state == "cancelled"
    finally:
        redis.config_set("maxmemory", "0")


class Unwell:
    """A sandbox that fails as it is told."""

    def __init__(self, error):
        self.error = error

    def judge(self, task, alive=None, every=1.0):
        raise self.error


@pytest.mark.parametrize("times", [1, 6])
@pytest.mark.parametrize("kind", [ProcessStartError, worker._LedgerAwayError])
def test_a_machine_that_is_ill_gives_its_chunk_back(posted, monkeypatch, kind, times):
    monkeypatch.setattr(worker, "ILL_PAUSE", 0.0)
    job = submit(images(4), ["mean"])
    job.advance(0.0)
    chunk = posted[0]
    monkeypatch.setattr(worker, "_prepared", lambda *_: Unwell(kind("not now")))
    for _ in range(times if kind is ProcessStartError else 1):
        with pytest.raises(worker.Reject):
            worker.run_chunk(json.loads(json.dumps(chunk.to_dict())), connection(jobs.app), "w:1")
    assert job.status().done == 0
    if kind is ProcessStartError:
        assert ledger_of(job).begin(chunk.id, "w:2", [0]).attempt == 1
        assert ledger_of(job).trying(0) == 1


def test_a_stop_leaves_no_suspicion(posted, monkeypatch):
    """Else an image that was under way at each stop would one day be taken for a killer."""
    job = submit(images(4), ["mean"], name="mine")
    job.advance(0.0)
    chunk = posted[0]
    ledger = ledger_of(job)
    ledger.begin(chunk.id, "w:1", [0, 1, 2, 3])  # a worker that vanished
    monkeypatch.setattr(worker, "_prepared", lambda *_: Unwell(worker._JobOver()))
    for _ in range(5):
        worker.run_chunk(json.loads(json.dumps(chunk.to_dict())), connection(jobs.app), "w:1")
    assert ledger.trying(0) == 1
    assert Job("mine").status().done == 0
