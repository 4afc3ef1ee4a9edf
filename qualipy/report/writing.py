"""A report that is written when its results are all there, or when the run is stopped: `Report`."""

from __future__ import annotations

import os
import secrets
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qualipy.cli import words
from qualipy.cli.text import visible
from qualipy.report.columns import Columns, describe
from qualipy.report.explanations import Explanations
from qualipy.report.origin import Origin
from qualipy.report.page import render, run_of
from qualipy.report.rules import Bools, Floats, Rule, rule
from qualipy.report.thumbnails import SIDE, Thumbnails

if TYPE_CHECKING:
    from qualipy_core import Result
    from qualipy_core.criterion import Criterion

FORMAT = {"format": "qualipy-report", "version": 1}
"""What a page's data are; see docs/report.md. The version changes when their meaning does."""

_WITHOUT_SCRIPTS = 200  # photos that are listed where no script runs


class Report:
    """An HTML report, made result by result.

    Parameters
    ----------
    path : str or path
        Of the page. A folder ``<name>_files`` beside it takes what is too large for it.
    origin : Origin
        Where the results come from.
    thumbnails : str
        ``"auto"``: in the page up to `qualipy.report.thumbnails.INLINE_MOST` photos, in the
        folder beyond; ``"inline"``, ``"folder"`` or ``"none"``.
    explain : bool
        Draw where each filter sees it, on the photos that it flags, into the folder. Child
        processes do that: in a script, it must stand under ``if __name__ == "__main__":``.

    Attributes
    ----------
    written : bool
        Whether the page is there.

    Notes
    -----
    Nothing of an earlier report is lost before the new one is whole: the page is written beside
    the old one and put in its place in one step.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        origin: Origin,
        *,
        thumbnails: str = "auto",
        explain: bool = False,
    ) -> None:
        self.path = Path(os.path.realpath(path))
        self.columns = Columns()
        self.thumbnails = Thumbnails(self.path, thumbnails, others=explain)
        explanations = Explanations(origin.filters, origin.folder, self.thumbnails)
        self.explanations = explanations if explain else None
        self._origin = origin
        self._unfinished: Path | None = None
        self.written = False

    def begin(self) -> None:
        """Do nothing yet: a page is written when its results are known."""

    def add(self, result: Result) -> None:
        """Take a result; wait for nothing."""
        number = self.columns.add(result)
        if self.explanations is not None:
            self.explanations.add(number, result)
        if self.thumbnails.wanted:
            self.thumbnails.add(result.thumbnail)

    def end(self, *, complete: bool = True) -> None:
        """Write the page, once, when all is drawn.

        Parameters
        ----------
        complete : bool
            Whether these are all results of the run; the page says so.

        Raises
        ------
        OSError
            It cannot be written. What was there before stays.
        """
        if self.written:  # whoever stops a run twice ends it twice
            return
        if self.explanations is not None:
            self.explanations.catch_up(lambda: False, rest=True)
            self.explanations.stop()
        self._drop_unfinished()
        data, summary = self._described(complete)
        unfinished = self.path.with_name(f".{self.path.name}.{secrets.token_hex(6)}.new")
        self._unfinished = unfinished
        try:
            with open(unfinished, "x", encoding="utf-8", newline="\n") as file:
                for piece in render(data, summary, self.thumbnails.pieces(), self.thumbnails.run):
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            replaced = run_of(self.path)
            os.replace(unfinished, self.path)
        except BaseException:
            self.abandon()
            raise
        self._unfinished = None
        self.written = True
        self.thumbnails.finish(replaced)

    def abandon(self) -> None:
        """Leave no trace of a page that is not written."""
        if self.explanations is not None:
            self.explanations.stop()
        if not self.written:
            self._drop_unfinished()
            self.thumbnails.forget()

    def _drop_unfinished(self) -> None:
        if self._unfinished is not None:
            with suppress(OSError):
                self._unfinished.unlink()
            self._unfinished = None

    def _described(self, complete: bool) -> tuple[dict[str, Any], dict[str, Any]]:
        """The page's data, and what it shows without scripts."""
        from qualipy import __version__

        columns, origin = self.columns, self._origin
        labels = columns.labels if not origin.certain else [*origin.filters, *columns.labels]
        judged = {label: self._judged(label) for label in labels}
        filters = [_filter(label, each) for label, each in judged.items()]
        data = {
            **FORMAT,
            "qualipy": __version__,
            "made": datetime.now().astimezone().isoformat(timespec="seconds"),
            "complete": complete,
            "stopEarly": origin.stop_early,
            "paths": list(origin.paths),
            "options": [list(option) for option in origin.options],
            "places": origin.places(self.path),
            "filters": filters,
            "images": columns.images,
            "regions": columns.regions,
            "errors": {number: describe(each) for number, each in columns.errors.items()},
            "failures": {
                number: {label: describe(each) for label, each in failures.items()}
                for number, failures in columns.failures.items()
            },
            "companions": columns.groups(),
            "thumbnails": self.thumbnails.described() | {"side": SIDE},
            "explanations": self.explanations.described if self.explanations else {},
        }
        return data, self._summary(data, judged)

    def _judged(self, label: str) -> _Judged:
        item = self._origin.filters.get(label)
        predictions, flagged = self.columns.predictions(label), self.columns.flagged(label)
        found = rule(item, predictions, flagged, certain=self._origin.certain)
        return _Judged(item, found, predictions, flagged)

    def _summary(self, data: Mapping[str, Any], judged: Mapping[str, _Judged]) -> dict[str, Any]:
        columns = self.columns
        margins = np.zeros(len(columns))
        any_flagged = np.zeros(len(columns), dtype=np.bool_)
        for each in judged.values():
            margins = np.maximum(margins, each.rule.margins(each.flagged))
            any_flagged |= each.flagged
        worst = np.flatnonzero(any_flagged)
        worst = worst[np.argsort(-margins[worst], kind="stable")]
        failed = {*columns.errors, *columns.failures}
        return {
            "title": _title(data["paths"], columns.images),
            "made": data["made"],
            "complete": data["complete"],
            "photos": len(columns),
            "flagged": int(any_flagged.sum()),
            "failed": len(failed),
            "filters": [
                {"label": visible(label), "flagged": int(each.flagged.sum())}
                for label, each in judged.items()
            ],
            "worst": [
                {
                    "image": visible(columns.images[number]),
                    "reasons": list(self._reasons(int(number), judged)),
                }
                for number in worst[:_WITHOUT_SCRIPTS]
            ],
            "errors": [
                {"image": visible(columns.images[number]), "message": problem[1]}
                for number, problem in list(columns.errors.items())[:_WITHOUT_SCRIPTS]
            ],
        }

    def _reasons(self, number: int, judged: Mapping[str, _Judged]) -> Iterator[str]:
        for label, each in judged.items():
            if each.flagged[number]:
                item = each.item if self._origin.certain else None
                yield visible(words.reason(label, item, float(each.predictions[number])))


