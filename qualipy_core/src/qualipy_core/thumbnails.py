"""A small picture of a photo, for reports: made in the pass in which its filters run."""

from __future__ import annotations

from qualipy_core.errors import ImageError
from qualipy_core.image import WORKING_SIDE, Image
from qualipy_core.opencv import cv2

MOST_SIDE = WORKING_SIDE  # what is decoded for the filters anyway
_QUALITY = 80  # of a JPEG: at 160 px about 5 KiB, without blocks that one would notice


def thumbnail(image: Image, side: int) -> bytes | None:
    """Return a small JPEG of an image.

    Parameters
    ----------
    image : Image
        The picture, or the region that is judged.
    side : int
        Its long side in pixels, at most; a smaller picture keeps its size.

    Returns
    -------
    bytes or None
        Nothing where the pixels cannot be had: that no filter has needed them is no error.
    """
    try:
        pixels = image.pixels(side)
    except ImageError:
        return None
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return encoded.tobytes() if done else None
