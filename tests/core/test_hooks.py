"""The hooks, each with a use."""

from __future__ import annotations

import inspect

import click
import numpy as np
import pytest
from sample_filters import Brightness

from qualipy_core import hookimpl, hookspecs, plugins, process, scan
from qualipy_core.errors import ExecutorError, ImageReadError, PluginWarning
from qualipy_core.plugins import HOOKS
from qualipy_core.testing import hooked

OPENER = """
import numpy as np
from qualipy_core import hookimpl

@hookimpl
def qualipy_open_source(source):
    if source == "flat://white":
        return np.full((8, 8, 3), 255, np.uint8)
    if source.startswith("copy://"):
        with open(source.removeprefix("copy://"), "rb") as file:
            return file.read()
    if source == "flat://broken":
        raise ValueError("no such colour")
"""

OBSERVER = """
from qualipy_core import hookimpl
seen = []

@hookimpl
def qualipy_result(result):
    seen.append(result.image)
"""

EXECUTOR = """
from qualipy_core import hookimpl

class Backwards:
    def __init__(self, jobs):
        self.jobs = jobs

    def run(self, tasks, plan):
        return map(plan.judge, reversed(list(tasks)))

@hookimpl
def qualipy_executors():
    return {"backwards": Backwards}
"""

COMMAND = """
import click

from qualipy_core import hookimpl

@hookimpl
def qualipy_commands(cli):
    cli.add_command(click.Command("greet"))
"""


def install(install_pack, name, source):
    module = name.replace("-", "_")
    install_pack(name, source, {HOOKS: {name: module}})


def test_a_pack_can_open_a_new_kind_of_source(install_pack, photo):
    install(install_pack, "opener-pack", OPENER)
    assert process("flat://white", [Brightness()]) == {"flat://white": False}
    answers = process([f"copy://{photo}", photo], [Brightness()], return_predictions=True)
    assert len({tuple(a.items()) for a in answers.values()}) == 1


def test_a_source_that_a_pack_fails_to_open_is_that_images_error(install_pack):
    install(install_pack, "opener-pack", OPENER)
    with pytest.raises(ImageReadError, match=r"opener-pack 1\.0.*no such colour"):
        process("flat://broken", [Brightness()])
    results = list(scan(["flat://broken", "flat://white"], [Brightness()]))
    assert [r.failed for r in results] == [True, False]


def test_a_source_that_is_opened_as_something_else_is_that_images_error(install_pack):
    install(install_pack, "text-pack", OPENER.replace("file.read()", "'text'"))
    with pytest.raises(ImageReadError, match=r"text-pack 1\.0 as str, not as bytes"):
        process(f"copy://{__file__}", [Brightness()])


def test_hooks_can_be_tried_without_installing_them(photos):
    seen = []

    class Observer:
        @hookimpl
        def qualipy_result(self, result):
            seen.append(result.image)

    with hooked(Observer()):
        list(scan(photos, [Brightness()]))
    list(scan(photos, [Brightness()]))
    assert seen == photos


def test_a_pack_can_observe_results_in_their_order(install_pack, photos):
    install(install_pack, "observer-pack", OBSERVER)
    list(scan(photos, [Brightness()]))
    import observer_pack

    assert observer_pack.seen == photos


def test_an_observer_that_fails_is_reported_once_and_ends_nothing(install_pack, photos):
    install(install_pack, "failing-pack", OBSERVER.replace("seen.append", "1 /"))
    with pytest.warns(PluginWarning, match="qualipy_result of failing-pack") as caught:
        results = list(scan(photos, [Brightness()]))
    assert len(results) == len(photos)
    assert len(caught) == 1


def test_a_pack_can_add_an_executor(install_pack, photos):
    install(install_pack, "executor-pack", EXECUTOR)
    results = scan(photos, [Brightness()], executor="backwards")
    assert [r.image for r in results] == photos[::-1]


def test_an_unknown_executor_says_which_there_are(install_pack, photos):
    install(install_pack, "executor-pack", EXECUTOR)
    with pytest.raises(ExecutorError, match=r"'forwards': backwards, celery"):
        scan(photos, [Brightness()], executor="forwards")


def test_a_pack_can_add_commands(install_pack):
    install(install_pack, "command-pack", COMMAND)
    cli = click.Group()
    plugins.add_commands(cli)
    assert "greet" in cli.commands


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("1 / 0", "ZeroDivisionError"),
        (
            "from qualipy_core import hookimpl\n@hookimpl\ndef qualipy_no_such(): ...",
            "unknown hook",
        ),
        ("from qualipy_core import hookimpl\n@hookimpl\ndef qualipy_result(colour): ...", "colour"),
    ],
)
def test_a_broken_hook_pack_is_isolated_and_known(install_pack, photos, source, why):
    install(install_pack, "broken-hooks", source)
    install(install_pack, "observer-again", OBSERVER)
    list(scan(photos[:2], [Brightness()]))
    (failed,) = plugins.hooks().failures.items()
    assert failed[0].distribution == "broken-hooks"
    assert why in str(failed[1])
    import observer_again

    assert observer_again.seen == photos[:2]


def test_disabled_hooks_are_not_imported(install_pack, monkeypatch):
    install(install_pack, "off-hooks", "raise SystemExit")
    monkeypatch.setenv("QUALIPY_DISABLE", "off-hooks")
    plugins.refresh()
    assert plugins.hooks().failures == {}


def test_every_hook_is_specified_with_a_docstring_and_has_a_test_here():
    hooks = [
        n for n, _ in inspect.getmembers(hookspecs, inspect.isfunction) if n.startswith("qualipy_")
    ]
    assert hooks
    sources = OPENER + OBSERVER + EXECUTOR + COMMAND
    for name in hooks:
        assert inspect.getdoc(getattr(hookspecs, name))
        assert f"def {name}(" in sources


def test_an_array_from_a_hook_is_a_picture(install_pack):
    install(install_pack, "opener-pack", OPENER)
    (result,) = scan("flat://white", [Brightness()], (0, 0, 4, 4))
    assert result.ROI == (0, 0, 4, 4)
    assert result.predictions == {"brightness": 1.0}
    assert np.isfinite(result.seconds)
