"""Small filters for tests, in a module that worker processes can import."""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np
from numpy.typing import NDArray

from qualipy_core import (
    Comparison,
    Filter,
    Image,
    SetFilter,
    TrainableFilter,
    derived,
    gray,
)
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


class Copies(SetFilter):
    """Photos that another one of the set equals; all but the first of them are positive.

    Parameters
    ----------
    most : int
        How many equal photos are fine.
    """

    name = "copies"
    most: int = 1
    comparing = ("most",)

    def fingerprint(self, image: Image) -> NDArray[np.uint8]:
        return cv2.resize(image.pixels(64), (2, 2), interpolation=cv2.INTER_AREA)

    def compare(self, fingerprints: NDArray[np.uint8]) -> Comparison:
        flat = fingerprints.reshape(len(fingerprints), -1)
        _, members = np.unique(flat, axis=0, return_inverse=True)
        predictions = np.zeros(len(flat))
        groups = []
        for member in range(members.max() + 1):
            group = np.flatnonzero(members == member)
            predictions[group[self.most :]] = 1.0
            groups.append(tuple(group.tolist()))
        return Comparison(predictions, tuple(groups))


class Unlike(SetFilter):
    """Photos whose mean luma is far from the median of the set's: how far, 0 … 1."""

    name = "unlike"
    threshold = 0.3

    def fingerprint(self, image: Image) -> NDArray[np.void]:
        dtype = np.dtype([("luma", "<f8"), ("size", "<u4", (2,))])
        return np.array((mean_luma(image) / 255, image.size), dtype)

    def compare(self, fingerprints: NDArray[np.void]) -> Comparison:
        return Comparison(np.abs(fingerprints["luma"] - np.median(fingerprints["luma"])))


class Unprinted(SetFilter):
    """Makes no fingerprint of a dark photo."""

    name = "unprinted"

    def fingerprint(self, image: Image) -> NDArray[np.float64]:
        if mean_luma(image) < 20:
            raise ZeroDivisionError("too dark")
        return np.array([mean_luma(image)])

    def compare(self, fingerprints: NDArray[np.float64]) -> Comparison:
        return Comparison(np.full(len(fingerprints), float(len(fingerprints))))
