"""Every built-in filter shows where it sees what it looks for, and shows the right place."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pytest
from skimage import data

from qualipy_core import Filter, Image, plugins
from qualipy_core.explanation import Boxes, HeatMap, Inset, Lines, Mask
from qualipy_core.opencv import cv2
from qualipy_core.testing import sample_images
from qualipy_filters_builtin import text_detection
from qualipy_filters_builtin.blurred_context import BlurredContext
from qualipy_filters_builtin.cross_processed import CrossProcessed
from qualipy_filters_builtin.dark import Dark
from qualipy_filters_builtin.exposure import Exposure
from qualipy_filters_builtin.fisheye import Fisheye
from qualipy_filters_builtin.framed import Framed
from qualipy_filters_builtin.grayscale import Grayscale
from qualipy_filters_builtin.hdr import HDR
from qualipy_filters_builtin.highlights import Highlights
from qualipy_filters_builtin.light import Light
from qualipy_filters_builtin.low_information import LowInformation
from qualipy_filters_builtin.multiple_salient_regions import MultipleSalientRegions
from qualipy_filters_builtin.object_too_small import ObjectTooSmall
from qualipy_filters_builtin.pattern import Pattern
from qualipy_filters_builtin.posterized import Posterized
from qualipy_filters_builtin.tesseract import Word
from qualipy_filters_builtin.text_detection import TextDetection
from qualipy_filters_builtin.unconventional_size import UnconventionalSize
from qualipy_filters_builtin.whole_blur import WholeBlur

CLASSES = [
    BlurredContext,
    CrossProcessed,
    Dark,
    Exposure,
    Fisheye,
    Framed,
    Grayscale,
    HDR,
    Highlights,
    Light,
    LowInformation,
    MultipleSalientRegions,
    ObjectTooSmall,
    Pattern,
    Posterized,
    TextDetection,
    UnconventionalSize,
    WholeBlur,
]


def shown(item, pixels):
    return item.explanation(Image(pixels))


def parts(item, pixels, kind):
    return [layer for layer in shown(item, pixels).layers if isinstance(layer, kind)]


def heat(item, pixels):
    (layer,) = parts(item, pixels, HeatMap)
    return layer


def found(item, pixels, kind):
    """The one layer of a kind that shows the property itself."""
    (layer,) = [layer for layer in parts(item, pixels, kind) if layer.role == "found"]
    return layer


def half_blurred(photo, sigma=6):
    """The left half out of focus."""
    result = photo.copy()
    middle = photo.shape[1] // 2
    result[:, :middle] = cv2.GaussianBlur(photo, (0, 0), sigma)[:, :middle]
    return result


@functools.cache
def small(name, side=480):
    pixels = getattr(data, name)()
    scale = side / max(pixels.shape[:2])
    return cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("cls", CLASSES)
def test_every_built_in_filter_explains_itself(cls):
    assert cls.explain is not Filter.explain
    for pixels in (small("astronaut"), small("coffee")):
        explanation = shown(cls(), pixels)
        assert explanation is not None
        assert any(character.isdigit() for character in explanation.summary) or not any(
            parts(cls(), pixels, Boxes)
        )


def test_no_built_in_filter_that_judges_a_photo_by_itself_is_mute():
    registry = plugins.registry()
    builtin = [e.name for e in registry.entries() if e.distribution == "qualipy-filters-builtin"]
    alone = [cls for cls in map(registry.get, builtin) if issubclass(cls, Filter)]
    assert {cls.name for cls in CLASSES} <= {cls.name for cls in alone}
    for cls in alone:
        assert shown(cls(), small("coffee")) is not None


@pytest.mark.parametrize("cls", CLASSES)
def test_an_explanation_is_the_same_whether_the_filter_measured_first(cls):
    image = Image(small("chelsea"))
    before = cls().explanation(image)
    prediction = cls().prediction(image)
    after = cls().explanation(image)
    assert before.summary == after.summary == cls().explanation(Image(small("chelsea"))).summary
    assert prediction == cls().prediction(Image(small("chelsea")))


@pytest.mark.parametrize("cls", CLASSES)
def test_odd_pictures_are_explained_without_a_warning(cls):
    pictures = {
        **sample_images(),
        "long column": np.full((20000, 1, 3), 90, np.uint8),
        "half white": np.repeat(np.array([[0, 255]], np.uint8), 100, axis=1),
    }
    for pixels in pictures.values():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert shown(cls(), pixels).summary


@pytest.mark.parametrize("item", [WholeBlur(), BlurredContext()])
def test_the_map_of_blur_is_hotter_where_the_photo_is_out_of_focus(item):
    for name in ("astronaut", "coffee", "rocket"):
        layer = heat(item, half_blurred(small(name)))
        middle = layer.values.shape[1] // 2
        left, right = (
            np.average(layer.values[:, side], weights=layer.weight[:, side] + 1e-3)
            for side in (slice(middle - 2), slice(middle + 2, None))
        )
        assert left > right + 0.2


def test_the_direction_of_movement_is_the_one_in_which_detail_is_missing():
    along = np.full((1, 15), 1 / 15)
    for kernel, direction in ((along, 0), (along.T, 90)):
        (chart,) = shown(WholeBlur(), cv2.filter2D(small("astronaut"), -1, kernel)).charts
        line = chart.series[-1]
        assert line.x[line.y.argmin()] % 180 == direction
        assert (
            f"{direction}°"
            in shown(WholeBlur(), cv2.filter2D(small("astronaut"), -1, kernel)).summary
        )


def test_what_is_too_white_and_too_black_is_covered():
    pixels = np.full((300, 400, 3), 120, np.uint8)
    pixels[:100], pixels[200:] = 255, 0
    white, black = (layer.where for layer in parts(Exposure(), pixels, Mask))
    assert white[: len(white) // 4].all()
    assert black[-len(black) // 4 :].all()
    assert not (white & black).any()
    assert not white[len(white) // 2].any()


def test_the_average_tone_is_marked_in_the_histogram():
    for level in (40, 128, 230):
        (chart,) = shown(Exposure(), np.full((64, 64, 3), level, np.uint8)).charts
        assert {text: x for x, text in chart.marks}["average"] == pytest.approx(
            min(level, 160) if level < 128 else level
        )


def test_the_largest_blown_out_region_is_set_apart():
    pixels = np.full((300, 400, 3), 90, np.uint8)
    cv2.circle(pixels, (300, 100), 40, (255,) * 3, -1)
    cv2.circle(pixels, (80, 200), 15, (255,) * 3, -1)
    lamp = found(Highlights(), pixels, Mask).where
    (other,) = [layer.where for layer in parts(Highlights(), pixels, Mask) if layer.role == "other"]
    rows, columns = np.nonzero(lamp)
    assert abs(columns.mean() / lamp.shape[1] - 300 / 400) < 0.02
    assert abs(rows.mean() / lamp.shape[0] - 100 / 300) < 0.02
    assert other.any()
    assert not (lamp & other).any()
    assert lamp.sum() > other.sum()


def test_a_halo_is_hotter_than_an_ordinary_edge():
    def picture(halo):
        x = np.arange(480.0) - 240
        tone = 128 + 60 * np.sign(x) + halo * np.sign(x) * np.exp(-np.abs(x) / 40)
        return np.repeat(np.clip(tone, 0, 255).astype(np.uint8)[None], 360, axis=0)

    def strength(halo):
        layer = heat(HDR(), picture(halo))
        return np.average(layer.values, weights=layer.weight + 1e-6)

    assert strength(60) > strength(30) > strength(0)
    layer = heat(HDR(), picture(60))
    middle = layer.weight.shape[1] // 2
    assert layer.weight[:, middle - 1 : middle + 1].min() > 0.9
    assert layer.weight[:, :10].max() < 0.1


def test_the_flat_areas_and_their_few_tones_are_shown():
    pixels = np.repeat(np.repeat(np.arange(40, 240, 50, dtype=np.uint8), 80)[None], 300, axis=0)
    flat = found(Posterized(), pixels, Mask).where
    assert flat.mean() > 0.9
    (chart,) = shown(Posterized(), pixels).charts
    (line,) = chart.series
    assert np.flatnonzero(line.y).tolist() == [40, 90, 140, 190]


def test_shadows_and_highlights_are_shown_in_the_hue_that_they_lean_to():
    ramp = np.repeat(np.linspace(0, 255, 400)[None], 300, axis=0)
    rest = 1 - np.abs(ramp / 127.5 - 1)
    pixels = np.stack([ramp, ramp, ramp], axis=2)
    pixels[..., 2] += np.where(ramp < 128, 90, -90) * (0.4 + rest)
    picture = np.clip(pixels, 0, 255).astype(np.uint8)
    shadows, _, highlights = parts(CrossProcessed(), picture, Mask)
    assert "blue" in shadows.label
    assert "yellow" in highlights.label
    assert shadows.color[2] > shadows.color[0]
    assert highlights.color[2] < highlights.color[0]
    fifth = shadows.where.shape[1] // 5
    assert shadows.where[:, :fifth].all()
    assert highlights.where[:, -fifth:].all()
    grey = shown(CrossProcessed(), np.repeat(ramp.astype(np.uint8)[..., None], 3, axis=2))
    assert "shadows grey" in grey.summary


def through_fisheye(pixels, strength=0.6):
    """Barrel distortion by the division model, around the middle."""
    height, width = pixels.shape[:2]
    half = np.hypot(height, width) / 2
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = (x - width / 2) / half, (y - height / 2) / half
    factor = (1 - strength) / (1 - strength * (x**2 + y**2))
    map_x, map_y = x * factor * half + width / 2, y * factor * half + height / 2
    return cv2.remap(pixels, map_x.astype(np.float32), map_y.astype(np.float32), cv2.INTER_LINEAR)


def grid(height=480, width=640, step=40):
    pixels = np.full((height, width, 3), 200, np.uint8)
    for x in range(step // 2, width, step):
        pixels[:, x - 2 : x + 2] = 30
    for y in range(step // 2, height, step):
        pixels[y - 2 : y + 2] = 30
    return pixels


def test_bent_lines_are_told_from_straight_ones():
    straight, bent = (
        {layer.role: len(layer.lines) for layer in parts(Fisheye(), pixels, Lines)}
        for pixels in (grid(step=96), through_fisheye(grid(step=96)))
    )
    assert straight["other"] > 5 * straight["found"]
    assert bent["found"] > 3 * bent["other"]


def test_the_lines_of_a_fisheye_lie_on_edges():
    pixels = through_fisheye(grid())
    dark = cv2.erode(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.ones((9, 9), np.uint8)) < 120
    lines = np.concatenate(found(Fisheye(), pixels, Lines).lines)
    size = (pixels.shape[1], pixels.shape[0])
    columns, rows = np.clip((lines * size).astype(int), 0, np.array(size) - 1).T
    assert dark[rows, columns].mean() > 0.95


def test_the_circle_of_a_circular_fisheye_is_drawn():
    photo = small("astronaut", 400)
    y, x = np.mgrid[:400, :400]
    photo = np.where((np.hypot(x - 200, y - 200) < 170)[..., None], photo, 0).astype(np.uint8)
    (circle,) = [layer for layer in parts(Fisheye(), photo, Lines) if "circle" in layer.label]
    radius = np.hypot(*(circle.lines[0] - 0.5).T)
    assert np.allclose(radius, 170 / 400, atol=0.02)


@pytest.mark.parametrize("color", [(250, 250, 245), (10, 10, 10), (120, 30, 40)])
def test_the_lines_of_a_frame_lie_at_its_inner_edge(color):
    photo = small("coffee", 400)
    top, bottom, left, right = 30, 60, 20, 44
    pixels = cv2.copyMakeBorder(photo, top, bottom, left, right, cv2.BORDER_CONSTANT, value=color)
    height, width = pixels.shape[:2]
    lines = found(Framed(), pixels, Lines).lines
    assert len(lines) == 4
    expected = [top / height, 1 - bottom / height, left / width, 1 - right / width]
    for line, place, axis in zip(lines, expected, (1, 1, 0, 0), strict=True):
        assert np.allclose(line[:, axis], place, atol=0.02)


def test_a_thin_line_around_a_photo_is_found_where_it_is_drawn():
    photo = cv2.GaussianBlur(small("astronaut", 480), (0, 0), 2)
    photo[24:30, 24:-24] = photo[-30:-24, 24:-24] = 255
    photo[24:-24, 24:30] = photo[24:-24, -30:-24] = 255
    lines = found(Framed(), photo, Lines).lines
    assert len(lines) == 4
    top, bottom, left, right = lines
    assert abs(top[:, 1].mean() - 27 / 480) < 0.02
    assert abs(bottom[:, 1].mean() - (1 - 27 / 480)) < 0.02
    assert abs(left[:, 0].mean() - 27 / 480) < 0.02
    assert abs(right[:, 0].mean() - (1 - 27 / 480)) < 0.02


def test_a_photo_without_a_frame_has_no_line_of_one():
    for name in ("astronaut", "chelsea", "coffee"):
        assert len(found(Framed(), small(name), Lines).lines) < 4


def stripes(period, angle, side=400):
    y, x = np.mgrid[:side, :side]
    turn = np.radians(angle)
    wave = np.sin(2 * np.pi * (x * np.cos(turn) + y * np.sin(turn)) / period)
    return (128 + 100 * wave).astype(np.uint8)


@pytest.mark.parametrize(("period", "angle"), [(20, 0), (20, 90), (32, 30), (16, 120)])
def test_the_rulers_of_a_pattern_have_its_period_and_direction(period, angle):
    pixels = stripes(period, angle)
    rulers = found(Pattern(), pixels, Lines).lines
    assert len(rulers) >= 9
    for ruler in rulers:
        bars = ruler[::4]  # each bar begins on the line
        steps = np.diff(bars, axis=0)
        assert np.allclose(np.hypot(*steps.T) * 400, period, rtol=0.15)
        direction = np.degrees(np.arctan2(steps[0, 1], steps[0, 0])) % 180
        assert min(abs(direction - angle), 180 - abs(direction - angle)) < 8


@pytest.mark.parametrize("tone", [0, 90, 255])
def test_plain_parts_of_a_pattern_have_no_rulers(tone):
    pixels = stripes(20, 0)
    pixels[:, :200] = tone
    rulers = [ruler for layer in parts(Pattern(), pixels, Lines) for ruler in layer.lines]
    assert len(rulers) >= 6
    for ruler in rulers:
        assert ruler[:, 0].mean() > 0.4


def test_the_peaks_of_a_spectrum_are_marked_where_it_is_highest():
    (inset,) = shown(Pattern(), stripes(16, 30)).charts
    assert isinstance(inset, Inset)
    rows, columns = inset.values.shape
    for x, y in inset.points:
        assert inset.values[min(int(y * rows), rows - 1), min(int(x * columns), columns - 1)] > 0.9


@pytest.mark.parametrize(("x", "y"), [(40, 80), (260, 380)])
def test_a_box_lies_around_a_drawn_word(x, y):
    pixels = cv2.GaussianBlur(small("coffee", 600), (0, 0), 8)
    cv2.putText(pixels, "Marmalade", (x, y), cv2.FONT_HERSHEY_SIMPLEX, 1.4, (250,) * 3, 3)
    height, width = pixels.shape[:2]
    boxes = found(TextDetection(), pixels, Boxes).boxes * (width, height, width, height)
    word = (x, y - 32, 230, 34)
    overlap = max(
        max(0, min(bx + bw, x + 230) - max(bx, x)) * max(0, min(by + bh, y + 2) - max(by, y - 32))
        for bx, by, bw, bh in boxes
    )
    assert overlap > 0.5 * word[2] * word[3]
    layer = heat(TextDetection(), pixels)
    rows, columns = layer.values.shape
    hottest = np.unravel_index(layer.values.argmax(), layer.values.shape)
    assert x - 30 < hottest[1] / columns * width < x + 260
    assert y - 60 < hottest[0] / rows * height < y + 30


def test_what_tesseract_read_is_boxed(monkeypatch):
    words = [Word("Hello", 0.9, (0.1, 0.2, 0.3, 0.1)), Word("a", 0.99, (0.5, 0.5, 0.1, 0.1))]
    monkeypatch.setattr(text_detection, "read_words", lambda program, pixels: words)
    explanation = shown(TextDetection(tesseract_path="tesseract"), small("coffee"))
    assert np.allclose(explanation.layers[0].boxes, [words[0].box])
    assert "'Hello', 90%" in explanation.summary
    monkeypatch.setattr(text_detection, "read_words", lambda program, pixels: [])
    assert "no word" in shown(TextDetection(tesseract_path="tesseract"), small("coffee")).summary


@pytest.mark.parametrize("tall", [False, True])
def test_the_part_beyond_16_9_is_covered(tall):
    photo = small("coffee")[:120]
    pixels = np.ascontiguousarray(photo.swapaxes(0, 1)) if tall else photo
    beyond = found(UnconventionalSize(), pixels, Mask).where
    long, short = max(pixels.shape[:2]), min(pixels.shape[:2])
    assert beyond.mean() == pytest.approx(1 - 16 / 9 * short / long, abs=0.01)
    lines = np.stack(parts(UnconventionalSize(), pixels, Lines)[0].lines)
    axis = 1 if tall else 0
    assert np.ptp(lines[:, 0, axis]) * long / short == pytest.approx(16 / 9, rel=0.01)
    assert not parts(UnconventionalSize(), small("coffee"), Mask)


@pytest.mark.parametrize(
    ("cls", "ground", "thing"),
    [
        (Dark, (0, 0, 0), (120, 120, 120)),
        (Light, (255, 255, 255), (60, 60, 60)),
        (LowInformation, (128, 128, 128), None),  # of many tones
        (Grayscale, (128, 128, 128), (200, 60, 60)),
    ],
)
def test_what_speaks_against_a_photo_without_anything_is_shown_where_it_is(cls, ground, thing):
    pixels = np.full((300, 400, 3), ground, np.uint8)
    nothing = shown(cls(), pixels)
    assert not nothing.layers[0].where.any()
    assert cls().predict(pixels)
    tones = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    tones = cv2.resize(tones, (100, 90), interpolation=cv2.INTER_NEAREST)
    pixels[150:240, 200:300] = tones if thing is None else thing
    (layer,) = shown(cls(), pixels).layers
    assert layer.role == "other"
    rows, columns = layer.where.shape
    within = np.zeros_like(layer.where)
    within[rows // 2 : round(0.8 * rows), columns // 2 : round(0.75 * columns)] = True
    assert layer.where[within].mean() > 0.8
    around = cv2.dilate(within.astype(np.uint8), np.ones((9, 9))) > 0
    assert not layer.where[~around].any()
    assert not cls().predict(pixels)
    assert shown(cls(), pixels).summary != nothing.summary


def blob(pixels, x, y, radius):
    cv2.circle(pixels, (x, y), radius, (200, 40, 30), -1)


def test_the_saliency_of_a_small_object_peaks_on_it():
    pixels = np.full((300, 400, 3), (110, 140, 120), np.uint8)
    blob(pixels, 290, 90, 18)
    layer = heat(ObjectTooSmall(), pixels)
    row, column = np.unravel_index(layer.values.argmax(), layer.values.shape)
    assert abs((column + 0.5) / layer.values.shape[1] - 290 / 400) < 0.08
    assert abs((row + 0.5) / layer.values.shape[0] - 90 / 300) < 0.08
    box = found(ObjectTooSmall(), pixels, Boxes).boxes[0]
    assert box[0] < 290 / 400 < box[0] + box[2]
    assert box[1] < 90 / 300 < box[1] + box[3]


def test_each_of_two_subjects_is_in_a_box_of_its_own():
    pixels = np.full((300, 400, 3), (110, 140, 120), np.uint8)
    blob(pixels, 90, 150, 40)
    blob(pixels, 310, 150, 40)
    boxes = np.concatenate(
        [layer.boxes for layer in parts(MultipleSalientRegions(), pixels, Boxes)]
    )
    for x in (90, 310):
        assert sum(b[0] < x / 400 < b[0] + b[2] and b[1] < 0.5 < b[1] + b[3] for b in boxes) == 1


@pytest.mark.parametrize("cls", [ObjectTooSmall, MultipleSalientRegions])
def test_a_map_of_saliency_shows_its_own_bright_part(cls):
    pixels = np.zeros((200, 200), np.uint8)
    pixels[50:90, 60:120] = 255
    (layer,) = parts(cls(is_saliency_map=True), pixels, Mask)
    assert np.array_equal(layer.where, pixels > 0)
