"""From labelled images to a trained filter and its card."""

from __future__ import annotations

import hashlib
import json
import sys

import numpy as np
import pytest
from sample_filters import Tinted

from qualipy_core import Image, TrainableFilter, training
from qualipy_core.errors import FilterError, ImageReadError, MissingLibraryError, TrainingError
from qualipy_core.models import Model, held_out_probabilities, need_scikit_learn


def tinted(red):
    rng = np.random.default_rng(red)
    return rng.integers(0, 80, (8, 8, 3), dtype=np.uint8) + np.array([red, 0, 0], np.uint8)


IMAGES = [tinted(red) for red in (*range(0, 40, 4), *range(120, 160, 4))]
LABELS = [False] * 10 + [True] * 10


class Fussy(TrainableFilter):
    """Refuses dark pictures."""

    name = "fussy"
    feature_names = ("red", "green")
    answer: str = "right"

    def features(self, image):
        red, green, _ = image.pixels().mean(axis=(0, 1))
        if red > 150:
            raise ValueError("too red")
        return {
            "right": np.array([red, green]),
            "short": np.array([red]),
            "infinite": np.array([red, np.inf]),
        }[self.answer]


@pytest.mark.parametrize("jobs", [1, 2])
def test_features_travel_as_results_do(jobs):
    results = list(training.scan_features(Tinted(), [*IMAGES[:3], "gone.jpg"], jobs=jobs))
    for image, result in zip(IMAGES, results[:3], strict=False):
        assert training.row(result).tolist() == Tinted().features(Image(image)).tolist()
        assert tuple(result.predictions) == Tinted.feature_names
    with pytest.raises(ImageReadError, match=r"gone\.jpg"):
        training.row(results[3])


def test_a_filter_that_fails_on_an_image_costs_that_image():
    bad = np.full((8, 8, 3), 200, np.uint8)
    one, other = training.scan_features(Fussy(), [bad, IMAGES[0]])
    with pytest.raises(FilterError, match=r"Filter fussy failed: ValueError: too red"):
        training.row(one)
    assert training.row(other).shape == (2,)


@pytest.mark.parametrize(
    ("answer", "said"), [("short", r"shape \(1,\)"), ("infinite", "inf"), ("?", "KeyError")]
)
def test_features_are_checked(answer, said):
    with pytest.raises(FilterError, match=said):
        Fussy(answer=answer).feature_vector(Image(IMAGES[0]))


def test_training_says_which_image_failed():
    images = [*IMAGES[:6], np.full((8, 8, 3), 200, np.uint8), *IMAGES[7:]]
    with pytest.raises(FilterError, match=r"number 7 of 20 images"):
        Fussy().train(images, LABELS)
    with pytest.raises(OSError, match=r"gone\.jpg"):
        Tinted().train([*IMAGES[:-1], "gone.jpg"], LABELS)


def test_models_are_tried_on_images_that_they_have_not_seen():
    # Noise is learned by heart by whoever sees it; held out, it cannot be told.
    random = np.random.default_rng(0)
    noise, label = random.normal(size=(60, 8)), np.arange(60) % 2 == 0
    seen = Model.fit(noise, label, C=1e6).probability(noise)
    held_out = held_out_probabilities(noise, label, C=1e6)
    assert ((seen > 0.5) == label).mean() > 0.95
    assert 0.25 < ((held_out > 0.5) == label).mean() < 0.75


def test_groups_are_held_out_together():
    # Each picture comes six times: whoever has seen one of them knows its label.
    random = np.random.default_rng(0)
    group = np.repeat(np.arange(20), 6)
    picture = random.normal(size=(20, 8))[group] + 0.01 * random.normal(size=(120, 8))
    label = (np.arange(20) % 2 == 0)[group]
    known = held_out_probabilities(picture, label, C=100)
    fresh = held_out_probabilities(picture, label, C=100, groups=group)
    assert ((known > 0.5) == label).mean() == 1
    assert ((fresh > 0.5) == label).mean() < 0.8


def test_one_group_of_a_kind_cannot_be_tried_on_others():
    table = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(TrainingError, match="All positive images are of one group"):
        held_out_probabilities(table, LABELS, groups=[*range(1, 11), *[0] * 10])


def test_the_fewest_images_that_can_be_trained_on_can_be_cross_validated():
    table = np.array([[value] for value in (*range(5), *range(10, 15))], dtype=float)
    held_out = held_out_probabilities(table, [False] * 5 + [True] * 5)
    assert np.isfinite(held_out).all()


def test_a_model_is_saved_with_its_card(tmp_path):
    path = tmp_path / "tinted.npz"
    trained = Tinted().train(IMAGES, LABELS, path)
    card = json.loads(training.card_path(path).read_text())
    assert card["filter"] == trained.name
    assert card["features"] == list(Tinted.feature_names)
    assert (card["positives"], card["negatives"], card["groups"]) == (10, 10, None)
    figure = card["cross_validated"]["roc_auc"]
    assert 0.5 < figure["low"] < figure["value"] <= figure["high"] <= 1
    assert str(tmp_path) not in training.card_path(path).read_text()
    assert trained.card() == training.read_card(path) == card


def test_a_card_is_shown_for_its_own_model_alone(tmp_path):
    path = tmp_path / "tinted.npz"
    trained = Tinted().train(IMAGES, LABELS, path)
    kept = path.read_bytes()
    path.write_bytes(kept + b" ")
    assert trained.card() is None
    path.write_bytes(kept)
    assert trained.card()["sha256"] == hashlib.sha256(kept).hexdigest()
    for broken in ("", "{", "[]", "null", "\N{LATIN SMALL LETTER E WITH ACUTE}"):
        training.card_path(path).write_bytes(broken.encode("latin-1"))
        assert trained.card() is None
    training.card_path(path).unlink()
    assert trained.card() is None


def test_a_model_in_memory_and_none_have_no_card():
    assert Tinted().train(IMAGES, LABELS).card() is None
    assert Fussy().card() is None


def test_training_is_the_same_twice_and_with_any_number_of_workers(tmp_path):
    for jobs in (1, 2):
        Tinted().train(IMAGES, LABELS, tmp_path / f"{jobs}.npz", jobs=jobs)
    for suffix in ("npz", "json"):
        one, other = ((tmp_path / f"{jobs}.{suffix}").read_bytes() for jobs in (1, 2))
        assert one == other


def test_groups_are_as_many_as_images():
    with pytest.raises(TrainingError, match="20 images and 3 groups"):
        Tinted().train(IMAGES, LABELS, groups=["a", "b", "c"])


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    with pytest.raises(MissingLibraryError, match=r"pip install .*train"):
        need_scikit_learn()
    with pytest.raises(MissingLibraryError):
        Tinted().train(IMAGES, LABELS)
