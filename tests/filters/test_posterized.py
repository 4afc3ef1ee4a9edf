from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from qualipy_core.opencv import cv2
from qualipy_filters_builtin.posterized import Posterized

PHOTOS = ["astronaut", "chelsea", "coffee", "rocket"]


def degree(pixels):
    return Posterized().predict(pixels, return_boolean=False)


def levels(pixels, count):
    """Each channel in that many evenly spaced levels."""
    return np.rint(np.rint(pixels / 255 * (count - 1)) * 255 / (count - 1)).astype(np.uint8)


def palette(pixels, count):
    """The colours of a grid over the photo, each pixel in the nearest one."""
    grid = pixels[:: pixels.shape[0] // 9, :: pixels.shape[1] // 9].reshape(-1, 3).astype(int)
    colors = grid[np.argsort(grid.sum(axis=1))][np.linspace(0, len(grid) - 1, count).astype(int)]
    distance = ((pixels[:, :, None].astype(int) - colors) ** 2).sum(axis=3)
    return colors[distance.argmin(axis=2)].astype(np.uint8)


def value_levels(pixels, count):
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    hsv[..., 1:] = levels(hsv[..., 1:], count)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def jpeg(pixels, quality):
    return cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photo_is_not_posterized(name):
    assert not Posterized().predict(getattr(data, name)())


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize(
    "effect",
    [
        lambda photo: levels(photo, 2),
        lambda photo: levels(photo, 4),
        lambda photo: levels(photo, 6),
        lambda photo: value_levels(photo, 5),
        lambda photo: palette(photo, 8),
        lambda photo: levels(cv2.medianBlur(photo, 7), 5),
        lambda photo: levels(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), 6),
    ],
    ids=["2 levels", "4 levels", "6 levels", "HSV", "palette", "smoothed", "grey"],
)
def test_few_tones_are_posterized(name, effect):
    assert Posterized().predict(effect(getattr(data, name)()))


@pytest.mark.parametrize("name", PHOTOS)
def test_few_tones_are_still_seen_after_compression_and_resizing(name):
    posterized = levels(getattr(data, name)(), 4)
    assert Posterized().predict(jpeg(posterized, 80))
    smaller = cv2.resize(posterized, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    assert Posterized().predict(jpeg(smaller, 88))


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize(
    "change",
    [
        lambda photo: jpeg(photo, 25),
        lambda photo: (photo * 0.45 + 120).astype(np.uint8),
        lambda photo: np.clip(photo.mean(axis=2)[..., None] * (1.1, 0.95, 0.7), 0, 255).astype(
            "u1"
        ),
        lambda photo: np.clip((photo - 128.0) * 1.4 + 128, 0, 255).astype(np.uint8),
        lambda photo: cv2.GaussianBlur(photo, (0, 0), 4),
    ],
    ids=["low quality", "fog", "sepia", "contrast", "blur"],
)
def test_other_changes_are_no_posterization(name, change):
    assert not Posterized().predict(change(getattr(data, name)()))


@pytest.mark.parametrize("name", PHOTOS)
def test_fewer_tones_never_lower_the_degree(name):
    photo = getattr(data, name)()
    degrees = np.array([degree(levels(photo, count)) for count in (128, 48, 24, 12, 6, 3, 2)])
    assert (np.diff(degrees) > -0.02).all()


@pytest.mark.parametrize("name", PHOTOS)
def test_mirroring_changes_nothing(name):
    photo = levels(getattr(data, name)(), 12)
    assert degree(photo[:, ::-1]) == pytest.approx(degree(photo), abs=0.03)
    assert degree(photo[::-1]) == pytest.approx(degree(photo), abs=0.03)


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photo_keeps_its_low_degree_when_halved_or_compressed(name):
    photo = getattr(data, name)()
    half = cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    assert degree(half) == pytest.approx(degree(photo), abs=0.15)
    assert degree(jpeg(photo, 85)) == pytest.approx(degree(photo), abs=0.15)


@pytest.mark.parametrize("tone", [0, 128, 255])
def test_a_plain_picture_has_no_bands(tone):
    assert degree(np.full((60, 80, 3), tone, np.uint8)) == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (5, 5), (64, 48)])
def test_any_picture_gives_a_degree(shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert 0 <= degree(noise) < 0.5


def test_grey_is_grey_in_any_number_of_channels():
    grey = levels(data.camera(), 6)
    assert degree(grey) == degree(np.dstack([grey] * 3))
