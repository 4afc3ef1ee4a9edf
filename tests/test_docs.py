"""The documentation says what is there, all of it, and what it shows is what comes."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from documentation import blocks, make_environment, make_photos, run_page
from documented_servers import Servers

from qualipy_core import errors, hookspecs, plugins

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(p for p in DOCS.rglob("*.md") if "decisions" not in p.parts)
RUN = [ROOT / "README.md", ROOT / "plugins-example" / "README.md", *PAGES]


def text(page):
    return (DOCS / page).read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    return make_environment(tmp_path_factory.mktemp("environment") / "venv")


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with what a reader has: photos, and a copy of the example pack."""
    make_photos(tmp_path / "photos")
    caches = shutil.ignore_patterns("__pycache__", ".*", "dist")
    shutil.copytree(ROOT / "plugins-example", tmp_path / "plugins-example", ignore=caches)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_example_of_a_page_does_what_it_shows(page, workplace, environment):
    if any(block.title == "pyproject.toml" for block in blocks(page)):
        # This page installs packs; the others must not see them.
        environment = make_environment(workplace / "venv")
    if any(block.code == "$ redis-server\n" for block in blocks(page)):
        with Servers(workplace / "servers", environment) as servers:
            run_page(page, workplace, servers.environment, servers.commands)
    else:
        run_page(page, workplace, environment)


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_writes_is_named_in_its_text(page):
    # Not every viewer shows the titles of fenced blocks.
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for block in blocks(page):
        if block.title is not None:
            assert f"`{block.title}`" in prose


def test_every_hook_is_documented():
    hooks = [name for name in vars(hookspecs) if name.startswith("qualipy_")]
    assert hooks
    for hook in hooks:
        signature = inspect.signature(getattr(hookspecs, hook))
        assert f"## `{hook}({', '.join(signature.parameters)})`" in text("hooks.md")


def test_every_environment_variable_is_documented():
    packs = ("qualipy", "qualipy_core/src", "qualipy_filters_builtin/src", "qualipy_celery/src")
    sources = [path for pack in packs for path in (ROOT / pack).rglob("*.py")]
    used = {name for p in sources for name in re.findall(r"\bQUALIPY_[A-Z_]+\b", p.read_text())}
    assert {"QUALIPY_DISABLE", "QUALIPY_PREFER"} <= used
    for name in sorted(used):
        assert f"`{name}`" in text("hooks.md"), f"{name} is not documented"


def test_every_error_stands_in_the_tree_with_its_base_and_its_attributes():
    page = text("errors.md")
    for name, error in inspect.getmembers(errors, inspect.isclass):
        if issubclass(error, errors.QualipyError | errors.PluginWarning):
            row = next((line for line in page.splitlines() if f"`{name}`" in line[:60]), "")
            assert row, f"{name} is not in errors.md"
            for detail in getattr(error, "details", ()):
                assert f"`{detail}`" in row, f"{name}.{detail} is not in errors.md"
            builtin = next(b.__name__ for b in error.__mro__ if b.__module__ == "builtins")
            if builtin != "Exception":
                assert f"`{builtin}`" in row, f"{name} derives from {builtin}"


def test_every_installed_builtin_filter_has_a_page_and_a_row():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for entry in plugins.find(plugins.FILTERS):
        if entry.distribution == "qualipy-filters-builtin":
            assert f"# {entry.name}\n" in text(f"filters/{entry.name}.md")
            assert f"(filters/{entry.name}.md)" in text("filters.md")
            row = next(line for line in readme.splitlines() if line.startswith(f"| `{entry.name}`"))
            cls = plugins.registry().get(entry.name)
            assert f"`{cls.__name__}`" in row
            threshold = row.rstrip(" |").rpartition("|")[2].strip()
            numerator, _, denominator = threshold.strip("below ").partition("/")
            assert float(numerator) / float(denominator or 1) == cls().threshold


def test_every_option_of_every_command_is_documented():
    import click

    from qualipy.cli import cli
    from qualipy.cli.app import OWN
    from qualipy_celery.hooks import qualipy_commands

    page = text("command-line.md")
    assert isinstance(cli, click.Group)
    ours = {name: cli.get_command(click.Context(cli), name) for name in OWN}
    of_celery = click.Group()
    qualipy_commands(of_celery)
    for name, command in {**ours, **of_celery.commands}.items():
        assert f"## `qualipy {name}" in page, f"qualipy {name} has no section"
        section = page.partition(f"## `qualipy {name}")[2].partition("\n## ")[0]
        inner = command.commands if isinstance(command, click.Group) else {}
        for each in inner:
            assert f"`qualipy {name} {each}" in section, f"qualipy {name} {each} is missing"
        for parameter in (p for each in (command, *inner.values()) for p in each.params):
            if isinstance(parameter, click.Option) and not parameter.hidden:
                for option in parameter.opts:
                    assert f"`{option}" in section, f"qualipy {name} {option} is not documented"


@pytest.mark.parametrize(
    ("package", "heading"),
    [
        ("qualipy", "## The umbrella, module by module"),
        ("qualipy_core/src/qualipy_core", "## The core, module by module"),
        ("qualipy_celery/src/qualipy_celery", "## Distributed jobs, module by module"),
    ],
)
def test_every_module_is_in_the_architecture(package, heading):
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    section = page.partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    folder = ROOT / package
    packages = [init.parent for init in folder.glob("*/__init__.py")]
    for module in [*folder.glob("[!_]*.py"), *packages]:
        assert re.search(rf"^\|[^|]*`{module.stem}`", section, re.M), f"{module.stem} is missing"


def test_every_public_name_is_in_the_reference():
    import qualipy
    import qualipy_celery
    import qualipy_core

    page = text("api.md")
    for name in {*qualipy.__all__, *qualipy_core.__all__}:
        assert f".{name}\n" in page, f"{name} is not in api.md"
    for name in qualipy_celery.__all__:
        assert re.search(rf"\bqualipy_celery\.(\w+\.)?{name}\b", page), f"{name} is not in api.md"


def test_links_between_pages_lead_somewhere():
    for page in [*RUN, *DOCS.rglob("*.md"), *ROOT.glob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in DOCS.rglob("*.md"):
        assert str(page.relative_to(DOCS)) in navigation


def test_the_site_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "filters" / "index.html").is_file()
    pages = list(tmp_path.rglob("*.html"))
    assert pages
    for page in pages:  # nobody learns who reads them
        html = page.read_text(encoding="utf-8")
        assert not re.findall(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\W?(?:https?:)?//", html)
        assert not re.findall(r"<link\b[^>]*\bhref=\W?(?:https?:)?//", html)
        assert "mermaid" not in html  # which the theme would fetch a library for
    for style in tmp_path.rglob("*.css"):
        assert not re.findall(r"(?:@import|url\()[^;)]*//", style.read_text(encoding="utf-8"))
