"""The program itself: its commands, those that packs add, and what becomes of errors."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any, TextIO

import click

from qualipy import __version__
from qualipy.cli import packs
from qualipy.cli.failures import failure
from qualipy.cli.interrupts import handled_by_us
from qualipy_core.errors import PluginWarning, QualipyError
from qualipy_core.threads import one_library_thread

INTERRUPTED = 130  # 128 + SIGINT, as shells have it
PIPE_CLOSED = 141  # 128 + SIGPIPE

#: Our own commands in the order of their use, with what the list of commands says of each. A
#: command is the function of its name in the module of its name, imported when it is used.
OWN = {
    "scan": "Judge photos and say which are unsuitable, and why.",
    "sort": "Put photos into folders by what was found, and take it back.",
    "report": "Make a page to look at the results of an earlier run.",
    "results": "Show the results of an earlier run, or write them in another form.",
    "explain": "Show where in a photo a filter sees it, as a picture.",
    "request": "Run a job that is written as JSON and print the answer as JSON.",
    "evaluate": "Say how well a filter does on labelled photos.",
    "train": "Train a filter's model on photos of your own.",
    "filters": "List the filters, or explain one.",
    "plugins": "Show every installed pack and what is wrong with it.",
}


class App(click.Group):
    """A group whose commands are its own first, then those of packs.

    Packs are asked only where it matters: for the list of all commands, and for a command that is
    not one of ours.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._asked = False

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return our own commands in the order of their use, then those of packs."""
        self.ask_packs()
        return [*OWN, *sorted(self.commands)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; packs are asked only for one that is not ours."""
        if cmd_name in OWN:
            command: click.Command = getattr(import_module(f"qualipy.cli.{cmd_name}"), cmd_name)
            return command
        if cmd_name not in self.commands:
            self.ask_packs()
        return super().get_command(ctx, cmd_name)

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a pack's command; what there is already can't be replaced."""
        name = name or cmd.name
        if name in OWN or name in self.commands:
            raise ValueError(f"there is a command {name!r} already")
        super().add_command(cmd, name)

    def ask_packs(self) -> None:
        """Let every pack add its commands, once."""
        if not self._asked:
            self._asked = True
            packs.load_hooks()
            packs.add_commands(self)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands for ``--help``: ours, then those that packs brought."""
        self.ask_packs()
        of_packs = [
            (name, command.get_short_help_str(formatter.width))
            for name, command in sorted(self.commands.items())
            if not command.hidden
        ]
        for title, rows in {"Commands": [*OWN.items()], "Commands of packs": of_packs}.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; Ctrl-C and a reader that left are no errors to talk about."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            _forget_stdout()
            ctx.exit(PIPE_CLOSED)

    def main(self, args: Sequence[str] | None = None, *more: Any, **options: Any) -> Any:
        """Run the program; an error of ours is a message, and any other keeps its traceback."""
        _write_what_is_given()
        with (
            handled_by_us(process_ends=args is None),
            one_library_thread(),
            warnings.catch_warnings(),
        ):
            _tell_plugin_warnings()
            try:
                return super().main(args, *more, **options)
            except QualipyError as error:
                told = failure(error)
        told.show()
        sys.exit(told.exit_code)


def _tell_plugin_warnings() -> None:
    """Show a pack's failing hook in one line, without the place in our source that warned."""
    others = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, PluginWarning):
            packs.warn(str(message))
        else:
            others(message, category, filename, lineno, file, line)

    warnings.showwarning = show
    warnings.simplefilter("always", PluginWarning)


def _write_what_is_given() -> None:
    """Let no file name be impossible to print, whatever the terminal's encoding."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _forget_stdout() -> None:
    """Send what is still buffered for a reader that left into the void."""
    try:
        void = os.open(os.devnull, os.O_WRONLY)
        os.dup2(void, sys.stdout.fileno())
        os.close(void)
    except (OSError, ValueError):
        pass  # not a real file, as in tests: nothing will be written at exit


@click.group(
    cls=App,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`qualipy COMMAND --help` explains a command and shows examples.",
)
@click.version_option(__version__, prog_name="qualipy", message="%(prog)s %(version)s")
def cli() -> None:
    """Keep unsuitable photos out: blurred, badly exposed, framed, over-processed and more.

    \b
    Judge a folder of photos:             qualipy scan photos/
    With two filters, into a file:        qualipy scan photos/ --filters hdr,exposure -o out.csv
    See which filters there are:          qualipy filters
    Learn how to use one:                 qualipy filters exposure
    """  # noqa: D301 (click reads the \b)


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line; ends by `SystemExit`.

    Parameters
    ----------
    args : sequence of str, optional
        The arguments; the process's own, by default.
    """
    cli.main(args=args, prog_name="qualipy")
