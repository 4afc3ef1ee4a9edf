"""One thread per worker for the libraries below: photos are what is spread over the cores.

NumPy's linear algebra starts a thread per core for every matrix product. On the small ones that
filters make, the threads of several workers spend their time waiting for each other: a text map
took six times as long.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


@contextmanager
def one_library_thread() -> Iterator[None]:
    """Let processes that start meanwhile, and NumPy if it is first imported then, use one thread.

    What the user has set stays as it is.
    """
    added = [variable for variable in _VARIABLES if variable not in os.environ]
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        yield
    finally:
        for variable in added:
            os.environ.pop(variable, None)
