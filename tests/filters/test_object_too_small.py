"""object_too_small: the prediction follows the object's share of the area."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from qualipy_core import Image
from qualipy_core.opencv import cv2
from qualipy_core.testing import FilterContract
from qualipy_filters_builtin.object_too_small import ObjectTooSmall

from .test_saliency import scene


def measured(pixels: Any, **parameters: Any) -> float:
    return ObjectTooSmall(**parameters).measure(Image(pixels))


class TestObjectTooSmall(FilterContract):
    filter_class = ObjectTooSmall

    def positives(self) -> Sequence[Any]:
        return [scene((128, 96, 12)), scene((70, 120, 14)), scene((190, 70, 10))]

    def negatives(self) -> Sequence[Any]:
        return [scene((128, 96, 60)), scene((110, 100, 75))]


def test_the_share_grows_with_the_object() -> None:
    shares = [measured(scene((128, 96, radius))) for radius in (10, 20, 35, 50, 70)]
    assert shares == sorted(shares)


def test_the_share_hardly_depends_on_where_the_object_is() -> None:
    shares = [measured(scene((x, y, 30))) for x, y in ((128, 96), (90, 80), (160, 110))]
    assert max(shares) < 1.5 * min(shares)


def test_mirroring_changes_nothing() -> None:
    pixels = scene((80, 100, 30))
    assert measured(pixels) == pytest.approx(measured(pixels[:, ::-1].copy()), abs=0.02)


def test_resizing_changes_little() -> None:
    pixels = scene((80, 100, 30))
    larger = cv2.resize(pixels, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    assert measured(larger) == pytest.approx(measured(pixels), rel=0.2)


def test_a_mask_gives_the_exact_share() -> None:
    mask = np.zeros((100, 200), np.uint8)
    mask[20:40, 50:100] = 255
    assert measured(mask, is_saliency_map=True) == pytest.approx(0.05)
    mask[20:40, 50:100] = 180  # a fainter object is as large
    assert measured(mask, is_saliency_map=True) == pytest.approx(0.05)


def test_an_empty_mask_holds_no_object_and_a_full_one_nothing_else() -> None:
    assert measured(np.zeros((30, 40), np.uint8), is_saliency_map=True) == 0
    assert measured(np.full((30, 40), 255, np.uint8), is_saliency_map=True) == 1


def test_a_photo_is_positive_below_the_threshold() -> None:
    mask = np.zeros((100, 100), np.uint8)
    mask[:20, :20] = 255
    assert ObjectTooSmall(is_saliency_map=True).predict(mask) is True
    assert ObjectTooSmall(0.03, is_saliency_map=True).predict(mask) is False
    mask[:40, :20] = 255
    assert ObjectTooSmall(is_saliency_map=True).predict(mask) is False
