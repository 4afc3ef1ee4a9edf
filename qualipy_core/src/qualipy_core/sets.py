"""The step over a whole set: what is measured of each image waits until all can be compared.

::

    task ── executor ── measured ─┬─ fingerprints ── in memory ──────── compare ─┐
                                  └─ the rest ────── lines of a file ────────────┴─ Result

What waits costs memory for a name and the fingerprints; predictions, errors and thumbnails lie in
a file: a temporary one, or a `Journal` that a later run goes on with.
"""

from __future__ import annotations

import json
import os
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qualipy_core.errors import FilterError
from qualipy_core.fingerprints import Fingerprints, Identity, Kept
from qualipy_core.journal import Journal, asked_by

if TYPE_CHECKING:
    from qualipy_core.plan import Plan, Task
    from qualipy_core.result import Result
    from qualipy_core.setfilter import Comparison, SetFilter

MOST_COMPANIONS = 100
"""How many names of a group a result lists at most: a group of n photos has n lists of n names."""


def together(
    tasks: Iterable[Task],
    plan: Plan,
    run: Callable[[Iterable[Task]], Iterator[Result]],
    *,
    progress: Callable[[Result], object] | None = None,
    fingerprints: str | os.PathLike[str] | Fingerprints | None = None,
    journal: str | os.PathLike[str] | None = None,
) -> Iterator[Result]:
    """Measure images, compare them, and yield their results in their order.

    Parameters
    ----------
    tasks : iterable of Task
        The images; it must end.
    plan : Plan
        With set filters.
    run : callable
        Measures images: yields a result per task, in order.
    progress, fingerprints, journal
        As in `qualipy_core.scan`.
    """
    known = fingerprints
    if isinstance(known, str | os.PathLike):
        known = Fingerprints(known)
    with ExitStack() as stack:
        if known is not None:
            stack.enter_context(known.opened(plan))
        kept = Journal.temporary() if journal is None else Journal.at(journal, plan)
        gathered = Gathered(plan, kept, known)
        stack.callback(gathered.close)
        under_way: deque[_UnderWay] = deque()
        stays = not (known is None and journal is None)

        def take(result: Result, each: _UnderWay) -> None:
            gathered.add(result, each.asked, each.line, each.identity)
            if progress is not None:
                progress(result)

        def take_measured() -> None:
            while under_way and (line := under_way[0].line) is not None:
                take(kept.read(line), under_way.popleft())

        def unmeasured() -> Iterator[Task]:
            for task in tasks:
                # Before it is opened: a file that changes meanwhile is measured again next time.
                identity = Identity.of(task) if stays else None
                asked = None if journal is None else asked_by(task, identity)
                line = None if asked is None else kept.take(asked)
                if line is None and known is not None and known.skips(task):
                    continue
                under_way.append(_UnderWay(asked, line, None if known is None else identity))
                if line is None:
                    yield task
                else:
                    take_measured()

        for result in run(unmeasured()):
            take_measured()
            take(result, under_way.popleft())
        take_measured()
        yield from gathered.compared()


class _UnderWay(NamedTuple):
    asked: list[Any] | None  #: what a later run asks by, where there is one
    line: int | None  #: of the journal, where it is measured already
    identity: Identity | None  #: by what it is kept, where it is


