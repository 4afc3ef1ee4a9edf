"""``qualipy evaluate``: how well a filter does on labelled photos."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qualipy.cli import figures, labelled, terminal
from qualipy.cli.failures import CannotWork, WrongUse
from qualipy.cli.text import to_json, unstyled, visible
from qualipy.cli.words import duration

if TYPE_CHECKING:
    from qualipy.evaluation import Evaluation


@click.command()
@labelled.options
@click.option("--threshold", type=float, metavar="NUMBER", help="Judge with this threshold.")
@click.option(
    "--by",
    "columns",
    metavar="COLUMN",
    multiple=True,
    help="Tell the figures for each value of a column of the CSV file, too; may be repeated.",
)
@click.option(
    "--worst",
    metavar="N",
    type=click.IntRange(min=0),
    default=12,
    show_default=True,
    help="How many of the mistakes to show.",
)
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    help="Write all of it here; an existing file is replaced.",
)
@click.option(
    "--plots",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Draw roc.png, threshold.png and mistakes.png here.",
)
def evaluate(
    name: str,
    settings: tuple[str, ...],
    threshold: float | None,
    columns: tuple[str, ...],
    worst: int,
    json_file: str | None,
    plots: Path | None,
    jobs: int | None,
    quiet: bool,
    **photos: Any,
) -> None:
    """Say how well a filter does on labelled photos, which threshold fits them best, and on which
    photos it is most wrong.

    The photos are those of --positives and --negatives, or of a CSV file. Photos of one group, such
    as several versions of one picture, are best named as such in the CSV file: the intervals are
    then as wide as they should be. A photo that can't be read costs a line and not the run; Ctrl-C
    keeps what is done.

    \b
    Examples:
      qualipy evaluate exposure --positives bad/ --negatives good/
      qualipy evaluate exposure --positives bad/ --negatives good/ --plots plots/
      qualipy evaluate hdr --negatives holiday/          (how many false alarms?)
      qualipy evaluate framed --labels photos.csv --by kind --json framed.json

    \b
    Exit status:
      0    done
      1    done, but for photos that could not be read or stand under both labels
      2    the command line is wrong, or there is no photo
      3    a pack, a library or the workers are broken
      130  stopped by Ctrl-C
    """  # noqa: D205, D301 (click reads the \b)
    if plots is not None:
        from qualipy.plots import need_matplotlib

        need_matplotlib()
    if threshold is not None:
        settings = (*settings, f"threshold={threshold!r}")
    job = labelled.prepare(name, settings, **photos)
    from qualipy.evaluation import Evaluation
    from qualipy.labels import check_column
    from qualipy_core import scan

    for column in columns:
        check_column(job.photos.samples, column)
    with ExitStack() as stack:
        # Opened before the work, for it may be long, and in vain.
        out = stack.enter_context(terminal.opened(json_file)) if json_file else None
        if plots is not None:
            _make_folder(plots)
        done = labelled.run(
            lambda images, jobs: scan(images, [job.filter], jobs=jobs),
            job.photos.samples,
            jobs,
            quiet=quiet,
        )
        result = Evaluation.of(job.filter, done.pairs)
        lines = list(_report(result, columns, worst))
        if out is not None:
            out(to_json(_plain(result, columns, done.stopped is not None), 2) + "\n")
        drawn = _drawn(result, plots, worst)
    colours = terminal.has_colours(sys.stdout)
    for line in lines:
        click.echo(line if colours else unstyled(line), color=True)
    if not quiet:
        for remark in (*labelled.remarks(job.photos, done), *drawn):
            terminal.say(remark)
        terminal.say(f"{len(done.pairs):,} photos in {duration(done.seconds)}")
    sys.exit(done.exit_code(job.photos))


def _report(result: Evaluation, columns: Sequence[str], worst: int) -> Iterator[str]:
    """The lines of the report; figures only where there is something to tell."""
    yield figures.title(result.filter)
    yield figures.counts(result)
    if result.photos:
        yield ""
        yield from figures.table({"": result.figures})
        yield figures.method(result)
        yield f"Score, the higher the more positive: {result.scores.how}."
        yield ""
        yield from figures.confusion(result)
        yield ""
        yield from figures.best(result)
        yield ""
        yield from figures.mistakes(result.mistakes, worst)
        for column in columns:
            yield ""
            yield from figures.by(result.by(column), column)
    yield from figures.failures(result)


def _plain(result: Evaluation, columns: Sequence[str], stopped: bool) -> dict[str, Any]:
    plain = result.to_dict()
    plain["by"] = {
        column: {value: part.to_dict(photos=False) for value, part in result.by(column).items()}
        for column in columns
    }
    return plain | {"stopped": stopped}


def _drawn(result: Evaluation, folder: Path | None, worst: int) -> list[str]:
    if folder is None or not result.photos:
        return []
    from qualipy.plots import draw

    try:
        paths = draw(result, folder, worst)
    except OSError as error:
        raise CannotWork(f"{folder} cannot be drawn in: {error.strerror}.") from None
    return [f"Drawn: {visible(str(path))}" for path in paths]


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongUse(f"{folder} cannot be made: {error.strerror}.") from None
