"""Ctrl-C between two results, never within one."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _nothing_more(_number: int, _frame: FrameType | None) -> None:
    """Hear no further signal: an interrupted program has only a moment's work left."""


@contextmanager
def handled_by_us(*, process_ends: bool) -> Iterator[None]:
    """Run the program, and leave no handler of ours behind.

    Parameters
    ----------
    process_ends : bool
        The process ends with the program. If it was interrupted, signals are ignored from here:
        Python's own would change its exit status while it shuts down.
    """
    alone = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in _SIGNALS if alone}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is _nothing_more:
                signal.signal(number, signal.SIG_IGN if process_ends else handler)


class Interrupts:
    """Turns the first Ctrl-C into a `KeyboardInterrupt` at a moment that does no harm.

    Workers then finish the photos that they have begun. Who does not want to wait for that
    presses Ctrl-C again, which ends the process at once.

    Parameters
    ----------
    gentle : bool
        Wait for the next result: processes that are being started or handed work can't be left
        half done.
    stopping : callable
        Called at the first signal.
    give_up : callable
        Called at the second one, before the process ends.
    """

    def __init__(
        self, *, gentle: bool, stopping: Callable[[], None], give_up: Callable[[], None]
    ) -> None:
        self.signal: int | None = None
        self._gentle = gentle
        self._waiting = False
        self._stopping = stopping
        self._give_up = give_up
        self._held = False
        self._told = False
        self._before: dict[int, Any] = {}

    @property
    def exit_code(self) -> int | None:
        """The exit status that tells of the signal, as shells have it; ``None`` without one."""
        return None if self.signal is None else 128 + self.signal

    def __enter__(self) -> Self:
        # Elsewhere signals can't be handled: whoever runs us in a thread handles them.
        if threading.current_thread() is threading.main_thread():
            # What started us in the background may have had a signal ignored, for us as well.
            heard = [each for each in _SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._handle) for number in heard}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler if self.signal is None else _nothing_more)

    def came(self) -> bool:
        """Whether there was one."""
        return self.signal is not None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Put a signal off until the block has ended."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self.signal is not None:
            self._tell()
            raise KeyboardInterrupt

    def interruptible(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items, which may have to be waited for; none once a signal has come."""
        iterator = iter(items)
        while self.signal is None:
            self._waiting = True
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self._waiting = False
            yield item

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is not None:
            if not self._held:
                self._give_up()
            os._exit(128 + number)
        self.signal = number
        if self._held:
            return
        self._tell()
        if self._waiting or not self._gentle:
            raise KeyboardInterrupt

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            self._stopping()
