"""``qualipy scan``: judge photos and report."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, cast

import click

from qualipy.cli import failures, packs, parquet, terminal
from qualipy.cli.interrupts import Interrupts
from qualipy.cli.limits import limit_options, limits_of
from qualipy.cli.outputs import FORMATS, Both, Writer, format_for, writer
from qualipy.cli.reportfile import ReportFile, check_resumable, forget_record, is_resumable
from qualipy.cli.sources import Sources
from qualipy.cli.text import visible
from qualipy.cli.words import Tally
from qualipy_core.errors import ImageReadError, QualipyError

if TYPE_CHECKING:
    from qualipy.cli.progress import Bar
    from qualipy.cli.report import Page
    from qualipy_core import ROI, Image, Result
    from qualipy_core.criterion import Criterion
    from qualipy_core.fingerprints import Fingerprints
    from qualipy_core.limits import Limits

MOST_JOBS = 256  # more workers than any machine has cores are a slip of the keyboard
FEW = 4  # photos for which starting worker processes takes longer than judging them


def region(_ctx: click.Context, _param: click.Parameter, value: str | None) -> ROI | None:
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


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--filters",
    "names",
    metavar="NAMES",
    multiple=True,
    help="Filters to run, commas between; all: every installed one. By default, the usual ones.",
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
    callback=region,
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
    help="Write the report here, as results come; a finished file is replaced.",
)
@click.option(
    "--resume", is_flag=True, help="Go on with the --output of a run that ended early (jsonl, csv)."
)
@click.option(
    "-j",
    "--jobs",
    metavar="N",
    type=click.IntRange(1, MOST_JOBS),
    show_default="all cores",
    help="Worker processes; 1 judges in this one.",
)
@click.option("--executor", metavar="NAME", help="What spreads the photos instead; from a pack.")
@limit_options
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
@click.option("--report", "page", metavar="FILE", help="Make a page to look at the photos, too.")
@click.option(
    "--report-thumbnails",
    "thumbnails",
    type=click.Choice(("auto", "inline", "folder", "none")),
    default="auto",
    show_default=True,
    help="In that page, in a folder beside it, or none; auto: a folder for more than 2,000 photos.",
)
@click.option(
    "--report-explain",
    "explain",
    is_flag=True,
    help="Draw for that page where filters see it, on the photos that they flag.",
)
@click.option(
    "--fingerprints",
    metavar="FILE",
    help="Keep here what is compared; judge new photos among all of before.",
)
@click.option(
    "--known",
    type=click.Choice(("skip", "again")),
    default="skip",
    show_default=True,
    help="What of photos that --fingerprints has, unchanged: leave them out, or judge them again.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary, no table.")
def scan(
    paths: tuple[str, ...],
    names: tuple[str, ...],
    settings: tuple[str, ...],
    roi: ROI | None,
    stop_early: bool,
    form: str | None,
    output: str | None,
    resume: bool,
    jobs: int | None,
    executor: str | None,
    max_pixels: float | None,
    max_bytes: float | None,
    time_limit: float | None,
    fail_on: str,
    suffixes: tuple[str, ...],
    null: bool,
    page: str | None,
    thumbnails: str,
    explain: bool,
    fingerprints: str | None,
    known: str,
    quiet: bool,
) -> None:
    """Judge photos and say which are unsuitable, and why.

    PATH is a photo, a folder (everything below it, by suffix; hidden files are left out), a
    pattern such as 'photos/**/*.jpg', or - for a list of paths on standard input, one a line.

    The report goes to stdout; with --output it goes to that file, and a table to stdout. Progress
    and the summary go to stderr. A photo that can't be read, and a filter that fails on one, cost
    a line and not the run. Ctrl-C keeps what is done; the same command with --resume goes on.

    \b
    Examples:
      qualipy scan photos/
      qualipy scan photos/ --filters exposure,hdr --set exposure.threshold=0.7
      qualipy scan photos/ -o results.csv
      qualipy scan photos/ -o results.csv --resume
      qualipy scan photos/ --report report.html
      qualipy scan photos/ --filters near_duplicates --fingerprints photos.qpf
      qualipy scan 'trip/**/*.jpg' -f jsonl | jq -r 'select(.suitable).image'
      find . -name '*.jpg' -newer last-run -print0 | qualipy scan -0 - -o new.csv
      qualipy scan upload.jpg -q --fail-on any || echo 'not this one'

    \b
    Exit status:
      0    done (and nothing of what --fail-on names was found)
      1    found what --fail-on names: by default, a photo or filter that failed
      2    the command line is wrong, or there is no image at all
      3    a pack, a library or the workers are broken, or the disk is full
      130  stopped by Ctrl-C
    """  # noqa: D301 (click reads the \b)
    from qualipy.cli.selection import choose

    if output == "-":
        output = None
    form = form or format_for(output)
    if resume:
        check_resumable(output, form)
    if form == "parquet":
        parquet.check(output)
    with terminal.only_results_on_stdout():
        packs.load_hooks()
        _check_executor(executor)
        filters = choose(names, settings)
    _check_apart({"--report": page, "--output": output, "--fingerprints": fingerprints})
    limits = limits_of(max_pixels=max_pixels, max_bytes=max_bytes, time_limit=time_limit)
    run = Run(Sources(paths, null=null, suffixes=suffixes), filters, roi, stop_early, limits)
    run.compare_with(fingerprints, again=known == "again")
    run.page = _page(
        page, thumbnails, run, _repeated(run, suffixes, null, fingerprints), explain=explain
    )
    shown = "table" if output else form
    stopped = None
    with ExitStack() as stack:
        stack.callback(run.close)
        if output and is_resumable(output, form):
            run.go_on_with(stack.enter_context(run.report_file(output, form, resume=resume)))
        images = run.found(FEW + 1 if jobs is None and executor is None else 1)
        if not quiet and terminal.bar_fits(shown):
            run.bar = _bar(run)
        if run.file is not None and run.nothing_left:
            run.file.leave()
            stopped = run.finish_page(jobs, stack)
        else:
            reports: list[Writer] = []
            if output:
                reports.append(run.begin_file(output, form, stack))
            out = stack.enter_context(
                terminal.standard_output(run.bar, for_people=shown == "table")
            )
            if not (output and quiet):
                colours = terminal.has_colours(sys.stdout)
                reports.append(writer(shown, out, run.by_label, colours=colours))
            if run.bar is not None:
                stack.enter_context(run.bar)
                _count(run.sources, run.bar)
            if run.page is not None:
                reports.append(run.page)
            stopped = run.go(images, Both(*reports), jobs, executor)
    if not quiet:
        _tell(run, output, stopped is not None)
    if stopped is not None:
        sys.exit(stopped)
    if _has(run.tally, fail_on):
        sys.exit(failures.FOUND)


@dataclass
class Run:
    """One scan: what it judges, and what has come of it."""

    sources: Sources
    filters: list[Criterion]
    roi: ROI | None
    stop_early: bool
    limits: Limits
    tally: Tally = field(default_factory=Tally)
    seconds: float = 0.0
    file: ReportFile | None = None
    page: Page | None = None
    bar: Bar | None = None
    #: How many images have been passed over, for they have a line in the file.
    passed: int = 0
    nothing_left: bool = False
    #: Folders that could not be listed, as results, until they are written.
    unreadable: deque[Result] = field(default_factory=deque)
    few: bool = False
    fingerprints: Fingerprints | None = None
    #: How many images have been left out, for that file knows them.
    known: int = 0
    #: Where photos are meanwhile, by their absolute paths: they keep the names that they had.
    moved: Mapping[str, str] = field(default_factory=dict)
    #: What is done with the results of a set, once they are there.
    last_step: str = "Writing"
    _ended: bool = False
    _given: int = 0  # images to be measured, so far
    _measured: int = 0
    _files: ExitStack = field(default_factory=ExitStack)

    @property
    def as_a_set(self) -> bool:
        """Whether results come when all photos are measured."""
        from qualipy_core import SetFilter

        return any(isinstance(item, SetFilter) for item in self.filters)

    def compare_with(self, path: str | None, *, again: bool) -> None:
        """Judge photos among those that a file knows, if there is one, and add them to it.

        Raises
        ------
        click.UsageError
            There is nothing to compare by.
        """
        if path is None:
            return
        from qualipy_core.fingerprints import Fingerprints
        from qualipy_core.plan import Plan

        if not self.as_a_set:
            raise click.BadParameter(
                "it is for filters that judge a photo among others, and none is among those of "
                "this run: name one with --filters. `qualipy filters` lists them.",
                param_hint="--fingerprints",
            )

        def leave_out(_task: object) -> None:
            self.known += 1
            if self.bar is not None:
                self.bar.advance()

        self.fingerprints = Fingerprints(path, again=again)
        self.fingerprints.on_left_out = leave_out
        with self.fingerprints.opened(Plan.make(self.filters)):
            pass  # what is wrong with it is told before a report is replaced

    @property
    def by_label(self) -> dict[str, Criterion]:
        """The filters by their key in results."""
        from qualipy_core.plan import Plan

        return dict(Plan.make(self.filters, sort=False).steps)

    def report_file(self, path: str, form: str, *, resume: bool) -> ReportFile:
        """Return the file to write to, with which a later run can go on."""
        as_a_set = self.as_a_set
        return ReportFile(
            path, form, self.by_label, self.roi, self.stop_early, resume=resume, as_a_set=as_a_set
        )

    def go_on_with(self, file: ReportFile) -> None:
        """Count what is in a file as done, and add the rest to it."""
        self.file = file
        self.tally = file.earlier.tally
        if self.page is not None and self.tally.photos:
            self.page.go_on_from(file.path, self.tally.photos)

    def finish_page(self, jobs: int | None, stack: ExitStack) -> int | None:
        """Write the page of a run that has nothing left to judge.

        Returns
        -------
        int or None
            The exit status when a signal ended it early: what was there before stays.
        """
        if self.page is None:
            return None
        if self.bar is not None:
            stack.enter_context(self.bar)
        jobs = self._means(jobs, None)
        with Interrupts(
            gentle=self._has_workers(jobs), stopping=self._stopping, give_up=lambda: None
        ) as interrupts:
            try:
                self._take_earlier(interrupts)
                self.page.draw(interrupts.came, rest=True)
                with interrupts.held():
                    self.page.complete = True
                    self.page.end()
            except KeyboardInterrupt:
                pass
        return interrupts.exit_code

    def close(self) -> None:
        """Leave no trace of a page that has not been written."""
        if self.page is not None:
            self.page.close()

    def begin_file(self, path: str, form: str, stack: ExitStack) -> Writer:
        """Return what writes the report to its file, which is closed with the stack."""
        if self.file is not None:
            begun = self.tally.photos > 0
            return writer(form, self.file.begin(), self.by_label, begun=begun)
        forget_record(path)
        if form == "parquet":
            return parquet.Parquet(path, self.by_label)
        opened = terminal.opened_whole if form == "json" else terminal.opened
        stack.enter_context(self._files)
        return writer(form, self._files.enter_context(opened(path)), self.by_label)

    def found(self, ahead: int) -> Iterator[str]:
        """Look a few images ahead and return them all.

        Raises
        ------
        click.UsageError
            There is none.
        """
        found = self.sources.images(self._note_unreadable)
        images = (image for image in found if not self._has_line(image))
        first = list(islice(images, ahead))
        self.few = len(first) < ahead
        if not first and self.passed and not self.unreadable:
            self.nothing_left = True
            return iter(())
        if not first and self.sources.paths == ("-",):
            raise click.UsageError("The list of images on standard input is empty.")
        if not first and not self.unreadable:
            looked = ", ".join(visible(path) for path in self.sources.paths)
            suffixes = " ".join(sorted(self.sources.suffixes))
            raise click.UsageError(
                f"No image found in {looked}. Of folders, files are taken whose name ends with "
                f"{suffixes}; --suffix adds to these."
            )
        return chain(first, images)

    def go(
        self,
        images: Iterator[str],
        report: Writer,
        jobs: int | None,
        executor: str | None,
    ) -> int | None:
        """Judge and report every image that is left.

        Returns
        -------
        int or None
            The exit status when a signal ended it early.
        """
        started = time.perf_counter()

        def give_up() -> None:
            report.end()
            self._files.close()
            terminal.say(self.tally.summary(time.perf_counter() - started, stopped=True))
            if self.file is not None and (hint := self.file.hint()):
                terminal.say(hint)

        jobs = self._means(jobs, executor)
        workers = executor is None and self._has_workers(jobs)
        to_the_end = False
        with Interrupts(gentle=workers, stopping=self._stopping, give_up=give_up) as interrupts:
            try:
                with interrupts.held():
                    report.begin()
                self._take_earlier(interrupts)
                images = interrupts.interruptible(images)

                def measured(_result: Result) -> None:
                    with interrupts.held():
                        self._measured += 1
                        if self.bar is not None:
                            self.bar.advance()
                        self._tell_when_measured()

                progress = measured if self.as_a_set else None
                with closing(self._results(images, jobs, executor, progress)) as results:
                    for number, result in enumerate(results):
                        with interrupts.held():
                            if self.bar is not None and self.as_a_set and not number:
                                self.bar.begin(self.last_step, self._measured)
                            report.add(result)
                            self.tally.add(result)
                            if self.bar is not None:
                                self.bar.advance()
                        if self.page is not None:
                            self.page.draw(interrupts.came)
                to_the_end = not interrupts.came()
                if self.page is not None:
                    self.page.draw(interrupts.came, rest=True)
            except KeyboardInterrupt:
                pass
            finally:
                self.seconds = time.perf_counter() - started
                if self.page is not None:
                    self.page.complete = to_the_end
                # A page takes a moment to write; a signal meanwhile must not cost it.
                with suppress(KeyboardInterrupt), interrupts.held():
                    report.end()
        if self.file is not None and to_the_end:
            self.file.complete()
        return interrupts.exit_code

    def _stopping(self) -> None:
        if self.bar is not None:
            self.bar.stop()
        terminal.say("Stopping; Ctrl-C again does not wait for the photos under way.")

    def _means(self, jobs: int | None, executor: str | None) -> int:
        """Decide how many processes there are, and tell the page."""
        # A page looks at the photos of the lines that are there, too.
        few = self.few and (self.page is None or self.tally.photos <= FEW)
        resolved, limits = means(jobs, self.limits, 0 if few else FEW + 1)
        if executor is None:
            self.limits = limits
        if self.page is not None:
            self.page.work_with(resolved, limits)
        return resolved

    def _has_workers(self, jobs: int) -> bool:
        return jobs > 1 or self.limits.with_environment().time_limit is not None

    def _take_earlier(self, interrupts: Interrupts) -> None:
        """Bring the photos that have a line in the file already into the page."""
        if self.page is None or not self.page.earlier:
            return
        with ExitStack() as stack:
            advance: Callable[[], None] = lambda: None  # noqa: E731
            if self.bar is not None:
                total = self.tally.earlier
                advance = stack.enter_context(self.bar.first("Earlier photos", total))
            for result in stack.enter_context(closing(self.page.take_earlier())):
                with interrupts.held():
                    self.page.add(result)
                    advance()
                self.page.draw(interrupts.came)

    def _results(
        self,
        images: Iterator[str],
        jobs: int,
        executor: str | None,
        progress: Callable[[Result], None] | None = None,
    ) -> Generator[Result, None, None]:
        """The results of a scan, with those of unreadable folders where they were met."""
        from qualipy_core import scan as core_scan

        results = core_scan(
            self._until_the_end(images),
            self.filters,
            self._regions() if self.roi is not None else None,
            stop_early=self.stop_early,
            jobs=jobs,
            limits=self.limits,
            executor=executor,
            thumbnails=None if self.page is None else self.page.side,
            progress=progress,
            fingerprints=self.fingerprints,
            journal=None if self.file is None else self.file.journal,
        )
        with closing(cast("Generator[Result, None, None]", results)):
            for result in results:
                yield from self._drained()
                yield result
        yield from self._drained()

    def _drained(self) -> Iterator[Result]:
        while self.unreadable:
            yield self.unreadable.popleft()

    def _until_the_end(self, images: Iterator[str]) -> Iterator[str | Image]:
        from qualipy_core import Image

        for image in images:
            self._given += 1
            now = self.moved.get(os.path.abspath(image)) if self.moved else None
            yield image if now is None else Image(now, name=image)
        self._ended = True
        self._tell_when_measured()

    def _tell_when_measured(self) -> None:
        """Show that all photos of a set are measured, and are being compared."""
        all_of_them = self._ended and self._measured + self.known == self._given
        if self.bar is not None and self.as_a_set and all_of_them:
            self.bar.begin(f"Comparing {self._measured:,} photos")

    def _regions(self) -> Iterator[ROI | None]:
        """As many regions as there are images, whose number nobody knows beforehand."""
        while not self._ended:
            yield self.roi

    def _has_line(self, image: str) -> bool:
        if self.file is None or not self.file.earlier.take(image):
            return False
        self.passed += 1
        if self.bar is not None:
            self.bar.advance()
        return True

    def _note_unreadable(self, folder: str, error: OSError) -> None:
        from qualipy_core import Result

        if self._has_line(folder):
            return
        reason = ImageReadError(f"{folder} cannot be listed: {error.strerror}.", image=folder)
        self.unreadable.append(Result(folder, error=reason))


def means(jobs: int | None, limits: Limits, photos: int) -> tuple[int, Limits]:
    """Return how many processes look at photos, and what one photo may cost, if nobody says.

    Few photos are looked at sooner than processes start. Otherwise a photo that hangs or crashes
    costs itself alone, on one core as on many: a time limit asks for a process.
    """
    from qualipy_core.executors import available_cores

    if jobs is not None:
        return jobs, limits
    if photos <= FEW:
        return 1, limits
    return available_cores(), replace(limits, time_limit=limits.in_force().time_limit)


def _has(tally: Tally, fail_on: str) -> bool:
    """Whether something was found that ``--fail-on`` names."""
    found = {
        "error": tally.failed > 0,
        "flagged": tally.flagged > 0,
        "any": tally.failed + tally.flagged > 0,
        "never": False,
    }
    return found[fail_on]


def _tell(run: Run, output: str | None, stopped: bool) -> None:
    """Sum the run up for people."""
    if terminal.is_terminal(sys.stdout):
        terminal.say("")
    if run.nothing_left:
        terminal.say(
            f"Nothing is left to judge: {visible(output or '')} has a line for each image."
        )
    terminal.say(run.tally.summary(run.seconds, stopped=stopped))
    if run.known and run.fingerprints is not None:
        s = "" if run.known == 1 else "s"
        terminal.say(f"{visible(run.fingerprints.path)} knows {run.known:,} photo{s}: left out.")
    if output:
        hint = run.file.hint() if stopped and run.file is not None else ""
        terminal.say(f"Results: {visible(output)}" + (f". {hint}" if hint else ""))
    if run.page is not None and (told := run.page.told()):
        terminal.say(told)


def _check_apart(files: dict[str, str | None]) -> None:
    """Check that no two options name one file: the later one written would be all that is left."""
    options: dict[str, str] = {}
    for option, path in files.items():
        if path is not None:
            real = os.path.realpath(path)
            if real in options:
                raise failures.WrongUse(f"{options[real]} and {option} name one file: {path}.")
            options[real] = option


def _page(
    path: str | None, thumbnails: str, run: Run, options: list[list[str]], *, explain: bool
) -> Page | None:
    """The page to look at the photos, if there is to be one."""
    if path is None:
        if explain or thumbnails != "auto":
            raise click.UsageError("--report-thumbnails and --report-explain are for a --report.")
        return None
    from qualipy.cli.report import Page
    from qualipy.report import Origin

    paths, early = run.sources.paths, run.stop_early
    origin = Origin(run.by_label, paths=paths, options=options, stop_early=early)
    return Page(path, origin, thumbnails, explain=explain)


def _repeated(
    run: Run, suffixes: tuple[str, ...], null: bool, fingerprints: str | None
) -> list[list[str]]:
    """What, beside paths and filters, decides which photos are judged, and how.

    What the environment says of limits is in it, for the page may go to another machine. A file of
    fingerprints knows the photos of this run from now on, so that they must be judged again.
    """
    limits = run.limits.with_environment()
    options = {name: getattr(limits, name) for name in ("max_pixels", "max_bytes", "time_limit")}
    known = [["--fingerprints", fingerprints], ["--known", "again"]] if fingerprints else []
    return [
        *([["--roi", ",".join(map(str, run.roi))]] if run.roi is not None else []),
        *([["--stop-early"]] if run.stop_early else []),
        *(
            [f"--{name.replace('_', '-')}", f"{value:.17g}"]
            for name, value in options.items()
            if value is not None
        ),
        *(["--suffix", suffix] for suffix in suffixes),
        *([["--null"]] if null else []),
        *known,
    ]


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


def _bar(run: Run) -> Bar:
    from qualipy.cli.progress import Bar

    return Bar(run.passed)


def _count(sources: Sources, bar: Bar) -> None:
    """Learn how many photos there are while the first ones are judged already."""

    def count() -> None:
        bar.set_total(sources.count())

    threading.Thread(target=count, daemon=True).start()
