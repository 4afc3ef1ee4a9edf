"""Workers that judge nothing: many in one process, with the real messages and the real ledger.

    python benchmarks/_simulation.py URL [--workers N] [--seconds S] [--results N] [--lose N]

Each takes a chunk from the queue, tells that it has begun, lets as much time pass as the images
would take, records results of the usual size and acknowledges: what a worker's process says to
Redis, without the process. A single thread plays them all.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from celery_client import connect

from qualipy_celery.application import app
from qualipy_celery.ledger import Ledger, Outcome, connection
from qualipy_celery.messages import Chunk
from qualipy_core.result import Result


class Fakes:
    """Workers that take chunks from the queue and record made-up results.

    Parameters
    ----------
    workers : int
        How many processes of workers to play.
    seconds : float
        For each image.
    results : int
        Filters in a result.
    lose : int
        So many workers vanish with the chunk that they have: the first ones, after ten chunks each.
    """

    def __init__(self, workers: int, seconds: float, results: int, lose: int) -> None:
        self._idle = [f"fake{number}@simulated:{os.getpid()}" for number in range(workers)]
        self._seconds = seconds
        self._lose = lose
        self._taken = 0
        self._lose_from = 10 * workers
        self._under_way: list[tuple[float, int, str, Chunk, Any]] = []
        self._serial = itertools.count()
        self._ledgers: dict[str, Ledger] = {}
        predictions = {f"filter_number_{n}": (n + 1) / 17 for n in range(results)}
        made = Result("IMAGE", predictions, dict.fromkeys(predictions, False), seconds=seconds)
        self._result = json.dumps(made.to_dict())

    def serve(self) -> None:
        """Work until somebody ends the process."""
        with app.connection_for_read() as link:
            consumer = app.amqp.TaskConsumer(
                link.default_channel, callbacks=[self._take], accept=["json"]
            )
            consumer.qos(prefetch_count=len(self._idle))
            with consumer:
                print("ready", flush=True)
                while True:
                    due = self._under_way[0][0] - time.monotonic() if self._under_way else 1.0
                    try:
                        if due > 0:
                            link.drain_events(timeout=due)
                    except TimeoutError:
                        pass
                    while self._under_way and self._under_way[0][0] <= time.monotonic():
                        self._end(*heapq.heappop(self._under_way)[2:])

    def _take(self, body: Any, message: Any) -> None:
        chunk = Chunk.parse(body[0][0])
        worker = self._idle.pop()
        ledger = self._ledger(chunk.job)
        begun = ledger.begin(chunk.id, worker, [piece.number for piece in chunk.tasks])
        self._taken += 1
        if self._lose and self._taken > self._lose_from:
            self._lose -= 1
            return
        left = tuple(piece for piece in chunk.tasks if piece.number not in begun.done)
        due = time.monotonic() + self._seconds * len(left)
        heapq.heappush(self._under_way, (due, next(self._serial), worker, chunk, message))

    def _end(self, worker: str, chunk: Chunk, message: Any) -> None:
        outcomes = [
            Outcome(piece.number, False, False, self._result.replace("IMAGE", piece.image))
            for piece in chunk.tasks
        ]
        self._ledger(chunk.job).record(chunk.id, worker, outcomes, ended=True)
        message.ack()
        self._idle.append(worker)

    def _ledger(self, job: str) -> Ledger:
        if job not in self._ledgers:
            self._ledgers = {job: Ledger(connection(app), job)}
        return self._ledgers[job]


def main() -> None:
    """Play workers."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url", help="of Redis")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=0.0, help="for each image")
    parser.add_argument("--results", type=int, default=1, help="filters in a result")
    parser.add_argument("--lose", type=int, default=0, help="workers that vanish")
    options = parser.parse_args()
    connect(options.url)
    Fakes(options.workers, options.seconds, options.results, options.lose).serve()


if __name__ == "__main__":
    main()
