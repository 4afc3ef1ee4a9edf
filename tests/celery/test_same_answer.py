"""The same photo gets the same answer, whichever way it goes."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from kombu.exceptions import EncodeError
from sample_filters import write_image
from stand_ins import mean, picture

from qualipy import process, scan
from qualipy_celery import celery_process, find_job, list_jobs, process_image, submit
from qualipy_core import Filter, Image, plugins
from qualipy_core.errors import (
    FilterError,
    ImageReadError,
    ImageTypeError,
    QualipyError,
    ROITypeError,
    ROIValueError,
)
from qualipy_core.opencv import cv2
from qualipy_core.result import Result
from qualipy_core.testing import sample_images

TIMEOUT = 120
BUILT_IN = "qualipy-filters-builtin"


def built_in():
    """Return all filters of the built-in pack that judge a photo by itself."""
    registry = plugins.registry()
    classes = [registry.get(name) for name in registry.names()]
    return [
        cls() for cls in classes if issubclass(cls, Filter) and plugins.origin(cls)[0] == BUILT_IN
    ]


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> list[tuple[str, tuple[int, ...] | None]]:
    """Photos with the region to judge: sharp, blurred, tiny, huge regions, and bad ones."""
    folder = tmp_path_factory.mktemp("photos")
    natural = sample_images()["natural"]
    height, width = natural.shape[:2]
    sharp = write_image(folder / "sharp.jpg", natural)
    blurred = write_image(folder / "blurred.png", cv2.GaussianBlur(natural, (0, 0), 4))
    tiny = write_image(folder / "tiny.png", natural[:1, :1])
    corrupt = folder / "corrupt.jpg"
    corrupt.write_bytes(Path(sharp).read_bytes()[:200])
    text = folder / "text.jpg"
    text.write_text("no image at all")
    return [
        (sharp, None),
        (blurred, None),
        (tiny, None),
        (sharp, (10, 20, 100, 80)),
        (blurred, (0, 0, width, height)),
        (str(corrupt), None),
        (str(text), None),
        (str(folder / "missing.jpg"), None),
        (str(folder), None),
        (sharp, (0, 0, width + 1, height)),
        (str(folder / "missing.jpg"), (0, 0, 5, 5)),
    ]


def told(result: Result) -> dict[str, object]:
    """Return all that a result tells, but how long it took."""
    plain = result.to_dict()
    del plain["seconds"]
    plain["decisions"] = dict(result.decisions)
    plain["order"] = list(result.predictions)
    return plain


def same(one: Result, other: Result) -> bool:
    """Whether two results are the same to the last bit, errors and their attributes too."""
    return told(one) == told(other) and [*map(type, one.failures.values()), type(one.error)] == [
        *map(type, other.failures.values()),
        type(other.error),
    ]


def test_all_built_in_filters_on_good_and_bad_images(standing, cases):
    filters = built_in()
    assert len(filters) >= 14
    images, rois = (list(each) for each in zip(*cases, strict=True))
    expected = list(scan(images, filters, rois))
    assert [result.failed for result in expected] == [False] * 5 + [True] * 6
    other_ways = {
        "processes": scan(images, filters, rois, jobs=2),
        "workers": scan(images, filters, rois, executor="celery"),
    }
    for way, results in other_ways.items():
        for one, other in zip(expected, results, strict=True):
            assert same(one, other), way

    submitted = {}
    for number, result in (job := submit(images, filters, rois)).outcomes():
        submitted[number] = result
        job.taken(number)
    assert sorted(submitted) == list(range(len(cases)))
    assert all(same(one, submitted[number]) for number, one in enumerate(expected))

    # One way after the other: a worker's process has one set of filters ready at a time.
    both = (True, False)
    answers = {each: celery_process(images, filters, rois, each) for each in both}
    for each in both:
        answers[each].get(timeout=TIMEOUT, propagate=False)
    tasks = {
        each: [process_image.delay(image, filters, roi, each) for image, roi in cases]
        for each in both
    }
    for predictions, number in itertools.product(both, range(len(cases))):
        (image, roi), one = cases[number], expected[number]
        there = answers[predictions][number], tasks[predictions][number]
        if one.error is None:
            value = {image: one.predictions if predictions else one.decisions}
            assert process(image, filters, roi, predictions, combine_results=False) == value
            assert [each.get(timeout=TIMEOUT) for each in there] == [value, value]
            continue
        with pytest.raises(type(one.error)) as caught:
            process(image, filters, roi, predictions, combine_results=False)
        errors = [caught.value]
        for each in there:
            with pytest.raises(type(one.error)) as caught:
                each.get(timeout=TIMEOUT)
            errors.append(caught.value)
        assert {str(error) for error in errors} == {str(one.error)}
        # Celery carries an error's class and message, and no attributes.
        assert [error.image for error in errors] == [image, image, None]


def test_combined_decisions_and_leaving_out_early(standing, cases):
    filters = [built_in()[0], *(each for each in built_in() if each.name in ("exposure", "hdr"))]
    images = [image for image, roi in cases[:3]]
    here = process(images, filters)
    assert celery_process(images, filters, combine_results=True).get(timeout=TIMEOUT) == [
        {image: here[image]} for image in images
    ]
    tasks = [process_image.delay(image, filters, None, False, True) for image in images]
    assert [task.get(timeout=TIMEOUT) for task in tasks] == [{i: here[i]} for i in images]
    options = {"stop_early": True, "sort_filters": False}
    expected = list(scan(images, filters, **options))
    for one, other in zip(
        expected, scan(images, filters, executor="celery", **options), strict=True
    ):
        assert same(one, other)


def test_a_filter_that_fails_fails_alike(standing):
    filters = [plugins.registry().get(name)() for name in ("raising", "mean")]
    (here,) = scan(picture(51), filters)
    (there,) = scan(picture(51), filters, executor="celery")
    assert same(here, there)
    assert here.predictions == {"mean": mean(51)}
    errors = [here.failures["raising"]]
    for way in (celery_process(picture(51), filters)[0], process_image.delay(picture(51), filters)):
        with pytest.raises(FilterError) as caught:
            way.get(timeout=TIMEOUT)
        errors.append(caught.value)
    assert {str(error) for error in errors} == {str(errors[0])}
    assert "boom" in str(errors[0])


def test_results_come_in_the_order_given_whoever_is_ready_first(standing):
    """The first image takes three processes that die, and the twentieth too."""
    images = [picture(n, "poison" if n in (0, 20) else "") for n in range(40)]
    filters = [plugins.registry().get(name)() for name in ("poison", "mean")]
    results = list(scan(images, filters, executor="celery"))
    assert [result.image for result in results] == images
    assert [n for n, result in enumerate(results) if result.failed] == [0, 20]


def test_the_same_image_twice_is_judged_twice(standing):
    images = [picture(1), picture(2), picture(1)]
    results = scan(images, ["mean"], [None, None, (0, 0, 9, 9)], executor="celery")
    assert [type(result.error) for result in results] == [type(None), type(None), ROIValueError]


@pytest.fixture
def elsewhere(tmp_path, monkeypatch, standing) -> Path:
    """The client's folder, in which the worker does not work."""
    folder = tmp_path / "elsewhere"
    (folder / "below").mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert folder != standing.folder
    return folder


