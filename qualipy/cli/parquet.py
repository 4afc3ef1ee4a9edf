"""A report as a Parquet file: a writer like those of `qualipy.cli.outputs`, but of a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from qualipy.cli import terminal
from qualipy.cli.failures import CannotWork, WrongUse

if TYPE_CHECKING:
    from qualipy.tables import ParquetFile
    from qualipy_core import Result
    from qualipy_core.criterion import Criterion


def check(path: str | None) -> None:
    """Check what a Parquet file needs, before anything is done.

    Raises
    ------
    WrongUse
        It has no name, or that of a photo.
    MissingLibraryError
        pyarrow is not installed.
    """
    from qualipy.tables import need_pyarrow

    if path is None:
        raise WrongUse("Parquet is no text to print: name a file with --output.")
    terminal.check_no_image(path)
    need_pyarrow()


class Parquet:
    """A row per image in a file that appears at the end, whole.

    Parameters
    ----------
    path : str
        Of the file.
    filters : mapping of str to Filter
        Those of the run, by their key in results.
    """

    def __init__(self, path: str, filters: Mapping[str, Criterion | None]) -> None:
        self._path = path
        self._filters = filters
        self._file: ParquetFile | None = None

    def begin(self) -> None:
        """Begin the file, under another name."""
        from qualipy.tables import ParquetFile

        try:
            self._file = ParquetFile(self._path, self._filters)
        except OSError as error:
            raise WrongUse(self._cannot(error)) from None

    def add(self, result: Result) -> None:
        """Add a row."""
        assert self._file is not None  # noqa: S101 (of `begin`)
        try:
            self._file.add(result)
        except OSError as error:
            self._file.abandon()
            raise CannotWork(self._cannot(error)) from None

    def end(self) -> None:
        """Write the end, and give the file its name."""
        if self._file is None:
            return
        try:
            self._file.close()
        except OSError as error:
            raise CannotWork(self._cannot(error)) from None

    def abandon(self) -> None:
        """Leave no file, unless it has come to its end."""
        if self._file is not None:
            self._file.abandon()

    def _cannot(self, error: OSError) -> str:
        reason = error.strerror or error
        return f"The results cannot be written to {self._path}: {reason}."
