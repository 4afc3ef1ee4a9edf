"""Train the shipped model of ``blurred_context``, and say how well it does on unseen photos.

Beside the labelled photos it learns from four blurred backgrounds made of every photo in focus
(around a salient or random shape, with nine kinds of blur), from photos blurred all over, from
subjects before plain walls, and from photos of both labels spoilt in ways that change nothing of
it. The recipe is deterministic::

    python training/blurred_context.py path/to/labelled/photos blurred_context.npz

It writes the model with its card, and prints the figures that stand there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from cards import Training, run
from dataset import Pixels, Row, Sample, load
from numpy.typing import NDArray
from whole_blur import KERNELS, KINDS, REFERENCE_SIDE, blurred, compressed, noisy

from qualipy_core import Image
from qualipy_core.models import Model
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.blurred_context import BlurredContext
from qualipy_filters_builtin.saliency import saliency_map

Floats = NDArray[np.float32]
Random = np.random.Generator

C = 10.0
GAMMA = 0.1 / len(BlurredContext.feature_names)
WEIGHTS = {
    "labelled": 4.0,
    "made background": 0.5,
    "whole blur": 0.6,
    "wall": 0.7,
    "spoilt": 1.0,
    "pattern": 0.1,
}
# In the scale of `blurred`: Gaussians' sigmas of 0.35 % and 2.8 % of the long side.
MILDEST, STRONGEST = 0.08, 1.51
BACKGROUNDS = (
    "gaussian", "disc", "blades", "ring", "box", "panned", "ground", "focal plane", "depth",
)  # fmt: skip
FAMILIES = (
    {"gaussian", "box"},
    {"disc", "blades", "ring"},
    {"panned"},
    {"ground", "focal plane", "depth"},
)
LOOKS = 4  # backgrounds made of each photo


def background_blurred(pixels: Pixels, kind: str, strength: float, random: Random) -> Floats:
    """Return a photo that is sharp in a subject alone.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (H, W, 3)
        A photo in focus throughout.
    kind : str
        One of `BACKGROUNDS`.
    strength : float
        0 for a blur that just shows as a background's, to 1.
    random : Generator
        Draws shapes and directions.
    """
    height, width = pixels.shape[:2]
    strength = MILDEST + (STRONGEST - MILDEST) * strength
    subject = _subject(pixels, random)
    if kind == "panned":
        length = 5.5 * 6.0**strength * max(height, width) / REFERENCE_SIDE
        flat = np.zeros((1, 3 + int(length)), np.float32) + 1 / (3 + int(length))
        background = np.asarray(cv2.filter2D(pixels.astype(np.float32), -1, flat), np.float32)
    elif kind in KERNELS:
        background = blurred(pixels, kind, strength, random)
    else:
        rows = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height
        down = np.broadcast_to(rows, (height, width))
        if kind == "ground":  # in focus where the subject stands, and less and less above it
            foot = np.flatnonzero(subject.any(axis=1)).max() / height
            depth = np.clip(abs(down - foot) / random.uniform(0.25, 0.5), 0, 1)
        elif kind == "focal plane":  # in focus along a band
            depth = np.clip((abs(down - random.uniform(0.3, 0.8)) - 0.08) / 0.3, 0, 1)
            subject = np.zeros_like(subject)
        else:  # hills and valleys behind the subject
            coarse = random.random((3, 3)).astype(np.float32)
            depth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
            depth = 0.4 + 0.6 * depth
        background = _graded(pixels, depth, strength, random)
    softness = random.uniform(0.6, 2) * max(height, width) / REFERENCE_SIDE
    mask = cv2.GaussianBlur(subject, (0, 0), softness)[..., None]
    return np.asarray(mask * pixels + (1 - mask) * background, dtype=np.float32)


def _subject(pixels: Pixels, random: Random) -> Floats:
    """Draw a subject's mask, 0 or 1: what is salient in the photo, or a blob."""
    height, width = pixels.shape[:2]
    share = random.uniform(0.1, 0.5)
    if random.random() < 0.55:
        saliency = np.asarray(saliency_map(Image.open(pixels)))
        fine = np.asarray(cv2.resize(saliency, (width, height), interpolation=cv2.INTER_CUBIC))
        salient: Floats = (fine > np.quantile(fine, 1 - share)).astype(np.float32)
        if salient.any():
            return salient
    angle = np.linspace(0, 2 * np.pi, 80, endpoint=False)
    radius = np.ones_like(angle)
    for wave in range(1, 7):
        radius += random.normal(0, 0.13 / wave) * np.cos(wave * angle + random.uniform(0, 6.3))
    x = width * (random.uniform(0.3, 0.7) + random.uniform(0.12, 0.38) * radius * np.cos(angle))
    y = height * (random.uniform(0.3, 0.75) + random.uniform(0.18, 0.45) * radius * np.sin(angle))
    mask = np.zeros((height, width), np.float32)
    cv2.fillPoly(mask, [np.stack([x, y], axis=1).astype(np.int32)], (1.0,))
    return mask


