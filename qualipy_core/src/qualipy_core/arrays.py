"""Small arrays of numbers as plain data: what a fingerprint may be, and its way through JSON."""

from __future__ import annotations

import json
import math
import reprlib
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_BYTES = 4096
"""How large a fingerprint may be: a million of a few dozen bytes fit into memory easily."""

KINDS = "biuf"  # of NumPy: booleans, integers, real numbers


def plain_array(value: object) -> NDArray[Any]:
    """Return an array as it is kept: packed, in this machine's byte order, a copy.

    Raises
    ------
    ValueError
        It is none; the message says why.
    """
    if not isinstance(value, np.ndarray | np.generic):
        raise ValueError(f"{type(value).__name__} is no array")
    array = np.asarray(value)
    check_dtype(array.dtype)
    if array.nbytes == 0:
        raise ValueError("there is nothing in it")
    if array.nbytes > MOST_BYTES:
        raise ValueError(f"{array.nbytes:,} bytes are more than {MOST_BYTES:,}")
    kept = np.array(array, dtype=_packed(array.dtype), order="C")
    if not all_finite(kept):
        raise ValueError("it holds a number that is not finite")
    return kept


def check_dtype(dtype: np.dtype[Any]) -> None:
    """Check that arrays of a dtype can be fingerprints.

    Raises
    ------
    ValueError
        They can't.
    """
    if dtype.names is not None:
        for name in dtype.names:
            check_dtype(dtype[name])
    elif dtype.subdtype is not None:
        check_dtype(dtype.base)
    elif dtype.kind not in KINDS:
        raise ValueError(f"{dtype} is no type of numbers")


def _packed(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype without gaps, whose bytes would be anything, and in native order."""
    if dtype.names is None:
        return dtype.newbyteorder("=")
    from numpy.lib.recfunctions import repack_fields

    packed: np.dtype[Any] = repack_fields(dtype, recurse=True)
    return packed.newbyteorder("=")


def all_finite(array: NDArray[Any]) -> bool:
    """Whether every number in it is finite, whatever the dtype."""
    if array.dtype.names is not None:
        return all(all_finite(array[name]) for name in array.dtype.names)
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


@lru_cache(64)
def dtype_to_json(dtype: np.dtype[Any]) -> Any:
    """Return a dtype as JSON types, with its byte order: ``"<u8"``, or a list of fields."""
    return json.loads(json.dumps(np.lib.format.dtype_to_descr(dtype)))


def dtype_from_json(value: Any) -> np.dtype[Any]:
    """Return the dtype that `dtype_to_json` described.

    Raises
    ------
    ValueError
        It is none that fingerprints have.
    """
    return _simple(value) if isinstance(value, str) else _dtype(value)


def _dtype(value: Any) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = np.lib.format.descr_to_dtype(_tuples(value))
    except (TypeError, ValueError, LookupError, SyntaxError, RecursionError):
        raise ValueError(f"{reprlib.repr(value)} is no type of numbers") from None
    check_dtype(dtype)
    return dtype


_simple = lru_cache(64)(_dtype)  # hundreds of thousands of results have the same few


def array_from(dtype: Any, shape: Any, data: bytes) -> NDArray[Any]:
    """Return an array of a dtype and shape that came as JSON.

    Raises
    ------
    ValueError
        There is no such array.
    """
    known = dtype_from_json(dtype)
    if not (isinstance(shape, list) and all(type(side) is int and side > 0 for side in shape)):
        raise ValueError(f"{reprlib.repr(shape)} is no shape")
    size = math.prod(shape) * known.itemsize
    if size > MOST_BYTES or size != len(data):
        raise ValueError(f"{len(data):,} bytes, not {size:,}, which may be {MOST_BYTES:,} at most")
    return plain_array(np.frombuffer(data, known).reshape(shape))


def _tuples(value: Any) -> Any:
    """Fields as NumPy wants them: a list of tuples, where JSON has lists of lists."""
    if isinstance(value, str):
        return value
    fields = []
    for name, kind, *shape in value:
        fields.append((name, _tuples(kind), *(tuple(sides) for sides in shape)))
    return fields
