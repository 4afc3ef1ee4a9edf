"""The record of a job: whatever is asked of it in whatever order, an image has one outcome."""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from kombu.exceptions import OperationalError
from redis import exceptions

from qualipy_celery import manifest as manifests
from qualipy_celery import patience
from qualipy_celery.application import app
from qualipy_celery.ledger import JOBS, KEEP_DONE, Begun, Ledger, Outcome, connection, known_jobs
from qualipy_celery.manifest import Manifest
from qualipy_celery.messages import MOST_NUMBER, MOST_TASKS
from qualipy_celery.patience import passes, patiently
from qualipy_celery.underway import Known
from qualipy_core.errors import ExecutorError, JobError
from qualipy_core.plan import Task

CHUNKS = {"0": (0, 1, 2), "3": (3, 9, 8), "70000": (70_000, 7, 70_007), "40": (40,)}
NUMBERS = sorted(number for numbers in CHUNKS.values() for number in numbers)
WORKERS = ("here:1", "there:2")
OVER = ("cancelled", "done")


def outcome(number: int, *, failed=False, flagged=False, **more) -> Outcome:
    plain = {"number": number, "failed": failed, "flagged": flagged, **more}
    return Outcome(number, failed, flagged, json.dumps(plain))


@pytest.fixture
def ledger(shared_redis) -> Ledger:
    """The record of a job that has just begun."""
    ledger = Ledger(shared_redis.client(), secrets.token_hex(4))
    assert ledger.open({"filters": ["one"]})
    return ledger