def walled(pixels: Pixels, random: Random) -> Floats:
    """Return a photo's subject before a plain wall, unevenly lit, in focus and with a shadow."""
    height, width = pixels.shape[:2]
    scale = max(height, width) / REFERENCE_SIDE
    mask = cv2.GaussianBlur(_subject(pixels, random), (0, 0), random.uniform(0.4, 1.2) * scale)
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    light = 1 + random.uniform(-0.3, 0.3) * x + random.uniform(-0.3, 0.3) * y
    light -= random.uniform(0, 0.35) * (x * x + y * y)
    if random.random() < 0.4:
        moved = np.roll(mask, random.integers(-20, 20, 2), (0, 1))
        shadow = cv2.GaussianBlur(moved, (0, 0), random.uniform(2, 9))
        light *= 1 - random.uniform(0.1, 0.5) * shadow
    colour = random.uniform(20, 245) + random.normal(0, 25, 3)
    plaster = noisy(np.zeros((height, width)), float(random.choice([0.0, 0.6, 2.0])), random)
    wall = colour * light[..., None] + plaster.reshape(height, width, 1)
    return np.asarray(mask[..., None] * pixels + (1 - mask[..., None]) * wall, dtype=np.float32)


def framed_anew(pixels: Pixels, random: Random) -> Pixels:
    """Return a part of a photo, reduced, and sometimes mirrored."""
    if random.random() < 0.5:
        share = random.uniform(0.65, 1)
        height, width = (int(share * side) for side in pixels.shape[:2])
        top = random.integers(0, pixels.shape[0] - height + 1)
        left = random.integers(0, pixels.shape[1] - width + 1)
        pixels = pixels[top : top + height, left : left + width]
    side = random.uniform(380, 512) if random.random() < 0.85 else random.uniform(130, 380)
    scale = side / max(pixels.shape[:2])
    if scale < 1:
        size = (max(16, round(pixels.shape[1] * scale)), max(16, round(pixels.shape[0] * scale)))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.ascontiguousarray(pixels[:, ::-1] if random.random() < 0.5 else pixels)


def _graded(pixels: Pixels, depth: Floats, strength: float, random: Random) -> Floats:
    """Blur places by their depth, 0 … 1: blend photos blurred more and more."""
    steps = 4
    result = np.zeros(pixels.shape, np.float32)
    for step in range(steps + 1):
        weight = np.clip(1 - abs(depth * steps - step), 0, 1)[..., None]
        if step == 0:
            result += weight * pixels
        else:  # the strength is a logarithm of the size
            size = strength + np.log(step / steps) / np.log(6.0 / 1.4)
            result += weight * blurred(pixels, "disc", size, random)
    return result


def spoilt(photo: NDArray[np.generic], random: Random) -> Pixels:
    """Return a photo that is worse, or just compressed, but has the same label."""
    result = np.asarray(photo, dtype=np.float32)
    how, quality = int(random.integers(10)), int(random.integers(74, 95))
    if how == 0:
        result = 200 + (result - 128) * np.float32(random.uniform(0.35, 0.6))
    elif how == 1:
        result = result * np.float32(random.uniform(0.25, 0.6))
    elif how == 2:
        result = noisy(result, random.uniform(1, 6), random)
    elif how == 3:
        quality = int(random.integers(35, 65))
    elif how == 4:
        soft = cv2.GaussianBlur(result, (0, 0), random.uniform(0.6, 1.2))
        result = result + (result - soft) * np.float32(random.uniform(0.4, 1.5))
    elif how == 5:
        result = 128 + (result - 128) * np.float32(random.uniform(1.1, 1.5))
    return compressed(result, quality)


