"""Running the documentation: the fenced blocks of a Markdown page, in order, for real.

==========================  ===================================================================
fence                       what is done with it
==========================  ===================================================================
``python title="a/b.py"``   any language with a title: the file is written
``python``                  executed; the blocks of a page share their names
``pycon``                   executed as a doctest: what is shown must be what comes
``console``                 lines that begin with ``$`` are run by bash, and what is shown below
                            them must be what comes; ``...`` stands for anything. A command that
                            fails must be followed by ``$ echo $?``.
anything else               only looked at by people
==========================  ===================================================================

Commands run in a virtual environment of their own, on top of the one that runs the tests. A
``console`` block that is one command among the *services* of the page starts a server: it is left
running for the rest of the page.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
import textwrap
import venv
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from qualipy_core.opencv import cv2
from qualipy_core.testing import sample_images

_FENCE = re.compile(
    r"^(?P<ticks>```+)(?P<info>[^\n`]*)\n(?P<code>.*?)^(?P=ticks)[ ]*$", re.M | re.S
)
_TITLE = re.compile(r'title="([^"]+)"')
_END = "\x1e"  # printed after each command, before its exit status
_SCRIPTS = ("qualipy", "pytest")
_LOOSE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    """A fenced block of a Markdown page."""

    language: str
    title: str | None
    code: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for fence in _FENCE.finditer(text):
        language, _, rest = fence["info"].strip().partition(" ")
        title = _TITLE.search(rest)
        line = text.count("\n", 0, fence.start()) + 2
        yield Block(language, title[1] if title else None, fence["code"], line)


def run_page(
    page: Path,
    folder: Path,
    environment: Mapping[str, str],
    services: Mapping[str, Callable[[], object]] | None = None,
) -> None:
    """Write, execute and check every block of a page, in a folder.

    Parameters
    ----------
    page, folder : Path
    environment : mapping of str to str
        The variables of the commands.
    services : mapping of str to callable, optional
        What to call instead of running a command that would not end.

    Raises
    ------
    AssertionError
        A command failed, or something else came than is shown.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    with _importable(folder):
        for block in blocks(page):
            command = block.code.removeprefix("$ ").rstrip("\n")
            if services and block.language == "console" and command in services:
                services[command]()
            else:
                folder = _run(block, page, names, folder, environment)


def _run(
    block: Block, page: Path, names: dict[str, Any], folder: Path, environment: Mapping[str, str]
) -> Path:
    """Run a block; return the folder in which the next one runs."""
    place = f"{page.name}, line {block.line}"
    if block.title is not None:
        path = folder / block.title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.code, encoding="utf-8")
    elif block.language == "python":
        source = "\n" * (block.line - 1) + block.code
        exec(compile(source, str(page), "exec"), names)
    elif block.language == "pycon":
        _doctest(block, names, place)
    elif block.language == "console":
        return _console(block, folder, environment, place)
    return folder


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let Python find the modules that a page writes, and forget them afterwards."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", None)).startswith(str(folder)):
                del sys.modules[name]


def _doctest(block: Block, names: dict[str, Any], place: str) -> None:
    test = doctest.DocTestParser().get_doctest(block.code, names, place, place, block.line)
    test.globs = names
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=_LOOSE)
    runner.run(test, out=report.append, clear_globs=False)
    assert not runner.failures, "".join(report)


def _console(block: Block, folder: Path, environment: Mapping[str, str], place: str) -> Path:
    """Run the commands of a block; return the folder in which they leave the shell."""
    shown = list(_commands(block.code))
    mark = f"printf '{_END}%s\\n' $__"
    script = (
        "\n".join(f"(exit ${{__:-0}})\n{command}\n__=$?; {mark}" for command, _ in shown) + "\npwd"
    )
    ran = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=dict(environment), text=True, timeout=300,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    parts = re.split(_END + r"(\d+)\n", ran.stdout)
    checker = doctest.OutputChecker()
    for number, (command, expected) in enumerate(shown):
        output, status = parts[2 * number], int(parts[2 * number + 1])
        followed = number + 1 < len(shown) and "$?" in shown[number + 1][0]
        assert status == 0 or followed, f"{place}: {command}\nexit status {status}\n{output}"
        assert not expected or checker.check_output(expected, output, _LOOSE), (
            f"{place}: {command}\nshown:\n{expected}\ncame:\n{output}"
        )
    return Path(parts[-1].strip())


def _commands(code: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a console block with the output that is shown below it."""
    for part in re.split(r"^\$ ", code, flags=re.M)[1:]:
        lines = part.splitlines()
        end = 1
        while end < len(lines) and lines[end - 1].endswith("\\"):
            end += 1
        yield "\n".join(lines[:end]), "".join(f"{line}\n" for line in lines[end:])


def make_environment(folder: Path) -> dict[str, str]:
    """Make a virtual environment that has what this one has; return the variables to use it.

    ``pip install`` works in it without a network: the build backend is the one that is here.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    libraries = next(folder.glob("lib/python*/site-packages"), folder / "Lib" / "site-packages")
    ours = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    # Not a sitecustomize.py: a distribution's own would come first.
    (libraries / "outer.pth").write_text(
        "".join(f"import site; site.addsitedir({folder!r})\n" for folder in ours)
    )
    for script in entry_points(group="console_scripts"):
        if script.name in _SCRIPTS:
            module, _, function = script.value.partition(":")
            # As pip writes it: worker processes import the script, and must not run it.
            start = f"if __name__ == '__main__':\n    sys.exit({function}())"
            _write_script(programs, script.name, f"from {module} import {function}\n{start}")
    # Arguments rather than PIP_* variables, whose negative ones mean the contrary in some versions.
    _write_script(
        programs,
        "pip",
        """
        import runpy
        if sys.argv[1:2] in (["install"], ["wheel"]):
            sys.argv[2:2] = ["--no-build-isolation", "--no-deps", "--no-index"]
        sys.argv[1:1] = ["--disable-pip-version-check", "--no-color"]
        runpy.run_module("pip", run_name="__main__")
        """,
    )
    kept = {
        n: v for n, v in os.environ.items() if not n.startswith(("QUALIPY_", "PYTEST_", "PIP_"))
    }
    return kept | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": str(folder),
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "utf-8",
    }


def _write_script(programs: Path, name: str, code: str) -> None:
    path = programs / name
    path.write_text(f"#!{programs / 'python'}\nimport sys\n{textwrap.dedent(code).strip()}\n")
    path.chmod(0o755)


def make_photos(folder: Path) -> None:
    """Make the photos that the documentation speaks of, in ``photos/``."""
    folder.mkdir(parents=True, exist_ok=True)
    natural = sample_images()["natural"]
    photo = cv2.resize(natural, (960, 720), interpolation=cv2.INTER_CUBIC)
    framed = photo.copy()
    framed[:60], framed[-60:], framed[:, :60], framed[:, -60:] = 0, 0, 0, 0
    pictures = {
        "beach.jpg": photo,
        "framed.jpg": framed,
        "night.jpg": photo // 24,
        "panorama.jpg": cv2.resize(photo, (1800, 400)),
    }
    for name, pixels in pictures.items():
        encoded = cv2.imencode(".jpg", np.ascontiguousarray(pixels[..., ::-1]))[1].tobytes()
        (folder / name).write_bytes(encoded)
    (folder / "broken.jpg").write_bytes((folder / "beach.jpg").read_bytes()[:9000])
