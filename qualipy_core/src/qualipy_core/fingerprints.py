"""Fingerprints that are kept, to compare tomorrow's photos with today's: `Fingerprints`.

An SQLite database, which survives a crash at any byte, grows without being written anew, and holds
plain data. What it holds was made by certain filters of certain releases, which it names; it is
used with these alone. Images are known by their absolute path, or their URL, and their region; a
file whose size or time of modification is another one since is a new image.
"""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qualipy_core.arrays import all_finite, dtype_from_json, dtype_to_json
from qualipy_core.errors import StoreError
from qualipy_core.image import Image

if TYPE_CHECKING:
    from qualipy_core.plan import Plan, Task
    from qualipy_core.setfilter import SetFilter

_APPLICATION = 0x51504658  # "QPFX", in SQLite's header: whose file this is
_VERSION = 1
_MAGIC = b"SQLite format 3\0"
_PATIENCE = 30.0  # seconds to wait for another run that is just writing
_SCHEMA = (
    "CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """
CREATE TABLE photos (
    number INTEGER PRIMARY KEY,
    name BLOB NOT NULL,      -- UTF-8, with what the system calls files by
    region TEXT NOT NULL,    -- JSON: null, or [x, y, width, height]
    size INTEGER,
    modified INTEGER,        -- nanoseconds
    UNIQUE (name, region)
)""",
    """
CREATE TABLE fingerprints (
    filter TEXT NOT NULL,
    photo INTEGER NOT NULL REFERENCES photos,
    data BLOB NOT NULL,
    PRIMARY KEY (filter, photo)
) WITHOUT ROWID""",
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {_VERSION}",
)


class Identity(NamedTuple):
    """By what an image is known again."""

    name: str  #: the absolute path, or the URL
    region: str  #: JSON: ``null``, or ``[x, y, width, height]``
    size: int | None  #: of the file, in bytes; None: it is none of this machine
    modified: int | None  #: Unix time in nanoseconds

    @classmethod
    def of(cls, task: Task) -> Identity | None:
        """Return the identity of an image as it is now; ``None`` if it has no path or URL."""
        source = task.source
        path = source._picture.path if isinstance(source, Image) else source
        if not isinstance(path, str | os.PathLike):
            return None
        roi = task.ROI if task.ROI is not None or not isinstance(source, Image) else source.ROI
        region = json.dumps(None if roi is None else [int(part) for part in roi])
        name = os.fspath(path)
        if "://" in name:
            return cls(name, region, None, None)
        try:
            status = os.stat(name)
        except (OSError, ValueError):
            return cls(os.path.abspath(name), region, None, None)
        return cls(os.path.abspath(name), region, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class Kept:
    """The fingerprints of one filter that are kept."""

    names: list[str]  #: of the images
    regions: list[str]
    rows: NDArray[Any]  #: shape (n, *shape)


class Fingerprints:
    """A file of fingerprints, which runs extend and compare with.

    Parameters
    ----------
    path : str or path
        Of the file; it need not be there yet.
    again : bool
        Measure images again that are in it and have not changed; otherwise a run leaves them out.

    Examples
    --------
    >>> for result in scan(new_photos, ["near_duplicates"], fingerprints=Fingerprints("all.qpf")):
    ...     print(result.image, result.companions)
    """

    def __init__(self, path: str | os.PathLike[str], *, again: bool = False) -> None:
        self.path = os.path.abspath(os.fspath(path))
        self.again = again
        self.on_left_out: Callable[[Task], object] | None = None  #: told of images that it knows
        self._database: sqlite3.Connection | None = None

    def __len__(self) -> int:
        """How many images there are fingerprints of."""
        if not os.path.exists(self.path):
            return 0
        with self._using() as database:
            return int(database.execute("SELECT COUNT(*) FROM photos").fetchone()[0])

    def __bool__(self) -> bool:
        return True

    def names(self) -> Iterator[str]:
        """Yield what the images are called: absolute paths and URLs, sorted."""
        if os.path.exists(self.path):
            with self._using() as database:
                for (name,) in database.execute("SELECT name FROM photos ORDER BY name, region"):
                    yield _text(name)

    def forget(self, names: Iterable[str | os.PathLike[str]]) -> int:
        """Remove images that there are no more; return how many were there.

        Parameters
        ----------
        names : iterable of str or path
            As `names` gives them; relative paths are meant from this folder.
        """
        wanted = [(_bytes(_name(os.fspath(name))),) for name in names]
        with self._using() as database, database:
            before = database.total_changes
            database.executemany("DELETE FROM photos WHERE name = ?", wanted)
            gone = database.total_changes - before
            database.execute(
                "DELETE FROM fingerprints WHERE photo NOT IN (SELECT number FROM photos)"
            )
        return gone

    def knows(self, identity: Identity) -> bool:
        """Whether an image is in it, and has not changed."""
        with self._using() as database:
            row = database.execute(
                "SELECT size, modified FROM photos WHERE name = ? AND region = ?",
                (_bytes(identity.name), identity.region),
            ).fetchone()
        return row is not None and row == (identity.size, identity.modified)

    def skips(self, task: Task) -> bool:
        """Whether a run leaves an image out: it is known, and not to be measured again."""
        if self.again:
            return False
        identity = Identity.of(task)
        known = identity is not None and self.knows(identity)
        if known and self.on_left_out is not None:
            self.on_left_out(task)
        return known

    @contextmanager
    def opened(self, plan: Plan) -> Iterator[None]:
        """Open the file for a run, and close it after that.

        Raises
        ------
        StoreError
            (ValueError) It is no such file, or of other filters than those of the plan.
        """
        with closing(self._connect(create=True)) as database:
            self._check_filters(database, plan)
            self._database = database
            try:
                yield
            finally:
                self._database = None

    def kept(self, label: str, without: set[tuple[str, str]]) -> Kept | None:
        """Return all that is kept of a filter; nothing if there is none.

        Parameters
        ----------
        label : str
            The filter's key in results.
        without : set of (str, str)
            Names and regions of images to leave out.

        Raises
        ------
        StoreError
            (ValueError) The file is damaged.
        """
        with self._using() as database:
            form = self._forms(database).get(label)
            if form is None:
                return None
            names, regions, data = [], [], bytearray()
            for name, region, row in database.execute(
                "SELECT name, region, data FROM fingerprints JOIN photos ON number = photo "
                "WHERE filter = ?",
                (label,),
            ):
                if (known := _text(name), region) in without:
                    continue
                if not isinstance(row, bytes) or len(row) != form.size:
                    raise self._error(f"is damaged: what it has of {known} is no fingerprint")
                names.append(known)
                regions.append(region)
                data += row
        rows = np.frombuffer(bytes(data), form.dtype).reshape(len(names), *form.shape)
        if not all_finite(rows):
            raise self._error("is damaged: it holds a number that is not finite")
        return Kept(names, regions, rows)

    def extend(
        self,
        forms: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]],
        images: Iterable[tuple[Identity, Mapping[str, bytes]]],
    ) -> None:
        """Add images, or replace what is known of them: all, or none if it fails.

        Parameters
        ----------
        forms : mapping of str to (dtype, shape)
            What fingerprints of each filter are like.
        images : iterable of (Identity, mapping of str to bytes)
            The images, and their fingerprints by filter.
        """
        with self._using() as database, database:
            for label, (dtype, shape) in forms.items():
                text = json.dumps({"dtype": dtype_to_json(dtype), "shape": list(shape)})
                database.execute(
                    "INSERT INTO about VALUES (?, ?) ON CONFLICT DO NOTHING",
                    (f"form:{label}", text),
                )
            for identity, rows in images:
                ((number,),) = database.execute(
                    "INSERT INTO photos (name, region, size, modified) VALUES (?, ?, ?, ?) "
                    "ON CONFLICT (name, region) DO UPDATE SET size = excluded.size, "
                    "modified = excluded.modified RETURNING number",
                    (_bytes(identity.name), *identity[1:]),
                ).fetchall()
                database.executemany(
                    "INSERT OR REPLACE INTO fingerprints VALUES (?, ?, ?)",
                    [(label, number, row) for label, row in rows.items()],
                )

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """The database, opened for the moment if no run has it open."""
        with self._told():
            if self._database is not None:
                yield self._database
            else:
                with closing(self._connect(create=False)) as database:
                    yield database

    def _connect(self, *, create: bool) -> sqlite3.Connection:
        with self._told():
            if os.path.exists(self.path):
                if not stat.S_ISREG(os.stat(self.path).st_mode):
                    raise self._error("is no file")
                with open(self.path, "rb") as file:  # SQLite takes a short file for an empty one
                    if file.read(len(_MAGIC)) not in (b"", _MAGIC):
                        raise self._error("is no file of fingerprints")
            elif not create:
                raise self._error("is not there")
            database = sqlite3.connect(self.path, timeout=_PATIENCE)
            try:
                # What is in it is data: nothing that is defined in it runs.
                database.execute("PRAGMA trusted_schema = OFF")
                database.execute("PRAGMA cell_size_check = ON")
                self._check_file(database)
            except BaseException:
                database.close()
                raise
            return database

    def _check_file(self, database: sqlite3.Connection) -> None:
        marks = _marks(database)
        if not any(marks):
            with database:
                # Another run may be making it: it is looked at again when nobody else can write.
                database.execute("BEGIN IMMEDIATE")
                marks = _marks(database)
                if not any(marks):
                    for statement in _SCHEMA:
                        database.execute(statement)
                    return
        application, version, _ = marks
        if application != _APPLICATION:
            raise self._error("is no file of fingerprints")
        if version != _VERSION:
            raise self._error(f"is of version {version}, and version {_VERSION} is understood here")

    def _check_filters(self, database: sqlite3.Connection, plan: Plan) -> None:
        from qualipy_core import __version__

        about = {
            f"filter:{label}": json.dumps(_described(step), sort_keys=True)
            for label, step in plan.set_filters
        }
        about["core"] = __version__
        with self._told():
            there = _about(database)
            if not there:
                with database:
                    database.execute("BEGIN IMMEDIATE")  # of two first runs, one says what is in it
                    there = _about(database)
                    if not there:
                        database.executemany("INSERT INTO about VALUES (?, ?)", about.items())
                        return
        for name in sorted(about.keys() | there.keys()):
            if about.get(name) != there.get(name):
                what = name.removeprefix("filter:")
                now, before = about.get(name, "not there"), there.get(name, "not there")
                raise self._error(
                    f"has fingerprints that this run cannot use: {what} is {now}, and was {before}."
                    " Run the same filters, or begin a new file"
                )

    def _forms(self, database: sqlite3.Connection) -> dict[str, _Form]:
        forms = {}
        for name, text in database.execute("SELECT name, value FROM about"):
            if not name.startswith("form:"):
                continue
            try:
                plain = json.loads(text)
                forms[name.removeprefix("form:")] = _Form.of(plain["dtype"], plain["shape"])
            except (ValueError, LookupError, TypeError) as error:
                raise self._error(f"is damaged: {name} is {text!r}: {error}") from None
        return forms

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise self._error(f"cannot be used: {error}") from error

    def _error(self, what: str) -> StoreError:
        return StoreError(f"{self.path} {what}".rstrip(".") + ".", path=self.path)


class _Form(NamedTuple):
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    size: int

    @classmethod
    def of(cls, dtype: Any, shape: Any) -> _Form:
        known = dtype_from_json(dtype)
        sides = tuple(int(side) for side in shape)
        return cls(known, sides, known.itemsize * int(np.prod(sides, dtype=np.int64)))


def _marks(database: sqlite3.Connection) -> tuple[int, int, int]:
    """Whose file it is, of which version, and how much is in it, at one moment; of a new one, 0."""
    (marks,) = database.execute(
        "SELECT application_id, user_version, (SELECT COUNT(*) FROM sqlite_master) "
        "FROM pragma_application_id, pragma_user_version"
    ).fetchall()
    application, version, tables = marks
    return application, version, tables


def _about(database: sqlite3.Connection) -> dict[str, str]:
    """By which filters and releases what is in it was made; nothing: nobody has said it yet."""
    there = dict(database.execute("SELECT name, value FROM about"))
    return {name: value for name, value in there.items() if not name.startswith("form:")}


def _described(step: SetFilter) -> dict[str, Any]:
    """What a fingerprint depends on."""
    from qualipy_core import plugins

    distribution, version = plugins.origin(type(step))
    return {**step.measuring(), "pack": distribution, "version": version}


def _name(name: str) -> str:
    return name if "://" in name else os.path.abspath(name)


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


def _text(name: bytes) -> str:
    return bytes(name).decode("utf-8", "surrogatepass")
