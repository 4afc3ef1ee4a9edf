"""Every error that QualiPy raises, as one tree.

::

    QualipyError
    ├── ImageError                     something about one image        .image
    │   ├── ImageTypeError             (TypeError)  not an accepted kind of image
    │   ├── ImageReadError             (OSError)    missing, unreadable, truncated
    │   │   └── ImageTooLargeError     more pixels or bytes than the limits allow
    │   ├── ImageTimeoutError          (TimeoutError) judging it took longer than allowed
    │   ├── ImageForbiddenError        (PermissionError) not below the image roots of the run
    │   ├── ROITypeError               (TypeError)  no 4-sequence of integers
    │   └── ROIValueError              (ValueError) outside the image, or empty
    ├── FilterError                    a filter failed on one image     .filter .distribution .image
    ├── FilterTypeError                (TypeError)  something that is no filter
    ├── ParameterTypeError             (TypeError)  a parameter of the wrong type
    ├── ParameterValueError            (ValueError) a parameter out of range, unknown, …
    ├── UnknownFilterError             (LookupError, ValueError)        .name .installed
    │   └── AmbiguousFilterError       several packs offer that name    .distributions
    ├── PluginError                    (ImportError) a pack is broken   .name .distribution .version
    ├── RequestError                   (ValueError) a bad request       .place
    ├── ResultError                    (ValueError) plain data that is no result  .place
    ├── ImageRootsError                (ValueError) image roots that are none
    ├── LimitsError                    (ValueError) limits that are none
    ├── StoreError                     (ValueError) no usable fingerprints, no journal  .path
    ├── ModelError                     (ValueError) no usable model     .path
    │   └── ModelTypeError             (TypeError)  a model path that is no path
    ├── LabelsError                    (ValueError) labelled photos that cannot be had  .path
    ├── SortError                      (ValueError) photos that cannot be sorted as asked for
    ├── ExplanationError               (ValueError) nothing to show, or no way to write it  .filter
    ├── TrainingError                  (ValueError) samples that cannot be trained on
    ├── ExternalProgramError           (OSError)    a program could not be run  .program
    ├── WorkerDiedError                (RuntimeError) a worker process died on an image  .image
    ├── ExecutorError                  (RuntimeError) workers that cannot be started or reached
    │   └── ProcessStartError          this machine cannot start a process
    ├── MessageError                   (ValueError) a worker cannot use a message   .worker
    ├── JobError                       (RuntimeError) a job cannot go on            .job
    │   ├── JobCancelledError          somebody cancelled or stopped it
    │   └── UnknownJobError            (LookupError) there is no record of it
    └── MissingLibraryError            (ImportError) OpenCV or an extra cannot be imported

Each one also derives from the built-in that a caller would expect, so ``except OSError`` and
``except ValueError`` work without knowing this module. The documented attributes carry what the
message says, for programs.

`from_dict` is the way back from `QualipyError.to_dict`.

``PluginWarning`` is the one warning: a pack's hook failed, and the run went on without it.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any, ClassVar


class QualipyError(Exception):
    """The root of all errors that QualiPy raises.

    Parameters
    ----------
    message : str
        What is wrong, whose it is, and what to do next.
    **details
        Attributes of the error; those that a class does not get are ``None``.
    """

    details: ClassVar[tuple[str, ...]] = ()

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        unknown = details.keys() - set(self.details)
        if unknown:
            raise TypeError(f"{type(self).__name__} has no attribute {', '.join(sorted(unknown))}")
        self.message = message
        for name in self.details:
            setattr(self, name, details.get(name))

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # The default would lose the keyword details on the way to another process.
        return _rebuild, (type(self), self.message, {n: getattr(self, n) for n in self.details})

    def to_dict(self) -> dict[str, Any]:
        """The error as plain data: its class, its message and its attributes.

        Returns
        -------
        dict
            ``{"type": ..., "message": ...}`` and the attributes that are set, as JSON types.
            `from_dict` is the way back.
        """
        plain = {n: _plain(getattr(self, n)) for n in self.details if getattr(self, n) is not None}
        return {"type": type(self).__name__, "message": self.message, **plain}


def _rebuild(cls: type[QualipyError], message: str, details: dict[str, Any]) -> QualipyError:
    return cls(message, **details)


def _plain(value: Any) -> Any:
    if isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return str(value)


class ImageError(QualipyError):
    """Something is wrong with one image; ``image`` names it."""

    details = ("image",)
    image: str | None


class ImageTypeError(ImageError, TypeError):
    """The image is none of the kinds that are accepted."""


class ImageReadError(ImageError, OSError):
    """The image is missing, unreadable, truncated or not an image."""


class ImageTooLargeError(ImageReadError):
    """The image has more pixels or bytes than the limits allow."""


class ImageTimeoutError(ImageError, TimeoutError):
    """Judging this image took longer than allowed."""


class ImageForbiddenError(ImageError, PermissionError):
    """The image is not below the image roots of the run; whether it exists is not said."""


class ROITypeError(ImageError, TypeError):
    """The region of interest is no sequence of four integers."""


class ROIValueError(ImageError, ValueError):
    """The region of interest is empty or lies outside the image."""


class FilterError(QualipyError, RuntimeError):
    """A filter failed on an image; other filters and images are not affected."""

    details = ("filter", "distribution", "version", "image")
    filter: str | None
    distribution: str | None
    version: str | None
    image: str | None


class FilterTypeError(QualipyError, TypeError):
    """Something was given as a filter that is none."""


class ParameterTypeError(QualipyError, TypeError):
    """A filter's parameter has the wrong type; ``filter`` and ``parameter`` name it."""

    details = ("filter", "parameter")
    filter: str | None
    parameter: str | None


