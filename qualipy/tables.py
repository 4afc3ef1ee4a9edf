"""Results as tables: a pandas DataFrame, a Parquet file. The columns of both are the same.

Parquet needs pyarrow, the extra ``parquet``; a DataFrame needs pandas, the extra ``dataframe``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from qualipy.results import SCHEMA_VERSION, check_version, result_from
from qualipy_core.errors import MissingLibraryError, ResultError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pyarrow import parquet

    from qualipy_core import Result
    from qualipy_core.criterion import Criterion

BEFORE = ("image", "suitable", "flagged", "error")
AFTER = ("seconds", "ROI", "companions", "error_details", "image_bytes")
ROWS = 20_000  # in a row group: what is held in memory, some 40 MB
UNFINISHED = ".part"  # behind the name of a Parquet file until it has its end, which readers need
_METADATA = b"qualipy"


def need_pyarrow() -> None:
    """Fail now, rather than after the work.

    Raises
    ------
    MissingLibraryError
        pyarrow is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise MissingLibraryError(
            "Parquet files need pyarrow: `pip install 'qualipy[parquet]'`. JSON Lines and CSV "
            "work without it."
        ) from error


def column(label: str) -> str:
    """Return the name of a filter's column: its own, unless another column has it."""
    return f"predictions.{label}" if label in (*BEFORE, *AFTER) else label


def to_dataframe(results: Iterable[Result]) -> pd.DataFrame:
    """Return results as a table with a row per photo.

    Parameters
    ----------
    results : iterable of Result
        They are read to their end.

    Returns
    -------
    pandas.DataFrame
        As `Results.to_dataframe` says; the columns of filters in the order in which they occur.

    Raises
    ------
    MissingLibraryError
        (ImportError) pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingLibraryError(
            "A DataFrame needs pandas: `pip install 'qualipy[dataframe]'`. "
            "`Result.to_dict` gives plain data without it."
        ) from error
    rows = [row(result) for result in results]
    labels = list(dict.fromkeys(label for each in rows for label in each["predictions"]))
    kind = None if rows else "object"  # of no values pandas would make numbers

    def values(names: Iterable[str]) -> dict[str, Any]:
        return {name: pd.Series([each[name] for each in rows], dtype=kind) for name in names}

    data = values(BEFORE)
    for label in labels:
        predictions = [each["predictions"].get(label) for each in rows]
        data[column(label)] = pd.Series(predictions, dtype="float64")
    frame = pd.DataFrame(data | values(AFTER))
    return frame.astype({"suitable": "bool", "seconds": "float64"}).drop(columns="image_bytes")


def row(result: Result) -> dict[str, Any]:
    """Return a result by column; the predictions still by filter, under ``predictions``."""
    plain = result.to_dict()
    details: dict[str, Any] = {name: plain[name] for name in ("error", "failures") if name in plain}
    image = _text(result.image)
    return {
        "image": image,
        "suitable": plain["suitable"],
        "flagged": plain["flagged"],
        "error": _text("; ".join(_said(details))) if details else None,
        "predictions": plain["predictions"],
        "seconds": plain["seconds"],
        "ROI": plain.get("ROI"),
        "companions": {
            name: [_text(each) for each in images]
            for name, images in plain.get("companions", {}).items()
        },
        "error_details": json.dumps(details) if details else None,
        "image_bytes": None if image == result.image else _bytes(result.image),
    }


class ParquetFile:
    """A Parquet file that results are added to, one at a time; a context manager.

    The rows are written in groups of 20,000. The file appears under its name once it is whole,
    at the end, and replaces what was there; until then it is ``FILE.part``.

    Parameters
    ----------
    path : path
        Of the file.
    filters : mapping of str to Filter
        Those of the run, by their key in results, in the order of the columns; ``None`` where
        the parameters are not known.

    Raises
    ------
    MissingLibraryError
        (ImportError) pyarrow is not installed.
    OSError
        It cannot be written; also from `add` and `close`.
    """

    def __init__(
        self, path: str | os.PathLike[str], filters: Mapping[str, Criterion | None]
    ) -> None:
        need_pyarrow()
        from pyarrow import parquet

        self.path = os.path.realpath(path)
        self._labels = list(filters)
        self._rows: list[dict[str, Any]] = []
        self._schema = arrow_schema(filters)
        self._over = False
        self._file = open(self.path + UNFINISHED, "wb")  # noqa: SIM115 (`close` does it)
        self._writer = parquet.ParquetWriter(self._file, self._schema, compression="zstd")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, OSError):
            self.abandon()
        else:
            self.close()

    def add(self, result: Result) -> None:
        """Add a row."""
        self._rows.append(row(result))
        if len(self._rows) >= ROWS:
            self._write()

    def close(self) -> None:
        """Write what is left and the end, and give the file its name; again: nothing."""
        if self._over:
            return
        try:
            self._write()
            self._writer.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            os.replace(self.path + UNFINISHED, self.path)
            self._over = True
        except BaseException:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Remove what has been written; a file of that name stays, whether old or whole."""
        if self._over:
            return
        self._over = True
        self._rows.clear()
        with suppress(OSError):
            self._writer.close()
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            os.unlink(self.path + UNFINISHED)

    def _write(self) -> None:
        import pyarrow as pa

        if not self._rows:
            return
        rows, self._rows = self._rows, []
        columns: list[list[Any]] = [[each[name] for each in rows] for name in BEFORE]
        columns += [[each["predictions"].get(label) for each in rows] for label in self._labels]
        columns += [_column(name, rows) for name in AFTER]
        arrays = [
            pa.array(values, field.type)
            for values, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))


