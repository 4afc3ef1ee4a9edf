"""Every wheel, installed away from the checkout, does what its readme promises."""

from __future__ import annotations

import json
import tarfile
import tomllib

import pytest

BUILT_IN = [
    "blurred_context",
    "cross_processed",
    "dark",
    "exact_duplicates",
    "exposure",
    "fisheye",
    "framed",
    "grayscale",
    "hdr",
    "highlights",
    "light",
    "low_information",
    "multiple_salient_regions",
    "near_duplicates",
    "object_too_small",
    "odd_size",
    "pattern",
    "posterized",
    "text_detection",
    "unconventional_size",
    "whole_blur",
]
EXAMPLE = ["color_cast", "low_resolution", "monochrome", "odd_color"]

NAMES = "import json, qualipy_core.plugins as p; print(json.dumps(p.registry().names()))"
GREY_PHOTO = (
    "import numpy as np; from qualipy_core.opencv import cv2; "
    "cv2.imwrite('grey.png', np.full((600, 800, 3), 128, np.uint8)); "
)


@pytest.fixture(scope="module")
def built(wheels):
    return {each.project.name: each for each in wheels}


def test_a_wheel_holds_its_package_its_metadata_and_nothing_else(wheels):
    for each in wheels:
        package = each.project.name.replace("-", "_")
        tops = {name.partition("/")[0] for name in each.members}
        assert tops == {package, f"{package}-{each.project.declared['version']}.dist-info"}


def test_every_wheel_is_typed_and_carries_its_licence_and_its_readme(wheels):
    for each in wheels:
        assert f"{each.project.name.replace('-', '_')}/py.typed" in each.members
        assert each.read(".dist-info/licenses/LICENSE").startswith("MIT License")
        assert each.metadata["License-Expression"] == "MIT"
        assert each.metadata["Description-Content-Type"] == "text/markdown"
        readme = (each.project.folder / "README.md").read_text(encoding="utf-8")
        assert str(each.metadata.get_payload()).strip() == readme.strip()
        assert len(readme) > 200


def test_a_wheel_requires_what_its_project_declares(wheels):
    for each in wheels:
        assert each.requirements == each.project.requirements


def test_the_core_requires_five_libraries(built):
    needed = {text for text in built["qualipy-core"].requirements if "extra" not in text}
    assert {text.partition(">")[0] for text in needed} == {
        "numpy",
        "opencv-python",
        "pluggy",
        "importlib-metadata",
        "pydantic",
    }


def test_every_model_is_in_the_wheel_with_its_card(built, projects):
    (pack,) = (project for project in projects if project.name == "qualipy-filters-builtin")
    models = {path.name for path in pack.folder.glob("src/*/models/*")}
    members = [name for name in built[pack.name].members if "/models/" in name]
    assert models == {name.rpartition("/")[2] for name in members}
    stems = {name.partition(".")[0] for name in models}
    assert models == {f"{stem}{suffix}" for stem in stems for suffix in (".npz", ".json")}


def test_no_wheel_holds_tests_or_training(wheels):
    for each in wheels:
        parts = {part for name in each.members for part in name.split("/")}
        assert not parts & {"tests", "training", "benchmarks", "tools", "__pycache__"}
        assert not [name for name in parts if name.startswith("test_")]


def test_an_sdist_is_enough_to_build_from_and_holds_no_photo(wheels):
    for each in wheels:
        with tarfile.open(each.sdist) as archive:
            names = [name.partition("/")[2] for name in archive.getnames()]
        assert {"pyproject.toml", "README.md", "LICENSE", "PKG-INFO"} <= set(names)
        assert not [name for name in names if name.endswith((".jpg", ".jpeg", ".pyc"))]


def test_the_core_alone_lists_no_filter_and_says_what_brings_some(clean_environment):
    core = clean_environment("qualipy-core")
    assert core.json(NAMES) == []
    said = core.run(
        "import qualipy_core.plugins as p\n"
        "try: p.registry().get('exposure')\n"
        "except p.UnknownFilterError as error: print(error)"
    )
    assert "pip install qualipy-filters-builtin" in said


def test_the_umbrella_brings_the_built_in_filters(everything):
    assert everything.json(NAMES) == BUILT_IN
    listed = everything.json(
        "import json, qualipy.filters as f; print(json.dumps([f.Exposure.name, f.Framed.name]))"
    )
    assert listed == ["exposure", "framed"]


def test_every_built_in_filter_can_be_loaded_and_measures(everything):
    predictions = everything.json(
        GREY_PHOTO + "import json, qualipy, qualipy_core.plugins as p; "
        "filters = [p.registry().get(name)() for name in p.registry().names()]; "
        "print(json.dumps(qualipy.process('grey.png', filters, return_predictions=True)))"
    )
    assert sorted(predictions["grey.png"]) == BUILT_IN


