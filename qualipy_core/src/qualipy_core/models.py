"""Small trained models as plain data: standardisation, a kernel machine, calibration.

A `Model` turns a vector of features into the probability that an image is positive. It is a
support vector machine (Cortes & Vapnik 1995, doi:10.1007/BF00994018) with a linear or a Gaussian
kernel, calibrated by Platt's sigmoid (Platt 1999, "Probabilistic outputs for support vector
machines") on decision values of held-out folds, both classes weighing the same: 0.5 means even
odds. Predicting needs NumPy alone; fitting needs scikit-learn.
"""

from __future__ import annotations

import os
import stat
import zipfile
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qualipy_core.errors import (
    MissingLibraryError,
    ModelError,
    ModelTypeError,
    TrainingError,
)
from qualipy_core.metrics import folds

FORMAT = "qualipy-model"
VERSION = 1
FEWEST_OF_A_KIND = 5  # so that every fold of the calibration holds one
_LARGEST_FILE = 16 << 20
FOLDS = 5  # of calibration, and of cross-validation
_SINGLE = ("vectors", "coefficients")  # kept in single precision: nearly all of a file's bytes

Kernel = Literal["linear", "rbf"]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Model:
    """A calibrated kernel machine.

    Attributes
    ----------
    kernel : {"linear", "rbf"}
        ``x · v`` or ``exp(-gamma |x - v|²)``, on standardised features.
    mean, scale : ndarray, shape (features,)
        A feature is standardised as ``(x - mean) / scale``.
    vectors : ndarray, shape (vectors, features)
        Support vectors, standardised; a linear model has one, its weights.
    coefficients : ndarray, shape (vectors,)
        What each vector's kernel value is multiplied with.
    intercept, gamma : float
        The decision value's offset; the Gaussian's width.
    slope, offset : float
        The probability is ``1 / (1 + exp(-(slope · decision + offset)))``.
    features : tuple of str
        What the features are called, in order.
    """

    kernel: Kernel
    mean: Floats
    scale: Floats
    vectors: Floats
    coefficients: Floats
    intercept: float
    gamma: float
    slope: float
    offset: float
    features: tuple[str, ...]

    def decision(self, x: ArrayLike) -> Floats:
        """Return the decision value of feature vectors: positive for positive images.

        Parameters
        ----------
        x : array_like, shape (features,) or (n, features)
            Not standardised.

        Returns
        -------
        ndarray of float64, shape () or (n,)
            Unbounded.
        """
        standard = (np.asarray(x, dtype=np.float64) - self.mean) / self.scale
        # Not a matrix product: BLAS would start threads for it, which on a busy machine wait for
        # each other far longer than it takes, and whose number may change the last bit.
        if self.kernel == "linear":
            return np.asarray(np.einsum("...f,f->...", standard, self._weights) + self.intercept)
        # exp(-gamma |x - v|²), multiplied out: -(gamma |x|² - 2 gamma x·v + gamma |v|²).
        columns, squares = self._columns
        values = np.einsum("...f,fv->...v", 2 * self.gamma * standard, columns)
        values -= squares
        values -= self.gamma * np.einsum("...f,...f->...", standard, standard)[..., None]
        np.exp(values, out=values)
        return np.asarray(np.einsum("...v,v->...", values, self.coefficients) + self.intercept)

    @cached_property
    def _weights(self) -> Floats:
        """The one vector that a linear machine's make."""
        return np.asarray(np.einsum("v,vf->f", self.coefficients, self.vectors))

    @cached_property
    def _columns(self) -> tuple[Floats, Floats]:
        """The vectors, feature by feature, which is faster to sum over, and gamma |v|²."""
        return np.ascontiguousarray(self.vectors.T), self.gamma * (self.vectors**2).sum(-1)

    def probability(self, x: ArrayLike) -> Floats:
        """Return the probability of being positive, in [0, 1], for feature vectors.

        Parameters
        ----------
        x : array_like, shape (features,) or (n, features)
            Not standardised.
        """
        exponent = np.maximum(self.slope * self.decision(x) + self.offset, -500.0)  # no overflow
        return np.asarray(1.0 / (1.0 + np.exp(-exponent)))

    @classmethod
    def fit(
        cls,
        X: ArrayLike,
        y: ArrayLike,
        *,
        kernel: Kernel = "rbf",
        C: float = 1.0,
        gamma: float | None = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        features: tuple[str, ...] = (),
    ) -> Model:
        """Fit a model; deterministic.

        Parameters
        ----------
        X : array_like, shape (n, features)
            Finite.
        y : array_like, shape (n,)
            True for positive.
        kernel : {"linear", "rbf"}
            The kernel.
        C : float
            The inverse strength of regularisation.
        gamma : float, optional
            The Gaussian's width; ``1 / features`` by default.
        sample_weight : array_like, shape (n,), optional
            On top of the classes' weights, which are balanced.
        groups : array_like, shape (n,), optional
            Samples of one group, such as variants of one photo, share a fold of the calibration.
        features : tuple of str
            Names, kept in the model.

        Raises
        ------
        TrainingError
            Too few samples of a kind, shapes that do not match, or numbers that are not finite.
        MissingLibraryError
            scikit-learn is not installed.
        """
        X = np.asarray(X, dtype=np.float64)
        y = np.asarray(y).astype(bool)
        _check_samples(X, y)
        return cls._fit(X, y, kernel, C, gamma, sample_weight, groups, features)

    @classmethod
    def _fit(
        cls,
        X: Floats,
        y: NDArray[np.bool_],
        kernel: Kernel,
        C: float,
        gamma: float | None,
        sample_weight: ArrayLike | None,
        groups: Any,
        features: tuple[str, ...],
    ) -> Model:
        weight = _balanced(y) * (1.0 if sample_weight is None else np.asarray(sample_weight))
        gamma = 1.0 / X.shape[1] if gamma is None else gamma
        mean = X.mean(axis=0)
        scale = np.where(X.std(axis=0) > 1e-12, X.std(axis=0), 1.0)
        standard = (X - mean) / scale
        settings = {"kernel": kernel, "C": C, "gamma": gamma}
        held_out = _held_out_decisions(standard, y, weight, groups, settings)
        slope, offset = _platt(held_out, y, weight)
        machine = _svc(settings).fit(standard, y, sample_weight=weight)
        if kernel == "linear":
            vectors, coefficients = machine.coef_, np.ones(1)
        else:
            vectors, coefficients = machine.support_vectors_, machine.dual_coef_[0]
        return cls(
            kernel=kernel,
            mean=mean,
            scale=scale,
            vectors=_single(vectors),
            coefficients=_single(coefficients),
            intercept=float(machine.intercept_[0]),
            gamma=float(gamma),
            slope=slope,
            offset=offset,
            features=tuple(features),
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as ``.npz``: plain arrays, the same bytes for the same model.

        Parameters
        ----------
        path : str or path
            Written as it stands, without a suffix added.

        Raises
        ------
        OSError
            It cannot be written.
        """
        arrays = {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}
        for name in _SINGLE:
            arrays[name] = arrays[name].astype(np.float32)
        with Path(path).open("wb") as file:
            np.savez(file, allow_pickle=False, format=FORMAT, version=VERSION, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Model:
        """Read a model that `save` wrote, and check it: no code in a file is ever run.

        Parameters
        ----------
        path : str or path
            The file.

        Raises
        ------
        ModelTypeError
            (TypeError) `path` is no path.
        ModelError
            (ValueError) There is no such file, or it is no model, or not a sound one.
        """
        if not isinstance(path, str | os.PathLike):
            raise ModelTypeError(f"A model's path must be a path, not {path!r}.")
        name = str(path)
        try:
            return cls._read(Path(path))
        except ModelError:
            raise
        except FileNotFoundError:
            raise ModelError(f"There is no model file {name}.", path=name) from None
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ModelError(
                f"{name} is no model that QualiPy has saved: {error}. Make one with a filter's "
                "train method.",
                path=name,
            ) from error

    @classmethod
    def _read(cls, path: Path) -> Model:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_FILE:
            raise ValueError(f"it is no regular file of at most {_LARGEST_FILE >> 20} MiB")
        with zipfile.ZipFile(path) as archive:
            if sum(item.file_size for item in archive.infolist()) > _LARGEST_FILE:
                raise ValueError(f"it is larger than {_LARGEST_FILE >> 20} MiB")
        with np.load(path, allow_pickle=False) as arrays:
            if str(arrays["format"]) != FORMAT or int(arrays["version"]) != VERSION:
                raise ValueError("its format or version is another")
            values: dict[str, Any] = {field.name: arrays[field.name] for field in fields(cls)}
        for name in _SINGLE:
            values[name] = values[name].astype(np.float64, casting="safe")
        values["kernel"] = str(values["kernel"])
        values["features"] = tuple(str(name) for name in values["features"])
        for name in ("intercept", "gamma", "slope", "offset"):
            values[name] = float(values[name])
        model = cls(**values)
        model._check()
        return model

    def _check(self) -> None:
        count = len(self.mean)
        shapes_match = (
            self.mean.shape == self.scale.shape == (count,)
            and self.vectors.shape == (len(self.coefficients), count)
            and self.coefficients.ndim == 1
        )
        if self.kernel not in ("linear", "rbf") or not shapes_match:
            raise ValueError("its arrays do not fit together")
        if self.features and len(self.features) != count:
            raise ValueError("its features are not as many as their names")
        numbers = [self.intercept, self.gamma, self.slope, self.offset]
        arrays = (self.mean, self.scale, self.vectors, self.coefficients, np.asarray(numbers))
        if not all(a.dtype.kind == "f" and np.isfinite(a).all() for a in arrays):
            raise ValueError("it holds numbers that are not finite")
        if (self.scale <= 0).any():
            raise ValueError("its scales are not positive")


def held_out_probabilities(
    X: ArrayLike,
    y: ArrayLike,
    *,
    kernel: Kernel = "rbf",
    C: float = 1.0,
    gamma: float | None = None,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
) -> Floats:
    """Cross-validate: return what models say about samples that they have not seen.

    Parameters
    ----------
    X, y, kernel, C, gamma, sample_weight, groups
        As for `Model.fit`. Each of five folds is judged by a model that was fitted, and
        calibrated, on the others; groups stay whole.

    Returns
    -------
    ndarray of float64, shape (n,)
        Probabilities of being positive.

    Raises
    ------
    TrainingError, MissingLibraryError
        As for `Model.fit`; or all samples of a kind are of one group.
    """
    X = np.asarray(X, dtype=np.float64)
    y = np.asarray(y).astype(bool)
    _check_samples(X, y)
    weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight)
    members = None if groups is None else np.asarray(groups)
    fold = folds(y, members, FOLDS)
    probabilities = np.zeros(len(y))
    for number in np.unique(fold):
        test = fold == number
        if len(set(y[~test])) < 2:
            kind = "negative" if y[~test].all() else "positive"
            raise TrainingError(
                f"All {kind} images are of one group, so that no model can be tried on others; "
                "groups are for images that show the same."
            )
        own = None if members is None else members[~test]
        model = Model._fit(X[~test], y[~test], kernel, C, gamma, weight[~test], own, ())
        probabilities[test] = model.probability(X[test])
    return probabilities


def need_scikit_learn() -> None:
    """Fail now, rather than after the work.

    Raises
    ------
    MissingLibraryError
        scikit-learn is not installed.
    """
    _svc({})


def check_counts(positives: int, negatives: int) -> None:
    """Check that there are enough images of each kind to train on.

    Raises
    ------
    TrainingError
        There are not.
    """
    if min(positives, negatives) < FEWEST_OF_A_KIND:
        raise TrainingError(
            f"Training needs at least {FEWEST_OF_A_KIND} positive and {FEWEST_OF_A_KIND} negative "
            f"images; there are {positives} and {negatives}."
        )


def _single(values: ArrayLike) -> Floats:
    """The values, rounded to what a file keeps of them."""
    return np.array(values, dtype=np.float32, order="C").astype(np.float64)


def _check_samples(X: Floats, y: NDArray[np.bool_]) -> None:
    if X.ndim != 2 or y.shape != (len(X),):
        raise TrainingError(
            f"Features of shape {X.shape} and labels of shape {y.shape} do not match: "
            "one row and one label per image are needed."
        )
    check_counts(int(y.sum()), int((~y).sum()))
    if not np.isfinite(X).all():
        raise TrainingError("The features hold numbers that are not finite.")


def _balanced(y: NDArray[np.bool_]) -> Floats:
    return np.asarray(np.where(y, 0.5 / y.mean(), 0.5 / (~y).mean()))


def _svc(settings: dict[str, Any]) -> Any:
    try:
        from sklearn.svm import SVC
    except ImportError as error:
        raise MissingLibraryError(
            "Training needs scikit-learn: `pip install 'qualipy-core[train]'`."
        ) from error
    return SVC(**settings)


def _held_out_decisions(
    X: Floats, y: NDArray[np.bool_], weight: Floats, groups: Any, settings: dict[str, Any]
) -> Floats:
    """Each sample's decision value, from machines that have not seen it nor its group."""
    fold = folds(y, groups, FOLDS)
    decisions = np.zeros(len(y))
    for number in range(FOLDS):
        test = fold == number
        if test.any() and len(set(y[~test])) == 2:
            machine = _svc(settings).fit(X[~test], y[~test], sample_weight=weight[~test])
            decisions[test] = machine.decision_function(X[test])
    return decisions


def _platt(decisions: Floats, y: NDArray[np.bool_], weight: Floats) -> tuple[float, float]:
    """Fit the sigmoid's slope and offset by Newton's method on the weighted log-loss.

    With Platt's softened targets, so that separable samples do not ask for an infinite slope.
    """
    positives, negatives = y.sum(), (~y).sum()
    target = np.where(y, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    design = np.stack([decisions, np.ones_like(decisions)], axis=1)
    parameters = np.array([1.0, 0.0])
    for _ in range(100):
        probability = 1.0 / (1.0 + np.exp(-np.clip(design @ parameters, -500, 500)))
        gradient = design.T @ (weight * (probability - target))
        curvature = (design * (weight * probability * (1 - probability))[:, None]).T @ design
        step = np.linalg.solve(curvature + 1e-6 * np.eye(2), gradient)
        parameters = parameters - np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-9:
            break
    return max(float(parameters[0]), 1e-3), float(parameters[1])