class ParameterValueError(QualipyError, ValueError):
    """A filter's parameter is unknown or out of range; ``filter`` and ``parameter`` name it."""

    details = ("filter", "parameter")
    filter: str | None
    parameter: str | None


class UnknownFilterError(QualipyError, LookupError, ValueError):
    """No installed filter has this name; ``installed`` lists those that there are."""

    details: ClassVar[tuple[str, ...]] = ("name", "installed")
    name: str
    installed: tuple[str, ...]


class AmbiguousFilterError(UnknownFilterError):
    """Several packs offer a filter of this name; ``distributions`` lists them."""

    details = ("name", "installed", "distributions")
    distributions: tuple[str, ...]


class PluginError(QualipyError, ImportError):
    """A pack's entry point cannot be used; the cause is chained."""

    details = ("name", "distribution", "version")
    distribution: str | None
    version: str | None


class RequestError(QualipyError, ValueError):
    """A request is malformed; ``place`` says where, as in ``filters.hdr.threshold``."""

    details = ("place",)
    place: str | None


class ResultError(QualipyError, ValueError):
    """Plain data is no result; ``place`` says where, as in ``predictions.hdr``."""

    details = ("place",)
    place: str | None


class StoreError(QualipyError, ValueError):
    """A file of fingerprints, or of what is measured, cannot be used; ``path`` names it."""

    details = ("path",)
    path: str | None


class ImageRootsError(QualipyError, ValueError):
    """The image roots of a run, or those in ``QUALIPY_IMAGE_ROOTS``, are no such."""


class LimitsError(QualipyError, ValueError):
    """A limit of what an image may cost is no number above 0; by argument or by ``QUALIPY_*``."""


class ModelError(QualipyError, ValueError):
    """A file is no usable model; ``path`` names it."""

    details = ("path",)
    path: str | None


class ModelTypeError(ModelError, TypeError):
    """A model's path is no path."""


class LabelsError(QualipyError, ValueError):
    """Labelled photos cannot be had as asked for; ``path`` names the file or folder."""

    details = ("path",)
    path: str | None


class SortError(QualipyError, ValueError):
    """Photos cannot be sorted as asked for: into these folders, with this log."""


class ExplanationError(QualipyError, ValueError):
    """A filter cannot show where in a photo it sees it, or the picture has no known kind.

    Attributes
    ----------
    filter : str or None
        The filter's name.
    """

    details = ("filter",)


class TrainingError(QualipyError, ValueError):
    """The images and labels cannot be trained on."""


class ExternalProgramError(QualipyError, OSError):
    """An external program could not be run or failed; ``program`` names it."""

    details = ("program",)
    program: str | None


class WorkerDiedError(QualipyError, RuntimeError):
    """A worker process died while it judged an image; ``image`` names it."""

    details = ("image",)
    image: str | None


class ExecutorError(QualipyError, RuntimeError):
    """The workers of a run cannot be started or reached, or none of that name are installed."""


class ProcessStartError(ExecutorError):
    """A machine cannot start a process just now: it is full, or not allowed to."""


class MessageError(QualipyError, ValueError):
    """A worker cannot use a message: of another version, or malformed; ``worker`` names it."""

    details = ("worker",)
    worker: str | None


class JobError(QualipyError, RuntimeError):
    """A distributed job cannot begin or go on; ``job`` names it."""

    details = ("job",)
    job: str | None


class JobCancelledError(JobError):
    """A distributed job was cancelled or stopped by somebody."""


class UnknownJobError(JobError, LookupError):
    """There is no record of a distributed job of this name."""


class MissingLibraryError(QualipyError, ImportError):
    """A library that is needed here cannot be imported; the message says how to get it."""


class PluginWarning(UserWarning):
    """A pack's hook failed and was passed over."""


_TREE = {
    cls.__name__: cls
    for cls in list(globals().values())
    if isinstance(cls, type) and issubclass(cls, QualipyError)
}


def from_dict(plain: Any) -> QualipyError:
    """Return the error that `QualipyError.to_dict` described; never raise one.

    Parameters
    ----------
    plain : dict
        ``{"type": ..., "message": ..., attributes...}``.

    Returns
    -------
    QualipyError
        Of a class of this module. A type that is not in the tree, a pack's own, becomes a
        `QualipyError` that names it, and so does what describes no error at all.
    """
    if isinstance(plain, Mapping):
        kind, message = plain.get("type"), plain.get("message")
        if isinstance(kind, str) and isinstance(message, str):
            cls = _TREE.get(kind)
            if cls is None:
                return QualipyError(f"{kind}: {message}")
            return cls(message, **{n: _restored(plain[n]) for n in cls.details if n in plain})
    return QualipyError(f"An error that cannot be read: {reprlib.repr(plain)}")


def _restored(value: Any) -> Any:
    """An attribute of JSON types; ``None`` where it has none that an attribute can have."""
    if isinstance(value, list | tuple):
        return tuple(v for v in value if isinstance(v, str | int | float | bool))
    return value if isinstance(value, str | int | float | bool) else None
