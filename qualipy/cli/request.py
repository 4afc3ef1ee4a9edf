"""``qualipy request``: run a job that is written as JSON."""

from __future__ import annotations

from typing import Any, BinaryIO

import click

from qualipy.cli import packs, terminal
from qualipy.cli.limits import limit_options, limits_of
from qualipy.cli.text import encode, to_json


@click.command()
@click.argument("file", metavar="FILE|-", type=click.File("rb"), required=False)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a request, and no more.")
@click.option(
    "--trusted",
    is_flag=True,
    help="Let the request name files and programs of this machine, such as svm_file.",
)
@click.option(
    "-j",
    "--jobs",
    metavar="N",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Worker processes; 0 takes one per core.",
)
@limit_options
@click.option(
    "--indent",
    metavar="N",
    type=click.IntRange(0, 16),
    help="Spaces by which to indent the answer.",
)
def request(
    file: BinaryIO | None,
    schema: bool,
    trusted: bool,
    jobs: int,
    indent: int | None,
    **limits: float | None,
) -> None:
    """Run a job that is written as JSON and print the answer as JSON.

    The answer comes when all is done, and the first image that can't be judged ends the job;
    `qualipy scan` reports image by image instead.

    \b
    Examples:
      qualipy request job.json
      echo '{"images": {"a.jpg": null, "b.jpg": [50, 50, 200, 200]},
             "filters": {"hdr": {"threshold": 0.6}, "pattern": {}},
             "return_predictions": true}' | qualipy request - --indent 2
      qualipy request --schema

    \b
    Exit status:
      0  done
      1  an image can't be read, or a filter failed on one
      2  the request is wrong; the message says where
      3  a library or the workers are broken
    """  # noqa: D301 (click reads the \b)
    if not schema and file is None:
        raise click.UsageError("Missing argument 'FILE|-'.")
    with terminal.only_results_on_stdout():
        packs.load_hooks()
        from qualipy_core.request import process_request, request_schema

        answer: Any
        if file is None or schema:
            answer, indent = request_schema(), 2 if indent is None else indent
        else:
            answer = process_request(
                file.read(), trusted=trusted, jobs=jobs, limits=limits_of(**limits)
            )
    _print(to_json(answer, indent))


def _print(text: str) -> None:
    click.echo(encode(text))
