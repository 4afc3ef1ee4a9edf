"""Pictures for `cleanvision`: what is hard about each check, made of ordinary photos.

Every recipe takes a photo of ordinary exposure and a random generator and returns a picture; the
same photo gives the same picture each time. A positive of a check is what its definition in
docs/decisions/cleanvision-checks.md says, a negative is what looks like one to a histogram.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qualipy_core.opencv import cv2

Pixels = NDArray[np.uint8]
Random = np.random.Generator
Recipe = Callable[[Pixels, Random], NDArray[Any]]


class Case(NamedTuple):
    """A picture with its label."""

    path: str
    check: str
    variant: str
    positive: bool


def exposed(photo: Pixels, stops: float) -> Pixels:
    """Return the photo with so many stops more light, in linear light (sRGB's exponent as 2.2)."""
    linear = (photo / 255.0) ** 2.2 * 2.0**stops
    return clipped(255 * np.clip(linear, 0, 1) ** (1 / 2.2))


def clipped(values: NDArray[Any]) -> Pixels:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def noisy(photo: NDArray[Any], random: Random, sigma: float) -> Pixels:
    """Return the photo with a sensor's noise: as in a JPEG, a little wider than a pixel."""
    noise = random.normal(0, sigma, photo.shape).astype(np.float32)
    return clipped(photo + 1.4 * cv2.GaussianBlur(noise, (3, 3), 0.6).reshape(photo.shape))


def spot(photo: Pixels, random: Random, share: float) -> NDArray[np.float64]:
    """Return a soft ellipse of a share of the picture: 1 within, 0 outside; shape (H, W, 1)."""
    height, width = photo.shape[:2]
    y, x = random.uniform(0.35, 0.65) * height, random.uniform(0.3, 0.7) * width
    radius = (share * height * width / np.pi) ** 0.5
    rows, columns = np.mgrid[:height, :width]
    distance = np.hypot((rows - y) / 1.2, (columns - x) * 1.2) / radius
    return np.asarray(np.clip((1.1 - distance) / 0.2, 0, 1)[..., None])


def mixed(inside: Any, outside: Any, mask: NDArray[np.float64]) -> Pixels:
    return clipped(inside * mask + outside * (1 - mask))


def veiled(photo: Pixels, kept: float) -> Pixels:
    """Return the photo through fog or glare: so much of its contrast is left, below white."""
    return clipped(255 - (255 - photo.astype(float)) * kept)


def lamp(photo: Pixels, random: Random, stops: float) -> Pixels:
    """Return a photo in the dark with a lamp of 1.5 % of the picture, and its glow."""
    dark = exposed(photo, stops)
    glow = 90 * cv2.GaussianBlur(spot(photo, random, 0.02)[..., 0], (0, 0), photo.shape[1] / 25)
    random = np.random.default_rng(1)
    mask = spot(photo, random, 0.015)
    return mixed(255.0, clipped(dark + glow[..., None] * 0.5), mask)


def silhouette(photo: Pixels, random: Random) -> Pixels:
    height, width = photo.shape[:2]
    hills = np.cumsum(random.normal(0, height / 90, width)) + height * 0.55
    rows = np.arange(height)[:, None]
    black = (rows > hills[None])[..., None]
    sky = np.linspace(120, 220, height)[:, None, None] * np.array([1.0, 0.8, 0.6])
    return np.where(black, 6, clipped(sky)).astype(np.uint8)


def page(photo: Pixels, random: Random, paper: int = 252) -> Pixels:
    """Return a page of text."""
    height, width = photo.shape[:2]
    sheet = np.full_like(photo, paper)
    letters = np.array(list("abcdefghiklmnoprstuvw     "))
    for line in range(height // 12, int(height * random.uniform(0.3, 0.9)), max(height // 22, 10)):
        text = "".join(random.choice(letters, max(int(width / 9), 3)))
        cv2.putText(sheet, text, (width // 12, line), 0, height / 1200 + 0.1, (30, 30, 30), 1)
    return sheet


def drawing(photo: Pixels, random: Random) -> Pixels:
    """Return a few lines and circles on white."""
    height, width = photo.shape[:2]
    sheet = np.full_like(photo, 255)
    for _ in range(6):
        ends = random.uniform(0.1, 0.9, 4) * (width, height, width, height)
        x1, y1, x2, y2 = ends.astype(int).tolist()
        cv2.line(sheet, (x1, y1), (x2, y2), (20, 20, 20), 2, cv2.LINE_AA)
        cv2.circle(sheet, (x1, y1), height // 8, (20, 20, 20), 2, cv2.LINE_AA)
    return sheet


def logo(photo: Pixels, random: Random) -> Pixels:
    """Return a word in one colour on another, in a few per cent of the picture."""
    height, width = photo.shape[:2]
    dark, light = random.integers(0, 110, 3), random.integers(150, 255, 3)
    sheet = np.broadcast_to(dark.astype(np.uint8), photo.shape).copy()
    place = (width // 4, height // 2)
    colour = tuple(int(c) for c in light)
    cv2.putText(sheet, "Logo", place, 0, height / 180, colour, max(height // 60, 1), cv2.LINE_AA)
    return sheet


def ramp(photo: Pixels, random: Random, noise: float) -> Pixels:
    """Return a smooth gradient from one colour to another, in any direction."""
    height, width = photo.shape[:2]
    angle = random.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    way = rows * np.sin(angle) + columns * np.cos(angle)
    way = ((way - way.min()) / (way.max() - way.min()))[..., None]
    one, other = random.integers(0, 256, 3), random.integers(0, 256, 3)
    return noisy(one * way + other * (1 - way), random, noise)


def scan_of_nothing(photo: Pixels, random: Random) -> Pixels:
    """Return an empty sheet: shading, paper's grain, some specks of dust."""
    height, width = photo.shape[:2]
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    sheet = np.repeat((246 - 14 * (rows**2 + columns**2))[..., None], 3, axis=2)
    for _ in range(4):
        y, x = int(random.integers(2, height - 2)), int(random.integers(2, width - 2))
        sheet[y : y + 2, x : x + 2] -= 90
    return noisy(sheet, random, 2.5)


def wall(photo: Pixels, random: Random) -> Pixels:
    """Return a plain wall out of focus: light that falls off unevenly, and noise."""
    height, width = photo.shape[:2]
    uneven = random.uniform(-8, 8, (4, 5, 1)).astype(np.float32)
    plain = cv2.resize(uneven, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    return noisy(random.integers(60, 220, 3) + plain, random, 4)


def lens_cap(photo: Pixels, random: Random) -> Pixels:
    picture = noisy(np.full(photo.shape, 5.0), random, 7)
    for _ in range(12):
        y, x = int(random.integers(photo.shape[0])), int(random.integers(photo.shape[1]))
        picture[y, x] = random.integers(100, 256, 3)
    return picture


def white_noise(photo: Pixels, random: Random) -> Pixels:
    return random.integers(0, 256, photo.shape).astype(np.uint8)


def small_thing(photo: Pixels, random: Random) -> Pixels:
    """Return 4 % of a photo on a plain ground."""
    ground = np.broadcast_to(random.integers(0, 256, 3), photo.shape)
    return noisy(mixed(photo, ground, spot(photo, random, 0.04)), random, 2)


def grey(photo: Pixels) -> Pixels:
    luma = photo @ np.array([0.299, 0.587, 0.114])
    return np.repeat(luma.astype(np.uint8)[..., None], 3, axis=2)


def saturated(photo: Pixels, factor: float) -> Pixels:
    base = grey(photo).astype(float)
    return clipped(base + factor * (photo - base))


def stamped(photo: Pixels, random: Random) -> Pixels:
    """Return the photo in grey with the date in the orange of old cameras."""
    picture, (height, width) = grey(photo), photo.shape[:2]
    place = (int(width * 0.74), int(height * 0.95))
    cv2.putText(picture, "24 12 '98", place, 0, width / 950, (255, 120, 20), 1, cv2.LINE_AA)
    return picture


def toned(photo: Pixels) -> Pixels:
    """Return the photo in sepia."""
    matrix = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])
    return clipped(photo @ matrix.T)


RECIPES: dict[str, dict[tuple[str, bool], Recipe]] = {
    "dark": {
        ("5.5 stops less, noise", True): lambda p, r: noisy(exposed(p, -5.5), r, 4),
        ("7 stops less", True): lambda p, _: exposed(p, -7),
        ("6 stops less, a lamp", True): lambda p, r: lamp(p, r, -6),
        ("a lens cap", True): lens_cap,
        ("ordinary", False): lambda p, _: p,
        ("2 stops less", False): lambda p, _: exposed(p, -2),
        ("a lit subject of 10 % in the dark", False): lambda p, r: mixed(
            p, exposed(p, -6), spot(p, r, 0.10)
        ),
        ("a product on black", False): lambda p, r: mixed(p, 3.0, spot(p, r, 0.2)),
        ("a silhouette", False): silhouette,
    },
    "light": {
        ("7 stops more, no true black", True): lambda p, _: exposed(np.maximum(p, 25), 7),
        ("flare: 40 % of the contrast, 1 stop more", True): lambda p, _: exposed(veiled(p, 0.4), 1),
        ("glare: 6 % of the contrast", True): lambda p, r: noisy(veiled(p, 0.06), r, 1),
        ("ordinary", False): lambda p, _: p,
        ("1 stop more", False): lambda p, _: exposed(p, 1),
        ("fog: 45 % of the contrast", False): lambda p, _: veiled(p, 0.45),
        ("a product on white", False): lambda p, r: mixed(p, 255.0, spot(p, r, 0.12)),
        ("a page of text", False): page,
        ("a drawing", False): drawing,
    },
    "low_information": {
        ("one colour", True): lambda p, r: np.broadcast_to(
            r.integers(0, 256, 3).astype(np.uint8), p.shape
        ).copy(),
        ("one colour, noise", True): lambda p, r: noisy(
            np.broadcast_to(r.integers(0, 256, 3), p.shape), r, 12
        ),
        ("a gradient", True): lambda p, r: ramp(p, r, 0.6),
        ("a gradient, noise", True): lambda p, r: ramp(p, r, 6),
        ("an empty scan", True): scan_of_nothing,
        ("a wall", True): wall,
        ("a lens cap", True): lens_cap,
        ("white noise", True): white_noise,
        ("ordinary", False): lambda p, _: p,
        ("2 stops less", False): lambda p, _: exposed(p, -2),
        ("fog: 25 % of the contrast", False): lambda p, _: veiled(p, 0.25),
        ("a page of text", False): page,
        ("a drawing", False): drawing,
        ("a logo", False): logo,
        ("a small thing on a plain ground", False): small_thing,
    },
    "grayscale": {
        ("one channel", True): lambda p, _: grey(p)[..., 0],
        ("grey as RGB", True): lambda p, _: grey(p),
        ("grey as RGB, a scanner's noise", True): lambda p, r: noisy(grey(p), r, 4),
        ("grey, a date in colour", True): stamped,
        ("16 bits", True): lambda p, _: grey(p)[..., 0].astype(np.uint16) * 257,
        ("ordinary", False): lambda p, _: p,
        ("a quarter of the colour", False): lambda p, _: saturated(p, 0.25),
        ("fog: 45 % of the contrast", False): lambda p, _: veiled(saturated(p, 0.7), 0.45),
        ("grey but for one thing", False): lambda p, r: mixed(p, grey(p), spot(p, r, 0.08)),
        ("sepia", False): lambda p, _: toned(p),
    },
}


def write_cases(photos: list[Path], folder: Path) -> list[Case]:
    """Write every recipe of every check from these photos, in turn; return what was written.

    A third of the recipes is made of each photo, so that all photos are in all checks.
    """
    cases = []
    for number, path in enumerate(photos):
        photo = np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)).astype(np.uint8)
        colourful = float(np.ptp(photo.astype(int), axis=2).mean()) > 24
        for check, recipes in RECIPES.items():
            for index, ((variant, positive), recipe) in enumerate(recipes.items()):
                if (number + index) % 3 or (check == "grayscale" and not (colourful or positive)):
                    continue
                random = np.random.default_rng([number, index])
                made = recipe(photo, random)
                deep = made.dtype != np.uint8
                name = folder / f"{check}-{index}-{number}.{'png' if deep else 'jpg'}"
                quality = (92, 85, 75)[number // 3 % 3]
                ok = cv2.imwrite(
                    str(name),
                    np.ascontiguousarray(made[..., ::-1] if made.ndim == 3 else made),
                    [] if deep else [cv2.IMWRITE_JPEG_QUALITY, quality],
                )
                assert ok
                cases.append(Case(str(name), check, variant, positive))
    return cases
