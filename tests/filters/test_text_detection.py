"""text_detection: lettering is found whatever its look, and textures are not taken for it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from qualipy_core import Image
from qualipy_core.opencv import cv2
from qualipy_core.testing import FilterContract
from qualipy_filters_builtin.convolution import Convolution, Geometry, Network, shipped
from qualipy_filters_builtin.onnx import INPUT, Graph
from qualipy_filters_builtin.text_detection import TextDetection
from qualipy_filters_builtin.text_network import TextNetwork, blocks, evidence, pyramid
from qualipy_filters_builtin.text_regions import text_maps

Pixels = NDArray[np.uint8]


def photo(name: str, side: int = 512) -> Pixels:
    """A bundled photo in RGB, shrunk."""
    pixels = getattr(data, name)()
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    scale = side / max(pixels.shape[:2])
    return cv2.resize(pixels[:, :, :3], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def captioned(
    pixels: Pixels,
    caption: str = "Summer holidays",
    size: float = 1.0,
    tone: int = 255,
    x: int = 40,
) -> Pixels:
    """A photo with a caption near its lower edge."""
    lettered = pixels.copy()
    at = (x, pixels.shape[0] - 60)
    weight = max(1, round(2 * size))
    face = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(lettered, caption, at, face, size, (tone,) * 3, weight, cv2.LINE_AA)
    return lettered


def measured(pixels: Pixels) -> float:
    return TextDetection().measure(Image(pixels))


class TestTextDetection(FilterContract):
    filter_class = TextDetection

    def positives(self) -> Sequence[Any]:
        return [data.page(), captioned(photo("chelsea")), captioned(photo("coffee"), size=2)]

    def negatives(self) -> Sequence[Any]:
        return [photo("chelsea"), photo("grass"), photo("gravel"), photo("moon")]


@pytest.mark.parametrize("name", ["chelsea", "coffee", "camera"])
def test_a_caption_raises_the_degree(name: str) -> None:
    assert measured(captioned(photo(name))) > measured(photo(name))


@pytest.mark.parametrize("size", [0.6, 1.0, 2.0, 3.0])
def test_captions_are_found_at_several_sizes(size: float) -> None:
    caption = "Summer holidays" if size < 1.5 else "Summer"
    assert measured(captioned(photo("chelsea"), caption, size)) > 0.5


@pytest.mark.parametrize("tone", [0, 255])
def test_dark_and_bright_lettering_are_found(tone: int) -> None:
    ground = np.full((300, 400, 3), 128, np.uint8)
    assert measured(captioned(ground, "Summer holidays", 1.0, tone)) > 0.5


def test_a_board_without_words_is_no_text() -> None:
    board = photo("chelsea")
    cv2.rectangle(board, (60, 200), (330, 290), (240,) * 3, -1)
    cv2.rectangle(board, (66, 206), (324, 284), (20,) * 3, 3)
    assert measured(board) < 0.5
    assert measured(captioned(board, "Entrance", 1.3, 0, 80)) > 0.5


def test_fences_bricks_and_panes_are_no_text() -> None:
    fence = np.full((384, 512, 3), 200, np.uint8)
    fence[:, ::24] = fence[:, 1::24] = fence[:, 2::24] = 60
    panes = np.full((384, 512, 3), 90, np.uint8)
    for top in range(10, 360, 60):
        for left in range(10, 480, 48):
            panes[top : top + 44, left : left + 32] = 200
    assert measured(fence) < 0.5
    assert measured(panes) < 0.5
    assert measured(photo("brick")) < 0.5


def test_jpeg_and_resizing_do_not_change_the_verdict() -> None:
    for pixels in (captioned(photo("chelsea"), size=1.5), photo("chelsea")):
        verdict = measured(pixels) > 0.5
        coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
        assert (measured(cv2.imdecode(coded, cv2.IMREAD_COLOR)) > 0.5) == verdict
        smaller = cv2.resize(pixels, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)
        assert (measured(smaller) > 0.5) == verdict


def test_mirrored_lettering_is_lettering() -> None:
    assert measured(captioned(photo("chelsea"))[:, ::-1].copy()) > 0.5


def test_the_map_shows_where_the_lettering_is() -> None:
    cells = text_maps(Image(captioned(np.full((384, 512, 3), 120, np.uint8))))[0]
    row, column = np.unravel_index(int(cells.argmax()), cells.shape)
    assert 36 <= row <= 42
    assert 4 <= column <= 38


def test_pictures_too_small_for_a_word_hold_none() -> None:
    assert text_maps(Image(np.zeros((5, 900, 3), np.uint8))) == ()
    assert measured(np.zeros((1, 1, 3), np.uint8)) == 0


@pytest.mark.parametrize("shape", [(16, 16), (16, 900), (37, 301), (384, 512)])
def test_a_map_covers_its_level_with_cells_of_8_pixels(shape: tuple[int, int]) -> None:
    level = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    maps = text_maps(Image(level))
    sizes = [tuple(-(-side // 8) for side in level.shape) for level in pyramid(level)]
    if max(shape) <= 512:
        assert [cells.shape for cells in maps] == sizes
    for cells in maps:
        assert cells.dtype == np.float32
        assert ((cells >= 0) & (cells <= 1)).all()


def test_blocks_are_the_pixels_without_brightness_and_contrast() -> None:
    level = cv2.cvtColor(photo("camera"), cv2.COLOR_RGB2GRAY)
    seen = blocks(level)
    assert seen.shape == (16, 129, 129)
    fainter = blocks((level // 2 + 60).astype(np.uint8))
    assert np.corrcoef(seen.ravel(), fainter.ravel())[0, 1] > 0.97
    # Pixel (2, 2) of the second block is that of the level, two pixels beyond the border.
    flat = np.full((32, 32), 100, np.uint8)
    assert np.allclose(blocks(flat), 0, atol=1e-3)
    flat[4, 5] = 200
    assert np.unravel_index(blocks(flat).argmax(), (16, 9, 9)) == (4 * 2 + 3, 1, 1)


def test_more_lettering_is_more_evidence() -> None:
    few, many = np.full((10, 10), 0.01, np.float32), np.full((10, 10), 0.01, np.float32)
    few[4, 2:7] = many[4, 2:7] = many[6, 2:9] = 0.97
    none = evidence([np.full((10, 10), 0.01, np.float32)])
    assert (evidence([few]) > none).all()
    assert (evidence([many]) >= evidence([few])).all()
    assert evidence([many])[1] > evidence([few])[1]
    assert np.isfinite(evidence([])).all()


@pytest.mark.parametrize(
    "geometry", [Geometry(), Geometry(2, 1), Geometry(1, 2, 2), Geometry(4, 1), Geometry(2, 0, 2)]
)
@pytest.mark.parametrize(("channels", "by_channel"), [(5, False), (6, True)])
def test_a_convolution_sums_what_its_kernel_sees(
    geometry: Geometry, channels: int, by_channel: bool
) -> None:
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(37, 44, channels)).astype(np.float32)
    weight = rng.normal(size=(3, 3, 1 if by_channel else channels, 6)).astype(np.float32)
    bias = rng.normal(size=6).astype(np.float32)

    def convolved(rectified: bool) -> NDArray[np.float32]:
        graph = Graph()
        laid = geometry._replace(by_channel=by_channel)
        result = Convolution(weight, bias, laid)(graph, INPUT, rectified)
        network = Network(graph.described(result, channels))
        return network(maps.transpose(2, 0, 1)[None])[0].transpose(1, 2, 0).copy()

    found = convolved(rectified=False)
    stride, padding, dilation, _ = geometry
    padded = np.pad(maps, ((padding, padding), (padding, padding), (0, 0)))
    for row, column in ((0, 0), (1, 2), (found.shape[0] - 1, found.shape[1] - 1)):
        top, left = row * stride, column * stride
        reach = 2 * dilation + 1
        seen = padded[top : top + reach : dilation, left : left + reach : dilation]
        sums = "yxc,yxc->c" if by_channel else "yxc,yxcf->f"
        kernel = weight[:, :, 0] if by_channel else weight
        expected = np.einsum(sums, seen, kernel) + bias
        assert found[row, column] == pytest.approx(expected, abs=1e-4)
    assert np.array_equal(convolved(rectified=True), np.maximum(found, 0))


def test_threads_and_places_in_memory_change_no_bit_of_a_map() -> None:
    network = TextNetwork(shipped("text_detection.npz"))
    level = np.ascontiguousarray(photo("camera")[:300, :, 0])
    cells = network(level)
    elsewhere = np.empty(level.size + 64, np.uint8)
    threads = cv2.getNumThreads()
    try:
        for number, offset in ((1, 0), (2, 1), (3, 4), (8, 33)):
            cv2.setNumThreads(number)
            moved = elsewhere[offset : offset + level.size].reshape(level.shape)
            moved[:] = level
            assert np.array_equal(network(moved), cells)
    finally:
        cv2.setNumThreads(threads)


def test_threads_can_look_at_pictures_at_once() -> None:
    network = TextNetwork(shipped("text_detection.npz"))
    levels = [np.ascontiguousarray(photo(name)[:, :, 0]) for name in ("camera", "chelsea")] * 8
    alone = [network(level) for level in levels]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(network, levels))
    assert all(np.array_equal(*pair) for pair in zip(alone, together, strict=True))
