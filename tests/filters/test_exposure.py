from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from qualipy_core import Image
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.exposure import Exposure

PHOTOS = ["astronaut", "chelsea", "coffee"]


def degree(pixels, **parameters):
    return Exposure(**parameters).predict(pixels, return_boolean=False)


def exposed(pixels, stops):
    """The photo with that many stops more light, in a display's linear light."""
    linear = (pixels / 255.0) ** 2.2 * 2.0**stops
    return np.rint(255 * np.clip(linear, 0, 1) ** (1 / 2.2)).astype(np.uint8)


def on_backdrop(tone):
    """A well exposed subject, small in front of a plain backdrop."""
    picture = np.full((300, 400, 3), tone, np.uint8)
    picture[60:240, 110:290] = cv2.resize(data.coffee(), (180, 180))
    return picture


@pytest.mark.parametrize("name", PHOTOS)
def test_a_well_exposed_photo_is_not_flagged(name):
    assert not Exposure().predict(getattr(data, name)())


@pytest.mark.parametrize("stops", [-4, 4])
@pytest.mark.parametrize("name", PHOTOS)
def test_four_stops_off_is_flagged(name, stops):
    assert Exposure().predict(exposed(getattr(data, name)(), stops))


@pytest.mark.parametrize("name", PHOTOS)
def test_more_wrong_light_never_lowers_the_degree(name):
    photo = getattr(data, name)()
    over = [degree(exposed(photo, stops)) for stops in (1.5, 2, 2.5, 3, 4, 5)]
    under = [degree(exposed(photo, -stops)) for stops in (1.5, 2, 2.5, 3, 4, 5)]
    assert over == sorted(over)
    assert under == sorted(under)


def test_under_exposure_is_told_apart_on_demand():
    photo = data.astronaut()
    dark, bright = exposed(photo, -5), exposed(photo, 4)
    assert degree(dark, negative_under_exposed=True) == -1
    assert degree(bright, negative_under_exposed=True) == degree(bright) > 0.5
    assert degree(photo, negative_under_exposed=True) == degree(photo) < 0.5


def test_minus_one_is_positive():
    assert Exposure(negative_under_exposed=True).predict(exposed(data.astronaut(), -5))
    assert Exposure(0.9, negative_under_exposed=True).decide(-1.0)
    assert not Exposure(0.5, True, negative_under_exposed=True).decide(-1.0)


@pytest.mark.parametrize("tone", [0, 255])
def test_a_subject_on_a_plain_backdrop_is_judged_by_itself(tone):
    assert not Exposure().predict(on_backdrop(tone))


def test_lamps_do_not_make_a_dark_photo_well_exposed():
    dark = exposed(data.astronaut(), -5)
    dark[100:150, 100:150] = 255
    assert Exposure().predict(dark)


@pytest.mark.parametrize("name", PHOTOS)
def test_mirroring_changes_nothing(name):
    photo = getattr(data, name)()
    assert degree(photo[:, ::-1]) == pytest.approx(degree(photo), abs=0.01)
    assert degree(photo[::-1]) == pytest.approx(degree(photo), abs=0.01)


@pytest.mark.parametrize("name", PHOTOS)
def test_compression_and_size_change_little(name):
    photo = exposed(getattr(data, name)(), 2.5)
    jpeg = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
    half = cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    assert degree(jpeg) == pytest.approx(degree(photo), abs=0.03)
    assert degree(half) == pytest.approx(degree(photo), abs=0.03)


def test_black_is_under_exposed_and_white_over_exposed():
    black, white = np.zeros((40, 60, 3), np.uint8), np.full((40, 60, 3), 255, np.uint8)
    assert degree(black) == 1
    assert degree(white) == 1
    assert degree(black, negative_under_exposed=True) == -1


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (5, 5), (64, 48)])
def test_any_picture_gives_a_degree(shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert 0 <= degree(noise) <= 1


def test_grey_is_grey_in_any_number_of_channels():
    grey = data.camera()
    assert degree(grey) == degree(np.dstack([grey] * 3))


def test_only_the_region_asked_for_is_judged():
    picture = np.full((100, 200, 3), 110, np.uint8)
    picture[:, 100:] = 255
    assert not Exposure().predict(Image(picture), ROI=(0, 0, 100, 100))
    assert Exposure().predict(Image(picture), ROI=(100, 0, 100, 100))