class Gathered:
    """Images that are measured, and wait for the others of their set.

    Parameters
    ----------
    plan : Plan
        With set filters.
    journal : Journal, optional
        Where results wait; a temporary file by default.
    known : Fingerprints, optional
        Images that were measured before, to compare these with.
    """

    def __init__(
        self, plan: Plan, journal: Journal | None = None, known: Fingerprints | None = None
    ) -> None:
        self.journal = Journal.temporary() if journal is None else journal
        self._plan = plan
        self._known = known
        self._columns = {label: _Column(step) for label, step in plan.set_filters}
        self._lines = array("Q")  # of the journal, by image
        self._names: list[str] = []
        self._regions: dict[int, str] = {}
        self._identities: dict[int, Identity] = {}

    def __len__(self) -> int:
        return len(self._names)

    def add(
        self,
        result: Result,
        asked: list[Any] | None = None,
        line: int | None = None,
        identity: Identity | None = None,
    ) -> None:
        """Take an image.

        Parameters
        ----------
        result : Result
            What is measured of it.
        asked : list, optional
            What a later run asks for it by: `qualipy_core.journal.asked_by`.
        line : int, optional
            Of the journal, where it stands there already.
        identity : Identity, optional
            By what it is known later.
        """
        number = len(self._names)
        self._lines.append(self.journal.write(result, asked) if line is None else line)
        self._names.append(result.image)
        if identity is not None:
            self._identities[number] = identity
        if result.ROI is not None:
            self._regions[number] = json.dumps(list(result.ROI))
        for label, column in self._columns.items():
            if label in result.fingerprints:
                column.add(number, result.fingerprints[label], result.image)

    def compared(self) -> Iterator[Result]:
        """Compare all images by each set filter, and yield their results in the order given.

        What is known of the images is kept when the last one has been taken.
        """
        views = {
            label: self._view(label, column)
            for label, column in self._columns.items()
            if column.numbers
        }
        for number, line in enumerate(self._lines):
            yield self._completed(number, self.journal.read(line), views)
        # What could not be compared is not kept: it would spoil what is.
        if self._known is not None and not any(isinstance(v, FilterError) for v in views.values()):
            forms = {label: c.form for label, c in self._columns.items() if c.form is not None}
            self._known.extend(forms, self._complete_ones())

    def close(self) -> None:
        """Let go of the file."""
        self.journal.close()

    def _complete_ones(self) -> Iterator[tuple[Identity, dict[str, bytes]]]:
        """Images of which there are all fingerprints; the others are to be tried again."""
        for number, identity in self._identities.items():
            rows = {label: column.row(number) for label, column in self._columns.items()}
            if (whole := {label: row for label, row in rows.items() if row is not None}) == rows:
                yield identity, whole

    def _view(self, label: str, column: _Column) -> _View | FilterError:
        kept = None
        if self._known is not None and column.numbers:
            kept = self._known.kept(label, {each[:2] for each in self._identities.values()})
        shown = [self._names[number] for number in column.numbers]
        names, regions = [], []
        for number, name in zip(column.numbers, shown, strict=True):
            identity = self._identities.get(number)
            names.append(name if identity is None else identity.name)
            regions.append(self._regions.get(number, "null"))
        try:
            rows = column.rows(kept)
            if kept is not None:
                names, shown = names + kept.names, shown + kept.names
                regions += kept.regions
            stand_in = _stand_ins(names, regions, len(column.numbers))
            chosen = np.flatnonzero(stand_in == np.arange(len(names)))
            order = chosen[
                _order([names[i] for i in chosen], [regions[i] for i in chosen], rows[chosen])
            ]
            comparison = column.step.comparison_of(_sorted(rows, order))
        except FilterError as failure:
            return failure
        return _View(column.numbers, order, stand_in, shown, comparison)

    def _completed(
        self, number: int, result: Result, views: Mapping[str, _View | FilterError]
    ) -> Result:
        predictions, decisions = dict(result.predictions), dict(result.decisions)
        failures, companions = dict(result.failures), dict(result.companions)
        for label, step in self._plan.set_filters:
            if self._plan.stop_early and any(decisions.values()):
                break
            if label not in result.fingerprints:
                continue
            view = views[label]
            if isinstance(view, FilterError):
                failures[label] = view
                continue
            prediction = view.prediction(number)
            try:
                decisions[label] = step.decision(prediction)
            except FilterError as failure:
                failures[label] = failure
                continue
            predictions[label] = prediction
            if group := view.companions(number, result.image):
                companions[label] = group
        return replace(
            result,
            predictions=predictions,
            decisions=decisions,
            failures=failures,
            companions=companions,
        )


class _Column:
    """The fingerprints of a filter, one behind the other, and whose they are."""

    def __init__(self, step: SetFilter) -> None:
        self.step = step
        self.form: tuple[np.dtype[Any], tuple[int, ...]] | None = None
        self.numbers = array("Q")
        self._data = bytearray()
        self._first = ""
        self._unlike: str | None = None

    def add(self, number: int, fingerprint: NDArray[Any], image: str) -> None:
        form = (fingerprint.dtype, fingerprint.shape)
        if self.form is None:
            self.form, self._first = form, image
        self.numbers.append(number)
        if form == self.form:
            self._data += fingerprint.tobytes()
        elif self._unlike is None:
            self._unlike = f"{_told(form)} of {image}"

    def rows(self, kept: Kept | None) -> NDArray[Any]:
        """All fingerprints, shape (n, *shape): those of the images, then those that were kept."""
        if self.form is None:
            raise AssertionError("there are no fingerprints")
        if self._unlike is not None:
            raise self.step.failure(
                f"made fingerprints of different forms: {_told(self.form)} of {self._first}, "
                f"{self._unlike}"
            )
        dtype, shape = self.form
        rows = np.frombuffer(self._data, dtype).reshape(len(self.numbers), *shape)
        if kept is None:
            return rows
        if (kept.rows.dtype, kept.rows.shape[1:]) != self.form:
            there = (kept.rows.dtype, kept.rows.shape[1:])
            raise self.step.failure(
                f"made fingerprints of another form than those that are kept: {_told(self.form)}, "
                f"not {_told(there)}"
            )
        return np.concatenate([rows, kept.rows])

    def row(self, number: int) -> bytes | None:
        """The bytes of an image's fingerprint, if it has one that can be compared."""
        place = bisect_left(self.numbers, number)
        if self._unlike is not None or self.numbers[place : place + 1] != array("Q", [number]):
            return None
        size = len(self._data) // len(self.numbers)
        return bytes(self._data[place * size : (place + 1) * size])


