"""What a client has sent, and what of that is lost: `UnderWay`.

A chunk shows that it lives by what workers record of it and by their beats. One that is silent for
the lease is lost, if it was begun, or if it should have been by now.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

from qualipy_celery.messages import Chunk

LONG_QUEUE = 900.0  # seconds after which a message is thought lost though others wait


@dataclass
class Known:
    """The images whose outcome this client has, a bit each, as Redis orders them."""

    bits: bytearray = field(default_factory=bytearray)

    def __contains__(self, number: int) -> bool:
        place = number >> 3
        return place < len(self.bits) and bool(self.bits[place] & (0x80 >> (number & 7)))

    def add(self, number: int) -> None:
        """Note an image."""
        place = number >> 3
        if place >= len(self.bits):
            self.bits.extend(bytes(place + 1 - len(self.bits)))
        self.bits[place] |= 0x80 >> (number & 7)

    def __len__(self) -> int:
        return int.from_bytes(self.bits, "big").bit_count()


@dataclass
class Sent:
    """A chunk that is under way."""

    chunk: Chunk
    waiting: set[int]  #: its images that have no outcome yet
    order: int  #: of its last sending
    life: float  #: when something was last heard of it
    begun: bool = False
    beat: str = ""
    vain: int = 0  #: how often it was sent and vanished
    first: int = -1  #: of its first sending

    def __post_init__(self) -> None:
        self.first = self.order


class UnderWay:
    """The chunks whose images have not all an outcome yet."""

    def __init__(self) -> None:
        self.sent: dict[str, Sent] = {}  #: by name
        self.where: dict[int, Sent] = {}  #: by number of the image, in the order of sending
        self._orders = count()

    def __len__(self) -> int:
        return len(self.sent)

    def add(self, chunk: Chunk) -> None:
        """Note a chunk that is sent."""
        self.sent[chunk.id] = self._noted(chunk)

    def add_unsent(self, number: int, chunk: Chunk) -> None:
        """Note an image that is waited for and will not be sent."""
        if number not in self.where:
            self._noted(chunk)

    def _noted(self, chunk: Chunk) -> Sent:
        numbers = {each.number for each in chunk.tasks}
        sent = Sent(chunk, numbers, next(self._orders), time.monotonic())
        for each in chunk.tasks:
            self.where[each.number] = sent
        return sent

    def leave(self, number: int) -> Sent | None:
        """Note that an image has its outcome; return the chunk that it was under way in."""
        sent = self.where.pop(number, None)
        if sent is not None:
            sent.life = time.monotonic()
            sent.begun = True
            sent.waiting.discard(number)
            if not sent.waiting:
                self.sent.pop(sent.chunk.id, None)
        return sent

    def oldest(self, otherwise: int) -> int:
        """Return the number of the image that has been waited for the longest, if there is one."""
        return next(iter(self.where), otherwise)

    def excuse(self, now: float) -> None:
        """Take no silence until now for a sign: nothing could be heard meanwhile."""
        for sent in self.sent.values():
            sent.life = now

    def hear(self, beats: Mapping[str, str], now: float) -> Iterator[str]:
        """Take in the beats of chunks; yield the workers that they are of."""
        for name, beat in beats.items():
            sent = self.sent.get(name)
            if sent is not None and beat != sent.beat:
                sent.beat, sent.life, sent.begun = beat, now, True
                yield beat.partition(" ")[2]

    def lost(self, now: float, lease: float, queued: Callable[[], int]) -> Iterator[Sent]:
        """Yield the chunks that nobody works on any more.

        Parameters
        ----------
        now, lease : float
            The time, and the seconds that a chunk may be silent for.
        queued : callable
            Returns how many messages wait in the queue.
        """
        # Of a chunk that was sent again, either copy may be begun: the first one tells its place.
        newest = max((sent.first for sent in self.sent.values() if sent.begun), default=-1)
        waiting: int | None = None
        for sent in list(self.sent.values()):
            if now - sent.life <= lease:
                continue
            # One that nobody began is lost if a later one was begun, or nothing waits any more.
            if not sent.begun and sent.order > newest:
                waiting = queued() if waiting is None else waiting
                if waiting and now - sent.life <= max(LONG_QUEUE, 20 * lease):
                    continue
                sent.vain += not waiting
            else:
                sent.vain += not sent.begun
            yield sent

    def again(self, sent: Sent, now: float) -> None:
        """Note that a chunk is sent again."""
        sent.life, sent.order, sent.begun = now, next(self._orders), False