def rows(root: Path) -> Iterator[Row]:
    """Yield the features of the labelled photos and of what is made of them."""
    measure = BlurredContext().features

    def row(
        photo: Pixels, positive: bool, source: str, kind: str, group: str, origin: str = "made"
    ) -> Row:
        return Row(measure(Image.open(photo)), positive, source, kind, group, origin)

    labelled = load(root, "blurred_context")
    for sample in labelled:
        variant, group = sample.variant, sample.group
        yield row(sample.read(), sample.positive, "labelled", variant, group, sample.kind)
    whole = load(root, "whole_blur")
    known = {sample.group for sample in labelled}
    for index, sample in enumerate(_in_focus(labelled, whole)):
        random = np.random.default_rng([11, index])
        pixels, group = sample.read(), sample.group
        if group not in known:
            yield row(pixels, False, "spoilt", "sharp", group, "real")
        for _ in range(2):
            photo = framed_anew(pixels, random)
            yield row(spoilt(photo, random), False, "spoilt", "sharp", group)
        for turn in range(LOOKS):
            kind = BACKGROUNDS[(LOOKS * index + turn) % len(BACKGROUNDS)]
            seen = framed_anew(pixels, random)
            made = background_blurred(seen, kind, random.random(), random)
            yield row(spoilt(made, random), True, "made background", kind, group)
        for turn in range(2):
            kind = KINDS[(2 * index + turn) % len(KINDS)]
            made = blurred(framed_anew(pixels, random), kind, random.uniform(-0.1, 0.9), random)
            yield row(spoilt(made, random), False, "whole blur", kind, group)
        if index % 2 == 0:
            made = walled(framed_anew(pixels, random), random)
            yield row(spoilt(made, random), False, "wall", "wall", group)
    for index, sample in enumerate(s for s in labelled if s.positive and s.kind == "real"):
        random = np.random.default_rng([12, index])
        pixels, group = sample.read(), sample.group
        for _ in range(3):
            photo = framed_anew(pixels, random)
            yield row(spoilt(photo, random), True, "spoilt", "blurred background", group)
        for turn in range(2):
            kind = KINDS[(2 * index + turn) % len(KINDS)]
            made = blurred(framed_anew(pixels, random), kind, random.uniform(0.15, 1), random)
            yield row(spoilt(made, random), False, "whole blur", kind, group)
    for sample in whole:
        if sample.positive and sample.group not in known:
            variant, group = sample.variant, sample.group
            yield row(sample.read(), False, "whole blur", variant, group, sample.kind)
    for sample in load(root, "pattern"):
        if sample.positive and sample.kind == "real":
            yield row(sample.read(), False, "pattern", sample.variant, sample.group, "real")


def _in_focus(labelled: list[Sample], whole: list[Sample]) -> list[Sample]:
    """List the photos that are sharp throughout, each source photo once."""
    known = {sample.group for sample in labelled}
    candidates = [s for s in labelled if not s.positive and s.kind == "real"]
    candidates += [
        s for s in whole if s.variant in ("clean", "real_sharp_pair") and s.group not in known
    ]
    return list({sample.group: sample for sample in candidates}.values())


def fit(samples: list[Row]) -> Model:
    """Return a model of these samples; both labels weigh the same, so 0.5 means even odds."""
    positive = np.array([row.positive for row in samples])
    weights = np.array([WEIGHTS[row.source] for row in samples])
    for label in (positive, ~positive):
        weights[label] /= weights[label].mean()
    return Model.fit(
        [row.features for row in samples],
        positive,
        kernel="rbf",
        C=C,
        gamma=GAMMA,
        sample_weight=weights,
        groups=[row.group for row in samples],
        features=BlurredContext.feature_names,
    )


TRAINING = Training(
    filter=BlurredContext,
    rows=rows,
    fit=fit,
    families=FAMILIES,
    hidden=lambda row: row.origin == "synthetic",
    made="Every photo in focus with four blurred backgrounds, around a salient or random subject, "
    "of nine kinds; photos blurred all over; subjects before plain walls; photos of both labels "
    "cropped, reduced and spoilt in ways that change nothing of the label.",
    unseen="Labelled photos: no labelled artificial photo was in the training. Made ones: neither "
    "those, nor any blur of a similar kind.",
    failures=(
        "Slight blurs, close-ups that fill the frame, photos of less than 150 pixels are missed.",
        "Sharp subjects before plain walls and backgrounds just not in focus are flagged at times.",
    ),
)


if __name__ == "__main__":
    run(TRAINING)
