"""What is known about one image once the filters have seen it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any, TypeVar

from qualipy_core import errors
from qualipy_core.errors import QualipyError, ResultError
from qualipy_core.roi import ROI

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one image: predictions and decisions, or the error of that image.

    Filters are keyed by name; where one name occurs more than once in a run, the later ones are
    ``name#2``, ``name#3``, …

    Set filters, which judge an image among the others, have their predictions and decisions here
    once the whole set is measured; until then there are fingerprints.
    """

    image: str  #: the path, or what an image without one is called
    predictions: Mapping[str, float] = field(default_factory=dict)  #: what each filter measured
    decisions: Mapping[str, bool] = field(default_factory=dict)  #: whether each was positive
    failures: Mapping[str, QualipyError] = field(default_factory=dict)  #: filters that failed
    error: QualipyError | None = None  #: why the image could not be judged at all
    ROI: ROI | None = None  #: the region that was judged
    seconds: float = 0.0  #: time taken, decoding included
    #: by set filter, the images that belong together with this one, itself included, the best first
    companions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: by set filter, what it compares; not in `to_dict`
    fingerprints: Mapping[str, NDArray[Any]] = field(
        default_factory=dict, compare=False, repr=False
    )
    #: a small JPEG of what was judged, where it was asked for; not in `to_dict`
    thumbnail: bytes | None = field(default=None, compare=False, repr=False)

    @property
    def flagged(self) -> tuple[str, ...]:
        """The filters that were positive, in the order in which they ran."""
        return tuple(name for name, positive in self.decisions.items() if positive)

    @property
    def failed(self) -> bool:
        """Whether the image, or a filter on it, ended in an error."""
        return self.error is not None or bool(self.failures)

    @property
    def suitable(self) -> bool:
        """Whether everything was measured and no filter was positive."""
        return not self.failed and not any(self.decisions.values())

    def raise_error(self) -> None:
        """Raise the image's error, or the first failure of a filter; do nothing without one."""
        if self.error is not None:
            raise self.error
        for failure in self.failures.values():
            raise failure

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON types: one line of a JSONL file.

        Returns
        -------
        dict
            ``image``, ``suitable``, ``flagged``, ``predictions`` and ``seconds`` always; ``ROI``,
            ``companions``, ``failures`` and ``error`` where there are any. `from_dict` is the way
            back.
        """
        plain: dict[str, Any] = {
            "image": self.image,
            "suitable": self.suitable,
            "flagged": list(self.flagged),
            "predictions": dict(self.predictions),
            "seconds": round(self.seconds, 6),
        }
        if self.ROI is not None:
            plain["ROI"] = list(self.ROI)
        if self.companions:
            plain["companions"] = {name: list(group) for name, group in self.companions.items()}
        if self.failures:
            plain["failures"] = {name: error.to_dict() for name, error in self.failures.items()}
        if self.error is not None:
            plain["error"] = self.error.to_dict()
        return plain

    def to_message(self) -> dict[str, Any]:
        """Return the result as JSON types with what is only for who asked, not for a report.

        Returns
        -------
        dict
            As from `to_dict`; besides, ``fingerprints`` and ``thumbnail`` where there are any.
        """
        plain = self.to_dict()
        if self.fingerprints:
            plain["fingerprints"] = {n: _array_to(a) for n, a in self.fingerprints.items()}
        if self.thumbnail is not None:
            plain["thumbnail"] = base64.b64encode(self.thumbnail).decode()
        return plain

    @classmethod
    def from_dict(cls, plain: Any) -> Result:
        """Return the result that `to_dict` or `to_message` described.

        Parameters
        ----------
        plain : dict
            As these return it, also after a way through JSON. What it has beside that is
            passed over; an error becomes what `qualipy_core.errors.from_dict` makes of it.

        Raises
        ------
        ResultError
            (ValueError) It is no such dict.
        """
        if not isinstance(plain, Mapping):
            raise ResultError(f"A result is described by a dict, not {shortened(plain)}.")
        measured = _part(plain, "predictions", dict)
        predictions = {
            str(name): _number(value, f"predictions.{name}") for name, value in measured.items()
        }
        flagged = _part(plain, "flagged", list)
        for name in flagged:
            if not isinstance(name, str) or name not in predictions:
                raise _wrong("flagged", "names of predictions", name)
        companions = {
            str(name): tuple(_names(group, f"companions.{name}"))
            for name, group in _part(plain, "companions", dict, {}).items()
        }
        fingerprints = {
            str(name): _array_of(array, f"fingerprints.{name}")
            for name, array in _part(plain, "fingerprints", dict, {}).items()
        }
        small = plain.get("thumbnail")
        error = plain.get("error")
        return cls(
            image=_part(plain, "image", str),
            predictions=predictions,
            decisions={name: name in flagged for name in predictions},
            failures={
                str(name): errors.from_dict(failure)
                for name, failure in _part(plain, "failures", dict, {}).items()
            },
            error=None if error is None else errors.from_dict(error),
            ROI=_roi(plain.get("ROI")),
            seconds=_number(plain.get("seconds"), "seconds"),
            companions=companions,
            fingerprints=fingerprints,
            thumbnail=None if small is None else _bytes(small, "thumbnail"),
        )


def _part(plain: Mapping[Any, Any], place: str, kind: type[T], default: T | None = None) -> T:
    value = plain.get(place, default)
    if not isinstance(value, kind):
        raise _wrong(place, f"a {kind.__name__}", value)
    return value


def _number(value: Any, place: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            pass
    raise _wrong(place, "a number", value)


def _names(value: Any, place: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise _wrong(place, "a list of names", value)
    return value


def _bytes(value: Any, place: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise _wrong(place, "base64", value) from None


def _array_to(array: NDArray[Any]) -> dict[str, Any]:
    from qualipy_core.arrays import dtype_to_json

    return {
        "dtype": dtype_to_json(array.dtype),
        "shape": list(array.shape),
        "data": base64.b64encode(array.tobytes()).decode(),
    }


def _array_of(value: Any, place: str) -> NDArray[Any]:
    from qualipy_core.arrays import array_from

    if not isinstance(value, Mapping):
        raise _wrong(place, "a dict", value)
    try:
        return array_from(value.get("dtype"), value.get("shape"), _bytes(value.get("data"), place))
    except ValueError as error:
        raise ResultError(f"{place} in a result: {error}.", place=place) from None


def _roi(value: Any) -> ROI | None:
    try:
        return None if value is None else ROI.parse(value)
    except QualipyError as error:
        raise ResultError(f"ROI in a result: {error}", place="ROI") from None


def _wrong(place: str, wanted: str, value: Any) -> ResultError:
    return ResultError(
        f"{place} in a result must be {wanted}, not {shortened(value)}.", place=place
    )
