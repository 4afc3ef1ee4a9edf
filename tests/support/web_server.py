"""A web server in a thread, with pages that behave and pages that do not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class WebServer(ThreadingHTTPServer):
    """Serves `pages`: bytes, or a status with headers, by path; see `Handler` for the others."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.sent = 0
        self.hang = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """``/status/418``, ``/to?URL`` (redirects), ``/hang``, ``/endless``, ``/short``."""

    server: WebServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet for head and body, or each answer waits for an acknowledgement

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        path, _, query = self.path.partition("?")
        if path in self.server.pages:
            self._answer(200, self.server.pages[path])
        elif path == "/to":
            self._answer(302, b"", Location=query)
        elif path.startswith("/status/"):
            self._answer(int(path.rpartition("/")[2]), b"")
        elif path == "/hang":
            self.server.hang.wait()
        elif path == "/short":
            self._answer(200, b"x" * 1000, length=2000)
            self.close_connection = True
        elif path == "/endless":
            self.send_response(200)
            self.end_headers()
            self._send_until_nobody_listens()
        else:
            self._answer(404, b"not here")

    def _answer(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def _send_until_nobody_listens(self) -> None:
        self.close_connection = True
        try:
            while not self.server.hang.is_set():
                self.wfile.write(b"x" * 10_000)
                self.wfile.flush()
                self.server.sent += 10_000
                time.sleep(0.001)
        except OSError:
            pass

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def web_server() -> Iterator[WebServer]:
    """Start a server, and stop it."""
    with WebServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.hang.set()
            server.shutdown()
            thread.join()
