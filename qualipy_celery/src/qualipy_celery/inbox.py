"""What was recorded, on its way from the ledger to whoever takes it: `Inbox`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qualipy_celery.ledger import Ledger
from qualipy_celery.underway import Known


class Inbox:
    """Takes each outcome in once, and keeps it in the ledger until it is taken from here.

    Parameters
    ----------
    ledger : Ledger
        The record of the job.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.received = Known()  #: the images whose outcome has come
        self._ledger = ledger
        self._after = "0"
        self._untaken: dict[int, str] = {}  # the stream's entry by number
        self._left: dict[str, int] = {}  # by entry, how many of its outcomes are not taken yet

    def __bool__(self) -> bool:
        """Whether something is not taken yet."""
        return bool(self._untaken)

    def __contains__(self, number: int) -> bool:
        """Whether the outcome of an image is not taken yet."""
        return number in self._untaken

    def read(self, wait: float) -> Iterator[tuple[str, list[tuple[int, dict[str, Any]]]]]:
        """Yield who has recorded outcomes of images, and those that are new."""
        for entry, _, worker, outcomes in self._ledger.read(self._after, wait):
            self._after = entry
            fresh = [(number, plain) for number, plain in outcomes if number not in self.received]
            for number, _ in fresh:
                self.received.add(number)
                self._untaken[number] = entry
            if fresh:
                self._left[entry] = len(fresh)
            else:
                self._ledger.forget([entry])
            yield worker, fresh

    def read_again(self) -> None:
        """Begin with the first entry again, for Redis has lost those that there were."""
        self._after = "0"

    def taken(self, number: int) -> None:
        """Note that an outcome has arrived where it was wanted."""
        entry = self._untaken.pop(number, None)
        if entry is not None:
            self._left[entry] -= 1
            if not self._left[entry]:
                del self._left[entry]
                self._ledger.forget([entry])
