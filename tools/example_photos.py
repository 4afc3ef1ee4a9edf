"""Photos that each built-in filter flags: scikit-image's own, with a small edit.

They are free: the docstrings of `skimage.data` say whose they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

Pixels = NDArray[np.uint8]


class Example(NamedTuple):
    """A photo that a filter flags, and what was done to it."""

    make: Callable[[], Pixels]
    caption: str


def _bytes(values: NDArray[Any]) -> Pixels:
    return np.asarray(np.clip(np.rint(values), 0, 255), dtype=np.uint8)


def _photo(name: str) -> Pixels:
    """One of scikit-image's photos."""
    pixels: Pixels = np.array(getattr(data, name)())
    return pixels


def shaken() -> Pixels:
    """The cat, moved along a slope during the exposure."""
    kernel = np.zeros((19, 19), np.float32)
    cv2.line(kernel, (1, 14), (17, 4), 1.0, 1, cv2.LINE_AA)
    moved = cv2.filter2D(_photo("chelsea"), -1, kernel / np.float32(kernel.sum()))
    return np.asarray(moved, dtype=np.uint8)


def portrait() -> Pixels:
    """The astronaut before a background out of focus."""
    photo = _photo("astronaut")[:460]
    mask: NDArray[Any] = np.zeros(photo.shape[:2], np.float32)
    cv2.ellipse(mask, (222, 130), (95, 125), 0, 0, 360, 1.0, -1)
    cv2.ellipse(mask, (225, 420), (190, 190), 0, 0, 360, 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), 5)[..., None]
    return _bytes(photo * mask + cv2.GaussianBlur(photo, (0, 0), 9) * (1 - mask))


def over_exposed() -> Pixels:
    """The coffee with two stops too much light."""
    return _bytes(255 * (_photo("coffee") / 255.0 * 4.0) ** 0.8)


def lamp() -> Pixels:
    """The coffee below a lamp."""
    photo = _photo("coffee").astype(np.float64)
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]]
    away = np.hypot(x - 480, y - 85)
    glow = 330 * np.exp(-((away / 55) ** 2)) + 70 * np.exp(-away / 80)
    return _bytes(photo + glow[..., None])


def tone_mapped() -> Pixels:
    """The astronaut, her light flattened and her detail raised."""
    lab = cv2.cvtColor(_photo("astronaut"), cv2.COLOR_RGB2LAB)
    light = lab[..., 0].astype(np.float64)
    base = cv2.GaussianBlur(light, (0, 0), 22)
    fine = cv2.GaussianBlur(light, (0, 0), 4)
    lab[..., 0] = _bytes(128 + 0.25 * (base - 128) + 1.9 * (fine - base) + 2.2 * (light - fine))
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), dtype=np.uint8)


def few_tones() -> Pixels:
    """The cat in four levels of each channel."""
    smooth = cv2.bilateralFilter(_photo("chelsea"), 9, 30, 5)
    return _bytes(np.floor(smooth / 64.0) * 85)


def crossed() -> Pixels:
    """The coffee with tone curves that cross."""
    red, green, blue = np.moveaxis(_photo("coffee") / 255.0, 2, 0)
    red = red + 0.22 * np.sin(2 * np.pi * (red - 0.5)) * 0.9
    green = green + 0.10 * np.sin(2 * np.pi * (green - 0.5))
    blue = 0.24 + 0.5 * blue
    return _bytes(255 * np.stack([red, green, blue], axis=2))


def bent() -> Pixels:
    """The brick wall through a fisheye lens that fills the frame."""
    wall = cv2.cvtColor(_photo("brick"), cv2.COLOR_GRAY2RGB)[:400]
    height, width = wall.shape[:2]
    half = np.hypot(height, width) / 2
    y, x = np.mgrid[:height, :width]
    x, y = (x - width / 2) / half, (y - height / 2) / half
    factor = 0.35 / (1 - 0.65 * (x**2 + y**2))
    columns, rows = x * factor * half + width / 2, y * factor * half + height / 2
    map_x, map_y = columns.astype(np.float32), rows.astype(np.float32)
    return np.asarray(cv2.remap(wall, map_x, map_y, cv2.INTER_LINEAR), dtype=np.uint8)


def mounted() -> Pixels:
    """The rocket's start in a passepartout."""
    edge = cv2.copyMakeBorder(
        _photo("rocket"), 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=(196, 190, 178)
    )
    frame = cv2.copyMakeBorder(edge, 34, 58, 34, 34, cv2.BORDER_CONSTANT, value=(242, 239, 231))
    return np.asarray(frame, dtype=np.uint8)


