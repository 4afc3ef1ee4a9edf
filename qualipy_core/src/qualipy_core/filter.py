"""The interface that packs implement: `Filter`.

A filter measures one property of an image; the framework opens, crops, decides and reports. An
author writes one method::

    class TooDark(Filter):
        \"\"\"Photos whose mean brightness is below a level.\"\"\"

        name = "too_dark"
        speed = 1
        level: float = 60.0

        def measure(self, image: Image) -> float:
            return float(np.clip(1 - gray(image).mean() / self.level, 0, 1))
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, dataclass_transform, final, overload

from qualipy_core import parameters
from qualipy_core.errors import FilterError, FilterTypeError, ParameterValueError, QualipyError
from qualipy_core.urls import shown

if TYPE_CHECKING:
    from qualipy_core.image import Image, ImageSource

Comparison = Literal[">", ">=", "<", "<=", "==", "!="]

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
_ALL, _MEASURING = "all", "measuring"
_DECIDING = ("threshold", "invert_threshold", "comparison")  # these do not change a measurement
_CLASS_ATTRIBUTES = ("name", "speed")
_OURS_BECAUSE = {
    "__init__": "parameters are annotated fields with defaults, and the constructor follows",
    "predict": "the framework opens, crops and decides; override measure, or decide",
    "prediction": "the framework checks and keeps what measure returns; override measure",
    "decision": "the framework checks what decide returns; override decide",
}
_OURS = _OURS_BECAUSE.keys()


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(dataclasses.field,))
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Filter(ABC):
    """Measures one property of an image and decides whether the image has it.

    A subclass sets `name` and `speed`, declares its own parameters as annotated fields with
    defaults, and overrides `measure`. It becomes a frozen dataclass by itself. Filters are values:
    equal parameters make equal, hashable filters; comparing one with a number gives a new filter
    (``Exposure() > 0.9``).

    Parameters
    ----------
    threshold : float
        The value of the prediction beyond which an image is positive.
    invert_threshold : bool
        Exchanges the sides of the comparison: positive below the threshold instead of above.
    comparison : str
        How the prediction is compared with the threshold: ``">"``, ``">="``, ``"<"``, ``"<="``,
        ``"=="`` or ``"!="``. By keyword only; ``Framed() <= 0.1`` sets it.

    Raises
    ------
    ParameterTypeError, ParameterValueError
        A parameter has the wrong type, or a value that it can't have.
    """

    name: ClassVar[str] = ""
    """The key in requests and results; equals the entry point's name."""

    speed: ClassVar[int] = 3
    """Relative cost, 1 fast … 5 slow: filters run in this order."""

    threshold: float = 0.5
    invert_threshold: bool = False
    comparison: Comparison = dataclasses.field(default=">", kw_only=True)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for method in _OURS & cls.__dict__.keys():
            raise TypeError(f"{cls.__name__} may not define {method}: {_OURS_BECAUSE[method]}.")
        annotations = dict(inspect.get_annotations(cls))
        for attribute in _CLASS_ATTRIBUTES:
            if attribute in annotations and "ClassVar" not in str(annotations[attribute]):
                raise TypeError(
                    f"{cls.__name__}.{attribute} belongs to the class, not to its parameters: "
                    f"write `{attribute} = ...` without an annotation."
                )
        # `threshold = 0.05` in a class body is a new default for the inherited parameter.
        for field in dataclasses.fields(cls):
            if field.name in cls.__dict__ and field.name not in annotations:
                annotations[field.name] = parameters.inherited_hint(cls, field.name)
                default = dataclasses.field(default=cls.__dict__[field.name], kw_only=field.kw_only)
                setattr(cls, field.name, default)
        for parameter, hint in annotations.items():
            if not hasattr(cls, parameter) and "ClassVar" not in str(hint):
                raise TypeError(f"{cls.__name__}.{parameter} is a parameter and needs a default.")
        cls.__annotations__ = annotations
        dataclasses.dataclass(frozen=True, eq=False, repr=False)(cls)

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise FilterTypeError(
                f"{type(self).__name__} needs a name in lower_case, not {self.name!r}: "
                "write `name = ...` in the class."
            )
        parameters.check(self)

    @abstractmethod
    def measure(self, image: Image) -> float:
        """Measure the property: the one method that a filter must have.

        Parameters
        ----------
        image : Image
            The picture, or the region of it that was asked for. What it shares is read-only.

        Returns
        -------
        float
            The prediction: finite, in [0, 1] unless the filter's documentation says otherwise.
        """

    def decide(self, prediction: float) -> bool:
        """Decide whether an image with this prediction is positive.

        Parameters
        ----------
        prediction : float
            What `measure` returned.

        Returns
        -------
        bool
            Whether the image has the property.
        """
        left, right = prediction, self.threshold
        if self.invert_threshold:
            left, right = right, left
        return _OPERATORS[self.comparison](left, right)

    @overload
    def predict(
        self, image: ImageSource | Image, return_boolean: Literal[True] = True, ROI: Any = None
    ) -> bool: ...
    @overload
    def predict(
        self, image: ImageSource | Image, return_boolean: Literal[False], ROI: Any = None
    ) -> float: ...
    @overload
    def predict(
        self, image: ImageSource | Image, return_boolean: bool, ROI: Any = None
    ) -> bool | float: ...
    @final
    def predict(
        self, image: ImageSource | Image, return_boolean: bool = True, ROI: Any = None
    ) -> bool | float:
        """Judge one image.

        Parameters
        ----------
        image : str, path, bytes, ndarray or Image
            The picture; arrays are RGB.
        return_boolean : bool
            Return the decision; otherwise the prediction.
        ROI : sequence of four int, optional
            ``(x, y, width, height)``: judge this region alone.

        Returns
        -------
        bool or float
            The decision, or the prediction.

        Raises
        ------
        ImageTypeError, ROITypeError
            (TypeError) The image is none of those kinds; the ROI is no 4-sequence of integers.
        ImageReadError
            (OSError) The file is missing, unreadable or no image.
        ROIValueError
            (ValueError) The ROI lies outside the image.
        FilterError
            (RuntimeError) The filter itself failed.
        """
        from qualipy_core.image import Image

        prediction = self.prediction(Image.open(image, ROI))
        return self.decision(prediction) if return_boolean else prediction

    @final
    def prediction(self, image: Image) -> float:
        """Return `measure`'s answer for an image, checked, and computed once per image.

        Raises
        ------
        FilterError
            `measure` raised, or returned something that is no finite number.
        """
        key = (type(self), "prediction", self._values(_MEASURING), self._state())
        return image.derived(key, lambda: self._measured(image))

    @final
    def decision(self, prediction: float) -> bool:
        """Return `decide`'s answer, checked.

        Raises
        ------
        FilterError
            `decide` raised.
        """
        try:
            return bool(self.decide(prediction))
        except Exception as error:
            raise self._failed(f"could not decide about {prediction}: {_told(error)}") from error

    def _measured(self, image: Image) -> float:
        try:
            value = self.measure(image)
        except (QualipyError, MemoryError):
            raise
        except (Exception, SystemExit) as error:  # a pack's bug must not end the run
            raise self._failed(f"failed: {_told(error)}", image) from error
        if _is_number(value):
            number = float(value)
            if math.isfinite(number):
                return number
        raise self._failed(f"returned {value!r}, which is no finite number", image)

    def _failed(self, what: str, image: Image | None = None) -> FilterError:
        from qualipy_core import plugins

        distribution, version = plugins.origin(type(self))
        of = f" ({distribution} {version})" if distribution else ""
        on = f" on {shown(image.name)}" if image is not None else ""
        return FilterError(
            f"Filter {self.name}{of} {what}{on}.",
            filter=self.name,
            distribution=distribution,
            version=version,
            image=image.name if image is not None else None,
        )

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some parameters changed.

        Parameters
        ----------
        **changes
            New values by parameter.

        Returns
        -------
        Filter
            Of the same class.
        """
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return the filter as ``{"name": ..., parameters...}``, ready for JSON.

        `from_dict` is the way back. The name is ``distribution:name`` where the bare one means
        another pack's filter, or several.
        """
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        if values["comparison"] == type(self).__dataclass_fields__["comparison"].default:
            del values["comparison"]
        from qualipy_core import plugins

        return {"name": plugins.registry().name_of(type(self)), **values}

    @staticmethod
    def from_dict(description: dict[str, Any]) -> Filter:
        """Return the installed filter that `to_dict` described.

        Parameters
        ----------
        description : dict
            ``{"name": ..., parameters...}``; ``"distribution:name"`` where two packs share a name.

        Raises
        ------
        UnknownFilterError
            No installed pack has a filter of that name.
        ParameterTypeError, ParameterValueError
            A parameter is unknown, of the wrong type, or has a value that it can't have.
        """
        from qualipy_core import plugins

        values = dict(description)
        name = values.pop("name", None)
        if not isinstance(name, str):
            raise ParameterValueError(
                f"A filter is described as {{'name': ..., parameters...}}, not {description!r}."
            )
        return parameters.from_json(plugins.registry().get(name), values)

    def _values(self, which: str = _ALL) -> tuple[Any, ...]:
        return tuple([getattr(self, name) for name in _parameter_names(type(self), which)])

    def _state(self) -> Any:
        """What a measurement depends on beside the parameters; a model in memory, say."""
        return None

    def _compared(self, comparison: Comparison, threshold: float) -> Self:
        return self.replace(threshold=threshold, comparison=comparison, invert_threshold=False)

    def __gt__(self, threshold: float) -> Self:
        return self._compared(">", threshold)

    def __ge__(self, threshold: float) -> Self:
        return self._compared(">=", threshold)

    def __lt__(self, threshold: float) -> Self:
        return self._compared("<", threshold)

    def __le__(self, threshold: float) -> Self:
        return self._compared("<=", threshold)

    def __eq__(self, other: object) -> Any:
        """Compare with another filter, or return a new filter that compares with a number."""
        if isinstance(other, Real):
            return self._compared("==", float(other))
        if not isinstance(other, Filter):
            return NotImplemented
        return self._identity() == other._identity()

    def __ne__(self, other: object) -> Any:
        if isinstance(other, Real):
            return self._compared("!=", float(other))
        if not isinstance(other, Filter):
            return NotImplemented
        return self._identity() != other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[Any, ...]:
        return type(self), self._values(), self._state()

    def __repr__(self) -> str:
        shown = [
            f"{f.name}={getattr(self, f.name)!r}"
            for f in dataclasses.fields(self)
            if f.name == "threshold" or getattr(self, f.name) != f.default
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


@cache
def _parameter_names(cls: type[Filter], which: str) -> tuple[str, ...]:
    names = tuple(field.name for field in dataclasses.fields(cls))
    return names if which == _ALL else tuple(n for n in names if n not in _DECIDING)


def _is_number(value: object) -> bool:
    """A real number of Python's, or a scalar of NumPy's, which are not all registered as such."""
    if isinstance(value, Real):
        return True
    return type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
