"""Limits: what is said, what the environment says, and what holds."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from qualipy_core import Image, Limits, process, process_request
from qualipy_core.errors import ImageTooLargeError, LimitsError
from qualipy_core.limits import DEFAULTS, VARIABLES, shown_bytes
from qualipy_core.testing import registered

PICTURE = np.zeros((20, 30, 3), np.uint8)


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)


def test_what_nobody_says_is_the_default():
    assert Limits().in_force().said() == DEFAULTS
    assert not Limits()
    assert Limits(max_bytes=1)


def test_a_call_wins_over_the_environment_and_that_over_the_default(monkeypatch):
    monkeypatch.setenv("QUALIPY_MAX_PIXELS", "1e6")
    monkeypatch.setenv("QUALIPY_TIME_LIMIT", "")  # as if it were not there
    assert Limits().in_force().max_pixels == 1e6
    assert Limits().with_environment() == Limits(max_pixels=1e6)
    assert Limits(max_pixels=5).in_force().max_pixels == 5
    assert Limits(max_pixels=math.inf).in_force().max_pixels == math.inf
    assert Limits().in_force().time_limit == 60
    monkeypatch.setenv("QUALIPY_MAX_PIXELS", "inf")
    assert Limits().in_force().max_pixels == math.inf


@pytest.mark.parametrize("text", ["0", "-1", "many", "nan"])
@pytest.mark.parametrize("variable", VARIABLES.values())
def test_a_variable_that_is_no_number_above_0_is_named(monkeypatch, variable, text):
    monkeypatch.setenv(variable, text)
    with pytest.raises(LimitsError, match=f"{variable} must be a number above 0, not '{text}'"):
        Limits().in_force()


def test_of_two_limits_the_stricter_one_holds():
    both = Limits(max_pixels=10, max_bytes=1e12).within(Limits(max_pixels=20))
    assert both.max_pixels == 10
    assert both.max_bytes == DEFAULTS["max_bytes"]


def test_limits_are_values():
    assert Limits(max_pixels=5) == pickle.loads(pickle.dumps(Limits(max_pixels=5)))
    assert len({Limits(time_limit=1), Limits(time_limit=1.0), Limits()}) == 2


def test_an_image_keeps_its_limits_on_the_way_to_another_process(tmp_path):
    import cv2

    path = tmp_path / "a.png"
    cv2.imwrite(str(path), PICTURE)
    strict = pickle.loads(pickle.dumps(Image(path, limits=Limits(max_pixels=100))))
    with pytest.raises(ImageTooLargeError):
        strict.pixels()
    assert Image.open(Image(path)).size == (30, 20)
    with pytest.raises(ImageTooLargeError):
        Image.open(Image(path), limits=Limits(max_pixels=100)).pixels()
    with pytest.raises(ImageTooLargeError):
        Image.open(strict, limits=Limits(max_pixels=1e9)).pixels()


def test_process_and_requests_take_limits(tmp_path):
    import cv2
    from sample_filters import Brightness

    path = str(tmp_path / "a.png")
    cv2.imwrite(path, PICTURE)
    with registered(Brightness), pytest.raises(ImageTooLargeError):
        process(path, [Brightness()], limits=Limits(max_pixels=100))
    with registered(Brightness), pytest.raises(ImageTooLargeError):
        process_request(
            {"images": {path: None}, "filters": {"brightness": {}}}, limits=Limits(max_bytes=10)
        )


@pytest.mark.parametrize(
    ("count", "shown"), [(10, "10 bytes"), (2048, "2 KiB"), (1 << 30, "1 GiB"), (5e6, "4.768 MiB")]
)
def test_bytes_are_shown_as_people_write_them(count, shown):
    assert shown_bytes(count) == shown
