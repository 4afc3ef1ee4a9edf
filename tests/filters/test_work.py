"""What all filters together do to one photo: counted, for time can't be tested."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from qualipy_core import Image, plugins
from qualipy_core.opencv import cv2

#: Long sides at which the pixels are looked at; one more costs every photo another resize.
LEVELS = {512, 384, 256, 160}


@pytest.fixture
def photo():
    """A JPEG of a megapixel, as a photo on the web has it."""
    random = np.random.default_rng(5)
    coarse = random.integers(0, 256, (45, 60, 3), dtype=np.uint8)
    pixels = cv2.resize(coarse, (1200, 900), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


@pytest.fixture
def filters():
    registry = plugins.registry()
    entries = [e for e in registry.entries() if e.distribution == "qualipy-filters-builtin"]
    classes = [registry.get(entry.name) for entry in entries]
    return [cls() for cls in classes if cls.by_default]


@pytest.fixture
def computed(monkeypatch):
    """How often each derived value was computed, by its key."""
    counts = Counter()
    derived = Image.derived

    def counting(image, key, compute):
        def once():
            counts[key] += 1
            return compute()

        return derived(image, key, once)

    monkeypatch.setattr(Image, "derived", counting)
    return counts


def test_a_megapixel_is_decoded_once_at_half_its_size(photo, filters, monkeypatch):
    sizes = []
    decode = cv2.imdecode

    def noting(data, flags):
        pixels = decode(data, flags)
        sizes.append(pixels.shape[1::-1])
        return pixels

    monkeypatch.setattr(cv2, "imdecode", noting)
    image = Image.open(photo)
    for each in filters:
        each.prediction(image)
    assert len(filters) == 14
    assert sizes == [(600, 450)]


def test_whatever_filters_share_is_computed_once(photo, filters, computed):
    image = Image.open(photo)
    for each in filters:
        each.prediction(image)
    first = dict(computed)
    for each in reversed(filters):
        each.prediction(image)
    assert computed == first
    assert set(first.values()) == {1}


def test_pixels_are_asked_for_at_few_sizes(photo, filters, computed):
    image = Image.open(photo)
    for each in filters:
        each.prediction(image)
    sizes = {key[1] for key in computed if key[0] in ("working", "decoded") and len(key) == 2}
    assert sizes <= LEVELS


def test_what_is_shared_does_not_depend_on_who_asks_first(photo, filters):
    def predictions(order):
        image = Image.open(photo)
        return {each.name: each.prediction(image) for each in order}

    assert predictions(filters) == predictions(list(reversed(filters)))
