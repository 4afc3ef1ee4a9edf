from __future__ import annotations

import numpy as np
from qualipy_example_pack.low_resolution import LowResolution

from qualipy_core import Image
from qualipy_core.testing import FilterContract


def picture(width, height):
    return np.zeros((height, width, 3), np.uint8)


class TestLowResolution(FilterContract):
    filter_class = LowResolution

    def positives(self):
        return [picture(640, 480)]

    def negatives(self):
        return [picture(1600, 1200)]


def test_the_prediction_is_in_megapixels():
    assert LowResolution().predict(picture(1000, 500), return_boolean=False) == 0.5


def test_a_region_counts_its_own_pixels():
    assert LowResolution().predict(picture(1600, 1200), ROI=(0, 0, 200, 100))


def test_only_the_header_is_read(monkeypatch, tmp_path):
    def refuse(*_args):
        raise AssertionError("decoded")

    header = b"BM" + bytes(12) + b"\x28\0\0\0" + b"\x40\x06\0\0" + b"\xb0\x04\0\0" + bytes(20)
    path = tmp_path / "header-alone.bmp"
    path.write_bytes(header)
    monkeypatch.setattr(Image, "pixels", refuse)
    assert LowResolution().predict(path, return_boolean=False) == 1.92
