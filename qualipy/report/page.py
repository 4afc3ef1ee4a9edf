"""From data to HTML: one page that holds its style, its scripts and its data, and asks no network.

Data are JSON in ``<script type="application/json">``, in which no character can end the element;
the page's own script puts every text of theirs where it is text. A content policy allows the one
script and the one style of the page, by their digests, and pictures from the page and from disk.
"""

from __future__ import annotations

import json
import os
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

STYLE = "report.css"
SCRIPTS = (
    "words.js",
    "data.js",
    "judge.js",
    "choices.js",
    "dom.js",
    "histogram.js",
    "gallery.js",
    "enlarged.js",
    "takeaway.js",
    "report.js",
)
"""In this order; later ones use what earlier ones define."""

_GENERATOR = "QualiPy report"
_OURS = re.compile(
    rb'<meta name="generator" content="' + _GENERATOR.encode() + rb'[^"]*">\s*'
    rb'<meta name="qualipy-run" content="([0-9a-f]*)">'
)
_HEAD = 2048  # bytes in which these stand

_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\x7f": "\\u007f"}


def script_json(value: Any) -> Markup:
    """Return a value as JSON that can stand in a ``<script>`` of HTML.

    It is ASCII: whatever could end the element, a line or the direction of writing is an escape,
    and a byte of a file name that is no UTF-8 stays the lone surrogate that Python has for it.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character, escape in _ESCAPED.items():
        text = text.replace(character, escape)
    return Markup(text)  # noqa: S704 (nothing in it can act)


def run_of(path: str | os.PathLike[str]) -> str | None:
    """Return which run a page is of: the name of its folder, if it has one.

    Returns
    -------
    str or None
        None where there is no file, or it is no report: to be told from one that is.
    """
    try:
        with open(path, "rb") as file:
            found = _OURS.search(file.read(_HEAD))
    except OSError:
        return None
    return None if found is None else found[1].decode()


def render(
    data: Mapping[str, Any],
    summary: Mapping[str, Any],
    thumbnails: Iterable[tuple[int, list[str]]],
    run: str = "",
) -> Iterator[str]:
    """Yield the page, piece by piece.

    Parameters
    ----------
    data : mapping
        What its script works on.
    summary : mapping
        What it shows without scripts.
    thumbnails : iterable of (int, list of str)
        The number of the first photo of a piece, and JPEG files in base64; taken as they are
        written.
    run : str
        What `run_of` is to return of it.
    """
    style, script = _style(), _script()
    yield from _template().generate(
        data=script_json(data),
        summary=summary,
        thumbnails=((first, script_json(pieces)) for first, pieces in thumbnails),
        generator=f"{_GENERATOR} {data.get('qualipy', '')}",
        run=run,
        style=Markup(style),  # noqa: S704 (a source of ours)
        script=Markup(script),  # noqa: S704
        policy="; ".join(
            [
                "default-src 'none'",
                f"script-src '{_digest(script)}'",
                f"style-src '{_digest(style)}'",
                "img-src data: file: 'self'",
                "base-uri 'none'",
                "form-action 'none'",
            ]
        ),
    )


@cache
def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("qualipy.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2")


@cache
def _style() -> str:
    return _source(STYLE)


@cache
def _script() -> str:
    """All scripts as one, which shares its names with nobody."""
    return f'(() => {{\n"use strict";\n{"".join(map(_source, SCRIPTS))}}})();\n'


def _source(name: str) -> str:
    text = (files("qualipy.report") / "page" / name).read_text(encoding="utf-8")
    assert "</" not in text, f"{name} would end its element"  # noqa: S101
    return text


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
