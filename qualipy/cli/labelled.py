"""What ``evaluate`` and ``train`` share: labelled photos, and judging them."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import click

from qualipy.cli import packs, terminal
from qualipy.cli.failures import FOUND
from qualipy.cli.interrupts import Interrupts
from qualipy.cli.scan import FEW, MOST_JOBS
from qualipy.cli.text import visible

if TYPE_CHECKING:
    from qualipy.labels import Labelled, Sample
    from qualipy_core import Result
    from qualipy_core.criterion import Criterion

F = TypeVar("F", bound=Callable[..., Any])
Judge = Callable[[Iterator[Any], int], Iterator["Result"]]
Where = Mapping[str, Sequence[str]]


def _where(_ctx: click.Context, _param: click.Parameter, values: Sequence[str]) -> Where:
    """Read ``COLUMN=VALUE``; values of one column add up."""
    parsed: dict[str, list[str]] = {}
    for text in values:
        column, equals, value = text.partition("=")
        if not (column.strip() and equals):
            raise click.BadParameter(f"{text!r} is not COLUMN=VALUE, such as class=hdr.")
        parsed.setdefault(column.strip(), []).append(value.strip())
    return parsed


_OPTIONS = (
    click.argument("name", metavar="FILTER"),
    click.option(
        "--positives",
        metavar="PATH",
        multiple=True,
        help="Photos that have the property: a photo, a folder, a pattern; may be repeated.",
    ),
    click.option(
        "--negatives",
        metavar="PATH",
        multiple=True,
        help="Photos that have it not; may be repeated.",
    ),
    click.option(
        "--labels",
        metavar="FILE.csv",
        multiple=True,
        help="A CSV file with the columns path (relative to it), label and, if any, group.",
    ),
    click.option(
        "--where",
        metavar="COLUMN=VALUE",
        multiple=True,
        callback=_where,
        help="Take only these rows of the CSV file; may be repeated.",
    ),
    click.option(
        "--set",
        "settings",
        metavar="PARAM=VALUE",
        multiple=True,
        help="A parameter of the filter, as JSON or plain text; may be repeated.",
    ),
    click.option(
        "-j",
        "--jobs",
        metavar="N",
        type=click.IntRange(1, MOST_JOBS),
        show_default="all cores",
        help="Worker processes; 1 judges in this one.",
    ),
    click.option("-q", "--quiet", is_flag=True, help="No progress and no remarks."),
)


def options(command: F) -> F:
    """Give a command its filter, and the options that say which photos and how."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


class Job(NamedTuple):
    """A filter, and the labelled photos to try it on."""

    filter: Criterion
    photos: Labelled


def prepare(
    name: str,
    settings: Sequence[str],
    positives: Sequence[str],
    negatives: Sequence[str],
    labels: Sequence[str],
    where: Where,
) -> Job:
    """Make the filter and find the photos.

    Raises
    ------
    click.UsageError
        A filter or parameter is unknown, or no photos were given.
    LabelsError
        They cannot be had.
    """
    from qualipy.cli.selection import choose_one
    from qualipy.labels import gather

    if not (positives or negatives or labels):
        raise click.UsageError(
            "No photos were given. Name folders with --positives and --negatives, or a CSV file "
            "with --labels."
        )
    if [*positives, *negatives].count("-") > 1:
        raise click.UsageError("Standard input holds one list: - can be given once.")
    with terminal.only_results_on_stdout():
        packs.load_hooks()
        item = choose_one(name, settings)
    photos = gather(positives, negatives, labels, where)
    if not photos.samples:
        raise click.UsageError(_nothing_left(photos))
    return Job(item, photos)


def _nothing_left(photos: Labelled) -> str:
    if photos.contradictory:
        some = ", ".join(visible(path) for path in photos.contradictory[:3])
        return f"Every photo stands under both labels: {some}, …"
    if photos.unlisted:
        folder, why = photos.unlisted[0]
        return f"{visible(folder)} cannot be listed: {why}."
    return "No row of the CSV file is chosen."


@dataclass
class Done:
    """What has come of judging labelled photos."""

    pairs: list[tuple[Sample, Result]]
    stopped: int | None  #: the exit status, where a signal ended it early
    seconds: float

    def exit_code(self, photos: Labelled) -> int:
        """Return the exit status: something failed, or a signal came."""
        if self.stopped is not None:
            return self.stopped
        failed = photos.contradictory or photos.unlisted or any(r.failed for _, r in self.pairs)
        return FOUND if failed else 0


def run(judge: Judge, samples: Sequence[Sample], jobs: int | None, *, quiet: bool) -> Done:
    """Judge the photos, with a progress bar, until the end or the first Ctrl-C.

    Parameters
    ----------
    judge : callable
        Takes images and a number of jobs; yields one result each, in order.
    samples : sequence of Sample
        The photos.
    jobs : int, optional
        Worker processes.
    quiet : bool
        Whether to do without the bar.
    """
    from qualipy_core.executors import available_cores

    if jobs is None:
        jobs = 1 if len(samples) <= FEW else available_cores()
    bar = None
    if not quiet and terminal.bar_fits("table"):
        from qualipy.cli.progress import Bar

        bar = Bar()
        bar.set_total(len(samples))
    started = time.perf_counter()
    pairs: list[tuple[Sample, Result]] = []

    def stopping() -> None:
        if bar is not None:
            bar.stop()
        if not quiet:
            terminal.say("Stopping; Ctrl-C again does not wait for the photos under way.")

    with ExitStack() as stack:
        stack.enter_context(terminal.only_results_on_stdout())
        if bar is not None:
            stack.enter_context(bar)
        interrupts = Interrupts(gentle=jobs > 1, stopping=stopping, give_up=lambda: None)
        stack.enter_context(interrupts)
        try:
            images = interrupts.interruptible(sample.image for sample in samples)
            results = cast("Generator[Result, None, None]", judge(images, jobs))
            with closing(results):
                for sample, result in zip(samples, results, strict=False):
                    with interrupts.held():
                        pairs.append((sample, result))
                        if bar is not None:
                            bar.advance()
        except KeyboardInterrupt:
            pass
    return Done(pairs, interrupts.exit_code, time.perf_counter() - started)


def remarks(photos: Labelled, done: Done) -> Iterator[str]:
    """Yield what is to be said about photos that were left out."""
    if done.stopped is not None:
        yield f"Stopped: {len(done.pairs):,} of {len(photos.samples):,} photos were judged."
    if photos.repeated:
        yield f"{photos.repeated:,} named twice, counted once."
    for folder, why in photos.unlisted:
        yield f"{visible(folder)} cannot be listed: {why}."
    for path in photos.contradictory:
        yield f"{visible(path)} stands under both labels, and is left out."
