"""Photos with too few pixels: the header says so, nothing needs to be decoded."""

from __future__ import annotations

from qualipy_core import Filter, Image


class LowResolution(Filter):
    """Photos with fewer megapixels than a level.

    The prediction is the number of megapixels (millions of pixels) of the upright picture, or of
    the region asked for; it is not limited to [0, 1]. Only the file's header is read, so the
    filter costs next to nothing. It counts the pixels that there are: a small picture that somebody
    has enlarged passes.

    Parameters
    ----------
    threshold : float
        Megapixels below which a photo is positive.
    comparison : str
        Positive *below* the threshold, by default.
    """

    name = "low_resolution"
    speed = 1
    threshold = 1.0
    comparison = "<"

    def measure(self, image: Image) -> float:
        """Return the megapixels of the picture."""
        return image.width * image.height / 1e6
