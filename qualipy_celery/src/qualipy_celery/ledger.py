"""The record of a job in Redis: one outcome per image, whatever happens to messages and workers.

Celery promises that work is done at least once. The ledger makes one outcome of it: the first that
is recorded for an image stands, later ones are ignored, and after a cancellation none is taken.
Each operation is one script, which Redis runs alone and whole.

==================================  =============================================================
key                                 holds
==================================  =============================================================
``qualipy:jobs``                    the jobs that there are, by their last sign of life
``qualipy:{ID}:meta``               state, counts, what the job is about; of each chunk under way
                                    how often it was begun in vain, and the last sign of life
``qualipy:{ID}:done``               a bit per image: whether its outcome is recorded
``qualipy:{ID}:results``            a stream of outcomes that the client has not taken yet
``qualipy:{ID}:manifest``           digests of the images, to know them again
==================================  =============================================================
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, cast

from qualipy_celery.patience import patiently
from qualipy_core.errors import ExecutorError

if TYPE_CHECKING:
    from redis import Redis

T = TypeVar("T")

State = Literal["running", "stopped", "cancelled", "done"]

JOBS = "qualipy:jobs"
KEEP = 7 * 86400  # seconds after its last sign of life that a job is forgotten
KEEP_DONE = 86400
FORGOTTEN = "forgotten"  # marks what is left of the record of a job that was deleted
BLOCK = 200  # entries of the stream read at once

# Commands within scripts are work for Redis, too, and are copied to its file and its replicas: each
# script makes do with one to read and one to write what it must, and sets when keys expire only
# where it may have made one; the client's sign of life does so for all.
_LIBRARY = """
local meta, done, results = KEYS[1], KEYS[2], KEYS[3]
local keep = ARGV[1]
local function touch()
  for i = 1, 3 do redis.call('EXPIRE', KEYS[i], keep) end
