"""What holds for the sources of every distribution, read without importing any."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

OURS = {
    "qualipy": "qualipy",
    "qualipy-core": "qualipy_core",
    "qualipy-filters-builtin": "qualipy_filters_builtin",
    "qualipy-celery": "qualipy_celery",
    "qualipy-example-pack": "qualipy_example_pack",
}

# What a distribution may import of ours, besides itself.
ARROWS = {
    "qualipy": {"qualipy_core"},
    "qualipy-core": set(),
    "qualipy-filters-builtin": {"qualipy_core"},
    "qualipy-celery": {"qualipy_core"},
    "qualipy-example-pack": {"qualipy_core"},
}


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported_packages(path: Path) -> Iterator[str]:
    """Every top-level package that a file imports, inside functions and for type checkers too."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]
        elif (
            isinstance(node, ast.Call)
            and called(node) in {"import_module", "__import__"}
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value).partition(".")[0]


def called(node: ast.Call) -> str:
    """The dotted name of what is called, its last part alone where it hangs on a value."""
    parts: list[str] = []
    function: ast.expr = node.func
    while isinstance(function, ast.Attribute):
        parts.insert(0, function.attr)
        function = function.value
    if isinstance(function, ast.Name):
        parts.insert(0, function.id)
    return ".".join(parts).removeprefix("importlib.")


def keyword(node: ast.Call, name: str) -> object:
    """The constant that a call gives for a keyword; ``None`` without one."""
    for given in node.keywords:
        if given.arg == name and isinstance(given.value, ast.Constant):
            return given.value.value
    return None


def test_every_distribution_of_the_checkout_is_known_here(projects):
    assert {project.name for project in projects} == set(OURS) == set(ARROWS)


@pytest.mark.parametrize("name", OURS)
def test_imports_follow_the_arrows_of_the_design(own_sources, name):
    allowed = ARROWS[name] | {OURS[name]}
    crossing = {
        f"{path.name}: {package}"
        for path in own_sources[name]
        for package in imported_packages(path)
        if package in set(OURS.values()) - allowed
    }
    assert own_sources[name]
    assert not crossing


@pytest.mark.parametrize("name", sorted(set(OURS) - {"qualipy-celery"}))
def test_only_the_distributed_jobs_import_celery(own_sources, name):
    packages = {p for path in own_sources[name] for p in imported_packages(path)}
    assert not packages & {"celery", "kombu", "redis"}


@pytest.mark.parametrize("name", OURS)
def test_opencv_is_imported_where_a_missing_library_is_explained(own_sources, name):
    importers = {p.name for p in own_sources[name] if "cv2" in set(imported_packages(p))}
    assert importers == ({"opencv.py"} if name == "qualipy-core" else set())


@pytest.mark.parametrize("name", OURS)
def test_nothing_measures_by_where_an_array_lies_in_memory(own_sources, name):
    # The last bit of `cv2.magnitude` depends on the alignment of what it is given.
    callers = {p.name for p in own_sources[name] if "cv2.magnitude(" in p.read_text("utf-8")}
    assert not callers


FORBIDDEN = {
    *("eval", "exec", "compile", "builtins.eval", "builtins.exec"),
    *("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
    *("pickle.load", "pickle.Unpickler", "marshal.load", "marshal.loads", "shelve.open"),
    *("joblib.load", "dill.load", "dill.loads", "yaml.load"),
}
# The contract's tests pickle a filter of the process itself, and load it again there; a sandbox,
# and a child that draws, read what the process that started them asks.
UNPICKLES_ITS_OWN = {"sandbox.py", "apart.py", "testing.py"}


@pytest.mark.parametrize("name", OURS)
def test_no_source_runs_text_or_data_as_code(own_sources, name):
    found = []
    for path in own_sources[name]:
        forbidden = FORBIDDEN | (set() if path.name in UNPICKLES_ITS_OWN else {"pickle.loads"})
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call):
                what = called(node)
                given = {each.arg for each in node.keywords}
                loads = what in {"np.load", "numpy.load"} or "allow_pickle" in given
                if what in forbidden:
                    found.append(f"{path}:{node.lineno}: {what}")
                if loads and keyword(node, "allow_pickle") is not False:
                    found.append(f"{path}:{node.lineno}: NumPy may unpickle; allow_pickle=False")
                if "shell" in given and keyword(node, "shell") is not False:
                    found.append(f"{path}:{node.lineno}: a shell")
    assert not found


@pytest.mark.parametrize("name", OURS)
def test_no_source_hides_what_it_unpickles_under_another_name(own_sources, name):
    renamed = [
        f"{path}:{node.lineno}"
        for path in own_sources[name]
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom) and node.module in {"pickle", "marshal", "shelve"}
        if {alias.name for alias in node.names} & {"load", "loads", "Unpickler", "open"}
    ]
    assert not renamed


def test_versions_and_licences_of_all_distributions_agree(projects):
    assert len({project.declared["version"] for project in projects}) == 1
    assert {project.declared["license"] for project in projects} == {"MIT"}
    assert len({(project.folder / "LICENSE").read_text() for project in projects}) == 1
    assert len({project.declared["requires-python"] for project in projects}) == 1


@pytest.mark.parametrize("name", ["qualipy", "qualipy-core", "qualipy-celery"])
def test_a_package_that_tells_its_version_tells_the_one_it_is_published_under(
    projects, own_sources, name
):
    (version,) = {p.declared["version"] for p in projects if p.name == name}
    (module,) = (
        p for p in own_sources[name] if p.parent.name == OURS[name] if p.stem == "__init__"
    )
    told = {
        ast.literal_eval(node.value)
        for node in parsed(module).body
        if isinstance(node, ast.Assign) and "__version__" in map(ast.unparse, node.targets)
    }
    assert told <= {version}
