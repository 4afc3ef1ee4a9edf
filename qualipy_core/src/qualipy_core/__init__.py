"""The core of QualiPy: the Filter interface, plug-in discovery and the photo pipeline.

Names are imported when they are first used: ``import qualipy_core`` loads neither OpenCV nor
NumPy nor any pack.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qualipy_core.errors import QualipyError as QualipyError
    from qualipy_core.explanation import Explanation as Explanation
    from qualipy_core.filter import Filter as Filter
    from qualipy_core.fingerprints import Fingerprints as Fingerprints
    from qualipy_core.hookspecs import hookimpl as hookimpl
    from qualipy_core.image import Image as Image
    from qualipy_core.image import derived as derived
    from qualipy_core.image import gray as gray
    from qualipy_core.limits import Limits as Limits
    from qualipy_core.parameters import LocalPath as LocalPath
    from qualipy_core.pipeline import process as process
    from qualipy_core.pipeline import scan as scan
    from qualipy_core.request import process_request as process_request
    from qualipy_core.result import Result as Result
    from qualipy_core.roi import ROI as ROI
    from qualipy_core.setfilter import Comparison as Comparison
    from qualipy_core.setfilter import SetFilter as SetFilter
    from qualipy_core.trainable import TrainableFilter as TrainableFilter

_HOMES = {
    "Comparison": "setfilter",
    "Explanation": "explanation",
    "Filter": "filter",
    "Fingerprints": "fingerprints",
    "Image": "image",
    "Limits": "limits",
    "LocalPath": "parameters",
    "QualipyError": "errors",
    "ROI": "roi",
    "Result": "result",
    "SetFilter": "setfilter",
    "TrainableFilter": "trainable",
    "derived": "image",
    "gray": "image",
    "hookimpl": "hookspecs",
    "process": "pipeline",
    "process_request": "request",
    "scan": "pipeline",
}

__version__ = "1.0.0"
__all__ = [
    "ROI",
    "Comparison",
    "Explanation",
    "Filter",
    "Fingerprints",
    "Image",
    "Limits",
    "LocalPath",
    "QualipyError",
    "Result",
    "SetFilter",
    "TrainableFilter",
    "derived",
    "gray",
    "hookimpl",
    "process",
    "process_request",
    "scan",
]


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