end
local function bits(first, step, how)
  local found = {}
  for from = first, #ARGV, 500 * step do
    local get = {}
    for i = from, math.min(from + 499 * step, #ARGV), step do
      if how == 'SET' then
        get[#get + 1] = 'SET'; get[#get + 1] = 'u1'; get[#get + 1] = ARGV[i]; get[#get + 1] = 1
      else
        get[#get + 1] = 'GET'; get[#get + 1] = 'u1'; get[#get + 1] = ARGV[i]
      end
    end
    for _, bit in ipairs(redis.call('BITFIELD', done, unpack(get))) do found[#found + 1] = bit end
  end
  return found
end
local function attempts(beat)
  return tonumber(string.match(beat or '', '^%d+')) or 0
end
"""
_BEGIN = """
local chunk, sign = 'chunk:' .. ARGV[2], ARGV[3]
local known = redis.call('HMGET', meta, 'state', chunk)
local state = known[1] or ''
if state == 'cancelled' or state == 'stopped' or state == 'done' then return {state, 0, {}} end
local attempt = attempts(known[2]) + 1
redis.call('HSET', meta, chunk, attempt .. ' ' .. sign)
if state == '' then touch() end
return {state, attempt, bits(4, 1, 'GET')}
"""
_TRY = """
local times = redis.call('HINCRBY', meta, 'image:' .. ARGV[2], 1)
redis.call('EXPIRE', meta, keep)
return times
"""
_LEAVE = """
local chunk = 'chunk:' .. ARGV[2]
local times = attempts(redis.call('HGET', meta, chunk))
if times > 1 then redis.call('HSET', meta, chunk, times - 1)
else redis.call('HDEL', meta, chunk) end
if ARGV[3] ~= '' then redis.call('HDEL', meta, 'image:' .. ARGV[3]) end
"""
_BEAT = """
local chunk, sign = 'chunk:' .. ARGV[2], ARGV[3]
local known = redis.call('HMGET', meta, 'state', chunk)
local state = known[1] or ''
if state == 'cancelled' or state == 'done' then return state end
redis.call('HSET', meta, chunk, attempts(known[2]) .. ' ' .. sign)
if state == '' then touch() end
return state
"""
# The first write comes before all else: a Redis that is full refuses that of a script, or none.
_RECORD = """
local chunk, sign, worker, ended = 'chunk:' .. ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local known = redis.call('HMGET', meta, 'state', chunk, 'done', 'failed', 'flagged', 'kept')
if known[1] == 'cancelled' or known[1] == 'done' then
  redis.call('HDEL', meta, chunk)
  return -1
end
local fresh, forget, failed, flagged = {}, {}, 0, 0
if #ARGV > 5 then
  local before = bits(6, 4, 'SET')
  for i = 6, #ARGV, 4 do
    if before[(i - 2) / 4] == 0 then
      fresh[#fresh + 1] = '[' .. ARGV[i] .. ',' .. ARGV[i + 3] .. ']'
      forget[#forget + 1] = 'image:' .. ARGV[i]
      if ARGV[i + 1] == '1' then failed = failed + 1 end
      if ARGV[i + 2] == '1' then flagged = flagged + 1 end
    end
  end
end
local set = {}
if #fresh > 0 then
  redis.call('XADD', results, '*', 'chunk', ARGV[2], 'worker', worker,
             'outcomes', '[' .. table.concat(fresh, ',') .. ']')
  set = {'done', (tonumber(known[3]) or 0) + #fresh, 'failed', (tonumber(known[4]) or 0) + failed,
         'flagged', (tonumber(known[5]) or 0) + flagged, 'kept', 1}
end
if ended == '1' then
  forget[#forget + 1] = chunk
else
  set[#set + 1] = chunk
  set[#set + 1] = (#fresh > 0 and 0 or attempts(known[2])) .. ' ' .. sign
end
if #set > 0 then redis.call('HSET', meta, unpack(set)) end
if #forget > 0 then redis.call('HDEL', meta, unpack(forget)) end
if not (known[1] and known[6]) then touch() end
return #fresh
"""
# Workers may have recorded more since Redis lost its data than the client has read by now.
_RESTORE = """
local restored = done .. ':restored'
redis.call('SET', restored, ARGV[2])
redis.call('BITOP', 'OR', done, done, restored)
redis.call('DEL', restored)
redis.call('HSET', meta, unpack(ARGV, 3))
redis.call('HSET', meta, 'done', redis.call('BITCOUNT', done))
touch()
"""
# A state is never left but for another that the way allows: cancelled and done are for ever.
_CHANGE = """
local state, wanted = redis.call('HGET', meta, 'state'), ARGV[2]
if not state or redis.call('HGET', meta, 'forgotten') then return '' end
if state == 'cancelled' or state == 'done' then return state end
-- What frees memory comes first: a Redis that is full then lets the rest through.
if wanted == 'cancelled' or wanted == 'done' then redis.call('DEL', results, done) end
redis.call('HSET', meta, 'state', wanted, 'updated', ARGV[3])
redis.call('EXPIRE', meta, keep)
return wanted
"""
_STATUS = ("state", "total", "done", "failed", "flagged", "created", "updated", "about", FORGOTTEN)
_CHUNK = b"chunk:"


class Outcome(NamedTuple):
    """What a worker records of one image."""

    number: int
    failed: bool
    flagged: bool
    result: str  #: JSON, as `Result.to_dict` gives it


class Begun(NamedTuple):
    """What a worker learns when it begins a chunk."""

    state: str
    attempt: int  #: 1 at first, then more for as long as nothing of it gets recorded
    done: frozenset[int]  #: images that have an outcome already


class Taken(NamedTuple):
    """An entry of the stream: outcomes that were recorded at once."""

    entry: str
    chunk: str
    worker: str
    outcomes: list[tuple[int, dict[str, Any]]]


@dataclass(frozen=True)
class JobStatus:
    """How a job stands.

    `total` is ``None`` as long as the client has not come to the end of the images.
    """

    id: str
    state: str  #: running, stopped, cancelled or done
    total: int | None
    done: int  #: images with an outcome: a result or an error
    failed: int  #: of these, with an error
    flagged: int  #: of these, unsuitable
    created: float  #: Unix time
    updated: float  #: Unix time of the client's last sign of life
    about: Mapping[str, Any] = field(default_factory=dict)  #: filters and options

    @property
    def percent(self) -> float:
        """How much is done, from 0.0 to 100.0; 0.0 while nobody knows how much there is."""
        if self.total is None:
            return 100.0 if self.state == "done" else 0.0
        return 100.0 * min(self.done, self.total) / self.total if self.total else 100.0


class Ledger:
    """The record of one job.

    Every method waits out a Redis that is away, and may be called again when nobody knows whether
    it was done.

    Parameters
    ----------
    redis : Redis
        Where it is kept.
    job : str
        The job's name.
    """

    def __init__(self, redis: Redis, job: str) -> None:
        self.redis = redis
        self.job = job
        self._keys = [self._key(each) for each in ("meta", "done", "results")]
        self._manifest = self._key("manifest")
        self._scripts: dict[str, Callable[..., Any]] = {}

    def open(
        self, about: Mapping[str, Any], client: str = "", *, seconds: float | None = None
    ) -> bool:
        """Begin the record; return whether there was none.

        Parameters
        ----------
        about : mapping
            Filters and options, as JSON types.
        client : str
            Who begins it: if the answer gets lost, asking again finds one's own.
        seconds : float, optional
            How long to wait for a Redis that does not answer.
        """
        meta = self._keys[0]
        now = repr(time.time())
        fields = {
            "client": client,
            "about": json.dumps(about),
            "created": now,
            "updated": now,
            "total": "",
            "done": 0,
            "failed": 0,
            "flagged": 0,
        }

        def begin() -> bool:
            if self.redis.hget(meta, FORGOTTEN):
                self.redis.delete(meta)
            with self.redis.pipeline() as pipe:
                pipe.hsetnx(meta, "state", "running")
                for name, value in fields.items():
                    pipe.hsetnx(meta, name, cast("str", value))
                pipe.expire(meta, KEEP)
                pipe.zremrangebyscore(JOBS, "-inf", float(now) - KEEP)
                pipe.zadd(JOBS, {self.job: float(now)}, nx=True)
                pipe.hget(meta, "client")
                new, *_, owner = pipe.execute()
                return bool(new) or (bool(client) and owner == client.encode())

        return patiently(begin, seconds=seconds)

    def begin(self, chunk: str, worker: str, numbers: Sequence[int]) -> Begun:
        """Note that a worker begins a chunk, and tell it what it must know."""
        state, attempt, bits = self._run(_BEGIN, chunk, _sign(worker), *numbers)
        done = frozenset(n for n, bit in zip(numbers, bits, strict=False) if bit)
        return Begun(state.decode(), int(attempt), done)

    def beat(self, chunk: str, worker: str, *, seconds: float | None = None) -> str:
        """Note a sign of life of a chunk; return the job's state."""
        return str(self._run(_BEAT, chunk, _sign(worker), seconds=seconds).decode())

    def trying(self, number: int) -> int:
        """Note that an image is tried; return how often it now has been without an outcome."""
        return int(self._run(_TRY, number))

    def record(self, chunk: str, worker: str, outcomes: Iterable[Outcome], *, ended: bool) -> int:
        """Record outcomes, the first for each image alone.

        Parameters
        ----------
        chunk, worker : str
            Whose they are.
        outcomes : iterable of Outcome
            As many as there are.
        ended : bool
            Nothing more comes of this chunk.

        Returns
        -------
        int
            How many were new; -1 when the job takes none any more.
        """
        flat: list[Any] = []
        for number, failed, flagged, result in outcomes:
            flat += [number, int(failed), int(flagged), result]
        return int(self._run(_RECORD, chunk, _sign(worker), worker, int(ended), *flat))

    def read(self, after: str, wait: float) -> list[Taken]:
        """Return what was recorded after an entry, waiting a moment for it.

        Parameters
        ----------
        after : str
            An entry's id; ``"0"`` for all.
        wait : float
            Seconds; 0 does not wait.
        """
        block = max(int(wait * 1000), 1) if wait > 0 else None

        def read() -> Any:
            return self.redis.xread({self._keys[2]: after}, count=BLOCK, block=block)

        answer = patiently(read)
        streams = answer.values() if isinstance(answer, dict) else [s[1] for s in answer or ()]
        taken = []
        for entries in streams:
            flat = entries[0] if entries and isinstance(entries[0], list) else entries
            for entry, fields in flat:
                outcomes = [(int(n), plain) for n, plain in json.loads(fields[b"outcomes"])]
                chunk, worker = fields[b"chunk"].decode(), fields[b"worker"].decode()
                taken.append(Taken(entry.decode(), chunk, worker, outcomes))
        return taken

    def forget(self, entries: Sequence[str]) -> None:
        """Drop entries of the stream, which the client has taken."""
        if entries:
            patiently(lambda: self.redis.xdel(self._keys[2], *entries))

    def look(self) -> tuple[str, str, dict[str, str]]:
        """Return the state, ``""`` when the record is gone, the client, and the beats by chunk."""
        meta = cast("dict[bytes, bytes]", patiently(lambda: self.redis.hgetall(self._keys[0])))
        beats = {
            name.removeprefix(_CHUNK).decode(): beat.partition(b" ")[2].decode()
            for name, beat in meta.items()
            if name.startswith(_CHUNK)
        }
        return meta.get(b"state", b"").decode(), meta.get(b"client", b"").decode(), beats

    def note(self, **fields: Any) -> None:
        """Set fields of what is known about the job, with the client's sign of life."""
        values = {name: "" if value is None else value for name, value in fields.items()}
        values["updated"] = repr(time.time())

        def note() -> Any:
            with self.redis.pipeline(transaction=False) as pipe:
                pipe.hset(self._keys[0], mapping=cast("Any", values))
                pipe.zadd(JOBS, {self.job: time.time()})
                for key in (*self._keys, self._manifest):
                    pipe.expire(key, KEEP)
                return pipe.execute()

        patiently(note)

    def restore(self, bitmap: bytes, **fields: Any) -> None:
        """Put back what a Redis that lost its data knew, from what the client knows."""
        self._run(_RESTORE, bitmap, *(part for pair in fields.items() for part in pair))
        began = float(fields.get("created") or time.time())
        patiently(lambda: self.redis.zadd(JOBS, {self.job: began}, nx=True))
        self.note()

    def keep_manifest(self, fields: Mapping[str, str]) -> None:
        """Keep digests of the images that are sent next."""
        if not fields:
            return

        def keep() -> Any:
            with self.redis.pipeline(transaction=False) as pipe:
                pipe.hset(self._manifest, mapping=cast("Any", fields))
                pipe.expire(self._manifest, KEEP)
                return pipe.execute()

        patiently(keep)

    def manifest(self) -> dict[str, str]:
        """Return the digests that were kept."""
        kept = cast("dict[bytes, bytes]", patiently(lambda: self.redis.hgetall(self._manifest)))
        return {name.decode(): digest.decode() for name, digest in kept.items()}

    def done(self) -> bytes:
        """Return the bitmap of the images that have an outcome."""
        bitmap = patiently(lambda: self.redis.get(self._keys[1]))
        return cast("bytes", bitmap or b"")

    def recorded(self, numbers: Sequence[int]) -> set[int]:
        """Return which of these images have an outcome."""

        def ask() -> list[int]:
            bits = self.redis.bitfield(self._keys[1])
            for number in numbers:
                bits.get("u1", number)
            return cast("list[int]", bits.execute())

        return {n for n, bit in zip(numbers, patiently(ask), strict=True) if bit}

    def leave(self, chunk: str, number: int | None) -> None:
        """Note that a worker lays a chunk down, of its own will and in good health.

        Parameters
        ----------
        chunk : str
            The chunk.
        number : int, optional
            The image that it was trying.
        """
        self._run(_LEAVE, chunk, "" if number is None else number)

    def change(self, state: State, *, seconds: float | None = None) -> str:
        """Change the job's state; return the one that it is in then, ``""`` without a record."""
        keep = KEEP_DONE if state in ("done", "cancelled") else KEEP
        return str(self._run(_CHANGE, state, time.time(), seconds=seconds, keep=keep).decode())

    def resume(self) -> None:
        """Let a job that was stopped run again."""
        patiently(lambda: self.redis.hset(self._keys[0], "state", "running"))

    def status(self, *, seconds: float | None = None) -> JobStatus | None:
        """Return how the job stands, in one command; ``None`` when there is none."""
        values = patiently(lambda: self.redis.hmget(self._keys[0], _STATUS), seconds=seconds)
        told = {
            name: value.decode()
            for name, value in zip(_STATUS, cast("Any", values), strict=True)
            if value is not None
        }
        if "state" not in told or FORGOTTEN in told:
            return None
        return JobStatus(
            id=self.job,
            state=told["state"],
            total=int(told["total"]) if told.get("total") else None,
            done=int(told.get("done") or 0),
            failed=int(told.get("failed") or 0),
            flagged=int(told.get("flagged") or 0),
            created=float(told.get("created") or 0),
            updated=float(told.get("updated") or 0),
            about=json.loads(told.get("about") or "{}"),
        )

    def delete(self) -> None:
        """Remove the record; for a day, nothing that comes late is taken for it."""
        meta = self._keys[0]

        def delete() -> None:
            with self.redis.pipeline(transaction=False) as pipe:  # full, it refuses those
                pipe.delete(*self._keys, self._manifest)
                pipe.zrem(JOBS, self.job)
                pipe.execute()
            self.redis.hset(meta, mapping={"state": "cancelled", FORGOTTEN: 1})
            self.redis.expire(meta, KEEP_DONE)

        patiently(delete)

    def _key(self, what: str) -> str:
        return f"qualipy:{{{self.job}}}:{what}"  # the braces keep a job's keys on one node

    def _run(
        self, script: str, *arguments: Any, seconds: float | None = None, keep: int = KEEP
    ) -> Any:
        if script not in self._scripts:
            self._scripts[script] = self.redis.register_script(_LIBRARY + script)
        run = self._scripts[script]
        return patiently(lambda: run(keys=self._keys, args=[keep, *arguments]), seconds=seconds)


def _sign(worker: str) -> str:
    """Return a sign of life: unlike all that a worker has given before."""
    return f"{time.time():.6f} {worker}"


def known_jobs(redis: Redis, *, seconds: float | None = None) -> Iterator[JobStatus]:
    """Yield every job that there is a record of, the latest first.

    Parameters
    ----------
    redis : Redis
        Where the records are kept.
    seconds : float, optional
        How long to wait for a Redis that does not answer.
    """
    names = patiently(lambda: redis.zrange(JOBS, 0, -1), seconds=seconds)
    known = []
    for name in cast("list[bytes]", names):
        status = Ledger(redis, name.decode()).status()
        if status is None:
            redis.zrem(JOBS, name)
        else:
            known.append(status)
    yield from sorted(known, key=lambda status: status.created, reverse=True)


def connection(app: Any) -> Redis:
    """Return the Redis in which an app keeps its results: the records of jobs lie there, too.

    Raises
    ------
    ExecutorError
        (RuntimeError) Its results are kept in something else.
    """
    from celery.backends.redis import RedisBackend

    if not isinstance(app.backend, RedisBackend):
        raise ExecutorError(
            "Jobs keep their records in Redis, and the results of this Celery app are kept in "
            f"{type(app.backend).__name__}: set QUALIPY_RESULT_BACKEND=redis://…"
        )
    return cast("Redis", app.backend.client)
