from __future__ import annotations

import itertools

import numpy as np
import pytest
from skimage import data

from qualipy_core import Image, scan
from qualipy_core.errors import ParameterValueError
from qualipy_core.opencv import cv2
from qualipy_core.testing import SetFilterContract
from qualipy_filters_builtin import near_duplicates
from qualipy_filters_builtin.near_duplicates import FINGERPRINT, NearDuplicates
from qualipy_filters_builtin.perceptual_hash import (
    TINY,
    turned_codes,
    turned_pictures,
    turns,
    view_codes,
)

PHOTOS = ["astronaut", "chelsea", "coffee", "rocket"]
OTHERS = ["camera", "brick", "grass", "gravel", "moon", "page", "hubble_deep_field"]


def photo(name):
    pixels = getattr(data, name)()
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)


def jpeg(pixels, quality=90):
    ok, file = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert ok
    return file.tobytes()


def cut(pixels, share):
    dy, dx = (round(side * share) for side in pixels.shape[:2])
    return pixels[dy : len(pixels) - dy, dx : pixels.shape[1] - dx]


def fingerprints(*sources):
    return np.array(
        [
            NearDuplicates().fingerprint(
                Image(np.ascontiguousarray(s)) if isinstance(s, np.ndarray) else Image(s)
            )
            for s in sources
        ]
    )


def compared(*sources, **parameters):
    return NearDuplicates(**parameters).compare(fingerprints(*sources))


def alike(one, other, **parameters):
    """How alike two photos are: the prediction of the one that is not kept."""
    return float(compared(one, other, **parameters).predictions.max())


class TestNearDuplicatesKeepsTheContract(SetFilterContract):
    filter_class = NearDuplicates

    def sets(self):
        small = cv2.resize(photo("coffee"), (300, 200), interpolation=cv2.INTER_AREA)
        return [([small, photo("coffee"), photo("chelsea")], [True, False, False])]


EDITS = {
    "re-saved": lambda p: jpeg(p, 30),
    "half size": lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "brighter": lambda p: cv2.convertScaleAbs(p, alpha=1.2, beta=10),
    "darker": lambda p: cv2.convertScaleAbs(p, alpha=0.6),
    "grey": lambda p: cv2.cvtColor(p, cv2.COLOR_RGB2GRAY),
    "cut a little": lambda p: cut(p, 0.03),
    "framed": lambda p: cv2.copyMakeBorder(
        p, 30, 30, 30, 30, cv2.BORDER_CONSTANT, value=(250, 250, 250)
    ),
    "blurred": lambda p: cv2.GaussianBlur(p, (0, 0), 2),
}


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_copy_is_found(name, edit):
    assert alike(photo(name), EDITS[edit](photo(name))) > 0.5


def test_different_photos_are_no_duplicates():
    result = compared(*[photo(name) for name in PHOTOS + OTHERS])
    assert not result.predictions.any()
    assert result.groups == ()


def test_different_parts_of_one_texture_are_no_duplicates():
    for name in ("brick", "grass", "gravel"):
        texture = photo(name)
        parts = [texture[y : y + 250, x : x + 250] for y in (0, 260) for x in (0, 260)]
        assert not compared(*parts).predictions.any()


@pytest.mark.parametrize("name", PHOTOS)
def test_a_stronger_edit_is_not_more_alike(name):
    for edits in (
        [cut(photo(name), share) for share in (0, 0.02, 0.04, 0.3)],
        [np.clip(photo(name) * gain, 0, 255).astype(np.uint8) for gain in (1, 1.5, 2.5, 6)],
    ):
        values = [alike(photo(name), edit) for edit in edits]
        assert values[0] == 1
        assert all(b <= a + 0.02 for a, b in itertools.pairwise(values))


@pytest.mark.parametrize("name", ["astronaut", "coffee"])
def test_mirrored_copies_are_found_when_asked_for(name):
    mirrored = photo(name)[:, ::-1]
    assert alike(photo(name), mirrored) < 0.5
    assert alike(photo(name), mirrored, rotated=True) < 0.5
    assert alike(photo(name), mirrored, mirrored=True) > 0.9


