"""Train the shipped model of ``fisheye``, and say how well it does on photos it hasn't seen.

The labelled photos are few and their lenses of few kinds, so clean photos are bent twice more, by
lenses of twelve kinds, and spoilt once in a way that is no fisheye: mild distortion, pincushion,
vignette, a ball before a plain ground, a rounded frame, a tilted view. The recipe is
deterministic::

    python training/fisheye.py path/to/labelled/photos fisheye.npz

It writes the model with its card, and prints the figures that stand there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from cards import Training, run
from dataset import Pixels, Row, Sample, load
from numpy.typing import NDArray

from qualipy_core import Image
from qualipy_core.models import Model
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.curvature import bending, edge_arcs
from qualipy_filters_builtin.fisheye import Fisheye

Floats = NDArray[np.float64]
Radial = Callable[[Floats], Floats]
Random = np.random.Generator

C, GAMMA = 3.0, 0.05
LABELLED_WEIGHT = 2.0
WEIGHTS = {"mild": 2.0, "ball": 2.0}  # few, and the likeliest to be taken for a fisheye
FEWEST_ARCS = np.log1p(11)  # what fewer edges nobody can tell a lens by
CLEAN = (  # whose photos are taken as they come from a camera, mostly
    "fisheye",
    "blurred_context",
    "text_detection",
    "highlights",
    "exposure",
    "cross_processed",
    "pattern",
    "hdr",
    "posterized",
    "multiple_salient_regions",
    "object_too_small",
)
POSITIVES_TOO = ("blurred_context", "text_detection", "highlights", "multiple_salient_regions")

# An angle from the optical axis, for a radius in [0, 1] that reaches the angle t at 1: the
# projections of Miyamoto 1964, doi:10.1364/JOSA.54.001060, and Thoby's (f = 1.47, k = 0.713).
PROJECTIONS: dict[str, Callable[[Floats, float], Floats]] = {
    "equidistant": lambda r, t: r * t,
    "equisolid": lambda r, t: 2 * np.arcsin(r * np.sin(t / 2)),
    "stereographic": lambda r, t: 2 * np.arctan(r * np.tan(t / 2)),
    "orthographic": lambda r, t: np.arcsin(r * np.sin(t)),
    "thoby": lambda r, t: np.arcsin(r * np.sin(0.713 * t)) / 0.713,
}
LENSES = (*PROJECTIONS, "division", "polynomial")
BENT = (*LENSES, "off centre", "cropped", "disc", "disc in colour", "wide disc")
STRAIGHT = ("mild", "pincushion", "vignette", "ball", "rounded frame", "tilted")


def lens(kind: str, rng: Random) -> Radial:
    """Return a lens: the radius on a straight photo for a radius on the bent one, both to 1."""
    if kind == "division":
        bend = -rng.uniform(0.35, 0.72)
        return lambda r: r / (1 + bend * r * r) * (1 + bend)
    if kind == "polynomial":
        second, fourth = rng.uniform(0.3, 0.8), rng.uniform(0, 0.5)
        return lambda r: r * (1 + second * r**2 + fourth * r**4) / (1 + second + fourth)
    return _projection(kind, np.radians(rng.uniform(55, 76)))


def bend(
    photo: Pixels,
    radial: Radial,
    *,
    centre: Floats | tuple[float, float] = (0, 0),
    size: tuple[int, int] | None = None,
    radius: float | None = None,
    scale: float = 1.0,
) -> tuple[Pixels, Floats]:
    """Return the photo through a lens, and each pixel's distance from the lens's centre.

    Distances are in units of ``radius`` pixels, half the diagonal by default; ``size`` is the new
    height and width.
    """
    height, width = photo.shape[:2]
    new_height, new_width = size or (height, width)
    unit = radius or np.hypot(new_height, new_width) / 2
    y, x = np.mgrid[:new_height, :new_width].astype(np.float64)
    x = (x - (new_width - 1) / 2) / unit - centre[0]
    y = (y - (new_height - 1) / 2) / unit - centre[1]
    distance = np.hypot(x, y)
    near = np.clip(distance, 1e-3, 1)
    gain = radial(near) / near * np.hypot(height, width) / 2 * scale
    bent = cv2.remap(
        photo,
        (x * gain + (width - 1) / 2).astype(np.float32),
        (y * gain + (height - 1) / 2).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(bent, dtype=np.uint8), distance


def fisheye(kind: str, photo: Pixels, rng: Random) -> Pixels:
    """Return a photo as a fisheye lens would have taken it."""
    if kind in LENSES:
        return bend(photo, lens(kind, rng))[0]
    any_lens = lens(str(rng.choice(LENSES)), rng)
    if kind == "off centre":
        return bend(photo, any_lens, centre=rng.uniform(-0.22, 0.22, 2), scale=0.85)[0]
    if kind == "cropped":
        return _cut(bend(photo, any_lens)[0], rng.uniform(0.72, 0.9), rng)
    return _disc(kind, photo, rng)


def _disc(kind: str, photo: Pixels, rng: Random) -> Pixels:
    """Return the round image of a circular fisheye, in black or in another colour."""
    height, width = photo.shape[:2]
    radial = _projection(str(rng.choice(list(PROJECTIONS))), np.radians(rng.uniform(55, 84)))
    size, half = (height, width), min(height, width) / 2 * rng.uniform(0.75, 1.02)
    if kind == "wide disc":
        half = max(height, width) / 2 * rng.uniform(0.8, 1.02)
    elif rng.random() < 0.4:
        size = (min(height, width), min(height, width))
    centre = rng.uniform(-0.06, 0.06, 2)
    bent, distance = bend(
        photo, radial, centre=centre, size=size, radius=half, scale=rng.uniform(0.65, 1)
    )
    falloff = 1 - rng.uniform(0, 0.6) * np.minimum(distance, 1) ** 6
    soft = 1.5 / half if rng.random() < 0.7 else rng.uniform(0.015, 0.06)
    inside = np.clip((1 - distance) / soft, 0, 1)[..., None]
    surround = np.full(3, rng.integers(0, 22))
    if kind == "disc in colour":
        surround = np.full(3, 255) if rng.random() < 0.5 else rng.integers(0, 256, 3)
    ground = surround + rng.normal(0, rng.choice([0, 2]), bent.shape)
    return _to_pixels(bent * falloff[..., None] * inside + ground * (1 - inside))


def straight(kind: str, photo: Pixels, rng: Random) -> Pixels:
    """Return a photo spoilt in a way that is no fisheye."""
    height, width = photo.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float64)
    if kind in ("mild", "pincushion"):
        amount = -rng.uniform(0.02, 0.11) if kind == "mild" else rng.uniform(0.05, 0.4)
        return bend(photo, lambda r: r / (1 + amount * r * r) * (1 + min(amount, 0)))[0]
    if kind == "vignette":
        stretch = rng.uniform(0.7, 1, 2)
        radius = np.hypot((2 * x / width - 1) * stretch[0], (2 * y / height - 1) * stretch[1])
        dark = rng.uniform(0.5, 1.1) * (radius / 1.3) ** rng.uniform(2, 6)
        return _to_pixels(photo * np.clip(1 - dark, 0, 1)[..., None])
    if kind == "ball":
        radius = min(height, width) * rng.uniform(0.2, 0.42)
        place = rng.uniform(-0.3, 0.3, 2) * (width - 2 * radius, height - 2 * radius)
        x, y = x - width / 2 - place[0], (y - height / 2 - place[1]) / rng.uniform(0.75, 1)
        inside = np.clip(radius - np.hypot(x, y), 0, 1)[..., None]
        light = np.clip(1.2 - 0.6 * np.hypot(x / radius + 0.3, y / radius + 0.3), 0.2, 1)[..., None]
        ball = (0.8 * rng.integers(60, 255, 3) + 0.2 * photo) * light
        ground = 0.4 * cv2.GaussianBlur(photo, (0, 0), 25) + 0.6 * rng.integers(0, 255, 3)
        return _to_pixels(ball * inside + ground * (1 - inside))
    if kind == "rounded frame":
        margin, corner = min(height, width) * rng.uniform((0.02, 0.05), (0.08, 0.2))
        out = np.hypot(
            np.maximum(np.abs(x - width / 2) - width / 2 + margin + corner, 0),
            np.maximum(np.abs(y - height / 2) - height / 2 + margin + corner, 0),
        )
        return np.where(out[..., None] < corner, photo, rng.choice([0, 255])).astype(np.uint8)
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    inward = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * rng.uniform(0, 0.2, (4, 2))
    seen = (corners + inward * (width, height)).astype(np.float32)
    view = cv2.getPerspectiveTransform(seen, corners)
    return np.asarray(cv2.warpPerspective(photo, view, (width, height)), dtype=np.uint8)


def rows(root: Path) -> Iterator[Row]:
    """Yield the labelled photos, and the made ones."""
    measure = Fisheye().features
    for sample in load(root, Fisheye.name):
        features = measure(Image(sample.read()))
        yield Row(features, sample.positive, "labelled", sample.variant, sample.group, sample.kind)
    for number, sample in enumerate(_clean(root)):
        rng = np.random.default_rng([11, number])
        photo = sample.read()
        if min(photo.shape[:2]) < 200:
            continue
        clean = _as_jpeg(photo, rng)
        yield Row(measure(clean), False, "ordinary", "clean", sample.group, "real")
        trap = STRAIGHT[number % len(STRAIGHT)]
        spoilt = _as_jpeg(straight(trap, photo, rng), rng)
        yield Row(measure(spoilt), False, "made", trap, sample.group)
        kinds = [BENT[(2 * number + k) % len(BENT)] for k in (0, 1)]
        for kind in kinds:
            if "disc" in kind or bending(edge_arcs(clean)).support > FEWEST_ARCS:
                bent = measure(_as_jpeg(fisheye(kind, photo, rng), rng))
                yield Row(bent, True, "made", kind, sample.group)


def _clean(root: Path) -> list[Sample]:
    """Return one photo of each group that was neither bent nor made."""
    found: dict[str, Sample] = {}
    for name in CLEAN:
        for sample in load(root, name):
            wanted = sample.kind == "real" and (not sample.positive or name in POSITIVES_TOO)
            if wanted:
                found.setdefault(sample.group, sample)
    return list(found.values())


def fit(samples: list[Row]) -> Model:
    """Fit the model."""
    return Model.fit(
        np.array([row.features for row in samples]),
        np.array([row.positive for row in samples]),
        kernel="rbf",
        C=C,
        gamma=GAMMA,
        sample_weight=np.array([_weight(row) for row in samples]),
        groups=np.array([row.group for row in samples]),
        features=Fisheye.feature_names,
    )


def _weight(row: Row) -> float:
    return LABELLED_WEIGHT if row.labelled else WEIGHTS.get(row.kind, 1.0)


def _projection(kind: str, angle: float) -> Radial:
    project = PROJECTIONS[kind]
    return lambda r: np.tan(np.minimum(project(r, angle), 1.52)) / np.tan(angle)


def _cut(photo: Pixels, share: float, rng: Random) -> Pixels:
    height, width = (int(n * share) for n in photo.shape[:2])
    y, x = (
        int(rng.integers(n - m + 1)) for n, m in zip(photo.shape, (height, width), strict=False)
    )
    return np.asarray(photo[y : y + height, x : x + width], dtype=np.uint8)


def _to_pixels(photo: NDArray[np.generic]) -> Pixels:
    return np.asarray(np.clip(photo, 0, 255), dtype=np.uint8)


def _as_jpeg(photo: Pixels, rng: Random) -> Image:
    scale = rng.uniform(0.75, 1)
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(80, 93))]
    return Image(cv2.imencode(".jpg", small[..., ::-1], quality)[1].tobytes())


TRAINING = Training(
    filter=Fisheye,
    rows=rows,
    fit=fit,
    families=[{kind} for kind in (*BENT, *STRAIGHT)],
    hidden=lambda row: True,
    made="Clean photos bent by two of twelve kinds of lenses, filling the frame or round, and "
    "spoilt once in a way that is no fisheye: mild distortion, pincushion, vignette, a ball, a "
    "rounded frame, a tilted view.",
    unseen="Labelled photos: no labelled photo was in the training. Made ones: neither those, nor "
    "any of the same kind of lens or trap.",
    failures=(
        "Photos without edges, such as portraits, fur or lawns, pass.",
        "A close view of one round thing in the middle may be flagged.",
        "Crops far from the lens's centre are missed one time in five.",
        "Real fisheyes are few in the data.",
    ),
    unseen_folds=3,
)


if __name__ == "__main__":
    run(TRAINING)
