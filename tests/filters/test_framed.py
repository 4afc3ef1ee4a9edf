from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from qualipy_core.opencv import cv2
from qualipy_filters_builtin.framed import Framed

PHOTOS = ["astronaut", "chelsea", "coffee", "rocket"]


def degree(pixels):
    return Framed().predict(pixels, return_boolean=False)


def bordered(photo, top, bottom=None, left=None, right=None, color=(240, 240, 235)):
    bottom, left, right = (top if side is None else side for side in (bottom, left, right))
    return cv2.copyMakeBorder(
        photo, top, bottom, left, right, cv2.BORDER_CONSTANT, value=tuple(color)
    )


def textured(photo, width):
    """A frame of noisy, striped cloth."""
    height, breadth = (side + 2 * width for side in photo.shape[:2])
    rows, columns = np.mgrid[:height, :breadth]
    noise = np.random.default_rng(0).normal(0, 8, (height, breadth))
    weave = 120 + 12 * np.sin(rows * 1.7) * np.sin(columns * 1.7) + noise
    frame = np.clip(weave[..., None] * (1.3, 0.9, 0.4), 0, 255).astype(np.uint8)
    frame[width:-width, width:-width] = photo
    return frame


def rounded(photo, width, radius):
    height, breadth = photo.shape[:2]
    inside = np.zeros((height, breadth), np.uint8)
    inside[width + radius : -width - radius, width:-width] = 1
    inside[width:-width, width + radius : -width - radius] = 1
    for y in (width + radius, height - width - radius):
        for x in (width + radius, breadth - width - radius):
            cv2.circle(inside, (x, y), radius, 1, -1)
    return np.where(inside[..., None] > 0, photo, np.uint8(250))


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photo_is_not_framed(name):
    assert not Framed().predict(getattr(data, name)())


@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (200, 40, 90)])
@pytest.mark.parametrize("width", [6, 20, 60, 140])
def test_a_solid_border_is_a_frame(width, color):
    assert Framed().predict(bordered(data.coffee(), width, color=color))


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize(
    "frame",
    [
        lambda photo: textured(photo, 25),
        lambda photo: rounded(photo, 14, 30),
        lambda photo: bordered(bordered(photo, 12, color=(255, 255, 255)), 6, color=(9, 9, 9)),
        lambda photo: bordered(photo, 15, 70, 15, 15),
        lambda photo: bordered(photo, 10, 30, 18, 45),
    ],
    ids=["textured", "rounded", "double", "polaroid", "uneven"],
)
def test_frames_of_other_kinds_are_frames(name, frame):
    assert Framed().predict(frame(getattr(data, name)()))


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
@pytest.mark.parametrize(
    "sides",
    [(40, 40, 0, 0), (0, 0, 50, 50), (0, 40, 0, 0), (0, 40, 0, 40)],
    ids=["letterbox", "pillarbox", "one bar", "a corner"],
)
def test_bars_on_some_sides_are_no_frame(name, sides):
    assert not Framed().predict(bordered(getattr(data, name)(), *sides, color=(0, 0, 0)))


@pytest.mark.parametrize("tone", [0, 128, 255])
def test_a_uniform_background_is_no_frame(tone):
    picture = np.full((300, 400, 3), tone, np.uint8)
    rows, columns = np.ogrid[:300, :400]
    subject = ((rows - 150) / 110) ** 2 + ((columns - 200) / 150) ** 2 < 1
    photo = cv2.resize(data.chelsea(), (400, 300))
    assert not Framed().predict(np.where(subject[..., None], photo, picture))


def test_a_frame_raises_the_degree_whatever_its_width():
    photo = data.chelsea()
    assert all(degree(bordered(photo, width)) > degree(photo) + 0.5 for width in (5, 10, 30, 90))


@pytest.mark.parametrize("width", [0, 4, 20])
def test_mirroring_and_turning_change_nothing(width):
    picture = bordered(data.coffee(), width) if width else data.coffee()
    for other in (picture[:, ::-1], picture[::-1], picture.transpose(1, 0, 2)):
        assert degree(other) == pytest.approx(degree(picture), abs=0.05)


@pytest.mark.parametrize("name", PHOTOS)
def test_compression_and_size_change_little(name):
    picture = bordered(getattr(data, name)(), 16)
    jpeg = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
    large = cv2.resize(picture, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    for other in (jpeg, large, half):
        assert degree(other) == pytest.approx(degree(picture), abs=0.05)


@pytest.mark.parametrize("tone", [0, 90, 255])
def test_a_plain_picture_is_not_framed(tone):
    assert degree(np.full((100, 150, 3), tone, np.uint8)) < 0.1


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 3000), (3000, 1), (5, 5), (47, 48), (48, 48), (64, 48)]
)
def test_any_picture_gives_a_degree(shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert 0 <= degree(noise) < 0.5


def test_grey_is_grey_in_any_number_of_channels():
    grey = bordered(data.chelsea(), 12)[..., 1].copy()
    assert degree(grey) == degree(np.dstack([grey] * 3))