def arrow_schema(filters: Mapping[str, Criterion | None]) -> pa.Schema:
    """Return the schema of a Parquet file of results.

    Its metadata has, under ``qualipy``, a JSON object: ``schema``, the version; and ``filters``,
    by their key in results: the ``column`` of each and its ``parameters``, the threshold among
    them.
    """
    import pyarrow as pa

    from qualipy import __version__

    types = {
        "image": pa.string(),
        "suitable": pa.bool_(),
        "flagged": pa.list_(pa.string()),
        "error": pa.string(),
        "seconds": pa.float64(),
        "ROI": pa.list_(pa.int64()),
        "companions": pa.map_(pa.string(), pa.list_(pa.string())),
        "error_details": pa.string(),
        "image_bytes": pa.binary(),
    }
    always = ("image", "suitable", "flagged", "seconds")
    fields = [
        *(pa.field(name, types[name], nullable=name not in always) for name in BEFORE),
        *(pa.field(column(label), pa.float64()) for label in filters),
        *(pa.field(name, types[name], nullable=name not in always) for name in AFTER),
    ]
    described = {
        "schema": SCHEMA_VERSION,
        "qualipy": __version__,
        "filters": {
            label: {"column": column(label), "parameters": item and item.to_dict()}
            for label, item in filters.items()
        },
    }
    return pa.schema(fields, metadata={_METADATA: json.dumps(described)})


def read_parquet(path: str) -> Iterator[Result]:
    """Yield the results of a Parquet file, as `read_results` does."""
    need_pyarrow()
    number = 0
    with _parquet_of(path) as file:
        version, labels = _described(file.schema_arrow, path)
        batches = file.iter_batches(1000)
        while True:
            with _told(path, f"is damaged behind row {number:,}"):
                batch = next(batches, None)
                rows = [] if batch is None else batch.to_pylist()
            if batch is None:
                return
            for each in rows:
                number += 1
                place = f"{path}, row {number}"
                yield result_from(_plain(each, labels, version, place), place)


@contextmanager
def _parquet_of(path: str) -> Iterator[parquet.ParquetFile]:
    from pyarrow import parquet

    with open(path, "rb") as source:
        with _told(path, "is no Parquet file"):
            file = parquet.ParquetFile(source)
        with file:
            yield file


@contextmanager
def _told(path: str, what: str) -> Iterator[None]:
    """Say of what the library raises where it was, and that the file is to blame."""
    import pyarrow as pa

    try:
        yield
    # What a damaged page holds may end in any of these; an `OSError` of the system has a number.
    except (pa.ArrowException, ValueError, OverflowError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ResultError(f"{path} {what}: {error}", place=path) from None


def _described(schema: pa.Schema, path: str) -> tuple[Any, dict[str, str]]:
    """The version of a file's schema, and the filter that each column of predictions is of."""
    try:
        described = json.loads((schema.metadata or {}).get(_METADATA, b"null"))
    except (ValueError, RecursionError):
        described = None
    if not isinstance(described, dict):
        raise ResultError(f"{path} is no Parquet file of results.", place=path)
    version = described.get("schema")
    check_version(version, path)
    filters = described.get("filters")
    place = f"{path}, filters of its metadata"
    if not isinstance(filters, dict):
        raise ResultError(f"{place}: is {filters!r}, and must be an object.", place=place)
    labels = {}
    for label, each in filters.items():
        name = each.get("column") if isinstance(each, dict) else None
        if not isinstance(name, str) or name not in schema.names:
            place = f"{path}, filters.{label} of its metadata"
            raise ResultError(f"{place}: names no column of the file.", place=place)
        labels[name] = label
    if missing := {"image", "flagged", "seconds"} - set(schema.names):
        raise ResultError(f"{path} lacks the column {min(missing)}.", place=path)
    return version, labels


def _plain(
    row: Mapping[str, Any], labels: Mapping[str, str], version: Any, place: str
) -> dict[str, Any]:
    """A row as `Result.to_dict` has it."""
    try:
        return _as_dict(row, labels, version)
    except (ValueError, TypeError, RecursionError) as error:
        raise ResultError(f"{place}: {error}.", place=place) from None


def _as_dict(row: Mapping[str, Any], labels: Mapping[str, str], version: Any) -> dict[str, Any]:
    image, raw = row["image"], row.get("image_bytes")
    plain: dict[str, Any] = {
        "schema": version,
        "image": image if raw is None else os.fsdecode(raw),
        "flagged": row["flagged"],
        "predictions": {
            label: row[name] for name, label in labels.items() if row[name] is not None
        },
        "seconds": row["seconds"],
    }
    if row.get("ROI") is not None:
        plain["ROI"] = row["ROI"]
    if row.get("companions"):
        plain["companions"] = dict(row["companions"])
    if row.get("error_details") is not None:
        plain |= json.loads(row["error_details"])
    return plain


def _column(name: str, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    if name == "companions":
        return [list(each[name].items()) for each in rows]
    return [each[name] for each in rows]


def _said(details: Mapping[str, Any]) -> Iterator[str]:
    if "error" in details:
        yield f"{details['error']['type']}: {details['error']['message']}"
    else:
        for name, failure in details["failures"].items():
            yield f"{name}: {failure['type']}: {failure['message']}"


def _bytes(name: str) -> bytes | None:
    try:
        return os.fsencode(name)
    except UnicodeEncodeError:  # a surrogate that stands for no byte: no name of a file
        return None


def _text(text: str) -> str:
    r"""The same text as valid UTF-8; a byte of a name that is none becomes ``\udcff``."""
    return text.encode("utf-8", "backslashreplace").decode()
