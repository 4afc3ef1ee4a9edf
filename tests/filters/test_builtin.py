"""What holds for all built-in filters alike."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from qualipy_core import Filter, Image, plugins, process, scan
from qualipy_core.opencv import cv2
from qualipy_core.parameters import parameters_of
from qualipy_core.testing import FilterContract, sample_images

PACK = "qualipy-filters-builtin"
COMMON = ["threshold", "invert_threshold"]

# name, class, speed, threshold, own parameters: what users of these names know
TABLE = [
    ("whole_blur", "WholeBlur", 3, 0.5, ["svm_file"]),
    ("blurred_context", "BlurredContext", 4, 0.5, ["svm_file"]),
    ("exposure", "Exposure", 1, 0.5, ["negative_under_exposed"]),
    ("highlights", "Highlights", 1, 0.5, []),
    ("hdr", "HDR", 3, 0.5, ["svm_file"]),
    ("posterized", "Posterized", 1, 0.5, []),
    ("cross_processed", "CrossProcessed", 2, 0.5, ["svm_file"]),
    ("fisheye", "Fisheye", 2, 0.5, ["svm_file"]),
    ("framed", "Framed", 1, 0.5, []),
    ("pattern", "Pattern", 2, 0.5, []),
    ("text_detection", "TextDetection", 3, 0.5, ["tesseract_path"]),
    ("unconventional_size", "UnconventionalSize", 1, 16 / 9, []),
    ("object_too_small", "ObjectTooSmall", 5, 0.05, ["is_saliency_map"]),
    ("multiple_salient_regions", "MultipleSalientRegions", 5, 0.5, ["is_saliency_map"]),
    ("dark", "Dark", 1, 0.5, []),
    ("light", "Light", 1, 0.5, []),
    ("low_information", "LowInformation", 1, 0.5, []),
    ("grayscale", "Grayscale", 1, 0.5, []),
]
NAMES = [row[0] for row in TABLE]
OF_SETS = ["exact_duplicates", "near_duplicates", "odd_size"]


def builtin(name: str) -> type[Filter]:
    return plugins.registry().get(name)


@pytest.mark.parametrize(("name", "cls", "speed", "threshold", "own"), TABLE)
def test_a_filter_is_what_users_of_its_name_know(name, cls, speed, threshold, own):
    found = builtin(name)
    assert found.__name__ == cls
    assert found.speed == speed
    assert found().threshold == threshold
    parameters = [p.name for p in parameters_of(found) if p.name != "comparison"]
    assert parameters == COMMON + own


def test_the_pack_brings_these_filters_and_no_other():
    entries = [e for e in plugins.registry().entries() if e.distribution == PACK]
    assert sorted(e.name for e in entries) == sorted([*NAMES, *OF_SETS])


def _contract(name: str) -> type[FilterContract]:
    cls = builtin(name)
    return type(f"Test{cls.__name__}KeepsTheContract", (FilterContract,), {"filter_class": cls})


for _name in NAMES:
    _made = _contract(_name)
    globals()[_made.__name__] = _made
del _made


def photo(scale: float = 1.0) -> np.ndarray:
    return cv2.resize(data.astronaut(), None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)


def jpeg(pixels: np.ndarray, quality: int = 95) -> bytes:
    ok, encoded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert ok
    return encoded.tobytes()


ASTRONAUT = jpeg(photo())
ALONE = {}


def alone(name, roi):
    """What a filter measures when nothing else has seen the picture."""
    key = (name, roi)
    if key not in ALONE:
        ALONE[key] = builtin(name)().predict(ASTRONAUT, False, roi)
    return ALONE[key]


@settings(max_examples=25)
@given(
    names=st.lists(st.sampled_from(NAMES), min_size=2, max_size=6, unique=True),
    sort=st.booleans(),
    roi=st.sampled_from([None, (100, 20, 300, 280), (0, 0, 64, 512)]),
)
def test_a_prediction_depends_on_image_roi_and_parameters_alone(names, sort, roi):
    (together,) = scan(ASTRONAUT, [builtin(n)() for n in names], roi, sort_filters=sort)
    assert not together.failed
    assert together.predictions == {name: alone(name, roi) for name in names}


def test_workers_measure_what_this_thread_measures(tmp_path):
    paths = []
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        path = tmp_path / f"{name}.jpg"
        path.write_bytes(jpeg(getattr(data, name)()))
        paths.append(str(path))
    filters = [builtin(n)() for n in NAMES]
    here = process(paths, filters, return_predictions=True)
    assert process(paths, filters, return_predictions=True, jobs=2) == here


def test_the_number_of_library_threads_changes_not_a_bit(tmp_path):
    path = tmp_path / "coffee.jpg"
    path.write_bytes(jpeg(data.coffee()))
    code = (
        "import json, sys; from qualipy_core import scan\n"
        "(result,) = scan(sys.argv[1], sys.argv[2].split(','))\n"
        "print(json.dumps(dict(result.predictions)))"
    )
    command = [sys.executable, "-c", code, str(path), ",".join(NAMES)]
    said = {
        subprocess.run(
            command,
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2", "4")
    }
    assert len(said) == 1


def test_all_filters_together_decode_a_large_photo_once(monkeypatch):
    large = jpeg(photo(7.0))
    calls = []
    decode = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda b, f: calls.append(f) or decode(b, f))
    (result,) = scan(large, [builtin(n)() for n in NAMES])
    assert not result.failed
    assert len(calls) == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("side", [32, 33, 47, 64, 100])
def test_small_pictures_are_measured_without_a_warning(name, side):
    small = cv2.resize(data.astronaut(), (side, side), interpolation=cv2.INTER_AREA)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(builtin(name)().predict(small, False))


def test_a_photo_of_fifty_megapixels_is_measured_without_a_warning(tmp_path):
    path = tmp_path / "huge.jpg"
    path.write_bytes(jpeg(cv2.resize(data.coffee(), (8700, 5800), interpolation=cv2.INTER_LINEAR)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (result,) = scan(path, [builtin(n)() for n in NAMES])
    assert not result.failed
    assert len(result.predictions) == len(NAMES)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "unconventional_size"])
def test_predictions_of_ordinary_pictures_lie_between_zero_and_one(name):
    for picture in (*sample_images().values(), data.astronaut(), data.chelsea()):
        assert 0.0 <= builtin(name)().predict(picture, False) <= 1.0


@pytest.mark.parametrize("name", [n for n in NAMES if n != "text_detection"])
def test_mirroring_a_photo_changes_little(name):
    for picture in (data.astronaut(), data.chelsea()):
        plain = builtin(name)().predict(picture, False)
        mirrored = np.ascontiguousarray(picture[:, ::-1])
        assert builtin(name)().predict(mirrored, False) == pytest.approx(plain, abs=0.1)


LARGE = 12_000_000  # pixels, a camera's
PHOTOS = ("astronaut", "chelsea", "coffee", "rocket", "retina")
# How much of a prediction may hang on how a large photo was saved. A lens is told by few edges;
# regions are counted in a coarse map; shares of the area are compared with 0.05; a copy of odd size
# is a little softer; a badge of four letters is just not resolved.
AGREEMENT = {
    "fisheye": 0.3,
    "text_detection": 0.25,
    "multiple_salient_regions": 0.1,
    "blurred_context": 0.1,
    "object_too_small": 0.01,
}
USUAL_AGREEMENT = 0.05


def resized(pixels: np.ndarray, count: int) -> np.ndarray:
    scale = (count / (pixels.shape[0] * pixels.shape[1])) ** 0.5
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=how)


@pytest.fixture(scope="module", params=PHOTOS)
def saved_again(request):
    """What all filters measure on a large photo with a sensor's noise, and on its copies."""
    large = resized(getattr(data, request.param)(), LARGE).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 6, (large.shape[0] // 2, large.shape[1] // 2))
    large += cv2.resize(noise.astype(np.float32), large.shape[1::-1])[..., None]
    large = np.clip(large, 0, 255).astype(np.uint8)
    made = {
        "as it is": jpeg(large, 97),
        "at quality 85": jpeg(large, 85),
        "halved": jpeg(resized(large, LARGE // 4)),
        "of 1 megapixel": jpeg(resized(large, 1_000_000)),
    }
    return {
        how: dict(result.predictions)
        for how, result in zip(made, scan(made.values(), NAMES), strict=True)
    }


@pytest.mark.parametrize("how", ["at quality 85", "halved", "of 1 megapixel"])
@pytest.mark.parametrize("name", NAMES)
def test_a_large_photo_and_its_copy_agree(saved_again, name, how):
    limit = AGREEMENT.get(name, USUAL_AGREEMENT)
    assert saved_again[how][name] == pytest.approx(saved_again["as it is"][name], abs=limit)


@pytest.mark.parametrize("name", NAMES)
def test_another_jpeg_of_a_small_photo_changes_little(name):
    for photo in ("astronaut", "chelsea", "rocket", "retina"):
        pixels = getattr(data, photo)()
        plain = builtin(name)().predict(pixels, False)
        assert builtin(name)().predict(jpeg(pixels, 85), False) == pytest.approx(plain, abs=0.15)


def test_every_pair_of_filters_shares_one_image_without_harm():
    image = Image(ASTRONAUT)
    for first, second in itertools.pairwise([*NAMES, *NAMES[::-1]]):
        for name in (first, second):
            assert builtin(name)().predict(image, False) == alone(name, None)
