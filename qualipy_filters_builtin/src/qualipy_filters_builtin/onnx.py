"""Describing a small network as ONNX, the open format that ``cv2.dnn`` reads.

An ONNX file is a message of Google's protocol buffers: fields, each a number with its kind, then
an integer or the length of what follows. The few kinds of message that a chain of convolutions
needs (model, graph, node, attribute, tensor) are written here, so that no other library is needed.

References
----------
The messages: ``onnx.proto`` of ONNX 1.14 (https://onnx.ai); operators: set 13.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

INPUT = "maps"
_FORMAT_VERSION, _OPERATOR_SET = 8, 13
_FLOAT = 1  # the type of a tensor's numbers
_INTEGER, _TEXT, _INTEGERS = 2, 3, 7  # the types of an attribute

Attribute = int | str | Sequence[int]


class Graph:
    """A network that is being described: nodes, each named after its place, and constants."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []

    def constant(self, array: NDArray[Any]) -> str:
        """Add an array, as float32, and return its name."""
        name = f"constant{len(self._constants)}"
        numbers = np.ascontiguousarray(array, np.float32)
        shape = _each(1, numbers.shape)
        tensor = shape + _field(2, _FLOAT) + _field(8, name) + _field(9, numbers.tobytes())
        self._constants.append(tensor)
        return name

    def add(self, operator: str, inputs: Iterable[str], **attributes: Attribute) -> str:
        """Add an operator of ONNX on what has these names, and return the name of its result."""
        name = f"{operator}{len(self._nodes)}"
        said = [_attribute(key, value) for key, value in attributes.items()]
        ends = _each(1, inputs) + _field(2, name) + _field(3, name)
        self._nodes.append(ends + _field(4, operator) + _each(5, said))
        return name

    def described(self, output: str, channels: int) -> bytes:
        """Return the model whose result has this name, for an input of so many channels."""
        graph = (
            _each(1, self._nodes)
            + _field(2, "network")
            + _each(5, self._constants)
            + _field(11, _maps(INPUT, channels))
            + _field(12, _maps(output, 1))
        )
        operators = _field(8, _field(2, _OPERATOR_SET))
        return _field(1, _FORMAT_VERSION) + operators + _field(7, graph)


def _maps(name: str, channels: int) -> bytes:
    """One picture of float32, of so many channels and of any height and width."""
    known = [_field(1, 1), _field(1, channels)]
    sides = [_field(2, f"{name}_{side}") for side in ("height", "width")]
    shape = _each(1, known + sides)
    return _field(1, name) + _field(2, _field(1, _field(1, _FLOAT) + _field(2, shape)))


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, str):
        return _field(1, name) + _field(4, value) + _field(20, _TEXT)
    if isinstance(value, int):
        return _field(1, name) + _field(3, value) + _field(20, _INTEGER)
    return _field(1, name) + _each(8, value) + _field(20, _INTEGERS)


def _each(number: int, values: Iterable[int | str | bytes]) -> bytes:
    return b"".join(_field(number, value) for value in values)


def _field(number: int, value: int | str | bytes) -> bytes:
    """A field of a message: its number and kind, then an integer, or a length and as many bytes."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """A whole number, seven bits a byte, the lowest first."""
    *others, last = [number >> shift & 127 for shift in range(0, max(number.bit_length(), 1), 7)]
    return bytes([*(part | 128 for part in others), last])
