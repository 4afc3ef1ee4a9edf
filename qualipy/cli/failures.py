"""What the program's exit status says, and which error gives which.

==== ==========================================================================
code meaning
==== ==========================================================================
0    done
1    done, and something was found that `--fail-on` asks about; or the job failed on an image
2    the command line or the request is wrong: nothing was done
3    this installation can't do it: a broken pack, a missing library, workers that won't start
130  stopped by Ctrl-C (143: by SIGTERM); what was done is kept
141  the reader of the output left
==== ==========================================================================
"""

from __future__ import annotations

import click

from qualipy.cli.text import visible
from qualipy_core.errors import (
    ExecutorError,
    ExplanationError,
    ExternalProgramError,
    FilterTypeError,
    ImageRootsError,
    LabelsError,
    MissingLibraryError,
    ModelError,
    ParameterTypeError,
    ParameterValueError,
    PluginError,
    QualipyError,
    RequestError,
    SortError,
    StoreError,
    TrainingError,
    UnknownFilterError,
    UnknownJobError,
)

FOUND = 1
USAGE = 2
INSTALLATION = 3

_USAGE_ERRORS = (
    ExplanationError,
    FilterTypeError,
    ImageRootsError,
    LabelsError,
    ModelError,
    ParameterTypeError,
    ParameterValueError,
    RequestError,
    SortError,
    StoreError,
    TrainingError,
    UnknownFilterError,
    UnknownJobError,
)
_INSTALLATION_ERRORS = (ExecutorError, ExternalProgramError, MissingLibraryError, PluginError)


class Failure(click.ClickException):
    """The job failed on an image: a message on stderr and an exit status, no traceback."""

    exit_code = FOUND

    def __init__(self, message: str) -> None:
        super().__init__(visible(message, keep="\n"))


class WrongUse(Failure):
    """What was asked for can't be done by anybody."""

    exit_code = USAGE


class CannotWork(Failure):
    """What was asked for can't be done here."""

    exit_code = INSTALLATION


def failure(error: QualipyError) -> Failure:
    """Return how the program ends on one of QualiPy's errors."""
    library = missing_library(error)
    if library is not None:
        return CannotWork(str(library))
    if isinstance(error, _USAGE_ERRORS):
        return WrongUse(str(error))
    return (CannotWork if isinstance(error, _INSTALLATION_ERRORS) else Failure)(str(error))


def missing_library(error: BaseException | None) -> MissingLibraryError | None:
    """Return the missing library behind an error, if that is its cause: no pack is to blame."""
    while error is not None:
        if isinstance(error, MissingLibraryError):
            return error
        error = error.__cause__
    return None
