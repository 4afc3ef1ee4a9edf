"""Small convolutional networks whose weights are plain arrays, evaluated as matrix products.

Weights come from an ``.npz`` with ``weight0``, ``bias0``, ``weight1``, …; how the convolutions are
put together, and the shape of each beyond its kernel (stride, padding, dilation), belongs to the
code that uses them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qualipy_core.opencv import cv2

Float = NDArray[np.float32]


_TOGETHER = 16  # rows


class Geometry(NamedTuple):
    """How a kernel is laid over its input."""

    stride: int = 1
    padding: int = 0
    dilation: int = 1


class Convolution(NamedTuple):
    """One convolution.

    ``weight`` is float32 of shape ``(rows, columns, channels in, channels out)``, ``bias`` float32
    of shape ``(channels out,)``.
    """

    weight: Float
    bias: Float
    geometry: Geometry

    def __call__(self, maps: Float, rectified: bool = False) -> Float:
        """Return the convolution of maps ``(H, W, channels in)``, zeros beyond the borders.

        What is negative in it becomes 0 when it is rectified.
        """
        padded = self._padded(maps)
        height, width = self._places(padded)
        filters, stride = len(self.bias), self.geometry.stride
        reach = self.geometry.dilation * (self.weight.shape[0] - 1) + 1
        result = np.empty((height, width, filters), np.float32)
        bias = np.tile(self.bias, width)
        # A few rows at a time, whose patches stay in the processor's cache. Matrix products are of
        # one row: for larger ones, libraries for linear algebra start threads, which on a machine
        # that has other work wait for each other longer than they compute.
        for top in range(0, height, _TOGETHER):
            part = result[top : top + _TOGETHER]
            first, last = top * stride, (top + len(part) - 1) * stride
            self._convolve(padded[first : last + reach], part)
            rows = part.reshape(len(part), -1)
            rows += bias
            if rectified:
                cv2.threshold(rows, 0, 0, cv2.THRESH_TOZERO, dst=rows)
        return result

    def _convolve(self, padded: Float, sums: Float) -> None:
        """Sum over the kernel's rows, which share their patches."""
        rows, columns, channels, filters = self.weight.shape
        stride, _, dilation = self.geometry
        height, width, _ = sums.shape
        down, right, deep = padded.strides
        shape, strides = (len(padded), width, columns), (down, stride * right, dilation * right)
        windows = np.ndarray((*shape, channels), np.float32, padded, 0, (*strides, deep))
        patches = np.ascontiguousarray(windows).reshape(len(padded), width, columns * channels)
        weight = self.weight.reshape(rows, columns * channels, filters)
        last = stride * (height - 1)
        np.matmul(patches[: last + 1 : stride], weight[0], out=sums)
        for row in range(1, rows):
            first = row * dilation
            sums += patches[first : first + last + 1 : stride] @ weight[row]

    def _padded(self, maps: Float) -> Float:
        padding = self.geometry.padding
        if not padding:
            return np.ascontiguousarray(maps)
        height, width, channels = maps.shape
        padded = np.zeros((height + 2 * padding, width + 2 * padding, channels), np.float32)
        padded[padding:-padding, padding:-padding] = maps
        return padded

    def _places(self, padded: Float) -> tuple[int, int]:
        """Return how often the kernel fits, along the rows and along the columns."""
        stride, _, dilation = self.geometry
        height, width = (
            (side - dilation * (reach - 1) - 1) // stride + 1
            for side, reach in zip(padded.shape[:2], self.weight.shape[:2], strict=True)
        )
        return height, width


def convolutions(
    arrays: Mapping[str, NDArray[Any]], geometries: Sequence[Geometry]
) -> tuple[Convolution, ...]:
    """Return the convolutions whose weights are ``weight0``, ``bias0``, ``weight1`` and so on."""
    return tuple(
        Convolution(
            arrays[f"weight{number}"].astype(np.float32),
            arrays[f"bias{number}"].astype(np.float32),
            geometry,
        )
        for number, geometry in enumerate(geometries)
    )


def shipped(model_file: str) -> dict[str, NDArray[Any]]:
    """Read the arrays of a shipped model; plain arrays alone, no code in a file is ever run."""
    source = resources.files(__package__).joinpath("models", model_file)
    with resources.as_file(source) as path, np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def sigmoid(logits: Float) -> Float:
    """Return ``1 / (1 + exp(-logits))``, without overflow."""
    result: Float = 0.5 + 0.5 * np.tanh(0.5 * logits)
    return result
