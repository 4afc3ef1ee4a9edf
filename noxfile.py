"""Every task of a maintainer. ``./test`` runs the default ones; ``nox --list`` shows all.

All share the checkout's ``.venv``: one place where OpenCV is installed, where an editor
finds the types, and where ``qualipy`` itself runs. What must be clean, such as the environments in
which the wheels are tried, is made by the tests that need it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nox

sys.path.insert(0, str(Path(__file__).parent))

from tools import debian, environment

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "tests", "wheels"]

SCRIPTS = ("try", "test")
TYPED = (
    "qualipy",
    "qualipy_core/src",
    "qualipy_filters_builtin/src",
    "qualipy_filters_builtin/training",
    "qualipy_celery/src",
    "plugins-example/src",
)


def prepare(session: nox.Session) -> None:
    """Make the environment ready and put its programs first."""
    try:
        environment.prepare("develop")
    except environment.SetupError as error:
        session.error(str(error))
    session.env["PATH"] = environment.search_path()


def python(session: nox.Session, *arguments: str) -> None:
    """Run the environment's Python."""
    session.run(str(environment.PYTHON), *arguments, external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Hold the style: ``ruff check`` and ``ruff format``."""
    prepare(session)
    python(session, "-m", "ruff", "check", ".", *SCRIPTS)
    python(session, "-m", "ruff", "format", "--check", ".", *SCRIPTS)


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of every distribution and of the tools, strictly."""
    prepare(session)
    python(session, "-m", "mypy", *(path for path in TYPED if Path(path).exists()))
    python(session, "-m", "mypy", "noxfile.py", "tools")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests of the sources; arguments go to pytest."""
    prepare(session)
    try:
        debian.provide_programs()
    except debian.MissingProgramError as error:
        session.error(str(error))
    # Twice the cores: tests of workers and servers wait more than they work.
    chosen = session.posargs or [f"--numprocesses={min(8, 2 * (os.cpu_count() or 1))}"]
    python(session, "-m", "pytest", "--ignore=tests/packaging", *chosen)


@nox.session
def wheels(session: nox.Session) -> None:
    """Build every wheel and try it in clean environments; arguments go to pytest."""
    prepare(session)
    python(session, "-m", "pytest", "tests/packaging", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; every warning is an error."""
    prepare(session)
    session.env["NO_MKDOCS_2_WARNING"] = "1"  # the theme's, about a later mkdocs
    python(session, "-m", "mkdocs", "build", "--strict", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Make 10,000 damaged files, then fuzz each target for a minute, or for SECONDS."""
    prepare(session)
    seconds = session.posargs[0] if session.posargs else "60"
    python(session, "fuzz/many_bad_files.py", "--count", "10000")
    python(session, "-m", "pip", "install", "--quiet", "atheris")
    for target in ("request", "header", "image"):
        python(session, "fuzz/fuzz.py", target, seconds)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure speed against its targets, also into bench.json; or run the benchmark named."""
    prepare(session)
    whole_table = "benchmarks/speed.py --only targets many memory --json bench.json"
    python(session, *(session.posargs or whole_table.split()))
