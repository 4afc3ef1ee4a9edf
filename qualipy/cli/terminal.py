"""Where a run's output goes: results to stdout or a file, progress and the summary to stderr."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from io import FileIO
from typing import TYPE_CHECKING, BinaryIO, Protocol, TextIO

import click

from qualipy.cli.failures import CannotWork, WrongUse
from qualipy.cli.text import encode, unstyled, visible

if TYPE_CHECKING:
    from qualipy.cli.progress import Bar


def has_colours(stream: TextIO) -> bool:
    """Whether to colour what goes to a stream: a terminal, and https://no-color.org unset."""
    return (
        is_terminal(stream)
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") not in ("dumb", "unknown")
    )


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal; one that is closed is none."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def say(text: str) -> None:
    """Write lines to stderr, coloured where it can show colours."""
    click.echo(text if has_colours(sys.stderr) else unstyled(text), err=True, color=True)


def bar_fits(form: str) -> bool:
    """Whether a progress bar on stderr would disturb nothing.

    It would where the results themselves appear on the terminal, unless they are the table, which
    is written around the bar; and where a pipe's reader may write to the terminal (`less`, `jq`).
    """
    if not is_terminal(sys.stderr) or os.environ.get("TERM") in ("dumb", "unknown"):
        return False
    if is_terminal(sys.stdout):
        return form == "table"
    try:
        mode = os.fstat(sys.stdout.fileno()).st_mode
    except (OSError, ValueError, AttributeError):
        return False
    return stat.S_ISREG(mode) or stat.S_ISCHR(mode)


class Out(Protocol):
    """Takes the pieces of a report."""

    def __call__(self, text: str, /) -> None:
        """Write a piece of text and keep nothing back."""


@contextmanager
def opened(path: str) -> Iterator[Out]:
    """Open a file for a report; each piece reaches it at once.

    Raises
    ------
    WrongUse
        It cannot be written, or it is a photo: a forgotten file name must not cost one.
    """
    with open_for_results(path) as file:
        yield out_to(file, path)


@contextmanager
def opened_whole(path: str, *, keep: bool = True) -> Iterator[Out]:
    """Open a file for a report that is one piece: it has its name, and its end, at the end.

    Until then it is ``FILE.part``, and what was there stays; so it does when something goes wrong.

    Parameters
    ----------
    path : str
        Of the file.
    keep : bool
        Keep the part that is there when something goes wrong; where it can be made again, it has
        a name that nobody else has, and goes.

    Raises
    ------
    WrongUse
        As `opened`.
    """
    if os.path.exists(path) and not os.path.isfile(path):  # a pipe or device
        with opened(path) as write:
            yield write
        return
    check_no_image(path)
    real = os.path.realpath(path)
    part = real + (".part" if keep else f".{secrets.token_hex(6)}.part")
    try:
        with open_for_results(part, called=path) as file:
            yield out_to(file, path)
            try:
                os.fsync(file.fileno())
                os.replace(part, real)
            except OSError as error:
                raise CannotWork(
                    f"The results cannot be written to {path}: {error.strerror}."
                ) from None
    except BaseException:
        if not keep:
            with suppress(OSError):
                os.unlink(part)
        raise


def open_for_results(path: str, *, keep: bool = False, called: str | None = None) -> FileIO:
    """Open a file for a report, without a buffer.

    Parameters
    ----------
    path : str
        Of the file, which is made if there is none.
    keep : bool
        Leave what is in it, and open it for reading as well.
    called : str, optional
        What errors call it.

    Raises
    ------
    WrongUse
        As `opened`.
    """
    check_no_image(path)
    try:
        return FileIO(path, "r+", opener=_made) if keep else FileIO(path, "w")
    except OSError as error:
        where = called or path
        raise WrongUse(f"The results cannot be written to {where}: {error.strerror}.") from None


def check_no_image(path: str) -> None:
    """Check that a forgotten file name does not cost a photo.

    Raises
    ------
    WrongUse
        The path is that of an image.
    """
    if is_image(path):
        raise WrongUse(f"The results cannot be written to {path}: it is an image. Name a new file.")


def _made(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT, 0o666)


@contextmanager
def only_results_on_stdout() -> Iterator[None]:
    """Send to stderr what packs print when they are imported, or programs that they start."""
    with _private_stdout():
        yield


def is_image(path: str) -> bool:
    """Whether there is a file, and it is a photo: results must not replace one."""
    from qualipy_core.headers import read_header

    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with open(path, "rb") as file:
            return read_header(file) is not None
    except (OSError, ValueError):
        return False


@contextmanager
def standard_output(bar: Bar | None, *, for_people: bool) -> Iterator[Out]:
    """Keep stdout for a report alone.

    What filters print, here or in a worker, would corrupt it; it goes to stderr meanwhile.

    Parameters
    ----------
    bar : Bar or None
        A progress bar on the same terminal, which must be written around.
    for_people : bool
        The report is safe to show; otherwise it is made so, should stdout be a terminal.
    """
    if bar is not None and is_terminal(sys.stdout):
        yield bar.print
        return
    escape = is_terminal(sys.stdout) and not for_people
    with _private_stdout() as file:
        write = out_to(file, "stdout")
        yield (lambda text: write(visible(text, keep="\n"))) if escape else write


def out_to(file: BinaryIO | FileIO, name: str) -> Out:
    """Return what writes to a file, each piece of text at once and all of it.

    Raises
    ------
    CannotWork
        When it is called: the text cannot be written, for the disk is full, say.
    """

    def write(text: str) -> None:
        data = memoryview(encode(text))
        try:
            while data:
                data = data[file.write(data) :]
            file.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise CannotWork(
                f"The results cannot be written to {name}: {error.strerror}."
            ) from None

    return write


@contextmanager
def _private_stdout() -> Iterator[BinaryIO]:
    if sys.stdout is None:  # closed by who started us
        with open(os.devnull, "wb", buffering=0) as void:
            yield void
        return
    try:
        descriptor, errors = sys.stdout.fileno(), sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):  # not a real file, as in tests
        buffer = sys.stdout.buffer
        with redirect_stdout(sys.stderr):
            yield buffer
        return
    sys.stdout.flush()
    with os.fdopen(os.dup(descriptor), "wb", buffering=0) as private:
        os.dup2(errors, descriptor)
        try:
            yield private
        finally:
            sys.stdout.flush()
            os.dup2(private.fileno(), descriptor)
