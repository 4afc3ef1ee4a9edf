"""``qualipy sort``: put photos into folders by what was found."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from qualipy.cli import failures, packs, terminal, words
from qualipy.cli.failures import CannotWork, WrongUse
from qualipy.cli.interrupts import Interrupts
from qualipy.cli.limits import limit_options, limits_of
from qualipy.cli.results import read
from qualipy.cli.scan import FEW, MOST_JOBS, Run
from qualipy.cli.sources import Sources, Unreadable
from qualipy.cli.text import visible

if TYPE_CHECKING:
    from qualipy.cli.terminal import Out
    from qualipy.sorting import Action, Placed, Sorter
    from qualipy_core import Result
    from qualipy_core.criterion import Criterion
    from qualipy_core.limits import Limits

_DONE = {"copy": "Copied", "link": "Linked", "move": "Moved"}
_COLOURS = {"kept": "green", "dropped": "yellow", "errors": "red", "left": "red"}
_MAGIC = frozenset("*?[")


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1)
@click.option(
    "--into",
    nargs=2,
    metavar="KEPT DROPPED",
    help="The folders for suitable and for flagged photos; made if they are not there.",
)
@click.option("--errors", metavar="FOLDER", help="And one for photos that can't be judged.")
@click.option("--move", "action", flag_value="move", help="Move the photos instead of copying.")
@click.option("--link", "action", flag_value="link", help="Make hard links, which take no space.")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option(
    "--results",
    metavar="FILE",
    help="Go by what an earlier scan has written, instead of judging now.",
)
@click.option(
    "--log", metavar="FILE", help="Log of each step; qualipy-sort-TIME.jsonl, by default."
)
@click.option("--undo", metavar="LOG", help="Take back what was done.")
@click.option(
    "--filters",
    "names",
    metavar="NAMES",
    multiple=True,
    help="Filters to run, as for `qualipy scan`.",
)
@click.option(
    "--set",
    "settings",
    metavar="FILTER.PARAM=VALUE",
    multiple=True,
    help="A filter's parameter, as for `qualipy scan`; may be repeated.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, MOST_JOBS),
    show_default="all cores",
    help="Worker processes; 1 judges in this one.",
)
@limit_options
@click.option(
    "--suffix",
    "suffixes",
    metavar="SUFFIX",
    multiple=True,
    help="Take files with this suffix from folders, too; may be repeated.",
)
@click.option("-0", "--null", is_flag=True, help="The list on standard input is NUL-separated.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary, no table.")
def sort(
    paths: tuple[str, ...],
    into: tuple[str, str] | None,
    errors: str | None,
    action: Action | None,
    dry_run: bool,
    results: str | None,
    log: str | None,
    undo: str | None,
    names: tuple[str, ...],
    settings: tuple[str, ...],
    jobs: int | None,
    max_pixels: float | None,
    max_bytes: float | None,
    time_limit: float | None,
    suffixes: tuple[str, ...],
    null: bool,
    quiet: bool,
) -> None:
    """Put photos into folders by what was found, and take it back.

    Photos are copied, and keep their path below the folder that is named. Nothing is replaced:
    what has the name of a photo already stays, and the photo is left where it is. So is one that
    can't be judged, unless --errors names a folder for it.

    Each step stands in a log before it is taken; --undo LOG takes them back. Ctrl-C, a crash or a
    full disk loses no photo, and the same command goes on.

    \b
    Examples:
      qualipy sort photos/ --into kept dropped --dry-run
      qualipy sort photos/ --into kept dropped
      qualipy sort photos/ --into photos/kept photos/dropped --move --filters exposure,hdr
      qualipy sort --results run.jsonl --into kept dropped
      qualipy sort --undo qualipy-sort-20260102-150405.jsonl

    \b
    Exit status:
      0    every photo is where it belongs
      1    photos were left, for they can't be judged or another file has their name
      2    the command line is wrong, or there is no image at all
      3    a pack, a library or the workers are broken, or a disk is full
      130  stopped by Ctrl-C
    """  # noqa: D301 (click reads the \b)
    if undo is not None:
        _check_alone(paths, into, results, log)
        sys.exit(failures.FOUND if _undo(undo, dry_run, quiet) else 0)
    if into is None:
        raise click.UsageError("Missing option '--into', with a folder for each kind of photo.")
    if not paths and results is None:
        raise click.UsageError("Missing argument 'PATH...', or option '--results'.")
    if results is not None and (names or settings):
        raise click.UsageError("--results goes by what was judged: leave out --filters and --set.")
    from qualipy.sorting import Sorter

    limits = limits_of(max_pixels=max_pixels, max_bytes=max_bytes, time_limit=time_limit)
    action = action or "copy"
    log = log or _default_log()
    sorter = Sorter(*into, errors, action=action, log=log, dry_run=dry_run)
    _check_sources(paths, sorter)
    with ExitStack() as stack:
        if results is not None:
            status, placing = _by_results(results, paths, sorter, quiet, stack)
        else:
            sources = Outside(sorter, paths, null=null, suffixes=suffixes)
            status, placing = _by_judging(
                sources, names, settings, limits, jobs, sorter, quiet, stack
            )
    if not quiet:
        terminal.say(placing.summary())
    if status is not None:
        sys.exit(status)
    if placing.left:
        sys.exit(failures.FOUND)


class Outside(Sources):
    """The photos that are not in a folder that photos are sorted into.

    With those that were outside, too, until a sort that ended early moved them: where a photo is
    judged among the others, all are needed. They have the names that they had.
    """

    def __init__(
        self, sorter: Sorter, paths: Iterable[str], *, null: bool, suffixes: Iterable[str]
    ) -> None:
        super().__init__(paths, null=null, suffixes=suffixes)
        self._sorter = sorter
        self._names = Names(self.paths)
        self._folders: dict[str, str] = {}  # of the images, and what these are called by
        self._asked_for: set[str] = set()  # moved ones that were named themselves
        self.moved: Mapping[str, str] = {}  #: from where photos were to where they are

    def images(self, unreadable: Unreadable) -> Iterator[str]:
        """Yield the path of every image."""
        for image in super().images(unreadable):
            if not self._sorter.is_target(image):
                path = os.path.abspath(image)
                self._folders[os.path.dirname(path)] = os.path.dirname(image)
                if path in self.moved:
                    self._asked_for.add(path)
                yield image
        for path in self.moved:
            called = None if path in self._asked_for else self._called(path)
            if called is not None:
                yield called

    def are_mine(self, path: str) -> bool:
        """Whether a photo that was moved is one of these."""
        return path in self._asked_for or self._called(path) is not None

    def _called(self, path: str) -> str | None:
        """What a photo that was moved would be called were it still where it was, if it is ours."""
        folder, name = os.path.split(path)
        known = self._folders.get(folder)
        return self._names.called(path) if known is None else os.path.join(known, name)


class Names:
    """What photos are called below the folder that they are put into.

    A photo keeps its path below the folder that was named, or below the part of a pattern that has
    no wildcards; one that was named itself keeps its name; any other keeps its whole path.

    Parameters
    ----------
    paths : iterable of str
        As on the command line.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        named = [path for path in paths if path != "-"]
        self._files = {os.path.abspath(path) for path in named if not _is_many(path)}
        tops = {os.path.join(os.path.abspath(_top(p)), ""): _top(p) for p in named if _is_many(p)}
        self._tops = dict(sorted(tops.items(), key=lambda top: len(top[0]), reverse=True))

    def __call__(self, image: str) -> str:
        """Return what an image is called."""
        path = os.path.abspath(image)
        for top in self._tops:
            if path.startswith(top):
                return path[len(top) :]
        if path in self._files:
            return os.path.basename(path)
        path = os.path.normpath(image)
        if os.path.isabs(path) or path.startswith(os.pardir):
            path = os.path.splitdrive(os.path.abspath(image))[1].lstrip(os.sep)
        return path

    def called(self, path: str) -> str | None:
        """Return what an image at an absolute path is called, if it is below what was named."""
        for top, given in self._tops.items():
            if path.startswith(top):
                return os.path.join(given, path[len(top) :])
        return None

    def are_of(self, image: str) -> bool:
        """Whether an image is one of those that were named."""
        path = os.path.abspath(image)
        return path in self._files or any(path.startswith(top) for top in self._tops)


