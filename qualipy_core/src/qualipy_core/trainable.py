"""Filters with a trained model: `TrainableFilter`.

An author writes what is measured, `features`; a model makes one probability of it. The shipped
model lies beside the filter's module, in ``models/``; a user's own is the parameter `svm_file`.
"""

from __future__ import annotations

import dataclasses
import os
from abc import abstractmethod
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from qualipy_core.errors import ModelError, ModelTypeError, ParameterValueError, TrainingError
from qualipy_core.filter import Filter
from qualipy_core.models import Kernel, Model
from qualipy_core.parameters import LocalPath

if TYPE_CHECKING:
    from qualipy_core.image import Image, ImageSource


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

    @property
    def model(self) -> Model:
        """The model in use: trained, loaded from `svm_file`, or shipped."""
        own: Model | None = getattr(self, "_own_model", None)
        return own if own is not None else _shipped(type(self))

    def train(
        self,
        images: Iterable[ImageSource | Image],
        labels: Iterable[object],
        save_path: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Return a filter of the same parameters with a model trained on labelled images.

        Parameters
        ----------
        images : iterable of images
            As `predict` takes them.
        labels : iterable
            One per image: true or 1 for positive; false, 0 or -1 for negative.
        save_path : str or path, optional
            Where to write the model; the filter returned then has it as its `svm_file`.

        Raises
        ------
        TrainingError
            (ValueError) Too few images of a kind, or not one label per image.
        ImageReadError
            (OSError) An image cannot be read.
        MissingLibraryError
            scikit-learn is not installed; predicting does not need it.
        """
        from qualipy_core.image import Image

        pictures, marks = list(images), [_label(label) for label in labels]
        if len(pictures) != len(marks):
            raise TrainingError(
                f"There are {len(pictures)} images and {len(marks)} labels; give each image one."
            )
        rows = [self.features(Image.open(picture)) for picture in pictures]
        table = np.array(rows, dtype=np.float64).reshape(len(rows), len(self.feature_names))
        model = Model.fit(table, marks, kernel=self.kernel, features=self.feature_names)
        trained = dataclasses.replace(self, svm_file=None)
        object.__setattr__(trained, "_own_model", model)
        return trained if save_path is None else trained.save(save_path)

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
        if len(model.mean) != len(self.feature_names) or (
            model.features and model.features != self.feature_names
        ):
            raise ModelError(
                f"{self.svm_file} is no model for {self.name}: it was trained on other features.",
                path=str(self.svm_file),
            )
        return model


@cache
def _shipped(cls: type[TrainableFilter]) -> Model:
    package = cls.__module__.rpartition(".")[0] or cls.__module__
    with resources.as_file(resources.files(package) / "models" / cls.model_file) as path:
        return Model.load(path)


def _label(label: object) -> bool:
    if label in (1, True):
        return True
    if label in (0, -1, False):
        return False
    raise TrainingError(
        f"A label is true, false, 1, 0 or -1, not {label!r}: positive images have the property."
    )
