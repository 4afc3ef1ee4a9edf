"""The servers that pages of the documentation start, on a socket of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from celery_client import connect, disconnect
from processes import Started, until
from redis_server import RedisServer


class Servers:
    """Redis and a worker, as ``redis-server`` and ``qualipy worker`` would start them.

    Parameters
    ----------
    folder : Path
        Takes logs and data.
    environment : mapping of str to str
        The variables of the page's commands.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        folder.mkdir()
        self._redis = RedisServer(folder)
        self._worker: Started | None = None
        self.environment = {
            **environment,
            "QUALIPY_BROKER_URL": self._redis.url,
            "XDG_STATE_HOME": str(folder / "state"),
        }

    @property
    def commands(self) -> dict[str, Callable[[], None]]:
        """What to do in the place of which command."""
        return {"redis-server": self._start_redis, "qualipy worker": self._start_worker}

    def _start_redis(self) -> None:
        self._redis.start()
        connect(self._redis.url)

    def _start_worker(self) -> None:
        command = ["bash", "-c", "exec qualipy worker"]
        worker = Started(command, self._folder / "worker.log", self.environment, Path.cwd())
        self._worker = worker
        until(lambda: " ready." in worker.log(), 120, lambda: f"a worker\n{worker.tail()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        disconnect()
        if self._worker:
            self._worker.kill_all()
        self._redis.close()
