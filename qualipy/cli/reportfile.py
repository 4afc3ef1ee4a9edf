"""The file that a report goes to, with which a later run can go on: `ReportFile`.

From before the first line until the run has ended, a record of how the photos are judged lies
beside the file. While it is there the file is unfinished: ``--resume`` goes on with it, and the
same command without that does not replace it by mistake.

Where set filters run, no line can be written before the last photo is measured. What is measured
lies in a journal beside the file meanwhile, and a run that goes on writes all lines.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from io import BufferedReader, FileIO
from types import TracebackType
from typing import TYPE_CHECKING, Self

from qualipy.cli import earlier, packs, record, terminal
from qualipy.cli.earlier import RESUMABLE, Earlier, Line
from qualipy.cli.failures import CannotWork, WrongUse
from qualipy.cli.record import Record
from qualipy.cli.text import visible

if TYPE_CHECKING:
    from qualipy_core import ROI
    from qualipy_core.criterion import Criterion

GO_ON = "The same command with --resume goes on."
JOURNAL = ".measured"
"""Behind the name of a report: where results wait for the end of their set."""


class ReportFile:
    """A report's file, begun anew or gone on with.

    Parameters
    ----------
    path : str
        Of the file.
    form : str
        One of `RESUMABLE`.
    filters : mapping of str to Filter
        Those of the run, by their key in results.
    roi : ROI or None
        The region that is judged.
    stop_early : bool
        Whether an image's other filters are left out once one is positive.
    resume : bool
        Go on with what is there.
    as_a_set : bool
        Lines come when all photos are measured.

    Attributes
    ----------
    earlier : Earlier
        What is there to go on with.
    journal : str or None
        The file in which results wait, if they do.
    """

    def __init__(
        self,
        path: str,
        form: str,
        filters: Mapping[str, Criterion],
        roi: ROI | None,
        stop_early: bool,
        *,
        resume: bool,
        as_a_set: bool = False,
    ) -> None:
        self.path = path
        self.journal = os.path.realpath(path) + JOURNAL if as_a_set else None
        self.earlier = Earlier(form)
        self._form = form
        self._filters = filters
        self._record = Record.of(form, filters, roi, stop_early)
        self._record_path = _record_path(path)
        self._resume = resume
        self._going_on = False  # what a run before this one has measured holds
        self._recorded = False  # a record lies there, and it is this run's
        self._file: FileIO | None = None
        self._write: terminal.Out | None = None

    def __enter__(self) -> Self:
        """Look at what is there, and change nothing.

        Raises
        ------
        WrongUse
            It can't be gone on with, or it would be a pity to replace it.
        """
        before = Record.read(self._record_path) if os.path.exists(self.path) else None
        if self._resume and os.path.exists(self.path):
            self._take_up(before)
        elif before is not None and before.asks_for_the_same(self._record) and self._holds_work():
            self._open().close()  # fails if that run is still going on
            raise WrongUse(
                f"{self.path} holds the results of the same run, which ended early. Add --resume "
                "to go on with it; to begin anew, remove that file first."
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
        if self._write is not None and not self._holds_work():
            self._forget()
        failed = isinstance(error, Exception) and not isinstance(error, BrokenPipeError)
        if failed and self._write is not None and (hint := self.hint()):
            where = self.path if self.journal is None else self.journal
            terminal.say(f"What is done is in {visible(where)}. {hint}")

    def begin(self) -> terminal.Out:
        """Make the file ready for what is to be added, and return what writes to it.

        Raises
        ------
        WrongUse
            It cannot be written, or nobody knows how what is there was judged.
        """
        if self._file is None:
            self._file = self._open()
        lines = self.earlier.tally.photos
        if lines and not self._recorded:
            raise WrongUse(
                f"{self.path} lacks images of this run, and can't be gone on with: "
                f"{self._record_path}, which tells how those in it were judged, is not there. (A "
                "run that comes to its end removes it.) Write the others to a file of their own."
            )
        try:
            self._file.truncate(self.earlier.end if lines else 0)
            self._file.seek(0, os.SEEK_END)
            if self.journal is not None and not self._going_on:
                self._forget_journal()
            if not lines:
                os.fsync(self._file.fileno())  # before a record could vouch for what was there
                self._keep_record()
        except OSError as error:
            raise CannotWork(f"{self.path} cannot be written: {error.strerror}.") from None
        self._write = terminal.out_to(self._file, self.path)
        return self._add

    def complete(self) -> None:
        """Note that the run has come to its end."""
        if self._file is not None:
            with suppress(OSError):
                os.fsync(self._file.fileno())
        self._forget()

    def leave(self) -> None:
        """Finish a file that lacks nothing but, perhaps, this program's word for it."""
        if self._recorded:
            self.begin()
            self.complete()

    def hint(self) -> str:
        """Return what to say to whoever has stopped the run: nothing if it can't go on."""
        return GO_ON if self._recorded and self._holds_work() else ""

    def _add(self, text: str, /) -> None:
        """Write a piece of text, all of it or nothing."""
        assert self._file is not None and self._write is not None  # noqa: S101, PT018 (of `begin`)
        end = self._file.tell()
        try:
            self._write(text)
        except CannotWork:
            with suppress(OSError):
                self._file.truncate(end)
            raise

    def _take_up(self, before: Record | None) -> None:
        self._recorded = before is not None
        if before is not None and self.journal is not None:
            if self._holds_work():
                self._check_same(before)
            self._file = self._open()
            self._going_on = True  # and all lines are written anew
            return
        file = self._file = self._open()
        reader = BufferedReader(file)  # and no second file: closing that would lift the lock
        try:
            if before is not None and os.fstat(file.fileno()).st_size:
                self._check_same(before)
            names = list(self._filters)
            self.earlier = earlier.read(reader, self.path, self._form, names, self._check)
            if self.earlier.torn and not self._recorded:
                raise WrongUse(
                    f"{self.path}, line {self.earlier.torn}, is no line of such a report, and "
                    f"without {self._record_path} no run is known to have left it unfinished. "
                    "Nothing has been changed."
                )
        except BaseException:
            reader.close()
            raise
        reader.detach()
        self.earlier.tally.earlier = self.earlier.tally.photos

    def _check_same(self, before: Record) -> None:
        if differences := self._record.differences(before):
            raise WrongUse(
                f"{self.path} was begun otherwise, and this run can't go on with it: "
                f"{'; '.join(differences)}. Repeat the command as it was, or name another file."
            )

    def _check(self, line: Line) -> str | None:
        """Say what tells that a line is not of a run such as this one, as far as it can tell."""
        if line.judged is not None:
            names = self._filters.keys()
            if others := line.judged - names:
                return f"it was judged by {', '.join(sorted(others))}, too"
            short = self._record.stop_early and bool(line.flagged)
            if (lacking := names - line.judged) and not short:
                return f"it was not judged by {', '.join(sorted(lacking))}"
            if self._record.roi != line.ROI:
                return f"the ROI was {line.ROI}"
        if not self._recorded:
            for name, prediction in line.predictions.items():
                if self._filters[name].decision(prediction) != (name in line.flagged):
                    return f"{name} {prediction:g} would be decided otherwise"
        return None

    def _holds_work(self) -> bool:
        """Whether there is something to go on with."""
        if self.journal is None:
            return self._holds_lines()
        with suppress(OSError), open(self.journal, "rb") as file:
            return file.readline().endswith(b"\n") and file.readline().endswith(b"\n")
        return False

    def _holds_lines(self) -> bool:
        """Whether there is a whole line of an image."""
        with suppress(OSError), open(self.path, "rb") as file:
            head = file.readline() if self._form == "csv" else b"\n"
            return head.endswith(b"\n") and file.readline().endswith(b"\n")
        return False

    def _open(self) -> FileIO:
        file = terminal.open_for_results(self.path, keep=True)
        try:
            _lock(file, self.path)
        except WrongUse:
            file.close()
            raise
        return file

    def _keep_record(self) -> None:
        try:
            self._record.keep(self._record_path)
            self._recorded = True
        except OSError as error:
            self._forget()
            if os.path.lexists(self._record_path):  # of an earlier run: it would vouch for this one
                raise
            packs.warn(
                f"{self._record_path} cannot be written: {error.strerror}. Should this run end "
                "early, it cannot be resumed."
            )

    def _forget(self) -> None:
        self._recorded = False
        with suppress(OSError):
            os.unlink(self._record_path)
        self._forget_journal()

    def _forget_journal(self) -> None:
        if self.journal is not None:
            with suppress(OSError):
                os.unlink(self.journal)