@pytest.mark.parametrize(
    "what",
    [
        "import qualipy_core",
        "import qualipy",
        "import qualipy_core.plugins as p; assert p.registry().names()",
        "import qualipy.filters; assert dir(qualipy.filters)",
        "import qualipy.cli",
    ],
)
def test_importing_and_listing_load_neither_pixels_nor_packs_nor_celery(everything, what):
    tell = "import json, sys; print(json.dumps([name.partition('.')[0] for name in sys.modules]))"
    loaded = everything.json(f"{what}\n{tell}")
    heavy = {"cv2", "numpy", "sklearn", "scipy", "celery", "kombu", "redis", "pydantic"}
    heavy |= {"fsspec", "aiohttp", "asyncio"}
    packs = {"qualipy_filters_builtin", "qualipy_celery", "qualipy_example_pack"}
    assert not set(loaded) & (heavy | packs)


def test_the_command_line_lists_the_filters_and_scans(everything):
    listed = json.loads(everything.command("qualipy", "filters", "--json"))
    assert sorted(each["name"] for each in listed) == BUILT_IN
    everything.run(GREY_PHOTO)
    scanned = everything.command(
        "qualipy", "scan", "grey.png", "--filters", "framed,exposure", "--format", "jsonl"
    )
    assert set(json.loads(scanned)["predictions"]) == {"framed", "exposure"}


def test_a_url_without_the_extra_is_an_error_of_that_photo_which_says_what_to_install(everything):
    scanned = everything.command(
        "qualipy", "scan", "https://host/a.jpg", "--format", "jsonl", "--fail-on", "never"
    )
    assert 'pip install "qualipy-core[remote]"' in json.loads(scanned)["error"]["message"]


def test_a_pack_appears_when_it_is_installed_and_vanishes_when_it_is_uninstalled(
    clean_environment,
):
    photos = clean_environment("qualipy")
    assert photos.json(NAMES) == BUILT_IN

    photos.install("qualipy-example-pack")
    assert photos.json(NAMES) == sorted(BUILT_IN + EXAMPLE)
    processed = photos.json(
        GREY_PHOTO + "import json, qualipy; from qualipy.filters import Monochrome; "
        "print(json.dumps(qualipy.process('grey.png', [Monochrome()])))"
    )
    assert processed == {"grey.png": False}
    request = {
        "images": {"grey.png": None},
        "filters": {"monochrome": {}, "framed": {}},
        "combine_results": False,
    }
    processed = photos.json(
        f"import json, qualipy; print(json.dumps(qualipy.process_request({request!r})))"
    )
    assert processed == {"grey.png": {"framed": False, "monochrome": True}}
    assert set(EXAMPLE) < {
        each["name"] for each in json.loads(photos.command("qualipy", "filters", "--json"))
    }
    assert "qualipy-example-pack" in photos.command("qualipy", "plugins")

    photos.uninstall("qualipy-example-pack")
    assert photos.json(NAMES) == BUILT_IN
    assert "monochrome" not in photos.command("qualipy", "filters")


def test_a_pack_that_is_switched_off_is_as_good_as_uninstalled(clean_environment):
    photos = clean_environment("qualipy-core", "qualipy-example-pack")
    assert photos.json(NAMES) == EXAMPLE
    assert photos.json(NAMES, QUALIPY_DISABLE="qualipy-example-pack") == []
    others = [name for name in EXAMPLE if name != "monochrome"]
    assert photos.json(NAMES, QUALIPY_DISABLE="monochrome") == others


@pytest.fixture(scope="module")
def without_opencv(clean_environment):
    """An environment whose OpenCV lacks a library of the system."""
    environment = clean_environment("qualipy")
    broken = environment.site_packages / "cv2"
    broken.mkdir()
    (broken / "__init__.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file: No such file')\n"
    )
    return environment


def test_a_missing_library_of_opencv_is_named_with_the_command_that_brings_it(without_opencv):
    said = without_opencv.run(
        "import qualipy\n"
        "from qualipy_core.errors import MissingLibraryError\n"
        "try: qualipy.process('photo.jpg', ['framed'])\n"
        "except MissingLibraryError as error: print(error)\n"
    )
    assert "libGL.so.1" in said
    assert "apt-get install libgl1 libglib2.0-0 libxcb1" in said
    assert "opencv-python-headless" in said


def test_filters_are_listed_even_without_opencv(without_opencv):
    assert without_opencv.json(NAMES) == BUILT_IN


def test_the_distributed_jobs_install_beside_the_core_alone(clean_environment):
    worker = clean_environment("qualipy-celery")
    assert worker.json(NAMES) == []
    worker.run("import qualipy_celery")


def test_the_installed_packages_say_which_version_they_are(everything, projects):
    declared = tomllib.loads((projects[0].folder / "pyproject.toml").read_text())
    version = declared["project"]["version"]
    assert version in everything.command("qualipy", "--version")
