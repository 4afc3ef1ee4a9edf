"""Fit the weights of ``multiple_salient_regions``, and say how well they do on photos not seen.

A logistic regression of the filter's three measurements, on labelled photos alone. The recipe is
deterministic, and takes any number of datasets; the positives of each weigh as much as its
negatives::

    python training/multiple_salient_regions.py path/to/labelled/photos [more/photos ...]

It prints the four constants that stand in the filter's module, and for each dataset the balanced
accuracy at 0.5 and the area under the ROC curve, cross-validated by group, by weights fitted on
all datasets and by weights fitted on the other ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from dataset import balanced_accuracy, folds, load
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from qualipy_core import Image
from qualipy_filters_builtin.multiple_salient_regions import MultipleSalientRegions, measurements

C = 0.3  # of measurements divided by their deviation; 0.1 … 10 do alike
FOLDS, REPEATS = 8, 20

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def fitted(measured: Floats, positive: Mask, source: NDArray[np.int64]) -> Floats:
    """Return the weights of the measurements, and the bias last.

    Parameters
    ----------
    measured : ndarray of float64, shape (n, 3)
        The measurements.
    positive : ndarray of bool, shape (n,)
        The labels.
    source : ndarray of int, shape (n,)
        Which dataset each photo is from.
    """
    weights = np.ones(len(positive))
    for number in np.unique(source):
        own = source == number
        for label in (True, False):
            weights[own & (positive == label)] = own.sum() / 2 / (own & (positive == label)).sum()
    scale = measured.std(axis=0)
    model = LogisticRegression(C=C, tol=1e-8, max_iter=1000)
    model.fit(measured / scale, positive, sample_weight=weights)
    return np.append(model.coef_[0] / scale, model.intercept_)


def logits(measured: Floats, weights: Floats) -> Floats:
    """Return the logits that weights give."""
    return np.asarray(measured @ weights[:-1] + weights[-1])


def figures(positive: Mask, scores: Floats) -> NDArray[np.float64]:
    """Return the balanced accuracy and the area under the ROC curve."""
    return np.array([balanced_accuracy(positive, scores > 0), roc_auc_score(positive, scores)])


def main() -> None:
    """Read the photos, fit the weights, print them and the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", type=Path, nargs="+")
    arguments = parser.parse_args()
    samples = [
        (number, sample)
        for number, root in enumerate(arguments.datasets)
        for sample in load(root, MultipleSalientRegions.name)
    ]
    measured = np.array([measurements(Image(sample.path)) for _, sample in samples])
    positive = np.array([sample.positive for _, sample in samples])
    source = np.array([number for number, _ in samples])
    groups = [sample.group for _, sample in samples]

    found = []
    for seed in range(REPEATS):
        scores = np.empty(len(samples))
        for out in folds(groups, FOLDS, seed):
            scores[out] = logits(
                measured[out], fitted(measured[~out], positive[~out], source[~out])
            )
        found.append([figures(positive[source == n], scores[source == n]) for n in set(source)])
    for number, root in enumerate(arguments.datasets):
        own = source == number
        mean, spread = np.mean(found, axis=0)[number], np.std(found, axis=0)[number]
        print(f"{root}: {positive[own].sum()} / {(~positive[own]).sum()} photos")
        print(f"  cross-validated: {mean[0]:.3f} ± {spread[0]:.3f}, area {mean[1]:.3f}")
        if not own.all():
            scores = logits(measured[own], fitted(measured[~own], positive[~own], source[~own]))
            accuracy, area = figures(positive[own], scores)
            print(f"  by the others alone: {accuracy:.3f}, area {area:.3f}")
    print(*(f"{weight:.2f}" for weight in fitted(measured, positive, source)), sep=", ")


if __name__ == "__main__":
    main()
