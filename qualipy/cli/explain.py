"""``qualipy explain``: where in a photo a filter sees it, as a picture."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qualipy.cli import packs, selection, terminal
from qualipy.cli.failures import FOUND, CannotWork, WrongUse
from qualipy.cli.limits import limit_options, limits_of
from qualipy.cli.scan import region
from qualipy.cli.text import visible
from qualipy_core.errors import (
    ExplanationError,
    FilterError,
    ImageTimeoutError,
    QualipyError,
    WorkerDiedError,
)

if TYPE_CHECKING:
    from qualipy.explaining.apart import Form, Order
    from qualipy_core import ROI, Filter
    from qualipy_core.criterion import Criterion
    from qualipy_core.limits import Limits

_OF_ONE_FILTER = (ExplanationError, FilterError, ImageTimeoutError, WorkerDiedError)
"""What says nothing of whether the other filters can be drawn."""
_SIDES = click.IntRange(64, 4096)


@click.command()
@click.argument("names", metavar="FILTERS")
@click.argument("photo", metavar="PHOTO")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the picture here (.png, .jpg, .webp); a folder, for several filters.",
)
@click.option("--force", is_flag=True, help="Replace files that exist.")
@click.option(
    "--set",
    "settings",
    metavar="PARAM=VALUE",
    multiple=True,
    help="A parameter, as JSON or plain text; FILTER.PARAM=VALUE with several; may be repeated.",
)
@click.option(
    "--roi",
    metavar="X,Y,W,H",
    callback=region,
    help="Look at this region alone, in pixels of the upright photo.",
)
@click.option("--overlay-only", is_flag=True, help="Write the photo with the marks, and no page.")
@click.option(
    "--side",
    metavar="PIXELS",
    type=_SIDES,
    default=640,
    show_default=True,
    help="The long side of the photo in the picture, in pixels.",
)
@limit_options
@click.option("-q", "--quiet", is_flag=True, help="Write the picture and say nothing of it.")
def explain(
    names: str,
    photo: str,
    output: Path | None,
    force: bool,
    settings: tuple[str, ...],
    roi: ROI | None,
    overlay_only: bool,
    side: int,
    max_pixels: float | None,
    max_bytes: float | None,
    time_limit: float | None,
    quiet: bool,
) -> None:
    """Draw where in a photo a filter sees what it looks for, and say it in a sentence.

    FILTERS is a filter's name, several with commas between, or "all" for every installed one. The
    picture shows the photo, what the filter saw in it, a legend and the verdict. Without --output
    it is written into this folder, as PHOTO.FILTER.png. A process of its own draws it, which a
    photo may crash and a filter may hang.

    \b
    Examples:
      qualipy explain exposure beach.jpg
      qualipy explain whole_blur beach.jpg -o why.png --set threshold=0.8
      qualipy explain all beach.jpg -o why/
      qualipy explain framed scan.tif --roi 0,0,800,600 --overlay-only

    \b
    Exit status:
      0    done
      1    the photo cannot be read, or a filter failed on it; others are drawn
      2    the command line is wrong, or the filter cannot show where
      3    a pack or a library is broken
    """  # noqa: D301 (click reads the \b)
    from qualipy.explaining.apart import Artist

    chosen = _chosen(names, settings)
    targets = dict(_targets(chosen, photo, output))
    _check(targets, photo, force)
    limits = limits_of(max_pixels=max_pixels, max_bytes=max_bytes, time_limit=time_limit)
    failed = False
    with Artist() as artist:
        for name, item in chosen.items():
            order = _order(item, photo, roi, targets[name], side, overlay_only, limits)
            try:
                drawn = artist.draw(order)
            except QualipyError as error:
                if len(chosen) == 1 or not isinstance(error, _OF_ONE_FILTER):
                    raise
                terminal.say(visible(str(error)))
                failed = failed or not isinstance(error, ExplanationError)
                continue
            assert drawn is not None  # noqa: S101 (a card alone may be nothing)
            _write(targets[name], drawn.picture.data, force)
            if not quiet:
                click.echo(f"{visible(name)} {drawn.verdict}\n  {visible(drawn.picture.summary)}")
                terminal.say(f"  written: {visible(str(targets[name]))}")
    sys.exit(FOUND if failed else 0)


def _order(
    item: Filter,
    photo: str,
    roi: ROI | None,
    path: Path,
    side: int,
    overlay_only: bool,
    limits: Limits,
) -> Order:
    from qualipy.explaining import kind_of
    from qualipy.explaining.apart import Order

    form: Form = "overlay" if overlay_only else "page"
    return Order(item, photo, roi, form, kind_of(path), side, limits)


def _chosen(names: str, settings: Sequence[str]) -> dict[str, Filter]:
    """The filters by name; of all, those that can show where."""
    from qualipy.explaining import shows
    from qualipy_core import Filter

    named = list(dict.fromkeys(word.strip() for word in names.split(",") if word.strip()))
    every = selection.ALL in named
    if len(named) == 1 and not every:
        made: list[Criterion] = [selection.choose_one(named[0], settings)]
    else:
        made = selection.choose([names], settings)
    keys = [item.name for item in made] if every else named
    able: dict[str, Filter] = {}
    for key, item in zip(keys, made, strict=True):
        if shows(item):
            able[key] = item
        elif not every:
            alone = isinstance(item, Filter)
            why = "does not explain itself" if alone else "compares photos with each other"
            raise ExplanationError(
                f"{key} cannot show where: it {why}. `qualipy explain all` takes those that do.",
                filter=key,
            )
    if not able:
        raise CannotWork("No installed filter can show where.")
    return able


def _targets(chosen: dict[str, Any], photo: str, output: Path | None) -> Iterator[tuple[str, Path]]:
    """The file that each filter's picture goes to."""
    from qualipy.explaining import kind_of

    stem = os.path.splitext(os.path.basename(photo.rstrip("/")))[0] or "photo"
    into_folder = output is None or output.is_dir() or len(chosen) > 1 or _says_folder(output)
    for name in chosen:
        if into_folder:
            yield name, (output or Path()) / f"{stem}.{name.replace(':', '.')}.png"
        elif output is not None:
            kind_of(output)
            yield name, output


def _says_folder(output: Path) -> bool:
    return not output.suffix


def _check(targets: dict[str, Path], photo: str, force: bool) -> None:
    """See, before any work, that the pictures can be written and cost nothing."""
    packs.need_opencv()
    for path in targets.values():
        if path.is_dir():
            raise WrongUse(f"{path} is a folder.")
        if path.exists():
            if os.path.exists(photo) and os.path.samefile(path, photo):
                raise WrongUse(f"{path} is the photo itself. Name another file.")
            if not force:
                raise WrongUse(f"{path} exists. Name another file, or replace it with --force.")


def _write(path: Path, data: bytes, force: bool) -> None:
    made = False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb" if force else "xb") as file:
            made = not force
            file.write(data)
    except OSError as error:
        if made:  # half of it: the disk is full
            with suppress(OSError):
                path.unlink()
        raise CannotWork(f"{path} cannot be written: {error.strerror}.") from None
