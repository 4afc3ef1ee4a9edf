"""Filters with a trained model: `TrainableFilter`.

An author writes what is measured, `features`; a model makes one probability of it. The shipped
model lies beside the filter's module, in ``models/``; a user's own is the parameter `svm_file`.
"""

from __future__ import annotations

import dataclasses
import os
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, ClassVar, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qualipy_core.errors import (
    FilterError,
    ModelError,
    ModelTypeError,
    ParameterValueError,
    QualipyError,
    TrainingError,
)
from qualipy_core.filter import Filter
from qualipy_core.models import Kernel, Model, check_counts
from qualipy_core.parameters import LocalPath

if TYPE_CHECKING:
    from qualipy_core.image import Image, ImageSource
    from qualipy_core.result import Result


class TrainableFilter(Filter):
    """A filter whose prediction is a model's probability over measured features.

    A subclass sets `model_file` and `feature_names` and overrides `features`.

    Parameters
    ----------
    svm_file : str, optional
        A model of your own, as `train` and `save` write it; the shipped one, by default.

    Raises
    ------
    ModelTypeError
        (TypeError) `svm_file` is no path.
    ModelError
        (ValueError) There is no such file, it is no model, or it is another filter's.
    """

    model_file: ClassVar[str] = ""
    """The shipped model's file name, in ``models/`` beside the module."""

    feature_names: ClassVar[tuple[str, ...]] = ()
    """What `features` returns, in order."""

    kernel: ClassVar[Kernel] = "rbf"
    """The kernel that `train` uses."""

    svm_file: LocalPath = None

    def __post_init__(self) -> None:
        if self.svm_file is not None and not isinstance(self.svm_file, str | os.PathLike):
            raise ModelTypeError(f"{self.name}: svm_file must be a path, not {self.svm_file!r}.")
        super().__post_init__()
        own = None if self.svm_file is None else self._fitting(Model.load(self.svm_file))
        object.__setattr__(self, "_own_model", own)

    @abstractmethod
    def features(self, image: Image) -> NDArray[np.float64]:
        """Measure what the model judges by.

        Parameters
        ----------
        image : Image
            The picture, or the region of it that was asked for.

        Returns
        -------
        ndarray of float64, shape (len(feature_names),)
            Finite.
        """

    def measure(self, image: Image) -> float:
        """Return the model's probability that the image is positive."""
        return float(self.model.probability(self.features(image)))

    @final
    def feature_vector(self, image: Image) -> NDArray[np.float64]:
        """Return `features`' answer for an image, checked, and computed once per image.

        Raises
        ------
        FilterError
            `features` raised, or returned something else than as many finite numbers as there
            are names.
        """
        key = (type(self), "features", self._values(), self._state())
        outcome = image.derived(key, lambda: self._checked_features(image))
        if isinstance(outcome, FilterError):
            raise outcome
        return outcome

    def _checked_features(self, image: Image) -> NDArray[np.float64] | FilterError:
        try:
            row = np.array(self.features(image), dtype=np.float64)
        except (QualipyError, MemoryError):
            raise
        except (Exception, SystemExit) as error:  # a pack's bug must not end the run
            failure = self.failure(f"failed: {type(error).__name__}: {error}", image)
            failure.__cause__ = error
            return failure
        if row.shape == (len(self.feature_names),) and np.isfinite(row).all():
            return row
        what = f"an array of shape {row.shape}" if np.isfinite(row).all() else f"{row.tolist()}"
        wanted = f"{len(self.feature_names)} finite numbers"
        return self.failure(f"measured {what} and not {wanted}", image)

    @property
    def model(self) -> Model:
        """The model in use: trained, loaded from `svm_file`, or shipped.

        Raises
        ------
        ModelError
            (ValueError) None is shipped.
        """
        own: Model | None = getattr(self, "_own_model", None)
        return own if own is not None else _shipped(type(self))

    @final
    def card(self) -> dict[str, Any] | None:
        """Return what is to be known about the model in use, from the card beside its file.

        Returns
        -------
        dict or None
            JSON types, as `qualipy_core.training.card` describes them; ``None`` if the model is in
            memory alone, has no card, or is not the one that the card is of.
        """
        from qualipy_core import training

        if self.svm_file is not None:
            return training.read_card(self.svm_file)
        package = _package(type(self))
        if self._state() is not None or not (package and self.model_file):
            return None
        folder = resources.files(package) / "models"
        card = folder / training.card_path(self.model_file).name
        try:
            return training.parsed_card(card.read_bytes(), (folder / self.model_file).read_bytes())
        except OSError:
            return None

    def train(
        self,
        images: Iterable[ImageSource | Image],
        labels: Iterable[object],
        save_path: str | os.PathLike[str] | None = None,
        *,
        groups: Iterable[object] | None = None,
        jobs: int = 1,
    ) -> Self:
        """Return a filter of the same parameters with a model trained on labelled images.

        Parameters
        ----------
        images : iterable of images
            As `predict` takes them.
        labels : iterable
            One per image: true or 1 for positive; false, 0 or -1 for negative.
        save_path : str or path, optional
            Where to write the model; the filter returned then has it as its `svm_file`. A card
            with its cross-validated figures is written beside it, as ``.json``.
        groups : iterable, optional
            One per image: those with equal entries, such as variants of one picture, are kept
            together in calibration and cross-validation.
        jobs : int
            Worker processes that measure; 1 measures in this thread, 0 takes one per core.

        Raises
        ------
        TrainingError
            (ValueError) Too few images of a kind, or not one label, or group, per image.
        ImageReadError
            (OSError) An image cannot be read.
        FilterError
            The features of an image cannot be measured.
        MissingLibraryError
            scikit-learn is not installed; predicting does not need it.
        """
        from qualipy_core import training

        pictures, marks = list(images), [_label(label) for label in labels]
        members = None if groups is None else list(groups)
        for what, given in (("labels", marks), ("groups", members)):
            if given is not None and len(pictures) != len(given):
                raise TrainingError(
                    f"There are {len(pictures)} images and {len(given)} {what}; give each image "
                    "one."
                )
        check_counts(sum(marks), len(marks) - sum(marks))
        results = training.scan_features(self, pictures, jobs=jobs)
        table = [_row(result, number, pictures) for number, result in enumerate(results)]
        trained = self.fit(table, marks, members)
        if save_path is None:
            return trained
        held_out = training.cross_validated(self, table, marks, members)
        saved = trained.save(save_path)
        training.write_card(save_path, training.card(trained, marks, held_out, members))
        return saved

    def fit(
        self, features: ArrayLike, positive: ArrayLike, groups: Sequence[object] | None = None
    ) -> Self:
        """Return a filter of the same parameters with a model fitted to features.

        Parameters
        ----------
        features : array_like of float, shape (n, len(feature_names))
            As `features` measures them.
        positive : array_like of bool, shape (n,)
            The labels.
        groups : sequence, length n, optional
            As for `train`.

        Raises
        ------
        TrainingError
            (ValueError) Too few images of a kind.
        MissingLibraryError
            scikit-learn is not installed.
        """
        members = None if groups is None else np.asarray(groups)
        model = Model.fit(
            features, positive, kernel=self.kernel, groups=members, features=self.feature_names
        )
        trained = dataclasses.replace(self, svm_file=None)
        object.__setattr__(trained, "_own_model", model)
        return trained

    def save(self, path: str | os.PathLike[str]) -> Self:
        """Write the model in use to a file.

        Returns
        -------
        TrainableFilter
            With that file as its `svm_file`.
        """
        self.model.save(path)
        return self.load(path)

    def load(self, path: str | os.PathLike[str]) -> Self:
        """Return a filter of the same parameters with a model from a file.

        Parameters
        ----------
        path : str or path
            A file that `save` wrote.

        Raises
        ------
        ModelTypeError, ModelError
            As for `svm_file`.
        """
        return dataclasses.replace(self, svm_file=os.fspath(path))

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some parameters changed; a model in memory goes along."""
        copy = super().replace(**changes)
        if "svm_file" not in changes and self.svm_file is None:
            object.__setattr__(copy, "_own_model", getattr(self, "_own_model", None))
        return copy

    def to_dict(self) -> dict[str, Any]:
        """Return the filter as ``{"name": ..., parameters...}``, ready for JSON.

        Raises
        ------
        ParameterValueError
            Its model is in memory alone; `save` it first.
        """
        if self._state() is not None:
            raise ParameterValueError(
                f"{self.name} has a model in memory alone, which a description cannot carry: "
                "use the filter that its save(path) returns.",
                filter=self.name,
                parameter="svm_file",
            )
        return super().to_dict()

    def _state(self) -> Any:
        # A model in memory is told apart by its identity; a file by its path, a parameter.
        return None if self.svm_file is not None else getattr(self, "_own_model", None)

    def _fitting(self, model: Model) -> Model:
        if not _fits(model, self.feature_names):
            raise ModelError(
                f"{self.svm_file} is no model for {self.name}: it was trained on other features.",
                path=str(self.svm_file),
            )
        return model


def _fits(model: Model, names: tuple[str, ...]) -> bool:
    return len(model.mean) == len(names) and model.features in ((), names)


def _package(cls: type[TrainableFilter]) -> str:
    """The package beside whose modules the shipped models lie."""
    return cls.__module__.rpartition(".")[0]


@cache
def _shipped(cls: type[TrainableFilter]) -> Model:
    package = _package(cls)
    if not (package and cls.model_file):
        raise ModelError(f"{cls.name} ships no model: train one, and give it as svm_file.")
    with resources.as_file(resources.files(package) / "models" / cls.model_file) as path:
        model = Model.load(path)
    if not _fits(model, cls.feature_names):
        raise ModelError(f"The model that {cls.name} ships was trained on other features.")
    return model


def _row(result: Result, number: int, pictures: Sequence[Any]) -> NDArray[np.float64]:
    """The features of an image; the error says which image it is even if that has no path."""
    from qualipy_core.training import row

    try:
        return row(result)
    except QualipyError as error:
        if not isinstance(pictures[number], str | os.PathLike):
            error.message += f" It is number {number + 1} of {len(pictures)} images."
        raise


def _label(label: object) -> bool:
    if label in (1, True):
        return True
    if label in (0, -1, False):
        return False
    raise TrainingError(
        f"A label is true, false, 1, 0 or -1, not {label!r}: positive images have the property."
    )
