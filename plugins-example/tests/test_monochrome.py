from __future__ import annotations

import numpy as np
from qualipy_example_pack import chroma
from qualipy_example_pack.color_cast import ColorCast
from qualipy_example_pack.monochrome import Monochrome

from qualipy_core import Image
from qualipy_core.testing import FilterContract, sample_images

NATURAL = sample_images()["natural"]
GREY = sample_images()["grey"]


def sepia():
    tones = np.array([1.0, 0.87, 0.68])
    return (GREY[..., None] * tones).astype(np.uint8)


class TestMonochrome(FilterContract):
    filter_class = Monochrome

    def positives(self):
        return [GREY, sepia()]

    def negatives(self):
        return [NATURAL]


def test_fading_the_colours_raises_the_prediction():
    luma = NATURAL.mean(axis=2, keepdims=True)
    faded = [(luma + (NATURAL - luma) * s).astype(np.uint8) for s in (1, 0.5, 0.25, 0.0)]
    degrees = [Monochrome().predict(picture, return_boolean=False) for picture in faded]
    assert degrees == sorted(degrees)


def test_both_colour_filters_share_one_measurement(monkeypatch):
    calls = []
    convert = chroma.cv2.cvtColor
    monkeypatch.setattr(chroma.cv2, "cvtColor", lambda *args: calls.append(args) or convert(*args))
    image = Image(NATURAL)
    Monochrome().predict(image)
    ColorCast().predict(image)
    assert len(calls) == 1
