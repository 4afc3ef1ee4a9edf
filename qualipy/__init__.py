"""Keeps unsuitable photos out: blurred, badly exposed, framed, over-processed and more.

>>> import qualipy
>>> from qualipy.filters import Exposure, WholeBlur
>>> qualipy.process("a.jpg", [Exposure(), WholeBlur()])
{'a.jpg': True}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qualipy.evaluation import evaluate as evaluate
    from qualipy.explaining import explain as explain
    from qualipy.results import Results as Results
    from qualipy.results import read_results as read_results
    from qualipy_core import Comparison as Comparison
    from qualipy_core import Filter as Filter
    from qualipy_core import Fingerprints as Fingerprints
    from qualipy_core import SetFilter as SetFilter
    from qualipy_core import process as process
    from qualipy_core import process_request as process_request
    from qualipy_core import scan as scan

__version__ = "1.0.0"
__all__ = [
    "Comparison",
    "Filter",
    "Fingerprints",
    "Results",
    "SetFilter",
    "evaluate",
    "explain",
    "process",
    "process_request",
    "read_results",
    "scan",
]
_OF_MODULES = {
    "Results": "results",
    "evaluate": "evaluation",
    "explain": "explaining",
    "read_results": "results",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = f"qualipy.{_OF_MODULES[name]}" if name in _OF_MODULES else "qualipy_core"
    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
