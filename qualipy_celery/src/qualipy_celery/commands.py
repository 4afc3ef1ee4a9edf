"""``qualipy worker`` and ``qualipy jobs``: what an operator types."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from qualipy_celery.ledger import JobStatus

STALE = 30.0  # seconds after which a client that has not been heard of is taken for dead


@click.command(
    short_help="Start a worker that judges photos for distributed jobs.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option(
    "-c", "--concurrency", type=click.IntRange(1), show_default="all cores", help="Processes."
)
@click.option("-l", "--loglevel", default="INFO", show_default=True, help="How much to tell.")
@click.argument("options", metavar="[CELERY OPTIONS]...", nargs=-1, type=click.UNPROCESSED)
def worker(concurrency: int | None, loglevel: str, options: tuple[str, ...]) -> None:
    """Start a worker that judges photos for distributed jobs.

    The same as `celery -A qualipy_celery worker`, whose options can follow. It takes its broker
    from QUALIPY_BROKER_URL or a celeryconfig.py in this folder, and reads only below
    QUALIPY_IMAGE_ROOTS where that is set. Ctrl-C lets it finish what it has begun.

    \b
    Examples:
      qualipy worker
      qualipy worker -c 4 --hostname=photos@%h
    """  # noqa: D301 (click reads the \b)
    from qualipy_celery import app
    from qualipy_core.executors import available_cores

    processes = concurrency or available_cores()
    app.worker_main(["worker", f"--concurrency={processes}", f"--loglevel={loglevel}", *options])


@click.group(short_help="List, watch, stop and resume distributed jobs.")
def jobs() -> None:
    """List, watch, stop and resume distributed jobs.

    `qualipy scan --executor celery` and `qualipy_celery.submit` begin them.

    \b
    Examples:
      qualipy jobs list
      qualipy jobs status 7f3a91c2
      qualipy jobs resume 7f3a91c2
    """  # noqa: D301 (click reads the \b)


@jobs.command("list")
def list_() -> None:
    """List the jobs that there is a record of, the latest first."""
    from qualipy_celery import list_jobs

    rows = [_row(status) for status in list_jobs()]
    if not rows:
        click.echo("There are no jobs. `qualipy scan PATH --executor celery` begins one.", err=True)
        return
    head = ("JOB", "STATE", "DONE", "OF", "FLAGGED", "ERRORS", "BEGAN")
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


@jobs.command()
@click.argument("job")
@click.option("--json", "as_json", is_flag=True, help="As a JSON object.")
def status(job: str, as_json: bool) -> None:
    """Tell how JOB stands."""
    from qualipy_celery import find_job

    told = find_job(job).status()
    if as_json:
        import dataclasses
        import json

        click.echo(json.dumps({**dataclasses.asdict(told), "percent": told.percent}))
        return
    of = "" if told.total is None else f" of {told.total:,} ({told.percent:.1f} %)"
    click.echo(f"{told.id}: {_state(told)}")
    click.echo(f"{told.done:,}{of} done, {told.flagged:,} flagged, {told.failed:,} with an error")
    filters = ", ".join(label for label, _ in told.about.get("filters", ()))
    click.echo(f"filters: {filters}")
    if _state(told) in ("stopped", "interrupted"):
        click.echo(f"`qualipy jobs resume {told.id}` goes on.")


@jobs.command()
@click.argument("job")
def cancel(job: str) -> None:
    """Give JOB up: workers stop within a second, and it cannot be resumed."""
    from qualipy_celery import runs

    _end(job, "cancelled")
    runs.forget(job)
    click.echo(f"Job {job} is cancelled.")


@jobs.command()
@click.argument("job")
def stop(job: str) -> None:
    """Interrupt JOB: workers stop within a second; `qualipy jobs resume` goes on."""
    _end(job, "stopped")
    click.echo(f"Job {job} is stopped; `qualipy jobs resume {job}` goes on.")


@jobs.command()
@click.argument("job")
def forget(job: str) -> None:
    """Remove the record of JOB, and what was recorded and not fetched."""
    from qualipy_celery import find_job, runs
    from qualipy_core.errors import JobError

    found = find_job(job)
    if _state(found.status()) == "running":
        raise JobError(f"The job {job!r} is running: stop or cancel it first.", job=job)
    found.forget()
    runs.forget(job)
    click.echo(f"Job {job} is forgotten.")


@jobs.command()
@click.argument("job")
@click.pass_context
def resume(context: click.Context, job: str) -> None:
    """Go on with JOB, which `qualipy scan` began on this machine with --output FILE.

    What is in the file, and what workers have recorded since, is not judged again. The same as
    repeating the command with --resume.
    """
    from qualipy_celery import runs

    kept = runs.recalled(job)
    root = context.find_root().command
    scan = root.get_command(context, "scan") if isinstance(root, click.Group) else None
    if scan is None:
        raise click.UsageError("`qualipy scan` is not installed here: pip install qualipy.")
    try:
        os.chdir(kept["folder"])
    except OSError as error:
        raise click.UsageError(
            f"The folder in which {job} began cannot be entered: {kept['folder']}: "
            f"{error.strerror}."
        ) from None
    params: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in kept["params"].items()
        if any(parameter.name == name for parameter in scan.params)
    }
    params["resume"] = True
    with click.Context(scan, info_name="scan", parent=context.find_root()) as inner:
        inner.params = params
        inner.invoke(scan, **params)


def _end(name: str, how: Literal["cancelled", "stopped"]) -> None:
    """End a job before its time, if it has not ended yet."""
    from qualipy_celery import find_job
    from qualipy_core.errors import JobError

    job = find_job(name)
    job.cancel() if how == "cancelled" else job.stop()
    state = job.status().state
    if state != how:
        raise JobError(f"The job {name!r} is {state} already.", job=name)


def _row(status: JobStatus) -> tuple[str, ...]:
    began = time.strftime("%Y-%m-%d %H:%M", time.localtime(status.created))
    total = "?" if status.total is None else f"{status.total:,}"
    return (
        status.id,
        _state(status),
        f"{status.done:,}",
        total,
        f"{status.flagged:,}",
        f"{status.failed:,}",
        began,
    )


def _state(status: JobStatus) -> str:
    """The state in a word; a client that died could not say so itself."""
    if status.state == "running" and time.time() - status.updated > STALE:
        return "interrupted"
    return status.state