class _View:
    """What a comparison says of the images that were measured now."""

    def __init__(
        self,
        numbers: Sequence[int],
        order: NDArray[np.intp],
        stand_in: NDArray[np.intp],
        names: list[str],
        comparison: Comparison,
    ) -> None:
        self._order = order
        self._names = names
        self._groups = comparison.groups
        self._predictions: dict[int, float] = {}
        self._groups_of: dict[int, list[int]] = {}
        count = len(numbers)
        places = np.empty(len(stand_in), np.intp)
        places[order] = np.arange(len(order))
        of_images = comparison.predictions[places[stand_in[:count]]]
        self._predictions = dict(zip(numbers, of_images.tolist(), strict=True))
        stood_for: dict[int, list[int]] = {}
        for entry, other in enumerate(stand_in[:count].tolist()):
            stood_for.setdefault(other, []).append(numbers[entry])
        for number, group in enumerate(self._groups):
            for index in group:
                for image in stood_for.get(int(order[index]), ()):
                    self._groups_of.setdefault(image, []).append(number)

    def prediction(self, number: int) -> float:
        """The prediction of an image."""
        return self._predictions[number]

    def companions(self, number: int, name: str) -> tuple[str, ...]:
        """The names of the images that belong together with one, itself included."""
        entries = [i for group in self._groups_of.get(number, ()) for i in self._groups[group]]
        entries = list(dict.fromkeys(entries))
        names = [self._names[self._order[i]] for i in entries[:MOST_COMPANIONS]]
        if entries[MOST_COMPANIONS:] and name not in names:
            names[-1] = name
        return tuple(names)


def _stand_ins(names: list[str], regions: list[str], measured: int) -> NDArray[np.intp]:
    """Which entry stands for each in the comparison; -1 for one that takes no part.

    A file that is given twice, by one path or by a link, is no duplicate of itself: the first name
    stands for all. Of what was kept, a file that is measured again, or gone, is left out.
    """
    first: dict[tuple[Any, ...], int] = {}
    stand_in = np.full(len(names), -1, np.intp)
    by_name = sorted(range(measured), key=names.__getitem__)
    for entry in (*by_name, *range(measured, len(names))):
        name, region = names[entry], regions[entry]
        kept = entry >= measured
        try:
            status = os.stat(name)
            file: tuple[Any, ...] = (status.st_dev, status.st_ino)
        except (OSError, ValueError):
            if kept and "://" not in name:
                continue
            file = (name,) if "://" in name else (entry,)
        if kept and (file, None) in first:
            continue
        stand_in[entry] = first.setdefault((file, region), entry)
        if not kept:
            first.setdefault((file, None), entry)
    return stand_in


def _order(names: list[str], regions: list[str], rows: NDArray[Any]) -> NDArray[np.intp]:
    """The order of names, whatever that of the images is; then of regions, then of content."""
    order = sorted(range(len(names)), key=names.__getitem__)
    begin = 0
    for end in range(1, len(order) + 1):
        if end < len(order) and names[order[end]] == names[order[begin]]:
            continue
        if end - begin > 1:
            order[begin:end] = sorted(
                order[begin:end], key=lambda i: (regions[i], rows[i].tobytes())
            )
        begin = end
    return np.array(order, np.intp)


def _sorted(rows: NDArray[Any], order: NDArray[np.intp]) -> NDArray[Any]:
    ordered = rows[order]
    ordered.flags.writeable = False
    return ordered


def _told(form: tuple[np.dtype[Any], tuple[int, ...]]) -> str:
    dtype, shape = form
    return f"{dtype} {shape}" if shape else str(dtype)