def _is_many(path: str) -> bool:
    return os.path.isdir(path) or (not os.path.lexists(path) and bool(_MAGIC & set(path)))


def _top(path: str) -> str:
    """The folder, or the part of a pattern above its first wildcard."""
    while _MAGIC & set(path) and not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


class Placing:
    """Puts the photo of each result where it belongs, and tells of it: a report's writer."""

    def __init__(self, sorter: Sorter, names: Names, write: Out | None, *, colours: bool) -> None:
        self._sorter = sorter
        self._names = names
        self._write = write
        self._colours = colours
        self._counts: Counter[str] = Counter()
        self.filters: Mapping[str, Criterion] = {}

    @property
    def left(self) -> int:
        """How many photos are not where they belong."""
        return self._counts["left"]

    def begin(self) -> None:
        """Write nothing: the lines explain themselves."""

    def add(self, result: Result) -> None:
        """Put a photo where it belongs."""
        try:
            placed = self._sorter.place(result, self._names(result.image))
        except OSError as error:
            raise CannotWork(
                f"{result.image} is left where it is: {error.filename}: {error.strerror}.\n"
                f"{self.summary()}"
            ) from None
        self._counts[placed.folder if placed.status == "put" else placed.status] += 1
        if self._write is not None:
            text = self._line(placed, result)
            self._write((text if self._colours else click.unstyle(text)) + "\n")

    def end(self) -> None:
        """Write nothing."""

    def summary(self) -> str:
        """Return how many photos are where now, and how to take it back."""
        sorter = self._sorter
        put = [
            f"{self._counts[name]:,} to {visible(folder)}"
            for name, folder in sorter.folders.items()
        ]
        text = f"{_DONE[sorter.action]}: {', '.join(put)}."
        if self._counts["there"]:
            text += f" There already: {self._counts['there']:,}."
        if self.left:
            text += f" Left: {self.left:,}."
        if sorter.dry_run:
            return f"{text}\nNothing of this was done: --dry-run."
        if sorter.log is not None and any(self._counts[name] for name in sorter.folders):
            text += f"\n`qualipy sort --undo {visible(sorter.log)}` takes it back."
        return text

    def _line(self, placed: Placed, result: Result) -> str:
        kind = "left" if placed.status == "left" else placed.folder
        line = f"{click.style(f'{kind:<7}', fg=_COLOURS[kind])}  {visible(placed.image)}"
        if placed.status != "left" and placed.target is not None:
            line += f" -> {visible(placed.target)}"
        reasons = [
            words.reason(name, self.filters.get(name), result.predictions[name])
            for name in result.flagged
        ]
        said = [*reasons, *words.problems(result)]
        if placed.status == "there":
            said.append("there already")
        elif placed.reason:
            said = [visible(placed.reason)]
        return line + (f"  {', '.join(said)}" if said else "")


