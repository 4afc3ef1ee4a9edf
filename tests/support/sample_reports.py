"""Made-up results for reports: no photo has to be judged for them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np

from qualipy.filters import Exposure, Framed, ObjectTooSmall, UnconventionalSize
from qualipy_core import Result
from qualipy_core.errors import FilterError, ImageReadError
from qualipy_core.opencv import cv2

FILTERS = {
    "exposure": Exposure(),
    "framed": Framed(),
    "object_too_small": ObjectTooSmall(),
    "unconventional_size": UnconventionalSize(),
}

HOSTILE = (
    "<script>alert(1)</script>.jpg",
    '"><img src=x onerror=alert(2)>.jpg',
    "</script><script>alert(3)</script><!--.jpg",
    "line\nbreak\r.jpg",
    "turned \u202e gpj.exe",
    "separators \u2028 \u2029.jpg",
    "no utf-8 \udcff\udc80.jpg",
    "it's $(touch x) `id` \\ %41 #?&.jpg",
    "javascript:alert(4)",
    "{{ 7 * 7 }}{% raw %}.jpg",
    "=cmd|' /C calc'!A0.jpg",
    "\x1b[31mred\x07 \x00.jpg",
)


def thumbnail(grey: int = 128, size: tuple[int, int] = (60, 80)) -> bytes:
    """A flat JPEG."""
    done, data = cv2.imencode(".jpg", np.full((*size, 3), grey, np.uint8))
    assert done
    return data.tobytes()


def judged(image: str, *, picture: bytes | None = None, **predictions: float) -> Result:
    """A result of `FILTERS` with these predictions."""
    decisions = {name: FILTERS[name].decision(value) for name, value in predictions.items()}
    return Result(image, predictions, decisions, thumbnail=picture)


def unreadable(image: str, message: str = "is no image") -> Result:
    """A photo that could not be judged."""
    return Result(image, error=ImageReadError(f"{image} {message}.", image=image))


def broken(image: str, name: str, **predictions: float) -> Result:
    """A photo on which a filter failed."""
    result = judged(image, **predictions)
    failure = FilterError(f"Filter {name} failed: boom on {image}.", filter=name, image=image)
    return Result(image, result.predictions, result.decisions, {name: failure})


def many(size: int, *, pictures: int = 1) -> Iterator[Result]:
    """Photos as a run finds them: most pass, some do not, a few cannot be read.

    One in as many as ``pictures`` says has a thumbnail; 0: none has.
    """
    chance = random.Random(size)
    made = [thumbnail(grey) for grey in range(20, 240, 20)]
    for number in range(size):
        image = f"photos/{number % 7}/photo {number:05}.jpg"
        if number % 97 == 96:
            yield unreadable(image)
        else:
            yield judged(
                image,
                picture=made[number % len(made)] if pictures and not number % pictures else None,
                exposure=chance.betavariate(1, 5),
                framed=chance.betavariate(0.3, 5),
                object_too_small=chance.betavariate(2, 8),
                unconventional_size=1 + chance.expovariate(2.5),
            )
