"""``qualipy report``, and the page that ``qualipy scan --report`` writes."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, cast

import click

from qualipy.cli import packs, results, terminal
from qualipy.cli.failures import CannotWork, WrongUse
from qualipy.cli.text import visible
from qualipy.cli.words import Tally

if TYPE_CHECKING:
    from collections.abc import Generator

    from qualipy.report import Origin
    from qualipy_core import Result
    from qualipy_core.criterion import Criterion

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
    earlier : str or None
        A file of results that belong to the run, too; to be set before `begin`.

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
        self.earlier: str | None = None
        self._report = Report(path, origin, thumbnails=thumbnails, explain=explain)
        if problem := self._report.thumbnails.check():
            raise WrongUse(f"{problem}. Name another page, or move that folder away.")

    @property
    def side(self) -> int | None:
        """The side of the thumbnails that are wanted."""
        from qualipy.report import SIDE

        return SIDE if self._report.thumbnails.wanted else None

    def begin(self) -> None:
        """Take the earlier results; a page is written in the end."""
        if self.earlier is not None:
            with closing(_with_thumbnails(self.earlier, self.side, None)) as found:
                for result in found:
                    self.add(result)

    def add(self, result: Result) -> None:
        """Take a result."""
        try:
            self._report.add(result)
        except OSError as error:
            raise self._failed(error) from None

    def end(self) -> None:
        """Write the page with what there is."""
        try:
            self._report.end(complete=self.complete)
        except OSError as error:
            raise self._failed(error) from None

    def told(self) -> str:
        """Return what to say about it, once it is written."""
        beside = self._report.thumbnails.beside
        files = f", with the files in {visible(os.path.relpath(beside))}" if beside else ""
        return f"Report: {visible(self.path)}{files}"

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
@click.option("-j", "--jobs", type=click.IntRange(1, 256), help="Processes that make thumbnails.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary.")
def report(
    file: str,
    output: str,
    settings: tuple[str, ...],
    thumbnails: str,
    explain: bool,
    jobs: int | None,
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
      2    the file holds no results, or the page cannot be there; the message says which
      3    a library is missing, or the disk is full
      130  stopped by Ctrl-C: an earlier page is as it was
    """  # noqa: D301 (click reads the \b)
    from qualipy.report import Origin

    if os.path.exists(output) and os.path.exists(file) and os.path.samefile(file, output):
        raise WrongUse(f"{output} is what is to be read. Name another file to write to.")
    with terminal.only_results_on_stdout():
        filters = _likely(file, settings)
        page = Page(output, Origin(filters=filters, certain=False), thumbnails, explain=explain)
        page.complete = True
        tally = Tally()
        with closing(_with_thumbnails(file, page.side, jobs)) as found:
            for result in found:
                page.add(result)
                tally.add(result)
        page.end()
    if not quiet:
        terminal.say(tally.counts())
        terminal.say(page.told())


def _check(path: str) -> None:
    """Look whether a page may be written somewhere, before there is anything to write."""
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
    if not os.access(folder, os.W_OK):
        raise WrongUse(f"The report cannot be written to {path}: {folder} cannot be written to.")


def _likely(file: str, settings: tuple[str, ...]) -> dict[str, Criterion]:
    """The installed filters that occur in results, with their defaults or as ``--set`` says."""
    from qualipy.cli.selection import choose, parse_settings
    from qualipy_core import plugins

    labels: dict[str, None] = {}
    for result in results.read(file):
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
    return made


def _with_thumbnails(
    file: str, side: int | None, jobs: int | None
) -> Generator[Result, None, None]:
    """The results of a file, with thumbnails of those photos that are there."""
    from dataclasses import replace

    from qualipy_core import scan
    from qualipy_core.executors import available_cores

    if side is None:
        yield from results.read(file)
        return
    waiting: deque[tuple[Result, bool]] = deque()

    def photos() -> Iterator[str]:
        for result in results.read(file):
            there = result.error is None and os.path.isfile(result.image)
            waiting.append((result, there))
            if there:
                regions.append(result.ROI)
                yield result.image

    regions: deque[object] = deque()
    few = sum(1 for _ in islice(results.read(file), 8)) < 8
    jobs = jobs or (1 if few else available_cores())
    made = scan(photos(), [], _taken(regions), thumbnails=side, jobs=jobs)
    with closing(cast("Generator[Result, None, None]", made)) as small:
        for one in small:
            while not waiting[0][1]:
                yield waiting.popleft()[0]
            yield replace(waiting.popleft()[0], thumbnail=one.thumbnail)
    while waiting:
        yield waiting.popleft()[0]


def _taken(items: deque[object]) -> Iterator[object]:
    """Each item as soon as it is there."""
    while True:
        try:
            yield items.popleft()
        except IndexError:
            return
