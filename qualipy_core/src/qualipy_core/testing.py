"""The contract that every filter keeps, as tests that a pack's author inherits.

::

    from qualipy_core.testing import FilterContract

    class TestTooDark(FilterContract):
        filter_class = TooDark

        def positives(self):            # optional: pictures that the filter must flag,
            return [np.zeros((64, 64, 3), np.uint8)]

        def negatives(self):            # … and pictures that it must let pass
            return [np.full((64, 64, 3), 128, np.uint8)]

A `SetFilter` has a contract of its own, `SetFilterContract`; what is clear of it are sets::

    class TestOddColor(SetFilterContract):
        filter_class = OddColor

        def sets(self):                 # pictures, and whether each must be flagged
            return [([GREEN, GREEN, RED], [False, False, True])]

Needs pytest. `registered` offers filters by name for the length of a test without installing
anything, and `sample_images` makes the pictures on which the contract is tried.
"""

from __future__ import annotations

import copy
import json
import pickle
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from qualipy_core import parameters, plugins
from qualipy_core.criterion import Criterion
from qualipy_core.errors import QualipyError
from qualipy_core.filter import Filter
from qualipy_core.image import Image
from qualipy_core.opencv import cv2
from qualipy_core.pipeline import process, scan
from qualipy_core.request import process_request
from qualipy_core.result import Result
from qualipy_core.setfilter import SetFilter

Pixels = NDArray[np.uint8]


@contextmanager
def registered(*classes: type[Criterion]) -> Iterator[None]:
    """Offer filter classes by their names, as if a pack that has them were installed.

    Parameters
    ----------
    *classes : type of Filter or SetFilter
        Each under its `name`.
    """
    with plugins.registry().registered(*classes):
        yield


@contextmanager
def hooked(*modules: object) -> Iterator[plugins.Hooks]:
    """Let the hook implementations of modules, or of other objects, be the only ones in use.

    Parameters
    ----------
    *modules : object
        Each one holds functions that are marked with `qualipy_core.hookimpl`.

    Yields
    ------
    Hooks
        What is in use.
    """
    hooks = plugins.Hooks()
    for number, module in enumerate(modules):
        name = str(getattr(module, "__name__", f"hooks-{number}"))
        hooks.add(module, plugins.Entry(name, name, "0", name, plugins.HOOKS))
    with plugins.hooks_replaced(hooks):
        yield hooks


def sample_images() -> dict[str, Pixels]:
    """Return pictures that filters stumble over: flat, noisy, tiny, grey, long and natural ones.

    Returns
    -------
    dict of str to ndarray of uint8
        RGB, ``(H, W, 3)``, or grey, ``(H, W)``; the same each time, and yours to change.
    """
    return {name: pixels.copy() for name, pixels in _sample_images().items()}


@cache
def _sample_images() -> dict[str, Pixels]:
    rng = np.random.default_rng(20150601)
    ramp = np.linspace(0, 255, 160).astype(np.uint8)
    return {
        "black": np.zeros((48, 64, 3), np.uint8),
        "white": np.full((48, 64, 3), 255, np.uint8),
        "flat": np.full((48, 64, 3), (120, 90, 60), np.uint8),
        "noise": rng.integers(0, 256, (96, 128, 3), dtype=np.uint8),
        "gradient": np.broadcast_to(ramp[None, :, None], (120, 160, 3)).copy(),
        "grey": np.broadcast_to(ramp[:, None], (160, 120)).copy(),
        "natural": _natural(rng, 240, 320),
        "tall": _natural(rng, 400, 40),
        "32 px": _natural(rng, 32, 32),
        "2 px": np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8),
        "1 px": np.full((1, 1, 3), 77, np.uint8),
        "long line": np.full((1, 3000, 3), 200, np.uint8),
    }


