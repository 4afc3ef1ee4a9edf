"""What distributed jobs survive: every fault is a real one, and every image has one outcome."""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter

import numpy as np
import pytest
from celery_client import connect, disconnect
from processes import kill, until
from sample_filters import write_image
from stand_ins import STAND_INS, mean, picture, runs

from qualipy_celery import submit
from qualipy_celery.jobs import Job
from qualipy_celery.messages import VERSION
from qualipy_celery.tasks import process_chunk
from qualipy_core import plugins
from qualipy_core.errors import (
    ImageReadError,
    ImageTimeoutError,
    JobCancelledError,
    JobError,
    MessageError,
    UnknownFilterError,
    WorkerDiedError,
)

LEASE = 3.0

pytestmark = pytest.mark.usefixtures("stand_ins", "_client")


@pytest.fixture
def _client(monkeypatch):
    monkeypatch.setenv("QUALIPY_LEASE", str(LEASE))
    yield
    disconnect()


def filters(*names: str, **parameters):
    """Stand-ins by name; parameters go to all that have them."""
    made = []
    for name in names:
        cls = plugins.registry().get(name)
        made.append(cls(**{k: v for k, v in parameters.items() if k in cls.__dataclass_fields__}))
    return made


def collected(job, expected: int) -> dict[str, object]:
    """All results of a job by image; fails when an image has two, or one has none."""
    results = list(job)
    assert len(results) == expected
    by_image = {result.image: result for result in results}
    assert len(by_image) == expected
    status = job.status()
    assert (status.state, status.total, status.done) == ("done", expected, expected)
    assert status.failed == sum(result.failed for result in results)
    return by_image


def right(result, number: int) -> bool:
    return not result.failed and result.predictions["mean"] == mean(number)


class Meanwhile:
    """Does something while a job runs, and fails the test if that failed."""

    def __init__(self, action) -> None:
        self._error: BaseException | None = None
        self._action = action
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self._action()
        except BaseException as error:
            self._error = error

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._thread.join(120)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize("how", ["kill", "segv", "exit"])
def test_an_image_that_kills_its_process_costs_itself_alone(shared_redis, start_workers, how):
    start_workers(shared_redis.url, concurrency=2)
    connect(shared_redis.url)
    images = [picture(number) for number in range(40)]
    guilty = [picture(n, f"poison-{how}") for n in (0, 7, 8, 39)]
    for each in guilty:
        images[int(each.rsplit("/", 1)[1])] = each
    results = collected(submit(images, filters("mean", "poison")), 40)
    for number, image in enumerate(images):
        if image in guilty:
            assert isinstance(results[image].error, WorkerDiedError)
            assert image in str(results[image].error)
        else:
            assert right(results[image], number)


def test_an_image_that_kills_its_worker_process_too_ends_as_a_named_error(
    shared_redis, start_workers, tmp_path
):
    start_workers(shared_redis.url, concurrency=2)
    connect(shared_redis.url)
    file = tmp_path / "counted.txt"
    images = [picture(n) for n in range(12)] + [picture(12, "poison-parent")]
    job = submit(images, filters("counted", "mean", "poison", file=str(file)))
    results = collected(job, 13)
    assert isinstance(results[images[-1]].error, WorkerDiedError)
    assert all(right(results[image], n) for n, image in enumerate(images[:-1]))
    assert 1 < runs(file)[images[-1]] <= 5  # once with its chunk, then alone


def test_a_killed_child_costs_nothing(shared_redis, start_workers):
    (worker,) = start_workers(shared_redis.url, concurrency=2)
    connect(shared_redis.url)
    images = [picture(n) for n in range(60)]

    def kill_some():
        for _ in range(3):
            time.sleep(0.5)
            kill(until(worker.children, 60, "children")[0])
            kill(until(worker.grandchildren, 60, "sandboxes")[0])

    job = submit(images, filters("mean", "slow", seconds=0.1))
    with Meanwhile(kill_some):
        results = collected(job, 60)
    assert all(right(results[image], n) for n, image in enumerate(images))


