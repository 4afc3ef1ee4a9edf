"""Servers, networks and workers, all of them real, and all of them gone after the test."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from celery_client import connect, disconnect
from celery_workers import Worker
from proxy import Proxy
from redis_server import RedisServer
from stand_ins import STAND_INS

from qualipy_core import plugins

_workers = pytest.StashKey[list[Worker]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show what the workers of a failed test have said."""
    report = yield
    if report.failed and report.when != "teardown":
        for worker in item.stash.get(_workers, []):
            report.sections.append((f"log of worker {worker.name}", worker.tail()))
    return report


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """A function that starts servers: ``start_redis(aof=True, maxmemory="4mb")``."""
    with ExitStack() as cleanup:
        numbers = itertools.count()

        def start(**options: Any) -> RedisServer:
            folder = tmp_path / f"redis-{next(numbers)}"
            folder.mkdir()
            return cleanup.enter_context(RedisServer(folder, **options))

        yield start


@pytest.fixture
def redis_server(start_redis: Callable[..., RedisServer]) -> RedisServer:
    """A server of this test's own, which it may kill; what it held is then lost."""
    return start_redis()


@pytest.fixture(scope="session")
def _session_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def shared_redis(_session_redis: RedisServer) -> RedisServer:
    """A server that is empty, and that the test leaves alive."""
    _session_redis.client().flushall()
    return _session_redis


@pytest.fixture
def start_proxy() -> Iterator[Callable[[RedisServer], Proxy]]:
    """A function that puts a network before a server."""
    with ExitStack() as cleanup:
        yield lambda server: cleanup.enter_context(Proxy(server.socket))


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pack of stand-ins, found in this process and in those that it starts."""
    sys.modules.pop("qualipy_stand_ins", None)
    monkeypatch.syspath_prepend(str(STAND_INS))
    inherited = os.environ.get("PYTHONPATH")
    path = os.pathsep.join(filter(None, [str(STAND_INS), inherited]))
    monkeypatch.setenv("PYTHONPATH", path)
    plugins.refresh()
    return STAND_INS


@pytest.fixture
def start_workers(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[..., list[Worker]]]:
    """A function that starts workers, side by side, and returns them when all are ready."""
    started: list[Worker] = []
    request.node.stash[_workers] = started
    folder = tmp_path / "workers"
    folder.mkdir()

    def start(
        url: str,
        count: int = 1,
        *,
        concurrency: int = 1,
        lacking: bool = False,
        lease: float | None = None,
        environment: Mapping[str, str] | None = None,
        packs: Sequence[Path] = (STAND_INS,),
        app: str = "qualipy_celery",
        options: Sequence[str] = (),
        ready: bool = True,
    ) -> list[Worker]:
        """Start workers.

        ``lacking``: without any pack but the installed ones. ``ready``: wait until they are.
        """
        given = dict(environment or {})
        if lease is not None:
            given["QUALIPY_LEASE"] = str(lease)
        new = []
        for _ in range(count):
            worker = Worker(
                folder,
                url,
                f"worker{len(started)}",
                app=app,
                concurrency=concurrency,
                packs=() if lacking else packs,
                environment=given,
                options=options,
            )
            started.append(worker)
            new.append(worker)
        if ready:
            for worker in new:
                worker.wait_ready()
        return new

    yield start
    for worker in started:
        worker.kill_all()


@dataclass(frozen=True)
class Standing:
    """A server and a worker of two processes that tests share: they cost seconds to start."""

    server: RedisServer
    worker: Worker

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def folder(self) -> Path:
        """Where the worker works."""
        return self.worker.log_file.parent


@pytest.fixture(scope="session")
def _session_standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    folder = tmp_path_factory.mktemp("standing")
    with ExitStack() as cleanup:
        server = cleanup.enter_context(RedisServer(folder))
        worker = cleanup.enter_context(Worker(folder, server.url, "standing", packs=(STAND_INS,)))
        worker.wait_ready()
        yield Standing(server, worker)


@pytest.fixture
def standing(
    request: pytest.FixtureRequest, _session_standing: Standing, stand_ins: Path
) -> Iterator[Standing]:
    """They, to be left alive; this process is their client, and finds the same filters."""
    from qualipy_celery import list_jobs
    from qualipy_celery.jobs import Job

    request.node.stash[_workers] = [_session_standing.worker]
    assert _session_standing.worker.returncode is None, "an earlier test has ended the worker"
    connect(_session_standing.url)
    yield _session_standing
    _session_standing.server.client().delete("qualipy")
    for status in list_jobs():
        if status.state == "running":
            Job(status.id).cancel()
    disconnect()
