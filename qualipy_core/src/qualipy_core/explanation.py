"""What a filter saw and where, as plain data that any front-end can draw: `Explanation`.

A filter says what there is to see, not how it looks: heat maps, masks, boxes and lines over the
picture, charts and small pictures beside it, each with a label, and one sentence in words. Places
are shares of the picture's width and height, from its top left corner, so that what is drawn fits
the picture at any size. Everything is checked when it is made, and read-only from then on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Role = Literal["found", "other", "reference"]
"""What a mark is: the property itself, what it is compared with, or a line to measure against."""

Color = tuple[int, int, int]
"""Red, green, blue, 0 … 255: where the colour itself says something."""

Floats = NDArray[np.float32]

_LONGEST_SUMMARY = 400  # characters
_ROUNDING = 1e-4  # what 32-bit arithmetic may go beyond [0, 1]


@dataclass(frozen=True, eq=False)
class HeatMap:
    """How much of something there is in every part of the picture.

    Attributes
    ----------
    values : ndarray of float32, shape (rows, columns)
        In [0, 1]; the cells cover the whole picture.
    label : str
        What is measured.
    low, high : str
        What 0 and 1 mean, in a word or two.
    weight : ndarray of float32, shape (rows, columns), optional
        How much there is to go by, in [0, 1]: 0 where nothing can be said, in a plain sky say.
    """

    values: NDArray[Any]
    label: str
    low: str = "low"
    high: str = "high"
    weight: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        _text(self, "label", "low", "high")
        _set(self, "values", _shares(self, "values", self.values))
        if self.weight is not None:
            weight = _shares(self, "weight", self.weight)
            if weight.shape != self.values.shape:
                raise _wrong(self, f"weight has shape {weight.shape}, values {self.values.shape}")
            _set(self, "weight", weight)


@dataclass(frozen=True, eq=False)
class Mask:
    """Where something is.

    Attributes
    ----------
    where : ndarray of bool, shape (rows, columns)
        The cells cover the whole picture.
    label : str
        What is there.
    role : str
        ``"found"``, ``"other"`` or ``"reference"``.
    color : tuple of int, optional
        Red, green and blue where the colour itself says something.
    """

    where: NDArray[np.bool_]
    label: str
    role: Role = "found"
    color: Color | None = None

    def __post_init__(self) -> None:
        _text(self, "label")
        _role(self, self.role)
        _color(self, self.color)
        where = np.asarray(self.where)
        if where.ndim != 2 or not where.size:
            raise _wrong(self, f"where must have rows and columns, not shape {where.shape}")
        _set(self, "where", _frozen(where.astype(np.bool_, copy=False)))


@dataclass(frozen=True, eq=False)
class Boxes:
    """Rectangles around what there is.

    Attributes
    ----------
    boxes : ndarray of float32, shape (n, 4)
        x, y, width and height of each, in shares of the picture.
    label : str
        What is in them.
    role : str
        ``"found"``, ``"other"`` or ``"reference"``.
    """

    boxes: NDArray[Any]
    label: str
    role: Role = "found"

    def __post_init__(self) -> None:
        _text(self, "label")
        _role(self, self.role)
        boxes = _places(self, "boxes", self.boxes, 4)
        if (boxes[:, 2:] < 0).any():
            raise _wrong(self, "a box has a negative width or height")
        _set(self, "boxes", boxes)


@dataclass(frozen=True, eq=False)
class Lines:
    """Lines along what there is.

    Attributes
    ----------
    lines : tuple of ndarray of float32, each of shape (points, 2)
        x and y of the points of each line, in shares of the picture; they may leave it.
    label : str
        What they follow.
    role : str
        ``"found"``, ``"other"`` or ``"reference"``.
    """

    lines: tuple[NDArray[Any], ...]
    label: str
    role: Role = "found"

    def __post_init__(self) -> None:
        _text(self, "label")
        _role(self, self.role)
        _set(self, "lines", tuple([_places(self, "lines", line, 2) for line in self.lines]))


@dataclass(frozen=True, eq=False)
class Series:
    """One row of numbers in a chart.

    Attributes
    ----------
    x, y : ndarray of float32, shape (n,)
        Finite; x rises.
    label : str
        What it is; nothing where the chart's own label says it.
    kind : str
        ``"line"``, ``"area"`` (filled down to 0) or ``"points"``.
    role : str
        ``"found"``, ``"other"`` or ``"reference"``.
    color : tuple of int, optional
        Red, green and blue where the colour itself says something, as for colour channels.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    label: str = ""
    kind: Literal["line", "area", "points"] = "line"
    role: Role = "found"
    color: Color | None = None

    def __post_init__(self) -> None:
        if self.label:
            _text(self, "label")
        _role(self, self.role)
        _color(self, self.color)
        if self.kind not in ("line", "area", "points"):
            raise _wrong(self, f"kind is line, area or points, not {self.kind!r}")
        x, y = (_finite(self, name, getattr(self, name)) for name in "xy")
        if x.ndim != 1 or x.shape != y.shape or not x.size:
            raise _wrong(self, f"x and y must be lists of one length, not {x.shape} and {y.shape}")
        if (np.diff(x) < 0).any():
            raise _wrong(self, "x must rise")
        _set(self, "x", x)
        _set(self, "y", y)


