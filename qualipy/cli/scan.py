"""``qualipy scan``: judge photos and report."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING, cast

import click

from qualipy.cli import failures, packs, terminal
from qualipy.cli.interrupts import Interrupts
from qualipy.cli.outputs import FORMATS, Both, Writer, format_for, writer
from qualipy.cli.sources import Sources
from qualipy.cli.text import visible
from qualipy.cli.words import Tally
from qualipy_core.errors import ImageReadError, QualipyError

if TYPE_CHECKING:
    from qualipy.cli.progress import Bar
    from qualipy_core import ROI, Filter, Result

MOST_JOBS = 256  # more workers than any machine has cores are a slip of the keyboard
FEW = 4  # photos for which starting worker processes takes longer than judging them


def _region(_ctx: click.Context, _param: click.Parameter, value: str | None) -> ROI | None:
    """Read ``X,Y,W,H``."""
    from qualipy_core.roi import ROI

    if value is None:
        return None
    try:
        return ROI.parse([int(part) for part in value.split(",")])
    except QualipyError as error:
        raise click.BadParameter(str(error)) from None
    except ValueError:
        raise click.BadParameter(f"{value!r} is not X,Y,W,H, such as 50,50,200,200.") from None


@click.command(short_help="Judge photos and say which are unsuitable, and why.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--filters",
    "names",
    metavar="NAMES",
    multiple=True,
    help="Filters to run, commas between; every installed one, by default.",
)
@click.option(
    "--set",
    "settings",
    metavar="FILTER.PARAM=VALUE",
    multiple=True,
    help="A filter's parameter, as JSON or plain text; may be repeated.",
)
@click.option(
    "--roi",
    metavar="X,Y,W,H",
    callback=_region,
    help="Judge this region of every photo, in pixels of the upright photo.",
)
@click.option("--stop-early", is_flag=True, help="Leave out a photo's other filters once flagged.")
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="Form of the report; by the suffix of --output (else jsonl), or a table.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write the report here, as results come; an existing file is replaced.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, MOST_JOBS),
    show_default="all cores",
    help="Worker processes; 1 judges in this one.",
)
@click.option("--executor", metavar="NAME", help="What spreads the photos instead; from a pack.")
@click.option(
    "--fail-on",
    type=click.Choice(("error", "flagged", "any", "never")),
    default="error",
    show_default=True,
    help="What makes the exit status 1.",
)
@click.option(
    "--suffix",
    "suffixes",
    metavar="SUFFIX",
    multiple=True,
    help="Take files with this suffix from folders, too; may be repeated.",
)
@click.option("-0", "--null", is_flag=True, help="The list on standard input is NUL-separated.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary, no table.")
def scan(
    paths: tuple[str, ...],
    names: tuple[str, ...],
    settings: tuple[str, ...],
    roi: ROI | None,
    stop_early: bool,
    form: str | None,
    output: str | None,
    jobs: int | None,
    executor: str | None,
    fail_on: str,
    suffixes: tuple[str, ...],
    null: bool,
    quiet: bool,
) -> None:
    """Judge photos and say which are unsuitable, and why.

    PATH is a photo, a folder (everything below it, by suffix; hidden files are left out), a
    pattern such as 'photos/**/*.jpg', or - for a list of paths on standard input, one a line.

    The report goes to stdout; with --output it goes to that file, and a table to stdout. Progress
    and the summary go to stderr. A photo that can't be read, and a filter that fails on one, cost
    a line and not the run. Ctrl-C keeps what is done.

    \b
    Examples:
      qualipy scan photos/
      qualipy scan photos/ --filters exposure,hdr --set exposure.threshold=0.7
      qualipy scan photos/ -o results.csv
      qualipy scan 'holiday/**/*.jpg' --format jsonl | jq -r 'select(.suitable).image'
      find . -name '*.jpg' -newer last-run -print0 | qualipy scan -0 - -o new.jsonl
      qualipy scan upload.jpg -q --fail-on any || echo 'not this one'

    \b
    Exit status:
      0    done (and nothing of what --fail-on names was found)
      1    found what --fail-on names: by default, a photo or filter that failed
      2    the command line is wrong, or there is no image at all
      3    a pack, a library or the workers are broken
      130  stopped by Ctrl-C
    """  # noqa: D301 (click reads the \b)
    from qualipy.cli.selection import choose

    with terminal.only_results_on_stdout():
        packs.load_hooks()
        _check_executor(executor)
        filters = choose(names, settings)
    run = Run(Sources(paths, null=null, suffixes=suffixes), filters, roi, stop_early)
    if output == "-":
        output = None
    form = form or format_for(output)
    images = run.found(FEW + 1 if jobs is None and executor is None else 1)
    bar = None
    shown = "table" if output else form
    if not quiet and terminal.bar_fits(shown):
        from qualipy.cli.progress import Bar

        bar = Bar()
    with ExitStack() as stack:
        reports: list[Writer] = []
        if output:
            file = stack.enter_context(terminal.opened(output))
            reports.append(writer(form, file, run.by_label))
        out = stack.enter_context(terminal.standard_output(bar, for_people=shown == "table"))
        if not (output and quiet):
            colours = terminal.has_colours(sys.stdout)
            reports.append(writer(shown, out, run.by_label, colours=colours))
        if bar is not None:
            stack.enter_context(bar)
            _count(run.sources, bar)
        report = Both(*reports)
        stopped = run.go(images, report, jobs, executor, bar)
    if not quiet:
        if terminal.is_terminal(sys.stdout):
            terminal.say("")
        terminal.say(run.tally.summary(run.seconds, stopped=stopped is not None))
        if output:
            terminal.say(f"Results: {visible(output)}")
    if stopped is not None:
        sys.exit(stopped)
    found = {
        "error": run.tally.failed > 0,
        "flagged": run.tally.flagged > 0,
        "any": run.tally.failed + run.tally.flagged > 0,
        "never": False,
    }
    if found[fail_on]:
        sys.exit(failures.FOUND)


@dataclass
class Run:
    """One scan: what it judges, and what has come of it."""

    sources: Sources
    filters: list[Filter]
    roi: ROI | None
    stop_early: bool
    tally: Tally = field(default_factory=Tally)
    seconds: float = 0.0
    #: Folders that could not be listed, as results, until they are written.
    unreadable: deque[Result] = field(default_factory=deque)
    few: bool = False
    _ended: bool = False

    @property
    def by_label(self) -> dict[str, Filter]:
        """The filters by their key in results."""
        from qualipy_core.plan import Plan

        return dict(Plan.make(self.filters, sort=False).steps)

    def found(self, ahead: int) -> Iterator[str]:
        """Look a few images ahead and return them all.

        Raises
        ------
        click.UsageError
            There is none.
        """
        images = self.sources.images(self._note_unreadable)
        first = list(islice(images, ahead))
        if not first and self.sources.paths == ("-",):
            raise click.UsageError("The list of images on standard input is empty.")
        if not first and not self.unreadable:
            looked = ", ".join(visible(path) for path in self.sources.paths)
            suffixes = " ".join(sorted(self.sources.suffixes))
            raise click.UsageError(
                f"No image found in {looked}. Of folders, files are taken whose name ends with "
                f"{suffixes}; --suffix adds to these."
            )
        self.few = len(first) < ahead
        return chain(first, images)

    def go(
        self,
        images: Iterator[str],
        report: Writer,
        jobs: int | None,
        executor: str | None,
        bar: Bar | None,
    ) -> int | None:
        """Judge and report every image.

        Returns
        -------
        int or None
            The exit status when a signal ended it early.
        """
        from qualipy_core.executors import available_cores

        started = time.perf_counter()

        def stopping() -> None:
            if bar is not None:
                bar.stop()
                terminal.say("Stopping; Ctrl-C again does not wait for the photos under way.")

        def give_up() -> None:
            report.end()
            terminal.say(self.tally.summary(time.perf_counter() - started, stopped=True))

        if jobs is None:
            jobs = 1 if self.few else available_cores()
        workers = executor is None and jobs > 1
        with Interrupts(gentle=workers, stopping=stopping, give_up=give_up) as interrupts:
            try:
                with interrupts.held():
                    report.begin()
                images = interrupts.interruptible(images)
                with closing(self._results(images, jobs, executor)) as results:
                    for result in results:
                        with interrupts.held():
                            report.add(result)
                            self.tally.add(result)
                            if bar is not None:
                                bar.advance()
            except KeyboardInterrupt:
                pass
            finally:
                self.seconds = time.perf_counter() - started
                report.end()
        return interrupts.exit_code

    def _results(
        self, images: Iterator[str], jobs: int, executor: str | None
    ) -> Generator[Result, None, None]:
        """The results of a scan, with those of unreadable folders where they were met."""
        from qualipy_core import scan as core_scan

        results = core_scan(
            self._until_the_end(images),
            self.filters,
            self._regions() if self.roi is not None else None,
            stop_early=self.stop_early,
            jobs=jobs,
            executor=executor,
        )
        with closing(cast("Generator[Result, None, None]", results)):
            for result in results:
                yield from self._drained()
                yield result
        yield from self._drained()

    def _drained(self) -> Iterator[Result]:
        while self.unreadable:
            yield self.unreadable.popleft()

    def _until_the_end(self, images: Iterator[str]) -> Iterator[str]:
        yield from images
        self._ended = True

    def _regions(self) -> Iterator[ROI | None]:
        """As many regions as there are images, whose number nobody knows beforehand."""
        while not self._ended:
            yield self.roi

    def _note_unreadable(self, folder: str, error: OSError) -> None:
        from qualipy_core import Result

        reason = ImageReadError(f"{folder} cannot be listed: {error.strerror}.", image=folder)
        self.unreadable.append(Result(folder, error=reason))


def _check_executor(name: str | None) -> None:
    from qualipy_core import plugins

    if name is None:
        return
    offered = sorted(plugins.executors())
    if name not in offered:
        there_are = f"Installed: {', '.join(offered)}." if offered else "No pack brings one."
        raise click.BadParameter(
            f"Unknown executor {name!r}. {there_are} `pip install qualipy-celery` brings "
            "'celery'; leave it out to use local processes.",
            param_hint="--executor",
        )


def _count(sources: Sources, bar: Bar) -> None:
    """Learn how many photos there are while the first ones are judged already."""

    def count() -> None:
        bar.set_total(sources.count())

    threading.Thread(target=count, daemon=True).start()
