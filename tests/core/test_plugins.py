"""Finding packs."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from importlib_metadata import EntryPoint
from sample_filters import Brightness

from qualipy_core import Filter, plugins, scan
from qualipy_core.errors import (
    AmbiguousFilterError,
    PluginError,
    PluginWarning,
    UnknownFilterError,
)
from qualipy_core.plugins import FILTERS, HOOKS, Entry, Registry, find

GOOD = """
from qualipy_core import Filter

class Good(Filter):
    '''Good.'''
    name = "good"
    def measure(self, image):
        return 0.0

class Misnamed(Good):
    '''Misnamed.'''
    name = "another"

not_a_filter = 5
"""


def entry(name, distribution="pack", value="pack:Class", version="1.0"):
    return Entry(name, distribution, version, value)


def test_entry_points_are_found_sorted_and_nothing_is_imported():
    points = [
        EntryPoint("b", "no.such.module:B", FILTERS),
        EntryPoint("a", "no.such.module:A", FILTERS),
        EntryPoint("x", "no.such.module:X", "another.group"),
    ]
    assert [e.name for e in find(FILTERS, points)] == ["a", "b"]
    assert find(FILTERS, points) == find(FILTERS, points[::-1])
    assert find(FILTERS, points)[0].class_name == "A"


def test_an_installed_pack_is_found_and_loaded_only_when_asked_for(install_pack):
    install_pack("lazy-pack", GOOD, {FILTERS: {"good": "lazy_pack:Good"}}, "2.5")
    assert "good" in plugins.registry().names()
    assert "lazy_pack" not in sys.modules
    found = plugins.registry().entry("good")
    assert found is not None
    assert (found.distribution, found.version) == ("lazy-pack", "2.5")
    assert plugins.registry().state(found) == ("found", "")
    cls = plugins.registry().get("good")
    assert cls.name == "good"
    assert plugins.registry().state(found) == ("loaded", "")
    assert plugins.origin(cls) == ("lazy-pack", "2.5")


def test_a_broken_pack_breaks_only_itself_and_stays_known(install_pack):
    install_pack("good-pack", GOOD, {FILTERS: {"good": "good_pack:Good"}})
    install_pack("broken-pack", "1 / 0", {FILTERS: {"broken": "broken_pack:X"}}, "0.3")
    registry = plugins.registry()
    assert {"good", "broken"} <= set(registry.names())
    assert registry.get("good").name == "good"
    for _ in range(2):
        with pytest.raises(PluginError, match=r"broken-pack 0\.3.*ZeroDivisionError") as caught:
            registry.get("broken")
    assert (caught.value.distribution, caught.value.version) == ("broken-pack", "0.3")
    state, why = registry.state(registry.entry("broken"))
    assert state == "broken"
    assert "division by zero" in why


@pytest.mark.parametrize(
    ("source", "value", "why"),
    [
        (GOOD, "odd_pack:Misnamed", "must be equal"),
        (GOOD, "odd_pack:not_a_filter", "no subclass"),
        (GOOD, "odd_pack:Missing", "AttributeError"),
        (GOOD, "no_such_module:Good", "ModuleNotFoundError"),
        ("import sys; sys.exit(1)", "odd_pack:Good", "SystemExit"),
        ("def", "odd_pack:Good", "SyntaxError"),
    ],
)
def test_every_way_of_being_broken_is_named(install_pack, source, value, why):
    sys.modules.pop("odd_pack", None)
    install_pack("odd-pack", source, {FILTERS: {"good": value}})
    with pytest.raises(PluginError, match=why):
        plugins.registry().get("good")


def test_two_packs_with_one_name_must_be_told_apart():
    registry = Registry([entry("hdr", "pack-b"), entry("hdr", "pack-a"), entry("one", "pack-a")])
    assert registry.names() == ("one", "pack-a:hdr", "pack-b:hdr")
    with pytest.raises(AmbiguousFilterError, match="pack-a:hdr, pack-b:hdr") as caught:
        registry.get("hdr")
    assert caught.value.distributions == ("pack-a", "pack-b")
    assert registry.entry("pack-b:hdr").distribution == "pack-b"
    assert registry.state(entry("hdr", "pack-a")) == ("ambiguous", "also offered by pack-b:hdr")


def test_a_preference_decides_what_the_bare_name_means():
    registry = Registry([entry("hdr", "pack-a"), entry("hdr", "pack-b")], (), ["Pack_B:hdr"])
    assert registry.entry("hdr").distribution == "pack-b"
    assert registry.entry("pack-a:hdr").distribution == "pack-a"
    assert registry.state(entry("hdr", "pack-a")) == ("ambiguous", "pack-b:hdr is preferred")


@pytest.mark.parametrize("word", ["Some.Pack", "some_pack", "hdr", "some-pack:hdr"])
def test_what_is_disabled_is_as_if_not_installed(word):
    registry = Registry([entry("hdr", "some-pack"), entry("framed", "other")], [word])
    assert registry.names() == ("framed",)
    with pytest.raises(UnknownFilterError, match="QUALIPY_DISABLE"):
        registry.get("hdr")
    assert registry.state(entry("hdr", "some-pack"))[0] == "disabled"


def test_disabling_prevents_the_import(install_pack, monkeypatch):
    install_pack("off-pack", "raise SystemExit", {FILTERS: {"off": "off_pack:X"}})
    monkeypatch.setenv("QUALIPY_DISABLE", "off-pack, something-else")
    plugins.refresh()
    assert "off" not in plugins.registry().names()
    assert "off_pack" not in sys.modules


def test_disabling_one_of_two_settles_a_clash():
    registry = Registry([entry("hdr", "a"), entry("hdr", "b")], ["a"])
    assert registry.names() == ("hdr",)


def test_an_unknown_filter_says_what_there_is_and_what_was_meant():
    registry = Registry([entry("exposure"), entry("hdr")])
    with pytest.raises(UnknownFilterError, match=r"Installed: exposure, hdr\. Did you mean 'hdr'"):
        registry.get("hrd")


def test_without_any_filter_the_message_says_how_to_get_some():
    with pytest.raises(UnknownFilterError, match="pip install qualipy-filters-builtin"):
        Registry().get("hdr")


def test_a_filter_can_be_registered_for_a_while():
    registry = Registry()
    with registry.registered(Brightness):
        assert registry.names() == ("brightness",)
        assert registry.get("brightness") is Brightness
    assert registry.names() == ()


def test_a_survey_loads_everything_and_says_how_each_stands(install_pack, monkeypatch):
    install_pack("good-pack", GOOD, {FILTERS: {"good": "good_pack:Good"}})
    install_pack("broken-pack", "1 / 0", {FILTERS: {"broken": "broken_pack:X"}})
    install_pack("broken-hooks", "1 / 0", {HOOKS: {"late": "broken_hooks"}})
    install_pack("off-pack", "1 / 0", {FILTERS: {"off": "off_pack:X"}, HOOKS: {"off": "off_pack"}})
    monkeypatch.setenv("QUALIPY_DISABLE", "off-pack,qualipy-filters-builtin,qualipy-example-pack")
    plugins.refresh()
    stands = {
        (entry.distribution, entry.group): (state, why)
        for entry, state, why in plugins.survey()
        if entry.distribution in ("good-pack", "broken-pack", "broken-hooks", "off-pack")
    }
    division = "ZeroDivisionError: division by zero"
    assert stands == {
        ("good-pack", FILTERS): ("loaded", ""),
        ("broken-pack", FILTERS): ("broken", division),
        ("broken-hooks", HOOKS): ("broken", division),
        ("off-pack", FILTERS): ("disabled", "by QUALIPY_DISABLE"),
        ("off-pack", HOOKS): ("disabled", "by QUALIPY_DISABLE"),
    }


def test_importing_the_core_and_listing_filters_imports_no_library_nor_pack():
    code = (
        "import sys, qualipy_core\n"
        "from qualipy_core import plugins\n"
        "names = plugins.registry().names()\n"
        "assert 'exposure' in names, names\n"
        "heavy = {'cv2', 'numpy', 'pydantic', 'celery', 'qualipy_filters_builtin'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-I", "-c", code], check=True)


def test_a_distribution_with_damaged_metadata_costs_a_warning_and_nothing_else(
    install_pack, tmp_path
):
    install_pack("good-pack", GOOD, {FILTERS: {"good": "good_pack:Good"}})
    nameless = install_pack("nameless-pack", GOOD, {FILTERS: {"other": "nameless_pack:Good"}})
    next(nameless.glob("*.dist-info/METADATA")).unlink()
    garbled = install_pack("garbled-pack", GOOD, {FILTERS: {"third": "garbled_pack:Good"}})
    next(garbled.glob("*.dist-info/entry_points.txt")).write_text(f"[{FILTERS}]\ngarbage\n")
    with pytest.warns(PluginWarning, match="damaged") as caught:
        names = plugins.registry().names()
    assert {"good", "exposure"} <= set(names)
    assert len(caught) == 2


def test_a_filter_whose_name_is_shared_is_described_by_its_pack(install_pack):
    install_pack("one-pack", GOOD, {FILTERS: {"good": "one_pack:Good"}})
    install_pack("two-pack", GOOD, {FILTERS: {"good": "two_pack:Good"}})
    items = [plugins.registry().get(f"{pack}:good")() for pack in ("one-pack", "two-pack")]
    assert [item.to_dict()["name"] for item in items] == ["one-pack:good", "two-pack:good"]
    assert [Filter.from_dict(item.to_dict()) for item in items] == items
    (result,) = scan(np.zeros((9, 9), np.uint8), items)
    assert set(result.predictions) == {"one-pack:good", "two-pack:good"}
