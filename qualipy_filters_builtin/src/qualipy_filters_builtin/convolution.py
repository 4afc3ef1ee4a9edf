"""Small convolutional networks whose weights are plain arrays, run by OpenCV.

Weights come from an ``.npz`` with ``weight0``, ``bias0``, ``weight1``, …; how the convolutions are
put together, and the shape of each beyond its kernel (stride, padding, dilation), belongs to the
code that uses them. It is written down as an ONNX graph (`qualipy_filters_builtin.onnx`), which is
what ``cv2.dnn`` reads.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qualipy_core.opencv import cv2
from qualipy_filters_builtin.onnx import Graph

Float = NDArray[np.float32]


class Geometry(NamedTuple):
    """How a kernel is laid over its input."""

    stride: int = 1
    padding: int = 0
    dilation: int = 1
    by_channel: bool = False
    """Each kernel is laid over a channel of its own."""


class Convolution(NamedTuple):
    """One convolution, zeros beyond the borders.

    ``weight`` is float32 of shape ``(rows, columns, channels in, channels out)``, ``bias`` float32
    of shape ``(channels out,)``. Kernels of a channel each have one channel in.
    """

    weight: Float
    bias: Float
    geometry: Geometry

    def __call__(self, graph: Graph, maps: str, rectified: bool = False) -> str:
        """Add the convolution of maps to a graph, and return the name of the result.

        What is negative in it becomes 0 when it is rectified.
        """
        rows, columns, _, filters = self.weight.shape
        stride, padding, dilation, by_channel = self.geometry
        weight = graph.constant(self.weight.transpose(3, 2, 0, 1))
        result = graph.add(
            "Conv",
            [maps, weight, graph.constant(self.bias)],
            kernel_shape=[rows, columns],
            strides=[stride] * 2,
            pads=[padding] * 4,
            dilations=[dilation] * 2,
            group=filters if by_channel else 1,
        )
        return graph.add("Relu", [result]) if rectified else result


class Network(threading.local):
    """A graph that can be evaluated.

    OpenCV's networks hold what they compute, so that each thread has one of its own. The same maps
    give the same bits, for any number of OpenCV's threads and wherever the maps lie in memory.

    Parameters
    ----------
    graph : bytes
        The ONNX description, as `Graph.described` returns it.
    """

    def __init__(self, graph: bytes) -> None:
        self._net = cv2.dnn.readNetFromONNX(np.frombuffer(graph, np.uint8))

    def __call__(self, maps: Float) -> Float:
        """Return the maps ``(1, channels, H, W)`` that the graph makes of maps of such a shape.

        They are overwritten when the network is evaluated again.
        """
        self._net.setInput(maps)
        return np.asarray(self._net.forward(), np.float32)


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