class Interleaving(RuleBasedStateMachine):
    """Two workers, whose messages come twice, late and in parts; a client; a Redis that forgets.

    What Redis holds is compared with sets and lists that do the same.
    """

    def __init__(self, redis) -> None:
        super().__init__()
        self.redis = redis
        self.ledger = Ledger(redis, secrets.token_hex(4))
        self.state = ""
        self.counts = Counter()
        self.outcomes: dict[int, str] = {}  # in Redis: the first of each image
        self.unforgotten: list[int] = []  # in the stream
        self.serial = 0
        # The client's side.
        self.received: dict[int, str] = {}
        self.known = Known()
        self.client_counts = {"done": 0, "failed": 0, "flagged": 0}
        self.entries: list[str] = []
        self.after = "0"

    @initialize()
    def open(self) -> None:
        assert self.ledger.open({"about": "it"})
        self.state = "running"

    @rule()
    def open_once_more(self) -> None:
        assert self.ledger.open({"about": "something else"}) == (self.state == "")
        self.state = self.state or "running"

    @rule(chunk=st.sampled_from(list(CHUNKS)), worker=st.sampled_from(WORKERS))
    def begin(self, chunk, worker) -> None:
        begun = self.ledger.begin(chunk, worker, CHUNKS[chunk])
        if self.state in (*OVER, "stopped"):
            assert begun == Begun(self.state, 0, frozenset())
        else:
            assert begun.state == self.state
            assert begun.attempt >= 1
            assert begun.done == self.outcomes.keys() & set(CHUNKS[chunk])

    @rule(
        chunk=st.sampled_from(list(CHUNKS)),
        worker=st.sampled_from(WORKERS),
        places=st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.booleans()), max_size=5),
        ended=st.booleans(),
    )
    def record(self, chunk, worker, places, ended) -> None:
        told, fresh = [], {}
        for place, failed, flagged in places:
            number = CHUNKS[chunk][place % len(CHUNKS[chunk])]
            self.serial += 1
            each = outcome(number, failed=failed, flagged=flagged, by=worker, serial=self.serial)
            told.append(each)
            if number not in self.outcomes and number not in fresh:
                fresh[number] = each
        new = self.ledger.record(chunk, worker, told, ended=ended)
        if self.state in OVER:
            assert new == -1
            return
        assert new == len(fresh)
        for number, each in fresh.items():
            self.outcomes[number] = each.result
            self.unforgotten.append(number)
            self.counts += Counter(done=1, failed=each.failed, flagged=each.flagged)

    @rule(chunk=st.sampled_from(list(CHUNKS)), worker=st.sampled_from(WORKERS))
    def beat(self, chunk, worker) -> None:
        assert self.ledger.beat(chunk, worker) == self.state
        if self.state not in OVER:
            assert self.ledger.look()[2][chunk].endswith(f" {worker}")

    @rule(number=st.sampled_from(NUMBERS))
    def try_alone(self, number) -> None:
        assert self.ledger.trying(number) >= 1

    @rule()
    def read(self) -> None:
        for entry, chunk, worker, outcomes in self.ledger.read(self.after, 0.0):
            assert chunk in CHUNKS
            assert worker in WORKERS
            self.after = entry
            self.entries.append(entry)
            for number, plain in outcomes:
                if number not in self.known:
                    self.known.add(number)
                    self.received[number] = json.dumps(plain)
                    self.client_counts["done"] += 1
                    self.client_counts["failed"] += plain["failed"]
                    self.client_counts["flagged"] += plain["flagged"]
                assert json.dumps(plain) == self.outcomes[number]

    @rule()
    def forget(self) -> None:
        """Drop what the client has."""
        self.ledger.forget(self.entries)
        self.entries.clear()
        self.unforgotten = [n for n in self.unforgotten if n not in self.received]

    @rule(state=st.sampled_from(["stopped"] * 3 + ["cancelled", "done"]))
    def change(self, state) -> None:
        told = self.ledger.change(state)
        if self.state and self.state not in OVER:
            self.state = state
        assert told == self.state
        if self.state in OVER:
            self.unforgotten.clear()

    @precondition(lambda self: self.state == "stopped")
    @rule()
    def resume(self) -> None:
        self.ledger.resume()
        self.state = "running"

    @rule()
    def wipe(self) -> None:
        """Redis is killed, and keeps no file."""
        self.redis.flushall()
        self.state = ""
        self.counts.clear()
        self.outcomes.clear()
        self.unforgotten.clear()
        self.entries.clear()

    @precondition(lambda self: self.state == "")
    @rule()
    def restore(self) -> None:
        """The client tells what it knows."""
        self.ledger.restore(bytes(self.known.bits), state="running", **self.client_counts)
        self.state = "running"
        self.outcomes = dict.fromkeys(self.received) | self.outcomes
        # What workers have recorded since, and the client has not read, is recorded all the same.
        self.counts = Counter(self.client_counts | {"done": len(self.outcomes)})

    @invariant()
    def the_record_is_what_it_should_be(self) -> None:
        status = self.ledger.status()
        if not self.state:
            assert status is None
            return
        assert status.state == self.state
        if self.state in OVER:
            return
        assert status.done == self.counts["done"] == len(self.outcomes)
        assert status.failed == self.counts["failed"]
        assert status.flagged == self.counts["flagged"]
        bits = Known(bytearray(self.ledger.done()))
        assert [n for n in NUMBERS if n in bits] == sorted(self.outcomes)
        assert len(bits) == len(self.outcomes)

    @invariant()
    def the_stream_has_each_outcome_once(self) -> None:
        told = [n for taken in self.ledger.read("0", 0.0) for n, _ in taken.outcomes]
        assert len(set(told)) == len(told)
        assert set(self.unforgotten) <= set(told)

    @invariant()
    def nothing_stays_in_redis_for_ever(self) -> None:
        keys = self.redis.keys(f"qualipy:{{{self.ledger.job}}}*")
        with self.redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.ttl(key)
            assert all(seconds > 0 for seconds in pipe.execute()), keys

    def teardown(self) -> None:
        """Whatever has happened: who goes on gets every image once."""
        if self.state in OVER:
            return
        if self.state == "":
            self.restore()
        if self.state == "stopped":
            self.resume()
        for chunk, numbers in CHUNKS.items():
            begun = self.ledger.begin(chunk, "last:3", numbers)
            left = [outcome(n) for n in numbers if n not in begun.done]
            self.outcomes |= {each.number: each.result for each in left}
            self.ledger.record(chunk, "here:1", left, ended=True)
        self.read()
        assert sorted(self.received) == NUMBERS
        assert self.ledger.status().done == len(NUMBERS)
        assert self.ledger.look()[2].keys() <= CHUNKS.keys()


