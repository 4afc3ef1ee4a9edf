"""The figures of the page on scaling, made from what `distributed` has written."""

from __future__ import annotations

from typing import Any, NamedTuple

from _markdown import shown, table

from qualipy_celery.pace import CHUNK_SECONDS, CHUNKS_PER_WORKER, LARGEST_CHUNK, MOST_CHUNKS
from qualipy_celery.settings import lease
from qualipy_celery.worker import BEAT

MAKER = "benchmarks/distributed.py"
PHOTOS = 10_000_000
PROCESSES = (100, 800)  # 100 workers of one process, and of eight
FULL = 0.7  # of a core: more than that, and things wait for each other
LARGE_PHOTO = 4e6  # bytes: a camera's JPEG
MIB = 1 << 20


class Load(NamedTuple):
    """What a cluster of so many processes asks of the rest."""

    processes: int
    images: float  #: a second
    chunk: int  #: images in it
    chunks: float  #: a second


def load(processes: float, seconds: float) -> Load:
    """Return what processes ask for that are all at work, as the client sizes chunks for them."""
    wanted = max(CHUNK_SECONDS, processes / MOST_CHUNKS)
    chunk = max(1, min(LARGEST_CHUNK, int(wanted / seconds)))
    images = processes / seconds
    return Load(int(processes), images, chunk, images / chunk)


def rate(cost: dict[str, float], load: Load) -> float:
    """Return what something that has a cost for each chunk and image comes to in a second."""
    return cost["chunk"] * load.chunks + cost["image"] * load.images


def rendered(figures: dict[str, Any]) -> dict[str, str]:
    """Return the parts of the page that have figures, as Markdown, by name."""
    told = figures["parts"]["simulation"]
    return {
        "measured": measured(figures),
        "costs": costs(told),
        "arithmetic": arithmetic(told),
        "played": played(told),
        "lost": lost(told),
        "limits": limits(told),
    }


def measured(figures: dict[str, Any]) -> str:
    machine, parts = figures["machine"], figures["parts"]
    rows = [
        (
            line["what"],
            f"{shown(line['figure'])} {line['unit']}".strip(),
            "" if line["target"] is None else f"≤ {line['target']:g}",
        )
        for part in parts.values()
        for line in part.get("lines", ())
    ]
    loads = [load for part in parts.values() for load in part["load"]]
    return (
        f"Python {machine['python']}, Celery {machine['celery']}, Redis {machine['redis-server']}; "
        f"{machine['cores']} cores that others used as well (load {min(loads):g} to "
        f"{max(loads):g}).\n\n" + table(("", "figure", "target"), rows)
    )


def costs(told: dict[str, Any]) -> str:
    fits = told["costs"]
    rows = [
        (what, shown(fits[name]["chunk"] * factor), shown(fits[name]["image"] * factor), unit)
        for what, name, factor, unit in (
            ("CPU of the client", "client", 1e6, "µs"),
            ("CPU of Redis", "redis", 1e6, "µs"),
            ("commands of Redis, within scripts too", "commands", 1, ""),
            ("bytes into Redis", "received", 1, "B"),
            ("bytes out of Redis", "sent", 1, "B"),
        )
    ]
    waiting = told["waiting"]
    rows.append(
        (
            "memory of Redis for a chunk that waits",
            f"{waiting['chunk']:,.0f}",
            shown(waiting["image"]),
            "B",
        )
    )
    return f"With results of {told['filters']} filters:\n\n" + table(
        ("", "for each chunk", "and for each photo", "unit"), rows
    )