@dataclass(frozen=True, eq=False)
class Chart:
    """Numbers that belong to no place: a tone histogram, say.

    Attributes
    ----------
    label : str
        What it shows.
    series : tuple of Series
        At least one.
    x_label, y_label : str
        What the axes are, with the unit; nothing for an axis whose numbers say nothing.
    marks : tuple of (float, str)
        Places on the x axis, and what they are.
    y_range : tuple of float, optional
        What the y axis shows at least; what the numbers need, by default.
    """

    label: str
    series: tuple[Series, ...]
    x_label: str = ""
    y_label: str = ""
    marks: tuple[tuple[float, str], ...] = ()
    y_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        _text(self, "label")
        _set(self, "series", tuple(self.series))
        _set(self, "marks", tuple([(float(x), str(text)) for x, text in self.marks]))
        if not self.series or not all(isinstance(each, Series) for each in self.series):
            raise _wrong(self, "series must hold Series, at least one")
        if not all(np.isfinite(x) for x, _ in self.marks):
            raise _wrong(self, "a mark's place is no finite number")
        if self.y_range is not None and not np.isfinite(self.y_range).all():
            raise _wrong(self, "y_range holds what is no finite number")


@dataclass(frozen=True, eq=False)
class Inset:
    """A small picture beside the picture: a spectrum, say.

    Attributes
    ----------
    values : ndarray of float32, shape (rows, columns)
        In [0, 1].
    label : str
        What it shows.
    points : ndarray of float32, shape (n, 2)
        Places in it to mark: x and y in shares of its width and height.
    """

    values: NDArray[Any]
    label: str
    points: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        _text(self, "label")
        _set(self, "values", _shares(self, "values", self.values))
        points = () if self.points is None else self.points
        _set(self, "points", _places(self, "points", points, 2))


Layer = HeatMap | Mask | Boxes | Lines
"""What is drawn over the picture."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a filter saw in a picture, and where.

    Attributes
    ----------
    summary : str
        What was seen, in one sentence with its numbers.
    layers : tuple of HeatMap, Mask, Boxes or Lines
        What to draw over the picture, the lowest first.
    charts : tuple of Chart or Inset
        What to draw beside it.

    Raises
    ------
    TypeError, ValueError
        A part is of another type, or holds what cannot be drawn.
    """

    summary: str
    layers: tuple[Layer, ...] = ()
    charts: tuple[Chart | Inset, ...] = ()

    def __post_init__(self) -> None:
        _text(self, "summary")
        if len(self.summary) > _LONGEST_SUMMARY or "\n" in self.summary:
            raise _wrong(self, f"summary must be one line of at most {_LONGEST_SUMMARY} characters")
        for name, kinds in (("layers", get_args(Layer)), ("charts", (Chart, Inset))):
            parts = tuple(getattr(self, name))
            for part in parts:
                if not isinstance(part, kinds):
                    known = ", ".join(kind.__name__ for kind in kinds)
                    raise TypeError(f"{name} of an Explanation are {known}, not {part!r}")
            _set(self, name, parts)


def _wrong(part: Any, what: str) -> ValueError:
    label = getattr(part, "label", None)
    named = f" {label!r}" if isinstance(label, str) and label else ""
    return ValueError(f"{type(part).__name__}{named}: {what}")


def _set(part: Any, name: str, value: Any) -> None:
    object.__setattr__(part, name, value)


def _text(part: Any, *names: str) -> None:
    for name in names:
        text = getattr(part, name)
        if not isinstance(text, str) or not text.strip():
            raise _wrong(part, f"{name} must be a text, not {text!r}")


def _role(part: Any, role: str) -> None:
    if role not in get_args(Role):
        raise _wrong(part, f"role is {', '.join(get_args(Role))}, not {role!r}")


def _color(part: Any, color: Color | None) -> None:
    if color is not None and (len(tuple(color)) != 3 or not all(0 <= v <= 255 for v in color)):
        raise _wrong(part, f"color is three integers from 0 to 255, not {color!r}")


def _finite(part: Any, name: str, values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float32)
    if not np.isfinite(array).all():
        raise _wrong(part, f"{name} holds what is no finite number")
    return _frozen(array)


def _shares(part: Any, name: str, values: ArrayLike) -> Floats:
    array = _finite(part, name, values)
    if array.ndim != 2 or not array.size:
        raise _wrong(part, f"{name} must have rows and columns, not shape {array.shape}")
    low, high = float(array.min()), float(array.max())
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        raise _wrong(part, f"{name} must lie in [0, 1]; they go from {low:.4g} to {high:.4g}")
    return _frozen(np.clip(array, 0, 1))


def _places(part: Any, name: str, values: ArrayLike, columns: int) -> Floats:
    array = _finite(part, name, values)
    if array.size == 0:
        array = array.reshape(0, columns)
    if array.ndim != 2 or array.shape[1] != columns:
        raise _wrong(part, f"{name} must have shape (n, {columns}), not {array.shape}")
    return _frozen(array)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    """A view that cannot be written to; what it was made of stays as it is."""
    view = array.view()
    view.flags.writeable = False
    return view
