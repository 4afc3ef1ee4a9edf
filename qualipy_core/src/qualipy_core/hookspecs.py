"""The hooks by which packs add behaviour beyond filters.

A pack marks its functions with `hookimpl` and registers the module that holds them under the
entry-point group ``qualipy.hooks``::

    [project.entry-points."qualipy.hooks"]
    my_pack = "my_pack.hooks"
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from qualipy_core.executors import ExecutorFactory
    from qualipy_core.limits import Limits
    from qualipy_core.result import Result
    from qualipy_core.roots import Roots

PROJECT = "qualipy"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a pack as the implementation of the hook with its name."""


@hookspec(firstresult=True)
def qualipy_open_source(
    source: str, roots: Roots, limits: Limits
) -> bytes | NDArray[np.uint8] | None:
    """Open a new kind of source: return an image file's bytes, or RGB pixels.

    Called with each path or URL before it is opened as a file. Return ``None`` to leave it to
    others. An exception becomes the error of that image.

    The source as it is written may be read; ``roots`` is for asking about anything else that is
    opened on its behalf: an archive that it names, the target of a redirect. ``limits`` says what
    it may cost: more than ``limits.max_bytes`` need not be read.
    """


@hookspec
def qualipy_result(result: Result) -> None:
    """Observe a result of a scan, in the process that asked for it, in the order of the results.

    What is returned is ignored; an exception is reported once as a warning and ends nothing.
    """


@hookspec
def qualipy_executors() -> Mapping[str, ExecutorFactory]:  # type: ignore[empty-body]
    """Add ways of spreading images over workers: a factory by the name for ``executor=``."""


@hookspec
def qualipy_commands(cli: Any) -> None:
    """Add commands to the command line; ``cli`` is its ``click.Group``."""
