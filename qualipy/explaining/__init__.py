"""Showing where in a photo a filter sees it: `explain`, and `explained` for a report.

What was seen, a filter says (`Filter.explain`); here it is drawn.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeGuard

from qualipy_core.errors import ExplanationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from qualipy_core import Explanation, Filter, Image
    from qualipy_core.criterion import Criterion
    from qualipy_core.image import ImageSource

SIDE = 640
"""The long side, in pixels, at which a photo is shown."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
"""What the name of a written picture may end with."""
_QUALITY = 85  # of JPEG and WebP


class Explained(NamedTuple):
    """A picture of an explanation, encoded, for a page that shows it."""

    data: bytes  #: the file
    media_type: str  #: such as ``image/jpeg``
    width: int  #: in pixels
    height: int  #: in pixels
    summary: str  #: what was seen, in one sentence: the text beside it, or instead of it


def explain(
    filter: Filter,  # noqa: A002 - the word for it
    image: ImageSource | Image,
    ROI: Any = None,
    save_path: str | os.PathLike[str] | None = None,
    *,
    side: int = SIDE,
    overlay_only: bool = False,
) -> NDArray[np.uint8]:
    """Draw where in an image a filter sees it: the photo, what was seen, a legend, the verdict.

    Parameters
    ----------
    filter : Filter
        Any that explains itself, as the built-in ones do.
    image : str, path, bytes, ndarray or Image
        The picture; arrays are RGB.
    ROI : sequence of four int, optional
        ``(x, y, width, height)``: explain this region alone.
    save_path : str or path, optional
        Write the picture here as well, as PNG, JPEG or WebP by its suffix; a file is replaced.
    side : int
        The long side of the photo in the picture, in pixels.
    overlay_only : bool
        Return the photo with what was seen drawn over it, and nothing else.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        Red, green, blue.

    Raises
    ------
    ExplanationError
        (ValueError) The filter cannot show where, or the picture has no known suffix.
    ImageReadError, ROIValueError, FilterError
        As for `Filter.predict`.
    OSError
        The file cannot be written.
    """
    from qualipy_core import Image as Picture

    if save_path is not None:
        kind_of(save_path)
    opened = Picture.open(image, ROI)
    drawn, _ = draw(filter, opened, side=side, overlay_only=overlay_only)
    if save_path is not None:
        Path(save_path).write_bytes(encoded(drawn, kind_of(save_path)))
    return drawn


def explained(
    filter: Filter,  # noqa: A002
    image: ImageSource | Image,
    ROI: Any = None,
    *,
    side: int = SIDE,
    kind: Literal["jpeg", "png", "webp"] = "jpeg",
) -> Explained | None:
    """Return what a filter sees in an image as an encoded picture for a page, with its text.

    The picture holds the photo with what was seen, a legend and charts; the page itself names the
    filter and the prediction.

    Parameters
    ----------
    filter : Filter
        Any.
    image : str, path, bytes, ndarray or Image
        The picture. An `Image` that the filters of a run have seen costs no second decode.
    ROI : sequence of four int, optional
        ``(x, y, width, height)``: explain this region alone.
    side : int
        The most that the picture is wide, in pixels.
    kind : str
        ``"jpeg"``, ``"png"`` or ``"webp"``.

    Returns
    -------
    Explained or None
        None where the filter cannot show where.

    Raises
    ------
    ImageReadError, ROIValueError, FilterError
        As for `Filter.predict`.
    """
    from qualipy.explaining.page import card
    from qualipy_core import Image as Picture

    opened = Picture.open(image, ROI)
    found = _explanation(filter, opened)
    if found is None:
        return None
    drawn = card(opened.pixels(), found, side)
    height, width = drawn.shape[:2]
    data = encoded(drawn, kind)
    return Explained(data, f"image/{kind}", width, height, found.summary)


def draw(
    filter: Filter,  # noqa: A002
    image: Image,
    *,
    side: int = SIDE,
    overlay_only: bool = False,
) -> tuple[NDArray[np.uint8], Explanation]:
    """Draw as `explain` does, an opened image; return the picture and what it shows."""
    from qualipy.cli import words
    from qualipy.explaining.overlays import overlaid
    from qualipy.explaining.page import page, scaled

    found = _explanation(filter, image)
    if found is None:
        why = "has nothing to show in this photo" if shows(filter) else "does not explain itself"
        raise ExplanationError(
            f"{filter.name} cannot show where: it {why}. Its number is all that it has to say.",
            filter=filter.name,
        )
    if overlay_only:
        return overlaid(scaled(image.pixels(), side), found), found
    prediction = filter.prediction(image)
    flagged = filter.decision(prediction)
    verdict = words.judgement(filter, prediction, flagged=flagged)
    return page(image.pixels(), found, filter.name, verdict, flagged, side), found


def shows(filter: Criterion) -> TypeGuard[Filter]:  # noqa: A002
    """Whether a filter's author has said how it explains itself."""
    from qualipy_core import Filter as Base

    return isinstance(filter, Base) and type(filter).explain is not Base.explain


def kind_of(path: str | os.PathLike[str]) -> Literal["jpeg", "png", "webp"]:
    """Return the kind of picture that a file's suffix names.

    Raises
    ------
    ExplanationError
        It names none of `SUFFIXES`.
    """
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    if suffix not in SUFFIXES:
        raise ExplanationError(
            f"{os.fspath(path)} does not say what kind of picture to write: its name must end with "
            f"{', '.join(SUFFIXES)}."
        )
    kinds: dict[str, Literal["png", "webp"]] = {".png": "png", ".webp": "webp"}
    return kinds.get(suffix, "jpeg")


def encoded(pixels: NDArray[np.uint8], kind: str) -> bytes:
    """Return RGB pixels as the bytes of a file: ``"png"``, ``"jpeg"`` or ``"webp"``."""
    from qualipy_core.opencv import cv2

    quality = {"jpeg": cv2.IMWRITE_JPEG_QUALITY, "webp": cv2.IMWRITE_WEBP_QUALITY}
    options = [quality[kind], _QUALITY] if kind in quality else []
    return cv2.imencode(f".{kind}", pixels[..., ::-1], options)[1].tobytes()


def _explanation(filter: Filter, image: Image) -> Explanation | None:  # noqa: A002
    explanation = getattr(filter, "explanation", None)  # one that compares photos has none
    found: Explanation | None = explanation(image) if explanation is not None else None
    return found
