"""The progress bar. Imported only where one is shown, for rich takes its time to load."""

from __future__ import annotations

import sys
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
    """

    def __init__(self, done: int = 0) -> None:
        self._progress = Progress(
            TextColumn("Judging"),
            BarColumn(bar_width=BAR_WIDTH),
            MofNCompleteColumn(),
            _Rate(),
            _Left(compact=True),
            console=Console(stderr=True, highlight=False, markup=False, emoji=False),
            transient=True,
        )
        self._task = self._progress.add_task("", total=None, completed=done)

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
        self._progress.update(self._task, total=total)

    def advance(self) -> None:
        """Count a photo."""
        self._progress.advance(self._task)

    def print(self, text: str, /) -> None:
        """Write lines above the bar, as they are."""
        self._progress.console.print(Text.from_ansi(text.removesuffix("\n")), soft_wrap=True)
