"""What a job's images were, as digests: a resumed job must be about the same, in the same order.

Images are known by their number alone, so a folder that has changed since would shift them all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from qualipy_core.errors import JobError

if TYPE_CHECKING:
    from qualipy_core.plan import Task

BLOCK = 1024  # images to a digest
TAIL = "tail"


class Manifest:
    """Digests of the images that have been taken from a job's source.

    Parameters
    ----------
    known : mapping of str to str
        What `fields` gave before the job was interrupted.
    """

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        self._known = dict(known or {})
        count, _, self._tail = self._known.get(TAIL, "0 ").partition(" ")
        self._known_count = int(count)
        self._count = 0
        self._digest = hashlib.blake2b(digest_size=8)
        self._whole: dict[str, str] = {}  # by block, all of them
        self._kept = 0

    def add(self, task: Task) -> None:
        """Take an image into account."""
        _update(self._digest, task)
        self._count += 1
        if self._count % BLOCK == 0:
            self._whole[str(self._count // BLOCK - 1)] = self._digest.hexdigest()
            self._digest = hashlib.blake2b(digest_size=8)

    def fields(self) -> dict[str, str]:
        """Return what to keep, as far as it is new."""
        if self._count < self._known_count:
            return {}  # what is kept says more
        new = dict(islice(self._whole.items(), self._kept, None))
        self._kept = len(self._whole)
        return {**new, TAIL: f"{self._count} {self._digest.hexdigest()}"}

    def everything(self) -> dict[str, str]:
        """Return all that there is to keep, for a Redis that has lost it."""
        self._kept = 0
        return {**self._known, **self.fields()}

    def checked(self, tasks: Iterator[Task]) -> Iterator[Task]:
        """Yield the tasks, each block once it is known to be what it was.

        Raises
        ------
        JobError
            (RuntimeError) It is not.
        """
        for first in range(0, self._known_count, BLOCK):
            block = list(islice(tasks, BLOCK))
            expected = self._known.get(str(first // BLOCK))
            part = block if expected else block[: self._known_count - first]
            digest = hashlib.blake2b(digest_size=8)
            for task in part:
                _update(digest, task)
            if digest.hexdigest() != (expected or self._tail):
                raise JobError(
                    f"The images from number {first} on are not what they were when the job began: "
                    "some were added, removed or renamed. Begin a new job."
                )
            yield from block
        yield from tasks


def _update(digest: hashlib.blake2b, task: Task) -> None:
    digest.update(f"{task.label}\0{task.ROI}\n".encode("utf-8", "surrogatepass"))
