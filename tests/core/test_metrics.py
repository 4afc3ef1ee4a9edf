"""Figures, intervals, curves, the best threshold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from qualipy_core.metrics import (
    FIGURES,
    Confusion,
    Figure,
    best_cut,
    cuts,
    figures,
    folds,
    roc_auc,
    share,
)

SCORES = st.one_of(
    st.floats(-1e6, 1e6, allow_subnormal=False), st.sampled_from([0.0, 0.5, 1.0, -1.0])
)


@st.composite
def judged(draw):
    """Labels, decisions and scores of some photos; ties are frequent."""
    rows = draw(st.lists(st.tuples(st.booleans(), st.booleans(), SCORES), min_size=2, max_size=60))
    label, flagged, score = (np.array(column) for column in zip(*rows, strict=True))
    assume(label.any() and not label.all())
    return label, flagged, score


@settings(max_examples=40)
@given(judged())
def test_the_figures_are_those_of_scikit_learn(photos):
    label, flagged, score = photos
    ours = figures(label, flagged, score)
    theirs = {
        "accuracy": sklearn.accuracy_score(label, flagged),
        "balanced_accuracy": sklearn.balanced_accuracy_score(label, flagged),
        "recall": sklearn.recall_score(label, flagged),
        "specificity": sklearn.recall_score(~label, ~flagged),
        "f1": sklearn.f1_score(label, flagged),
        "roc_auc": sklearn.roc_auc_score(label, score),
    }
    if flagged.any():
        theirs["precision"] = sklearn.precision_score(label, flagged)
    assert ours.keys() == set(FIGURES)
    for name, value in theirs.items():
        assert ours[name].value == pytest.approx(value, abs=1e-12), name
    assert (ours["precision"] is None) == (not flagged.any())


@settings(max_examples=40)
@given(judged(), st.lists(st.integers(0, 5), min_size=60, max_size=60), st.booleans())
def test_every_interval_holds_its_figure_and_lies_within_0_and_1(photos, groups, grouped):
    told = figures(*photos, groups[: len(photos[0])] if grouped else None)
    for figure in told.values():
        if figure is not None:
            assert 0 <= figure.low <= figure.value <= figure.high <= 1
            assert figure.low < figure.high


@settings(max_examples=40)
@given(judged(), st.integers(2, 6))
def test_intervals_shrink_with_more_photos(photos, times):
    few = figures(*photos)
    many = figures(*(np.tile(column, times) for column in photos))
    for name, figure in few.items():
        if figure is not None:
            assert many[name].high - many[name].low < figure.high - figure.low


@settings(max_examples=40)
@given(judged(), st.integers(2, 6))
def test_copies_of_photos_in_their_group_tell_nothing_more(photos, times):
    once = figures(*photos)
    copied = [np.tile(column, times) for column in photos]
    again = figures(*copied, list(range(len(photos[0]))) * times)
    for name, figure in once.items():
        if figure is not None:
            width = figure.high - figure.low
            assert again[name].value == pytest.approx(figure.value)
            assert again[name].high - again[name].low >= 0.9 * width


@settings(max_examples=40)
@given(judged())
def test_groups_of_one_change_nothing(photos):
    assert figures(*photos, [f"g{n}" for n in range(len(photos[0]))]) == figures(*photos)


@settings(max_examples=40)
@given(judged())
def test_groups_never_make_an_interval_narrower(photos):
    alone = figures(*photos)
    together = figures(*photos, [n // 3 for n in range(len(photos[0]))])
    for name, figure in alone.items():
        if figure is not None:
            assert together[name].low <= figure.low + 1e-9
            assert together[name].high >= figure.high - 1e-9


@settings(max_examples=40)
@given(judged())
def test_the_mirrored_score_has_the_mirrored_area(photos):
    label, _, score = photos
    area = roc_auc(label, score)
    assert roc_auc(label, -score) == pytest.approx(1 - area)
    assert roc_auc(~label, score) == pytest.approx(1 - area)
    assert roc_auc(label, np.arctan(score / 1e6)) == pytest.approx(area)  # the order alone counts


@settings(max_examples=40)
@given(judged(), st.randoms(use_true_random=False))
def test_the_order_of_the_photos_means_nothing(photos, random):
    order = list(range(len(photos[0])))
    random.shuffle(order)
    groups = [number // 2 for number in order]
    shuffled = figures(*(column[order] for column in photos), groups)
    for name, figure in figures(*photos, [n // 2 for n in range(len(order))]).items():
        assert shuffled[name] == (figure and pytest.approx(figure))


@settings(max_examples=40)
@given(judged(), SCORES)
def test_no_threshold_is_better_than_the_best(photos, near):
    label, _, score = photos

    def balanced(low_enough):
        return sklearn.balanced_accuracy_score(label, low_enough)

    everywhere = max(balanced(score >= value) for value in [*score, np.inf])
    gap = best_cut(label, score, near)
    if gap is None:
        assert everywhere == pytest.approx(0.5)
    else:
        low, high = gap
        assert balanced(score >= high) == pytest.approx(everywhere)
        assert balanced(score > low) == pytest.approx(everywhere)
        assert low < high
        assert not ((low < score) & (score < high)).any()


@settings(max_examples=40)
@given(judged())
def test_a_threshold_that_is_best_already_is_kept(photos):
    label, _, score = photos
    gap = best_cut(label, score, 0.0)
    assume(gap is not None)
    assert best_cut(label, score, gap[0]) == gap


@settings(max_examples=40)
@given(judged())
def test_the_cuts_are_the_points_of_the_roc_curve(photos):
    label, _, score = photos
    table = cuts(label, score)
    false_alarms, recall, _ = sklearn.roc_curve(label, score, drop_intermediate=False)
    assert table.false_alarms == pytest.approx(false_alarms)
    assert table.recall == pytest.approx(recall)
    assert table.balanced_accuracy[0] == table.balanced_accuracy[-1] == 0.5


@pytest.mark.parametrize("label", [True, False])
def test_of_one_class_alone_there_is_what_can_be_told(label):
    told = figures([label] * 4, [True, False, False, False], [3.0, 1.0, 1.0, 0.0])
    known = {name for name, figure in told.items() if figure is not None}
    assert known == {"accuracy", "recall" if label else "specificity"}
    assert best_cut([label] * 4, [0, 1, 2, 3], 0.5) is None
    assert roc_auc([label] * 4, [0, 1, 2, 3]) is None


def test_of_no_photo_nothing_is_told():
    assert set(figures([], [], []).values()) == {None}
    assert share(0, 0) is None


def test_equal_predictions_tell_nothing():
    told = figures([True, True, False], [True] * 3, [0.5] * 3)
    assert told["roc_auc"].value == 0.5
    assert best_cut([True, True, False], [0.5] * 3, 0.5) is None


def test_infinite_scores_are_ordered_like_others():
    told = figures([True, True, False, False], [True] * 4, [np.inf, 1.0, 1.0, -np.inf])
    assert told["roc_auc"].value == 0.875


def test_separated_classes_do_not_make_certain():
    told = figures([True] * 10 + [False] * 10, [True] * 10 + [False] * 10, [1.0] * 10 + [0.0] * 10)
    for figure in told.values():
        assert figure.value == figure.high == 1
        assert 0.5 < figure.low < 0.95


def test_wilsons_interval_is_that_of_the_formula():
    # Both ends solve (value - p)² = z² p (1 - p) / n.
    figure = share(7, 9)
    for end in (figure.low, figure.high):
        distance = abs(7 / 9 - end) / math.sqrt(end * (1 - end) / 9)
        assert distance == pytest.approx(1.96, abs=1e-3)


def test_the_confusion_counts_every_photo():
    counted = Confusion.count([1, 1, 0, 0, 0], [1, 0, 1, 0, 0])
    assert counted == Confusion(1, 1, 1, 2)
    assert counted.to_dict()["true_negatives"] == 2


@settings(max_examples=40)
@given(st.integers(5, 20), st.integers(5, 20), st.randoms(use_true_random=False))
def test_every_fold_gets_both_classes(positives, negatives, random):
    label = [True] * positives + [False] * negatives
    random.shuffle(label)
    label = np.array(label)
    fold = folds(label, count=5)
    for number in range(5):
        assert set(label[fold == number]) == {True, False}


@settings(max_examples=40)
@given(judged(), st.lists(st.sampled_from("abcdefgh"), min_size=60, max_size=60))
def test_no_group_is_parted(photos, names):
    groups = names[: len(photos[0])]
    fold = folds(photos[0], groups)
    assert len(set(zip(groups, fold, strict=True))) == len(set(groups))


def test_the_intervals_hold_the_truth_as_often_as_they_say():
    random = np.random.default_rng(1)
    times, held = 300, dict.fromkeys(("accuracy", "balanced_accuracy", "roc_auc"), 0)
    # Groups of one to four photos that share half of the variance.
    truth = dict.fromkeys(held, 0.9331928) | {"roc_auc": 0.9830526}  # Φ(1.5), Φ(3 / √2)
    for _ in range(times):
        group = np.repeat(np.arange(40), random.integers(1, 5, 40))
        label = (random.random(40) < 0.5)[group]
        shared, own = random.normal(size=40)[group], random.normal(size=len(group))
        score = (shared + own) / math.sqrt(2) + 3 * label
        told = figures(label, score > 1.5, score, group.tolist())
        for name in held:
            held[name] += told[name].low <= truth[name] <= told[name].high
    assert all(count / times >= 0.92 for count in held.values()), held


def test_a_figure_unpacks():
    value, low, high = Figure(0.5, 0.4, 0.6)
    assert (value, low, high) == (0.5, 0.4, 0.6)
