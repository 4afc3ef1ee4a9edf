"""How the photos of a report were judged: a record beside the file, until the run has ended.

The lines of a report name filters, but not their parameters; whoever goes on with it must know
that these are the same. `Record` is what is compared. It lies in ``run.jsonl.unfinished`` beside
``run.jsonl`` from before the first line until after the last one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from qualipy.cli.failures import WrongUse

if TYPE_CHECKING:
    from qualipy_core import ROI
    from qualipy_core.criterion import Criterion

SUFFIX = ".unfinished"
_ABSENT = object()


@dataclass(frozen=True)
class Record:
    """What decides what a run writes about a photo."""

    form: str  #: of the report
    filters: Mapping[str, Mapping[str, Any]]  #: the parameters of each, in the order of the run
    roi: list[int] | None
    stop_early: bool
    packs: Mapping[str, str]  #: the distribution and version that brought each filter
    files: Mapping[str, str]  #: digests of files that parameters name, by ``filter.parameter``
    core: str  #: the version of what opens the photos

    @classmethod
    def of(
        cls, form: str, filters: Mapping[str, Criterion], roi: ROI | None, stop_early: bool
    ) -> Self:
        """Return the record of a run.

        Parameters
        ----------
        form : str
            Of the report.
        filters : mapping of str to Filter
            By their key in results.
        roi : ROI or None
            The region that is judged.
        stop_early : bool
            Whether an image's other filters are left out once one is positive.
        """
        from qualipy_core import __version__, plugins

        described = {}
        for label, item in filters.items():
            values = {name: v for name, v in item.to_dict().items() if name != "name"}
            described[label] = json.loads(json.dumps(values))  # as it will be read
        origins = {label: plugins.origin(type(item)) for label, item in filters.items()}
        return cls(
            form=form,
            filters=described,
            roi=None if roi is None else list(roi),
            stop_early=stop_early,
            packs={label: f"{name} {version}" for label, (name, version) in origins.items()},
            files=dict(_digests(filters)),
            core=__version__,
        )

    @classmethod
    def read(cls, path: str) -> Self | None:
        """Return the record in a file; ``None`` when there is no such file.

        Raises
        ------
        WrongUse
            There is one, but it is none of ours.
        """
        try:
            with open(path, "rb") as file:
                return cls(**json.loads(file.read()))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise WrongUse(f"{path} cannot be read: {error.strerror}.") from None
        except (ValueError, TypeError):
            raise WrongUse(
                f"{path} is not this program's record of an unfinished run. Move it away."
            ) from None

    def keep(self, path: str) -> None:
        """Write the record to a file, which holds all of it or is not there.

        Raises
        ------
        OSError
            It cannot be written.
        """
        unfinished = f"{path}.new"
        try:
            with open(unfinished, "w", encoding="utf-8") as file:
                json.dump(asdict(self), file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except OSError:
            with suppress(OSError):
                os.unlink(unfinished)
            raise

    def asks_for_the_same(self, other: Record) -> bool:
        """Whether both come of the same words on the command line."""
        return self._asked() == other._asked()

    def differences(self, earlier: Record) -> list[str]:
        """Return what is otherwise than in an earlier run, in words; nothing when it is the same.

        Parameters
        ----------
        earlier : Record
            Of the run to go on with.
        """
        return list(self._differences(earlier))

    def _differences(self, earlier: Record) -> Iterator[str]:
        if self.form != earlier.form:
            yield f"the form is {self.form}, and was {earlier.form}"
        if list(self.filters) != list(earlier.filters):
            now, before = ", ".join(self.filters), ", ".join(earlier.filters)
            yield f"the filters are {now}, and were {before}"
            return
        for label, values in self.filters.items():
            were = earlier.filters[label]
            for name in dict.fromkeys([*values, *were]):
                now, before = values.get(name, _ABSENT), were.get(name, _ABSENT)
                if now != before:
                    yield f"{label}.{name} is {_told(now)}, and was {_told(before)}"
        if self.roi != earlier.roi:
            yield f"the ROI is {_region(self.roi)}, and was {_region(earlier.roi)}"
        if self.stop_early != earlier.stop_early:
            yield f"--stop-early is {_set(self.stop_early)}, and was {_set(earlier.stop_early)}"
        for label, pack in self.packs.items():
            if pack != earlier.packs.get(label):
                yield f"{label} is of {pack}, and was of {earlier.packs.get(label)}"
        for place in sorted({*self.files, *earlier.files}):
            if self.files.get(place) != earlier.files.get(place):
                yield f"the file of {place} has changed"
        if self.core != earlier.core:
            yield f"QualiPy is {self.core}, and was {earlier.core}"

    def _asked(self) -> tuple[Any, ...]:
        return self.form, list(self.filters.items()), self.roi, self.stop_early


def _digests(filters: Mapping[str, Criterion]) -> Iterator[tuple[str, str]]:
    """The content of the files that parameters name, such as models."""
    from qualipy_core.parameters import parameters_of

    for label, item in filters.items():
        for parameter in parameters_of(type(item)):
            path = getattr(item, parameter.name) if parameter.local else None
            if path is not None and os.path.isfile(path):
                with suppress(OSError), open(path, "rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                    yield f"{label}.{parameter.name}", digest


def _told(value: Any) -> str:
    return "left out" if value is _ABSENT else json.dumps(value)


def _region(roi: list[int] | None) -> str:
    return "none" if roi is None else ",".join(map(str, roi))


def _set(switch: bool) -> str:
    return "set" if switch else "not set"
