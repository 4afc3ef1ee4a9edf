"""What every filter is, whatever it looks at: parameters, a threshold, a decision: `Criterion`.

`Filter`, which judges a photo by itself, and `SetFilter`, which judges it among the others of its
set, are its two kinds. This module holds what they share: values made of typed parameters, the
comparison of a prediction with a threshold, the way through JSON.
"""

from __future__ import annotations

import dataclasses
import inspect
import operator
from abc import ABC
from collections.abc import Callable, Mapping
from functools import cache
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, dataclass_transform, final

from qualipy_core import parameters
from qualipy_core.errors import FilterError, FilterTypeError, ParameterValueError
from qualipy_core.urls import shown

if TYPE_CHECKING:
    from qualipy_core.image import Image

Sign = Literal[">", ">=", "<", "<=", "==", "!="]
"""How a prediction is compared with the threshold."""

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
_ALL, MEASURING = "all", "measuring"
_DECIDING = ("threshold", "invert_threshold", "comparison")  # these do not change a measurement
_CLASS_ATTRIBUTES = ("name", "speed", "by_default")


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(dataclasses.field,))
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Criterion(ABC):  # noqa: B024 (its two kinds have abstract methods)
    """What photos are judged by: the common base of `Filter` and `SetFilter`.

    A subclass becomes a frozen dataclass by itself: its annotated fields with defaults are the
    parameters. Criteria are values: equal parameters make equal, hashable ones; comparing one with
    a number gives a new one (``Exposure() > 0.9``).

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

    by_default: ClassVar[bool] = True
    """Whether a run that names no filters takes this one; ``--filters all`` takes every one."""

    # What a subclass may not define, and why.
    _reserved: ClassVar[Mapping[str, str]] = {
        "__init__": "parameters are annotated fields with defaults, and the constructor follows",
        "decision": "the framework checks what decide returns; override decide",
        "failure": "the framework says whose a failure is",
    }

    threshold: float = 0.5
    invert_threshold: bool = False
    comparison: Sign = dataclasses.field(default=">", kw_only=True)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in cls.__mro__[1:]:
            for method, why in base.__dict__.get("_reserved", {}).items():
                if method in cls.__dict__:
                    raise TypeError(f"{cls.__name__} may not define {method}: {why}.")
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

    def decide(self, prediction: float) -> bool:
        """Decide whether an image with this prediction is positive.

        Parameters
        ----------
        prediction : float
            What was measured.

        Returns
        -------
        bool
            Whether the image has the property.
        """
        left, right = prediction, self.threshold
        if self.invert_threshold:
            left, right = right, left
        return _OPERATORS[self.comparison](left, right)

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
            raise self.failure(f"could not decide about {prediction}: {told(error)}") from error

    def failure(self, what: str, image: Image | None = None) -> FilterError:
        """Return the error that names this filter, its pack and the image."""
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
        Criterion
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
    def from_dict(description: dict[str, Any]) -> Criterion:
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
        return tuple([getattr(self, name) for name in parameter_names(type(self), which)])

    def _state(self) -> Any:
        """What a measurement depends on beside the parameters; a model in memory, say."""
        return None

    def _compared(self, comparison: Sign, threshold: float) -> Self:
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
        if not isinstance(other, Criterion):
            return NotImplemented
        return self._identity() == other._identity()

    def __ne__(self, other: object) -> Any:
        if isinstance(other, Real):
            return self._compared("!=", float(other))
        if not isinstance(other, Criterion):
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
def parameter_names(cls: type[Criterion], which: str) -> tuple[str, ...]:
    """Return the parameters of a class: all, or those that a measurement depends on."""
    names = tuple(field.name for field in dataclasses.fields(cls))
    return names if which == _ALL else tuple(n for n in names if n not in _DECIDING)


def told(error: BaseException) -> str:
    """Return what an error says, with its class."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
