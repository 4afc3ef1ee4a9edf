"""Regions of interest: ``(x, y, width, height)`` in pixels of the upright full-resolution image."""

from __future__ import annotations

import operator
from typing import NamedTuple

from qualipy_core.errors import ROITypeError, ROIValueError
from qualipy_core.urls import shown


class ROI(NamedTuple):
    """A rectangle of an image; equal to the plain tuple of its four numbers."""

    x: int
    y: int
    width: int
    height: int

    @classmethod
    def parse(cls, value: object, image: str | None = None) -> ROI:
        """Make a ROI of a sequence of four integers.

        Parameters
        ----------
        value : sequence of int
            ``(x, y, width, height)``; a tuple, a list or a NumPy array.
        image : str, optional
            Whose ROI it is, for the error message.

        Raises
        ------
        ROITypeError
            It is no sequence of four integers.
        ROIValueError
            It is empty or begins left of or above the image.
        """
        of = f" of {shown(image)}" if image else ""
        try:
            if isinstance(value, str | bytes):
                raise TypeError
            items = list(value)  # type: ignore[call-overload]
            if len(items) != 4 or any(isinstance(item, bool) for item in items):
                raise TypeError
            roi = cls(*(operator.index(item) for item in items))
        except TypeError:
            raise ROITypeError(
                f"The ROI{of} must be four integers (x, y, width, height), not {value!r}.",
                image=image,
            ) from None
        if roi.width <= 0 or roi.height <= 0:
            raise ROIValueError(f"The ROI{of} is empty: {tuple(roi)}.", image=image)
        if roi.x < 0 or roi.y < 0:
            raise ROIValueError(f"The ROI{of} begins outside the image: {tuple(roi)}.", image=image)
        return roi

    def inside(self, size: tuple[int, int], image: str | None = None) -> ROI:
        """Return this ROI when it lies within an image of that size.

        Parameters
        ----------
        size : (int, int)
            Width and height of the image in pixels.
        image : str, optional
            The image's name, for the error message.

        Raises
        ------
        ROIValueError
            It reaches beyond the image.
        """
        width, height = size
        if self.x + self.width > width or self.y + self.height > height:
            of = f" of {shown(image)}" if image else ""
            raise ROIValueError(
                f"The ROI{of} {tuple(self)} reaches beyond the image, "
                f"which is {width} × {height} pixels.",
                image=image,
            )
        return self

    def within(self, outer: ROI) -> ROI:
        """Return this ROI, given relative to another, in the coordinates of the other's image."""
        return ROI(outer.x + self.x, outer.y + self.y, self.width, self.height)
