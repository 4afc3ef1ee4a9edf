"""Fit the saliency map's logistic weights on photos with object masks.

Each photo is used as it is, cropped, and with its object cut out and pasted back smaller, elsewhere
and up to three times, so that small objects and several of them are learnt from as well; every
picture again mirrored and in other colours. Needs scikit-learn::

    python saliency.py images/ masks/ saliency.npz

``images/a.jpg`` goes with ``masks/a.png``, objects white; ``SOURCES.csv`` beside the two folders
has the columns ``image, source, licence``. The weights get a card, with figures cross-validated by
photo.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from cards import libraries
from dataset import balanced_accuracy, folds
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from qualipy_core import Image, metrics, training
from qualipy_filters_builtin.saliency import GRID, SALIENCY_SIDE, saliency_cells, terms

# copies of the object, and the bounds of each one's share of the area
PASTES = (
    (1, 0.005, 0.05),
    (1, 0.01, 0.06),
    (1, 0.02, 0.1),
    (1, 0.05, 0.2),
    (2, 0.02, 0.06),
    (2, 0.04, 0.12),
    (2, 0.06, 0.14),
    (3, 0.02, 0.06),
)
FILTERS = ("multiple_salient_regions", "object_too_small")

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]


def emptied(pixels: Pixels, mask: Mask) -> NDArray[np.float32]:
    """Return the photo without its object: inpainted coarsely, with texture from the other side."""
    hole = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8))
    coarse = cv2.resize(pixels, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    small_hole = cv2.resize(hole, (coarse.shape[1], coarse.shape[0]))
    filled = cv2.inpaint(coarse, small_hole, 5, cv2.INPAINT_TELEA)
    filled = cv2.resize(filled, (mask.shape[1], mask.shape[0])).astype(np.float32)
    texture = pixels.astype(np.float32) - cv2.GaussianBlur(pixels, (0, 0), 3)
    mirrored = (texture * (hole == 0)[:, :, None])[:, ::-1]
    soft = cv2.GaussianBlur(hole.astype(np.float32), (0, 0), 2)[:, :, None]
    return np.asarray(pixels * (1 - soft) + (filled + mirrored) * soft, dtype=np.float32)


def pasted(
    rng: np.random.Generator, pixels: Pixels, mask: Mask, copies: int, share: float
) -> tuple[Pixels, Mask] | None:
    """Return the photo with its object shrunk, moved and repeated; None when that does not fit."""
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    box = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    canvas, marked = emptied(pixels, mask), np.zeros(mask.shape, np.float32)
    for _ in range(40):
        scale = min(0.9, (share * rng.uniform(0.7, 1.4) * mask.size / len(rows)) ** 0.5)
        cut = cv2.resize(
            pixels[box].astype(np.float32), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
        )
        tall, wide = cut.shape[:2]
        outline = cv2.resize(
            mask[box].astype(np.float32), (wide, tall), interpolation=cv2.INTER_AREA
        )
        if tall >= height - 4 or wide >= width - 4:
            continue
        y = int(np.clip(rng.normal(0.55, 0.18) * height - tall / 2, 2, height - tall - 2))
        x = int(np.clip(rng.normal(0.5, 0.22) * width - wide / 2, 2, width - wide - 2))
        if marked[max(0, y - 6) : y + tall + 6, max(0, x - 6) : x + wide + 6].any():
            continue
        place = np.s_[y : y + tall, x : x + wide]
        canvas[place] += outline[:, :, None] * (cut - canvas[place])
        marked[place] = np.maximum(marked[place], outline)
        copies -= 1
        if copies == 0:
            return np.clip(canvas, 0, 255).astype(np.uint8), marked > 0.5
    return None


def variants(rng: np.random.Generator, pixels: Pixels, mask: Mask) -> list[tuple[Pixels, Mask]]:
    """Return the photo, its pastes and crops; each also mirrored and in other colours."""
    made = [(pixels, mask)]
    for copies, low, high in PASTES:
        paste = pasted(rng, pixels, mask, copies, np.exp(rng.uniform(np.log(low), np.log(high))))
        made += [] if paste is None else [paste]
    for _ in range(2):
        tall, wide = (int(side * rng.uniform(0.6, 0.9)) for side in mask.shape)
        y, x = rng.integers(mask.shape[0] - tall + 1), rng.integers(mask.shape[1] - wide + 1)
        made.append((pixels[y : y + tall, x : x + wide], mask[y : y + tall, x : x + wide]))
    for picture, objects in made[:]:
        hsv = cv2.cvtColor(np.ascontiguousarray(picture[:, ::-1]), cv2.COLOR_RGB2HSV)
        hue, saturation, value = cv2.split(hsv.astype(np.float32))
        hue = (hue + rng.normal(0, 12)) % 180
        saturation = np.clip(saturation * rng.uniform(0.4, 1.2), 0, 255)
        value = np.clip(value * rng.uniform(0.7, 1.15), 0, 255)
        turned = cv2.merge([hue, saturation, value]).astype(np.uint8)
        coloured = np.asarray(cv2.cvtColor(turned, cv2.COLOR_HSV2RGB), dtype=np.uint8)
        made.append((coloured, objects[:, ::-1]))
    return made


def fit(cells: Floats, objects: Mask) -> LogisticRegression:
    """Fit the weights to all cells: drawn from some, they differ enough to flip single photos."""
    return LogisticRegression(C=1.0, max_iter=1000).fit(cells, objects)


def validated(
    cells: Floats, objects: Mask, photo: NDArray[np.int64], plain: Mask
) -> dict[str, Any]:
    """Return how well cells of photos are told whose own photo was not trained on.

    Parameters
    ----------
    cells : ndarray of float32, shape (n, terms)
        What is weighed.
    objects : ndarray of bool, shape (n,)
        Whether a cell shows an object.
    photo : ndarray of int, shape (n,)
        The number of its photo.
    plain : ndarray of bool, shape (n,)
        Whether that photo is as it was taken.
    """
    score = np.zeros(len(cells))
    for held_out in folds([f"{number:03}" for number in photo]):
        model = fit(cells[~held_out], objects[~held_out])
        score[held_out] = model.decision_function(cells[held_out])
    return {
        "folds": 5,
        "of": "cells, 24 by 24 to a picture; photos held out with all that is made of them",
        **{
            name: {
                "balanced_accuracy": round(balanced_accuracy(objects[here], score[here] > 0), 3),
                "roc_auc": round(float(metrics.roc_auc(objects[here], score[here]) or 0), 3),
            }
            for name, here in (("photos", plain), ("made", ~plain))
        },
    }


def card(
    folder: Path, figures: dict[str, Any], pictures: int, masks: list[Mask], weights: int
) -> dict[str, Any]:
    """Return what is to be known about the weights."""
    from qualipy_core import plugins

    with (folder / "SOURCES.csv").open(newline="", encoding="utf-8") as file:
        sources = [
            (row["source"].partition(":")[0], row["licence"]) for row in csv.DictReader(file)
        ]
    distribution, version = plugins.origin(plugins.registry().get(FILTERS[0]))
    objects = sum(int(mask.sum()) for mask in masks)
    return {
        "filter": list(FILTERS),
        "distribution": distribution,
        "version": version,
        "model": f"logistic regression of {weights} terms to each cell",
        "cross_validated": figures,
        "known_failures": [
            "Trained on few photos, most of which show one object, not far from the middle.",
            "What is large and touches the border is taken for background.",
        ],
        "training": {
            "photos": "Photos with masks of their objects, of public collections.",
            "made": "Each photo cropped, and with its object cut out and pasted back smaller, "
            "elsewhere and up to three times; all of that mirrored and in other colours.",
            "counts": {
                "photos": len(sources),
                "pictures": pictures,
                "cells": sum(mask.size for mask in masks),
                "object_cells": objects,
            },
            "collections": {
                name: {"photos": count, "licence": licence}
                for (name, licence), count in sorted(Counter(sources).items())
            },
            "seed": 0,
            "command": "python training/saliency.py images/ masks/ saliency.npz",
            "with": libraries("numpy", "opencv-python", "scikit-learn"),
        },
    }


def main() -> None:
    """Read the photos, fit the weights, write them and their card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path)
    parser.add_argument("masks", type=Path)
    parser.add_argument("model", type=Path)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    measured, shown, photo, plain = [], [], [], []
    for number, path in enumerate(sorted(arguments.images.iterdir())):
        pixels = Image(path).pixels(SALIENCY_SIDE)
        drawn = cv2.imread(str(arguments.masks / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE)
        mask = cv2.resize(np.asarray(drawn), pixels.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        for turn, (picture, objects) in enumerate(variants(rng, pixels, mask > 127)):
            measured.append(terms(saliency_cells(Image(np.ascontiguousarray(picture)))))
            share = cv2.resize(
                objects.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA
            )
            shown.append(share > 0.5)
            photo.append(number)
            plain.append(turn == 0)
    cells = np.concatenate([picture.reshape(len(picture), -1).T for picture in measured])
    marked = np.concatenate([objects.ravel() for objects in shown])
    model = fit(cells, marked)
    np.savez(
        arguments.model,
        weights=model.coef_[0].astype(np.float32),
        bias=model.intercept_.astype(np.float32),
    )
    each = GRID * GRID
    figures = validated(cells, marked, np.repeat(photo, each), np.repeat(plain, each))
    print(figures)
    folder = arguments.images.parent
    training.write_card(
        arguments.model, card(folder, figures, len(shown), shown, len(model.coef_[0]))
    )


if __name__ == "__main__":
    main()