def is_resumable(path: str, form: str) -> bool:
    """Whether a report of a form in a file of that name is one to go on with."""
    try:
        return form in RESUMABLE and stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return form in RESUMABLE


def check_resumable(path: str | None, form: str) -> None:
    """Check what ``--resume`` needs, before anything is done.

    Raises
    ------
    WrongUse
        There is no file, or it is of a form that is not written line by line.
    """
    if path is None:
        raise WrongUse("--resume goes on with a file: name it with --output.")
    if form not in RESUMABLE:
        raise WrongUse(
            f"A report as {form} cannot be resumed: only {' and '.join(RESUMABLE)} can, which "
            "tell all in a line per image."
        )
    if not is_resumable(path, form):
        raise WrongUse(f"{path} cannot be resumed: it is no file.")


def forget_record(path: str) -> None:
    """Remove the record of a run whose file is replaced by another kind of report."""
    where = _record_path(path)
    with suppress(OSError, WrongUse):
        if Record.read(where) is not None:
            os.unlink(where)


def _record_path(path: str) -> str:
    return os.path.realpath(path) + record.SUFFIX


def _lock(file: FileIO, path: str) -> None:
    """Keep other runs from writing the same file while this process lives."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        # The kind that children do not inherit: one that outlives us must not keep the file.
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        raise WrongUse(f"{path} is being written by another run.") from None
    except OSError:  # a file system without locks
        pass
