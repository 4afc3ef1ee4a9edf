"""How alike two photos are, told from tiny pictures of them.

Codes say which photos may be the same; a tiny picture of each says whether they are. One is
explained by the other: brighter or darker, with more or less contrast, moved, zoomed, stretched or
turned a little, as copies are that were edited or cut. What of its variance stays unexplained is
what the photos differ in.

The small moves enter by their first-order effect (the gradients of the picture, times how far each
place moves), so that one least-squares fit finds all at once: Lucas & Kanade 1981, "An iterative
image registration technique with an application to stereo vision". A prior keeps the moves small.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qualipy_filters_builtin.perceptual_hash import TINY, VIEWS

EVEN = 0.80
"""The explained share of the variance at which the likeness is 0.5. (Tuned on edited photos: pairs
of different photos whose codes are near stay below it, nearly all edited copies are above.)"""
_NOISE = 2.0
"""What rounding, grain and compression leave in a tiny picture, in levels."""
_USUAL_RESIDUE = 0.08  # of the variance, what edits leave: the weight of the data in the fit
_SHIFT, _ZOOM, _TURN = 0.5, 0.6, 0.3
"""Usual moves, in pixels of the tiny picture: of the whole, at its edge by zooming or stretching,
at its edge by turning."""
_HOPELESS, _CLEAR = 0.2, 0.9
"""Explained shares below which nothing more is tried, and above which nothing more is needed."""
_DOUBT = 0.06  # taken off what the best of several views explains: one of them fits by chance
_BLOCK = 8192

Floats = NDArray[np.float64]


def likeness(ones: NDArray[np.uint8], others: NDArray[np.uint8]) -> Floats:
    """Return how alike pairs of tiny pictures are.

    Parameters
    ----------
    ones, others : ndarrays of uint8, shape (n, TINY, TINY)
        The second of each pair is explained by the first.

    Returns
    -------
    ndarray of float64, shape (n,)
        In [0, 1]: 1 the same, 0.5 as likely as not, 0 others.
    """
    result = np.ones(len(ones))
    unequal = np.flatnonzero((ones != others).any(axis=(1, 2)))
    for start in range(0, len(unequal), _BLOCK):
        block = unequal[start : start + _BLOCK]
        share = _whole_or_cut(ones[block].astype(float), others[block].astype(float))
        result[block] = np.clip(1 - (1 - share) * 0.5 / (1 - EVEN), 0.0, 1.0)
    return result


def _whole_or_cut(ones: Floats, others: Floats) -> Floats:
    """The explained share; where it is low, also if one of both is taken to be cut."""
    share = _explained(ones, others)
    unclear = np.flatnonzero((share > _HOPELESS) & (share < _CLEAR))
    if len(unclear):
        one, other = ones[unclear], others[unclear]
        for view in _VIEWS_OF_TINY:
            share[unclear] = np.maximum(share[unclear], _explained(_cut(one, view), other) - _DOUBT)
            share[unclear] = np.maximum(share[unclear], _explained(one, _cut(other, view)) - _DOUBT)
    return share


def _cut(pictures: Floats, view: Floats) -> Floats:
    flat: Floats = pictures.reshape(len(pictures), -1) @ view
    return flat.reshape(pictures.shape)


def contrast(tiny: NDArray[np.uint8]) -> Floats:
    """Return the standard deviation of tiny pictures, shape (n, TINY, TINY), in levels."""
    return np.asarray(tiny.std(axis=(1, 2)), dtype=np.float64)


def _explained(ones: Floats, others: Floats) -> Floats:
    """The share of the others' variance that the ones explain."""
    causes = _causes(ones)
    seen = others.reshape(len(others), -1)
    seen = seen - seen.mean(axis=1, keepdims=True)
    variance = (seen**2).mean(axis=1)
    gain = np.sqrt((seen**2).sum(axis=1) / np.maximum((causes[:, 0] ** 2).sum(axis=1), 1e-6))

    usual = np.array([_SHIFT, _SHIFT, _ZOOM, _ZOOM, _TURN, _TURN])
    stiffness = np.zeros(causes.shape[:2])
    stiffness[:, 1:] = (_USUAL_RESIDUE * variance + _NOISE**2)[:, None]
    stiffness[:, 1:] /= (np.maximum(gain, 1e-3)[:, None] * usual) ** 2
    normal = causes @ causes.transpose(0, 2, 1)
    diagonal = np.arange(causes.shape[1])
    normal[:, diagonal, diagonal] += stiffness + 1e-6
    weights = np.linalg.solve(normal, causes @ seen[..., None])[..., 0]

    left = ((seen - (weights[:, None] @ causes)[:, 0]) ** 2).mean(axis=1)
    left += (stiffness * weights**2).mean(axis=1) * causes.shape[1] / TINY**2
    share = 1 - (left + _NOISE**2) / (variance + _NOISE**2)
    return np.asarray(np.where(weights[:, 0] > 0, share, 0.0), dtype=np.float64)


def _view_of_tiny(view: tuple[float, ...]) -> Floats:
    """The matrix that takes a tiny picture, as a row, to one of a view, by linear interpolation."""
    left, top, right, bottom = view
    down, along = _interpolation(top, bottom), _interpolation(left, right)
    return np.asarray(np.kron(down, along).T, dtype=np.float64)


def _interpolation(before: float, behind: float) -> Floats:
    centres = (np.arange(TINY) + 0.5) / TINY
    places = (before + centres * (1 - before - behind)) * TINY - 0.5
    near: Floats = np.maximum(
        1 - np.abs(np.clip(places, 0, TINY - 1)[:, None] - np.arange(TINY)), 0.0
    )
    return near


_VIEWS_OF_TINY = [_view_of_tiny(view) for view in VIEWS[1:]]
_Y, _X = np.mgrid[-1 : 1 : TINY * 1j, -1 : 1 : TINY * 1j]


def _causes(pictures: Floats) -> Floats:
    """A picture itself and what each small move adds to it, shape (n, 7, TINY²), without means."""
    down, along = np.gradient(pictures, axis=(1, 2))
    moved = [along, down, _X * along, _Y * down, _Y * along, _X * down]
    causes = np.stack([pictures, *moved], axis=1).reshape(len(pictures), 7, -1)
    centred: Floats = causes - causes.mean(axis=2, keepdims=True)
    return centred