def _natural(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Smoothed noise at many scales: a spectrum like a photo's."""
    total = np.zeros((height, width, 3), np.float32)
    for scale in (2, 4, 8, 16, 32):
        coarse = rng.random((height // scale + 2, width // scale + 2, 3), dtype=np.float32)
        total += scale * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    low, high = total.min(), total.max()
    return np.asarray((total - low) / (high - low) * 255, dtype=np.uint8)


class CriterionContract:
    """What both kinds of filters must keep; `FilterContract` and `SetFilterContract` add theirs.

    Set `filter_class`, and override `parameters` where the filter's own ones need other values than
    its defaults to be tried with.
    """

    filter_class: ClassVar[type[Any]]

    def parameters(self) -> dict[str, Any]:
        """Return parameters to make the filter with; none, by default."""
        return {}

    def make(self, **changes: Any) -> Any:
        """Return the filter under test."""
        return self.filter_class(**{**self.parameters(), **changes})

    def test_it_has_a_name_and_a_speed(self) -> None:
        cls = self.filter_class
        assert cls.name, f"{cls.__name__} has no name"
        assert cls.name == cls.name.lower()
        assert cls.name.isidentifier(), f"{cls.name!r} is no lower_case_name"
        assert 1 <= cls.speed <= 5, "speed is 1 (fast) … 5 (slow)"

    def test_it_says_what_a_positive_means_and_what_each_parameter_does(self) -> None:
        cls = self.filter_class
        assert (cls.__doc__ or "").strip(), f"{cls.__name__} has no docstring"
        for parameter in parameters.parameters_of(cls):
            assert parameter.meaning, (
                f"{cls.__name__}.{parameter.name} is not in its docstring's Parameters section"
            )

    def test_every_parameter_has_a_default(self) -> None:
        self.filter_class()

    def test_equal_parameters_make_equal_filters(self) -> None:
        one, two = self.make(), self.make()
        assert one == two
        assert hash(one) == hash(two)
        assert one != self.make(threshold=one.threshold + 0.125)

    def test_a_comparison_makes_a_new_filter(self) -> None:
        before = self.make()
        after = before > 0.875
        assert after.threshold == 0.875
        assert before == self.make()

    def test_it_can_be_copied_and_sent_to_another_process(self) -> None:
        item = self.make()
        assert copy.deepcopy(item) == item
        assert pickle.loads(pickle.dumps(item)) == item  # noqa: S301 (our own bytes)

    def test_it_survives_the_way_through_json(self) -> None:
        with registered(self.filter_class):
            for item in (self.make(), self.make() <= 0.125, self.make(invert_threshold=True)):
                assert Criterion.from_dict(json.loads(json.dumps(item.to_dict()))) == item

    def test_it_can_be_asked_for_in_a_request(self, tmp_path: Any) -> None:
        path = tmp_path / "natural.png"
        ok, encoded = cv2.imencode(".png", sample_images()["natural"][..., ::-1])
        assert ok
        path.write_bytes(encoded.tobytes())
        request = {
            "images": {str(path): None},
            "filters": {self.filter_class.name: {}},
            "return_predictions": True,
        }
        with registered(self.filter_class):
            answer = process_request(json.dumps(request))
        assert answer == process(str(path), [self.filter_class()], return_predictions=True)


class FilterContract(CriterionContract):
    """What the framework promises about every filter, and so every filter must keep.

    Set `filter_class`; override `positives` and `negatives` with clear cases, and `parameters`
    where the filter's own ones need other values than its defaults to be tried with.
    """

    filter_class: ClassVar[type[Filter]]

    def positives(self) -> Sequence[Any]:
        """Return images that the filter with its default parameters must flag."""
        return []

    def negatives(self) -> Sequence[Any]:
        """Return images that the filter with its default parameters must let pass."""
        return []

    @pytest.mark.parametrize("name", sample_images())
    def test_a_prediction_is_a_finite_number_without_a_warning(self, name: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            prediction = self.make().predict(sample_images()[name], return_boolean=False)
        assert type(prediction) is float
        assert np.isfinite(prediction)

    def test_a_prediction_is_the_same_each_time(self) -> None:
        picture = sample_images()["natural"]
        first, second = (self.make().predict(picture, return_boolean=False) for _ in range(2))
        assert first == second

    def test_a_prediction_does_not_depend_on_what_ran_before(self) -> None:
        picture = sample_images()["natural"]
        alone = self.make().predict(picture, return_boolean=False)
        shared = Image(picture)
        _run_everything_on(shared)
        assert self.make().predict(shared, return_boolean=False) == alone

    def test_it_leaves_the_image_as_it_is(self) -> None:
        picture = sample_images()["natural"]
        before = picture.copy()
        image = Image(picture)
        self.make().predict(image)
        assert np.array_equal(picture, before)
        assert np.array_equal(image.pixels(None), before)

    @pytest.mark.parametrize("name", sample_images())
    def test_an_explanation_is_none_or_can_be_drawn(self, name: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = self.make().explanation(Image(sample_images()[name]))
        assert found is None or found.summary

    def test_to_explain_changes_no_prediction(self) -> None:
        image = Image(sample_images()["natural"])
        self.make().explanation(image)
        alone = self.make().predict(sample_images()["natural"], return_boolean=False)
        assert self.make().predict(image, return_boolean=False) == alone

    def test_a_region_is_judged_like_a_picture_of_its_own(self) -> None:
        picture = sample_images()["natural"]
        region = self.make().predict(picture, return_boolean=False, ROI=(40, 30, 200, 150))
        cut = np.ascontiguousarray(picture[30:180, 40:240])
        assert region == self.make().predict(cut, return_boolean=False)

    def test_a_grey_picture_and_its_rgb_copy_are_judged_alike(self) -> None:
        grey = sample_images()["natural"][..., 1]
        copied = np.repeat(grey[..., None], 3, axis=2)
        assert self.make().predict(grey, False) == self.make().predict(copied, False)

    def test_clear_positives_are_flagged(self) -> None:
        self._check(self.positives(), expected=True)

    def test_clear_negatives_pass(self) -> None:
        self._check(self.negatives(), expected=False)

    def _check(self, images: Sequence[Any], *, expected: bool) -> None:
        wrong = {
            number: self.make().predict(image, return_boolean=False)
            for number, image in enumerate(images)
            if self.make().predict(image) is not expected
        }
        assert not wrong, f"judged wrongly, with these predictions: {wrong}"


class SetFilterContract(CriterionContract):
    """What the framework promises about every set filter, and so every set filter must keep.

    Set `filter_class`; override `sets` with clear cases, and `parameters` where the filter's own
    ones need other values than its defaults to be tried with.
    """

    filter_class: ClassVar[type[SetFilter]]

    def sets(self) -> Sequence[tuple[Sequence[Any], Sequence[bool]]]:
        """Return sets of images, each with what the filter must decide about its images."""
        return []

    def make(self, **changes: Any) -> SetFilter:
        """Return the filter under test."""
        return self.filter_class(**{**self.parameters(), **changes})

    def test_fingerprints_have_one_form_whatever_the_picture(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            rows = {n: self._fingerprint(pixels) for n, pixels in sample_images().items()}
        forms = {name: (row.dtype, row.shape) for name, row in rows.items()}
        assert len(set(forms.values())) == 1, f"fingerprints of different forms: {forms}"

    def test_a_fingerprint_is_the_same_each_time(self) -> None:
        picture = sample_images()["natural"]
        assert self._fingerprint(picture).tobytes() == self._fingerprint(picture).tobytes()

    def test_a_fingerprint_does_not_depend_on_what_ran_before(self) -> None:
        picture = sample_images()["natural"]
        shared = Image(picture)
        _run_everything_on(shared)
        row = self.make().fingerprint_of(shared)
        assert row.tobytes() == self._fingerprint(picture).tobytes()

    def test_a_fingerprint_does_not_depend_on_what_decides(self) -> None:
        picture = Image(sample_images()["natural"])
        one, other = self.make(), self.make(threshold=self.make().threshold + 0.125)
        assert one.fingerprint(picture).tobytes() == other.fingerprint(picture).tobytes()

    def test_parameters_that_only_compare_uses_are_parameters(self) -> None:
        cls = self.filter_class
        known = {parameter.name for parameter in parameters.parameters_of(cls)}
        assert set(cls.comparing) <= known, f"comparing has more than {sorted(known)}"

    def test_it_leaves_the_image_as_it_is(self) -> None:
        picture = sample_images()["natural"]
        before = picture.copy()
        image = Image(picture)
        self.make().fingerprint_of(image)
        assert np.array_equal(image.pixels(None), before)

    def test_a_region_has_the_fingerprint_of_a_picture_of_its_own(self) -> None:
        picture = sample_images()["natural"]
        region = self.make().fingerprint_of(Image(picture, (40, 30, 200, 150)))
        cut = np.ascontiguousarray(picture[30:180, 40:240])
        assert region.tobytes() == self._fingerprint(cut).tobytes()

    def test_a_grey_picture_and_its_rgb_copy_have_one_fingerprint(self) -> None:
        grey = sample_images()["natural"][..., 1]
        copied = np.repeat(grey[..., None], 3, axis=2)
        assert self._fingerprint(grey).tobytes() == self._fingerprint(copied).tobytes()

    @pytest.mark.parametrize("count", [1, 2, 3, 40])
    def test_a_set_of_equal_pictures_can_be_compared(self, count: int) -> None:
        picture = sample_images()["natural"]
        self._scan([(f"{number:03}", picture) for number in range(count)])

    def test_a_set_of_odd_pictures_can_be_compared(self) -> None:
        self._scan(list(sample_images().items()))

    def test_the_order_of_the_pictures_changes_nothing(self) -> None:
        named = [(f"{name} {copy}", p) for copy in "ab" for name, p in sample_images().items()]
        expected = _plain(self._scan(named))
        assert _plain(self._scan(named[::-1])) == expected
        rng = np.random.default_rng(20150601)
        for _ in range(5):
            shuffled = [named[number] for number in rng.permutation(len(named))]
            assert _plain(self._scan(shuffled)) == expected

    def test_piece_by_piece_is_the_same_as_all_at_once(self, tmp_path: Any) -> None:
        paths = _written(tmp_path)
        store = tmp_path / "fingerprints.qpf"
        with registered(self.filter_class):
            together = _plain(scan(paths, [self.make()]))
            list(scan(paths[: len(paths) // 2], [self.make()], fingerprints=store))
            later = _plain(scan(paths, [self.make()], fingerprints=store))
        assert len(later) == len(paths) - len(paths) // 2
        assert later == {image: together[image] for image in later}

    def test_clear_sets_are_judged_as_they_must(self) -> None:
        for number, (images, expected) in enumerate(self.sets()):
            named = [(f"{place:03}", image) for place, image in enumerate(images)]
            decided = [r.decisions[self.filter_class.name] for r in self._scan(named)]
            assert decided == list(expected), f"set {number} is judged wrongly"

    def _fingerprint(self, picture: Any) -> NDArray[Any]:
        return self.make().fingerprint_of(Image(picture))

    def _scan(self, named: Sequence[tuple[str, Any]]) -> list[Result]:
        images = [Image(picture, name=name) for name, picture in named]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            results = list(scan(images, [self.make()]))
        for result in results:
            result.raise_error()
        return results


def _run_everything_on(image: Image) -> None:
    for name in plugins.registry().names():
        with suppress(QualipyError):  # what is wrong with another pack is not for us to say
            item = plugins.registry().get(name)()
            if isinstance(item, Filter):
                item.predict(image)
            elif isinstance(item, SetFilter):
                item.fingerprint_of(image)


def _plain(results: Iterable[Result]) -> dict[str, dict[str, Any]]:
    plain = {result.image: result.to_dict() for result in results}
    for each in plain.values():
        del each["seconds"]
    return plain


def _written(folder: Any) -> list[str]:
    paths = []
    for name, pixels in sample_images().items():
        path = folder / f"{name}.png"
        ok, encoded = cv2.imencode(".png", pixels if pixels.ndim == 2 else pixels[..., ::-1])
        assert ok
        path.write_bytes(encoded.tobytes())
        paths.append(str(path))
    return sorted(paths)
