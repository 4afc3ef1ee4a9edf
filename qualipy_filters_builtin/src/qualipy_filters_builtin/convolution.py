"""Small convolutional networks whose weights are plain arrays: evaluated with NumPy alone.

A network here is a chain of convolutions with rectified units between them, ending in a map of
logits. Weights come from an ``.npz`` with ``weight0``, ``bias0``, ``weight1``, …; the shape of
each convolution beyond its kernel (stride, padding, dilation) belongs to the code that uses it.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Float = NDArray[np.float32]


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

    def __call__(self, maps: Float) -> Float:
        """Return the convolution of maps ``(H, W, channels in)``, zeros beyond the borders."""
        rows, columns, channels, filters = self.weight.shape
        stride, padding, dilation = self.geometry
        if padding:
            maps = np.pad(maps, ((padding, padding), (padding, padding), (0, 0)))
        reach = (dilation * (rows - 1) + 1, dilation * (columns - 1) + 1)
        windows = sliding_window_view(maps, reach, axis=(0, 1))
        windows = windows[::stride, ::stride, :, ::dilation, ::dilation]
        height, width = windows.shape[:2]
        # One matrix product does it all; laying the patches side by side costs less than it saves.
        # Whatever is longer, a row of the map or the channels, is copied in one go.
        if channels == 1:
            taps = np.ascontiguousarray(windows.transpose(2, 3, 4, 0, 1))
            patches = taps.reshape(rows * columns, height * width).T
        else:
            patches = np.ascontiguousarray(windows.transpose(0, 1, 3, 4, 2))
            patches = patches.reshape(height * width, rows * columns * channels)
        result: Float = patches @ self.weight.reshape(-1, filters)
        result += self.bias
        return result.reshape(height, width, filters)


class Network:
    """A chain of convolutions, rectified in between.

    Parameters
    ----------
    convolutions : sequence of Convolution
        From the input to the logits.
    """

    def __init__(self, convolutions: list[Convolution]) -> None:
        self.convolutions = convolutions

    @classmethod
    def load(cls, model_file: str, geometries: tuple[Geometry, ...]) -> Network:
        """Read a shipped model from this package's ``models`` folder."""
        source = resources.files(__package__).joinpath("models", model_file)
        with resources.as_file(source) as path:
            return cls.read(path, geometries)

    @classmethod
    def read(cls, path: Path, geometries: tuple[Geometry, ...]) -> Network:
        """Read a model from a file; plain arrays alone, no code in a file is ever run."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(
                [
                    Convolution(
                        arrays[f"weight{number}"].astype(np.float32),
                        arrays[f"bias{number}"].astype(np.float32),
                        geometry,
                    )
                    for number, geometry in enumerate(geometries)
                ]
            )

    def __call__(self, maps: Float) -> Float:
        """Return the last convolution's output for maps ``(H, W, channels)``."""
        *hidden, last = self.convolutions
        for convolution in hidden:
            maps = convolution(maps)
            np.maximum(maps, 0, out=maps)
        return last(maps)


def sigmoid(logits: Float) -> Float:
    """Return ``1 / (1 + exp(-logits))``, without overflow."""
    result: Float = 0.5 + 0.5 * np.tanh(0.5 * logits)
    return result
