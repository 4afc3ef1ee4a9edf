"""Drawing in child processes, which a photo may crash and a filter may hang: `Artist`, `Artists`.

::

    who wants a picture                child
      Order      ── pickle ──►         opens the photo, within its limits, and draws
      Drawn      ◄── JSON ───          the bytes of a picture, and the sentence

A child has one order at a time, so that its death, or its silence, is that order's. It is ended
when it takes too long, and another one takes its place for the next order.
"""

from __future__ import annotations

import math
import pickle
import time
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import connection
from multiprocessing.util import Finalize
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

from qualipy.cli.words import judgement
from qualipy.explaining import SIDE, Explained, draw, encoded, explained
from qualipy_core import Filter, Image, errors
from qualipy_core.errors import (
    FilterError,
    ImageTimeoutError,
    ProcessStartError,
    QualipyError,
    WorkerDiedError,
)
from qualipy_core.limits import Limits
from qualipy_core.roi import ROI
from qualipy_core.sandbox import PREPARE_LIMIT
from qualipy_core.servant import Died, Servant
from qualipy_core.urls import shown

LOOK = 0.2  # seconds between two looks whether somebody wants to stop
_BACKLOG = 2  # orders per child that wait for one

Form = Literal["card", "page", "overlay"]
"""What is drawn: for a page that names the filter, for itself, or the photo with marks alone."""


@dataclass(frozen=True)
class Order:
    """A picture that is wanted.

    Attributes
    ----------
    filter : Filter
        Whose explanation is to be drawn.
    path : str
        Of the photo.
    ROI : ROI or None
        The region that is explained.
    form : str
        ``"card"``, ``"page"`` or ``"overlay"``.
    kind : str
        ``"jpeg"``, ``"png"`` or ``"webp"``.
    side : int
        In pixels, as in `qualipy.explaining.explained` and `qualipy.explaining.explain`.
    limits : Limits
        What the photo may cost; its time limit is that of the picture.
    name : str
        What errors call the photo; its path, if there is none.
    """

    filter: Filter
    path: str
    ROI: ROI | None = None
    form: Form = "card"
    kind: Literal["jpeg", "png", "webp"] = "jpeg"
    side: int = SIDE
    limits: Limits = field(default_factory=Limits)
    name: str = ""

    @property
    def time_limit(self) -> float:
        """Seconds that it may take; may be infinite."""
        return self.limits.in_force().time_limit or math.inf


class Drawn(NamedTuple):
    """What comes of an order."""

    picture: Explained
    verdict: str = ""  #: the prediction and the decision in words; not of a card


Answer = Drawn | QualipyError | None
"""A picture; why there is none; or nothing, for the filter has nothing to show."""


class Artist:
    """A child process that draws one picture at a time, and is replaced when it dies or hangs."""

    def __init__(self) -> None:
        self.order: Order | None = None
        self._servant: Servant | None = None
        self._end: Callable[[], Any] | None = None
        self._loading = False  # it has not said yet that it has the filter's pack
        self._since = 0.0

    @property
    def connection(self) -> Any:
        """What something can be read from when there is an answer."""
        return None if self._servant is None else self._servant.connection

    def begin(self, order: Order) -> None:
        """Have a picture drawn; `answer` returns it.

        Raises
        ------
        FilterError
            The filter cannot go to another process.
        ProcessStartError
            There can be no process.
        """
        try:
            filters, request = pickle.dumps(order.filter), pickle.dumps(order)
        except Exception as error:
            raise _failure(order, f"cannot be sent to a process: {error}") from error
        if self._servant is None or not self._servant.is_alive():
            self._start()
            # Importing a pack takes its time, which is not the photo's.
            self._loading = True
            self._send(filters)
        self.order = order
        self._since = time.monotonic()
        self._send(request)

    def answer(self, told: bool) -> tuple[bool, Answer]:
        """Return whether the order has come to its end, and what has come of it.

        Parameters
        ----------
        told : bool
            Whether `connection` has something to read.
        """
        order = self.order
        assert order is not None and self._servant is not None  # noqa: S101, PT018
        if told or not self._servant.is_alive():
            try:
                answer = self._servant.receive()
            except Died as death:
                return self._ended(
                    WorkerDiedError(
                        f"The process that drew {_what(order)} died: it {death}.",
                        image=order.name or order.path,
                    )
                )
            if self._loading and not answer:
                self._loading = False
                self._since = time.monotonic()
                return False, None
            if self._loading:  # without the filter; what it says to the order is nobody's
                self.close()
            self.order = None
            return True, _received(order, answer)
        limit = max(PREPARE_LIMIT, order.time_limit) if self._loading else order.time_limit
        if time.monotonic() - self._since >= limit:
            message = f"Drawing {_what(order)} took longer than {limit:g} seconds."
            return self._ended(ImageTimeoutError(message, image=order.name or order.path))
        return False, None

    def draw(self, order: Order) -> Drawn | None:
        """Return a picture, or nothing where the filter has nothing to show.

        Raises
        ------
        QualipyError
            As `qualipy.explaining.explained`.
        ImageTimeoutError, WorkerDiedError
            It took too long, or its process died of it.
        """
        self.begin(order)
        done = False
        while not done:
            done, answer = self.answer(bool(connection.wait([self.connection], LOOK)))
        if isinstance(answer, QualipyError):
            raise answer
        return answer

    def close(self) -> None:
        """End the child, whatever it is at."""
        self.order = self._servant = None
        self._loading = False
        if self._end is not None:
            self._end()
            self._end = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _ended(self, error: QualipyError) -> tuple[bool, Answer]:
        self.close()
        return True, error

    def _start(self) -> None:
        self.close()
        try:
            # No pack is imported once for all children: one that has OpenCV use its threads then
            # would leave a pool in the fork server, which hangs in every fork.
            self._servant = Servant(answer_order, "qualipy_core._preloaded", __name__)
        except (OSError, EOFError) as error:
            raise ProcessStartError(f"No process can be started: {error}.") from error
        # Before multiprocessing waits at the exit for a child that won't end by itself.
        self._end = Finalize(self, self._servant.end, exitpriority=100)

    def _send(self, request: bytes) -> None:
        assert self._servant is not None  # noqa: S101
        with suppress(Died):  # one that is dead already tells when it is heard
            self._servant.send(request)


