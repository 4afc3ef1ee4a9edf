"""Every filter class that is installed, third parties' included, under its class name.

::

    from qualipy.filters import *              # all of them
    from qualipy.filters import Exposure, HDR  # these; no other pack is imported

A class is imported when it is first asked for. The star leaves out, with a warning, what cannot
be had: a broken pack, or a class name that several packs offer.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from qualipy_core import plugins
from qualipy_core.errors import AmbiguousFilterError, PluginError, PluginWarning

if TYPE_CHECKING:
    from qualipy_core.criterion import Criterion
    from qualipy_core.plugins import Entry


def _entries() -> dict[str, list[Entry]]:
    """The usable entries by class name."""
    by_class: dict[str, list[Entry]] = {}
    registry = plugins.registry()
    for entry in registry.entries():
        state, _ = registry.state(entry)
        if state != "disabled":
            by_class.setdefault(entry.class_name, []).append(entry)
    for offered in by_class.values():
        preferred = [entry for entry in offered if registry.prefers(entry)]
        offered[:] = preferred or offered
    return by_class


def _load(name: str, offered: list[Entry]) -> type[Criterion]:
    if len(offered) > 1:
        qualified = [entry.qualified for entry in offered]
        raise AmbiguousFilterError(
            f"Several packs offer a class {name}: {', '.join(qualified)}. Import it from its own "
            f"package, or choose with QUALIPY_PREFER={qualified[0]}.",
            name=name,
            installed=plugins.registry().names(),
            distributions=tuple(entry.distribution for entry in offered),
        )
    return plugins.registry().load(offered[0])


def _star() -> list[str]:
    names = []
    for name, offered in sorted(_entries().items()):
        try:
            _load(name, offered)
        except (AmbiguousFilterError, PluginError) as error:
            warnings.warn(f"left out of `import *`: {error}", PluginWarning, stacklevel=3)
        else:
            names.append(name)
    return names


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return _star()
    offered = _entries().get(name)
    if not offered:
        raise AttributeError(
            f"No installed pack has a filter class {name!r}. There are: "
            f"{', '.join(sorted(_entries()))}."
        )
    return _load(name, offered)


def __dir__() -> list[str]:
    return sorted(_entries())