def test_a_killed_worker_s_images_run_elsewhere_within_the_lease(shared_redis, start_workers):
    first, _second = start_workers(shared_redis.url, 2, lease=LEASE)
    connect(shared_redis.url)
    images = [picture(n) for n in range(40)]

    def kill():
        time.sleep(1.0)
        first.kill_all()

    job = submit(images, filters("mean", "slow", seconds=0.1))
    began = time.monotonic()
    with Meanwhile(kill):
        results = collected(job, 40)
    assert all(right(results[image], n) for n, image in enumerate(images))
    # Not after the hour that Redis would wait for the dead worker.
    assert time.monotonic() - began < 60


def test_a_message_that_vanishes_is_sent_again(shared_redis, start_workers):
    """As when Redis hands it to a connection that is dead already."""
    connect(shared_redis.url)
    images = [picture(n) for n in range(8)]
    redis = shared_redis.client()

    def swallow_then_work():
        until(lambda: redis.llen("qualipy"), 10, "a message")
        while redis.llen("qualipy"):
            redis.rpop("qualipy")
            time.sleep(0.05)
        start_workers(shared_redis.url, lease=LEASE)

    job = submit(images, filters("mean"))
    with Meanwhile(swallow_then_work):
        results = collected(job, 8)
    assert all(right(results[image], n) for n, image in enumerate(images))


def test_a_message_delivered_twice_makes_one_outcome(shared_redis, start_workers):
    connect(shared_redis.url)
    redis = shared_redis.client()
    images = [picture(n) for n in range(24)]

    def double():
        until(lambda: redis.llen("qualipy") == 6, 10, "six messages")
        for message in redis.lrange("qualipy", 0, -1):
            redis.lpush("qualipy", message)
        start_workers(shared_redis.url, 2)

    job = submit(images, filters("mean"))
    with Meanwhile(double):
        results = collected(job, 24)
    assert all(right(results[image], n) for n, image in enumerate(images))


def test_a_worker_killed_between_record_and_acknowledgement_makes_one_outcome(
    shared_redis, start_workers, tmp_path
):
    """Its message comes back, and finds everything done."""
    file = tmp_path / "counted.txt"
    code = tmp_path / "dying.py"
    code.write_text(
        textwrap.dedent(
            """
            import os, signal
            from pathlib import Path
            from celery.signals import task_postrun
            from qualipy_celery import app

            @task_postrun.connect
            def die_once(**_):
                mark = Path(__file__).with_suffix(".died")
                if not mark.exists():
                    mark.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
            """
        )
    )
    start_workers(shared_redis.url, packs=(STAND_INS, tmp_path), app="dying")
    connect(shared_redis.url)
    images = [picture(n) for n in range(8)]
    results = collected(submit(images, filters("mean", "counted", file=str(file))), 8)
    assert all(right(results[image], n) for n, image in enumerate(images))
    assert code.with_suffix(".died").exists()
    assert set(runs(file).values()) == {1}


@pytest.mark.parametrize("aof", [True, False], ids=["aof", "no-aof"])
def test_redis_killed_and_restarted_pauses_the_job(start_redis, start_workers, aof):
    server = start_redis(aof=aof)
    start_workers(server.url, concurrency=2, lease=LEASE)
    connect(server.url)
    images = [picture(n) for n in range(60)]

    def kill():
        for _ in range(2):
            time.sleep(1.5)
            server.kill()
            time.sleep(1.0)
            server.start()

    job = submit(images, filters("mean", "slow", seconds=0.1))
    with Meanwhile(kill):
        results = list(job)
    assert Counter(result.image for result in results) == Counter(images)
    assert not [result.error for result in results if result.failed]
    assert job.status().done == 60


def test_a_full_redis_pauses_the_job(start_redis, start_workers):
    server = start_redis(maxmemory="5mb")
    start_workers(server.url, concurrency=2, lease=LEASE)
    connect(server.url)
    redis = server.client()
    images = [picture(n) for n in range(60)]

    def fill():
        time.sleep(1.0)
        count = 0
        while True:
            try:
                redis.set(f"other:{count}", b"x" * 10_000)
                count += 1
            except Exception:
                break
        time.sleep(2.5)
        for number in range(count):
            redis.delete(f"other:{number}")

    job = submit(images, filters("mean", "slow", seconds=0.05))
    with Meanwhile(fill):
        results = collected(job, 60)
    assert all(right(results[image], n) for n, image in enumerate(images))


