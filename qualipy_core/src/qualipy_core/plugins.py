"""Finding filters and hooks of every installed pack.

Three steps over frozen records: *find* entry points, *classify* their names, *load* a class when
it is first asked for. Found is not loaded: listing names, distributions and versions imports no
pack. A broken pack breaks nothing but itself. Order on disk decides nothing.

Two environment variables rule over what is found:

``QUALIPY_DISABLE``
    Comma-separated packs, filters, or ``distribution:filter``: as if they were not installed.
``QUALIPY_PREFER``
    Comma-separated ``distribution:filter``: which one the bare name means, where several packs
    offer it.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from qualipy_core.errors import (
    AmbiguousFilterError,
    ImageReadError,
    PluginError,
    PluginWarning,
    QualipyError,
    UnknownFilterError,
)
from qualipy_core.limits import Limits, checked
from qualipy_core.roots import Roots
from qualipy_core.urls import shown

if TYPE_CHECKING:
    import numpy as np
    import pluggy
    from importlib_metadata import EntryPoint
    from numpy.typing import NDArray

    from qualipy_core.criterion import Criterion
    from qualipy_core.executors import ExecutorFactory
    from qualipy_core.result import Result

FILTERS = "qualipy.filters"
HOOKS = "qualipy.hooks"

_SWITCHED_OFF = "by QUALIPY_DISABLE"

State = Literal["found", "loaded", "broken", "disabled", "ambiguous"]


@dataclass(frozen=True, order=True)
class Entry:
    """One entry point of a pack: found, not necessarily loaded."""

    name: str
    distribution: str
    version: str
    value: str  #: ``module:attribute``
    group: str = FILTERS

    @property
    def qualified(self) -> str:
        """``distribution:name``, which is never ambiguous."""
        return f"{self.distribution}:{self.name}"

    @property
    def class_name(self) -> str:
        """The attribute that the entry point names, without importing its module."""
        return self.value.partition(":")[2].strip()

    def is_named_by(self, words: Iterable[str]) -> bool:
        """Whether one of the words names this entry, its distribution, or both as one."""
        ours = {_normal(word) for word in (self.name, self.distribution, self.qualified)}
        return any(_normal(word) in ours for word in words)

    def load(self) -> Any:
        """Import and return the object; whatever goes wrong becomes a `PluginError`."""
        from importlib_metadata import EntryPoint

        try:
            return EntryPoint(self.name, self.value, self.group).load()
        except (Exception, SystemExit) as error:
            raise self.broken(f"{type(error).__name__}: {error}") from error

    def broken(self, why: str) -> PluginError:
        """Return the error that says whose entry point is broken, and why."""
        return PluginError(
            f"{self.name!r} of {self.distribution} {self.version} ({self.value}) cannot be used: "
            f"{why.rstrip('.')}. `qualipy plugins` shows every pack's state; set "
            f"QUALIPY_DISABLE={self.distribution} to do without this one.",
            name=self.name,
            distribution=self.distribution,
            version=self.version,
        )


def find(group: str, entry_points: Iterable[EntryPoint] | None = None) -> tuple[Entry, ...]:
    """Find the entry points of a group in every installed distribution; import none.

    Parameters
    ----------
    group : str
        `FILTERS` or `HOOKS`.
    entry_points : iterable of EntryPoint, optional
        Looked through instead of what is installed.

    Returns
    -------
    tuple of Entry
        Sorted.
    """
    found = set()
    for point in _installed_entry_points() if entry_points is None else entry_points:
        if point.group == group:
            distribution = point.dist.name if point.dist else "unknown"
            version = point.dist.version if point.dist else "0"
            found.add(Entry(point.name, distribution, version, point.value, group))
    return tuple(sorted(found))


def _installed_entry_points() -> Iterator[EntryPoint]:
    """Those of every distribution; one whose metadata is damaged costs a warning."""
    from importlib_metadata import distributions

    seen: set[str] = set()
    for distribution in distributions():
        try:
            points = distribution.entry_points
            if not any(point.group in (FILTERS, HOOKS) for point in points):
                continue
            name = _normal(distribution.name)
            _ = distribution.version
        except Exception as error:
            where = getattr(distribution, "_path", distribution)
            warnings.warn(
                f"The metadata of {where} is damaged and passed over: {type(error).__name__}: "
                f"{error}",
                PluginWarning,
                stacklevel=2,
            )
            continue
        if name not in seen:  # the first one on the path is the one that Python imports
            seen.add(name)
            yield from points


class Registry:
    """The filters that can be asked for by name.

    Parameters
    ----------
    entries : iterable of Entry
        What was found.
    disabled, preferred : iterable of str
        As in ``QUALIPY_DISABLE`` and ``QUALIPY_PREFER``.
    """

    def __init__(
        self,
        entries: Iterable[Entry] = (),
        disabled: Iterable[str] = (),
        preferred: Iterable[str] = (),
    ) -> None:
        disabled = tuple(disabled)
        self._disabled: list[Entry] = []
        self._entries: dict[str, Entry] = {}
        for entry in sorted(entries):
            if entry.is_named_by(disabled):
                self._disabled.append(entry)
            else:
                self._entries[entry.qualified] = entry
        self._preferred = {_normal(word) for word in preferred}
        self._loaded: dict[str, type[Criterion]] = {}
        self._failures: dict[str, PluginError] = {}
        self._registered: dict[str, type[Criterion]] = {}

    def names(self) -> tuple[str, ...]:
        """Return the names by which a filter can be had, sorted.

        Where several packs offer a name and none is preferred, ``distribution:name`` for each.
        """
        names = set(self._registered)
        for entry in self._entries.values():
            chosen = self._candidates(entry.name)
            names.add(entry.name if len(chosen) == 1 else entry.qualified)
        return tuple(sorted(names))

    def entry(self, name: str) -> Entry | None:
        """Return where a name comes from; ``None`` for a class registered at run time.

        Raises
        ------
        UnknownFilterError, AmbiguousFilterError
            No pack, or more than one, offers the name.
        """
        if name in self._registered:
            return None
        if name in self._entries:
            return self._entries[name]
        candidates = self._candidates(name)
        if not candidates:
            raise self._unknown(name)
        if len(candidates) > 1:
            qualified = [entry.qualified for entry in candidates]
            raise AmbiguousFilterError(
                f"Several packs offer a filter {name!r}: {', '.join(qualified)}. Ask for one of "
                f"these, or choose with QUALIPY_PREFER={qualified[0]}.",
                name=name,
                installed=self.names(),
                distributions=tuple(entry.distribution for entry in candidates),
            )
        return candidates[0]

    def get(self, name: str) -> type[Criterion]:
        """Return the filter class of a name, importing its module when it is first asked for.

        Parameters
        ----------
        name : str
            A filter's name, or ``distribution:name``.

        Raises
        ------
        UnknownFilterError, AmbiguousFilterError
            No pack, or more than one, offers the name.
        PluginError
            Its pack is broken.
        """
        entry = self.entry(name)
        return self._registered[name] if entry is None else self.load(entry)

    def load(self, entry: Entry) -> type[Criterion]:
        """Return the class of an entry; a failure is kept and raised again to whoever asks."""
        key = entry.qualified
        if key in self._failures:
            raise self._failures[key]
        if key not in self._loaded:
            try:
                self._loaded[key] = _checked(entry, entry.load())
            except PluginError as error:
                self._failures[key] = error
                raise
        return self._loaded[key]

    def entries(self) -> tuple[Entry, ...]:
        """Return every entry that was found, the disabled ones included, sorted."""
        return tuple(sorted([*self._entries.values(), *self._disabled]))

    def state(self, entry: Entry) -> tuple[State, str]:
        """Return how an entry stands, and for a broken or ambiguous one why."""
        if entry in self._disabled:
            return "disabled", _SWITCHED_OFF
        if entry.qualified in self._failures:
            return "broken", _cause(self._failures[entry.qualified])
        candidates = self._candidates(entry.name)
        if entry not in candidates:
            return "ambiguous", f"{candidates[0].qualified} is preferred"
        if len(candidates) > 1:
            others = ", ".join(c.qualified for c in candidates if c != entry)
            return "ambiguous", f"also offered by {others}"
        return ("loaded" if entry.qualified in self._loaded else "found"), ""

    def name_of(self, cls: type[Criterion]) -> str:
        """Return the name by which a class can be had: bare, or qualified where it must be."""
        if self._registered.get(cls.name) is cls:
            return cls.name
        for key, loaded in self._loaded.items():
            if loaded is cls and self._candidates(cls.name) != [self._entries[key]]:
                return key
        return cls.name

    def prefers(self, entry: Entry) -> bool:
        """Return whether the user has chosen this entry, by ``QUALIPY_PREFER``."""
        return _normal(entry.qualified) in self._preferred

    @contextmanager
    def registered(self, *classes: type[Criterion]) -> Iterator[None]:
        """Offer filter classes for a while without installing anything; for tests."""
        before = dict(self._registered)
        self._registered.update({cls.name: cls for cls in classes})
        try:
            yield
        finally:
            self._registered = before

    def origin(self, cls: type[Criterion]) -> tuple[str | None, str | None]:
        """Return the distribution and version that brought a class, or ``(None, None)``."""
        for key, loaded in self._loaded.items():
            if loaded is cls:
                return self._entries[key].distribution, self._entries[key].version
        where = f"{cls.__module__}:{cls.__qualname__}"
        for entry in self._entries.values():
            if entry.value == where:
                return entry.distribution, entry.version
        return None, None

    def _candidates(self, name: str) -> list[Entry]:
        offered = [entry for entry in self._entries.values() if entry.name == name]
        chosen = [entry for entry in offered if self.prefers(entry)]
        return chosen[:1] or offered

    def _unknown(self, name: str) -> UnknownFilterError:
        from qualipy_core.parameters import did_you_mean

        names = self.names()
        installed = f"Installed: {', '.join(names)}." if names else "No filters are installed."
        off = [entry.distribution for entry in self._disabled if entry.name == name]
        hint = f" {off[0]} has one, but QUALIPY_DISABLE switches it off." if off else ""
        if not names and not off:
            hint = " `pip install qualipy-filters-builtin` brings the built-in ones."
        return UnknownFilterError(
            f"Unknown filter {name!r}. {installed}{hint or did_you_mean(name, names)}",
            name=name,
            installed=names,
        )


def _checked(entry: Entry, loaded: object) -> type[Criterion]:
    from qualipy_core.filter import Filter
    from qualipy_core.setfilter import SetFilter

    if not (isinstance(loaded, type) and issubclass(loaded, Filter | SetFilter)):
        raise entry.broken("it is no subclass of qualipy_core.Filter or SetFilter")
    if loaded.name != entry.name:
        raise entry.broken(
            f"the class is named {loaded.name!r} and its entry point {entry.name!r}; "
            "they must be equal"
        )
    return loaded


def _cause(error: PluginError) -> str:
    cause = error.__cause__
    return str(error) if cause is None else f"{type(cause).__name__}: {cause}"


def _normal(word: str) -> str:
    """Names of distributions compare without case and with ``-``, ``_``, ``.`` alike (PEP 503)."""
    return re.sub(r"[-_.]+", "-", word.strip()).lower()


def _words(variable: str) -> list[str]:
    return [word.strip() for word in os.environ.get(variable, "").split(",") if word.strip()]


@cache
def registry() -> Registry:
    """Return the registry of what is installed, made when it is first asked for."""
    return Registry(find(FILTERS), _words("QUALIPY_DISABLE"), _words("QUALIPY_PREFER"))


def survey() -> list[tuple[Entry, State, str]]:
    """Load everything that is installed and not disabled, and return how each entry stands.

    Returns
    -------
    list of (Entry, str, str)
        Filters and hooks, by distribution; the state, and where there is one its cause.
    """
    filters = registry()
    for entry in filters.entries():
        if filters.state(entry)[0] != "disabled":
            with suppress(PluginError):
                filters.load(entry)
    surveyed = [(entry, *filters.state(entry)) for entry in filters.entries()]
    surveyed += [(entry, *hooks().state(entry)) for entry in find(HOOKS)]
    return sorted(surveyed, key=lambda row: (_normal(row[0].distribution), row[0]))


def usable_filters(*, every: bool = False) -> list[Criterion]:
    """Return the installed filters that run by default, made with theirs; warn of broken ones.

    Parameters
    ----------
    every : bool
        Those as well that a run takes only when they are named.
    """
    usable = []
    for name in registry().names():
        try:
            cls = registry().get(name)
            if every or cls.by_default:
                usable.append(cls())
        except QualipyError as error:
            warnings.warn(f"left out: {error}", PluginWarning, stacklevel=3)
    return usable


def origin(cls: type[Criterion]) -> tuple[str | None, str | None]:
    """Return the distribution and version that brought a filter class."""
    return registry().origin(cls)


def refresh() -> None:
    """Look again at what is installed and at the environment; for tests and notebooks."""
    registry.cache_clear()
    _installed_hooks.cache_clear()


class Hooks:
    """The hook implementations of every pack, each called so that its failure is its own.

    Parameters
    ----------
    entries : iterable of Entry
        What was found under ``qualipy.hooks``, without what is disabled.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        import pluggy

        from qualipy_core import hookspecs

        self.manager = pluggy.PluginManager(hookspecs.PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self.failures: dict[Entry, PluginError] = {}
        self._owners: dict[str, Entry] = {}
        self._callers: dict[str, list[tuple[Entry, pluggy.HookCaller]]] = {}
        self._complained: set[tuple[str, str]] = set()
        for entry in entries:
            try:
                self.add(entry.load(), entry)
            except PluginError as error:
                self.failures[entry] = error

    def add(self, plugin: object, entry: Entry) -> None:
        """Register an object that holds hook implementations.

        Raises
        ------
        PluginError
            pluggy refuses it: a hook that there is not, or with arguments that it has not.
        """
        import pluggy

        try:
            self.manager.register(plugin, name=entry.qualified)
            self.manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            self.manager.unregister(name=entry.qualified)
            raise entry.broken(str(error)) from error
        self._owners[entry.qualified] = entry
        self._callers.clear()

    def state(self, entry: Entry) -> tuple[State, str]:
        """Return how an entry stands, and for a broken or disabled one why."""
        if entry in self.failures:
            return "broken", _cause(self.failures[entry])
        if entry.qualified in self._owners:
            return "loaded", ""
        return "disabled", _SWITCHED_OFF

    def callers(self, hook: str) -> list[tuple[Entry, pluggy.HookCaller]]:
        """Return a caller per pack that implements a hook, in the order of their names.

        Those marked ``tryfirst`` come before the others, those marked ``trylast`` after them.
        """
        if hook in self._callers:
            return self._callers[hook]
        implemented = {
            each.plugin_name: each.trylast - each.tryfirst
            for each in getattr(self.manager.hook, hook).get_hookimpls()
        }
        everyone = dict(self.manager.list_name_plugin())
        callers = []
        for name in sorted(implemented, key=lambda name: (implemented[name], name)):
            others = [plugin for other, plugin in everyone.items() if other != name]
            caller = self.manager.subset_hook_caller(hook, remove_plugins=others)
            callers.append((self._owners[name], caller))
        self._callers[hook] = callers
        return callers

    def complain(self, entry: Entry, hook: str, error: BaseException) -> None:
        """Warn, once per pack and hook, that an implementation failed."""
        if (entry.qualified, hook) not in self._complained:
            self._complained.add((entry.qualified, hook))
            warnings.warn(
                f"The hook {hook} of {entry.distribution} {entry.version} failed: "
                f"{type(error).__name__}: {error}",
                PluginWarning,
                stacklevel=3,
            )


@cache
def _installed_hooks() -> Hooks:
    disabled = _words("QUALIPY_DISABLE")
    return Hooks(entry for entry in find(HOOKS) if not entry.is_named_by(disabled))


_replacement: Hooks | None = None


def hooks() -> Hooks:
    """Return the hooks of every pack, loaded when they are first needed."""
    return _replacement or _installed_hooks()


@contextmanager
def hooks_replaced(by: Hooks) -> Iterator[None]:
    """Use other hooks than those of the installed packs for a while; for tests."""
    global _replacement
    before, _replacement = _replacement, by
    try:
        yield
    finally:
        _replacement = before


def open_source(
    source: str, roots: Roots | None = None, limits: Limits | None = None
) -> bytes | NDArray[np.uint8] | None:
    """Ask the packs to open a source; ``None`` when it is for nobody.

    Parameters
    ----------
    source : str
        A path or URL that may be read.
    roots : Roots, optional
        What else may be read; everything, by default.
    limits : Limits, optional
        What it may cost; as the environment says, by default.

    Raises
    ------
    ImageReadError
        A pack took it on and failed.
    """
    limits = checked(limits).in_force()
    roots = Roots() if roots is None else roots
    for entry, call in hooks().callers("qualipy_open_source"):
        try:
            opened = call(source=source, roots=roots, limits=limits)
        except QualipyError:
            raise
        except Exception as error:
            raise ImageReadError(
                f"{shown(source)} cannot be opened by {entry.distribution} {entry.version}: "
                f"{type(error).__name__}: {error}.",
                image=source,
            ) from error
        if opened is None:
            continue
        if not (isinstance(opened, bytes | bytearray | memoryview) or hasattr(opened, "shape")):
            raise ImageReadError(
                f"{shown(source)} was opened by {entry.distribution} {entry.version} as "
                f"{type(opened).__name__}, not as bytes or an array.",
                image=source,
            )
        return opened  # type: ignore[no-any-return]
    return None


def observe(result: Result) -> None:
    """Show a result to every pack that observes results."""
    for entry, call in hooks().callers("qualipy_result"):
        try:
            call(result=result)
        except Exception as error:
            hooks().complain(entry, "qualipy_result", error)


def executors() -> Mapping[str, ExecutorFactory]:
    """Return the executors that packs add, by name."""
    offered: dict[str, ExecutorFactory] = {}
    for entry, call in hooks().callers("qualipy_executors"):
        try:
            for added in call():
                offered.update(added)
        except Exception as error:
            hooks().complain(entry, "qualipy_executors", error)
    return offered


def add_commands(cli: Any) -> None:
    """Let every pack add its commands to the command line."""
    for entry, call in hooks().callers("qualipy_commands"):
        try:
            call(cli=cli)
        except Exception as error:
            hooks().complain(entry, "qualipy_commands", error)