def _by_judging(
    sources: Outside,
    names: tuple[str, ...],
    settings: tuple[str, ...],
    limits: Limits,
    jobs: int | None,
    sorter: Sorter,
    quiet: bool,
    stack: ExitStack,
) -> tuple[int | None, Placing]:
    from qualipy.cli.selection import choose

    with terminal.only_results_on_stdout():
        packs.load_hooks()
        filters = choose(names, settings)
    run = Run(sources, filters, None, stop_early=False, limits=limits)
    run.last_step = "Sorting"
    moved = _went_on_with(sorter, sources.are_mine)
    if run.as_a_set:
        run.moved = sources.moved = moved
    images = run.found(FEW + 1 if jobs is None else 1)
    if not quiet and terminal.bar_fits("table"):
        from qualipy.cli.progress import Bar

        run.bar = Bar(0)
    placing = _placing(sorter, Names(sources.paths), run, quiet, stack)
    placing.filters = run.by_label
    if run.bar is not None:
        stack.enter_context(run.bar)
        run.bar.set_total(sources.count())
    status = run.go(images, placing, jobs, None)
    sorter.ended_early = status is not None
    return status, placing


def _by_results(
    file: str, paths: tuple[str, ...], sorter: Sorter, quiet: bool, stack: ExitStack
) -> tuple[int | None, Placing]:
    if "-" in paths:
        raise click.UsageError("With --results, name folders and photos instead of a list.")
    names = Names(paths or [_common_folder(file)])
    images = (result for result in read(file) if names.are_of(result.image))
    _went_on_with(sorter, names.are_of)
    placing = _placing(sorter, names, None, quiet, stack)

    def stopping() -> None:
        terminal.say("Stopping.")

    with Interrupts(gentle=False, stopping=stopping, give_up=stopping) as interrupts:
        try:
            for result in interrupts.interruptible(images):
                with interrupts.held():
                    placing.add(result)
        except KeyboardInterrupt:
            pass
    sorter.ended_early = interrupts.exit_code is not None
    return interrupts.exit_code, placing


