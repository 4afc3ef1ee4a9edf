"""What is known about one image once the filters have seen it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qualipy_core.errors import QualipyError
from qualipy_core.roi import ROI


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one image: predictions and decisions, or the error of that image.

    Filters are keyed by name; where one name occurs more than once in a run, the later ones are
    ``name#2``, ``name#3``, …
    """

    image: str  #: the path, or what an image without one is called
    predictions: Mapping[str, float] = field(default_factory=dict)  #: what each filter measured
    decisions: Mapping[str, bool] = field(default_factory=dict)  #: whether each was positive
    failures: Mapping[str, QualipyError] = field(default_factory=dict)  #: filters that failed
    error: QualipyError | None = None  #: why the image could not be judged at all
    ROI: ROI | None = None  #: the region that was judged
    seconds: float = 0.0  #: time taken, decoding included

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
            ``failures`` and ``error`` where there are any.
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
        if self.failures:
            plain["failures"] = {name: error.to_dict() for name, error in self.failures.items()}
        if self.error is not None:
            plain["error"] = self.error.to_dict()
        return plain