@pytest.mark.parametrize("how", ["python", "c"])
def test_an_image_that_hangs_costs_itself_alone(shared_redis, start_workers, how):
    start_workers(shared_redis.url, concurrency=2, environment={"QUALIPY_TIME_LIMIT": "1"})
    connect(shared_redis.url)
    images = [picture(n) for n in range(30)]
    images[5], images[17] = picture(5, "hang"), picture(17, "hang")
    results = collected(submit(images, filters("mean", "hang", how=how)), 30)
    for number, image in enumerate(images):
        if number in (5, 17):
            assert isinstance(results[image].error, ImageTimeoutError)
        else:
            assert right(results[image], number)


CLIENT = """
import sys, time
from qualipy_celery import submit
from qualipy_core import plugins
images = [f"stand-in://{n}" for n in range(int(sys.argv[1]))]
made = [plugins.registry().get("counted")(file=sys.argv[2]),
        plugins.registry().get("slow")(seconds=0.05)]
for result in submit(images, made, name="mine", resume=True):
    assert not result.failed, result
    print(result.image, flush=True)
"""


def test_a_killed_client_s_job_is_resumed_and_only_unrecorded_images_run(
    shared_redis, start_workers, tmp_path
):
    start_workers(shared_redis.url, concurrency=2)
    file = tmp_path / "counted.txt"
    command = [sys.executable, "-c", CLIENT, "80", str(file)]
    variables = {**os.environ, "QUALIPY_BROKER_URL": shared_redis.url}
    seen: list[str] = []
    for lines in (10, 25):
        with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as client:
            seen += [client.stdout.readline().strip() for _ in range(lines)]
            client.send_signal(signal.SIGKILL)
            seen += client.stdout.read().split()
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    seen += done.stdout.split()
    expected = {f"stand-in://{n}" for n in range(80)}
    assert set(seen) == expected
    assert set(runs(file)) == expected
    assert set(runs(file).values()) == {1}
    # What had been printed of a chunk when the client was killed comes again.
    assert len(seen) <= 80 + 2 * 16
    connect(shared_redis.url)
    assert Job("mine").status().done == 80


def test_a_job_is_not_resumed_with_other_images_or_filters(shared_redis, start_workers):
    connect(shared_redis.url)
    start_workers(shared_redis.url)
    job = submit([picture(n) for n in range(50)], filters("mean"), name="mine")
    for _ in zip(job, range(5), strict=False):
        pass
    with pytest.raises(JobError, match="already"):
        submit([picture(0)], filters("mean"), name="mine")
    with pytest.raises(JobError, match="other filters"):
        submit([picture(n) for n in range(50)], filters("slow"), name="mine", resume=True)
    others = submit([picture(n + 1) for n in range(50)], filters("mean"), name="mine", resume=True)
    with pytest.raises(JobError, match="not what they were"):
        list(others)
    # The first client learns that it is no longer the one.
    with pytest.raises(JobError, match=r"another client|stopped"):
        list(job)


def test_a_worker_that_lacks_a_filter_says_who_it_is_and_what_it_has(shared_redis, start_workers):
    (worker,) = start_workers(shared_redis.url, lacking=True)
    connect(shared_redis.url)
    images = ["/nowhere.jpg"]
    folder = worker.log_file.parent
    images.append(write_image(folder / "there.png", np.full((8, 8, 3), 9, np.uint8)))
    results = collected(submit(images, [*filters("mean"), "exposure"]), 2)
    assert isinstance(results[images[0]].error, ImageReadError)
    there = results[images[1]]
    assert list(there.predictions) == ["exposure"]
    assert isinstance(there.failures["mean"], UnknownFilterError)
    assert worker.name in str(there.failures["mean"])
    assert "exposure" in there.failures["mean"].installed


@pytest.mark.parametrize("version", [VERSION + 1, VERSION - 1, None, "1"])
def test_a_message_of_another_version_is_a_named_error(shared_redis, start_workers, version):
    (worker,) = start_workers(shared_redis.url)
    connect(shared_redis.url)
    job = submit([picture(n) for n in range(6)], filters("mean"))
    job._post = lambda chunk: process_chunk.apply_async(({**chunk.to_dict(), "v": version},))
    results = collected(job, 6)
    for image, result in results.items():
        assert image.startswith("stand-in://")
        assert isinstance(result.error, MessageError)
        assert worker.name in str(result.error)
        assert str(version) in str(result.error)
    job = submit([picture(n) for n in range(6)], filters("mean"))
    assert not any(result.failed for result in collected(job, 6).values())


