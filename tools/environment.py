"""The checkout's own environment, ``.venv``: QualiPy installed editable, and what a task needs.

`prepare` is idempotent and quick when nothing has changed: a stamp is kept of the pyproject files
and requirements that the environment was made from. Killed half-way, it starts afresh next time.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools import debian

CHECKOUT = Path(__file__).resolve().parent.parent
ENVIRONMENT = CHECKOUT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
LOG = CHECKOUT / ".cache" / "setup.log"

STAMP = ENVIRONMENT / "qualipy-setup.json"
UNFINISHED = ENVIRONMENT / "unfinished"  # there while the environment is being changed

# The distributions of the workspace in the order in which they need each other. Not the example
# pack: to all others it is a stranger's, and its own tests take it from its folder.
DISTRIBUTIONS = (
    "qualipy_core",
    "qualipy_filters_builtin",
    "qualipy_celery",
    ".",
)
RUN = ("qualipy_core", "qualipy_filters_builtin", ".")  # what a person with a folder needs

BUILD = ("hatchling>=1.26", "editables>=0.5")  # once, rather than apart for each distribution
DEVELOP = (
    # tests
    "pytest>=8.0",
    "pytest-xdist>=3.6",
    "hypothesis>=6.100",
    "jsonschema>=4.20",
    "matplotlib>=3.8",
    "pandas>=2.2.2",
    "pyarrow>=17",
    "scikit-image>=0.25",
    "jsonschema>=4.20",
    # the wheels
    "build>=1.2",
    "packaging>=24.0",
    # lint and types: their next release may find more, which is a change of its own
    "mypy==2.4.*",
    "ruff==0.17.*",
    "nox>=2024.10.9",
    # the documentation
    "mkdocs>=1.6,<2",
    "mkdocs-material>=9.5",
    "mkdocstrings[python]>=0.27",
)

# What opencv-python loads of the desktop, and the Debian packages that bring it.
DESKTOP_LIBRARIES = ("libGL.so.1", "libglib-2.0.so.0", "libgthread-2.0.so.0", "libxcb.so.1")
DESKTOP_PACKAGES = ("libgl1", "libglib2.0-0", "libxcb1")


class SetupError(RuntimeError):
    """The environment cannot be made ready; the message says what to do."""


def prepare(*tasks: str) -> None:
    """Make ``.venv`` ready for tasks.

    Parameters
    ----------
    *tasks : str
        ``run`` for the command line, ``develop`` for everything that the noxfile names.

    Raises
    ------
    SetupError
        Something that only a person can put right.
    """
    with _alone():
        for task in tasks:
            _prepare(task)


def _prepare(task: str) -> None:
    done = _stamps()
    if task in done or "develop" in done:  # whoever can develop can run
        return
    opencv = _opencv()
    print(f"Setting up {ENVIRONMENT.name} (this takes a minute or two, once) …", flush=True)
    began = time.monotonic()
    LOG.write_text("", encoding="utf-8")
    _create()
    done = _stamps()
    UNFINISHED.touch()
    try:
        _install(task, opencv)
    except SetupError:
        if done:  # pip puts back what it had removed; killed half-way, it does not
            UNFINISHED.unlink()
        raise
    STAMP.write_text(json.dumps(done | {task: _key(task)}), encoding="utf-8")
    UNFINISHED.unlink()
    print(f"Ready after {time.monotonic() - began:.0f} s.", flush=True)


def _install(task: str, opencv: list[str]) -> None:
    _pip("install", *BUILD)
    _pip("install", "--no-build-isolation", *opencv, *_requirements(task))
    if not opencv and not _imports_cv2():
        _say_headless()
        _pip("uninstall", "-y", "opencv-python")
        _pip("install", "--no-build-isolation", _stand_in(), *_requirements(task))
    if not _imports_cv2():
        raise SetupError(f"OpenCV is installed but cannot be imported; see {LOG}.")


def _requirements(task: str) -> list[str]:
    members = RUN if task == "run" else DISTRIBUTIONS
    requirements: list[str] = []
    for member in members:
        if (CHECKOUT / member / "pyproject.toml").exists():
            extras = "[remote,train,testing]" if member == "qualipy_core" and task != "run" else ""
            requirements += ["--editable", f"{CHECKOUT / member}{extras}"]
    return [*requirements, *(() if task == "run" else DEVELOP)]


def _key(task: str) -> str:
    """Digest of all that an environment is made from; equal as long as it need not be remade."""
    parts = [str(CHECKOUT), *_requirements(task)]
    for member in DISTRIBUTIONS:
        project = CHECKOUT / member / "pyproject.toml"
        parts.append(project.read_text(encoding="utf-8") if project.exists() else "")
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _stamps() -> dict[str, str]:
    """Return the keys of the tasks that the environment is ready for."""
    if UNFINISHED.exists() or not _usable():
        return {}
    try:
        stamps: dict[str, str] = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {task: key for task, key in stamps.items() if key == _key(task)}


def _create() -> None:
    """Make an empty environment where there is none, or one of ours that is no longer usable."""
    ours = UNFINISHED.exists() or STAMP.exists()
    if ENVIRONMENT.exists() and not UNFINISHED.exists() and _usable():
        return
    if ENVIRONMENT.exists() and not ours:
        raise SetupError(f"{ENVIRONMENT} is no working environment. Move it away, then try again.")
    if importlib.util.find_spec("ensurepip") is None and not debian.install(["python3-venv"]):
        raise SetupError(
            "This Python cannot make environments. Type "
            f"`{debian.install_command(['python3-venv'])}`, then try again."
        )
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    ENVIRONMENT.mkdir()
    UNFINISHED.touch()
    _make()


def _make() -> None:
    # A fresh interpreter: python3-venv may have been installed after this one had started.
    if not _succeeds([sys.executable, "-m", "venv", str(ENVIRONMENT)]):
        raise SetupError(f"`{sys.executable} -m venv {ENVIRONMENT}` fails; it says why.")


def _usable() -> bool:
    """Whether it has a Python and a pip that still work, in this very folder."""
    where = "import pip, sys; sys.exit(sys.prefix != sys.argv[1] or not pip.__file__)"
    pip = ENVIRONMENT / "bin" / "pip"
    starts_here = pip.exists() and str(ENVIRONMENT) in pip.read_text(encoding="utf-8")
    return starts_here and _succeeds([str(PYTHON), "-I", "-c", where, str(ENVIRONMENT)])


def _opencv() -> list[str]:
    """Return what to install so that OpenCV can be imported here; nothing if it is as it is."""
    if sys.platform != "linux" or not _missing_libraries():
        return []
    if debian.install(DESKTOP_PACKAGES) and not _missing_libraries():
        return []
    _say_headless()
    return [_stand_in()]


def _missing_libraries() -> list[str]:
    # In another process: the loader remembers what it did not find.
    check = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"
    return [
        library
        for library in DESKTOP_LIBRARIES
        if not _succeeds([sys.executable, "-c", check, library])
    ]


def _say_headless() -> None:
    print(
        "opencv-python needs libraries that are not installed here. To install them, type\n"
        f"    {debian.install_command(DESKTOP_PACKAGES)}\n"
        f"and remove {ENVIRONMENT.name}. Going on with opencv-python-headless instead, inside "
        f"{ENVIRONMENT.name} alone.",
        flush=True,
    )


def _stand_in() -> str:
    """Write a wheel that is called opencv-python, holds nothing and requires the headless build.

    Without it, pip would install opencv-python over the headless build whenever one of our
    distributions is installed: both bring the folder ``cv2``.
    """
    project = tomllib.loads((CHECKOUT / "qualipy_core/pyproject.toml").read_text(encoding="utf-8"))
    requirement = next(r for r in project["project"]["dependencies"] if r.startswith("opencv"))
    lowest = re.search(r"[\d.]+", requirement)
    assert lowest, requirement
    version = f"{lowest[0]}+headless"
    info = f"opencv_python-{version}.dist-info"
    files = {
        f"{info}/METADATA": (
            "Metadata-Version: 2.1\nName: opencv-python\n"
            f"Version: {version}\nSummary: Stands in for opencv-python in this environment\n"
            f"Requires-Dist: {requirement.replace('opencv-python', 'opencv-python-headless')}\n"
        ),
        f"{info}/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: qualipy\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    wheel = CHECKOUT / ".cache" / f"opencv_python-{version}-py3-none-any.whl"
    wheel.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return str(wheel)


def _imports_cv2() -> bool:
    return _succeeds([str(PYTHON), "-c", "import cv2"])


def _pip(*arguments: str) -> None:
    """Run pip; show the line that it is at, and all of them only if it fails."""
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", *arguments]
    if arguments[0] == "install":
        command.append("--no-compile")  # most modules are never imported; Python compiles the rest
    width = shutil.get_terminal_size().columns - 1
    with (
        LOG.open("a", encoding="utf-8", buffering=1) as log,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as pip,
    ):
        assert pip.stdout
        lines = []
        for line in pip.stdout:
            log.write(line)
            lines.append(line)
            if sys.stdout.isatty():
                print(f"\r\x1b[K{line.strip()[:width]}", end="", flush=True)
    if sys.stdout.isatty():
        print("\r\x1b[K", end="", flush=True)
    if pip.returncode:
        print("".join(lines[-20:]), file=sys.stderr)
        raise SetupError(f"pip could not install what is needed; all that it said is in {LOG}.")


@contextmanager
def _alone() -> Iterator[None]:
    """Wait for another set-up of this checkout to end."""
    LOG.parent.mkdir(exist_ok=True)
    with LOG.with_name("setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _succeeds(command: Sequence[str]) -> bool:
    done = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    )
    return done.returncode == 0


def search_path() -> str:
    """Return the ``PATH`` under which tasks run: the environment, ours, and what was there."""
    folders = [str(ENVIRONMENT / "bin"), os.environ.get("PATH", os.defpath)]
    return os.pathsep.join([*folders, str(debian.PROGRAM_FOLDER)])
