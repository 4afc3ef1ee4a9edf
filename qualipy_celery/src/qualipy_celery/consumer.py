"""A worker's ear: Celery's, without two of its weaknesses.

It would end the worker over a message that is none, and what it had not understood would go back
into the queue and end the next worker. And over an acknowledgement that a dead link swallowed, it
would fall deaf.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer

_log = logging.getLogger(__name__)

# What comes of reading JSON that is not of the form that it should have.
_MISREAD = (AttributeError, LookupError, RecursionError, TypeError, ValueError)


def _acknowledged(message: Any, *_: Any) -> None:
    """Acknowledge a message; on a link that is dead, let the worker connect anew.

    Celery would log it and go on: with a message that counts as being worked on for ever, the
    worker then takes no other one.
    """
    message.ack()


class Consumer(CeleryConsumer):  # type: ignore[misc]
    """Takes messages off the queue, and drops those that nobody could read."""

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], Any]:
        """Return what is called with each message."""
        handle = super().create_task_handler(*args, **options)

        def on_task_received(message: Any) -> Any:
            message.ack_log_error = functools.partial(_acknowledged, message)
            try:
                return handle(message)
            except _MISREAD as error:
                _log.error("A message is malformed and dropped: %r", error)
                return message.reject_log_error(_log, self.connection_errors)

        return on_task_received

    def start(self) -> None:
        """Consume until the worker ends."""
        while True:
            try:
                super().start()
            except _MISREAD as error:  # of the envelope, within the transport: it is gone already
                _log.exception("Something in the queue is no message: %s", error)
                self.on_close()
                self._cancel_connection_timer_entries()
                self.blueprint.restart(self)
            else:
                return