MALFORMED = [
    b"\xff\xfe not json",
    b"{",
    b"[]",
    b"[[null], {}, null]",
    b'[[{"v": 1}], {}, {}]',
    b'[[{"v": 1, "job": "x", "tasks": [[0]], "filters": []}], {}, {}]',
    b'[[{"v": 1, "job": "../x", "tasks": "y", "filters": {}}], {}, {}]',
    b'[[{"v": 1, "job": "x", "tasks": [[-1, "a", null]], "filters": [["a", {}]]}], {}, {}]',
    b'[[{"v": 1, "job": "x", "tasks": [[0, "a", [1]]], "filters": [["a", {}]]}], {}, {}]',
    b"[[" + b"[" * 2000 + b"]" * 2000 + b"], {}, {}]",
]


def test_a_worker_lives_on_after_malformed_messages(shared_redis, start_workers):
    (worker,) = start_workers(shared_redis.url)
    connect(shared_redis.url)
    redis = shared_redis.client()
    process_chunk.apply_async(({},), queue="elsewhere")
    message = json.loads(redis.rpop("elsewhere"))
    message["properties"]["delivery_info"]["routing_key"] = "qualipy"
    for body in MALFORMED:
        message["body"] = base64.b64encode(body).decode()
        redis.lpush("qualipy", json.dumps(message))
    message["body"] = base64.b64encode(b"[[{}], {}, {}]").decode()
    for headers in ({}, None, [], {"task": []}, {"task": "qualipy.process_chunk"}, {"task": "no"}):
        redis.lpush("qualipy", json.dumps({**message, "headers": headers}))
    for envelope in ("garbage", "[]", "{}", "null", '{"properties": {}}'):
        redis.lpush("qualipy", envelope)
    results = collected(submit([picture(n) for n in range(4)], filters("mean")), 4)
    assert not any(result.failed for result in results.values())
    assert worker.returncode is None
    # The one that tells a job and an image got its outcome there.
    (outcome,) = Job("x").untaken()
    assert isinstance(outcome.error, MessageError)
    assert worker.name in str(outcome.error)


def test_a_rolling_restart_costs_nothing(shared_redis, start_workers):
    connect(shared_redis.url)
    started = start_workers(shared_redis.url, 2)

    def roll():
        for worker in list(started):
            time.sleep(1.0)
            worker.stop()
            start_workers(shared_redis.url)

    images = [picture(n) for n in range(80)]
    job = submit(images, filters("mean", "slow", seconds=0.1))
    with Meanwhile(roll):
        results = collected(job, 80)
    assert all(right(results[image], n) for n, image in enumerate(images))


def test_a_cancelled_job_stops_within_a_second_and_an_image(shared_redis, start_workers, tmp_path):
    start_workers(shared_redis.url, concurrency=2)
    connect(shared_redis.url)
    file = tmp_path / "counted.txt"
    images = [picture(n) for n in range(200)]
    job_filters = filters("counted", "slow", file=str(file), seconds=0.3)
    job = submit(images, job_filters)
    for _ in zip(job, range(4), strict=False):
        pass
    job.cancel()
    time.sleep(1.0 + 0.3 + 0.5)
    ran = sum(runs(file).values())
    done = job.status().done
    time.sleep(1.5)
    assert sum(runs(file).values()) == ran < 40
    assert job.status().done == done
    assert job.status().state == "cancelled"
    assert job._ledger.record("0", "late", [(150, False, False, "{}")], ended=False) == -1
    with pytest.raises(JobCancelledError):
        list(job)
    with pytest.raises(JobCancelledError):
        submit(
            images,
            filters("counted", "slow", file=str(file), seconds=0.3),
            name=job.id,
            resume=True,
        )


