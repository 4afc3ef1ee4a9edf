"""Set filters over Celery: fingerprints are made on workers and compared by who asked."""

from __future__ import annotations

from itertools import islice

import pytest
from stand_ins import mean, picture, runs

from qualipy import scan
from qualipy_celery import (
    celery_process,
    celery_process_request,
    find_job,
    get_job_status,
    process_image,
    submit,
)
from qualipy_core import SetFilter, plugins, process
from qualipy_core.errors import FilterError, FilterTypeError, JobError
from qualipy_core.image import Image
from qualipy_core.result import Result
from qualipy_core.testing import sample_images

TIMEOUT = 120
IMAGES = [picture(n) for n in (5, 7, 261, 9, 517, 263)]  # brightness modulo 256


def made(*names):
    return [plugins.registry().get(name)() for name in names]


def told(result: Result) -> dict[str, object]:
    plain = result.to_message()
    del plain["seconds"]
    return plain


def test_distributed_is_the_same_as_here(standing):
    images = [*IMAGES, picture(3, "broken"), picture(5, "faceless"), picture(8)]
    filters = made("mean", "same", "raising")
    here = list(scan(images, filters, thumbnails=4))
    there = list(scan(images, filters, thumbnails=4, executor="celery"))
    assert [told(result) for result in there] == [told(result) for result in here]
    assert here[0].companions == {"same": tuple(sorted([IMAGES[0], IMAGES[2], IMAGES[4]]))}
    assert here[0].thumbnail
    assert "no face" in str(there[7].failures["same"])
    submitted = {result.image: result for result in submit(images, filters)}
    assert {i: dict(r.companions) for i, r in submitted.items()} == {
        r.image: dict(r.companions) for r in here
    }


def test_built_in_set_filters_give_the_same_everywhere(standing, tmp_path):
    from sample_filters import write_image

    classes = [plugins.registry().get(name) for name in plugins.registry().names()]
    filters = [
        cls()
        for cls in classes
        if issubclass(cls, SetFilter) and plugins.origin(cls)[0] == "qualipy-filters-builtin"
    ]
    if not filters:
        pytest.skip("the built-in pack has none")
    natural = sample_images()["natural"]
    pictures = {"a.jpg": natural, "b.png": natural, "c.png": natural[::-1], "d.png": natural[:90]}
    images = [write_image(tmp_path / name, pixels) for name, pixels in pictures.items()]
    here = list(scan(images, filters))
    assert not any(result.failed for result in here)
    for way in ({"executor": "celery"}, {"jobs": 2}):
        assert [told(r) for r in scan(images, filters, **way)] == [told(r) for r in here]


def test_the_calls_of_2015_take_them(standing):
    filters = made("mean", "same")
    for predictions, combined in ((False, False), (True, False), (False, True)):
        results = celery_process(IMAGES, filters, None, predictions, combined)
        answers = results.get(timeout=TIMEOUT)
        here = process(IMAGES, filters, None, predictions, combined)
        assert {image: value for each in answers for image, value in each.items()} == here
        assert [next(iter(each)) for each in answers] == IMAGES
        assert get_job_status(results) == 100.0
        assert results.successful()
    request = {"images": dict.fromkeys(IMAGES), "filters": {"same": {}}, "combine_results": False}
    answers = celery_process_request(request).get(timeout=TIMEOUT)
    assert [each[image]["same"] for image, each in zip(IMAGES, answers, strict=True)] == [
        True, True, False, False, True, False,
    ]  # fmt: skip


def test_a_comparison_that_fails_fails_for_every_image(standing):
    images = [picture(13), picture(2)]
    for result in scan(images, made("same", "mean"), executor="celery"):
        assert isinstance(result.failures["same"], FilterError)
        assert "bad luck" in str(result.failures["same"])
        assert result.predictions == {"mean": mean(13 if result.image == images[0] else 2)}
    results = celery_process(images, made("same"))
    with pytest.raises(FilterError, match="bad luck"):
        results.get(timeout=TIMEOUT)


def test_one_photo_alone_is_no_set(standing):
    with pytest.raises(FilterTypeError, match="same judges a photo among the others of its set"):
        process_image.delay(IMAGES[0], made("mean", "same")).get(timeout=TIMEOUT)


def test_a_job_that_is_resumed_measures_nothing_twice_and_yields_everything(standing, tmp_path):
    note = tmp_path / "note"
    filters = [plugins.registry().get("same")(file=str(note))]
    images = [picture(n) for n in range(300, 600)]
    expected = {r.image: r.companions for r in scan(images, made("same"))}
    first = submit(images, filters, name="sets")
    results = iter(first)
    for _ in range(5):  # all are measured by now, and some results taken
        next(results)
    results.close()
    assert sum(runs(note).values()) == len(images)
    find_job("sets").stop()
    again = {r.image: r.companions for r in submit(images, filters, name="sets", resume=True)}
    assert again == expected
    assert sum(runs(note).values()) == len(images)
    assert find_job("sets").status().state == "done"


def test_a_job_of_which_somebody_has_taken_results_one_by_one_cannot_be_compared(standing):
    images = [picture(n) for n in range(40)]
    first = submit(images, made("same"), name="taken")
    for number, _ in islice(first.outcomes(), 20):
        first.taken(number)
    first.stop()
    with pytest.raises(JobError, match="handed out before"):
        list(submit(images, made("same"), name="taken", resume=True))


def test_an_error_of_whoever_names_the_images_comes_behind_the_results(standing):
    def images():
        yield picture(1)
        yield picture(257)
        raise LookupError("no more")

    results = iter(submit(images(), made("same")))
    assert len({next(results).companions["same"], next(results).companions["same"]}) == 1
    with pytest.raises(LookupError, match="no more"):
        next(results)


def test_a_thumbnail_comes_back_from_a_worker(standing):
    (result,) = scan([picture(200)], made("mean"), thumbnails=3, executor="celery")
    assert Image(result.thumbnail).size == (3, 3)
