"""Filters that judge a photo among the others of its set: `SetFilter`, `Comparison`.

That a photo is there twice, or oddly small among its siblings, is no property of the photo. A set
filter has two steps: ``fingerprint`` makes a small array of each photo, wherever ``measure`` of
other filters runs; ``compare`` sees the arrays of all, in the process that asked for the results::

    class OddColor(SetFilter):
        \"\"\"Photos whose mean colour is far from that of the set.\"\"\"

        name = "odd_color"
        threshold = 3.0

        def fingerprint(self, image: Image) -> NDArray[np.float32]:
            return image.pixels(64).mean(axis=(0, 1), dtype=np.float32)

        def compare(self, fingerprints: NDArray[np.float32]) -> Comparison:
            away = np.abs(fingerprints - np.median(fingerprints, axis=0)).max(axis=1)
            return Comparison(away / max(float(np.median(away)), 1.0))
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from qualipy_core.arrays import KINDS, plain_array
from qualipy_core.criterion import MEASURING, Criterion, parameter_names, told
from qualipy_core.errors import QualipyError

if TYPE_CHECKING:
    from qualipy_core.image import Image


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `SetFilter.compare` says about n photos.

    Parameters
    ----------
    predictions : ndarray of float64, shape (n,)
        A finite number per photo, which is compared with the filter's threshold.
    groups : tuple of tuples of int
        Photos that belong together, by their index, the best first: duplicates, say.
    """

    predictions: NDArray[np.float64]
    groups: tuple[tuple[int, ...], ...] = ()


class SetFilter(Criterion):
    """Measures a property that a photo has within a set, and decides whether it has it.

    A subclass sets `name` and `speed`, declares its own parameters as annotated fields with
    defaults, and overrides `fingerprint` and `compare`. All else is as with `Filter`: parameters,
    threshold, comparing with numbers, JSON.

    What comes out depends on the photos of the set, their regions and the filter's parameters
    alone: not on the order of the photos. The framework hands the fingerprints over in the order of
    the images' names, so what decides between equal fingerprints is the name. A filter that
    chooses between photos must do it by what their fingerprints say, then by the lower index.

    Parameters
    ----------
    threshold : float
        The value of the prediction beyond which an image is positive.
    invert_threshold : bool
        Exchanges the sides of the comparison: positive below the threshold instead of above.
    comparison : str
        How the prediction is compared with the threshold: ``">"``, ``">="``, ``"<"``, ``"<="``,
        ``"=="`` or ``"!="``. By keyword only; ``NearDuplicates() >= 0.9`` sets it.

    Raises
    ------
    ParameterTypeError, ParameterValueError
        A parameter has the wrong type, or a value that it can't have.
    """

    speed = 1
    by_default = False

    comparing: ClassVar[tuple[str, ...]] = ()
    """Parameters that `compare` alone looks at: kept fingerprints can be used whatever they are."""

    _reserved: ClassVar[Mapping[str, str]] = {
        "fingerprint_of": "the framework checks what fingerprint returns; override fingerprint",
        "comparison_of": "the framework checks what compare returns; override compare",
        "measuring": "the framework tells by it which kept fingerprints can be used",
        "predict": "a photo alone is no set; override fingerprint and compare",
    }

    @abstractmethod
    def fingerprint(self, image: Image) -> NDArray[Any]:
        """Make a small array of one photo: all that `compare` will know of it.

        Parameters
        ----------
        image : Image
            The picture, or the region of it that was asked for. What it shares is read-only.

        Returns
        -------
        ndarray
            Of numbers, also structured, finite; the same shape and dtype for every photo, a few
            dozen bytes, 4096 at most. It depends on the picture and on the filter's
            parameters other than the threshold and its comparison.
        """

    @abstractmethod
    def compare(self, fingerprints: NDArray[Any]) -> Comparison:
        """Measure each photo among all.

        Parameters
        ----------
        fingerprints : ndarray, shape (n, *shape)
            One per photo, in the order of the images' names; read-only. n is at least 1.

        Returns
        -------
        Comparison
            A prediction per photo and, if the filter has them, groups.
        """

    @final
    def fingerprint_of(self, image: Image) -> NDArray[Any]:
        """Return `fingerprint`'s answer for an image, checked, and computed once per image.

        Raises
        ------
        FilterError
            `fingerprint` raised, or returned something that is no fingerprint.
        """
        key = (type(self), "fingerprint", self._values(MEASURING), self._state())
        return image.derived(key, lambda: self._fingerprinted(image))

    @final
    def measuring(self) -> dict[str, Any]:
        """Return the name and the parameters on which a fingerprint depends."""
        description = self.to_dict()
        return {
            name: description[name]
            for name in ("name", *parameter_names(type(self), MEASURING))
            if name not in self.comparing
        }

    @final
    def comparison_of(self, fingerprints: NDArray[Any]) -> Comparison:
        """Return `compare`'s answer, checked; groups of one are left out.

        Raises
        ------
        FilterError
            `compare` raised, or returned something that is no comparison of these.
        """
        try:
            compared = self.compare(fingerprints)
        except (Exception, SystemExit) as error:  # a pack's bug must not end the run
            raise self.failure(f"could not compare the set: {told(error)}") from error
        if not isinstance(compared, Comparison):
            raise self.failure(f"compared the set to {type(compared).__name__}, no Comparison")
        number = len(fingerprints)
        try:
            return Comparison(_predictions(compared.predictions, number), _groups(compared, number))
        except ValueError as error:
            raise self.failure(f"compared the set wrongly: {error}") from error

    def _fingerprinted(self, image: Image) -> NDArray[Any]:
        try:
            value = self.fingerprint(image)
        except (QualipyError, KeyboardInterrupt):
            raise
        except BaseException as error:  # a pack's bug must not end the run, nor must sys.exit
            raise self.failure(f"failed: {told(error)}", image) from error
        try:
            return plain_array(value)
        except ValueError as error:
            raise self.failure(f"made no fingerprint: {error}", image) from error


def _predictions(value: object, number: int) -> NDArray[np.float64]:
    array = np.asarray(value)
    if array.dtype.kind not in KINDS or array.shape != (number,):
        raise ValueError(
            f"predictions of {array.dtype} and shape {array.shape}, not a number for each of "
            f"{number:,} photos"
        )
    predictions = array.astype(np.float64)
    if not np.isfinite(predictions).all():
        raise ValueError("a prediction that is no finite number")
    return predictions


def _groups(compared: Comparison, number: int) -> tuple[tuple[int, ...], ...]:
    groups = []
    if not isinstance(compared.groups, Iterable):
        raise ValueError(f"groups that are {type(compared.groups).__name__}, no tuple of tuples")
    for given in compared.groups:
        group = _indexes(given)
        if group and (min(group) < 0 or max(group) >= number):
            raise ValueError(f"a group with an index beyond the {number:,} photos")
        if len(set(group)) != len(group):
            raise ValueError("a group that has a photo twice")
        if len(group) > 1:
            groups.append(group)
    return tuple(groups)


def _indexes(group: Any) -> tuple[int, ...]:
    if isinstance(group, np.ndarray):
        group = group.tolist()
    try:
        indexes = tuple([int(index) for index in group])
        whole = all(index == given for index, given in zip(indexes, group, strict=True))
    except (TypeError, ValueError):
        whole = False
    if not whole:
        raise ValueError(f"a group that is {type(group).__name__}, no tuple of indexes")
    return indexes