def test_a_missing_and_a_corrupt_image_cost_themselves_alone(shared_redis, start_workers, tmp_path):
    start_workers(shared_redis.url)
    connect(shared_redis.url)
    (tmp_path / "corrupt.jpg").write_bytes(b"\xff\xd8\xff\xe0 and then nothing")
    images = [picture(0), str(tmp_path / "missing.jpg"), picture(2), str(tmp_path / "corrupt.jpg")]
    images.append(picture(4, "broken"))
    results = collected(submit(images, filters("mean")), 5)
    for number, image in enumerate(images):
        if number in (0, 2):
            assert right(results[image], number)
        else:
            assert isinstance(results[image].error, ImageReadError)


QUICK = """
broker_transport_options = {
    "socket_timeout": 2, "socket_connect_timeout": 2, "health_check_interval": 1,
}
redis_socket_timeout = 2.0
redis_backend_health_check_interval = 1
"""


@pytest.mark.parametrize("what", ["all", "replies"])
def test_a_link_that_swallows_bytes_is_noticed(
    redis_server, start_workers, start_proxy, tmp_path, what
):
    """Also when what was swallowed is a message that Redis has handed out."""
    proxy = start_proxy(redis_server)
    quick: dict[str, object] = {}
    exec(QUICK, quick)  # a file of settings is Python
    (tmp_path / "workers" / "celeryconfig.py").write_text(QUICK)
    (worker,) = start_workers(proxy.url, lease=LEASE)
    connect(proxy.url, **{name: value for name, value in quick.items() if name[0] != "_"})
    images = [picture(n) for n in range(60)]

    def swallow():
        time.sleep(1.0)
        proxy.swallow(what)
        time.sleep(1.0)
        proxy.resume()

    job = submit(images, filters("mean", "slow", seconds=0.05))
    with Meanwhile(swallow):
        results = collected(job, 60)
    assert all(right(results[image], n) for n, image in enumerate(images))
    assert worker.returncode is None


def test_a_frozen_worker_that_wakes_late_changes_nothing(shared_redis, start_workers):
    frozen, _other = start_workers(shared_redis.url, 2, lease=LEASE)
    connect(shared_redis.url)
    images = [picture(n) for n in range(40)]
    job = submit(images, filters("mean", "slow", seconds=0.1))

    def freeze():
        time.sleep(1.0)
        frozen.freeze()
        time.sleep(LEASE + 4)
        frozen.thaw()

    with Meanwhile(freeze):
        results = collected(job, 40)
    assert all(right(results[image], n) for n, image in enumerate(images))
    time.sleep(2)
    assert job.status().done == 40


@pytest.mark.parametrize("aof", [True, False], ids=["aof", "no-aof"])
def test_chaos_ends_with_one_outcome_for_every_image(start_redis, start_workers, tmp_path, aof):
    """Children, sandboxes, workers and Redis are killed at random while 1,600 images are judged."""
    dice = random.Random(20150601 + aof)
    server = start_redis(aof=aof)
    workers = start_workers(server.url, 2, concurrency=2, lease=LEASE)
    connect(server.url)
    count = 1600
    poisoned = dice.sample(range(count), 2)
    images = [picture(n, "poison" if n in poisoned else "") for n in range(count)]
    over = threading.Event()
    killed: Counter[str] = Counter()

    def strike():
        while not over.wait(dice.uniform(0.3, 1.2)):
            what = dice.choice(["child", "child", "sandbox", "sandbox", "worker", "redis"])
            which = dice.randrange(len(workers))
            if what == "redis" and killed[what] < 4:
                server.kill()
                time.sleep(dice.uniform(0.1, 1.0))
                server.start()
            elif what == "worker" and killed[what] < 6:
                workers[which].kill()
                workers[which] = start_workers(server.url, concurrency=2, lease=LEASE)[0]
            elif what in ("child", "sandbox"):
                pids = workers[which].children()
                pids = pids if what == "child" else workers[which].grandchildren()
                if not pids:
                    continue
                kill(dice.choice(pids))
            killed[what] += 1

    results = []
    with Meanwhile(strike):
        try:
            results += submit(images, filters("mean", "slow", "poison", seconds=0.02))
        finally:
            over.set()
    assert Counter(result.image for result in results) == Counter(images)
    for result in results:
        if "poison" in result.image:
            assert isinstance(result.error, WorkerDiedError)
        else:
            assert right(result, int(result.image.rpartition("/")[2]))
    assert sum(killed.values()) >= 8, killed
