"""``qualipy report``, and the page that ``qualipy scan --report`` writes."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, nullcontext
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, cast

import click

from qualipy.cli import packs, results, terminal
from qualipy.cli.failures import CannotWork, WrongUse
from qualipy.cli.limits import limit_options, limits_of
from qualipy.cli.scan import FEW, MOST_JOBS, means
from qualipy.cli.text import visible
from qualipy.cli.words import Tally

if TYPE_CHECKING:
    from collections.abc import Generator

    from qualipy.report import Origin
    from qualipy_core import Result
    from qualipy_core.criterion import Criterion
    from qualipy_core.limits import Limits

THUMBNAILS = ("auto", "inline", "folder", "none")
_HERE = "report.html"


class Page:
    """Writes the HTML report of a run, beside whatever else is written.

    Parameters
    ----------
    path : str
        Of the page.
    origin : Origin
        Where the results come from.
    thumbnails : str
        One of `THUMBNAILS`.
    explain : bool
        Draw where filters see it, on the photos that they flag.

    Attributes
    ----------
    complete : bool
        Whether the run has come to its end; to be set before `end`.

    Raises
    ------
    WrongUse
        It can't be written there, or it would be a pity.
    """

    def __init__(
        self, path: str, origin: Origin, thumbnails: str, *, explain: bool = False
    ) -> None:
        from qualipy.report import Report

        _check(path)
        self.path = path
        self.complete = False
        self._file: str | None = None  # of earlier results
        self._size = 0  # how many there are
        self._taken = 0  # results, so far
        self._jobs = 1
        self._limits: Limits | None = None
        self._report = Report(path, origin, thumbnails=thumbnails, explain=explain)
        if problem := self._report.thumbnails.check():
            raise WrongUse(f"{problem}. Name another page, or move that folder away.")

    @property
    def side(self) -> int | None:
        """The side of the thumbnails that are wanted."""
        from qualipy.report import SIDE

        return SIDE if self._report.thumbnails.wanted else None

    def work_with(self, jobs: int, limits: Limits) -> None:
        """Say how many processes may make pictures, and what one photo may cost."""
        self._jobs, self._limits = jobs, limits
        if self._report.explanations is not None:
            self._report.explanations.jobs = jobs
            self._report.explanations.limits = limits

    def begin(self) -> None:
        """Write nothing: a page is written in the end."""

    def go_on_from(self, file: str, size: int) -> None:
        """Say which earlier results belong to the run, and how many of that file they are."""
        self._file, self._size = file, size

    @property
    def earlier(self) -> bool:
        """Whether there are earlier results, which `take_earlier` takes."""
        return self._file is not None

    def take_earlier(self) -> Generator[Result, None, None]:
        """Yield the earlier results, with thumbnails of those photos that are there; add each."""
        if self._file is not None:
            with closing(with_thumbnails(self._file, self.side, self._jobs, self._limits)) as all_:
                yield from all_

    def add(self, result: Result) -> None:
        """Take a result; the earlier ones come first."""
        try:
            self._report.add(result)
            self._taken += 1
        except OSError as error:
            raise self._failed(error) from None

    def draw(self, stopped: Callable[[], bool] = lambda: False, *, rest: bool = False) -> None:
        """Wait until few explanations are left to be drawn, or none, or somebody wants to stop."""
        if self._report.explanations is not None:
            try:
                self._report.explanations.catch_up(stopped, rest=rest)
            except OSError as error:
                raise self._failed(error) from None

    def end(self) -> None:
        """Write the page with what there is; what has not been drawn by now is left out."""
        if self._report.explanations is not None:
            self._report.explanations.stop()
        try:
            if self._file is not None and self._taken < self._size:  # Ctrl-C came meanwhile
                for result in islice(results.read(self._file), self._taken, self._size):
                    self._report.add(result)
                self._taken = self._size
            self._report.end(complete=self.complete)
        except OSError as error:
            raise self._failed(error) from None

    def close(self) -> None:
        """Leave no trace of a page that has not been written."""
        self._report.abandon()

    def told(self) -> str:
        """Return what to say about it, once it is written; nothing if it is not."""
        if not self._report.written:
            return ""
        beside = self._report.thumbnails.beside
        files = f", with the files in {visible(os.path.relpath(beside))}" if beside else ""
        explanations = self._report.explanations
        problems = explanations.problems if explanations is not None else ""
        lines = [visible(problems)] if problems else []
        return "\n".join([*lines, f"Report: {visible(self.path)}{files}"])

    def _failed(self, error: OSError) -> CannotWork:
        return CannotWork(f"The report cannot be written to {self.path}: {error.strerror}.")


@click.command()
@click.argument("file", metavar="FILE")
@click.option(
    "-o", "--output", metavar="FILE", default=_HERE, show_default=True, help="Write the page here."
)
@click.option(
    "--set",
    "settings",
    metavar="FILTER.PARAM=VALUE",
    multiple=True,
    help="A parameter that the run had; results do not hold them. May be repeated.",
)
@click.option(
    "--thumbnails",
    type=click.Choice(THUMBNAILS),
    default="auto",
    show_default=True,
    help="In the page, in a folder beside it, or none; auto: a folder for more than 2,000 photos.",
)
@click.option("--explain", is_flag=True, help="Show where filters see it, on what they flag.")
@click.option(
    "-j",
    "--jobs",
    metavar="N",
    type=click.IntRange(1, MOST_JOBS),
    show_default="all cores",
    help="Processes that make thumbnails, and as many that draw for --explain.",
)
@limit_options
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary.")
def report(
    file: str,
    output: str,
    settings: tuple[str, ...],
    thumbnails: str,
    explain: bool,
    jobs: int | None,
    max_pixels: float | None,
    max_bytes: float | None,
    time_limit: float | None,
    quiet: bool,
) -> None:
    """Make a page to look at the results of an earlier run.

    FILE is what `qualipy scan --output` has written, as jsonl, json, csv or parquet. The page is
    the one that `qualipy scan --report` writes. Thumbnails are made of the photos that are where
    the results say: run it in the folder in which the scan was run. Results do not hold the
    filters' parameters; they are taken to be the defaults, or what --set says, and where that does
    not explain every verdict, the page says so.

    \b
    Examples:
      qualipy report run.jsonl
      qualipy report run.jsonl -o run.html --set exposure.threshold=0.7
      qualipy report run.parquet --thumbnails none

    \b
    Exit status:
      0    done
      2    the file holds no results, or the page cannot be there
      3    a library is missing, or the disk is full
      130  stopped by Ctrl-C: an earlier page is as it was
    """  # noqa: D301 (click reads the \b)
    from qualipy.report import Origin

    if os.path.exists(output) and os.path.exists(file) and os.path.samefile(file, output):
        raise WrongUse(f"{output} is what is to be read. Name another file to write to.")
    limits = limits_of(max_pixels=max_pixels, max_bytes=max_bytes, time_limit=time_limit)
    with ExitStack() as stack:
        stack.enter_context(terminal.only_results_on_stdout())
        filters, photos = _likely(file, settings)
        page = Page(output, Origin(filters=filters, certain=False), thumbnails, explain=explain)
        stack.callback(page.close)
        page.go_on_from(file, photos)
        page.complete = True
        page.work_with(*means(jobs, limits, photos))
        tally = Tally()
        advance = _progress(stack, photos, quiet)
        for result in stack.enter_context(closing(page.take_earlier())):
            page.add(result)
            tally.add(result)
            page.draw()
            advance()
        page.draw(rest=True)
        page.end()
    if not quiet:
        terminal.say(tally.counts())
        terminal.say(page.told())


def _progress(stack: ExitStack, photos: int, quiet: bool) -> Callable[[], None]:
    """Show a bar, where one fits; return what counts a photo."""
    if quiet or photos <= FEW or not terminal.bar_fits("table"):
        return lambda: None
    from qualipy.cli.progress import Bar

    bar = stack.enter_context(Bar(doing="Looking"))
    bar.set_total(photos)
    return bar.advance


def _check(path: str) -> None:
    """Look whether a page may be written somewhere, before there is anything to write."""
    from qualipy.report.page import run_of

    if terminal.is_image(path):
        raise WrongUse(f"The report cannot be written to {path}: it is an image. Name a new file.")
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise WrongUse(f"The report cannot be written to {path}: there is no folder {folder}.")
    try:
        regular = stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        regular = not os.path.lexists(path) or os.path.islink(path)
    if not regular:
        raise WrongUse(f"The report cannot be written to {path}: it is no file.")
    if os.path.exists(path) and os.path.getsize(path) and run_of(path) is None:
        raise WrongUse(
            f"The report cannot be written to {path}: a file is there that is no report. Name "
            "another page, or remove the file."
        )
    if not os.access(folder, os.W_OK):
        raise WrongUse(f"The report cannot be written to {path}: {folder} cannot be written to.")


def _likely(file: str, settings: tuple[str, ...]) -> tuple[dict[str, Criterion], int]:
    """The filters of results, with their defaults or as ``--set`` says, and how many results."""
    from qualipy.cli.selection import choose, parse_settings
    from qualipy_core import plugins

    labels: dict[str, None] = {}
    photos = 0
    for photos, result in enumerate(results.read(file), 1):  # noqa: B007
        labels.update(dict.fromkeys((*result.predictions, *result.failures)))
    chosen = parse_settings(settings)
    for name in chosen:
        if name not in labels:
            raise click.BadParameter(
                f"{name} is not among the filters of {file}: {', '.join(labels) or 'none'}.",
                param_hint="--set",
            )
    installed = plugins.registry().names()
    known = [label for label in labels if label.partition("#")[0] in installed]
    made = {}
    for label in known:
        name = label.partition("#")[0]
        mine = [text for text in settings if text.partition("=")[0].rpartition(".")[0] == name]
        try:
            (made[label],) = choose([name], mine)
        except click.UsageError:
            raise
        except Exception as error:  # a pack that is broken: the page does without its filter
            packs.warn(str(error))
    return made, photos


def with_thumbnails(
    file: str, side: int | None, jobs: int, limits: Limits | None
) -> Generator[Result, None, None]:
    """Yield the results of a file, with thumbnails of those photos that are there.

    Parameters
    ----------
    file : str
        What `qualipy.results.read_results` reads.
    side : int or None
        Of the thumbnails; None: without.
    jobs : int
        How many processes make them; with 1 and no time limit, this one does.
    limits : Limits or None
        What one photo may cost.
    """
    from qualipy_core.executors import Processes, ThisThread
    from qualipy_core.plan import Plan, Task

    if side is None:
        yield from results.read(file)
        return
    waiting: deque[tuple[Result, bool]] = deque()

    def photos() -> Iterator[Task]:
        for result in results.read(file):
            there = result.error is None and os.path.isfile(result.image)
            waiting.append((result, there))
            if there:
                yield Task(result.image, result.ROI)

    plan = Plan.make([], thumbnails=side, limits=limits)
    alone = jobs == 1 and plan.limits.with_environment().time_limit is None
    executor = ThisThread() if alone else Processes(jobs)
    made = executor.run(photos(), plan)
    with closing(cast("Generator[Result, None, None]", made)) if not alone else nullcontext():
        for one in made:
            while not waiting[0][1]:
                yield waiting.popleft()[0]
            yield replace(waiting.popleft()[0], thumbnail=one.thumbnail)
    while waiting:
        yield waiting.popleft()[0]