def arithmetic(told: dict[str, Any]) -> str:
    seconds, fits, waiting = told["seconds"], told["costs"], told["waiting"]
    loads = [load(processes, seconds) for processes in PROCESSES]

    def row(what: str, *cells: str) -> tuple[str, ...]:
        return (what, *cells)

    rows = [
        row("photos per second", *(f"{each.images:,.0f}" for each in loads)),
        row("time", *(duration(PHOTOS / each.images) for each in loads)),
        row("photos in a chunk", *(str(each.chunk) for each in loads)),
        row("chunks per second", *(f"{each.chunks:,.0f}" for each in loads)),
        row("Redis: commands per second", *(f"{rate(fits['commands'], e):,.0f}" for e in loads)),
        row("Redis: share of its core", *(f"{rate(fits['redis'], e):.0%}" for e in loads)),
        row("client: share of a core", *(f"{rate(fits['client'], e):.0%}" for e in loads)),
        row(
            "network of Redis, in and out",
            *(
                f"{rate(fits['received'], e) / 1e6:.2g} + {rate(fits['sent'], e) / 1e6:.2g} MB/s"
                for e in loads
            ),
        ),
        row(
            "the same for each photo",
            *(
                f"{(rate(fits['received'], e) + rate(fits['sent'], e)) / e.images / 1e3:.2g} kB"
                for e in loads
            ),
        ),
        row("memory of Redis: chunks under way", *(mib(under_way(e, waiting)) for e in loads)),
        row(
            "memory of Redis: a bit for each photo, digests",
            *[mib(PHOTOS * (1 / 8 + waiting["manifest"]))] * len(loads),
        ),
        row(
            f"photos of {LARGE_PHOTO / 1e6:g} MB from storage",
            *(f"{e.images * LARGE_PHOTO / 1e9:.2g} GB/s" for e in loads),
        ),
    ]
    head = ("", *(f"100 workers × {processes // 100}" for processes in PROCESSES))
    return f"{PHOTOS:,} photos, {seconds:g} s of work for each:\n\n" + table(head, rows)


def under_way(load: Load, waiting: dict[str, float]) -> float:
    chunks = CHUNKS_PER_WORKER * load.processes
    return chunks * (waiting["chunk"] + waiting["image"] * load.chunk)


def played(told: dict[str, Any]) -> str:
    rows = [
        (
            f"{each['processes']}",
            f"{each['images']:,}",
            f"{each['rate']:,.0f}",
            f"{min(each['busy'], 1):.0%}",
            f"{each['whole']:.0%}",
            f"{each['client_cpu']:.0%}",
            f"{each['redis_cpu']:.0%}",
            f"{each['commands']:,.0f}",
            mib(each["redis_memory"]),
        )
        for each in told["clusters"]
    ]
    head = (
        "processes", "photos", "photos per second", "processes at work", "from start to end",
        "client's core", "Redis' core", "commands per second", "memory of Redis, in all",
    )  # fmt: skip
    return table(head, rows)


def lost(told: dict[str, Any]) -> str:
    whole, some = told["lost"]
    return (
        f"A job of {whole['images']:,} photos on {whole['processes']} processes took "
        f"{whole['seconds']:.0f} s. When {some['lost']} of the processes vanished early on, each "
        f"with a chunk in hand, it took {some['seconds']:.0f} s: those that were left had "
        f"{some['lost'] / (some['processes'] - some['lost']):.0%} more to do. The longest time "
        f"without any result was {some['longest_pause']:.1f} s. A process is taken for lost after "
        f"{lease():g} s of silence, and has recorded what it had done up to {BEAT:g} s before."
    )


def limits(told: dict[str, Any]) -> str:
    seconds, fits = told["seconds"], told["costs"]
    rows = []
    for what, name in (("one client", "client"), ("one Redis", "redis")):
        most = largest(lambda each, name=name: rate(fits[name], each) < FULL, seconds)
        rows.append((what, f"{most.images:,.0f}", f"{most.processes:,}", str(most.chunk)))
    return f"At {FULL:.0%} of a core, {seconds:g} s of work for each photo:\n\n" + table(
        ("", "photos per second", "processes kept at work", "photos in a chunk"), rows
    )


def largest(bearable: Any, seconds: float) -> Load:
    """Return the load of the largest cluster that is bearable, in steps of 100 processes."""
    processes = 100
    while bearable(load(processes + 100, seconds)):
        processes += 100
    return load(processes, seconds)


def duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h"


def mib(size: float) -> str:
    return f"{size / MIB:.1f} MiB"
