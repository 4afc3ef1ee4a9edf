"""What the core itself adds by a hook: URLs. Light, for it is imported with everybody's hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualipy_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from qualipy_core.limits import Limits
    from qualipy_core.roots import Roots


@hookimpl(trylast=True)  # a pack that opens `s3://` itself has its way
def qualipy_open_source(source: str, roots: Roots, limits: Limits) -> bytes | None:
    """Return the bytes behind a URL; ``None`` for every other source."""
    if "://" not in source:
        return None
    from qualipy_core.remote import open_url

    return open_url(source, roots, limits.max_bytes or 0.0)