def test_any_interleaving_makes_one_outcome_of_each_image(shared_redis):
    run_state_machine_as_test(
        lambda: Interleaving(shared_redis.client()),
        settings=settings(max_examples=40, stateful_step_count=40, deadline=None),
    )


def test_of_two_records_at_the_same_time_one_counts(ledger):
    """Not only one after the other: each script runs whole."""
    numbers = list(range(200))

    def record(worker: str) -> int:
        own = Ledger(ledger.redis, ledger.job)
        each = [outcome(number, by=worker) for number in numbers]
        parts = [each[first : first + 10] for first in range(0, 200, 10)]
        return sum(own.record("0", worker, part, ended=False) for part in parts)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(record, ["a:1", "b:2", "c:3", "d:4"])) == 200
    assert ledger.status().done == 200
    told = [number for taken in ledger.read("0", 0.0) for number, _ in taken.outcomes]
    assert sorted(told) == numbers


def test_the_largest_number_and_the_largest_chunk_can_be_recorded(ledger):
    last = (0, MOST_NUMBER)
    assert ledger.begin("0", "here:1", last).done == frozenset()
    assert ledger.record("0", "here:1", [outcome(n) for n in last], ended=True) == 2
    assert ledger.record("0", "here:1", [outcome(n) for n in last], ended=True) == 0
    assert ledger.begin("0", "here:1", (*last, 1)).done == frozenset(last)
    ledger.redis.flushdb()  # half a gigabyte of bits
    many = range(MOST_TASKS)
    assert ledger.begin("0", "here:1", many).done == frozenset()
    assert ledger.record("0", "here:1", [outcome(n) for n in many], ended=True) == MOST_TASKS
    assert ledger.begin("0", "here:1", many).done == frozenset(many)


def test_attempts_count_until_something_is_recorded(ledger):
    assert [ledger.begin("0", "w:1", [0, 1]).attempt for _ in range(3)] == [1, 2, 3]
    assert [ledger.trying(1) for _ in range(2)] == [1, 2]
    ledger.record("0", "w:1", [outcome(0)], ended=False)
    assert ledger.begin("0", "w:1", [0, 1]).attempt == 1
    assert ledger.trying(1) == 3
    ledger.record("0", "w:1", [outcome(1)], ended=False)
    assert ledger.trying(1) == 1


def test_a_chunk_shows_signs_of_life_until_it_has_ended(ledger):
    ledger.begin("0", "w:1", [0, 1])
    first = ledger.look()[2]["0"]
    ledger.beat("0", "w:2")
    second = ledger.look()[2]["0"]
    assert first.split()[1], second.split()[1] == ("w:1", "w:2")
    assert float(first.split()[0]) < float(second.split()[0])
    ledger.record("0", "w:1", [outcome(0)], ended=False)
    assert "0" in ledger.look()[2]
    ledger.record("0", "w:1", [], ended=True)
    assert ledger.look()[2] == {}