def grey(path: str | Path, value: int) -> str:
    return write_image(path, np.full((3, 4), value, np.uint8))


def everywhere(images: list[str], filters=("mean",)) -> list[Result]:
    """Return the results of a local scan, once the other ways have given the same."""
    expected = list(scan(images, filters))
    for one, other in zip(expected, scan(images, filters, executor="celery"), strict=True):
        assert same(one, other)
    submitted = {result.image: result for result in submit(images, filters)}
    assert submitted.keys() == {result.image for result in expected}
    assert all(same(one, submitted[one.image]) for one in expected)
    made = [plugins.registry().get(name)() for name in filters]
    answers = celery_process(images, made, return_predictions=True)
    assert answers.get(timeout=TIMEOUT) == [{r.image: r.predictions} for r in expected]
    return expected


def test_relative_paths_are_meant_from_the_client_s_folder(elsewhere, standing):
    grey("a.png", 51)
    grey("below/b.png", 102)
    images = ["a.png", "./a.png", "below/../a.png", Path("below/b.png"), str(elsewhere / "a.png")]
    results = everywhere(images)
    assert [result.image for result in results] == [str(image) for image in images]
    assert [result.predictions["mean"] for result in results] == [0.2, 0.2, 0.2, 0.4, 0.2]
    # What a task is told is told from where it is.
    grey(standing.folder / "there.png", 153)
    value = process_image.delay("there.png", ["mean"], None, True).get(timeout=TIMEOUT)
    assert value == {"there.png": {"mean": 0.6}}
    with pytest.raises(ImageReadError, match=r"a\.png"):
        process_image.delay("a.png", ["mean"]).get(timeout=TIMEOUT)


def test_a_job_looks_where_its_client_was_when_it_began(elsewhere, monkeypatch, tmp_path):
    grey("a.png", 51)
    job = submit(["a.png"], ["mean"])
    monkeypatch.chdir(tmp_path)
    (result,) = job
    assert result.predictions == {"mean": 0.2}


