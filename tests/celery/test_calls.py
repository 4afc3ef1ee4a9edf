"""The calls of 2015, and that what they return means what Celery's own results mean."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from celery import group, states
from celery.exceptions import TaskRevokedError
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import AsyncResult, ResultSet, allow_join_result, denied_join_result
from celery_client import connect, disconnect
from processes import until
from sample_filters import write_image
from stand_ins import mean, picture, runs

import qualipy
from qualipy.filters import Exposure, Fisheye, Framed, Highlights, WholeBlur
from qualipy_celery import (
    app,
    celery_process,
    celery_process_request,
    find_job,
    get_job_status,
    process_image,
)
from qualipy_celery.ledger import Ledger, Outcome
from qualipy_core import plugins
from qualipy_core.errors import (
    ExecutorError,
    FilterError,
    FilterTypeError,
    ImageReadError,
    ImageTypeError,
    ParameterValueError,
    RequestError,
    ROIValueError,
    UnknownFilterError,
    UnknownJobError,
)
from qualipy_core.result import Result
from qualipy_core.testing import sample_images

TIMEOUT = 120

GOOD, BROKEN = [picture(n) for n in (200, 10, 30)], picture(20, "broken")


def stand_in(name: str, **parameters):
    return plugins.registry().get(name)(**parameters)


@pytest.fixture
def photos(tmp_path) -> list[str]:
    """Photos that are no two alike."""
    pictures = list(sample_images().items())[:4]
    return [write_image(tmp_path / f"{name}.png", pixels) for name, pixels in pictures]


# The examples of the documentation


def test_celery_process_as_it_was_called(standing, photos):
    filters = [Exposure(negative_under_exposed=True), Fisheye()]
    results = celery_process(photos, filters, return_predictions=True)
    seen = []
    while not results.ready():
        seen.append(get_job_status(results))
        time.sleep(0.05)
    assert seen == sorted(seen)
    assert all(0.0 <= percent <= 100.0 for percent in seen)
    assert get_job_status(results) == 100.0
    local = qualipy.process(photos, filters, return_predictions=True)
    assert results.get() == [{photo: local[photo]} for photo in photos]


def test_celery_process_request_as_it_was_called(standing, photos):
    first, second = photos[:2]
    request = f"""{{"images": {{"{first}": [5, 5, 20, 20], "{second}": null}},
        "filters": {{"hdr": {{}}, "pattern": {{}}, "blurred_context": {{}}}},
        "return_predictions": false, "combine_results": true, "sort_filters": true}}"""
    results = celery_process_request(request)
    local = qualipy.process_request(request)
    assert results.get(timeout=TIMEOUT) == [{first: local[first]}, {second: local[second]}]


def test_process_image_as_it_was_called(standing, photos):
    result = process_image.delay(photos[0], [Framed(), Highlights()], None, True, True, False)
    local = qualipy.process([photos[0]], [Framed(), Highlights()], return_predictions=True)
    assert result.get(timeout=TIMEOUT) == local
    assert list(result.get()[photos[0]]) == ["framed", "highlights"]  # not sorted: as they stand


# celery_process


@pytest.mark.parametrize("ROIs", [None, [None, (0, 0, 2, 2), [1, 1, 3, 3]]])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"return_predictions": True},
        {"combine_results": True},
        {"combine_results": True, "return_predictions": True},
        {"sort_filters": False},
    ],
    ids=str,
)
def test_a_dict_for_each_image_in_the_order_given(standing, ROIs, options):
    filters = [stand_in("slow", seconds=0.0), stand_in("mean") > 0.5]
    results = celery_process(GOOD, filters, ROIs, **options)
    local = qualipy.process(GOOD, filters, ROIs, **{"combine_results": False, **options})
    assert results.get(timeout=TIMEOUT) == [{image: local[image]} for image in GOOD]
    assert [list(each) for each in results.get()] == [[image] for image in GOOD]


def test_all_arguments_may_be_positional(standing):
    results = celery_process(GOOD, [stand_in("mean")], [(0, 0, 1, 1)] * 3, True, False, True)
    assert results.get(timeout=TIMEOUT) == [
        {image: {"mean": mean(n)}} for image, n in zip(GOOD, (200, 10, 30), strict=True)
    ]


def test_one_image_no_image_the_same_image_twice_and_no_filter(standing, tmp_path):
    by_mean = [stand_in("mean")]
    one = celery_process(GOOD[0], by_mean, (0, 0, 2, 2))
    twice = celery_process([GOOD[0], GOOD[1], GOOD[0]], by_mean, [None, None, (0, 0, 9, 9)])
    none = celery_process([], by_mean)
    unjudged = celery_process(GOOD, [])
    path = celery_process(Path(write_image(tmp_path / "x.png", np.full((3, 3), 51, np.uint8))), [])
    assert one.get(timeout=TIMEOUT) == [{GOOD[0]: {"mean": True}}]
    first, second, third = twice.get(timeout=TIMEOUT, propagate=False)
    assert [first, second] == [{GOOD[0]: {"mean": True}}, {GOOD[1]: {"mean": False}}]
    assert isinstance(third, ROIValueError)
    assert (none.get(), len(none), list(none)) == ([], 0, [])
    assert (none.ready(), none.successful(), none.failed(), none.waiting()) == (
        *(True, True),
        *(False, False),
    )
    assert get_job_status(none) == 100.0
    assert unjudged.get(timeout=TIMEOUT) == [{image: {}} for image in GOOD]
    assert path.get(timeout=TIMEOUT) == [{str(tmp_path / "x.png"): {}}]


def test_what_is_wrong_with_the_call_is_said_at_once(standing):
    with pytest.raises(FilterTypeError, match="not int"):
        celery_process(GOOD, [3])
    with pytest.raises(UnknownFilterError):
        celery_process(GOOD, ["nobodys"])
    with pytest.raises(ROIValueError, match="3 images and 1 ROIs"):
        celery_process(GOOD, [stand_in("mean")], [None])
    with pytest.raises(ImageTypeError):
        celery_process(7, [stand_in("mean")])
    with pytest.raises(RequestError, match=r"filters\.nobodys"):
        celery_process_request('{"images": {"a.jpg": null}, "filters": {"nobodys": {}}}')


def test_a_parameter_that_names_a_file_comes_from_a_trusted_request_alone(standing, photos):
    model = resources.files("qualipy_filters_builtin") / "models" / "hdr.npz"
    filters = {"hdr": {"svm_file": str(model)}}
    request = {"images": {photos[0]: None}, "filters": filters, "return_predictions": True}
    with pytest.raises(RequestError, match="svm_file"):
        celery_process_request(request)
    (value,) = celery_process_request(request, trusted=True).get(timeout=TIMEOUT)
    assert value == qualipy.process_request({**request, "filters": {"hdr": {}}})


# process_image


def test_a_filter_of_any_pack_can_be_passed_as_it_is_by_name_or_as_a_description(standing):
    by_mean = stand_in("mean", threshold=0.25, invert_threshold=True)
    image = picture(51)
    assert process_image.delay(image, [by_mean]).get(timeout=TIMEOUT) == {image: {"mean": True}}
    for same in (by_mean.to_dict(), {"name": "mean", "threshold": 0.1, "comparison": ">"}):
        assert process_image.delay(image, [same]).get(timeout=TIMEOUT) == {image: {"mean": True}}
    result = process_image.delay(image, ["mean", stand_in("slow", seconds=0)], return_predictions=1)
    assert result.get(timeout=TIMEOUT) == {image: {"mean": mean(51), "slow": 0.0}}
    result = process_image.apply_async((image, [by_mean]), {"combine_results": True})
    assert result.get(timeout=TIMEOUT) == {image: False}
    result = process_image.delay(Path("/no/such.jpg"), [Exposure()], [0, 0, 5, 5])
    with pytest.raises(ImageReadError, match=r"/no/such\.jpg"):
        result.get(timeout=TIMEOUT)
    assert process_image(image, [by_mean]) == {image: {"mean": True}}  # here, as any task


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        ((7, ["mean"]), ImageTypeError, "path or URL here, not int"),
        ((GOOD[0], ["nobodys"]), UnknownFilterError, "Worker standing@.*nobodys"),
        ((GOOD[0], [{"name": "mean", "x": 1}]), ParameterValueError, "Worker standing@.*x"),
        ((GOOD[0], ["mean"], [0, 0, 9, 9]), ROIValueError, "stand-in://200"),
        ((GOOD[0], ["raising"]), FilterError, "raising"),
        ((BROKEN, ["mean"]), ImageReadError, "no picture behind"),
        ((GOOD[0], [3]), FilterTypeError, "int"),
    ],
)
def test_an_error_of_process_image_arrives_as_what_it_is(standing, arguments, kind, said):
    result = process_image.delay(*arguments)
    with pytest.raises(kind, match=said):
        result.get(timeout=TIMEOUT)
    assert result.state == states.FAILURE


def test_an_image_that_kills_or_hangs_costs_its_own_result_alone(standing):
    killing = process_image.delay(picture(1, "poison"), ["poison", "mean"])
    after = process_image.delay(picture(1), ["poison", "mean"])
    with pytest.raises(Exception, match=r"died 3 times") as caught:
        killing.get(timeout=TIMEOUT)
    assert type(caught.value).__name__ == "WorkerDiedError"
    assert after.get(timeout=TIMEOUT) == {picture(1): {"poison": False, "mean": False}}


# Side by side with a group of ordinary tasks


@pytest.fixture
def both(standing):
    """A function that sends the same images both ways: our results, and those of Celery."""

    def send(images, **parameters):
        filters = [stand_in("mean"), stand_in("slow", seconds=0.0, **parameters)]
        theirs = group(process_image.s(image, filters) for image in images)()
        return celery_process(images, filters), theirs

    return send


def same_error(one: BaseException, other: BaseException) -> bool:
    return (type(one), str(one)) == (type(other), str(other))


def test_results_mean_what_those_of_a_group_mean(both):
    images = [*GOOD, BROKEN, picture(7)]
    for results in both(images):
        assert isinstance(results, ResultSet)
        values = results.get(timeout=TIMEOUT, propagate=False)
        assert len(values) == len(results) == len(results.results) == 5
        assert [list(value) for value in (*values[:3], values[4])] == [
            [i] for i in images if i != BROKEN
        ]
        assert isinstance(values[3], ImageReadError)
        assert results.ready()
        assert not results.waiting()
        assert not results.successful()
        assert results.failed()
        assert results.completed_count() == 4  # failures do not count
        assert get_job_status(results) == 100.0
        for again in (results.get, results.join, results.join_native):
            assert again(propagate=False)[:3] == values[:3]
            with pytest.raises(ImageReadError, match="no picture behind"):
                again()
        with pytest.raises(ImageReadError, match="no picture behind"):
            results.maybe_throw()
        results.maybe_throw(propagate=False)


def test_members_are_results_of_celery(both):
    images = [GOOD[0], BROKEN]
    ours, theirs = both(images)
    for results in (ours, theirs):
        results.get(timeout=TIMEOUT, propagate=False)
        good, bad = results
        assert isinstance(good, AsyncResult)
        assert good.id != bad.id
        assert good == results[0] == results.results[0]
        assert bad == results[-1]
        assert list(results[0:1]) == [good]
        with pytest.raises(IndexError):
            _ = results[2]
        assert (good.state, good.status, bad.state) == ("SUCCESS", "SUCCESS", "FAILURE")
        assert good.result == good.info == good.get() == {GOOD[0]: {"mean": True, "slow": False}}
        assert isinstance(bad.result, ImageReadError)
        assert isinstance(bad.get(propagate=False), ImageReadError)
        with pytest.raises(ImageReadError):
            bad.get()
        with pytest.raises(ImageReadError):
            bad.maybe_throw()
        assert (good.ready(), good.successful(), good.failed()) == (True, True, False)
        assert (bad.ready(), bad.successful(), bad.failed()) == (True, False, True)
        assert not good.children
        assert str(good) == good.id
    assert same_error(ours[1].result, theirs[1].result)
    assert good in {good}


def test_nothing_comes_before_its_time(both):
    """With images that take longer than one is willing to wait."""
    images = [picture(n) for n in range(4)]
    filters = [stand_in("mean"), stand_in("slow", seconds=0.5)]
    ours = celery_process(images, filters)
    theirs = group(process_image.s(image, filters) for image in images)()
    for results in (ours, theirs):
        for timeout in (0.02, 0):
            with pytest.raises(CeleryTimeoutError):
                results.get(timeout=timeout)
        with pytest.raises(CeleryTimeoutError):
            results[3].get(timeout=0.02)
        assert not results.ready()
        assert results.waiting()
        assert not results.successful()
        assert not results.failed()
        assert results.completed_count() < 4
        assert get_job_status(results) < 100.0
        assert results[3].state in ("PENDING", "STARTED")
        assert results[3].result is None
        assert not results[3].ready()
        results.maybe_throw()
    for results in (ours, theirs):
        told = []
        assert len(results.get(timeout=TIMEOUT, on_interval=lambda told=told: told.append(1))) == 4
        assert results.completed_count() == 4
        assert results.successful()


def test_the_first_error_in_the_order_of_the_images_is_raised(standing):
    images = [picture(1, "broken"), picture(2), picture(3, "broken")]
    results = celery_process(images, [stand_in("mean")])
    with pytest.raises(ImageReadError, match="stand-in://broken/1"):
        results.get(timeout=TIMEOUT)
    with pytest.raises(ImageReadError, match="stand-in://broken/1"):
        results.join()


def test_a_callback_gets_each_id_and_value(both):
    for results in both(GOOD):
        told = {}
        assert not results.get(timeout=TIMEOUT, callback=told.__setitem__)
        assert told == {each.id: each.result for each in results}


def test_a_promise_is_kept_once(standing):
    results = celery_process(GOOD, [stand_in("mean")])
    told: list[object] = []
    results.then(lambda results: told.append(results.get()))
    values = results.get(timeout=TIMEOUT)
    assert results.ready()
    assert told == [values]
    results.then(lambda results: told.append(len(results)))  # late, but not in vain
    assert told == [values, 3]


def test_a_promise_of_one_result_is_kept_too(both):
    for results in both([GOOD[0], BROKEN, GOOD[1]]):
        told: list[object] = []
        results[1].then(lambda result, told=told: told.append(result.state))
        results.get(timeout=TIMEOUT, propagate=False)
        assert told == ["FAILURE"]
    ours, _ = both([GOOD[0]])
    ours.get(timeout=TIMEOUT)
    ours[0].then(lambda result: told.append(result.get()))
    assert told[1:] == [{GOOD[0]: {"mean": True, "slow": False}}]


def test_waiting_within_a_task_is_refused(both):
    for results in both([GOOD[0]]):
        with denied_join_result():
            with pytest.raises(RuntimeError, match="within a task"):
                results.get(timeout=TIMEOUT)
            with pytest.raises(RuntimeError, match="within a task"):
                results[0].get(timeout=TIMEOUT)
            assert results.get(timeout=TIMEOUT, disable_sync_subtasks=False)
            with allow_join_result():
                assert results.get(timeout=TIMEOUT)


def test_threads_may_ask_at_the_same_time(standing):
    results = celery_process([picture(n) for n in range(30)], [stand_in("mean")])
    values: list[object] = []
    threads = [
        threading.Thread(target=lambda: values.append(results.get(timeout=TIMEOUT)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert 0.0 <= get_job_status(results) <= 100.0
    assert len(values) == 4
    assert values[0] == [{picture(n): {"mean": n > 127}} for n in range(30)]
    assert all(value == values[0] for value in values)


def test_revoked_images_are_not_judged(standing, tmp_path):
    file = tmp_path / "counted.txt"
    filters = [stand_in("counted", file=str(file)), stand_in("slow", seconds=0.3)]
    results = celery_process([picture(n) for n in range(60)], filters)
    told = []
    results.then(told.append)
    results[59].then(lambda result: told.append(result.state))
    until(lambda: results.completed_count() >= 2, TIMEOUT, "two results")
    results.revoke()
    assert results.ready()
    assert results.failed()
    assert not results.successful()
    assert get_job_status(results) == 100.0
    done = results.completed_count()
    assert 2 <= done < 60
    members = list(results)
    assert {member.state for member in members} == {"SUCCESS", "REVOKED"}
    revoked = next(member for member in members if member.state == "REVOKED")
    assert isinstance(revoked.result, TaskRevokedError)
    with pytest.raises(TaskRevokedError):
        revoked.get(timeout=TIMEOUT)
    with pytest.raises(TaskRevokedError):
        results.get(timeout=TIMEOUT)
    values = results.get(timeout=TIMEOUT, propagate=False)
    assert sum(isinstance(value, TaskRevokedError) for value in values) == 60 - done
    assert len(list(results.iter_native())) == 60
    time.sleep(1.5)  # a sign of life, an image
    ran = sum(runs(file).values())
    time.sleep(1.0)
    assert sum(runs(file).values()) == ran < 60
    results.revoke()  # once more does no harm
    assert results.completed_count() == done
    assert told[0] == "REVOKED"
    assert len(told) == 2
    assert find_job(results.id).status().state == "cancelled"


def test_a_task_of_a_group_is_revoked_alike(standing):
    """What the word means to Celery: nobody begins it, and `get` says so."""
    filters = [stand_in("slow", seconds=1.0)]
    theirs = group(process_image.s(picture(n), filters) for n in range(6))()
    theirs.revoke()
    last = theirs[5]
    with pytest.raises(TaskRevokedError):
        last.get(timeout=TIMEOUT)
    assert last.state == "REVOKED"


def test_done_is_done_for_those_who_revoke_or_forget_later(standing):
    results = celery_process(GOOD, [stand_in("mean")])
    values = results.get(timeout=TIMEOUT)
    results.revoke()
    assert results.get() == values
    assert results.successful()
    assert find_job(results.id).status().state == "done"
    results.forget()
    redis = standing.server.client()
    assert redis.keys(f"qualipy:{{{results.id}}}*") == [f"qualipy:{{{results.id}}}:meta".encode()]
    assert redis.ttl(f"qualipy:{{{results.id}}}:meta") > 0  # what comes late finds it ended
    with pytest.raises(UnknownJobError):
        find_job(results.id)
    assert results.get() == values  # of this process's memory
    with pytest.raises(NotImplementedError, match="whole set"):
        results[0].revoke()


def test_what_was_sent_is_judged_though_the_sender_leaves(standing, tmp_path):
    file = tmp_path / "counted.txt"
    code = """
        import sys
        from qualipy_celery import celery_process
        from qualipy_core import plugins
        counted = plugins.registry().get("counted")(file=sys.argv[1])
        print(celery_process([f"stand-in://{n}" for n in range(40)], [counted]).id)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(file)],
        env={**os.environ, "QUALIPY_BROKER_URL": standing.url},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=True,
    )
    job = find_job(done.stdout.strip())
    until(lambda: job.status().done == 40, TIMEOUT, "forty outcomes")
    assert set(runs(file).values()) == {1}


