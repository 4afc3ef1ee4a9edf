"""The command that the recipes of trained filters share, and the cards that they write.

A recipe says which photos it measures and how a model is fitted to them. `run` cross-validates,
prints the figures, and writes the model with its card: on which data it was trained, how well it
does on photos and on kinds of photos that it has not seen, and where it fails.
"""

from __future__ import annotations

import argparse
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from dataset import Row, collections, folds
from numpy.typing import NDArray

from qualipy_core import TrainableFilter, metrics, training
from qualipy_core.models import FOLDS, Model
from qualipy_core.opencv import cv2

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Parts = dict[str, Bools]

DIGITS = 3
SHOWN = ("balanced_accuracy", "roc_auc", "recall", "specificity")
PHOTOS = (
    "Labelled photos of public collections, at most 640 pixels on the long side. `photos` counts "
    "source photos, of which there may be several pictures."
)


@dataclass(frozen=True)
class Training:
    """What is special about a filter's training."""

    filter: type[TrainableFilter]
    rows: Callable[[Path], Iterable[Row]]
    fit: Callable[[list[Row]], Model]
    families: Sequence[Iterable[str]]  #: kinds of made photos that resemble each other
    hidden: Callable[[Row], bool]  #: labelled photos that stay unseen together with a family
    made: str  #: what the recipe makes of photos
    unseen: str  #: what was left out of the training for the figures on unseen kinds
    failures: tuple[str, ...]
    seed: str = "fixed in the recipe"
    unseen_folds: int = FOLDS
    accept: Callable[[Model], None] = lambda _: None  #: raises for a model not fit to be used


def run(recipe: Training) -> None:
    """Train, cross-validate, and write the model with its card, as the command line says."""
    name = recipe.filter.name
    parser = argparse.ArgumentParser(description=f"Train the shipped model of {name}.")
    parser.add_argument("photos", type=Path, help="the folder of labelled photos")
    parser.add_argument("model", type=Path, help="the model file to write; its card goes beside it")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    samples = list(recipe.rows(options.photos))
    model = recipe.fit(samples)
    recipe.accept(model)
    model.save(options.model)
    print(f"{len(samples)} samples, {len(model.coefficients)} vectors", flush=True)
    card = described(recipe, options.photos, samples, options.model)
    training.write_card(options.model, card)
    show(card)


def described(recipe: Training, root: Path, samples: list[Row], model: Path) -> dict[str, Any]:
    """Return the card of a model: everything but its checksum, which is added in writing."""
    item = recipe.filter(svm_file=str(model))
    labelled = np.array([row.labelled for row in samples])
    positive = np.array([row.positive for row in samples])
    groups = np.array([row.group for row in samples])
    seen, unseen = judged(recipe, samples)
    own = [row for row in samples if row.labelled]
    card = training.card(item, positive[labelled], seen[labelled], list(groups[labelled]))
    card["cross_validated"]["parts"] = parts(own, seen[labelled])
    card["unseen_kinds"] = {
        "how": recipe.unseen,
        "labelled": {"all": figures(own, unseen[labelled]), **parts(own, unseen[labelled])},
        **other_figures(samples, unseen),
    }
    figured: dict[str, Any] = rounded(card)
    return figured | {
        "known_failures": list(recipe.failures),
        "training": {
            "photos": PHOTOS,
            "made": recipe.made,
            "counts": counts(samples),
            "collections": collections(root, groups),
            "seed": recipe.seed,
            "command": f"python training/{recipe.filter.name}.py FOLDER {recipe.filter.model_file}",
            "with": libraries("numpy", "opencv-python", "scikit-learn"),
        },
    }


