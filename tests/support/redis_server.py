"""A Redis server of the tests' own, which can be killed and started again."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import redis
from processes import Started, guarded_folder, until
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tools import debian

_serial = itertools.count()


def redis_executable() -> str:
    """Return the path of redis-server: the user's own, the system's, or the checkout's."""
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), str(debian.PROGRAM_FOLDER)])
    found = os.environ.get("QUALIPY_REDIS_SERVER") or shutil.which("redis-server", path=places)
    if not found:
        raise FileNotFoundError(
            "These tests run redis-server, which is not here. `./test tests` brings it; or install "
            "it, or name it in QUALIPY_REDIS_SERVER."
        )
    return found


class RedisServer:
    """A server on a private Unix socket.

    Parameters
    ----------
    folder : Path
        Takes its data and log.
    aof : bool
        Whether what it holds survives `kill` and `stop`: an append-only file.
    maxmemory : str, optional
        Such as ``"4mb"``: beyond it the server refuses to write.
    options : mapping of str to str, optional
        More of its configuration; it listens on the socket in any case.
    admin : (str, str), optional
        Name and password of a user who may do everything, where there is not the default one.
    """

    def __init__(
        self,
        folder: Path,
        aof: bool = False,
        maxmemory: str | None = None,
        options: Mapping[str, str] | None = None,
        admin: tuple[str, str] | None = None,
    ) -> None:
        self._folder = folder
        self._executable = redis_executable()
        self.socket = guarded_folder() / f"redis{next(_serial)}"
        self._options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "dir": str(folder),
            "save": "",
            "appendonly": "yes" if aof else "no",
            "appendfsync": "everysec",
            "set-proc-title": "no",  # would be written over its environment, and our mark there
        }
        if maxmemory:
            self._options |= {"maxmemory": maxmemory, "maxmemory-policy": "noeviction"}
        self._options |= options or {}
        self._process: Started | None = None
        # Tests want to see an error, not to have it tried again behind their back.
        user, password = admin or (None, None)
        self._client = redis.Redis(
            unix_socket_path=str(self.socket),
            username=user,
            password=password,
            retry=Retry(NoBackoff(), 0),
        )

    @property
    def url(self) -> str:
        """What Celery takes as broker and as result backend."""
        return f"redis+socket://{self.socket}?virtual_host=0"

    @property
    def process(self) -> Started:
        assert self._process, "the server has not been started"
        return self._process

    def start(self) -> None:
        """Start it, on the same socket and data as before, and wait until it answers."""
        command = [self._executable]
        for option, value in self._options.items():
            command += [f"--{option}", value]
        self._process = Started(command, self._folder / "redis.log", folder=self._folder)
        self._client.connection_pool.disconnect()
        until(self._answers, 60, lambda: f"an answer of redis-server\n{self.process.tail()}")

    def _answers(self) -> bool:
        assert self.process.returncode is None, f"redis-server ended\n{self.process.tail()}"
        try:
            return bool(self._client.ping())
        except RedisError:  # not there yet, or still reading its file
            return False

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()

    def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        self.process.send(signal.SIGTERM)
        self.process.wait()

    def restart(self) -> None:
        """Kill it if it runs, and start it again."""
        self.kill()
        self.start()

    def client(self) -> redis.Redis:
        """Return a client that raises at once when the server does not answer."""
        return self._client

    def commands(self) -> int:
        """Return how many commands it has run since its start, for whomever."""
        return int(self._client.info("stats")["total_commands_processed"])

    def used_memory(self) -> int:
        """Return how many bytes its data take, with all that it needs to hold them."""
        return int(self._client.info("memory")["used_memory"])

    def close(self) -> None:
        """End it and remove the socket; the folder remains."""
        if self._process:
            self._process.kill_all()
        self._client.close()
        self.socket.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
