"""`qualipy.evaluate`: figures, thresholds, mistakes, pictures."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_filters import Brightness, Darkness, write_image

import qualipy
from qualipy import plots
from qualipy.evaluation import Evaluation, Photo
from qualipy.scores import orient, threshold_between
from qualipy_core import Filter
from qualipy_core.errors import LabelsError, MissingLibraryError, UnknownFilterError
from qualipy_core.opencv import cv2

PREDICTIONS = st.lists(st.floats(-2, 2, allow_subnormal=False), min_size=1, max_size=30)


class Plain(Filter):
    """Decides as all do."""

    name = "plain"

    def measure(self, image):
        return 0.0


class Magnitude(Plain):
    """Decides on the magnitude."""

    name = "magnitude"

    def decide(self, prediction):
        return super().decide(abs(prediction))


class Doubled(Plain):
    """Compares with twice the threshold, and takes zero for positive in any case."""

    name = "doubled"

    def decide(self, prediction):
        return prediction == 0 or prediction > 2 * self.threshold


class Moody(Plain):
    """Does not care for its threshold."""

    name = "moody"

    def decide(self, prediction):
        return int(prediction * 10) % 2 == 0


class Touchy(Plain):
    """Refuses thresholds that it does not like."""

    name = "touchy"

    def decide(self, prediction):
        if self.threshold != 0.5:
            raise ValueError("no")
        return prediction > 0.5


FILTERS = [
    Plain(), Plain() >= 0.25, Plain() < 0.5, Plain() <= 0.0, Plain(0.3, True), Plain() == 1,
    Plain() != 0, Magnitude(), Magnitude() >= 1, Magnitude(0.5, True), Magnitude() < 0.2,
    Doubled(), Doubled(-1.0), Moody(), Touchy(),
]  # fmt: skip


def evaluation(item, predictions, labels):
    photos = [
        Photo(f"{number}.png", label, prediction, item.decision(prediction))
        for number, (prediction, label) in enumerate(zip(predictions, labels, strict=True))
    ]
    return Evaluation(item, tuple(photos))


@pytest.mark.parametrize("item", FILTERS, ids=repr)
@settings(max_examples=25)
@given(PREDICTIONS)
def test_a_score_tells_what_the_filter_decides(item, predictions):
    flagged = [item.decision(prediction) for prediction in predictions]
    scores = orient(item, predictions, flagged)
    assert not np.isnan(scores.values).any()
    if scores.cut is not None:
        assert (scores.values > scores.cut).tolist() == flagged
    else:  # then at least no photo that was passed has a higher score than one that was flagged
        passed = scores.values[~np.array(flagged)]
        assert max(passed, default=-np.inf) < min(scores.values[flagged], default=np.inf)


@pytest.mark.parametrize("item", FILTERS, ids=repr)
@settings(max_examples=25)
@given(PREDICTIONS, st.floats(-2, 2))
def test_the_scores_do_not_depend_on_the_threshold(item, predictions, threshold):
    if isinstance(item, Moody | Touchy) or item.comparison in ("==", "!="):
        return
    other = item.replace(threshold=threshold)
    one, two = (
        orient(each, predictions, [each.decision(p) for p in predictions]) for each in (item, other)
    )
    if one.cut is not None and two.cut is not None:
        assert one.values == pytest.approx(two.values, abs=1e-9)


def test_a_filter_that_flags_what_lies_below_is_the_right_way_round(tmp_path):
    dark = [np.full((8, 8, 3), level, np.uint8) for level in (5, 10, 20)]
    bright = [np.full((8, 8, 3), level, np.uint8) for level in (120, 200, 250)]
    result = qualipy.evaluate(Darkness(), dark, bright)
    assert result.figures["roc_auc"].value == result.figures["accuracy"].value == 1
    assert "below" in result.scores.how
    inverted = qualipy.evaluate(Brightness(0.3, invert_threshold=True), dark, bright)
    assert inverted.figures["roc_auc"].value == inverted.figures["accuracy"].value == 1


def test_under_exposed_photos_that_are_minus_one_are_positive():
    from qualipy.filters import Exposure

    pixels = np.random.default_rng(0).integers(40, 220, (6, 60, 80, 3), dtype=np.uint8)
    bad = [pixels[0] // 20, pixels[1] // 30, 255 - pixels[2] // 20]
    item = Exposure(negative_under_exposed=True)
    result = qualipy.evaluate(item, bad, list(pixels[3:]))
    assert -1 in [photo.prediction for photo in result.photos]
    assert result.figures["roc_auc"].value == result.figures["recall"].value == 1


@settings(max_examples=25)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=12))
def test_no_threshold_does_better_than_the_best(photos):
    for item in (Plain(), Plain() < 0.5, Magnitude() >= 0.3):
        result = evaluation(item, *zip(*photos, strict=True))
        now, best = result.figures["balanced_accuracy"], result.best
        if best is None:
            continue
        chosen = best.figures["balanced_accuracy"].value
        tries = [0.1, 0.5, *(p for p, _ in photos), *(math.nextafter(p, 2) for p, _ in photos)]
        others = [result.at(value).figures["balanced_accuracy"].value for value in tries]
        assert chosen == pytest.approx(max([now.value, chosen, *others]))
        assert chosen > 0.5
        if chosen == pytest.approx(now.value):
            assert best.value == item.threshold


def test_the_best_threshold_is_a_short_number_between_two_photos():
    result = evaluation(Plain(), [0.1, 0.2, 0.3127, 0.9], [False, False, True, True])
    assert result.best.value == 0.3
    assert evaluation(Plain(0.25), [0.2, 0.3], [False, True]).best.value == 0.25
    scores = orient(Plain(), [1.0], [True])
    assert threshold_between(scores, Plain(), 0.7, 0.7000000001) == pytest.approx(0.7)


def test_equal_predictions_and_one_label_have_no_best_threshold():
    for result in (
        evaluation(Plain(), [0.5] * 4, [True, False] * 2),
        evaluation(Plain(), [0.1, 0.9], [True, True]),
        evaluation(Moody(), [0.1, 0.9, 0.2], [True, False, True]),
        evaluation(Plain(), [], []),
    ):
        assert result.best is None
        json.dumps(result.to_dict(), allow_nan=False)


def test_the_worst_mistakes_come_first():
    result = evaluation(
        Plain(), [0.1, 0.4, 0.9, 0.55, 0.95, 0.2], [True, True, False, False, True, False]
    )
    assert [photo.prediction for photo in result.mistakes] == [0.1, 0.9, 0.4, 0.55]


@pytest.mark.parametrize("jobs", [1, 2])
def test_any_number_of_workers_finds_the_same(photos, jobs):
    result = qualipy.evaluate(Brightness(), photos[6:], photos[:6], jobs=jobs)
    assert result.to_dict() == qualipy.evaluate(Brightness(), photos[6:], photos[:6]).to_dict()


def test_a_photo_that_cannot_be_read_costs_itself(photos):
    result = qualipy.evaluate(Brightness(), [*photos[6:], "gone.png"], photos[:6])
    assert len(result.photos) == 12
    ((image, why),) = result.failures
    assert image == "gone.png"
    assert "cannot be opened" in why
    assert result.to_dict()["failed"] == 1


def test_figures_are_told_by_column(tmp_path, photos):
    rows = [f"{path},{number > 5},{'odd' if number % 2 else 'even'}" for number, path in
            enumerate(photos)]  # fmt: skip
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(["path,label,parity", *rows]))
    result = qualipy.evaluate(Brightness(), labels=labels)
    parts = result.by("parity")
    assert list(parts) == ["even", "odd"]
    assert sum(len(part.photos) for part in parts.values()) == 12
    with pytest.raises(LabelsError, match="Did you mean 'parity'"):
        result.by("partiy")
    few = qualipy.evaluate(Brightness(), labels=labels, where={"parity": ["odd"]})
    assert few.figures == parts["odd"].figures


def test_it_is_had_from_the_facade():
    assert "evaluate" in dir(qualipy)
    assert qualipy.evaluate is qualipy.evaluation.evaluate


def test_a_filter_may_be_named(photos):
    result = qualipy.evaluate("unconventional_size", negatives=photos)
    assert result.figures["specificity"].value == 1
    assert result.figures["balanced_accuracy"] is None
    with pytest.raises(UnknownFilterError, match="Did you mean"):
        qualipy.evaluate("exposrue", photos)


def test_all_is_told_as_json(photos):
    plain = qualipy.evaluate(Brightness(), photos[6:], photos[:6]).to_dict()
    json.dumps(plain, allow_nan=False)
    assert (plain["positives"], plain["negatives"]) == (6, 6)
    assert plain["figures"]["accuracy"].keys() == {"value", "low", "high"}
    assert len(plain["photos"]) == 12
    without = qualipy.evaluate(Brightness(), photos).to_dict(photos=False)
    assert "photos" not in without


def drawn(result, folder, **options):
    folder.mkdir()
    paths = plots.draw(result, folder, **options)
    assert sorted(folder.iterdir()) == sorted(paths)
    pictures = {path.name: cv2.imread(str(path)) for path in paths}
    assert all(picture is not None and picture.std() > 5 for picture in pictures.values())
    return pictures


def test_three_pictures_are_drawn(tmp_path, photos):
    result = qualipy.evaluate(Brightness(), [*photos[4:], photos[1]], [photos[0], *photos[2:4]])
    pictures = drawn(result, tmp_path / "plots")
    assert pictures.keys() == {"roc.png", "threshold.png", "mistakes.png"}
    again = drawn(result, tmp_path / "again")
    for name, picture in pictures.items():
        assert np.array_equal(picture, again[name])


@pytest.mark.parametrize("item", [FILTERS[2], FILTERS[5], Doubled(), Touchy()], ids=repr)
def test_whatever_can_be_drawn_of_a_filter_is(tmp_path, item):
    predictions = [-1.0, 0.0, 0.2, 0.5, 0.7, 1.0, 1.0]
    result = evaluation(item, predictions, [True, False, False, True, False, True, True])
    pictures = drawn(result, tmp_path / "plots")
    assert ("threshold.png" in pictures) == (result.scores.cut is not None)


def test_of_one_label_only_the_mistakes_are_drawn(tmp_path, photos):
    result = qualipy.evaluate(Brightness(), photos)
    assert drawn(result, tmp_path / "one").keys() == {"mistakes.png"}
    right = qualipy.evaluate(Brightness(-1.0), photos)
    assert drawn(right, tmp_path / "none") == {}


def test_names_and_photos_that_are_hard_to_show_are_shown_somehow(tmp_path):
    names = ["$x^2$.png", "日本.png", "a" * 200 + ".png", "\x1b[31m.png"]
    paths = [write_image(tmp_path / name, np.zeros((4, 90, 3), np.uint8)) for name in names]
    gone = Photo("gone.png", True, 0.0, False, source=str(tmp_path / "gone.png"))
    result = qualipy.evaluate(Brightness(), paths)
    result = Evaluation(result.filter, (*result.photos, gone))
    assert len(result.mistakes) == 5
    drawn(result, tmp_path / "plots")


def test_without_matplotlib_plots_say_what_to_install(monkeypatch, photos, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    result = qualipy.evaluate(Brightness(), photos)
    with pytest.raises(MissingLibraryError, match=r"pip install 'qualipy\[plots\]'"):
        plots.draw(result, tmp_path)
