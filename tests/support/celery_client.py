"""The test's own process as a client of distributed jobs, connected to one server after another."""

from __future__ import annotations

from typing import Any

from kombu import pools

from qualipy_celery.application import app
from qualipy_celery.settings import celery_settings


def connect(url: str, **settings: Any) -> None:
    """Let the application of this process talk to a server, and to no other any more."""
    disconnect()
    ours = celery_settings({"QUALIPY_BROKER_URL": url})
    app.conf.update({"redis_socket_keepalive": False} | ours | settings)


def disconnect() -> None:
    """Drop every connection and all that remembers one."""
    for backend in (getattr(app._local, "backend", None), app._backend_cache):
        if backend is not None:
            backend.result_consumer.stop()
            backend.result_consumer.subscribed_to.clear()  # for results that are still about
            backend.client.connection_pool.disconnect()
    vars(app._local).clear()
    app._backend_cache = None
    app._pool = app.amqp._producer_pool = None
    pools.reset()
