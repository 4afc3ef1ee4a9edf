"""Keeps unsuitable photos out: blurred, badly exposed, framed, over-processed and more.

>>> import qualipy
>>> from qualipy.filters import Exposure, WholeBlur
>>> qualipy.process("a.jpg", [Exposure(), WholeBlur()])
{'a.jpg': True}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qualipy_core import Filter as Filter
    from qualipy_core import process as process
    from qualipy_core import process_request as process_request
    from qualipy_core import scan as scan

__version__ = "1.0.0"
__all__ = ["Filter", "process", "process_request", "scan"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import qualipy_core

    return getattr(qualipy_core, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
