"""What the tests of distributed jobs stand on: servers, networks, workers and stand-ins."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import processes
import pytest
import redis
import redis_server as servers
from celery import Celery
from processes import Started, is_alive, until
from stand_ins import STAND_INS, mean, picture, runs

from qualipy_core import Image, plugins
from qualipy_core.errors import ImageReadError

APP = """
    import os, subprocess, sys, time
    from pathlib import Path
    from celery import Celery

    app = Celery("plain", broker=os.environ["QUALIPY_BROKER_URL"])
    app.conf.result_backend = os.environ["QUALIPY_RESULT_BACKEND"]

    @app.task
    def measure(source):
        from qualipy_core import Image
        from qualipy_core.plugins import registry
        return registry().get("mean")().measure(Image(source))

    @app.task
    def names():
        from qualipy_core.plugins import registry
        return registry().names()

    @app.task
    def start_another():
        # As out of reach as it can be: a session of its own.
        sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
        subprocess.Popen(sleep, start_new_session=True)
"""


@pytest.fixture
def plain(tmp_path, shared_redis):
    """A folder with an application, and the same application here: it sends what workers do."""
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "plain.py").write_text(textwrap.dedent(APP))
    with Celery("plain", broker=shared_redis.url, backend=shared_redis.url) as app:
        yield folder, lambda task: app.send_task(f"plain.{task}")
        app.backend.client.close()
        app.backend.result_consumer.stop()


def answers(server) -> bool:
    try:
        return server.client().ping()
    except redis.ConnectionError:
        return False


@pytest.mark.parametrize("aof", [False, True])
def test_a_killed_server_comes_back_in_the_same_place_with_what_its_file_holds(start_redis, aof):
    server = start_redis(aof=aof)
    for number in range(3):
        server.client().set(f"key {number}", "value")
        url = server.url
        server.kill()
        assert not answers(server)
        server.restart()
        assert server.url == url
        assert server.client().exists(f"key {number}") == aof
    server.stop()
    assert not answers(server)
    server.start()
    assert server.client().dbsize() == (3 if aof else 0)


def fill(server) -> None:
    for number in range(10):
        server.client().set(f"large {number}", bytes(1 << 20))


def test_a_full_server_refuses_to_write_and_says_what_it_holds(start_redis):
    server = start_redis(maxmemory="8mb")
    before = server.used_memory()
    server.client().set("large", bytes(1 << 20))
    assert server.used_memory() - before >= 1 << 20
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        fill(server)


def test_a_server_counts_commands(redis_server):
    before = redis_server.commands()
    for _ in range(10):
        redis_server.client().ping()
    assert redis_server.commands() - before == 11  # the question itself is one


def test_the_users_own_server_comes_first_and_its_absence_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("QUALIPY_REDIS_SERVER", "/their/own/redis")
    assert servers.redis_executable() == "/their/own/redis"
    monkeypatch.delenv("QUALIPY_REDIS_SERVER")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(servers.debian, "PROGRAM_FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match="test tests"):
        servers.redis_executable()


def test_nothing_that_was_started_outlives_its_test_process(tmp_path):
    """Not even when that is killed, and the other one has left its session."""
    script = f"""
        import sys, time
        from pathlib import Path
        from processes import Started
        from redis_server import RedisServer
        server = RedisServer(Path({str(tmp_path)!r}))
        server.start()
        escape = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', "
        escape += "'import time; time.sleep(600)'], start_new_session=True); time.sleep(600)"
        other = Started([sys.executable, "-c", escape], Path({str(tmp_path / "log")!r}))
        while len(other.members()) < 2:
            time.sleep(0.01)
        print(server.socket.parent)
        print(server.process.pid, *server.process.members(), *other.members(), flush=True)
        time.sleep(600)
    """
    support = Path(processes.__file__).parent
    path = os.pathsep.join([str(support), str(support.parent.parent)])
    test = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )
    with test:
        folder = Path(test.stdout.readline().strip())
        pids = [int(pid) for pid in test.stdout.readline().split()]
        test.kill()
    assert len(pids) == 4
    until(lambda: not any(map(is_alive, pids)), 30, f"end of {pids}")
    until(lambda: not folder.exists(), 30, f"end of {folder}")


def test_what_is_waited_for_in_vain_is_named():
    with pytest.raises(AssertionError, match=r"0\.1 s: a miracle"):
        until(lambda: False, 0.1, "a miracle")


def test_a_proxy_forwards_and_lets_clients_reconnect_after_a_cut(redis_server, start_proxy):
    proxy = start_proxy(redis_server)
    with redis.from_url(proxy.url) as client:
        assert client.set("key", "v" * 1_000_000)
        proxy.cut()
        assert len(client.get("key")) == 1_000_000
        redis_server.kill()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        redis_server.restart()
        assert client.ping()


def test_a_message_popped_for_a_half_open_connection_is_lost(redis_server, start_proxy):
    """And a reconnected client finds a working network beside the one that is dead."""
    proxy = start_proxy(redis_server)
    with redis.from_url(proxy.url, socket_timeout=1, retry=None) as client:
        client.ping()
        connection = client.connection_pool.get_connection()
        connection.send_command("BRPOP", "queue", 0)
        until(lambda: redis_server.client().info()["blocked_clients"], 30, "BRPOP to arrive")
        proxy.swallow()
        with pytest.raises(redis.TimeoutError):
            connection.read_response()
        connection.disconnect()
        proxy.resume()
        assert client.ping()
        redis_server.client().lpush("queue", "message")
        assert redis_server.client().llen("queue") == 0


def test_replies_alone_can_be_lost(redis_server, start_proxy):
    proxy = start_proxy(redis_server)
    with redis.from_url(proxy.url, socket_timeout=0.5, retry=None) as client:
        client.ping()
        proxy.swallow("replies")
        with pytest.raises(redis.TimeoutError):
            client.incr("counter")
        assert redis_server.client().get("counter") == b"1"
        proxy.resume()
        assert client.incr("counter") == 2


def test_workers_run_filters_of_the_pack_unless_they_lack_it(plain, shared_redis, start_workers):
    folder, send = plain
    (worker,) = start_workers(shared_redis.url, app="plain", packs=[folder, STAND_INS])
    assert "mean" in send("names").get(timeout=60)
    worker.stop()
    start_workers(shared_redis.url, app="plain", packs=[folder])
    assert "mean" not in send("names").get(timeout=60)


def test_of_a_worker_each_process_can_be_killed_alone(plain, shared_redis, start_workers):
    folder, send = plain
    (worker,) = start_workers(shared_redis.url, app="plain", packs=[folder], concurrency=2)
    assert len(worker.children()) == 2
    assert worker.members() == sorted([worker.main_pid, *worker.children()])

    killed = worker.kill_child(1)
    until(lambda: killed not in worker.children(), 60, "the end of the child")
    until(lambda: len(worker.children()) == 2, 60, lambda: f"a new child\n{worker.tail()}")

    send("start_another").get(timeout=60)
    (other,) = worker.grandchildren()
    assert worker.kill_grandchild() == other
    until(lambda: not worker.grandchildren(), 60, "the end of the grandchild")

    send("start_another").get(timeout=60)
    (other,) = worker.grandchildren()
    worker.kill()
    assert worker.returncode == -signal.SIGKILL
    assert is_alive(other)
    worker.kill_all()
    assert not is_alive(other)


def test_what_befalls_one_worker_leaves_the_other_alone(plain, shared_redis, start_workers):
    folder, send = plain
    first, second = start_workers(shared_redis.url, 2, app="plain", packs=[folder])
    first.kill_all()
    assert not first.members()
    assert send("names").get(timeout=60)
    assert second.stop() == 0


def test_a_frozen_worker_goes_on_when_it_is_thawed(plain, shared_redis, start_workers):
    folder, send = plain
    (worker,) = start_workers(shared_redis.url, app="plain", packs=[folder])
    worker.freeze()
    result = send("names")
    time.sleep(0.5)
    assert not result.ready()
    worker.thaw()
    assert result.get(timeout=60)
    assert worker.stop() == 0


def test_a_worker_that_cannot_start_is_told_with_its_log(shared_redis, start_workers):
    with pytest.raises(AssertionError, match="no_such_module"):
        start_workers(shared_redis.url, app="no_such_module")


def measured(name, source, **parameters) -> float:
    return plugins.registry().get(name)(**parameters).prediction(Image(source))


@pytest.mark.usefixtures("stand_ins")
def test_a_picture_costs_nothing_and_is_told_by_its_number():
    for number in (0, 3, 255, 256, 10**9):
        assert measured("mean", picture(number)) == pytest.approx(mean(number))
        assert measured("mean", picture(number, "word")) == pytest.approx(mean(number))
    with pytest.raises(ImageReadError, match="no picture behind"):
        measured("mean", picture(3, "broken"))


@pytest.mark.usefixtures("stand_ins")
def test_filters_take_the_time_that_they_are_told():
    began, cpu = time.monotonic(), time.thread_time()
    measured("slow", picture(1), seconds=0.2)
    assert time.monotonic() - began >= 0.2
    assert time.thread_time() - cpu < 0.1
    cpu = time.thread_time()
    measured("busy", picture(1), milliseconds=100)
    assert time.thread_time() - cpu >= 0.1


@pytest.mark.usefixtures("stand_ins")
def test_every_run_of_an_image_is_counted(tmp_path):
    assert not runs(tmp_path / "runs")
    for source in (picture(1), picture(2), picture(1)):
        measured("counted", source, file=str(tmp_path / "runs"))
    assert runs(tmp_path / "runs") == {picture(1): 2, picture(2): 1}


def measuring(stand_ins, tmp_path, name, source, **parameters) -> Started:
    """Start a process that measures a picture, and then sleeps for ever."""
    script = (
        "import time; from qualipy_core import Image; from qualipy_core.plugins import registry\n"
        f"filter = registry().get({name!r})(**{parameters!r}); image = Image({source!r})\n"
        "print('here', flush=True); filter.prediction(image)\n"
        "print('survived', flush=True); time.sleep(600)"
    )
    return Started([sys.executable, "-c", script], tmp_path / "measuring.log")


@pytest.mark.parametrize(
    ("how", "status"), [("kill", -signal.SIGKILL), ("segv", -signal.SIGSEGV), ("exit", 7)]
)
def test_poison_kills_as_it_is_told(stand_ins, tmp_path, how, status):
    for word, parameter in (("poison", how), (f"poison-{how}", "kill")):
        source = picture(1, word)
        with measuring(stand_ins, tmp_path, "poison", source, how=parameter) as process:
            assert process.wait() == status


def test_poison_harms_no_other_image_and_heals_after_the_times_that_it_is_told(stand_ins, tmp_path):
    file = tmp_path / "poisoned"
    assert measured("poison", picture(1)) == 0
    for deadly in (True, True, False):
        source = picture(1, "poison")
        parameters = {"times": 2, "file": str(file)}
        with measuring(stand_ins, tmp_path, "poison", source, **parameters) as process:
            if deadly:
                assert process.wait() == -signal.SIGKILL
            else:
                until(lambda p=process: "survived" in p.log(), 60, "a healed image")


@pytest.mark.parametrize("how", ["python", "c"])
def test_a_hanging_filter_is_ended_by_sigkill_at_least(stand_ins, tmp_path, how):
    assert measured("hang", picture(1), how=how) == 0
    with measuring(stand_ins, tmp_path, "hang", picture(1, "hang"), how=how) as process:
        until(lambda: "here" in process.log(), 60, "a start")
        time.sleep(1)
        process.send(signal.SIGINT)
        if how == "c":
            time.sleep(0.5)
            assert process.returncode is None
        else:
            assert process.wait() == -signal.SIGINT
        assert "survived" not in process.log()


def test_poison_can_kill_the_parent_but_never_the_test(stand_ins, tmp_path):
    with measuring(stand_ins, tmp_path, "poison", picture(1, "poison-parent")) as process:
        assert process.wait() == 1
    assert "AssertionError" in process.log()
