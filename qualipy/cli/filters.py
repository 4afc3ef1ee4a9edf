"""``qualipy filters``: which filters there are, and how to use one."""

from __future__ import annotations

import inspect
import re
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import click

from qualipy.cli import packs, terminal
from qualipy.cli.failures import missing_library
from qualipy.cli.text import encode, shortened, to_json, unstyled, visible
from qualipy_core.errors import PluginError, UnknownFilterError

if TYPE_CHECKING:
    from qualipy_core.criterion import Criterion

MAX_WIDTH = 100  # of a line of text that is meant to be read
_LAID_OUT = re.compile(r"^(\s|[-*>|.] |\.\. |>>>|={3,}|\d+\. )", re.MULTILINE)
_NO_DOCUMENTATION = "(its author has not described it)"
_ONLY_NAMED = "Runs when it is named, or with --filters all"
_OF_A_SET = (
    "It judges a photo among the others of its run: results come when all photos are measured."
)


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def filters(name: str | None, as_json: bool) -> None:
    """List the installed filters; with a NAME, explain that one and its parameters.

    \b
    Examples:
      qualipy filters
      qualipy filters exposure
      qualipy filters --json | jq -r '.[].name'
    """  # noqa: D301 (click reads the \b)
    from qualipy_core import plugins

    packs.need_opencv()
    if name is None:
        with terminal.only_results_on_stdout():
            described = [_described(known) for known in plugins.registry().names()]
        if as_json:
            _print(to_json(described, 2))
        else:
            _list(described)
        return
    try:
        with terminal.only_results_on_stdout():
            cls = plugins.registry().get(name)
    except UnknownFilterError as error:
        raise click.BadParameter(str(error), param_hint="NAME") from None
    if as_json:
        _print(to_json(_described(name), 2))
    else:
        _explain(name, cls)


def _described(name: str) -> dict[str, Any]:
    from qualipy_core import SetFilter, parameters, plugins

    registry = plugins.registry()
    entry = registry.entry(name)
    description: dict[str, Any] = {
        "name": name,
        "distribution": entry.distribution if entry else None,
        "version": entry.version if entry else None,
    }
    try:
        cls = registry.get(name)
    except PluginError as error:
        library = missing_library(error)
        if library is not None:
            raise library from None
        cause = error.__cause__
        told = str(error) if cause is None else f"{type(cause).__name__}: {cause}"
        return {**description, "state": "broken", "cause": told}
    return {
        **description,
        "state": "loaded",
        "speed": cls.speed,
        "by_default": cls.by_default,
        "judges": "a set" if issubclass(cls, SetFilter) else "a photo",
        "summary": _documentation(cls).partition("\n")[0],
        "documentation": _documentation(cls),
        "parameters": [
            {**parameter._asdict(), "default": _json_default(parameter.default)}
            for parameter in parameters.parameters_of(cls)
        ],
    }


def _list(described: list[dict[str, Any]]) -> None:
    if not described:
        click.echo("No filters are installed. `pip install qualipy-filters-builtin` brings some.")
        return
    name_width = max(len(item["name"]) for item in described)
    for pack in sorted({_pack(item) for item in described}):
        _echo(click.style(visible(pack), bold=True))
        for item in described:
            if _pack(item) != pack:
                continue
            head = f"  {visible(item['name']):<{name_width}}  "
            if item["state"] == "broken":
                text = _fitting(f"broken   {visible(item['cause'])}", len(head))
                _echo(head + click.style(text, fg="red"))
            else:
                said = visible(item["summary"]) or _NO_DOCUMENTATION
                named = " " if item["by_default"] else "*"
                _echo(head + _fitting(f"speed {item['speed']}{named} {said}", len(head)))
    terminal.say("\n`qualipy filters NAME` explains one. Speed: 1 is fast, 5 is slow.")
    if not all(item.get("by_default", True) for item in described):
        terminal.say(f"* {_ONLY_NAMED}.")


