"""Ordinary photos, to make positives and negatives of, and the validation of what is made.

The labelled photos of all filters serve: a real photo that is a negative of any is ordinary for
all whose positives are made by processing, unless it is labelled for the filter itself.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from dataset import Pixels, Row, Sample, balanced_accuracy, folds, load
from numpy.typing import NDArray

from qualipy_core.models import Model
from qualipy_core.opencv import cv2

Photo = NDArray[np.float32]
"""RGB in [0, 1], shape (H, W, 3)."""
Recipe = Callable[[Photo, np.random.Generator], Photo]

# Real positives of these classes are ordinary, too …
ORDINARY = ("blurred_context", "highlights", "multiple_salient_regions", "object_too_small",
            "text_detection")  # fmt: skip
# … and those of these are odd in their own way: negatives, but nothing to make positives of.
ODD = ("exposure", "pattern", "framed", "whole_blur", "fisheye")


def ordinary_photos(root: Path, name: str) -> list[Sample]:
    """Return ordinary photos that are not labelled for the filter `name`, each source once."""
    with (root / "manifest.csv").open(newline="", encoding="utf-8") as file:
        classes = sorted({line["class"] for line in csv.DictReader(file)} - {name})
    found: dict[str, Sample] = {}
    for other in classes:
        samples = load(root, other)
        found = _one_of_each_group(samples, positive=False) | found
        if other in ORDINARY:
            found = _one_of_each_group(samples, positive=True) | found
    return [found[group] for group in sorted(found)]


def odd_photos(root: Path) -> Iterator[tuple[str, Sample]]:
    """Yield the classes and photos that are odd in their own way."""
    for name in ODD:
        for sample in _one_of_each_group(load(root, name), positive=True).values():
            yield name, sample


def _one_of_each_group(samples: list[Sample], positive: bool) -> dict[str, Sample]:
    chosen = [s for s in samples if s.kind == "real" and s.positive == positive]
    return {sample.group: sample for sample in reversed(chosen) if "graphic" not in sample.variant}


def developed(photo: Photo, recipe: Recipe, random: np.random.Generator) -> Pixels:
    """Return what a recipe makes of a photo, sometimes reduced, as JPEG leaves it."""
    made = np.clip(np.nan_to_num(recipe(photo, random)), 0, 1)
    pixels = np.rint(made * 255).astype(np.uint8)
    if random.random() < 0.5:
        scale = random.uniform(0.7, 1)
        reduced = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        pixels = np.asarray(reduced, dtype=np.uint8)
    quality = int(random.integers(78, 94))
    code = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR_RGB), dtype=np.uint8)


def validate(samples: list[Row], fit: Callable[[list[Row]], Model], recipes: list[str]) -> None:
    """Print the accuracies at 0.5 on held-out groups, recipes seen and unseen.

    Parameters
    ----------
    samples : list of Row
        All that there is.
    fit : callable
        Makes a model of some of them.
    recipes : list of str
        The kinds of made positives. Each is judged by a model that did not see it, and the
        labelled photos by one that saw no labelled photo.
    """
    features = np.array([row.features for row in samples])
    positive = np.array([row.positive for row in samples])
    source = np.array([row.source for row in samples])
    kind = np.array([row.kind for row in samples])
    labelled = source == "labelled"
    seen, unseen = np.zeros(len(samples), dtype=bool), np.zeros(len(samples), dtype=bool)

    def flags(train: NDArray[np.bool_], test: NDArray[np.bool_]) -> NDArray[np.bool_]:
        model = fit([samples[index] for index in np.flatnonzero(train)])
        return np.asarray(model.probability(features[test]) > 0.5)

    for held_out in folds([row.group for row in samples], 4):
        seen[held_out] = flags(~held_out, held_out)
        unseen[held_out & ~labelled] = seen[held_out & ~labelled]
        unseen[held_out & labelled] = flags(~held_out & ~labelled, held_out & labelled)
    for held_out in folds([row.group for row in samples], 2):
        for recipe in recipes:
            alike = kind == recipe
            unseen[held_out & alike] = flags(~held_out & ~alike, held_out & alike)
    for title, here in (
        ("labelled", labelled),
        ("ordinary and made", np.isin(source, ["ordinary", "made"])),
    ):
        accuracies = [
            balanced_accuracy(positive[here], flagged[here]) for flagged in (seen, unseen)
        ]
        print(f"{title}: recipes seen {accuracies[0]:.3f}, unseen {accuracies[1]:.3f}")
    for key in sorted({(row.source, row.positive, row.kind) for row in samples}):
        here = (source == key[0]) & (positive == key[1]) & (kind == key[2])
        right = (unseen == positive)[here].mean()
        print(f"  {key[0]:9} {'-+'[key[1]]} {key[2]:28} {right:.2f} of {here.sum()}", flush=True)
