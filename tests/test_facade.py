"""What people import: ``qualipy`` and ``qualipy.filters``."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import qualipy
import qualipy_core
from qualipy import filters
from qualipy_core import plugins
from qualipy_core.errors import AmbiguousFilterError, PluginError, PluginWarning
from qualipy_core.plugins import FILTERS

PACK = """
from qualipy_core import Filter

class Sparkle(Filter):
    '''Sparkling photos.'''
    name = "sparkle"
    def measure(self, image):
        return 1.0

class Exposure(Sparkle):
    '''Another class of a name that there is.'''
    name = "sparkle_exposure"
"""

CLASSES = {
    "BlurredContext", "CrossProcessed", "Exposure", "Fisheye", "Framed", "HDR", "Highlights",
    "MultipleSalientRegions", "ObjectTooSmall", "Pattern", "Posterized", "TextDetection",
    "UnconventionalSize", "WholeBlur",
}  # fmt: skip


def star():
    """What ``from qualipy.filters import *`` brings."""
    names: dict[str, object] = {}
    exec("from qualipy.filters import *", names)
    del names["__builtins__"]
    return names


def test_the_calls_are_the_cores():
    for name in ("process", "process_request", "scan", "Filter"):
        assert getattr(qualipy, name) is getattr(qualipy_core, name)
        assert name in dir(qualipy)


def test_a_name_that_there_is_not_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'nothing'"):
        _ = qualipy.nothing
    with pytest.raises(AttributeError, match="Exposure"):
        _ = filters.Nothing


def test_the_star_brings_every_built_in_filter():
    assert star().keys() >= CLASSES
    assert set(dir(filters)) >= CLASSES


def test_the_star_brings_filters_of_other_packs(install_pack):
    install_pack("sparkle-pack", PACK, {FILTERS: {"sparkle": "sparkle_pack:Sparkle"}})
    assert star()["Sparkle"] is filters.Sparkle
    assert filters.Sparkle().name == "sparkle"


def test_a_broken_pack_is_left_out_of_the_star_with_a_warning(install_pack):
    install_pack("broken-pack", "1 / 0", {FILTERS: {"broken": "broken_pack:Broken"}})
    with pytest.warns(PluginWarning, match=r"left out .*broken-pack 1\.0"):
        names = star()
    assert "Broken" not in names
    assert names.keys() >= CLASSES
    with pytest.raises(PluginError):
        _ = filters.Broken


def test_a_class_name_of_two_packs_must_be_told_apart(install_pack, monkeypatch):
    points = {FILTERS: {"sparkle_exposure": "sparkle_pack:Exposure"}}
    install_pack("sparkle-pack", PACK, points)
    with pytest.raises(AmbiguousFilterError, match="sparkle-pack:sparkle_exposure"):
        _ = filters.Exposure
    with pytest.warns(PluginWarning, match="Several packs offer a class Exposure"):
        assert "Exposure" not in star()
    monkeypatch.setenv("QUALIPY_PREFER", "sparkle-pack:sparkle_exposure")
    plugins.refresh()
    assert filters.Exposure.name == "sparkle_exposure"
    monkeypatch.setenv("QUALIPY_DISABLE", "sparkle-pack")
    plugins.refresh()
    assert filters.Exposure.name == "exposure"


def test_one_filter_is_had_without_importing_the_others():
    code = (
        "import json, sys\n"
        "from qualipy.filters import UnconventionalSize\n"
        "print(json.dumps([m for m in sys.modules if m.startswith('qualipy_filters_builtin.')]))\n"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    assert json.loads(run.stdout) == ["qualipy_filters_builtin.unconventional_size"]


def test_importing_qualipy_loads_no_library():
    heavy = {"cv2", "numpy", "pydantic", "click"}
    code = f"import sys, qualipy; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-I", "-c", code], check=True)
