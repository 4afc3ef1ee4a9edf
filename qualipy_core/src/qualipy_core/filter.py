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

import math
from abc import abstractmethod
from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final, overload

from qualipy_core.criterion import MEASURING, Criterion, told
from qualipy_core.errors import QualipyError

if TYPE_CHECKING:
    from qualipy_core.explanation import Explanation
    from qualipy_core.image import Image, ImageSource


class Filter(Criterion):
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

    _reserved: ClassVar[Mapping[str, str]] = {
        "predict": "the framework opens, crops and decides; override measure, or decide",
        "prediction": "the framework checks and keeps what measure returns; override measure",
        "explanation": "the framework checks what explain returns; override explain",
    }

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

    def explain(self, image: Image) -> Explanation | None:
        """Show where in an image the property is, and how it was measured; optional.

        Written from what `measure` looks at, so that the two cannot disagree.

        Parameters
        ----------
        image : Image
            As for `measure`.

        Returns
        -------
        Explanation or None
            Places in shares of this image; None, the default, when there is nothing to point at.
        """
        return None

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
        key = (type(self), "prediction", self._values(MEASURING), self._state())
        return image.derived(key, lambda: self._measured(image))

    @final
    def explanation(self, image: Image) -> Explanation | None:
        """Return `explain`'s answer for an image, checked.

        Raises
        ------
        FilterError
            `explain` raised, or returned something that is no `Explanation`.
        """
        from qualipy_core.explanation import Explanation

        try:
            found: object = self.explain(image)
        except (QualipyError, MemoryError):
            raise
        except (Exception, SystemExit) as error:  # a pack's bug must not end the run
            raise self.failure(f"could not explain itself: {told(error)}", image) from error
        if found is None or isinstance(found, Explanation):
            return found
        kind = type(found).__name__
        raise self.failure(f"explained itself by a {kind}, which is no Explanation", image)

    def _measured(self, image: Image) -> float:
        try:
            value = self.measure(image)
        except (QualipyError, KeyboardInterrupt):
            raise
        except BaseException as error:  # a pack's bug must not end the run, nor must sys.exit
            raise self.failure(f"failed: {told(error)}", image) from error
        if _is_number(value):
            number = float(value)
            if math.isfinite(number):
                return number
        raise self.failure(f"returned {value!r}, which is no finite number", image)


def _is_number(value: object) -> bool:
    """A real number of Python's, or a scalar of NumPy's, which are not all registered as such."""
    if isinstance(value, Real):
        return True
    return type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0
