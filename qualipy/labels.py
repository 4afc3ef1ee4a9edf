"""Labelled photos: from folders of positives and negatives, or from a CSV file.

A photo that stands under both labels, by its path or as a copy, would count as a mistake whatever
a filter says; it is kept apart. One that is named twice under the same label counts once.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qualipy_core.errors import LabelsError

if TYPE_CHECKING:
    from qualipy_core.image import ImageSource

    Source = ImageSource | Iterable[ImageSource]

POSITIVE = frozenset(["positive", "pos", "true", "yes", "1", "+1", "+", "1.0"])
NEGATIVE = frozenset(["negative", "neg", "false", "no", "0", "-1", "-", "0.0"])
_DELIMITERS = ",;\t"
_NEEDED = ("path", "label")
_GROUP = "group"


@dataclass(frozen=True)
class Sample:
    """One labelled photo."""

    image: Any  #: a path, or whatever else an image can be opened from
    positive: bool
    group: str | None = None  #: photos of one group, such as variants of one picture, go together
    columns: Mapping[str, str] = field(default_factory=dict)  #: all that the CSV file says of it


@dataclass(frozen=True)
class Labelled:
    """Labelled photos, and what had to be left out."""

    samples: tuple[Sample, ...]
    contradictory: tuple[str, ...] = ()  #: photos under both labels
    repeated: int = 0  #: how many were named again under the same label
    unlisted: tuple[tuple[str, str], ...] = ()  #: folders that cannot be listed, and why

    def count(self, positive: bool) -> int:
        """Return how many positives, or negatives, there are."""
        return sum(sample.positive == positive for sample in self.samples)

    @property
    def groups(self) -> list[str] | None:
        """The group of each sample, one of its own where it has none; ``None`` without any."""
        return grouped(self.samples)


def grouped(samples: Sequence[Any]) -> list[str] | None:
    """Return the groups of things that have a ``group``, or ``None`` if none has."""
    if not any(sample.group for sample in samples):
        return None
    return [sample.group or f"\0{number}" for number, sample in enumerate(samples)]


def check_column(photos: Iterable[Any], column: str) -> None:
    """Check that all things that have ``columns`` have this one.

    Raises
    ------
    LabelsError
        One lacks it.
    """
    there = [photo.columns for photo in photos]
    if all(column in columns for columns in there):
        return
    known = list(dict.fromkeys(name for columns in there for name in columns))
    if not known:
        raise LabelsError(f"There is no column {column!r}: columns come from a CSV file of labels.")
    raise _no_column(column, [name for name in known if name != column])


def gather(
    positives: Source = (),
    negatives: Source = (),
    labels: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
    where: Mapping[str, Iterable[str]] | None = None,
) -> Labelled:
    """Collect labelled photos.

    Parameters
    ----------
    positives, negatives : image or iterable of images
        Paths of photos, of folders with photos below them, or patterns; or pixels, bytes, Images.
    labels : path or iterable of paths
        CSV files with a header: ``path``, relative to the file, and ``label``; ``group`` where
        there is one, and any others.
    where : mapping of str to iterable of str, optional
        Take only rows of the CSV files whose column has one of these values.

    Returns
    -------
    Labelled
        Positives and negatives in turn, so that a run that is stopped has seen of both.

    Raises
    ------
    LabelsError
        (ValueError) A CSV file cannot be read or used, or a path holds no photo.
    """
    unlisted: list[tuple[str, str]] = []
    found = [Sample(image, True) for image in _images(positives, unlisted)]
    found += [Sample(image, False) for image in _images(negatives, unlisted)]
    files = [labels] if isinstance(labels, str | os.PathLike) else list(labels)
    if where and not files:
        raise LabelsError("Only rows of a CSV file can be chosen by a column: give its path.")
    for file in files:
        found += read_csv(file, where)
    kept, repeated = _each_once(found)
    contradictory = _under_both(kept)
    left = [sample for sample in kept if _key(sample) not in contradictory]
    return Labelled(
        tuple(_in_turn(left)), tuple(sorted(contradictory.values())), repeated, tuple(unlisted)
    )


def read_csv(
    file: str | os.PathLike[str], where: Mapping[str, Iterable[str]] | None = None
) -> Iterator[Sample]:
    """Yield the samples of a CSV file.

    Raises
    ------
    LabelsError
        It cannot be read, lacks a column, or a label is none.
    """
    path = Path(file)
    wanted = {column: frozenset(values) for column, values in (where or {}).items()}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise LabelsError(f"{path} cannot be read: {reason}.", path=str(path)) from None
    delimiter = max(_DELIMITERS, key=text.partition("\n")[0].count)
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows.fieldnames = [name.strip() for name in rows.fieldnames or ()]
    for column in (*_NEEDED, *wanted):
        if column not in rows.fieldnames:
            raise _no_column(column, rows.fieldnames, str(path))
    try:
        for row in rows:
            columns = {name: (text or "").strip() for name, text in row.items() if name}
            if all(columns[column] in values for column, values in wanted.items()):
                yield _sample(columns, path, rows.line_num)
    except csv.Error as error:
        message = f"{path}, line {rows.line_num}: {error}."
        raise LabelsError(message, path=str(path)) from None


def _sample(columns: dict[str, str], file: Path, line: int) -> Sample:
    label, name = columns["label"].lower(), columns["path"]
    if not name:
        raise LabelsError(f"{file}, line {line}: there is no path.", path=str(file))
    if label not in POSITIVE | NEGATIVE:
        raise LabelsError(
            f"{file}, line {line}: {columns['label']!r} is no label. Write positive or negative, "
            "true or false, yes or no, 1 or 0.",
            path=str(file),
        )
    image = name if "://" in name else os.path.join(os.path.dirname(file), name)
    return Sample(image, label in POSITIVE, columns.get(_GROUP) or None, columns)


def _no_column(column: str, there: Sequence[str], file: str | None = None) -> LabelsError:
    near = difflib.get_close_matches(column, there, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    which = f"{file} has" if file else "Of some photos there is"
    return LabelsError(f"{which} no column {column!r}, but: {', '.join(there)}.{hint}", path=file)


def _images(given: Source, unlisted: list[tuple[str, str]]) -> Iterator[Any]:
    """What is given, folders and patterns resolved."""
    from qualipy_core.image import Image

    one = isinstance(given, str | bytes | bytearray | memoryview | os.PathLike | Image)
    items: Any = [given] if one or hasattr(given, "shape") else given
    for item in items:
        if isinstance(item, str | os.PathLike):
            yield from _below(str(os.fspath(item)), unlisted)
        else:
            yield item


def _below(path: str, unlisted: list[tuple[str, str]]) -> Iterator[str]:
    from qualipy.cli.sources import Sources

    before = len(unlisted)
    sources = Sources([path])
    images = sources.images(
        lambda folder, error: unlisted.append((folder, error.strerror or str(error)))
    )
    first = next(images, None)
    if first is None and len(unlisted) == before and path != "-":
        suffixes = " ".join(sorted(sources.suffixes))
        raise LabelsError(
            f"No image found in {path}. Of folders, files are taken whose name ends with "
            f"{suffixes}.",
            path=path,
        )
    return chain([] if first is None else [first], images)


def _each_once(found: Iterable[Sample]) -> tuple[list[Sample], int]:
    kept: dict[tuple[object, bool], Sample] = {}
    count = 0
    for count, sample in enumerate(found, 1):  # noqa: B007 (the last number is the total)
        kept.setdefault((_key(sample), sample.positive), sample)
    return list(kept.values()), count - len(kept)


def _key(sample: Sample) -> object:
    """What tells photos apart: where a path leads, or the very object."""
    if isinstance(sample.image, str | os.PathLike):
        path = str(os.fspath(sample.image))
        return path if "://" in path else os.path.realpath(path)
    return id(sample.image)


def _under_both(samples: Sequence[Sample]) -> dict[object, str]:
    """The photos that stand under both labels, with their paths: the same files, or copies."""
    from qualipy_core.image import name_of

    names = {_key(sample): name_of(sample.image) for sample in samples}
    times = Counter(_key(sample) for sample in samples)
    found = {key for key, count in times.items() if count > 1}
    sizes: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        if isinstance(sample.image, str | os.PathLike) and os.path.isfile(sample.image):
            sizes[os.path.getsize(sample.image)].append(sample)
    for alike in sizes.values():
        if len({sample.positive for sample in alike}) == 2:
            found |= _copies(alike)
    return {key: names[key] for key in found}


def _copies(samples: Iterable[Sample]) -> set[object]:
    """Those of some files of one size whose bytes stand under both labels."""
    contents: dict[bytes, list[Sample]] = defaultdict(list)
    for sample in samples:
        try:
            with open(sample.image, "rb") as file:
                digest = hashlib.file_digest(file, "blake2b").digest()
        except OSError:
            continue  # it will be told that it cannot be read
        contents[digest].append(sample)
    mixed = [alike for alike in contents.values() if len({s.positive for s in alike}) == 2]
    return {_key(sample) for alike in mixed for sample in alike}


def _in_turn(samples: Sequence[Sample]) -> list[Sample]:
    """Positives and negatives mixed evenly, each in their order."""
    totals = Counter(sample.positive for sample in samples)
    seen: Counter[bool] = Counter()
    places = []
    for number, sample in enumerate(samples):
        places.append(((seen[sample.positive] + 0.5) / totals[sample.positive], number))
        seen[sample.positive] += 1
    return [samples[number] for _, number in sorted(places)]
