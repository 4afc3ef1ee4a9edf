"""Trained models as plain data."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from qualipy_core.errors import ModelError, ModelTypeError, TrainingError
from qualipy_core.models import Model


@pytest.fixture
def samples():
    rng = np.random.default_rng(7)
    X = rng.normal(size=(160, 4)) * [1, 10, 0.1, 1] + [0, 5, 0, 0]
    y = X[:, 0] + 0.4 * rng.normal(size=160) > 0
    return X, y


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_a_model_learns_saves_and_loads(samples, tmp_path, kernel):
    X, y = samples
    model = Model.fit(X, y, kernel=kernel, features=("a", "b", "c", "d"))
    assert ((model.probability(X) > 0.5) == y).mean() > 0.8
    model.save(tmp_path / "model.npz")
    loaded = Model.load(tmp_path / "model.npz")
    assert np.array_equal(loaded.probability(X), model.probability(X))
    assert loaded.features == ("a", "b", "c", "d")


def test_the_decision_value_is_scikit_learns(samples):
    from sklearn.svm import SVC

    X, y = samples
    model = Model.fit(X, y, kernel="rbf", C=2.0, gamma=0.3)
    standard = (X - model.mean) / model.scale
    weight = np.where(y, 0.5 / y.mean(), 0.5 / (~y).mean())
    theirs = SVC(kernel="rbf", C=2.0, gamma=0.3).fit(standard, y, sample_weight=weight)
    assert np.allclose(model.decision(X), theirs.decision_function(standard), atol=1e-4)


def test_training_is_deterministic_and_so_is_the_file(samples, tmp_path):
    for name in ("one", "two"):
        Model.fit(*samples).save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_half_means_even_odds_when_classes_are_not_equally_many():
    rng = np.random.default_rng(3)
    y = np.arange(600) < 60
    X = rng.normal(size=(600, 1)) + np.where(y, 1.0, -1.0)[:, None]
    model = Model.fit(X, y, kernel="linear")
    assert model.probability([0.0]) == pytest.approx(0.5, abs=0.08)


def test_a_probability_stays_within_bounds_far_from_the_samples(samples):
    model = Model.fit(*samples, kernel="linear")
    far = model.probability(np.array([[1e12] * 4, [-1e12] * 4]))
    assert ((far >= 0) & (far <= 1)).all()


def test_one_vector_gives_one_number(samples):
    assert Model.fit(*samples).probability(samples[0][0]).shape == ()


def test_a_feature_that_never_varies_does_no_harm(samples):
    X, y = samples
    X = np.column_stack([X, np.ones(len(X))])
    assert np.isfinite(Model.fit(X, y).probability(X)).all()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda X, y: (X[:8], y[:8] | True), "at least 5 positive and 5 negative"),
        (lambda X, y: (X, y[:-1]), "do not match"),
        (lambda X, y: (X[:, 0], y), "do not match"),
        (lambda X, y: (np.where(X > 5, np.nan, X), y), "not finite"),
    ],
)
def test_samples_that_cannot_be_trained_on_are_a_value_error(samples, change, match):
    with pytest.raises(TrainingError, match=match):
        Model.fit(*change(*samples))


def test_what_is_no_model_is_a_value_error_that_names_the_file(tmp_path, samples):
    text = tmp_path / "text.npz"
    text.write_text("hello")
    with pytest.raises(ModelError, match=r"text\.npz is no model"):
        Model.load(text)
    with pytest.raises(ModelError, match="no model file"):
        Model.load(tmp_path / "missing.npz")
    with pytest.raises(ModelError, match="is no model"):
        Model.load(tmp_path)
    for path in (5, None, b"model.npz"):
        with pytest.raises(ModelTypeError):
            Model.load(path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"version": 99}, "format or version"),
        ({"format": "other"}, "format or version"),
        ({"mean": np.zeros(3)}, "fit together"),
        ({"coefficients": np.array([np.nan])}, "fit together|finite"),
        ({"scale": np.zeros(4)}, "scales"),
        ({"kernel": "cubic"}, "fit together"),
        ({"features": np.array(["one"])}, "names"),
        ({"slope": np.array([1.0, 2.0])}, "."),
        ({"mean": np.array(["a", "b", "c", "d"])}, "."),
        ({"intercept": np.array({"a": 1}, dtype=object)}, "allow_pickle|."),
    ],
)
def test_a_model_that_was_tampered_with_is_refused(samples, tmp_path, change, match):
    path = tmp_path / "model.npz"
    Model.fit(*samples, kernel="linear").save(path)
    with np.load(path) as arrays:
        values = {**arrays, **change}
    np.savez(path, **values)
    with pytest.raises(ModelError, match=match):
        Model.load(path)


def test_a_device_is_no_model():
    with pytest.raises(ModelError, match="no regular file"):
        Model.load("/dev/zero")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(samples, tmp_path):
    path = tmp_path / "model.npz"
    Model.fit(*samples).save(path)
    with np.load(path) as arrays:
        np.savez_compressed(path, **{**arrays, "bomb": np.zeros(4 << 20)})
    assert path.stat().st_size < 1 << 20
    with pytest.raises(ModelError, match="larger"):
        Model.load(path)


def test_predicting_needs_no_scikit_learn(samples, tmp_path):
    path = tmp_path / "model.npz"
    Model.fit(*samples).save(path)
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "from qualipy_core.models import Model\n"
        f"print(float(Model.load({str(path)!r}).probability([0, 0, 0, 0])))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 <= json.loads(run.stdout) <= 1
