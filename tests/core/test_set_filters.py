"""Set filters: the interface, and judging a photo among the others."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing.util
import os
import pickle
import tempfile
import tracemalloc
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_filters import (
    Brightness,
    Copies,
    Darkness,
    Deadly,
    Explodes,
    Unlike,
    Unprinted,
    write_image,
)

from qualipy_core import (
    Comparison,
    Filter,
    Image,
    Result,
    SetFilter,
    plugins,
    process,
    process_request,
    scan,
)
from qualipy_core.criterion import Criterion
from qualipy_core.errors import (
    FilterError,
    FilterTypeError,
    ImageReadError,
    ParameterValueError,
    RequestError,
)
from qualipy_core.plan import Plan
from qualipy_core.sets import MOST_COMPANIONS, Gathered
from qualipy_core.testing import registered


def flat(value, size=(20, 30)):
    return np.full((*size, 3), value, np.uint8)


def named(**values):
    """Return flat pictures of these greys, by name."""
    return [Image(flat(value), name=name) for name, value in values.items()]


@pytest.fixture
def folder(tmp_path):
    """Photos a … f: a, c and d are equal, f is dark."""
    values = {"a": 100, "b": 120, "c": 100, "d": 100, "e": 140, "f": 0}
    return [write_image(tmp_path / f"{n}.png", flat(v)) for n, v in values.items()]


def stripped(results):
    """All that results say but the time, by image."""
    said = {}
    for result in results:
        plain = result.to_dict()
        del plain["seconds"]
        said.setdefault(result.image, []).append(plain)
    return {image: sorted(each, key=json.dumps) for image, each in said.items()}


# The interface


def test_a_set_filter_is_a_value_like_every_filter():
    assert Copies() == Copies(0.5) != Copies(most=2)
    assert (Copies() > 0.9).threshold == 0.9
    assert hash(Unlike() <= 0.1) == hash(Unlike() <= 0.1)
    assert pickle.loads(pickle.dumps(Copies(most=3))) == Copies(most=3)
    assert repr(Copies(most=2)) == "Copies(threshold=0.5, most=2)"
    with registered(Copies):
        assert Criterion.from_dict(json.loads(json.dumps(Copies(most=2).to_dict()))) == Copies(
            most=2
        )
        assert Filter.from_dict(Copies().to_dict()) == Copies()


def test_it_runs_only_when_it_is_named_and_says_so():
    assert Filter.by_default
    assert not SetFilter.by_default
    assert not Copies.by_default


def test_a_run_without_a_choice_takes_the_filters_that_run_by_default_and_all_takes_all(
    monkeypatch,
):
    packs = {entry.distribution for entry in plugins.find(plugins.FILTERS)}
    monkeypatch.setenv("QUALIPY_DISABLE", ",".join(packs))
    plugins.refresh()
    with registered(Brightness, Copies):
        assert [list(r.predictions) for r in scan(named(a=1))] == [["brightness"]]
        assert [list(r.predictions) for r in scan(named(a=1), "all")] == [["brightness", "copies"]]


@pytest.mark.parametrize("method", ["fingerprint_of", "comparison_of", "predict", "decision"])
def test_what_the_framework_does_may_not_be_overridden(method):
    with pytest.raises(TypeError, match=f"may not define {method}"):
        type("Bad", (SetFilter,), {"name": "bad", method: lambda self: None})


def test_neither_kind_can_be_made_without_its_methods():
    class Half(SetFilter):
        """Half."""

        name = "half"

        def fingerprint(self, image):
            return np.zeros(1)

    with pytest.raises(TypeError, match="compare"):
        Half()


def test_what_is_neither_kind_is_refused():
    class Bare(Criterion):
        """Bare."""

        name = "bare"

    with pytest.raises(FilterTypeError, match="not Bare"):
        Plan.make([Bare()])
    with pytest.raises(FilterTypeError, match=r"write \[Copies\(\)\]"):
        scan([], Copies)


def test_set_filters_come_behind_the_others_whatever_the_order_asked_for():
    plan = Plan.make([Copies(), Brightness(), Unlike(), Darkness()], sort=False)
    assert [label for label, _ in plan.steps] == ["brightness", "darkness", "copies", "unlike"]
    assert [label for label, _ in plan.filters] == ["brightness", "darkness"]
    assert [label for label, _ in plan.set_filters] == ["copies", "unlike"]


class Returns(SetFilter):
    """Returns what it is told to: a fingerprint, or a comparison."""

    name = "returns"

    def fingerprint(self, image):
        return np.zeros(2) if "printed" not in told else told["printed"]

    def compare(self, fingerprints):
        return told["compared"](len(fingerprints))


told = {}


@pytest.fixture
def say():
    told.clear()
    told["compared"] = lambda n: Comparison(np.zeros(n))
    yield told.update
    told.clear()


@pytest.mark.parametrize(
    "printed",
    [
        np.zeros(2),
        np.uint64(7),
        np.array(True),
        np.zeros((2, 3), "<i2"),
        np.zeros((), [("a", "<f4"), ("b", "u1", (2, 2))]),
        np.zeros((), np.dtype([("a", "u1"), ("b", "<f8")], align=True)),
        np.zeros(3, ">f4"),
        np.zeros((4, 4))[::2, ::2],
        np.zeros(4096, np.uint8),
    ],
    ids=str,
)
def test_a_fingerprint_is_any_small_array_of_numbers(say, printed, tmp_path):
    say(printed=printed)
    (result,) = scan(flat(1), [Returns()])
    assert result.failures == {}
    kept = result.fingerprints["returns"]
    assert kept.shape == printed.shape
    assert kept.dtype.isnative
    again = Result.from_dict(json.loads(json.dumps(result.to_message()))).fingerprints["returns"]
    assert again.dtype == kept.dtype
    assert again.tobytes() == kept.tobytes()


@pytest.mark.parametrize(
    "printed",
    [
        None,
        [1, 2],
        3.0,
        b"bytes",
        np.array(["text"]),
        np.array([None]),
        np.zeros(2, complex),
        np.zeros(0),
        np.array([np.nan]),
        np.array([(np.inf,)], [("a", "f4")]),
        np.zeros(2, [("a", "u1"), ("b", "S3")]),
        np.zeros(4097, np.uint8),
        np.zeros(1, "M8[s]"),
    ],
    ids=repr,
)
def test_what_is_no_fingerprint_is_a_failure_on_that_photo_that_names_the_filter(say, printed):
    say(printed=printed)
    result, other = scan(named(a=1, b=2), [Returns(), Brightness()])
    assert "Filter returns made no fingerprint: " in str(result.failures["returns"])
    assert result.failures["returns"].image == "a"
    assert list(result.predictions) == list(other.predictions) == ["brightness"]
    assert not result.suitable


@pytest.mark.parametrize(
    "compared",
    [
        lambda n: None,
        np.zeros,
        lambda n: Comparison(np.zeros(n + 1)),
        lambda n: Comparison(np.zeros((n, 1))),
        lambda n: Comparison(np.full(n, np.nan)),
        lambda n: Comparison(np.full(n, "x")),
        lambda n: Comparison(None),
        lambda n: Comparison(np.zeros(n), ((0, n),)),
        lambda n: Comparison(np.zeros(n), ((-1, 0),)),
        lambda n: Comparison(np.zeros(n), ((0, 0),)),
        lambda n: Comparison(np.zeros(n), ((0, 0.5),)),
        lambda n: Comparison(np.zeros(n), (("a", "b"),)),
        lambda n: Comparison(np.zeros(n), (1, 2)),
        lambda n: Comparison(np.zeros(n), 5),
        lambda n: 1 / 0,
        lambda n: exit(),
        lambda n: (_ for _ in ()).throw(MemoryError()),
    ],
)
def test_a_comparison_that_fails_is_a_failure_on_every_photo_and_the_other_filters_stand(
    say, compared
):
    say(compared=compared)
    results = list(scan(named(a=1, b=2, c=1), [Brightness(), Returns(), Copies()]))
    for result in results:
        assert list(result.failures) == ["returns"]
        assert result.failures["returns"].filter == "returns"
        assert list(result.predictions) == ["brightness", "copies"]
    assert results[2].companions == {"copies": ("a", "c")}


def test_fingerprints_of_different_forms_are_a_failure_on_every_photo():
    class Unequal(SetFilter):
        """Of different shapes."""

        name = "unequal"

        def fingerprint(self, image):
            return np.zeros(1 + int(image.pixels()[0, 0, 0]))

        def compare(self, fingerprints):
            return Comparison(np.zeros(len(fingerprints)))

    for result in scan(named(a=1, b=2), [Unequal()]):
        assert "different forms: float64 (2,) of a, float64 (3,) of b" in str(
            result.failures["unequal"]
        )


def test_what_compare_is_given_is_read_only_and_in_the_order_of_names():
    seen = []

    class Looks(SetFilter):
        """Looks."""

        name = "looks"

        def fingerprint(self, image):
            return image.pixels()[0, 0]

        def compare(self, fingerprints):
            seen.append(fingerprints)
            return Comparison(np.zeros(len(fingerprints)))

    list(scan(named(c=3, a=1, b=2), [Looks()]))
    assert seen[0][:, 0].tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="read-only"):
        seen[0][:] = 0


def test_groups_may_overlap_and_numpy_indexes_are_as_good(say):
    say(compared=lambda n: Comparison(np.zeros(n), (np.array([1, 0]), [2, 1], (2,))))
    a, b, c = scan(named(a=1, b=2, c=3), [Returns()])
    assert a.companions == {"returns": ("b", "a")}
    assert b.companions == {"returns": ("b", "a", "c")}
    assert c.companions == {"returns": ("c", "b")}


# In a run


def test_results_come_in_the_order_of_the_images_with_their_companions(folder):
    results = list(scan(folder, [Brightness(), Copies()]))
    assert [result.image for result in results] == folder
    a, b, c, *_ = results
    assert a.companions == {"copies": (folder[0], folder[2], folder[3])} == c.companions
    assert b.companions == {}
    assert [r.decisions["copies"] for r in results] == [False, False, True, True, False, False]
    assert a.to_dict()["companions"] == {"copies": [folder[0], folder[2], folder[3]]}
    assert "companions" not in b.to_dict()
    assert Result.from_dict(json.loads(json.dumps(a.to_dict()))).companions == a.companions
    assert not c.suitable


def test_what_other_filters_say_is_the_same_with_and_without_set_filters(folder):
    alone = stripped(scan(folder, [Brightness(), Darkness(), Explodes()]))
    for image, (plain,) in stripped(
        scan(folder, [Copies(), Brightness(), Darkness(), Explodes()])
    ).items():
        del plain["predictions"]["copies"]
        plain.pop("companions", None)
        plain["flagged"] = [name for name in plain["flagged"] if name != "copies"]
        assert plain == alone[image][0] | {"suitable": plain["suitable"]}


def test_worker_processes_and_this_thread_agree(folder):
    filters = [Brightness(), Copies(), Unlike(), Unprinted(), Explodes()]
    here = list(scan(folder, filters, thumbnails=32))
    there = list(scan(folder, filters, thumbnails=32, jobs=2))
    assert [r.image for r in here] == [r.image for r in there]
    assert stripped(here) == stripped(there)
    for one, other in zip(here, there, strict=True):
        assert one.thumbnail == other.thumbnail is not None
        for name, row in one.fingerprints.items():
            assert row.tobytes() == other.fingerprints[name].tobytes()


def test_a_photo_that_kills_its_worker_is_missing_in_the_set_alone(tmp_path, folder):
    red = write_image(tmp_path / "red.png", flat((255, 0, 0)))
    results = list(scan([folder[0], red, folder[2]], [Deadly(), Copies()], jobs=2))
    assert [result.error is None for result in results] == [True, False, True]
    assert results[2].companions == {"copies": (folder[0], folder[2])}


def test_a_photo_without_a_fingerprint_takes_no_part_and_the_others_stand(folder):
    *others, dark = scan(folder, [Unprinted(), Copies()])
    assert "too dark" in str(dark.failures["unprinted"])
    assert dark.predictions == {"copies": 0.0}
    assert {result.predictions["unprinted"] for result in others} == {5.0}  # how many took part


def test_a_file_that_is_no_image_takes_no_part(tmp_path, folder):
    broken = tmp_path / "broken.jpg"
    broken.write_text("no image")
    result, *others = scan([str(broken), *folder], [Unprinted(), Copies()], thumbnails=16)
    assert isinstance(result.error, ImageReadError)
    assert result.predictions == result.companions == result.fingerprints == {}
    assert result.thumbnail is None
    assert others[0].predictions["unprinted"] == 5.0


def test_a_region_is_compared_instead_of_the_photo():
    half = np.concatenate([flat(50), flat(200)], axis=1)
    images = [Image(half, name="a"), Image(flat(50), name="b"), Image(half, name="c")]
    regions = [(0, 0, 30, 20), None, (30, 0, 30, 20)]
    a, b, c = scan(images, [Copies()], regions)
    assert a.companions == b.companions == {"copies": ("a", "b")}
    assert c.companions == {}


def test_one_image_and_none_are_sets_too():
    (result,) = scan(flat(3), [Copies(), Unlike()])
    assert result.predictions == {"copies": 0.0, "unlike": 0.0}
    assert result.companions == {}
    assert list(scan([], [Copies()])) == []


def test_two_of_a_kind_are_told_apart_and_share_the_fingerprint():
    (result,) = scan(flat(3), [Copies(), Copies(most=2)])
    assert list(result.predictions) == ["copies", "copies#2"]


def test_stopping_early_leaves_out_the_decision_and_not_the_photo():
    images = named(a=255, b=255, c=10)
    filters = [Brightness(0.5), Copies(), Unlike()]
    a, b, c = scan(images, filters, stop_early=True)
    assert list(a.predictions) == list(b.predictions) == ["brightness"]
    assert a.fingerprints.keys() == {"copies", "unlike"}
    assert c.predictions == list(scan(images, filters))[2].predictions
    d, e = scan(named(d=10, e=10), filters, stop_early=True)
    assert list(d.predictions) == ["brightness", "copies", "unlike"]
    assert list(e.predictions) == ["brightness", "copies"]


def test_without_set_filters_a_scan_streams_from_an_endless_source():
    def images():
        while True:
            yield flat(1)

    assert len(list(islice(scan(images(), [Brightness()]), 5))) == 5


def test_progress_is_told_of_each_photo_as_it_is_measured():
    seen = []
    results = scan(named(a=1, b=2), [Copies(), Brightness()], progress=seen.append)
    first = next(results)
    assert [result.image for result in seen] == ["a", "b"]
    assert seen[0].fingerprints.keys() == {"copies"}
    assert list(seen[0].predictions) == ["brightness"]
    assert list(first.predictions) == ["brightness", "copies"]
    results.close()
    seen.clear()
    streaming = scan(named(a=1, b=2), [Brightness()], progress=seen.append)
    next(streaming)
    assert [result.image for result in seen] == ["a"]


def test_a_list_of_companions_has_an_end_and_the_photo_is_always_in_its_own():
    count = MOST_COMPANIONS + 20
    images = [Image(flat(9), name=f"{number:04}") for number in range(count)]
    results = list(scan(images, [Copies()]))
    for result in results:
        names = result.companions["copies"]
        assert len(names) == MOST_COMPANIONS
        assert result.image in names
        assert names[0] == "0000"


images_of_a_set = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 3)), min_size=1, max_size=12
)


@settings(max_examples=60, deadline=None)
@given(st.data(), images_of_a_set)
def test_the_order_of_the_images_changes_nothing(data, photos):
    """Names may occur twice, and pictures too."""
    filters = [Copies(), Unlike(), Copies(most=2), Brightness()]
    images = [Image(flat(40 * value, (2, 3)), name=name) for name, value in photos]
    shuffled = data.draw(st.permutations(images))
    assert stripped(scan(images, filters)) == stripped(scan(shuffled, filters))


# process, requests


def test_process_decides_among_the_images_given(folder):
    assert process(folder, [Copies()]) == {
        image: number not in (2, 3) for number, image in enumerate(folder)
    }
    values = process(folder, [Copies(), Brightness()], return_predictions=True)
    assert values[folder[3]] == {"brightness": pytest.approx(100 / 255), "copies": 1.0}
    decisions = process(folder, [Copies()], combine_results=False)
    assert decisions[folder[3]] == {"copies": True}
    assert process(folder[0], [Copies()]) == {folder[0]: True}


def test_process_raises_at_the_first_bad_image_before_it_measures_the_others(folder):
    opened = []

    class Notes(Filter):
        """Notes what it sees."""

        name = "notes"

        def measure(self, image):
            opened.append(image.name)
            return 0.0

    with pytest.raises(ImageReadError):
        process([folder[0], "missing.jpg", folder[1]], [Notes(), Copies()])
    assert opened == [folder[0], "missing.jpg"]


def test_a_failed_comparison_is_raised_by_process(say):
    say(compared=lambda n: 1 / 0)
    with pytest.raises(FilterError, match="ZeroDivisionError"):
        process(named(a=1, b=2), [Returns()])


def test_a_request_may_name_set_filters(folder):
    request = {
        "images": dict.fromkeys(folder),
        "filters": {"copies": {"most": 2}, "brightness": {}},
        "combine_results": False,
    }
    with registered(Copies, Brightness):
        answer = process_request(json.dumps(request))
        assert [answer[image]["copies"] for image in folder] == [False] * 3 + [True] + [False] * 2
        request["filters"]["copies"] = {"least": 2}
        with pytest.raises(RequestError, match=r"filters\.copies\.least"):
            process_request(request)


# Thumbnails


def test_a_thumbnail_comes_with_each_result_and_survives_the_failure_of_a_filter(tmp_path):
    path = write_image(tmp_path / "a.png", flat(100, (300, 600)))
    (result,) = scan(path, [Explodes(), Brightness()], thumbnails=50)
    assert result.failures
    assert Image(result.thumbnail).size == (50, 25)
    assert "thumbnail" not in result.to_dict()
    again = Result.from_dict(json.loads(json.dumps(result.to_message())))
    assert again.thumbnail == result.thumbnail
    assert next(scan(path, [Brightness()])).thumbnail is None


def test_a_thumbnail_shows_the_region_that_is_judged():
    half = np.concatenate([flat(0), flat(255)], axis=1)
    (result,) = scan(half, [Brightness()], [(30, 0, 30, 20)], thumbnails=30)
    assert Image(result.thumbnail).pixels().min() > 250


@pytest.mark.parametrize("side", [0, -1, 1025])
def test_thumbnails_that_there_cannot_be_are_refused(side):
    with pytest.raises(ParameterValueError, match="side of 1 to 1024"):
        scan(flat(1), [Brightness()], thumbnails=side)


def test_what_waits_costs_little_memory_a_photo(monkeypatch):
    monkeypatch.setattr("qualipy_core.journal._IN_MEMORY", 1)
    filters = [f"filter_{number}" for number in range(14)]
    rows = {"copies": np.zeros((2, 2, 3), np.uint8), "unlike": np.zeros(36, np.uint8)}
    measured = Result(
        "", dict.fromkeys(filters, 0.123456789), dict.fromkeys(filters, False), fingerprints=rows
    )
    count = 4000
    gathered = Gathered(Plan.make([Copies(), Unlike()]))
    gathered.add(measured)  # what is imported for that is no photo's
    tracemalloc.start()
    try:
        for number in range(count):
            gathered.add(dataclasses.replace(measured, image=f"photos/2015/DSC_{number:06}.jpg"))
        waiting, _ = tracemalloc.get_traced_memory()
        next(gathered.compared())
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gathered.close()
    assert waiting < 400 * count
    assert most < 1536 * count


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_waits_lies_in_a_file_that_is_gone_afterwards(tmp_path, monkeypatch, folder, jobs):
    multiprocessing.util.get_temp_dir()  # where sockets of workers lie, and stay, in a short path
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    os.mkdir(tmp_path / "temporary")
    results = scan(folder, [Copies()], jobs=jobs)
    next(results)
    results.close()
    assert os.listdir(tmp_path / "temporary") == []


def test_a_file_given_twice_or_by_a_link_is_no_duplicate_of_itself(tmp_path, folder):
    lone, link = str(folder[1]), str(tmp_path / "0.png")
    os.symlink(lone, link)
    results = list(scan([lone, link, lone], [Copies()]))
    assert not any(result.companions or result.flagged for result in results)


def test_a_link_to_a_duplicate_is_judged_like_the_file_that_it_leads_to(tmp_path, folder):
    link = str(tmp_path / "0.png")
    os.symlink(folder[0], link)
    by_name = {result.image: result for result in scan([*map(str, folder), link], [Copies()])}
    assert by_name[link].predictions == by_name[str(folder[0])].predictions