def _went_on_with(sorter: Sorter, are_mine: Callable[[str], bool]) -> Mapping[str, str]:
    """Where the photos are that sorts into the same folders have moved before they ended early."""
    if sorter.action != "move":
        return {}
    try:
        return sorter.go_on(are_mine)
    except OSError as error:
        raise WrongUse(f"{error.filename} cannot be read: {error.strerror}.") from None


def _placing(
    sorter: Sorter, names: Names, run: Run | None, quiet: bool, stack: ExitStack
) -> Placing:
    """Begin to sort; what is said goes to stdout, around a progress bar."""
    try:
        stack.enter_context(sorter)
    except OSError as error:
        raise CannotWork(
            f"Nothing can be sorted here: {error.filename}: {error.strerror}."
        ) from None
    bar = run.bar if run is not None else None
    out = stack.enter_context(terminal.standard_output(bar, for_people=True))
    return Placing(sorter, names, None if quiet else out, colours=terminal.has_colours(sys.stdout))


def _common_folder(file: str) -> str:
    """The folder below which all photos of a file of results are."""
    common = None
    for result in read(file):
        if "://" not in result.image:
            folder = os.path.dirname(os.path.abspath(result.image))
            common = folder if common is None else os.path.commonpath([common, folder])
    return common or os.curdir


def _check_sources(paths: Iterable[str], sorter: Sorter) -> None:
    for path in paths:
        for folder in sorter.folders.values():
            inside = os.path.join(path, "x")
            if os.path.isdir(path) and sorter.is_target(inside):
                raise WrongUse(f"{path} cannot be sorted into {folder}: it lies in that folder.")


def _check_alone(
    paths: tuple[str, ...], into: tuple[str, str] | None, results: str | None, log: str | None
) -> None:
    if paths or into or results is not None or log is not None:
        raise click.UsageError("--undo LOG says all: leave out what is not --dry-run or --quiet.")


def _undo(log: str, dry_run: bool, quiet: bool) -> int:
    """Take back what a log tells; return how many photos were left."""
    from qualipy.sorting import undo

    counts: Counter[str] = Counter()
    colours = terminal.has_colours(sys.stdout)
    with (
        ExitStack() as stack,
        Interrupts(gentle=False, stopping=lambda: None, give_up=lambda: None) as interrupts,
    ):
        out = stack.enter_context(terminal.standard_output(None, for_people=True))
        try:
            steps = undo(log, dry_run=dry_run)
            while True:
                with interrupts.held():
                    each = next(steps, None)
                    if each is None:
                        break
                    counts[each.status] += 1
                    if quiet or each.status == "done":
                        continue
                    head = f"{each.status:<7}"
                    if each.status == "left":
                        head = click.style(head, fg="red") if colours else head
                    line = f"{head}  {_shown(each.path)}"
                    line += f" -> {_shown(each.source)}" if each.status == "back" else ""
                    out(line + (f"  {visible(each.reason)}" if each.reason else "") + "\n")
        except OSError as error:
            raise WrongUse(f"{log} cannot be read: {error.strerror}.") from None
        except KeyboardInterrupt:
            pass
    if not quiet:
        text = f"Back: {counts['back']:,}. Removed: {counts['removed']:,}."
        text += f" Undone before: {counts['done']:,}." if counts["done"] else ""
        text += f" Left: {counts['left']:,}." if counts["left"] else ""
        terminal.say(f"{text}\nNothing of this was done: --dry-run." if dry_run else text)
    if interrupts.exit_code is not None:
        sys.exit(interrupts.exit_code)
    return counts["left"]


def _shown(path: str) -> str:
    """A path of a log as people write it: below this folder, without this folder."""
    return visible(path.removeprefix(os.path.join(os.getcwd(), "")))


def _default_log() -> str:
    """A name that is not taken, in this folder."""
    stem = f"qualipy-sort-{time.strftime('%Y%m%d-%H%M%S')}"
    name, number = f"{stem}.jsonl", 1
    while os.path.lexists(name):
        number += 1
        name = f"{stem}-{number}.jsonl"
    return name
