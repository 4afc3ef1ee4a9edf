"""scan and process."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_filters import (
    Brightness,
    Darkness,
    Deadly,
    Exits,
    Explodes,
    Nan,
    Slow,
    Undecided,
    Vandal,
    write_image,
)

from qualipy_core import Filter, Image, plugins, process, scan
from qualipy_core.errors import (
    FilterError,
    FilterTypeError,
    ImageReadError,
    ImageTypeError,
    PluginWarning,
    ROITypeError,
    ROIValueError,
)
from qualipy_core.testing import registered, sample_images

WHITE = np.full((20, 30, 3), 255, np.uint8)
BLACK = np.zeros((20, 30, 3), np.uint8)
FILTERS = [Brightness(), Darkness()]


@pytest.fixture
def two(tmp_path):
    """Paths of a white and a grey photo."""
    grey = np.full((20, 30, 3), 100, np.uint8)
    return write_image(tmp_path / "white.png", WHITE), write_image(tmp_path / "grey.png", grey)


def test_one_image_gives_a_dict_of_one_verdict(two):
    white, grey = two
    assert process(white, [Brightness()]) == {white: False}
    assert process(grey, FILTERS) == {grey: True}


def test_several_images_keep_their_order(two):
    assert list(process(two, FILTERS)) == list(two)
    assert list(process(iter(two[::-1]), FILTERS)) == list(two[::-1])


def test_uncombined_results_hold_a_decision_per_filter(two):
    assert process(two[0], FILTERS, combine_results=False) == {
        two[0]: {"brightness": True, "darkness": False}
    }


def test_predictions_are_returned_whatever_combining_says(two):
    for combine in (True, False):
        answer = process(two[0], FILTERS, return_predictions=True, combine_results=combine)
        assert answer == {two[0]: {"brightness": 1.0, "darkness": 1.0}}


def test_without_filters_everything_is_suitable(two):
    assert process(two[0], []) is True


def test_a_verdict_stops_at_the_first_positive_filter(two):
    assert process(two[0], [Explodes(), Brightness()]) == {two[0]: False}  # Brightness is faster
    with pytest.raises(FilterError):
        process(two[1], [Explodes(), Brightness()])


def test_cheap_filters_run_first_unless_told_otherwise(two):
    mixed = [Slow(delay=0), Darkness(), Brightness()]
    (result,) = scan(two[1], mixed)
    assert list(result.predictions) == ["brightness", "darkness", "slow"]
    (result,) = scan(two[1], mixed, sort_filters=False)
    assert list(result.predictions) == ["slow", "darkness", "brightness"]
    assert mixed == [Slow(delay=0), Darkness(), Brightness()]


def test_filters_may_be_any_iterable_and_names(two):
    assert process(two[0], iter([Brightness()])) == {two[0]: False}
    with registered(Brightness):
        assert process(two[0], ["brightness"]) == {two[0]: False}


def test_comparisons_make_filters_for_a_run(two):
    filters = [Brightness() > 0.9, Brightness() <= 0.1, Brightness() == 1, Darkness() != 1]
    assert process(two[0], filters) == {two[0]: False}
    assert process(two[0], filters, combine_results=False) == {
        two[0]: {
            "brightness": True,
            "brightness#2": False,
            "brightness#3": True,
            "darkness": False,
        }
    }


def test_one_roi_for_one_image_and_a_list_for_several(two):
    half = np.concatenate([WHITE, BLACK], axis=1)
    assert process(half, [Brightness()], (0, 0, 30, 20)) == {"<array 20×60×3>": False}
    assert process(half, [Brightness()], [30, 0, 30, 20]) == {"<array 20×60×3>": True}
    assert process(two, [Brightness()], [(0, 0, 10, 10), None]) == {two[0]: False, two[1]: True}
    assert process([two[0]], [Brightness()], [[0, 0, 10, 10]]) == {two[0]: False}
    assert process(two[0], [Brightness()], [(0, 0, 10, 10)]) == {two[0]: False}


def test_paths_arrays_bytes_and_images_are_keys_that_a_caller_can_use(two):
    path = Path(two[0])
    assert process(path, FILTERS) == {path: False}
    answer = process([WHITE, path.read_bytes(), Image(two[1])], [Brightness()])
    assert list(answer.values()) == [False, False, True]
    assert len(answer) == 3


def test_the_same_image_twice_is_one_entry_and_with_two_rois_an_error(two):
    assert process([two[0], two[0]], FILTERS) == {two[0]: False}
    with pytest.raises(ROIValueError, match="twice"):
        process([two[0], two[0]], FILTERS, [(0, 0, 5, 5), None])


@pytest.mark.parametrize("images", [None, 5, 2.5, object()])
def test_what_is_no_image_is_a_type_error(images):
    with pytest.raises(ImageTypeError):
        process(images, FILTERS)
    with pytest.raises(ImageTypeError):
        process([images], FILTERS)


@pytest.mark.parametrize(
    "filters", [None, 5, Brightness(), Brightness, [Brightness], [5], "brightness"]
)
def test_what_is_no_list_of_filters_is_a_type_error(filters, two):
    with pytest.raises(FilterTypeError, match="filters must"):
        process(two[0], filters)


@pytest.mark.parametrize("rois", [5, "abcd", (1, 2), (1.5, 0, 3, 3), [(1, 2, 3)], [None, None]])
def test_what_is_no_roi_is_a_type_error(rois, two):
    with pytest.raises(ROITypeError):
        process(two[0], FILTERS, rois)


@pytest.mark.parametrize("rois", [[None], [None] * 3, []])
def test_as_many_rois_as_images_or_a_value_error(rois, two):
    with pytest.raises(ROIValueError):
        process(two, FILTERS, rois)
    with pytest.raises(ROIValueError):
        process(iter(two), FILTERS, iter(rois))


def test_a_roi_beyond_the_image_is_a_value_error(two):
    with pytest.raises(ROIValueError, match="30 × 20"):
        process(two[0], FILTERS, (0, 0, 31, 20))


def test_process_raises_at_the_first_bad_image(two):
    with pytest.raises(ImageReadError, match=r"missing\.jpg"):
        process([two[0], "missing.jpg"], FILTERS)


def test_scan_goes_on_after_a_bad_image(two):
    results = list(scan([two[0], "missing.jpg", two[1]], FILTERS))
    assert [r.failed for r in results] == [False, True, False]
    assert isinstance(results[1].error, ImageReadError)
    assert not results[1].suitable
    assert [r.image for r in results] == [two[0], "missing.jpg", two[1]]


def test_scan_gives_a_bad_roi_its_image_and_goes_on(two):
    results = list(scan(two, FILTERS, [(0, 0, 99, 99), None]))
    assert isinstance(results[0].error, ROIValueError)
    assert not results[1].failed


@pytest.mark.parametrize("bad", [Explodes(), Exits(), Nan(), Undecided(), Vandal()])
def test_a_filter_that_fails_costs_only_its_own_prediction(bad, two):
    (result,) = scan(two[1], [bad, *FILTERS])
    assert set(result.predictions) == {"brightness", "darkness"}
    assert set(result.failures) == {bad.name}
    assert result.failed
    assert result.error is None
    assert not result.suitable


def test_scan_is_lazy_about_an_endless_source(two):
    results = scan(itertools.repeat(two[0]), FILTERS)
    assert len(list(itertools.islice(results, 5))) == 5


def test_scan_checks_its_arguments_before_the_first_result(two):
    with pytest.raises(FilterTypeError):
        scan(two, [5])


def by_default():
    """The names of the installed filters that run when none are named."""
    registry = plugins.registry()
    return {name for name in registry.names() if registry.get(name).by_default}


def test_scan_without_filters_runs_those_that_run_by_default_and_all_runs_all(two):
    (result,) = scan(two[1])
    assert set(result.predictions) == by_default()
    (result,) = scan(two[1], "all")
    assert set(result.predictions) == set(plugins.registry().names())


def test_scan_without_filters_leaves_out_a_broken_pack_and_says_so(two, install_pack):
    usable = by_default()
    install_pack("broken-pack", "1 / 0", {plugins.FILTERS: {"broken": "broken_pack:Broken"}})
    with pytest.warns(PluginWarning, match=r"broken-pack 1\.0"):
        (result,) = scan(two[1])
    assert set(result.predictions) == usable


def test_a_result_is_plain_data_for_json(two):
    (result,) = scan(two[0], [*FILTERS, Explodes()], (0, 0, 10, 10))
    plain = result.to_dict()
    assert plain["image"] == two[0]
    assert plain["suitable"] is False
    assert plain["flagged"] == ["brightness"]
    assert plain["predictions"] == {"brightness": 1.0, "darkness": 1.0}
    assert plain["ROI"] == [0, 0, 10, 10]
    assert plain["failures"]["explodes"]["type"] == "FilterError"
    assert "error" not in plain
    (failed,) = scan("missing.jpg", FILTERS)
    assert failed.to_dict()["error"]["type"] == "ImageReadError"


NATURAL = sample_images()["natural"]
some_filters = st.lists(
    st.sampled_from([Brightness(), Darkness(), Brightness(gain=0.5), Explodes(), Vandal()]),
    min_size=1,
    max_size=5,
)


@given(some_filters, st.booleans())
def test_a_prediction_depends_on_image_roi_and_parameters_alone(filters, sort):
    (together,) = scan(NATURAL, filters, (3, 5, 70, 60), sort_filters=sort)
    for name, prediction in together.predictions.items():
        index = int(name.partition("#")[2] or 1) - 1
        item = [f for f in filters if f.name == name.partition("#")[0]][index]
        assert item.predict(NATURAL, False, (3, 5, 70, 60)) == prediction


class TestProcesses:
    """The same in worker processes."""

    def test_workers_and_this_thread_agree(self, photos):
        alone = process(photos, FILTERS, return_predictions=True)
        spread = process(photos, FILTERS, return_predictions=True, jobs=2)
        assert spread == alone
        assert list(spread) == photos

    def test_every_kind_of_image_reaches_a_worker(self, two):
        sources = [two[0], Path(two[1]), Path(two[0]).read_bytes(), BLACK, Image(WHITE)]
        results = list(scan(sources, [Brightness()], jobs=2))
        assert [round(r.predictions["brightness"], 1) for r in results] == [1, 0.4, 1, 0, 1]

    def test_errors_come_back_whole(self, two):
        results = list(scan(["missing.jpg", two[1]], [Explodes(), Brightness()], jobs=2))
        assert isinstance(results[0].error, ImageReadError)
        assert results[0].error.image == "missing.jpg"
        assert results[1].failures["explodes"].filter == "explodes"

    def test_a_scan_that_is_left_early_leaves_no_worker_behind(self, photos):
        results = scan(itertools.cycle(photos), [Slow(delay=0.01)], jobs=2)
        next(results)
        results.close()
        assert not multiprocessing.active_children()

    def test_a_generator_is_read_only_as_far_as_needed(self, photos):
        taken = []

        def source():
            for photo in itertools.cycle(photos):
                taken.append(photo)
                yield photo

        results = scan(source(), [Brightness()], jobs=2)
        for _ in range(10):
            next(results)
        results.close()
        assert len(taken) < 80

    def test_an_image_that_kills_its_worker_costs_one_error_and_not_the_run(self, tmp_path, photos):
        red = write_image(tmp_path / "red.png", np.full((9, 9, 3), (255, 0, 0), np.uint8))
        many = [*photos[:5], red, *photos[5:], red, photos[0]]
        results = list(scan(many, [Deadly()], jobs=2))
        assert [r.image for r in results] == many
        guilty = [r for r in results if r.failed]
        assert [r.image for r in guilty] == [red, red]
        assert {type(r.error).__name__ for r in guilty} == {"WorkerDiedError"}
        assert "red.png" in str(guilty[0].error)

    def test_workers_that_somebody_kills_at_random_cost_nothing(self, photos):
        many = photos * 10
        results = scan(many, [Slow(delay=0.005)], jobs=2)
        seen = []
        for number, result in enumerate(results):
            seen.append(result)
            if number in (7, 30, 70):
                for child in multiprocessing.active_children():
                    os.kill(child.pid, signal.SIGKILL)
        assert [r.image for r in seen] == many
        assert not any(r.failed for r in seen)

    def test_a_filter_that_cannot_be_sent_is_told_before_anything_starts(self, photos):
        class Local(Brightness):
            """Local."""

            name = "local"

        with pytest.raises(RuntimeError, match=r"local cannot be sent .* jobs=1"):
            next(scan(photos, [Local()], jobs=2))

    def test_a_negative_number_of_jobs_is_refused(self, photos):
        with pytest.raises(RuntimeError, match="jobs"):
            scan(photos, FILTERS, jobs=-1)

    def test_zero_jobs_means_one_per_core(self, photos):
        assert len(list(scan(photos, [Brightness()], jobs=0))) == len(photos)


def test_a_script_without_a_main_guard_is_told_what_to_do(tmp_path, photos):
    import subprocess
    import sys

    script = tmp_path / "script.py"
    script.write_text(
        "from qualipy_core import scan\n"
        "from qualipy_filters_builtin.unconventional_size import UnconventionalSize\n"
        f"print(list(scan({photos!r}, [UnconventionalSize()], jobs=2)))\n"
    )
    run = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode != 0
    assert "if __name__ == '__main__':" in run.stderr


def test_a_filter_class_of_a_script_works_in_its_workers(tmp_path, photos):
    import subprocess
    import sys

    script = tmp_path / "script.py"
    script.write_text(
        "from qualipy_core import Filter, scan\n"
        "class Width(Filter):\n"
        "    '''Width.'''\n"
        "    name = 'width'\n"
        "    def measure(self, image):\n"
        "        return image.width\n"
        "if __name__ == '__main__':\n"
        f"    print([r.predictions['width'] for r in scan({photos[:3]!r}, [Width()], jobs=2)])\n"
    )
    run = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=120, check=True
    )
    assert run.stdout == "[32.0, 32.0, 32.0]\n"


def test_filter_is_abstract():
    with pytest.raises(TypeError):
        Filter()
