"""How much a client sends: as large chunks, and as many, as its workers need and no more."""

from __future__ import annotations

CHUNK_SECONDS = 0.5  # of work in a chunk: the queue costs little, and the last ones end together
MOST_CHUNKS = 150  # to send in a second: those of many workers are larger
FIRST_CHUNK = 4  # images, while nobody knows how long one takes
LARGEST_CHUNK = 256
CHUNKS_PER_WORKER = 3  # one being judged, one waiting for the worker, one on the way
FEWEST_CHUNKS = 8
REACH = 50_000  # images between the oldest without outcome and the next to send
WORKER_REMEMBERED = 60.0


class Pace:
    """What is known of the workers, and what follows from it.

    Parameters
    ----------
    chunk : int, optional
        Every chunk has so many images, and there is no bound on how many are under way.
    """

    def __init__(self, chunk: int | None = None) -> None:
        self.chunk = chunk
        self.seconds: float | None = None  #: that an image takes, lately
        self.workers: dict[str, float] = {}  #: by name, when something was last heard

    @property
    def is_bounded(self) -> bool:
        """Whether there is a bound on what is under way."""
        return self.chunk is None

    def most(self) -> int:
        """Return how many chunks to have under way."""
        return max(FEWEST_CHUNKS, CHUNKS_PER_WORKER * len(self.workers))

    def size(self) -> int:
        """Return how many images make a chunk."""
        if self.chunk is not None:
            return self.chunk
        if self.seconds is None:
            return FIRST_CHUNK
        seconds = max(CHUNK_SECONDS, len(self.workers) / MOST_CHUNKS)
        return max(1, min(LARGEST_CHUNK, int(seconds / max(self.seconds, 1e-6))))

    def reach(self) -> int:
        """Return how far to go on while an image is waited for: what bounds results held in order.

        Many workers must not come to a halt for the lease of one that is lost.
        """
        return max(REACH, 2 * self.most() * self.size())

    def took(self, seconds: float) -> None:
        """Note how long an image took: the latest ones tell best what the next ones will."""
        old = seconds if self.seconds is None else self.seconds
        self.seconds = 0.9 * old + 0.1 * seconds

    def heard(self, worker: str, now: float) -> None:
        """Note that a worker lives."""
        self.workers[worker] = now

    def forget_silent(self, now: float) -> None:
        """Count only workers of which something was heard lately."""
        for worker in [w for w, seen in self.workers.items() if now - seen > WORKER_REMEMBERED]:
            del self.workers[worker]
