"""What this machine remembers of the jobs that ``qualipy scan`` began, so that it can go on.

A file per job under ``$XDG_STATE_HOME/qualipy/jobs`` (``~/.local/state`` by default) holds the
options of the command and the folder it was typed in. It is written by the user and for the user:
nothing that comes from Redis decides what a resumed run reads or writes.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from qualipy_celery.jobs import Job
from qualipy_celery.submission import Submission
from qualipy_core.errors import JobError, UnknownJobError

LIST_ON_STDIN = "-"


def remember(job: Submission) -> None:
    """Keep how the scan that this job is part of was called, and tell its name."""
    context = _scan()
    if context is None:
        return
    kept = {"id": job.id, "folder": os.getcwd(), "params": _plain(context.params)}
    path = _path(job.id)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = path.with_suffix(".new")
    unfinished.write_text(json.dumps(kept), encoding="utf-8")
    unfinished.rename(path)
    if not context.params.get("quiet"):
        click.echo(f"Job {job.id}; `qualipy jobs status {job.id}` tells how it stands.", err=True)


def recalled(name: str) -> dict[str, Any]:
    """Return what is remembered of a job.

    Raises
    ------
    UnknownJobError
        (LookupError) Nothing.
    JobError
        (RuntimeError) Nothing that can be resumed.
    """
    try:
        kept: dict[str, Any] = json.loads(_path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UnknownJobError(
            f"No unfinished `qualipy scan` of this machine has the job {name!r}: it has ended, was "
            "cancelled, or was begun elsewhere. Repeat the command there with --resume, or "
            "`submit` the same images with resume=True.",
            job=name,
        ) from None
    if not kept["params"].get("output"):
        raise JobError(
            f"The job {name!r} wrote its report to a terminal or pipe, which is gone; only one "
            "with --output FILE can be resumed.",
            job=name,
        )
    if LIST_ON_STDIN in kept["params"].get("paths", ()):
        raise JobError(
            f"The job {name!r} read its list of images from standard input. Give it again: repeat "
            "the command with --resume.",
            job=name,
        )
    return kept


def forget(name: str) -> None:
    """Forget a job that has ended."""
    with contextlib.suppress(OSError):
        _path(name).unlink()


def adopt() -> Iterator[Job]:
    """Yield the interrupted jobs of the scan that is being resumed: those with its output."""
    context = _scan()
    if context is None or not context.params.get("resume"):
        return
    output = os.path.abspath(context.params["output"])
    for path in sorted(_folder().glob("*.json")):
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            theirs = os.path.join(kept["folder"], kept["params"]["output"] or "")
        except (OSError, ValueError, LookupError, TypeError):
            continue
        if os.path.abspath(theirs) == output:
            yield Job(kept["id"])


def _scan() -> click.Context | None:
    """The command line that this runs under, if it is ``qualipy scan``."""
    context = click.get_current_context(silent=True)
    if context is None or context.info_name != "scan" or "output" not in context.params:
        return None
    return context


def _plain(params: dict[str, Any]) -> dict[str, Any]:
    return {name: list(v) if isinstance(v, tuple) else v for name, v in params.items()}


def _folder() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "qualipy" / "jobs"


def _path(name: str) -> Path:
    return _folder() / f"{name}.json"
