from __future__ import annotations

import numpy as np
from qualipy_example_pack.color_cast import ColorCast

from qualipy_core import Image
from qualipy_core.testing import FilterContract


def colorful(seed=1):
    """Blocks of all hues, balanced about grey."""
    blocks = np.random.default_rng(seed).integers(30, 226, (12, 16, 3), dtype=np.uint8)
    return blocks.repeat(16, axis=0).repeat(16, axis=1)


def tinted(strength):
    """The same in a light that takes blue away and adds red; 0 … 1."""
    gains = np.array([1 + 0.3 * strength, 1.0, 1 - 0.9 * strength])
    return np.clip(colorful() // 4 * gains + 80 * gains, 0, 255).astype(np.uint8)


class TestColorCast(FilterContract):
    filter_class = ColorCast

    def positives(self):
        return [tinted(0.6), np.full((64, 64, 3), (200, 120, 60), np.uint8)]

    def negatives(self):
        return [colorful(), np.full((64, 64, 3), 128, np.uint8)]


def test_a_stronger_tint_gives_a_higher_prediction():
    degrees = [ColorCast().predict(tinted(s), return_boolean=False) for s in (0, 0.2, 0.4, 0.6)]
    assert degrees == sorted(degrees)
    assert len(set(degrees)) == len(degrees)


def test_the_map_is_hotter_where_there_is_more_colour():
    picture = np.full((64, 128, 3), 128, np.uint8)
    picture[:, 64:] = (200, 120, 60)
    (heat,) = ColorCast().explanation(Image(picture)).layers
    assert heat.values[:, :64].max() < 0.1 < 0.5 < heat.values[:, 64:].min()


def test_a_mirrored_picture_measures_the_same():
    picture = tinted(0.3)
    mirrored = ColorCast().predict(picture[:, ::-1], return_boolean=False)
    assert np.isclose(mirrored, ColorCast().predict(picture, return_boolean=False))


def test_a_higher_visible_level_forgives_weak_casts():
    image = Image(tinted(0.1))
    strict, lenient = ColorCast(visible=2.0), ColorCast(visible=30.0)
    assert lenient.predict(image, return_boolean=False) < strict.predict(
        image, return_boolean=False
    )