def _explain(name: str, cls: type[Criterion]) -> None:
    from qualipy_core import SetFilter, parameters, plugins

    distribution, version = plugins.origin(cls)
    speed = f"speed {cls.speed} of 5 (1 is fast)"
    of = f"{visible(distribution)} {visible(version or '')}, " if distribution else ""
    _echo(f"{click.style(name, bold=True)}  {of}{speed}\n")
    _echo(_laid_out(_documentation(cls)) or _NO_DOCUMENTATION)
    if issubclass(cls, SetFilter):
        _echo("\n" + textwrap.fill(_OF_A_SET, _width()))
    if not cls.by_default:
        _echo(f"\n{_ONLY_NAMED}.")
    accuracy = _accuracy(cls)
    if accuracy:
        _echo(f"\n{click.style('Accuracy', bold=True)}\n{accuracy}")
    _echo(f"\n{click.style('Parameters', bold=True)}")
    known = parameters.parameters_of(cls)
    for parameter in known:
        default = to_json(_json_default(parameter.default))
        local = " (names a file or program: refused in requests)" if parameter.local else ""
        _echo(f"  {click.style(parameter.name, bold=True)}: {parameter.type} = {default}{local}")
        if parameter.meaning:
            _echo(textwrap.fill(visible(parameter.meaning), _width(), **_INDENTED))
    _echo(f"\n{click.style('Use', bold=True)}")
    own = next((p for p in known if p.name not in _OF_EVERY_FILTER), known[0])
    other = not own.default if isinstance(own.default, bool) else own.default
    value = to_json(_json_default(other))
    _echo(f"  qualipy scan photos/ --filters {name} --set {name}.threshold={_threshold(cls)}")
    if own.name != "threshold":
        _echo(
            f"  qualipy scan photos/ --filters {name} --set {_quoted(f'{name}.{own.name}={value}')}"
        )


def _accuracy(cls: type[Criterion]) -> str | None:
    """What the card of a trained filter's shipped model says about photos it has not seen."""
    from qualipy_core import TrainableFilter

    card = cls().card() if issubclass(cls, TrainableFilter) else None
    try:
        figure = (card or {})["cross_validated"]["balanced_accuracy"]
        value, low, high = (float(figure[name]) for name in ("value", "low", "high"))
        photos = int((card or {})["positives"]) + int((card or {})["negatives"])
    except (KeyError, TypeError, ValueError):
        return None
    said = f"Balanced accuracy {value:.2f} ({low:.2f} – {high:.2f}), cross-validated on {photos} "
    return textwrap.fill(f"{said}labelled photos, as the card of its model says.", _width())


_OF_EVERY_FILTER = ("threshold", "invert_threshold", "comparison")
_INDENTED: Any = {"initial_indent": "      ", "subsequent_indent": "      "}


def _threshold(cls: type[Criterion]) -> str:
    return f"{cls.__dataclass_fields__['threshold'].default:.4g}"


def _quoted(setting: str) -> str:
    import shlex

    return shlex.quote(setting)


def _documentation(cls: type[Criterion]) -> str:
    text = inspect.cleandoc(cls.__doc__ or "")
    # A class without a docstring was given its signature as one, by being a dataclass.
    return "" if text.startswith(f"{cls.__name__}(") else text


def _laid_out(documentation: str) -> str:
    """The docstring for reading, without the section that is shown as a list of its own."""
    shown = []
    for section in re.split(r"\n(?=[^\n]+\n-{3,}\n)", visible(documentation, keep="\n")):
        title, underlined, body = section.partition("\n---")
        if not underlined or "\n" in title:
            shown += _paragraphs(section)
        elif title != "Parameters":
            first, *others = _paragraphs(body.lstrip("-"))
            shown += [f"{click.style(title, bold=True)}\n{first}", *others]
    return "\n\n".join(shown)


def _paragraphs(text: str) -> list[str]:
    """Paragraphs, filled anew; what is laid out on purpose (indented, lists) stays as it is."""
    found = [paragraph.strip("\n") for paragraph in re.split(r"\n\s*\n", text.strip("\n"))]
    return [p if _LAID_OUT.search(p) else textwrap.fill(p, _width()) for p in found]


def _json_default(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | list | None) else str(value)


def _pack(item: dict[str, Any]) -> str:
    return f"{item['distribution'] or '(not installed)'} {item['version'] or ''}".strip()


def _width() -> int:
    return min(shutil.get_terminal_size().columns, MAX_WIDTH)


def _fitting(text: str, used: int) -> str:
    """Text cut to the terminal's width; a pipe gets all of it."""
    if not terminal.is_terminal(sys.stdout):
        return text
    return shortened(text, shutil.get_terminal_size().columns - used)


def _echo(text: str) -> None:
    click.echo(text if terminal.has_colours(sys.stdout) else unstyled(text), color=True)


def _print(text: str) -> None:
    click.echo(encode(text))
