"""What ``./try`` and ``./test`` do once they are called."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tools import environment
from tools.environment import CHECKOUT, PYTHON, SetupError

DEMO_PHOTOS = CHECKOUT / "demo-photos"
RESULTS = "qualipy-results.jsonl"


def scan(arguments: list[str]) -> int:
    """Run ``qualipy scan`` on a folder, or on demo photos.

    Parameters
    ----------
    arguments : list of str
        Of ``qualipy scan``; none for the demo photos.

    Returns
    -------
    int
        Its exit status.
    """
    if not _prepared("run"):
        return 1
    if not arguments or arguments[0].startswith("-"):
        command = [str(PYTHON), "-m", "tools.demo", str(DEMO_PHOTOS)]
        made = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
        if made.returncode:
            print(made.stderr, file=sys.stderr)
            return made.returncode
        arguments = [os.path.relpath(DEMO_PHOTOS), *arguments]
    # What comes first can be overruled. An unreadable photo is no failure of a first try.
    options = ["--fail-on", "never", "--output", RESULTS]
    qualipy = str(environment.ENVIRONMENT / "bin" / "qualipy")
    return _run([qualipy, "scan", *options, *arguments])


def check(arguments: list[str]) -> int:
    """Run the nox sessions that every change must pass, or those that are named.

    Parameters
    ----------
    arguments : list of str
        Names of sessions; behind the first that begins with ``-``, whatever else nox takes.

    Returns
    -------
    int
        The exit status of nox.
    """
    if not _prepared("develop"):
        return 1
    named = [argument for argument in arguments if not argument.startswith("-")]
    chosen = ["--session", *arguments] if named and arguments[0] in named else arguments
    return _run([str(PYTHON), "-m", "nox", *chosen], cwd=CHECKOUT)


def _prepared(task: str) -> bool:
    try:
        environment.prepare(task)
    except SetupError as error:
        print(error, file=sys.stderr)
        return False
    except KeyboardInterrupt:
        print("\nStopped. The next call begins anew.", file=sys.stderr)
        return False
    return True


def _run(command: list[str], cwd: Path | None = None) -> int:
    try:
        return subprocess.run(command, cwd=cwd, check=False).returncode
    except KeyboardInterrupt:  # the program has had it as well, and said what there is to say
        return 130