def test_nothing_is_left_of_a_job_that_is_given_up_but_its_name(ledger):
    ledger.begin("0", "w:1", [0, 1])
    ledger.record("0", "w:1", [outcome(0, failed=True)], ended=False)
    ledger.trying(1)
    assert ledger.change("cancelled") == "cancelled"
    assert ledger.beat("0", "w:1") == "cancelled"
    keys = ledger.redis.keys(f"qualipy:{{{ledger.job}}}*")
    assert [key.decode().rpartition(":")[2] for key in keys] == ["meta"]
    status = ledger.status()
    assert (status.state, status.done, status.failed) == ("cancelled", 1, 1)
    ledger.delete()
    assert ledger.status() is None
    (left,) = ledger.redis.keys("*")  # what comes late is not taken for a new job's
    assert 0 < ledger.redis.ttl(left) <= KEEP_DONE
    assert ledger.record("0", "w:1", [outcome(1)], ended=True) == -1
    assert ledger.change("stopped") == ""
    assert not list(known_jobs(ledger.redis))
    assert ledger.open({})
    assert ledger.status().state == "running"


def test_a_status_tells_how_a_job_stands(ledger):
    status = ledger.status()
    assert (status.id, status.state, status.total, status.done) == (ledger.job, "running", None, 0)
    assert status.about == {"filters": ["one"]}
    assert status.percent == 0.0  # nobody knows
    assert time.time() - 60 < status.created <= status.updated <= time.time()
    ledger.note(total=8)
    ledger.record("0", "w", [outcome(0, failed=True), outcome(1, flagged=True)], ended=False)
    status = ledger.status()
    assert (status.total, status.done, status.failed, status.flagged) == (8, 2, 1, 1)
    assert status.percent == 25.0
    ledger.note(total=0)
    assert ledger.status().percent == 100.0
    ledger.note(total=None)
    ledger.change("done")
    assert ledger.status().percent == 100.0


def test_a_status_costs_one_command_however_large_the_job_is(shared_redis, ledger):
    for first in range(0, 3000, 100):
        each = [outcome(number) for number in range(first, first + 100)]
        ledger.record(str(first), "w", each, ended=True)
    before = shared_redis.commands()
    ledger.status()
    assert shared_redis.commands() - before == 2  # the question after it is one


def test_jobs_are_listed_latest_first_and_those_without_a_record_not(shared_redis):
    redis = shared_redis.client()
    assert list(known_jobs(redis)) == []
    for name in ("first", "second", "gone", "third"):
        Ledger(redis, name).open({})
        time.sleep(0.002)
    redis.delete("qualipy:{gone}:meta")  # as after a week
    assert [status.id for status in known_jobs(redis)] == ["third", "second", "first"]
    assert redis.zrange(JOBS, 0, -1) == [b"first", b"second", b"third"]


def test_records_lie_in_redis_or_it_is_said(monkeypatch):
    monkeypatch.setattr(app._local, "backend", object(), raising=False)
    with pytest.raises(ExecutorError, match="QUALIPY_RESULT_BACKEND=redis://"):
        connection(app)


# The images that a job is about

NAMES = st.lists(st.text("ab\udcff", min_size=1, max_size=3), max_size=30)
SMALL_BLOCK = 4


def tasks(names, regions=()) -> list[Task]:
    return [Task(n, (0, 0, 9, 9) if place in regions else None) for place, n in enumerate(names)]


def kept(found, upto: int, notes: frozenset[int], before=None) -> dict[str, str]:
    """What Redis holds after a client has taken so many images, noting them now and then."""
    manifest = Manifest(before)
    fields = dict(before or {})
    for number, task in enumerate(found[:upto]):
        manifest.add(task)
        if number in notes:
            fields |= manifest.fields()
    return fields | manifest.fields()


@pytest.fixture
def _small_blocks(monkeypatch):
    monkeypatch.setattr(manifests, "BLOCK", SMALL_BLOCK)


def is_known(fields, found) -> bool:
    try:
        assert list(Manifest(fields).checked(iter(found))) == found
    except JobError:
        return False
    return True


