"""The models that are shipped: plain data, each with a card that tells what it is."""

from __future__ import annotations

import hashlib
import json
import re
from importlib import metadata, resources
from pathlib import Path

import numpy as np
import pytest

from qualipy_core import TrainableFilter, plugins
from qualipy_core.models import Model

FOLDER = Path(str(resources.files("qualipy_filters_builtin") / "models"))
MODELS = sorted(FOLDER.glob("*.npz"))
BY_NAME = {path.stem: path for path in MODELS}
PACK = "qualipy-filters-builtin"
LARGEST = 300_000  # bytes
PHOTO = re.compile(r"\.(jpe?g|png|tiff?|webp|gif|bmp|heic|cr2|nef)\b", re.IGNORECASE)
ABSOLUTE = re.compile(r"(^|[\s\"'=(])(/|~/|[A-Za-z]:\\)\w")

each = pytest.mark.parametrize("path", MODELS, ids=list(BY_NAME))


def card(path):
    return json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


def leaves(value, name=""):
    """Every number and text of a card, under the name that it has."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(key, "a key")
            yield from leaves(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, name)
    else:
        yield name, value


def trainable():
    entries = [e for e in plugins.registry().entries() if e.distribution == PACK]
    classes = [plugins.registry().get(entry.name) for entry in entries]
    return [cls for cls in classes if issubclass(cls, TrainableFilter)]


def test_there_is_a_card_to_each_model_and_no_other():
    assert BY_NAME
    assert sorted(FOLDER.glob("*.json")) == [path.with_suffix(".json") for path in MODELS]


def test_every_filter_that_is_trained_ships_a_model():
    assert {cls.model_file for cls in trainable()} <= {path.name for path in MODELS}


@each
def test_the_model_is_the_one_that_its_card_is_of(path):
    assert card(path)["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


@each
def test_the_card_is_of_this_pack_and_of_its_filters(path):
    told = card(path)
    assert (told["distribution"], told["version"]) == (PACK, metadata.version(PACK))
    names = told["filter"] if isinstance(told["filter"], list) else [told["filter"]]
    found = {e.name for e in plugins.registry().entries() if e.distribution == PACK}
    assert names
    assert set(names) <= found


@each
def test_a_model_is_small_and_plain_data(path):
    assert path.stat().st_size < LARGEST
    assert path.with_suffix(".json").stat().st_size < LARGEST / 10
    with np.load(path, allow_pickle=False) as arrays:
        assert all(arrays[name].dtype.kind in "fiU" for name in arrays)
        numbers = [arrays[name] for name in arrays if arrays[name].dtype.kind == "f"]
    assert all(np.isfinite(array).all() for array in numbers)


@each
def test_figures_are_shares(path):
    found = [(name, value) for name, value in leaves(card(path)) if isinstance(value, float)]
    assert found
    assert [(name, value) for name, value in found if not 0 <= value <= 1] == []


@each
def test_an_interval_holds_its_figure(path):
    def intervals(value):
        if isinstance(value, dict):
            if "low" in value:
                yield value
            for item in value.values():
                yield from intervals(item)

    for figure in intervals(card(path)):
        assert figure["low"] <= figure["value"] <= figure["high"]


@each
def test_a_card_names_no_photo_and_no_place_on_a_machine(path):
    texts = [value for _, value in leaves(card(path)) if isinstance(value, str)]
    assert [text for text in texts if PHOTO.search(text) or ABSOLUTE.search(text)] == []


@each
def test_a_card_says_on_what_it_was_trained_how_and_where_it_fails(path):
    told = card(path)
    assert told["known_failures"]
    training = told["training"]
    assert training["photos"]
    assert training["made"]
    assert training["counts"]
    assert training["command"].startswith("python training/")
    for collection in training["collections"].values():
        assert collection["photos"] > 0
        assert collection["licence"]


@pytest.mark.parametrize("cls", trainable(), ids=lambda cls: cls.name)
def test_a_filter_shows_the_card_of_the_model_in_use(cls, tmp_path):
    shipped = FOLDER / cls.model_file
    told = cls().card()
    assert told == card(shipped)
    assert told["filter"] == cls.name
    assert tuple(told["features"]) == cls.feature_names
    model = Model.load(shipped)
    assert (told["kernel"], told["vectors"]) == (model.kernel, len(model.coefficients))
    figures = told["cross_validated"]
    assert figures["threshold"] == cls().threshold
    assert figures["balanced_accuracy"]["low"] > 0.5
    mine = cls().save(tmp_path / "mine.npz")
    assert mine.card() is None
    mine_card = tmp_path / "mine.json"
    mine_card.write_text(shipped.with_suffix(".json").read_text(encoding="utf-8"))
    assert (mine.card() is not None) == (Path(mine.svm_file).read_bytes() == shipped.read_bytes())
