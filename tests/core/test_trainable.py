"""Filters with a trained model."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sample_filters import Tinted

from qualipy_core import Filter, process
from qualipy_core.errors import ModelError, ModelTypeError, ParameterValueError, TrainingError
from qualipy_core.models import Model
from qualipy_core.testing import registered


def tinted(red):
    rng = np.random.default_rng(red)
    return rng.integers(0, 80, (8, 8, 3), dtype=np.uint8) + np.array([red, 0, 0], np.uint8)


IMAGES = [tinted(red) for red in (*range(0, 40, 4), *range(120, 160, 4))]
LABELS = [False] * 10 + [True] * 10


def test_training_returns_a_filter_that_has_learned():
    trained = Tinted().train(IMAGES, LABELS)
    assert [trained.predict(image) for image in IMAGES] == LABELS
    assert 0.0 <= trained.predict(IMAGES[0], return_boolean=False) < 0.5


@pytest.mark.parametrize(
    "labels", [[0] * 10 + [1] * 10, [-1.0] * 10 + [1.0] * 10, np.array(LABELS)]
)
def test_labels_may_be_booleans_zeros_and_ones_or_signs(labels):
    assert Tinted().train(IMAGES, labels).predict(IMAGES[-1])


def test_a_trained_model_is_saved_and_used_from_its_file(tmp_path):
    path = tmp_path / "tinted.npz"
    trained = Tinted(0.7).train(IMAGES, LABELS, save_path=path)
    assert trained == Tinted(0.7, svm_file=str(path))
    again = Tinted(svm_file=str(path))
    assert again.predict(IMAGES[3], False) == trained.predict(IMAGES[3], False)
    assert process(IMAGES[0], [again]) == {"<array 8×8×3>": True}
    assert Tinted().load(path) == again


def test_saving_writes_the_model_in_use(tmp_path):
    trained = Tinted().train(IMAGES, LABELS)
    saved = trained.save(tmp_path / "model.npz")
    assert saved.svm_file == str(tmp_path / "model.npz")
    assert saved.predict(IMAGES[5], False) == trained.predict(IMAGES[5], False)


def test_a_model_in_memory_goes_along_with_comparisons_and_pickles():
    trained = Tinted().train(IMAGES, LABELS)
    strict = trained > 0.99
    assert strict.predict(IMAGES[0], False) == trained.predict(IMAGES[0], False)
    again = pickle.loads(pickle.dumps(trained))
    assert again.predict(IMAGES[0], False) == trained.predict(IMAGES[0], False)


def test_filters_with_different_models_are_different():
    one = Tinted().train(IMAGES, LABELS)
    other = Tinted().train(IMAGES, LABELS[::-1])
    assert one != other
    assert one != Tinted()
    assert one == one.replace()
    image = IMAGES[0]
    assert process(image, [one, other], return_predictions=True) == {
        "<array 8×8×3>": {
            "tinted": one.predict(image, False),
            "tinted#2": other.predict(image, False),
        }
    }


def test_a_model_in_memory_alone_cannot_be_described():
    with pytest.raises(ParameterValueError, match=r"save\(path\)"):
        Tinted().train(IMAGES, LABELS).to_dict()


def test_a_filter_with_a_model_file_can_be_described(tmp_path):
    trained = Tinted().train(IMAGES, LABELS, tmp_path / "model.npz")
    with registered(Tinted):
        assert Filter.from_dict(trained.to_dict()) == trained


@pytest.mark.parametrize("path", [5, 2.5, ["model.npz"], b"model.npz"])
def test_a_model_path_that_is_no_path_is_a_type_error(path):
    with pytest.raises(ModelTypeError, match="svm_file"):
        Tinted(svm_file=path)


def test_a_model_that_does_not_exist_or_is_none_is_a_value_error(tmp_path):
    with pytest.raises(ValueError, match="There is no model file"):
        Tinted(svm_file=str(tmp_path / "missing.npz"))
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(ModelError, match="is no model"):
        Tinted(svm_file=str(tmp_path / "text.npz"))


def test_a_model_of_another_filter_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    for columns, names in ((2, ()), (3, ("a", "b", "c"))):
        Model.fit(rng.normal(size=(20, columns)), LABELS, features=names).save(tmp_path / "m")
        with pytest.raises(ModelError, match="other features"):
            Tinted(svm_file=tmp_path / "m")


@pytest.mark.parametrize(
    ("images", "labels", "match"),
    [
        (IMAGES, LABELS[:-1], "20 images and 19 labels"),
        (IMAGES[:6], [True] * 6, "at least 5"),
        ([], [], "at least 5"),
        (IMAGES, ["yes"] * 20, "A label is"),
        (IMAGES, [2] * 20, "A label is"),
    ],
)
def test_samples_that_cannot_be_trained_on_are_a_value_error(images, labels, match):
    with pytest.raises(TrainingError, match=match):
        Tinted().train(images, labels)


def test_an_unreadable_training_image_is_an_os_error():
    with pytest.raises(OSError, match="missing"):
        Tinted().train([*IMAGES[:-1], "missing.jpg"], LABELS)