NAMES = [
    "\N{PILE OF POO} \N{HEBREW LETTER ALEF}.png",
    "é nfc.png",
    "é nfd.png",
    os.fsdecode(b"latin \xe9\xff.png"),
    "new\nline \x1b[31m.png",
    "quote \" ' \\ {json: [0]}.png",
    "% {0} $HOME ~.png",
    " .png",
    "-o.png",
]


@pytest.mark.parametrize("absolute", [False, True])
def test_files_may_be_called_whatever_the_system_allows(elsewhere, absolute):
    images = []
    for number, name in enumerate(NAMES):
        os.rename(grey("new.png", number * 20), name)
        images.append(str(elsewhere / name) if absolute else name)
    results = everywhere(images)
    assert [result.image for result in results] == images
    assert [result.predictions["mean"] for result in results] == [
        mean(number * 20) for number in range(len(NAMES))
    ]
    if absolute:
        tasks = [process_image.delay(image, ["mean"], None, True) for image in images]
        assert [task.get(timeout=TIMEOUT) for task in tasks] == [
            {result.image: result.predictions} for result in results
        ]


PIXELS = np.zeros((3, 4, 3), np.uint8)


@pytest.mark.parametrize(
    "image",
    [b"\xff\xd8\xff", bytearray(8), PIXELS, Image(PIXELS, name="x"), Image("a.png")],
    ids=str,
)
def test_what_has_no_path_is_refused_by_name_and_the_rest_is_judged(standing, image):
    images = [picture(51), image, picture(102)]
    name = image.name if isinstance(image, Image) else Image(image).name
    for results in (
        list(scan(images, ["mean"], executor="celery")),
        list(submit(images, ["mean"])),
    ):
        by_image = {result.image: result for result in results}
        assert by_image[picture(51)].predictions == {"mean": mean(51)}
        assert by_image[picture(102)].predictions == {"mean": mean(102)}
        error = by_image[name].error
        assert isinstance(error, ImageTypeError)
        assert isinstance(error, TypeError)
        assert (
            str(error)
            == f"{name} cannot be sent to workers: give a path or URL that they can open."
        )
    answers = celery_process(images, [plugins.registry().get("mean")()])
    with pytest.raises(ImageTypeError, match="give a path or URL"):
        answers.get(timeout=TIMEOUT)
    assert answers.completed_count() == 2


def test_a_task_takes_no_pixels_and_no_bytes(standing):
    with pytest.raises(EncodeError, match="ndarray"):
        process_image.delay(PIXELS, ["mean"])
    with pytest.raises(ImageTypeError, match="path or URL here, not bytes"):
        process_image.delay(b"\xff\xd8", ["mean"]).get(timeout=TIMEOUT)


@pytest.mark.parametrize(
    ("images", "rois", "kind"),
    [
        (7, None, ImageTypeError),
        ([picture(1)], [None, None], ROIValueError),
        ([picture(1)], [(1, 2, 3)], ROITypeError),
        ([picture(1)], "text", ROITypeError),
        ([7], None, ImageTypeError),
    ],
)
def test_a_wrong_call_is_the_same_error_everywhere(standing, images, rois, kind):
    said = set()
    for call in (
        lambda: process(images, ["mean"], rois),
        lambda: list(scan(images, ["mean"], rois)),
        lambda: list(scan(images, ["mean"], rois, executor="celery")),
        lambda: list(submit(images, ["mean"], rois)),
        lambda: celery_process(images, ["mean"], rois),
    ):
        with pytest.raises(kind) as caught:
            call()
        assert isinstance(caught.value, QualipyError)
        said.add(str(caught.value))
    assert len(said) == 1


def test_a_scan_that_is_left_early_stops_its_job(standing):
    before = {status.id for status in list_jobs()}
    results = scan((picture(n) for n in itertools.count()), ["mean"], executor="celery")
    assert [next(results).image for _ in range(5)] == [picture(n) for n in range(5)]
    (job,) = {status.id for status in list_jobs()} - before
    assert find_job(job).status().state == "running"
    results.close()
    assert find_job(job).status().state == "stopped"


def test_an_error_of_whoever_names_the_images_comes_after_what_they_have_named(standing):
    def images():
        yield picture(1)
        yield picture(2)
        raise LookupError("no more")

    results = scan(images(), ["mean"], executor="celery")
    assert [next(results).image, next(results).image] == [picture(1), picture(2)]
    with pytest.raises(LookupError, match="no more"):
        next(results)