@dataclass(frozen=True)
class _Judged:
    """A filter, and what it has said about the photos."""

    item: Criterion | None
    rule: Rule
    predictions: Floats
    flagged: Bools


def _filter(label: str, judged: _Judged) -> dict[str, Any]:
    """What the page knows of a filter."""
    item, found, predictions = judged.item, judged.rule, judged.predictions
    same = np.array_equal(found.positions, predictions, equal_nan=True)
    described: dict[str, Any] = {
        "label": label,
        "name": label.partition("#")[0],
        "summary": "",
        "sign": found.sign,
        "threshold": found.threshold,
        "scale": [found.low, found.high],
        "note": found.note,
        "predictions": _packed(predictions),
        "positions": None if same else _packed(found.positions),
        "flagged": np.flatnonzero(judged.flagged).tolist() if found.sign is None else None,
        "parameters": {},
        "standard": None,
        "ofSet": False,
    }
    if item is not None:
        text = (type(item).__doc__ or "").strip()
        standard = type(item)().to_dict()
        values = item.to_dict()
        described |= {
            "name": values.pop("name"),
            "summary": text.partition("\n")[0],
            "standard": standard["threshold"],
            "parameters": {
                name: value
                for name, value in values.items()
                if name != "threshold" and value != standard.get(name, None)
            },
            "ofSet": not hasattr(item, "measure"),
        }
    return described


def _packed(values: Floats) -> str:
    """Numbers as base64 of 64-bit floats, little end first: exact, and quick to read."""
    return b64encode(values.astype("<f8").tobytes()).decode()


def _title(paths: list[str], images: list[str]) -> str:
    """What was judged, in a few words."""
    if len(paths) == 1 and paths[0] != "-":
        return visible(paths[0])
    if paths and paths[0] != "-":
        return f"{visible(paths[0])} and {len(paths) - 1} more"
    return visible(_common_folder(images))


def _common_folder(images: list[str]) -> str:
    """The folder that holds all photos, as their paths have it."""
    folders = {os.path.dirname(image) for image in images}
    try:
        return os.path.commonpath(folders) or "photos"
    except ValueError:  # none, some absolute and some not, or on several drives
        return "photos"
