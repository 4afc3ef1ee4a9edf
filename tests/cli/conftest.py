"""Packs to try the command line with, found as installed ones are: by a ``.dist-info`` on the path.

``demo-pack`` has filters that work, one that is slow, one that raises and one that cannot be
imported; ``demo-hooks`` adds a command and an executor; ``broken-hooks`` cannot be imported.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from qualipy_core import plugins

FILTERS = """
    import time

    from qualipy_core import Filter, gray


    class Dark(Filter):
        \"\"\"Photos that are dark.

        The darkness is one minus the mean luma.

        Parameters
        ----------
        level : float
            The luma that counts as bright, in [1, 255].

        Notes
        -----
        Night shots are dark on purpose.
        \"\"\"

        name = "dark"
        speed = 1
        level: float = 255.0

        def measure(self, image):
            return max(0.0, 1 - float(gray(image).mean()) / self.level)


    class Slow(Filter):
        \"\"\"Takes its time.\"\"\"

        name = "slow"
        speed = 5
        pause: float = 0.05

        def measure(self, image):
            time.sleep(self.pause)
            return 0.25


    class Fails(Filter):
        name = "fails"

        def measure(self, image):
            raise ValueError("boom \\x1b[31m[bold]")


    class Chatty(Filter):
        \"\"\"Prints where it should not.\"\"\"

        name = "chatty"

        def measure(self, image):
            print("noise on stdout")
            return 0.0
"""

BROKEN = "import a_library_that_is_not_there"

HOOKS = """
    import click

    from qualipy_core import hookimpl


    class Backwards:
        def __init__(self, jobs):
            self.jobs = jobs

        def run(self, tasks, plan):
            return map(plan.judge, tasks)


    @hookimpl
    def qualipy_commands(cli):
        @cli.command(short_help="Say hello.")
        def hello():
            click.echo("hello from a pack")


    @hookimpl
    def qualipy_executors():
        return {"backwards": Backwards}
"""

DEMO_ENTRY_POINTS = {
    "qualipy.filters": {
        "dark": "demo_pack:Dark",
        "slow": "demo_pack:Slow",
        "fails": "demo_pack:Fails",
        "chatty": "demo_pack:Chatty",
        "broken": "demo_broken:Broken",
    }
}


class Site:
    """A folder on the module path, into which packs are put as an installer would."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def install(
        self,
        distribution: str,
        version: str,
        entry_points: dict[str, dict[str, str]],
        **modules: str,
    ) -> None:
        """Write the modules of a pack and its metadata."""
        for name, source in modules.items():
            (self.path / f"{name}.py").write_text(textwrap.dedent(source))
        info = self.path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        (info / "METADATA").write_text(metadata)
        lines = []
        for group, points in entry_points.items():
            lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items()), ""]
        (info / "entry_points.txt").write_text("\n".join(lines))


def demo(path: Path) -> Site:
    """Return a site with the pack ``demo-pack``."""
    site = Site(path)
    site.install("demo-pack", "1.2", DEMO_ENTRY_POINTS, demo_pack=FILTERS, demo_broken=BROKEN)
    return site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site of the test's own, with ``demo-pack``."""
    return demo(tmp_path / "site")


@pytest.fixture
def hooks(site: Site) -> Site:
    """The same with the pack ``demo-hooks``, which adds a command and an executor."""
    site.install("demo-hooks", "0.1", {"qualipy.hooks": {"demo": "demo_hooks"}}, demo_hooks=HOOKS)
    return site


@pytest.fixture
def broken_hooks(site: Site) -> Site:
    """The same with the pack ``broken-hooks``, whose hooks cannot be imported."""
    points = {"qualipy.hooks": {"broken": "broken_hooks"}}
    site.install("broken-hooks", "6.6", points, broken_hooks=BROKEN)
    return site


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with a bright photo, a dark one, and a dark one in a folder below."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    write_photo(folder / "bright.png", 230)
    write_photo(folder / "dark.png", 20)
    write_photo(folder / "more" / "night.png", 5)
    return folder


def write_photo(path: Path | bytes, brightness: int) -> None:
    """Write a flat grey PNG file."""
    ok, data = cv2.imencode(".png", np.full((24, 32, 3), brightness, np.uint8))
    assert ok
    with open(path, "wb") as file:
        file.write(data.tobytes())


class Program:
    """The program, run in processes of its own that find a site's packs and no built-in filter."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.folder = folder

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of the program."""
        inherited = {name: v for name, v in os.environ.items() if not name.startswith("QUALIPY")}
        return {
            **inherited,
            "PYTHONPATH": str(self.site.path),
            "QUALIPY_DISABLE": "qualipy-filters-builtin",
            "COLUMNS": "100",
            **more,
        }

    def __call__(
        self, *args: str | bytes | Path, stdin: bytes = b"", **env: str
    ) -> subprocess.CompletedProcess[bytes]:
        """Run it to its end."""
        return subprocess.run(
            [*COMMAND, *args],
            input=stdin,
            capture_output=True,
            check=False,
            timeout=120,
            cwd=self.folder,
            env=self.environment(**env),
        )

    def start(self, *args: str | Path, **options: Any) -> subprocess.Popen[bytes]:
        """Start it, as the leader of a process group of its own, like a shell's job."""
        return subprocess.Popen(
            [*COMMAND, *args],
            cwd=self.folder,
            env=self.environment(),
            start_new_session=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )


COMMAND = (sys.executable, "-W", "error", "-m", "qualipy")
Invoke = Callable[..., Result]


@pytest.fixture
def program(site: Site, tmp_path: Path) -> Program:
    """Run the program in a process of its own."""
    return Program(site, tmp_path)


@pytest.fixture
def paint() -> Callable[..., None]:
    """Write a flat grey PNG file: path, brightness."""
    return write_photo


@pytest.fixture
def invoke(
    site: Site, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Invoke]:
    """Run the program in this process."""
    from qualipy.cli import cli, packs

    monkeypatch.syspath_prepend(str(site.path))
    for name, value in program.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(packs, "_told", set())
    monkeypatch.setattr(cli, "commands", dict(cli.commands))
    monkeypatch.setattr(cli, "_asked", False)
    for name in [name for name in sys.modules if name.startswith(("demo_", "broken_"))]:
        del sys.modules[name]  # of another test's site
    plugins.refresh()

    def run(*args: str | Path, **options: Any) -> Result:
        return CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="qualipy", **options)

    yield run
    monkeypatch.undo()
    plugins.refresh()


@pytest.fixture
def in_terminal(program: Program) -> Callable[..., tuple[int, str]]:
    """Run the program on a terminal of 80 columns; return the exit status and what it wrote."""
    pty = pytest.importorskip("pty")

    def run(*args: str | Path, **env: str) -> tuple[int, str]:
        master, slave = pty.openpty()
        fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
        fcntl.ioctl(slave, termios.TIOCSWINSZ, b"\x28\x00\x50\x00\x00\x00\x00\x00")
        program.environment = lambda make=program.environment: {
            **{
                name: value for name, value in make().items() if name not in ("COLUMNS", "NO_COLOR")
            },
            "TERM": "xterm-256color",
            **env,
        }
        process = program.start(*args, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        written = b""
        while select.select([master], [], [], 60)[0]:
            try:
                chunk = os.read(master, 4096)
            except OSError:  # Linux's way to say that nobody writes any more
                break
            if not chunk:
                break
            written += chunk
        os.close(master)
        return process.wait(60), written.decode()

    return run
