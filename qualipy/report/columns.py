"""The results of a run in columns, as small as they can be kept: `Columns`.

A photo costs its name, eight bytes per filter, and what went wrong with it, if anything did.
"""

from __future__ import annotations

from array import array
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qualipy.cli import words

if TYPE_CHECKING:
    from qualipy_core import Result

Problem = tuple[str, str]  # the class of the error, and what it says


class Columns:
    """What results say, column by column; photos are numbered in the order in which they come.

    Attributes
    ----------
    images : list of str
        The names.
    errors : dict of int to (str, str)
        Photos that could not be judged at all: class and message.
    failures : dict of int to dict of str to (str, str)
        Photos on which filters failed, and which.
    regions : dict of int to list of int
        The ROI of photos that have one.
    """

    def __init__(self) -> None:
        self.images: list[str] = []
        self.errors: dict[int, Problem] = {}
        self.failures: dict[int, dict[str, Problem]] = {}
        self.regions: dict[int, list[int]] = {}
        self._predictions: dict[str, array[float]] = {}
        self._flagged: dict[str, array[int]] = {}
        self._groups: dict[str, dict[tuple[str, ...], None]] = {}

    def __len__(self) -> int:
        return len(self.images)

    @property
    def labels(self) -> list[str]:
        """The filters that have measured anything, or failed, in the order of their first time."""
        failed = (label for failures in self.failures.values() for label in failures)
        return list(dict.fromkeys([*self._predictions, *failed]))

    def add(self, result: Result) -> int:
        """Add a result and return the photo's number."""
        number = len(self.images)
        self.images.append(result.image)
        for label, prediction in result.predictions.items():
            column = self._predictions.setdefault(label, array("d"))
            column.extend([nan] * (number - len(column)))
            column.append(prediction)
        for label in result.flagged:
            self._flagged.setdefault(label, array("L")).append(number)
        self._note_problems(number, result)
        if result.ROI is not None:
            self.regions[number] = list(result.ROI)
        for label, names in getattr(result, "companions", {}).items():
            self._groups.setdefault(label, {})[tuple(names)] = None
        return number

    def predictions(self, label: str) -> NDArray[np.float64]:
        """Return what a filter has measured, shape (n,); NaN where it has not."""
        whole = np.full(len(self), nan)
        column = self._predictions.get(label, array("d"))
        whole[: len(column)] = column
        return whole

    def flagged(self, label: str) -> NDArray[np.bool_]:
        """Return which photos a filter has flagged, shape (n,)."""
        which = np.zeros(len(self), dtype=np.bool_)
        which[np.array(self._flagged.get(label, ()), dtype=np.intp)] = True
        return which

    def groups(self) -> dict[str, list[list[int | str]]]:
        """Return the companions that set filters have found, by filter, each group best first.

        A photo is its number; one that was compared with, but has no result here, is its name.
        """
        if not self._groups:
            return {}
        numbers: dict[str, int] = {}
        for number, image in enumerate(self.images):
            numbers.setdefault(image, number)
        return {
            label: [[numbers.get(name, name) for name in names] for names in groups]
            for label, groups in self._groups.items()
        }

    def _note_problems(self, number: int, result: Result) -> None:
        told = words.problems(result)
        if result.error is not None:
            self.errors[number] = (type(result.error).__name__, told[0])
        elif result.failures:
            self.failures[number] = {
                label: (type(failure).__name__, message)
                for (label, failure), message in zip(result.failures.items(), told, strict=True)
            }


def describe(problem: Problem) -> dict[str, Any]:
    """Return a problem as the page knows it."""
    return {"type": problem[0], "message": problem[1]}
