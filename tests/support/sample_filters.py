"""Small filters for tests, in a module that worker processes can import."""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Filter, Image, TrainableFilter, derived, gray
from qualipy_core.opencv import cv2


@derived
def mean_luma(image: Image) -> float:
    """Return the mean luma, 0 … 255."""
    return float(gray(image).mean())


class Brightness(Filter):
    """Bright photos.

    Parameters
    ----------
    gain : float
        What the mean is multiplied with.
    """

    name = "brightness"
    speed = 1
    gain: float = 1.0

    def measure(self, image: Image) -> float:
        return min(1.0, mean_luma(image) / 255 * self.gain)


class Darkness(Filter):
    """Dark photos: positive below the threshold."""

    name = "darkness"
    speed = 2
    threshold = 0.25
    comparison = "<"

    def measure(self, image: Image) -> float:
        return mean_luma(image) / 255


class Slow(Filter):
    """Takes its time.

    Parameters
    ----------
    delay : float
        Seconds per image.
    """

    name = "slow"
    speed = 5
    delay: float = 0.05

    def measure(self, image: Image) -> float:
        time.sleep(self.delay)
        return 0.0


class Explodes(Filter):
    """Raises on every image."""

    name = "explodes"

    def measure(self, image: Image) -> float:
        raise ZeroDivisionError("boom")


class Recurses(Filter):
    """Recurses for ever."""

    name = "recurses"

    def measure(self, image: Image) -> float:
        return self.measure(image)


class Exits(Filter):
    """Calls sys.exit."""

    name = "exits"

    def measure(self, image: Image) -> float:
        sys.exit(3)


class Nan(Filter):
    """Measures no number."""

    name = "nan"

    def measure(self, image: Image) -> float:
        return float("nan")


class Text(Filter):
    """Measures a text."""

    name = "text"

    def measure(self, image: Image) -> float:
        return "0.5"  # type: ignore[return-value]


class Undecided(Filter):
    """Fails when it decides."""

    name = "undecided"

    def measure(self, image: Image) -> float:
        return 0.5

    def decide(self, prediction: float) -> bool:
        raise RuntimeError("who knows")


class Vandal(Filter):
    """Tries to change the pixels that all filters share."""

    name = "vandal"

    def measure(self, image: Image) -> float:
        image.pixels()[:] = 0
        return 0.0


class Deadly(Filter):
    """Kills its own process on a pure red photo."""

    name = "deadly"

    def measure(self, image: Image) -> float:
        red, green, blue = image.pixels()[0, 0]
        if red > 200 and green < 50 and blue < 50:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0.0


class Tinted(TrainableFilter):
    """Reddish photos, told by a model that must be trained first."""

    name = "tinted"
    model_file = "none.npz"
    feature_names = ("red", "green", "blue")
    kernel = "linear"

    def features(self, image: Image) -> NDArray[np.float64]:
        return np.asarray(image.pixels().mean(axis=(0, 1)) / 255, dtype=np.float64)


def write_image(path: os.PathLike[str], pixels: NDArray[np.uint8]) -> str:
    """Write RGB or grey pixels in the format of the path's suffix; return the path as text."""
    if pixels.ndim == 3:
        pixels = pixels[..., ::-1]
    assert cv2.imwrite(os.fspath(path), pixels)
    return os.fspath(path)
