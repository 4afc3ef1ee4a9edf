"""Train the shipped model of ``whole_blur``, and say how well it does on photos it hasn't seen.

The labelled photos are few and their blurs of three kinds, so every sharp photo is blurred thrice
more, by kernels of eleven kinds, and once spoilt in another way that is no blur: mist, darkness,
noise, hard compression, another size. The recipe is deterministic::

    python training/whole_blur.py path/to/labelled/photos whole_blur.npz

It writes the model with its card, and prints the figures that stand there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from cards import Training, run
from dataset import Pixels, Row, Sample, load
from numpy.typing import NDArray

from qualipy_core import Image
from qualipy_core.models import Model
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.whole_blur import WholeBlur

Floats = NDArray[np.float32]
Random = np.random.Generator
Shape = Callable[[Floats, Floats], NDArray[np.bool_]]

REFERENCE_SIDE = 450  # blurs are given in pixels of a photo of this long side
MILDEST, STRONGEST = 1.4, 6.0  # the sigma of the Gaussian that looks as blurred
C = 0.3
WEIGHTS = {"pattern": 0.02, "real blur": 3.0}  # stripes can't be told from motion along them
SPOILINGS = ("mist", "dark", "noise", "compressed", "enlarged", "reduced")


def gaussian(along: float, across: float, angle: float) -> Floats:
    """Return a Gaussian kernel of two sigmas."""
    radius = int(np.ceil(3.5 * max(along, across)))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return _normal(np.exp(-0.5 * ((u / along) ** 2 + (v / across) ** 2)))


def aperture(radius: float, inside: Shape) -> Floats:
    """Return the kernel of an aperture, from 25 samples a pixel of coordinates / radius."""
    side = 2 * int(np.ceil(radius + 0.5)) + 1
    grid = ((np.arange(side * 5, dtype=np.float32) + 0.5) / 5 - side / 2) / radius
    x, y = np.meshgrid(grid, grid)
    inner = inside(x.astype(np.float32), y.astype(np.float32))
    fine = np.ascontiguousarray(inner, dtype=np.float32)
    return _normal(cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA))


def polygon(blades: int, turn: float) -> Shape:
    """Return the shape of an aperture with straight blades."""
    angles = turn + 2 * np.pi * np.arange(blades) / blades
    reach = np.cos(np.pi / blades)

    def inside(x: Floats, y: Floats) -> NDArray[np.bool_]:
        distance = [x * np.cos(angle) + y * np.sin(angle) for angle in angles]
        return np.asarray(np.max(distance, axis=0) <= reach)

    return inside


def path(steps: NDArray[np.float64]) -> Floats:
    """Return the kernel of a camera that moves by these steps, shape (n, 2), in pixels."""
    points = np.cumsum(steps, axis=0)
    points -= points.mean(axis=0)
    radius = int(np.ceil(np.abs(points).max() + 2))
    edges = np.arange(-radius - 0.5, radius + 1)
    dwell, _, _ = np.histogram2d(points[:, 1], points[:, 0], bins=(edges, edges))
    return _normal(cv2.GaussianBlur(dwell, (0, 0), 0.5))


def arc(length: float, angle: float, turn: float) -> Floats:
    """Return the kernel of a movement along an arc; straight when `turn` is 0."""
    directions = angle + turn * np.linspace(-0.5, 0.5, 600)
    return path(np.stack([np.cos(directions), np.sin(directions)], axis=1) * length / 600)


def shake(length: float, random: Random) -> Floats:
    """Return the kernel of a trembling hand, as spread out as a line of this length."""
    directions = random.uniform(0, 2 * np.pi) + np.cumsum(random.normal(0, 0.06, 600))
    speeds = np.exp(np.cumsum(random.normal(0, 0.08, 600)))
    steps = np.stack([np.cos(directions), np.sin(directions)], axis=1) * speeds[:, None]
    points = np.cumsum(steps, axis=0)
    spread = np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean())
    return path(steps * length / (np.sqrt(12) * spread))


def _kernels() -> dict[str, Callable[[float, Random], Floats]]:
    def angle(r: Random) -> float:
        return float(r.uniform(0, np.pi))

    return {
        "gaussian": lambda s, r: gaussian(s, s, 0.0),
        "oval": lambda s, r: gaussian(1.6 * s, 0.6 * s, angle(r)),
        "disc": lambda s, r: aperture(1.9 * s, lambda x, y: x * x + y * y <= 1),
        "ring": lambda s, r: aperture(1.6 * s, lambda x, y: abs(x * x + y * y - 0.65) <= 0.35),
        "box": lambda s, r: aperture(1.7 * s, lambda x, y: np.maximum(abs(x), abs(y)) <= 1),
        "blades": lambda s, r: aperture(2.0 * s, polygon(int(r.integers(5, 8)), angle(r))),
        "line": lambda s, r: arc(5.5 * s, angle(r), 0.0),
        "arc": lambda s, r: arc(6.0 * s, 2 * angle(r), float(r.uniform(0.5, 2.5))),
        "shake": lambda s, r: shake(6.0 * s, r),
    }


KERNELS = _kernels()
KINDS = (*KERNELS, "enlarged", "shaken defocus")
FAMILIES = (  # kinds that resemble each other are left out together
    {"gaussian", "oval", "gaussian_mild", "gaussian_medium", "gaussian_strong"},
    {"disc", "ring", "box", "blades"},
    {"line", "arc", "shaken defocus"},
    {"shake"},
    {"enlarged"},
)


def blurred(pixels: NDArray[np.generic], kind: str, strength: float, random: Random) -> Floats:
    """Return a photo blurred all over.

    Parameters
    ----------
    pixels : ndarray, shape (H, W, 3)
        The photo, 0 … 255.
    kind : str
        One of `KINDS`.
    strength : float
        0 for a blur that just shows, to 1.
    random : Generator
        Draws directions, shapes and paths.
    """
    height, width = pixels.shape[:2]
    sigma = MILDEST * (STRONGEST / MILDEST) ** strength * max(height, width) / REFERENCE_SIDE
    if kind == "enlarged":
        factor = min(1.9 * sigma, 16.0)
        small = (max(8, round(width / factor)), max(8, round(height / factor)))
        reduced = cv2.resize(pixels.astype(np.float32), small, interpolation=cv2.INTER_AREA)
        how = (cv2.INTER_CUBIC, cv2.INTER_LINEAR, cv2.INTER_LANCZOS4)[int(random.integers(3))]
        return np.asarray(cv2.resize(reduced, (width, height), interpolation=how), np.float32)
    linear = random.random() < 0.4  # as light adds up, rather than as tones do
    if kind == "shaken defocus":
        moved = _convolved(pixels, KERNELS["line"](0.73 * sigma, random), linear)
        return _convolved(moved, KERNELS["gaussian"](0.6 * sigma, random), False)
    return _convolved(pixels, KERNELS[kind](sigma, random), linear)


def spoilt(pixels: Pixels, how: str, random: Random) -> Pixels:
    """Return a photo that is worse, but no more blurred: `how` is one of `SPOILINGS`."""
    photo: NDArray[Any] = pixels.astype(np.float32)
    quality = int(random.integers(70, 95))
    if how == "mist":
        photo = 200 + (photo - 128) * random.uniform(0.3, 0.5)
    elif how == "dark":
        photo = photo * random.uniform(0.2, 0.4)
    elif how == "noise":
        photo = noisy(photo, random.uniform(4, 12), random)
    elif how == "compressed":
        quality = int(random.integers(25, 50))
    elif how == "enlarged":
        factor = random.uniform(1.1, 1.3)
        photo = cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    else:
        factor = random.uniform(0.4, 0.7)
        photo = cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return compressed(photo, quality)


def noisy(photo: NDArray[Any], sigma: float, random: Random) -> Floats:
    """Return a photo with grain of this standard deviation, slightly wider than a pixel."""
    grain = random.normal(0, 1.6 * sigma, photo.shape).astype(np.float32)
    return np.asarray(photo + cv2.GaussianBlur(grain, (0, 0), 0.5), dtype=np.float32)


def compressed(photo: NDArray[np.generic], quality: int) -> Pixels:
    """Return a photo after JPEG compression."""
    pixels = np.clip(np.rint(photo), 0, 255).astype(np.uint8)
    _, code = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR_RGB), dtype=np.uint8)


def rows(root: Path) -> Iterator[Row]:
    """Yield the features of the labelled photos and of what is made of the sharp ones."""
    measure = WholeBlur().features
    labelled = load(root, "whole_blur")
    for sample in labelled:
        features = measure(Image.open(sample.read()))
        yield Row(features, sample.positive, "labelled", sample.variant, sample.group, sample.kind)
    for index, sample in enumerate(_sharp(root, labelled)):
        random = np.random.default_rng([7, index])
        pixels = sample.read()
        for turn in range(3):
            kind = KINDS[(3 * index + turn) % len(KINDS)]
            photo = blurred(pixels, kind, random.random() ** 1.3, random)
            if random.random() < 0.3:
                photo = noisy(photo, random.uniform(1, 5), random)
            if random.random() < 0.15:
                photo = photo * np.float32(random.uniform(0.3, 0.7))
            features = measure(Image.open(compressed(photo, int(random.integers(60, 96)))))
            yield Row(features, True, "made", kind, sample.group)
        how = SPOILINGS[index % len(SPOILINGS)]
        features = measure(Image.open(spoilt(pixels, how, random)))
        yield Row(features, False, "made", how, sample.group)
    for sample in load(root, "pattern"):
        if sample.positive and sample.kind == "real":
            features = measure(Image.open(sample.read()))
            yield Row(features, False, "pattern", sample.variant, sample.group, "real")


def _sharp(root: Path, labelled: list[Sample]) -> list[Sample]:
    """List the photos that are sharp somewhere, each source photo once."""
    others = [sample for sample in load(root, "blurred_context") if sample.kind == "real"]
    taken = {sample.group for sample in labelled}
    fresh = {sample.group: sample for sample in others if sample.group not in taken}
    return [sample for sample in labelled if not sample.positive] + list(fresh.values())


def fit(samples: list[Row]) -> Model:
    """Return a model of these samples."""
    weights = [
        WEIGHTS["real blur"] if row.kind == "real" else WEIGHTS.get(row.source, 1.0)
        for row in samples
    ]
    return Model.fit(
        [row.features for row in samples],
        [row.positive for row in samples],
        kernel="linear",
        C=C,
        sample_weight=weights,
        groups=[row.group for row in samples],
        features=WholeBlur.feature_names,
    )


def accept(model: Model) -> None:
    """Refuse a model in which more blur could lower the prediction."""
    print("weights", dict(zip(WholeBlur.feature_names, model.vectors[0].round(2), strict=True)))
    if (model.vectors < 0).any():
        raise SystemExit("A weight is negative: more blur would lower the prediction.")


TRAINING = Training(
    filter=WholeBlur,
    rows=rows,
    fit=fit,
    families=FAMILIES,
    hidden=lambda row: row.positive,
    made="Every sharp photo blurred in three of eleven ways, from Gaussians to shaking hands, and "
    "spoilt once in a way that is no blur: mist, darkness, noise, compression, another size.",
    unseen="Labelled photos: no labelled blur was in the training. Made ones: neither that, nor "
    "any blur of a similar kind.",
    failures=(
        "Parallel stripes look as if moved along them.",
        "A blur of less than a pixel or so at 512 pixels is not seen.",
        "Real blurs are few in the data.",
    ),
    accept=accept,
)


def _convolved(pixels: NDArray[np.generic], kernel: Floats, linear: bool) -> Floats:
    photo: NDArray[Any] = pixels.astype(np.float32)
    if linear:
        photo = (np.maximum(photo, 0) / 255) ** 2.2
    photo = cv2.filter2D(photo, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
    if linear:
        photo = 255 * np.clip(photo, 0, 1) ** (1 / 2.2)
    return np.asarray(photo, dtype=np.float32)


def _normal(kernel: NDArray[np.generic]) -> Floats:
    weights = np.asarray(kernel, dtype=np.float32)
    return np.asarray(weights / weights.sum(), dtype=np.float32)


if __name__ == "__main__":
    run(TRAINING)