@pytest.mark.parametrize("quarters", [1, 2, 3])
@pytest.mark.parametrize("name", ["chelsea", "rocket"])
def test_turned_copies_are_found_when_asked_for(name, quarters):
    turned = np.rot90(photo(name), quarters)
    assert alike(photo(name), turned, mirrored=True) < 0.5
    assert alike(photo(name), turned, rotated=True) > 0.9
    assert alike(photo(name), turned[::-1], rotated=True) < 0.5
    assert alike(photo(name), turned[::-1], rotated=True, mirrored=True) > 0.9


@pytest.mark.parametrize("turn", turns(mirrored=True, rotated=True)[1:])
def test_codes_are_turned_as_pictures_are(turn):
    luma = cv2.cvtColor(photo("astronaut"), cv2.COLOR_RGB2GRAY)[:256, :256]
    turned = np.ascontiguousarray(turned_pictures(luma[None], turn)[0])
    apart = np.bitwise_count(view_codes(turned) ^ turned_codes(view_codes(luma)[None], turn)[0])
    assert apart.max() <= 1


def test_the_largest_is_kept_then_the_sharpest():
    coffee = photo("coffee")
    soft = cv2.GaussianBlur(coffee, (0, 0), 2)
    small = cv2.resize(coffee, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    result = compared(small, soft, coffee, photo("rocket"))
    assert result.groups == ((2, 1, 0),)
    assert result.predictions[2] == result.predictions[3] == 0
    assert min(result.predictions[:2]) > 0.5


def test_a_border_makes_a_photo_no_larger():
    coffee = photo("coffee")
    framed = EDITS["framed"](cv2.resize(coffee, None, fx=0.95, fy=0.95))
    assert framed.shape[0] > coffee.shape[0]
    assert compared(framed, coffee).groups == ((1, 0),)


@pytest.mark.parametrize("tone", [0, 128, 255])
def test_pictures_that_say_nothing_are_duplicates_only_where_they_are_the_same(tone):
    flat = np.full((300, 400, 3), tone, np.uint8)
    other = flat.copy()
    other[5, 7] = 100
    noise = np.random.default_rng(0).integers(0, 4, flat.shape, np.uint8)
    grainy = np.abs(flat.astype(int) - noise).astype(np.uint8)
    result = compared(flat, other, grainy, flat, flat[:, :380])
    assert result.groups == ((0, 3),)
    assert result.predictions.tolist() == [0, 0, 0, 1, 0]


def test_two_noises_are_no_duplicates():
    rng = np.random.default_rng(0)
    assert not compared(*rng.integers(0, 256, (4, 200, 300, 3), np.uint8)).predictions.any()


def test_photos_that_drift_are_no_chain():
    wide = np.hstack([photo("astronaut"), photo("coffee")[:400].repeat(2, 0)[:512]])
    frames = [wide[:, x : x + 500] for x in range(0, 540, 12)]
    result = compared(*frames)
    rows = fingerprints(*frames)
    assert len(result.groups) > 1
    for best, *others in result.groups:
        for other in others:
            pair = NearDuplicates().compare(rows[[best, other]])
            assert pair.predictions[1] == pytest.approx(result.predictions[other])


def made(number, seed=0):
    rng = np.random.default_rng(seed)
    rows = np.zeros(number, FINGERPRINT)
    rows["codes"] = rng.integers(0, 2**64, rows["codes"].shape, np.uint64)
    rows["tiny"] = rng.integers(0, 256, rows["tiny"].shape, np.uint8)
    rows["size"] = rng.integers(900, 1000, (number, 2))
    return rows


def test_one_of_each_group_is_kept_and_order_changes_nothing():
    sources = [
        p for name in PHOTOS for p in (photo(name), *(e(photo(name)) for e in EDITS.values()))
    ]
    rows = fingerprints(*sources, *[photo(name) for name in OTHERS])
    whole = NearDuplicates().compare(rows)
    assert len(whole.groups) == len(PHOTOS)
    for group in whole.groups:
        assert [bool(whole.predictions[i] > 0.5) for i in group] == [False] + [True] * (
            len(group) - 1
        )
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(rows))
        again = NearDuplicates().compare(rows[order])
        assert again.predictions == pytest.approx(whole.predictions[order])
        assert sorted(tuple(order[list(group)]) for group in again.groups) == sorted(whole.groups)


def test_a_hundred_thousand_equal_fingerprints_are_one_group():
    rows = np.repeat(made(1), 100_000)
    result = NearDuplicates().compare(rows)
    assert [len(group) for group in result.groups] == [100_000]
    assert result.predictions.sum() == 99_999