@pytest.mark.usefixtures("_small_blocks")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NAMES, st.data())
def test_a_manifest_knows_its_images_again_and_notices_any_change(names, data):
    found = tasks(names)
    upto = data.draw(st.integers(0, len(found)))
    notes = data.draw(st.frozensets(st.integers(0, 30)))
    fields = kept(found, upto, notes)
    assert is_known(fields, found)
    assert is_known(fields, [*found[:upto], *tasks(["more", "of", "them"])])
    if not upto:
        return
    # A second run that ends earlier than the first makes it forget nothing.
    fields = kept(found, data.draw(st.integers(0, upto)), notes, fields)
    assert is_known(fields, found)
    place = data.draw(st.integers(0, upto - 1))
    without = [*found[:place], *found[place + 1 :]]
    assert is_known(fields, without) == (without[:upto] == found[:upto])
    other = [*found[:place], Task("other"), *found[place + 1 :]]
    assert not is_known(fields, other)
    assert not is_known(fields, [*found[:place], Task("other"), *found[place:]])
    assert not is_known(fields, tasks(names, regions={place}))


@pytest.mark.usefixtures("_small_blocks")
def test_a_changed_block_is_noticed_before_anything_of_it_is_judged():
    found = tasks([f"{number}.jpg" for number in range(11)])
    fields = kept(found, 11, frozenset())
    found[6] = Task("other.jpg")
    checked = Manifest(fields).checked(iter(found))
    assert [next(checked) for _ in range(4)] == found[:4]
    with pytest.raises(JobError, match="from number 4 on"):
        next(checked)


# Waiting for Redis

PASSING = [
    exceptions.ConnectionError("refused"),
    exceptions.TimeoutError("late"),
    exceptions.BusyLoadingError("loading"),
    exceptions.OutOfMemoryError("full"),
    exceptions.ReadOnlyError("a replica"),
    exceptions.ResponseError("OOM command not allowed when used memory > 'maxmemory'"),
    exceptions.ResponseError("MISCONF Redis is configured to save RDB snapshots"),
    OperationalError("kombu's word for it"),
    ConnectionResetError(104, "reset"),
]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_what_time_heals_is_asked_again(error):
    answers = [error, error, error]
    pauses = []

    def call():
        if answers:
            raise answers.pop()
        return 42

    assert patiently(call, meanwhile=pauses.append) == 42
    assert len(pauses) == 3
    assert pauses == sorted(pauses)


def test_it_gives_up_after_its_time_and_says_what_to_do(monkeypatch, caplog):
    monkeypatch.setenv("QUALIPY_PATIENCE", "0.2")
    monkeypatch.setattr(patience, "_TELL_AFTER", 0.1)

    def call():
        raise exceptions.ConnectionError("Error 111 connecting to nowhere. Connection refused.")

    began = time.monotonic()
    with pytest.raises(ExecutorError, match=r"refused\. Is it running.*redis-server") as caught:
        patiently(call)
    assert 0.2 <= time.monotonic() - began < 10
    assert isinstance(caught.value.__cause__, exceptions.ConnectionError)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    with pytest.raises(ExecutorError):
        patiently(call, seconds=0)


@pytest.mark.parametrize(
    "error",
    [exceptions.ResponseError("ERR wrong"), exceptions.DataError("what"), ValueError("what")],
    ids=lambda error: type(error).__name__,
)
def test_other_errors_come_at_once(error):
    def call():
        raise error

    with pytest.raises(type(error)):
        patiently(call, meanwhile=lambda _: pytest.fail("has waited"))
    assert not passes(error)


@pytest.mark.parametrize(
    "error",
    [
        exceptions.AuthenticationError("invalid username-password pair or user is disabled."),
        exceptions.NoPermissionError("this user has no permissions to access one of the keys"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_redis_that_refuses_is_not_waited_for(error):
    def call():
        raise error

    with pytest.raises(ExecutorError, match=r"(disabled|keys)\. Do QUALIPY_BROKER_URL"):
        patiently(call, meanwhile=lambda _: pytest.fail("has waited"))


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_who_wants_to_leave_is_not_held_back(kind):
    def call():
        raise kind

    with pytest.raises(kind):
        patiently(call, meanwhile=lambda _: pytest.fail("has waited"))
