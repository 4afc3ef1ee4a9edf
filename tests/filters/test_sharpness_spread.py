from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from qualipy_core import Image
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.sharpness import (
    SLOPED,
    cell_tensors,
    gradient_tensors,
    mean_tones,
    steepest_slopes,
)
from qualipy_filters_builtin.sharpness_spread import NAMES, sharpness_spread

PHOTO = data.astronaut()


def spread(pixels):
    values = sharpness_spread(Image.open(np.ascontiguousarray(pixels)))
    return dict(zip(NAMES, values, strict=True))


def test_every_value_has_a_name_and_percentiles_rise():
    values = spread(PHOTO)
    assert len(values) == len(NAMES) == len(set(NAMES))
    for name in {name.rsplit("_p", 1)[0] for name in NAMES}:
        assert values[f"{name}_p10"] <= values[f"{name}_p50"] <= values[f"{name}_p90"]


def test_edges_get_wider_with_blur():
    # the narrower an edge, the less of its steepness is left on the next octave
    widths = [
        spread(cv2.GaussianBlur(PHOTO, (0, 0), sigma))["width_1_p90"] for sigma in (0.5, 1, 2, 4)
    ]
    assert widths == sorted(widths, reverse=True)


def test_a_blurred_background_lowers_the_lower_percentiles_most():
    scene = cv2.resize(data.gravel(), (480, 480), interpolation=cv2.INTER_AREA)
    scene = np.dstack([scene] * 3)
    mixed = cv2.GaussianBlur(scene, (0, 0), 5)
    mixed[160:320, 160:320] = scene[160:320, 160:320]
    before, after = spread(scene), spread(mixed)
    low, high = (before[name] - after[name] for name in ("slope_1_p10", "slope_1_p90"))
    assert low > 2 * abs(high)


def test_a_grey_photo_is_not_saturated():
    values = spread(np.dstack([data.camera()] * 3))
    assert values["saturation_p90"] == 0 < spread(PHOTO)["saturation_p50"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [(1, 1), (1, 20000), (17, 3), (300, 200)])
@pytest.mark.parametrize("tone", [0, 128, 255])
def test_an_even_picture_is_finite(size, tone):
    values = spread(np.full((*size, 3), tone, np.uint8))
    assert np.isfinite(list(values.values())).all()
    assert values["tone_p50"] == pytest.approx(tone)


def test_a_mirrored_photo_is_spread_alike():
    ours, mirrored = (np.array(list(spread(p).values())) for p in (PHOTO, PHOTO[:, ::-1]))
    logarithms = [index for index, name in enumerate(NAMES) if not name.startswith(("tone", "sat"))]
    assert np.abs(ours - mirrored)[logarithms].max() < 0.25


def test_cells_by_themselves_are_averaged_with_their_neighbours():
    image = Image.open(PHOTO)
    alone = cell_tensors(image)
    together = gradient_tensors(image)
    assert alone.shape == together.shape
    assert together.std() < alone.std()
    assert mean_tones(image).shape == alone.shape[2:]


def test_slopes_are_measured_in_every_octave():
    image = Image.open(PHOTO)
    slopes = steepest_slopes(image)
    assert slopes.shape == (SLOPED, *mean_tones(image).shape)
    assert (slopes >= 0).all()
    assert slopes.any(axis=(1, 2)).all()
