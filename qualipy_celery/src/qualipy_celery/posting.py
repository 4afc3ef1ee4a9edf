"""Messages with chunks for workers: sending one, and how many wait in the queue."""

from __future__ import annotations

from qualipy_celery.application import app
from qualipy_celery.messages import Chunk
from qualipy_celery.patience import patiently
from qualipy_celery.tasks import process_chunk


def post(chunk: Chunk) -> None:
    """Send a chunk to whichever worker takes it."""
    message = chunk.to_dict()
    # What monitors show of the arguments; without it Celery would look through them all.
    shown = {"argsrepr": f"<chunk {chunk.id} of job {chunk.job}>", "kwargsrepr": "{}"}
    patiently(lambda: process_chunk.apply_async((message,), compression="zlib", **shown))


def queue_name() -> str:
    """Return the queue that chunks go to, by the user's routes if there are any."""
    route = app.amqp.router.route({}, process_chunk.name)
    queue = route.get("queue") or app.conf.task_default_queue
    return str(getattr(queue, "name", queue))


def queued() -> int:
    """Return how many messages wait in the queue."""

    def size() -> int:
        with app.pool.acquire(block=True) as link:
            try:
                declared = link.default_channel.queue_declare(queue_name(), passive=True)
            except link.channel_errors:  # there is no such queue while nothing waits in it
                return 0
            return int(declared.message_count)

    return patiently(size)
