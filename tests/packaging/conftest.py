"""Wheels of every distribution, and clean environments to try them in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email import message_from_string
from email.message import Message
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Project:
    """One distribution of the checkout, as its pyproject.toml declares it."""

    folder: Path
    declared: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.declared["name"])

    @property
    def requirements(self) -> set[str]:
        """All that it declares to need, extras included."""
        needed = {str(Requirement(text)) for text in self.declared["dependencies"]}
        for extra, texts in self.declared.get("optional-dependencies", {}).items():
            needed |= {str(Requirement(f"{text}; extra == '{extra}'")) for text in texts}
        return needed

    @property
    def sources(self) -> list[Path]:
        """The Python files that its wheel holds."""
        tool = tomllib.loads((self.folder / "pyproject.toml").read_text())["tool"]
        packages = tool["hatch"]["build"]["targets"]["wheel"]["packages"]
        return sorted(p for package in packages for p in (self.folder / package).rglob("*.py"))


@dataclass(frozen=True)
class Built:
    """What `build` makes of a project."""

    project: Project
    wheel: Path
    sdist: Path

    @property
    def metadata(self) -> Message:
        return message_from_string(self.read(".dist-info/METADATA"))

    @property
    def requirements(self) -> set[str]:
        """All that its metadata asks for, extras included."""
        return {str(Requirement(text)) for text in self.metadata.get_all("Requires-Dist", [])}

    @property
    def members(self) -> list[str]:
        return zipfile.ZipFile(self.wheel).namelist()

    def read(self, ending: str) -> str:
        (member,) = (name for name in self.members if name.endswith(ending))
        return zipfile.ZipFile(self.wheel).read(member).decode()


class Environment:
    """A clean environment away from the checkout, and commands that see nothing else."""

    def __init__(self, folder: Path, third_party: Path, wheels: Path) -> None:
        self.folder = folder
        self.wheels = wheels
        venv.create(folder, symlinks=True)
        self.python = folder / "bin" / "python"
        (self.site_packages,) = folder.glob("lib/python*/site-packages")
        (self.site_packages / "third-party.pth").write_text(f"{third_party}\n")

    def install(self, *names: str) -> None:
        """Install wheels of ours; what they require must be ours or declared."""
        self._pip("install", "--no-index", "--find-links", str(self.wheels), *names)

    def uninstall(self, *names: str) -> None:
        self._pip("uninstall", "--yes", *names)

    def run(self, code: str, **variables: str) -> str:
        """Return what ``python -I`` prints."""
        return self._run([str(self.python), "-I", "-c", code], variables)

    def json(self, code: str, **variables: str) -> Any:
        return json.loads(self.run(code, **variables))

    def command(self, *words: str, **variables: str) -> str:
        """Return what a command that was installed prints."""
        return self._run([str(self.folder / "bin" / words[0]), *words[1:]], variables)

    def _pip(self, *arguments: str) -> None:
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        # Compiling would take most of the time, and nobody starts these programs twice.
        compiled = ["--no-compile"] if arguments[0] == "install" else []
        self._run([*pip, "--python", str(self.python), *arguments, *compiled], {})

    def _run(self, command: Sequence[str], variables: dict[str, str]) -> str:
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "PATH") if name in os.environ}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=kept | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout


def _projects() -> list[Project]:
    folders = sorted(path.parent for path in CHECKOUT.glob("*/pyproject.toml"))
    return [
        Project(folder, tomllib.loads((folder / "pyproject.toml").read_text())["project"])
        for folder in [CHECKOUT, *folders]
    ]


@pytest.fixture(scope="session")
def projects() -> list[Project]:
    """Every distribution of the checkout."""
    return _projects()


@pytest.fixture(scope="session")
def own_sources(projects: list[Project]) -> dict[str, list[Path]]:
    """The Python files of every distribution, by its name."""
    return {project.name: project.sources for project in projects}


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory, projects: list[Project]) -> list[Built]:
    """Every distribution, built: the sdist from the checkout, the wheel from the sdist."""
    everything = tmp_path_factory.mktemp("wheels")
    built = []
    for project in projects:
        out = tmp_path_factory.mktemp(project.name)
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out)]
        done = subprocess.run(
            [*command, str(project.folder)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        ((wheel,), (sdist,)) = out.glob("*.whl"), out.glob("*.tar.gz")
        wheel = wheel.rename(everything / wheel.name)
        built.append(Built(project, wheel, sdist))
    return built


@pytest.fixture(scope="session")
def third_party(tmp_path_factory: pytest.TempPathFactory, projects: list[Project]) -> Path:
    """Every library that a distribution of ours declares, directly or not, and nothing else.

    Links to the installed ones: a second copy of OpenCV would prove nothing more. What is used
    and not declared is not there, so it fails here as it would for a person who installs a wheel.
    """
    folder = tmp_path_factory.mktemp("third-party")
    ours = {canonicalize_name(project.name) for project in projects}
    declared = [r for project in projects for r in project.declared["dependencies"]]
    for name in _closure(declared, ours):
        installed = distribution(name)
        root = Path(str(installed.locate_file("")))
        for top in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
            link = folder / top
            if not link.exists():
                link.symlink_to(root / top)
    return folder


def _closure(requirements: Sequence[str], ours: set[str]) -> set[str]:
    """Return the names of the distributions that requirements lead to, without ours."""
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(requirement) for requirement in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        key = (name, frozenset(requirement.extras))
        if name in ours or key in seen:
            continue
        seen.add(key)
        for text in distribution(name).requires or ():
            needed = Requirement(text)
            extras = ["", *requirement.extras]
            if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in extras):
                waiting.append(needed)
    return {name for name, _ in seen}


@pytest.fixture(scope="session")
def clean_environment(
    tmp_path_factory: pytest.TempPathFactory, third_party: Path, wheels: list[Built]
) -> Callable[..., Environment]:
    """Make a clean environment with the named distributions of ours installed from wheels."""

    def make(*names: str) -> Environment:
        folder = tmp_path_factory.mktemp("environment")
        environment = Environment(folder, third_party, wheels[0].wheel.parent)
        if names:
            environment.install(*names)
        return environment

    return make


@pytest.fixture(scope="module")
def everything(clean_environment: Callable[..., Environment]) -> Environment:
    """A clean environment with the umbrella and what it brings; leave it as it is."""
    return clean_environment("qualipy", "qualipy-celery")
