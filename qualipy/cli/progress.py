"""The progress bar. Imported only where one is shown, for rich takes its time to load."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

# With the numbers, less than 80: the terminal shows ^C behind the bar, and were that to wrap to
# the next line, the bar would not be found and taken away.
BAR_WIDTH = 24


class _Count(MofNCompleteColumn):
    """How many photos are done, of how many; nothing in a step that does not count them."""

    def render(self, task: Task) -> Text:
        return super().render(task) if task.fields.get("counts", True) else Text("")


class _Rate(ProgressColumn):
    """Photos per second, lately."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.1f} photos/s", style="progress.data.speed")


class _Left(TimeRemainingColumn):
    """The time that is left, once it can be told."""

    def render(self, task: Task) -> Text:
        text = super().render(task)
        return text.append(" left") if text.plain.strip("-:") else Text("")


class Bar:
    """A progress bar on stderr that goes away when the run ends.

    Parameters
    ----------
    done : int
        Photos that need not be judged any more.
    doing : str
        What is done with the photos.
    """

    def __init__(self, done: int = 0, doing: str = "Judging") -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=BAR_WIDTH),
            _Count(),
            _Rate(),
            _Left(compact=True),
            console=Console(stderr=True, highlight=False, markup=False, emoji=False),
            transient=True,
        )
        self._done = done
        self._task = self._progress.add_task(doing, total=None, completed=done)
        self._counted = self._task

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the bar away; nothing happens when it is gone already."""
        self._progress.stop()
        sys.stderr.flush()

    def set_total(self, total: int | None) -> None:
        """Say how many photos there are, once that is known; may come from another thread."""
        self._progress.update(self._counted, total=total)

    def advance(self) -> None:
        """Count a photo."""
        self._progress.advance(self._task)

    def begin(self, doing: str, total: int | None = None) -> None:
        """Show another step from now on.

        Parameters
        ----------
        doing : str
            What is done in it.
        total : int, optional
            To how many photos, which `advance` counts; without, the bar shows that it goes on.
        """
        self._progress.update(self._task, visible=False)
        self._task = self._progress.add_task(doing, total=total, counts=total is not None)

    @contextmanager
    def first(self, doing: str, total: int) -> Iterator[Callable[[], None]]:
        """Show what is done before all else instead, and give what counts a photo of that."""
        self._progress.update(self._task, visible=False)
        task = self._progress.add_task(doing, total=total)
        try:
            yield lambda: self._progress.advance(task)
        finally:
            self._progress.remove_task(task)
            self._progress.reset(self._task, start=True, visible=True, completed=self._done)

    def print(self, text: str, /) -> None:
        """Write lines above the bar, as they are."""
        self._progress.console.print(Text.from_ansi(text.removesuffix("\n")), soft_wrap=True)
