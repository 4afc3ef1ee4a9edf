"""Pictures of where a filter sees it, for the photos that it has flagged: `Explanations`.

They are drawn in child processes as results come, while others judge the next photos, and go to
files beside the page: it holds their names, and shows one when it is asked to. What goes wrong
with one costs that one.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from qualipy.report.thumbnails import Thumbnails
from qualipy_core.errors import ImageTimeoutError, QualipyError

if TYPE_CHECKING:
    from qualipy.explaining.apart import Answer, Artists
    from qualipy_core import Filter, Result
    from qualipy_core.criterion import Criterion
    from qualipy_core.limits import Limits

_SIDE = 960  # pixels at most: they are looked at one at a time, as large as the window
_MOST_TIMEOUTS = 5  # in a row, after which a filter is not asked any more: each costs a minute


class Explanations:
    """The explanations of one page.

    Parameters
    ----------
    filters : mapping of str to Criterion
        Those of the run, by their key in results.
    folder : str
        The folder that relative paths start from.
    files : Thumbnails
        Where files beside the page go.

    Attributes
    ----------
    jobs : int
        How many processes may draw; to be set before the first result.
    limits : Limits or None
        What drawing one photo may cost; likewise.
    """

    def __init__(self, filters: Mapping[str, Criterion], folder: str, files: Thumbnails) -> None:
        self.jobs = 1
        self.limits: Limits | None = None
        self._filters = filters
        self._folder = folder
        self._files = files
        self._artists: Artists | None = None
        self._stopped = False
        self._drawn: dict[str, dict[int, dict[str, str]]] = {}
        self._failed: Counter[str] = Counter()
        self._first = ""  # what went wrong first
        self._timeouts: Counter[str] = Counter()

    @property
    def described(self) -> dict[str, dict[int, dict[str, str]]]:
        """What the page knows of them, by filter and number, in the same order in every run."""
        labels = [label for label in self._filters if label in self._drawn]
        return {label: dict(sorted(self._drawn[label].items())) for label in labels}

    @property
    def problems(self) -> str:
        """What to say about those that could not be drawn; nothing if there are none."""
        if not self._failed:
            return ""
        number = self._failed.total()
        what = "One picture" if number == 1 else f"{number:,} pictures"
        first = "" if number == 1 else "The first: "
        given_up = [each for each, times in self._timeouts.items() if times >= _MOST_TIMEOUTS]
        more = f" No more of {', '.join(given_up)} were tried." if given_up else ""
        return f"{what} of where a filter sees it could not be drawn. {first}{self._first}{more}"

    def add(self, number: int, result: Result) -> None:
        """Have drawn what was seen in a photo by those who have flagged it; do not wait for it."""
        from qualipy.explaining import shows

        path = os.path.join(self._folder, result.image)
        if self._stopped or not result.flagged or not os.path.isfile(path):
            return
        for label in result.flagged:
            item = self._filters.get(label)
            if item is not None and shows(item):
                self._order(number, label, item, path, result)

    def catch_up(self, stopped: Callable[[], bool], *, rest: bool = False) -> None:
        """Wait until few are left to be drawn, or none, or somebody wants to stop."""
        if self._artists is not None:
            self._artists.catch_up(stopped, rest=rest)

    def stop(self) -> None:
        """Draw no more."""
        self._stopped = True
        if self._artists is not None:
            self._artists.close()

    def _order(self, number: int, label: str, item: Filter, path: str, result: Result) -> None:
        from qualipy.explaining.apart import Artists, Order
        from qualipy_core.limits import Limits

        def deliver(answer: Answer) -> None:
            self._take_in(number, label, answer)

        if self._timeouts[label] >= _MOST_TIMEOUTS:
            self._failed[label] += 1
            return
        if self._artists is None:
            self._artists = Artists(self.jobs)
        limits = self.limits or Limits()
        order = Order(item, path, result.ROI, side=_SIDE, limits=limits, name=result.image)
        self._artists.take(order, deliver)

    def _take_in(self, number: int, label: str, answer: Answer) -> None:
        if isinstance(answer, QualipyError):
            self._first = self._first or str(answer)
            self._failed[label] += 1
            late = isinstance(answer, ImageTimeoutError)
            self._timeouts[label] = self._timeouts[label] + 1 if late else 0
            return
        self._timeouts[label] = 0
        if answer is not None:
            name = f"where/{number}-{re.sub(r'[^0-9A-Za-z_]', '-', label)}.jpg"
            file = self._files.place(name, answer.picture.data)
            told = self._drawn.setdefault(label, {})
            told[number] = {"file": file, "text": answer.picture.summary}