def judged(recipe: Training, samples: list[Row]) -> tuple[Floats, Floats]:
    """Return probabilities by models that have not seen a photo's group, or not even its kind.

    Returns
    -------
    seen, unseen : ndarray of float64, shape (n,)
        Of models that saw all the other groups; and of models that saw no hidden labelled photo
        and, for a made one, none of its family. Unseen equals seen for what belongs to neither.
    """
    features = np.array([row.features for row in samples])
    kind = np.array([row.kind for row in samples])
    groups = [row.group for row in samples]
    labelled = np.array([row.labelled for row in samples])
    hidden = np.array([row.labelled and recipe.hidden(row) for row in samples])
    seen = np.zeros(len(samples))

    def judge(train: Bools, test: Bools) -> Floats:
        model = recipe.fit([samples[index] for index in np.flatnonzero(train)])
        return model.probability(features[test])

    for held_out in folds(groups, FOLDS):
        seen[held_out] = judge(~held_out, held_out)
    unseen = seen.copy()
    for held_out in folds(groups, FOLDS):
        unseen[held_out & labelled] = judge(~held_out & ~hidden, held_out & labelled)
    for held_out in folds(groups, recipe.unseen_folds):
        for family in recipe.families:
            alike = np.isin(kind, list(family))
            test = held_out & alike & ~labelled
            if test.any():
                unseen[test] = judge(~held_out & ~hidden & ~alike, test)
    return seen, unseen


def parts(samples: list[Row], probability: Floats) -> dict[str, Any]:
    """Return the figures of real and synthetic photos, and of traps and other negatives."""
    chosen = {
        "real": np.array([row.origin == "real" for row in samples]),
        "synthetic": np.array([row.origin == "synthetic" for row in samples]),
        "traps": np.array([row.trap for row in samples]),
        "ordinary": np.array([not row.trap and not row.positive for row in samples]),
    }
    return {
        name: figures([samples[index] for index in np.flatnonzero(here)], probability[here])
        for name, here in chosen.items()
        if here.any()
    }


def figures(samples: list[Row], probability: Floats) -> dict[str, Any]:
    """Return how many photos there are, and what can be told of them, with intervals."""
    positive = [row.positive for row in samples]
    found = metrics.figures(
        positive, probability > 0.5, probability, [row.group for row in samples]
    )
    told = {name: figure._asdict() for name in SHOWN if (figure := found[name]) is not None}
    return {"positives": sum(positive), "negatives": len(positive) - sum(positive), **told}


def other_figures(samples: list[Row], unseen: Floats) -> dict[str, Any]:
    """Return the figures of what is not labelled, and by kind the shares judged rightly."""
    here = np.array([not row.labelled for row in samples])
    others = [row for row in samples if not row.labelled]
    right = (unseen[here] > 0.5) == np.array([row.positive for row in others])
    kinds: dict[str, dict[str, Any]] = {"found": {}, "passed": {}}
    names = [("found" if row.positive else "passed", row.source, row.kind) for row in others]
    for what, source, kind in sorted(set(names)):
        alike = np.array([name == (what, source, kind) for name in names])
        title = kind if source in ("made", kind) else f"{source}: {kind}"
        kinds[what][title] = {"value": float(right[alike].mean()), "of": int(alike.sum())}
    return {"others": {"all": figures(others, unseen[here]), **kinds}}


def counts(samples: Iterable[Row]) -> dict[str, dict[str, int]]:
    """Return how many samples of each label are real, synthetic and made by the recipe."""
    number = Counter(("negative", "positive")[row.positive] + " " + row.origin for row in samples)
    return {
        label: {
            origin: number[f"{label} {origin}"]
            for origin in ("real", "synthetic", "made")
            if number[f"{label} {origin}"]
        }
        for label in ("positive", "negative")
    }


def libraries(*names: str) -> dict[str, str]:
    """Return the versions of Python and of libraries, on which the last digits may depend."""
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def rounded(value: Any) -> Any:
    """Return figures rounded to what they can tell."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return round(value, DIGITS) if isinstance(value, float) else value


def show(card: dict[str, Any]) -> None:
    """Print the figures of a card."""
    unseen = card["unseen_kinds"]
    rows = {"labelled": card["cross_validated"], **card["cross_validated"]["parts"]}
    rows |= {f"unseen kinds: {key}": unseen["labelled"][key] for key in unseen["labelled"]}
    rows["unseen kinds: others"] = unseen["others"]["all"]
    for title, found in rows.items():
        told = [f"{name} {found[name]['value']:.3f}" for name in SHOWN if found.get(name)]
        print(f"{title:24} {', '.join(told)}")
    for what in ("found", "passed"):
        for kind, share in unseen["others"][what].items():
            print(f"  {what} {share['value']:.2f} of {share['of']:4} {kind}")
