from __future__ import annotations

import numpy as np
from qualipy_example_pack.odd_color import OddColor

from qualipy_core import Image, process
from qualipy_core.testing import SetFilterContract


def flat(red, green, blue):
    return np.full((32, 48, 3), (red, green, blue), np.uint8)


GREENS = [flat(80, 130 + n, 70 + 2 * n) for n in range(8)]
RED = flat(200, 40, 30)


class TestOddColor(SetFilterContract):
    filter_class = OddColor

    def sets(self):
        return [
            ([*GREENS, RED], [False] * 8 + [True]),
            ([RED] * 5, [False] * 5),
            ([*GREENS, GREENS[0] + 4], [False] * 9),
        ]


def odd(images):
    named = [Image(pixels, name=str(number)) for number, pixels in enumerate(images)]
    return list(process(named, [OddColor()], return_predictions=True).values())


def test_the_farther_the_colour_the_higher_the_prediction():
    degrees = [odd([*GREENS, flat(80 + step, 130, 70)])[-1]["odd_color"] for step in (20, 60, 120)]
    assert degrees == sorted(degrees)
    assert len(set(degrees)) == len(degrees)


def test_one_odd_photo_does_not_make_the_others_odd():
    values = [each["odd_color"] for each in odd([*GREENS, RED])]
    assert max(values[:-1]) < 3.5 < values[-1]
