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
    from qualipy_core import Filter as Filter
    from qualipy_core import process as process
    from qualipy_core import process_request as process_request
    from qualipy_core import scan as scan

__version__ = "1.0.0"
__all__ = ["Filter", "evaluate", "process", "process_request", "scan"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "evaluate":
        from qualipy.evaluation import evaluate

        return evaluate
    import qualipy_core

    return getattr(qualipy_core, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
