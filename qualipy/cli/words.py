"""A result in words: the verdict, the reasons, the summary of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import click

from qualipy.cli.text import visible

if TYPE_CHECKING:
    from qualipy_core import Result
    from qualipy_core.criterion import Criterion

Verdict = Literal["suitable", "flagged", "error"]

_COLOURS: Mapping[Verdict, str] = {"suitable": "green", "flagged": "yellow", "error": "red"}
MIRRORED = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": "==", "!=": "!="}
_DECIMALS = range(2, 17)
_NAMED = 3  # companions of an image on its line


def verdict(result: Result) -> Verdict:
    """Return what to call an image: a positive filter counts even if another one failed."""
    return _verdict(result.flagged, result.failed)


def line(result: Result, filters: Mapping[str, Criterion]) -> str:
    """Return a result as one line of a terminal, coloured.

    Parameters
    ----------
    result : Result
        Of one image.
    filters : mapping of str to Filter
        Those of the run, by their key in results.
    """
    kind = verdict(result)
    head = click.style(f"{kind:<8}", fg=_COLOURS[kind], bold=kind != "suitable")
    said = [
        *(
            reason(name, filters.get(name), result.predictions[name]) + _beside(result, name)
            for name in result.flagged
        ),
        *(click.style(problem, fg="red") for problem in problems(result)),
    ]
    return f"{head}  {visible(result.image)}" + (f"  {', '.join(said)}" if said else "")


def _beside(result: Result, name: str) -> str:
    """With which images a filter has found one together: `` (with a.jpg, b.jpg and 7 more)``."""
    others = [image for image in result.companions.get(name, ()) if image != result.image]
    if not others:
        return ""
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    return f" (with {', '.join(map(visible, others[:_NAMED]))}{more})"


def reason(name: str, item: Criterion | None, prediction: float) -> str:
    """Return why a filter was positive, such as ``exposure 0.93 > 0.5``."""
    if item is None:
        return f"{name} {prediction:g}"
    sign = MIRRORED[item.comparison] if item.invert_threshold else item.comparison
    for decimals in _DECIMALS:
        left, right = round(prediction, decimals), round(item.threshold, decimals)
        # As short as can be, as long as what is read is still true.
        if _holds(left, sign, right) and bool(left) == bool(prediction):
            return f"{name} {left:.15g} {sign} {right:.15g}"
    if _holds(prediction, sign, item.threshold):
        return f"{name} {prediction!r} {sign} {item.threshold!r}"
    return f"{name} {prediction:.4g}"  # the filter decides in its own way


def judgement(item: Criterion, prediction: float, *, flagged: bool) -> str:
    """Return a prediction and its verdict, such as ``0.93 > 0.5: flagged``."""
    told = reason("", item, prediction).strip()
    if flagged:
        return f"{told}: flagged"
    sign = MIRRORED[item.comparison] if item.invert_threshold else item.comparison
    for decimals in _DECIMALS:
        left, right = round(prediction, decimals), round(item.threshold, decimals)
        if not _holds(left, sign, right) and bool(left) == bool(prediction):
            return f"{left:.15g}, not {sign} {right:.15g}: passes"
    return f"{prediction:.4g}: passes"


def problems(result: Result) -> list[str]:
    """Return what went wrong, each in a few words that do not name the image again."""
    if result.error is not None:
        return [_brief(str(result.error), result.image)]
    told = []
    for name, failure in result.failures.items():
        brief = _brief(str(failure), result.image)
        told.append(brief if brief.startswith(f"{name} ") else f"{visible(name)}: {brief}")
    return told


@dataclass
class Tally:
    """What is counted while a run goes on; every image is suitable, flagged or an error."""

    suitable: int = 0
    flagged: int = 0
    errors: int = 0
    failed: int = 0  #: images with any failure, flagged ones included
    by_filter: Counter[str] = field(default_factory=Counter)
    earlier: int = 0  #: images of an earlier run, on which this one goes on

    @property
    def photos(self) -> int:
        """How many images were seen."""
        return self.suitable + self.flagged + self.errors

    def add(self, result: Result) -> None:
        """Count a result."""
        self.count(result.flagged, result.failed)

    def count(self, flagged: Sequence[str], failed: bool) -> None:
        """Count an image.

        Parameters
        ----------
        flagged : sequence of str
            The filters that were positive.
        failed : bool
            Whether the image, or a filter on it, ended in an error.
        """
        kind = _verdict(flagged, failed)
        self.suitable += kind == "suitable"
        self.flagged += kind == "flagged"
        self.errors += kind == "error"
        self.failed += failed
        if flagged:
            self.by_filter.update(flagged)

    def summary(self, seconds: float, *, stopped: bool = False) -> str:
        """Return the counts as a few lines, coloured."""
        judged = self.photos - self.earlier
        head = f"{'Stopped: ' if stopped else ''}{self.photos:,} photo"
        head += "" if self.photos == 1 else "s"
        if self.earlier:
            head += f", {judged:,} of them now,"
        rate = judged / seconds if seconds > 0 else 0.0
        return f"{head} in {duration(seconds)} ({rate:,.1f} photos/s)\n{self.counts()}"

    def counts(self) -> str:
        """Return how many were suitable, flagged and errors, and by which filters."""
        lines = []
        counts: dict[Verdict, int] = {
            "suitable": self.suitable,
            "flagged": self.flagged,
            "error": self.errors,
        }
        width = max(len(f"{count:,}") for count in counts.values())
        for kind, count in counts.items():
            if count or kind == "suitable":
                label = click.style(f"{kind:<8}", fg=_COLOURS[kind])
                lines.append(f"  {label}  {count:>{width},}")
            if kind == "flagged":
                lines += self._by_filter(width)
        partly = self.failed - self.errors
        if partly:
            lines.append(f"  {partly:,} of the flagged could not be measured by every filter")
        return "\n".join(lines)

    def _by_filter(self, width: int) -> list[str]:
        """How often each filter was positive, the most frequent first."""
        most = sorted(self.by_filter.items(), key=lambda item: (-item[1], item[0]))
        names = max((len(name) for name, _ in most), default=0)
        return [f"    {visible(name):<{names}}  {count:>{width},}" for name, count in most]


def duration(seconds: float) -> str:
    """Return a time as a person says it: ``3.2 s``, ``4 min 05 s``, ``2 h 07 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02} min"


def _verdict(flagged: Sequence[str], failed: bool) -> Verdict:
    if flagged:
        return "flagged"
    return "error" if failed else "suitable"


def _brief(message: str, image: str) -> str:
    text = message.removeprefix(f"{image} ").removesuffix(f" on {image}.").rstrip(".")
    text = text.removeprefix("Filter ")
    return visible(text)


def _holds(left: float, sign: str, right: float) -> bool:
    return {
        ">": left > right,
        ">=": left >= right,
        "<": left < right,
        "<=": left <= right,
        "==": left == right,
        "!=": left != right,
    }[sign]
