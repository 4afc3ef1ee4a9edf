"""A network between clients and a Redis server that can break in ways a server alone cannot."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

Swallowed = Literal["nothing", "replies", "all"]

_RESET = struct.pack("ii", 1, 0)  # linger for no time: closing tells the peer of a failure


@dataclass(eq=False)
class _Link:
    client: socket.socket
    server: socket.socket
    swallowed: Swallowed = "nothing"

    def close(self, reset: bool = False) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                if reset and end is self.client:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Proxy:
    """Listens on a TCP port of 127.0.0.1 and forwards to a server's Unix socket.

    Parameters
    ----------
    target : Path
        The server's socket; the server may die and come back.
    """

    def __init__(self, target: Path) -> None:
        self._target = str(target)
        self._links: set[_Link] = set()
        self._lock = threading.Lock()
        self._swallowed: Swallowed = "nothing"
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def connections(self) -> int:
        """How many connections are open, the half-open ones included."""
        with self._lock:
            return len(self._links)

    def swallow(self, what: Swallowed = "all") -> None:
        """Break the link without telling anybody: nothing is closed, and bytes vanish.

        That holds for the connections of now for good, and for new ones until `resume`. The server
        does not even hear that a client has given up, and may go on to send it messages.

        Parameters
        ----------
        what : {"all", "replies"}
            ``"replies"``: commands still reach the server.
        """
        with self._lock:
            self._swallowed = what
            for link in self._links:
                link.swallowed = what

    def resume(self) -> None:
        """Forward what comes over new connections; the half-open ones remain so."""
        with self._lock:
            self._swallowed = "nothing"

    forward = resume

    def cut(self) -> None:
        """Reset every connection, the half-open ones too; new ones are forwarded as before."""
        with self._lock:
            links, self._links = self._links, set()
        for link in links:
            link.close(reset=True)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(10)
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self._target)
            except OSError:  # the server is dead
                client.close()
                server.close()
                continue
            with self._lock:
                link = _Link(client, server, self._swallowed)
                self._links.add(link)
            for source, sink in ((client, server), (server, client)):
                pump = threading.Thread(target=self._pump, args=(link, source, sink), daemon=True)
                pump.start()

    def _pump(self, link: _Link, source: socket.socket, sink: socket.socket) -> None:
        replies = source is link.server
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if link.swallowed == "all" or (link.swallowed == "replies" and replies):
                    continue
                sink.sendall(data)
        if link.swallowed != "nothing" and not replies:
            return  # nobody hears that this client has gone
        with self._lock:
            self._links.discard(link)
        link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
