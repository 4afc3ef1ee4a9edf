"""From labelled images to a trained filter: features, cross-validation, the model's card.

`TrainableFilter.train` and ``qualipy train`` are made of this.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qualipy_core import metrics, plugins
from qualipy_core.filter import Filter
from qualipy_core.models import FOLDS, held_out_probabilities
from qualipy_core.plan import Plan, Task

if TYPE_CHECKING:
    from qualipy_core.image import Image
    from qualipy_core.result import Result
    from qualipy_core.trainable import TrainableFilter

Floats = NDArray[np.float64]

CARD_SUFFIX = ".json"


def scan_features(
    item: TrainableFilter, images: Iterable[Any], *, jobs: int = 1
) -> Iterator[Result]:
    """Measure the features of images and yield a result for each, in order.

    One bad file, or one on which the filter fails, never stops a run: its error is in its result.

    Parameters
    ----------
    item : TrainableFilter
        Whose features.
    images : iterable of images
        As `qualipy_core.scan` takes them.
    jobs : int
        Worker processes; 1 measures in this thread, 0 takes one per core.

    Yields
    ------
    Result
        Its predictions are the features by name; `row` reads them.
    """
    from qualipy_core.executors import Processes, ThisThread, available_cores

    steps = tuple((name, _Feature.of(item, place)) for place, name in enumerate(item.feature_names))
    jobs = jobs or available_cores()
    executor = ThisThread() if jobs == 1 else Processes(jobs)
    yield from executor.run(map(Task, images), Plan(steps))


def row(result: Result) -> Floats:
    """Return the features that a result of `scan_features` carries, shape (features,).

    Raises
    ------
    QualipyError
        What was wrong with the image.
    """
    result.raise_error()
    return np.array(list(result.predictions.values()), dtype=np.float64)


def cross_validated(
    item: TrainableFilter,
    features: ArrayLike,
    positive: ArrayLike,
    groups: Sequence[object] | None = None,
) -> Floats:
    """Return what models of a filter's kind say about images that they have not seen.

    Parameters
    ----------
    item : TrainableFilter
        The filter.
    features : array_like of float, shape (n, features)
        Its features.
    positive : array_like of bool, shape (n,)
        Labels.
    groups : sequence, length n, optional
        Images with equal entries, such as variants of one picture, are held out together.

    Returns
    -------
    ndarray of float64, shape (n,)
        Probabilities: each fifth is judged by a model that was trained on the others.

    Raises
    ------
    TrainingError
        Too few images, or groups, of a kind.
    MissingLibraryError
        scikit-learn is not installed.
    """
    members = None if groups is None else np.asarray(groups)
    return held_out_probabilities(features, positive, kernel=item.kernel, groups=members)


def card(
    item: TrainableFilter,
    positive: ArrayLike,
    held_out: ArrayLike,
    groups: Sequence[object] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Return what is to be known about a model, as JSON types.

    Parameters
    ----------
    item : TrainableFilter
        The trained filter.
    positive : array_like of bool, shape (n,)
        The labels that it was trained on.
    held_out : array_like of float, shape (n,)
        What `cross_validated` returned.
    groups : sequence, length n, optional
        The groups.
    **more
        Whatever else should stand there: where the images are from, known failures.

    Returns
    -------
    dict
        The filter and its version, the features and the kernel, the numbers of images and groups,
        and the cross-validated figures with their intervals.
    """
    from qualipy_core import __version__

    label, probability = np.asarray(positive, dtype=bool), np.asarray(held_out, dtype=np.float64)
    decisions = [item.decision(float(value)) for value in probability]
    figures = metrics.figures(label, decisions, probability, groups)
    distribution, version = plugins.origin(type(item))
    model = item.model
    return {
        "filter": item.name,
        "distribution": distribution,
        "version": version,
        "qualipy_core": __version__,
        "kernel": model.kernel,
        "vectors": len(model.coefficients),
        "features": list(item.feature_names),
        "positives": int(label.sum()),
        "negatives": int((~label).sum()),
        "groups": None if groups is None else len(set(groups)),
        "cross_validated": {
            "folds": FOLDS,
            "threshold": item.threshold,
            **{name: figure and figure._asdict() for name, figure in figures.items()},
        },
        **more,
    }


def card_path(model: str | os.PathLike[str]) -> Path:
    """Return where the card of a model lies: beside it, ``.json`` instead of its suffix."""
    return Path(model).with_suffix(CARD_SUFFIX)


def write_card(
    model: str | os.PathLike[str],
    content: dict[str, Any],
    *,
    saved: str | os.PathLike[str] | None = None,
) -> Path:
    """Write the card of a model beside it, and return its path; one that is there is replaced.

    Parameters
    ----------
    model : str or path
        Where the model lies.
    content : dict
        What `card` returned. The checksum of the model's file is added, as ``sha256``.
    saved : str or path, optional
        Where that file is now, if it is yet to be put in its place.
    """
    path = card_path(model)
    whole = {**content, "sha256": _checksum(Path(saved or model).read_bytes())}
    text = json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False)
    # What holds no other object takes one line: a figure and its interval are read together.
    text = re.sub(r"\{[^{}]*\}", lambda flat: re.sub(r"\n\s*", " ", flat[0]), text)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def read_card(model: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Return the card that lies beside a model; ``None`` if none does, or if it is another's."""
    try:
        return parsed_card(card_path(model).read_bytes(), Path(model).read_bytes())
    except OSError:
        return None


def parsed_card(card: bytes, model: bytes) -> dict[str, Any] | None:
    """Return what a card's file says; ``None`` if it is none, or not of this model's file."""
    try:
        content = json.loads(card)
    except ValueError:
        return None
    own = isinstance(content, dict) and content.get("sha256") == _checksum(model)
    return content if own else None


def _checksum(model: bytes) -> str:
    return hashlib.sha256(model).hexdigest()


class _Feature(Filter):
    """One feature of a trainable filter, so that features travel the way that predictions do."""

    name = "feature"

    @classmethod
    def of(cls, item: TrainableFilter, place: int) -> _Feature:
        made = cls()
        object.__setattr__(made, "_item", item)
        object.__setattr__(made, "_place", place)
        return made

    def measure(self, image: Image) -> float:
        item, place = self._state()
        return float(item.feature_vector(image)[place])

    def _state(self) -> tuple[TrainableFilter, int]:
        values = vars(self)
        return values["_item"], values["_place"]
