"""The program itself: help, version, commands of packs, what becomes of errors."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from qualipy.cli.app import OWN, App, cli
from qualipy.cli.failures import failure
from qualipy_core import errors

HEAVY = ("cv2", "numpy", "rich", "pydantic", "qualipy_core.pipeline")


def own(name):
    return cli.get_command(click.Context(cli), name)


def test_help_lists_the_commands(invoke):
    result = invoke("--help")
    assert result.exit_code == 0
    for command in OWN:
        assert f"\n  {command} " in result.stdout


@pytest.mark.parametrize("command", sorted(OWN))
def test_every_command_stands_where_the_program_looks_for_it(command):
    assert own(command).name == command


@pytest.mark.parametrize("args", [("--help",), ("--version",), ("scan", "--help")])
def test_help_imports_nothing_heavy(program, args):
    code = f"""
import sys
from qualipy.cli import main
try:
    main({list(args)!r})
except SystemExit as end:
    assert not end.code
print("HEAVY", [name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=program.environment(), check=True
    )
    assert done.stdout.decode().splitlines()[-1] == "HEAVY []"


@pytest.mark.parametrize("command", sorted(OWN))
def test_the_help_of_every_command_shows_examples_that_start_with_the_program(invoke, command):
    text = invoke(command, "--help").stdout
    assert "Examples:\n" in text
    assert f"qualipy {command}" in text.partition("Examples:")[2]


@pytest.mark.parametrize("command", sorted(OWN))
def test_every_option_has_a_help_text(command):
    for parameter in own(command).params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


def test_the_version_is_told(program):
    from qualipy import __version__

    assert program("--version").stdout.decode() == f"qualipy {__version__}\n"


def test_an_unknown_command_is_a_usage_error(invoke):
    result = invoke("scna")
    assert result.exit_code == 2
    assert "scna" in result.stderr


def test_a_pack_adds_a_command(program, hooks):
    assert b"Say hello." in program("--help").stdout
    assert program("hello").stdout == b"hello from a pack\n"


def test_a_broken_pack_of_hooks_costs_one_warning_and_nothing_else(program, broken_hooks):
    done = program("--help")
    assert done.returncode == 0
    assert b"\n  scan " in done.stdout
    assert done.stderr.count(b"warning") == 1
    assert b"broken-hooks 6.6" in done.stderr
    assert b"a_library_that_is_not_there" in done.stderr


def test_a_hook_that_fails_costs_one_warning(program, site):
    source = """
        from qualipy_core import hookimpl

        @hookimpl
        def qualipy_commands(cli):
            raise RuntimeError("not today")
    """
    site.install("sad", "3", {"qualipy.hooks": {"sad": "broken_sad"}}, broken_sad=source)
    done = program("--help")
    assert done.returncode == 0
    assert done.stderr.decode().splitlines() == [
        "qualipy: warning: The hook qualipy_commands of sad 3 failed: RuntimeError: not today"
    ]


def test_a_pack_cannot_replace_a_command(program, site):
    source = """
        from qualipy_core import hookimpl

        @hookimpl
        def qualipy_commands(cli):
            @cli.command()
            def scan():
                print("mine now")
    """
    site.install(
        "greedy", "1", {"qualipy.hooks": {"greedy": "broken_greedy"}}, broken_greedy=source
    )
    done = program("no-such-command")
    assert b"there is a command 'scan' already" in done.stderr
    assert b"mine now" not in program("scan", "--help").stdout


def test_packs_are_asked_only_when_it_matters():
    asked = []

    class Watched(App):
        def ask_packs(self):
            asked.append(True)

    group = Watched("test")
    group.add_command(click.Command("ours"))
    assert group.get_command(click.Context(group), "ours")
    assert not asked
    assert group.get_command(click.Context(group), "theirs") is None
    assert asked


def test_a_missing_library_is_a_message_and_not_a_traceback(program, site, photos):
    (site.path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object')")
    for args in (("scan", photos), ("filters",), ("request", "--schema")):
        done = program(*args)
        assert done.returncode == 3
        assert b"libGL.so.1" in done.stderr
        assert b"apt-get install" in done.stderr
        assert b"Traceback" not in done.stderr
        assert done.stderr.count(b"\n") == 1


def test_an_unexpected_error_keeps_its_traceback(program, site):
    source = """
        from qualipy_core import hookimpl

        @hookimpl
        def qualipy_commands(cli):
            @cli.command()
            def crash():
                raise RuntimeError("a bug")
    """
    site.install("buggy", "1", {"qualipy.hooks": {"buggy": "broken_buggy"}}, broken_buggy=source)
    done = program("crash")
    assert done.returncode == 1
    assert b"Traceback" in done.stderr
    assert b"RuntimeError: a bug" in done.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ImageReadError("x", image="x"), 1),
        (errors.FilterError("x"), 1),
        (errors.RequestError("x"), 2),
        (errors.UnknownFilterError("x", name="x", installed=()), 2),
        (errors.ParameterTypeError("x"), 2),
        (errors.PluginError("x"), 3),
        (errors.ExecutorError("x"), 3),
        (errors.MissingLibraryError("x"), 3),
    ],
)
def test_each_kind_of_error_has_its_exit_status(error, code):
    assert failure(error).exit_code == code


def test_a_pack_that_lacks_a_library_is_not_blamed():
    error = errors.PluginError("the pack is broken")
    error.__cause__ = errors.MissingLibraryError("install libgl1")
    assert failure(error).message == "install libgl1"