def test_frames_of_one_scene_are_one_group():
    rows = np.repeat(made(1), 20_000)
    rng = np.random.default_rng(0)
    for bit in rng.choice(64, 9, replace=False):  # signs that noise decides
        flipped = rng.integers(0, 2, rows["codes"].shape, np.uint64)
        rows["codes"] ^= flipped << np.uint64(bit)
    rows["tiny"][:, 0, 0] = rng.integers(0, 9, len(rows))
    result = NearDuplicates().compare(rows)
    assert [len(group) for group in result.groups] == [20_000]


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (5, 7), (47, 48), (64, 48)])
def test_any_picture_has_a_fingerprint(shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    row = fingerprints(noise)[0]
    assert row["tiny"].shape == (TINY, TINY)
    assert FINGERPRINT.itemsize <= 220
    assert alike(noise, noise) == 1


@pytest.mark.parametrize("radius", [-1, 17])
def test_a_radius_that_makes_no_sense_is_refused(radius):
    with pytest.raises(ParameterValueError, match="radius"):
        NearDuplicates(radius=radius)


def test_a_wider_radius_finds_more():
    small = cut(photo("coffee"), 0.025)
    found = [alike(photo("coffee"), small, radius=r, cropped=False) > 0.5 for r in (0, 4, 8, 16)]
    assert found == sorted(found)
    assert found[-1]
    assert not found[0]


def test_views_find_what_is_cut():
    rows = [photo(name) for name in PHOTOS]
    copies = [cut(pixels, 0.08) for pixels in rows]
    plain, views = (compared(*rows, *copies, cropped=c).predictions for c in (False, True))
    assert np.count_nonzero(views > 0.5) > np.count_nonzero(plain > 0.5)


def test_it_goes_through_scan(tmp_path):
    coffee = photo("coffee")
    small = cv2.resize(coffee, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    for name, pixels in {"a": small, "b": coffee, "c": photo("chelsea")}.items():
        (tmp_path / f"{name}.jpg").write_bytes(jpeg(pixels))
    names = [str(tmp_path / f"{name}.jpg") for name in "abc"]
    results = list(scan(names, [NearDuplicates()]))
    assert [result.suitable for result in results] == [False, True, True]
    assert results[0].companions["near_duplicates"] == (names[1], names[0])


def crowd(number, copies=1, seed=0):
    """Different photos of equal codes, and smaller, edited copies of each."""
    rng = np.random.default_rng(seed)
    rows = np.repeat(made(1), number * (1 + copies))
    pictures = rng.integers(0, 256, (number, TINY, TINY)).astype(float)
    for copy in range(1 + copies):
        part = slice(copy * number, (copy + 1) * number)
        noise = rng.normal(0, 1.5 if copy else 0, pictures.shape)
        edited = pictures * rng.uniform(0.7, 1, (number, 1, 1)) + noise if copy else pictures
        rows["tiny"][part] = np.clip(edited, 0, 255)
        rows["size"][part] = (4000 // (copy + 1), 3000 // (copy + 1))
    return rows


def test_many_different_photos_of_one_code_cost_no_more_each_and_their_copies_are_found():
    calls = []

    def counted(ones, others, *, likeness=near_duplicates.likeness):
        calls.append(len(ones))
        return likeness(ones, others)

    costs = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "likeness", counted)
        for number in (300, 1200):
            calls.clear()
            result = NearDuplicates(cropped=False).compare(crowd(number))
            costs[number] = sum(calls) / number
            assert not (result.predictions[:number] > 0).any()
            assert (result.predictions[number:] > 0.5).mean() > 0.99
    assert costs[1200] < 1.5 * costs[300]
    assert costs[1200] < 100


def test_equal_photos_and_bursts_among_many_different_ones_of_their_code_are_one_group_each():
    rows = np.concatenate([crowd(300, copies=0), np.repeat(crowd(301, 0)[-1:], 200)])
    rows["size"][300:] = (10, 10)  # the worst ones: they come last
    burst = np.repeat(crowd(302, 0)[-1:], 60)
    burst["size"] = (9, 9)
    burst["tiny"][:, 0, :9] ^= np.random.default_rng(0).integers(0, 4, (60, 9), np.uint8)
    result = NearDuplicates(cropped=False).compare(np.concatenate([rows, burst]))
    assert sorted(map(len, result.groups)) == [60, 200]