def wall() -> Pixels:
    """The brick wall as it is."""
    return np.asarray(cv2.cvtColor(_photo("brick")[:380], cv2.COLOR_GRAY2RGB), dtype=np.uint8)


def captioned() -> Pixels:
    """The cat with a caption."""
    photo = _photo("chelsea")
    cv2.putText(
        photo, "Is it Monday?", (100, 280), cv2.FONT_HERSHEY_DUPLEX, 1.1, (20,) * 3, 7, cv2.LINE_AA
    )
    cv2.putText(
        photo, "Is it Monday?", (100, 280), cv2.FONT_HERSHEY_DUPLEX, 1.1, (250,) * 3, 2, cv2.LINE_AA
    )
    return photo


def strip() -> Pixels:
    """A strip of the coffee."""
    return np.ascontiguousarray(_photo("coffee")[120:330])


def far_away() -> Pixels:
    """A horse, far away on a meadow."""
    height, width = 400, 560
    green = np.array([[[96, 128, 70]]]) + np.linspace(40, -10, height)[:, None, None]
    photo = np.repeat(green, width, axis=1)
    grass = cv2.resize(_photo("grass"), (width, height)).astype(np.float64)
    photo += 0.12 * (grass - grass.mean())[..., None]
    horse = 1.0 - cv2.resize(_photo("horse").astype(np.float64), (87, 72))
    place = photo[140:212, 330:417]
    place[:] = place * (1 - horse[..., None]) + np.array([52, 30, 22]) * horse[..., None]
    return _bytes(photo)


def two_cups() -> Pixels:
    """Two cups of coffee, one at either end of a table."""
    photo = cv2.resize(_photo("coffee"), (300, 200), interpolation=cv2.INTER_AREA)
    return np.asarray(np.concatenate([photo, photo[:, ::-1]], axis=1), dtype=np.uint8)


def lens_cap() -> Pixels:
    """The rocket's start with hardly any light."""
    noise = np.random.default_rng(0).normal(0, 2.5, _photo("rocket").shape)
    return _bytes(_photo("rocket") / 8.0 + noise)


def washed_out() -> Pixels:
    """The coffee behind a flare."""
    return _bytes(232 + _photo("coffee") * (23 / 255))


def blank() -> Pixels:
    """An empty page: the light falls off towards its corners."""
    y, x = np.mgrid[-1:1:300j, -1:1:420j]
    paper = 222 - 22 * (x**2 + y**2)
    noise = np.random.default_rng(0).normal(0, 3, (300, 420, 3))
    return _bytes(paper[..., None] * np.array([1.0, 0.99, 0.95]) + noise)


def black_and_white() -> Pixels:
    """The cameraman, saved as a colour picture, with what JPEG makes of it."""
    noise = np.random.default_rng(0).normal(0, 1.5, (512, 512, 3))
    return _bytes(_photo("camera")[..., None] + noise)[:400]


EXAMPLES = {
    "whole_blur": Example(shaken, "A cat, the camera moved during the exposure."),
    "blurred_context": Example(portrait, "An astronaut; what is around her was blurred."),
    "exposure": Example(over_exposed, "A cup of coffee with two stops too much light."),
    "highlights": Example(lamp, "A cup of coffee, and a lamp that was painted in."),
    "hdr": Example(tone_mapped, "An astronaut, her light flattened and her detail raised."),
    "posterized": Example(few_tones, "A cat in four levels of each channel."),
    "cross_processed": Example(crossed, "A cup of coffee with tone curves that cross."),
    "fisheye": Example(bent, "A brick wall, bent as a fisheye lens bends it."),
    "framed": Example(mounted, "A rocket's start in a passepartout."),
    "pattern": Example(wall, "A brick wall as it is."),
    "text_detection": Example(captioned, "A cat with a caption."),
    "unconventional_size": Example(strip, "A strip that was cut from a photo of coffee."),
    "object_too_small": Example(far_away, "A horse's silhouette, put far away on a meadow."),
    "multiple_salient_regions": Example(two_cups, "A cup of coffee beside its mirror image."),
    "dark": Example(lens_cap, "A rocket's start with hardly any light."),
    "light": Example(washed_out, "A cup of coffee behind a flare."),
    "low_information": Example(blank, "An empty page under a lamp."),
    "grayscale": Example(black_and_white, "A black-and-white photo, saved in three channels."),
}
"""By filter. The photos are NASA's (astronaut), SpaceX's (rocket), Stéfan van der Walt's (cat),
Rachel Michetti's (coffee), CC0 Textures' (bricks), linolafett's (grass), Lav Varshney's (cameraman)
and Andreas Preuss's (horse): public domain or CC0."""