# What asking costs


@pytest.fixture
def unheard(shared_redis, stand_ins):
    """A server that no worker listens to: nobody but the test has it do anything."""
    connect(shared_redis.url)
    yield shared_redis
    disconnect()


def cost(server, action) -> int:
    before = server.commands()
    action()
    return server.commands() - before - 1  # the question is one


def judge_all(redis, results, total: int, *, failing: int) -> None:
    """Do what workers do."""
    ledger = Ledger(redis, results.id)
    for first in range(0, total, 100):
        outcomes = []
        for number in range(first, min(total, first + 100)):
            error = ImageReadError("no", image=picture(number)) if number < failing else None
            result = Result(picture(number), error=error)
            outcomes.append(Outcome(number, result.failed, False, json.dumps(result.to_dict())))
        ledger.record(str(first), "w:1", outcomes, ended=True)


@pytest.mark.parametrize("total", [3, 3000])
def test_asking_how_a_job_stands_costs_the_same_for_any_number_of_images(unheard, total):
    results = celery_process([picture(n) for n in range(total)], [stand_in("mean")])
    redis = unheard.client()
    for ask in (results.ready, results.completed_count, lambda: get_job_status(results)):
        assert max(cost(unheard, ask) for _ in range(3)) <= 16
    assert get_job_status(results) == 0.0
    judge_all(redis, results, total, failing=total // 3)
    seen = []
    while not seen or seen[-1] < 100.0:
        assert cost(unheard, lambda: seen.append(get_job_status(results))) <= 60
    assert seen == sorted(seen)
    assert results.completed_count() == total - total // 3
    assert cost(unheard, lambda: get_job_status(results)) == 0
    assert find_job(results.id).status().failed == total // 3


def test_results_come_in_the_order_of_completion(unheard):
    images = [picture(n) for n in range(4)]
    results = celery_process(images, [stand_in("mean")])
    with pytest.raises(CeleryTimeoutError):
        next(results.iter_native(timeout=0.05))
    ledger = Ledger(unheard.client(), results.id)
    order = (2, 0, 3, 1)
    for number in order:
        error = ImageReadError("no", image=images[0]) if number == 0 else None
        result = Result(images[number], {"mean": 0.5}, {"mean": False}, error=error)
        outcome = Outcome(number, result.failed, False, json.dumps(result.to_dict()))
        ledger.record(str(number), "w:1", [outcome], ended=True)
    came = list(results.iter_native(timeout=TIMEOUT))
    assert [id_ for id_, _ in came] == [results[number].id for number in order]
    assert [meta["status"] for _, meta in came] == ["SUCCESS", "FAILURE", "SUCCESS", "SUCCESS"]
    values = list(results.iterate(propagate=False))
    assert values == [meta["result"] for _, meta in came]
    assert values[0] == {images[2]: {"mean": False}}
    came_until = results.iterate()
    assert next(came_until) == values[0]
    with pytest.raises(ImageReadError):
        next(came_until)


@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")
@pytest.mark.parametrize("total", [3, 300])
def test_asking_how_any_set_of_results_stands_costs_the_same_too(unheard, total):
    ids = [f"task-{number}" for number in range(total)]
    results = ResultSet([AsyncResult(each, app=app) for each in ids], app=app)
    until(lambda: cost(unheard, lambda: None) == 0, 30, "the end of all subscriptions")
    assert cost(unheard, lambda: get_job_status(results)) <= 8
    assert get_job_status(results) == 0.0
    for each in ids[: total // 3]:
        app.backend.store_result(each, ImageReadError("no"), states.FAILURE)
    asked = []
    assert cost(unheard, lambda: asked.append(get_job_status(results))) <= 8
    assert asked[0] == pytest.approx(100.0 / 3)
    for each in ids[total // 3 :]:
        app.backend.store_result(each, {}, states.SUCCESS)
    assert cost(unheard, lambda: asked.append(get_job_status(results))) <= 8
    assert asked[1] == 100.0
    assert get_job_status(ResultSet([], app=app)) == 100.0
    nested = ResultSet([results, AsyncResult("nobodys", app=app)], app=app)
    assert get_job_status(nested) == 50.0


def test_without_redis_the_call_says_so(tmp_path, monkeypatch, stand_ins):
    from qualipy_celery import client

    monkeypatch.setattr(client, "AT_ONCE", 0.3)
    connect(f"redis+socket://{tmp_path}/none?virtual_host=0")
    try:
        with pytest.raises(ExecutorError, match=r"Redis cannot be used.*Is it running"):
            celery_process(GOOD, [stand_in("mean")])
    finally:
        disconnect()


def test_blur_is_blur_on_a_worker(standing, tmp_path):
    """A filter with a model of its own, told by its file."""
    sharp = sample_images()["natural"]
    path = write_image(tmp_path / "sharp.png", sharp)
    (value,) = celery_process(path, [WholeBlur()], return_predictions=True).get(timeout=TIMEOUT)
    assert value == qualipy.process(path, [WholeBlur()], return_predictions=True)