class Artists:
    """As many children as are needed, up to a number, that draw what is ordered.

    Parameters
    ----------
    most : int
        How many there may be.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._artists: list[Artist] = []
        self._waiting: deque[tuple[Order, Callable[[Answer], None]]] = deque()
        self._at: dict[Artist, Callable[[Answer], None]] = {}

    def take(self, order: Order, deliver: Callable[[Answer], None]) -> None:
        """Take an order on; its answer is delivered in some `advance`."""
        self._waiting.append((order, deliver))
        self.advance(0.0)

    def catch_up(self, stopped: Callable[[], bool], *, rest: bool = False) -> None:
        """Wait until few orders are left.

        Parameters
        ----------
        stopped : callable
            Asked now and then whether to wait no longer.
        rest : bool
            Wait until none is left.
        """
        few = 0 if rest else _BACKLOG * self._most
        while len(self._waiting) > few or (rest and self._at):
            if stopped():
                return
            self.advance(LOOK)

    def advance(self, seconds: float) -> None:
        """Hand orders out and deliver what is drawn, waiting so long for something to deliver."""
        self._hand_out()
        busy = list(self._at)
        if not busy:
            return
        ready: Sequence[Any] = connection.wait([each.connection for each in busy], seconds)
        for artist in busy:
            done, answer = artist.answer(artist.connection in ready)
            if done:
                self._at.pop(artist)(answer)
        self._hand_out()

    def close(self) -> None:
        """End all children, and forget what is not drawn yet."""
        self._waiting.clear()
        self._at.clear()
        while self._artists:
            self._artists.pop().close()

    def _hand_out(self) -> None:
        while self._waiting:
            idle = [each for each in self._artists if each not in self._at]
            if not idle:
                if len(self._artists) >= self._most:
                    return
                self._artists.append(Artist())
                continue
            order, deliver = self._waiting.popleft()
            try:
                idle[0].begin(order)
            except QualipyError as error:
                deliver(error)
            else:
                self._at[idle[0]] = deliver


def answer_order(request: bytes) -> dict[str, Any]:
    """Draw a picture: what the child does. A filter alone is one to have at hand."""
    order = pickle.loads(request)  # noqa: S301 - from the process that started this one
    if not isinstance(order, Order):
        return {}
    item, image = order.filter, _opened(order)
    if order.form == "card":
        card = explained(item, image, side=order.side, kind=order.kind)
        return {"drawn": None if card is None else _plain(card)}
    pixels, found = draw(item, image, side=order.side, overlay_only=order.form == "overlay")
    height, width = pixels.shape[:2]
    data = encoded(pixels, order.kind)
    prediction = item.prediction(image)
    return {
        "drawn": _plain(Explained(data, f"image/{order.kind}", width, height, found.summary)),
        "verdict": judgement(item, prediction, flagged=item.decision(prediction)),
    }


_latest: tuple[tuple[Any, ...], Image] | None = None  # the child's: several filters show one photo


def _opened(order: Order) -> Image:
    global _latest
    key = order.path, order.ROI, order.limits
    if _latest is None or _latest[0] != key:
        _latest = None
        _latest = key, Image(order.path, order.ROI, name=order.name or None, limits=order.limits)
    return _latest[1]


def _plain(drawn: Explained) -> dict[str, Any]:
    return drawn._asdict() | {"data": b64encode(drawn.data).decode()}


def _received(order: Order, answer: dict[str, Any]) -> Answer:
    if "drawn" in answer:
        if (plain := answer["drawn"]) is None:
            return None
        picture = Explained(**plain | {"data": b64decode(plain["data"])})
        return Drawn(picture, answer.get("verdict", ""))
    if "raised" in answer:
        return errors.from_dict(answer["raised"])
    return _failure(order, f"cannot be drawn: {answer.get('failed')}")


def _failure(order: Order, problem: str) -> FilterError:
    return order.filter.failure(problem, None)


def _what(order: Order) -> str:
    return f"{order.filter.name} on {shown(order.name or order.path)}"
