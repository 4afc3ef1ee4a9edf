"""How the colours of a photo are spread: measured once, read by two filters."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Image, derived
from qualipy_core.opencv import cv2  # not `import cv2`: a clear error where libGL is missing

SIDE = 256  # pixels: the colours of areas, not of details


class Chroma(NamedTuple):
    """Moments of CIELAB's a* (green to red) and b* (blue to yellow); neutral grey is (0, 0)."""

    mean_a: float
    mean_b: float
    variance_a: float
    variance_b: float
    covariance: float

    @property
    def cast(self) -> float:
        """How far the mean colour is from neutral grey."""
        return float(np.hypot(self.mean_a, self.mean_b))

    @property
    def spread(self) -> float:
        """How far colours lie from their mean: root mean square."""
        return float(np.sqrt(self.variance_a + self.variance_b))

    @property
    def off_hue(self) -> float:
        """How far colours lie from one line through neutral grey: root mean square.

        All shades of a single hue, greys included, lie on such a line.
        """
        aa = self.variance_a + self.mean_a**2
        bb = self.variance_b + self.mean_b**2
        ab = self.covariance + self.mean_a * self.mean_b
        smaller = (aa + bb) / 2 - np.hypot((aa - bb) / 2, ab)
        return float(np.sqrt(max(smaller, 0.0)))


@derived  # computed once per image, whichever filter asks first
def colors(image: Image) -> NDArray[np.float32]:
    """Return CIELAB's a* and b* (D65) of every pixel of a small picture, (H, W, 2)."""
    lab = cv2.cvtColor(image.pixels(SIDE).astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    return np.asarray(lab[..., 1:], dtype=np.float32)


@derived
def chroma(image: Image) -> Chroma:
    """Return the moments of a picture's colours in CIELAB (D65)."""
    a, b = colors(image).reshape(-1, 2).T.astype(np.float64)
    mean_a, mean_b = float(a.mean()), float(b.mean())
    a -= mean_a
    b -= mean_b
    return Chroma(
        mean_a, mean_b, float((a * a).mean()), float((b * b).mean()), float((a * b).mean())
    )
