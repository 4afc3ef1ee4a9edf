"""Arcs along edges: their curvature, and the lens that bent them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from qualipy_core import Image
from qualipy_core.opencv import cv2
from qualipy_filters_builtin.curvature import Bending, bending, edge_arcs, radial_squeeze

Pixels = NDArray[np.uint8]


def _disc(radius: int) -> Pixels:
    picture = np.full((300, 384, 3), 40, np.uint8)
    return cv2.circle(picture, (192, 150), radius, (220, 220, 220), -1)


def _grid(bend: float) -> Pixels:
    """Draw squares in each other, through a lens of the division model with λ = -bend."""
    y, x = np.mgrid[:300, :384].astype(np.float64)
    x, y = (x - 191.5) / 243.6, (y - 149.5) / 243.6
    gain = 1 / (1 - bend * (x**2 + y**2))
    along = np.where(np.abs(x) > np.abs(y), x, y) * gain  # squares in each other
    lines = np.abs((along / 0.2) % 1 - 0.5) < 0.25
    smooth = cv2.GaussianBlur(lines.astype(np.float32) * 200 + 20, (0, 0), 0.7)
    return np.repeat(smooth.astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("radius", [130, 160, 200])
def test_the_arcs_of_a_disc_have_its_curvature(radius: int) -> None:
    arcs = edge_arcs(Image(_disc(radius)))
    half_diagonal = np.hypot(300, 384) / 2
    assert np.median(np.abs(arcs.curvature)) == pytest.approx(half_diagonal / radius, rel=0.1)


def test_straight_edges_have_no_curvature() -> None:
    arcs = edge_arcs(Image(_grid(0.0)))
    assert len(arcs.curvature) > 20
    assert np.quantile(np.abs(arcs.curvature), 0.9) < 0.1


@pytest.mark.parametrize("step", [12, 16, 20])
def test_edges_are_followed_across_other_edges(step: int) -> None:
    picture = np.full((256, 256, 3), 200, np.uint8)
    for place in range(step // 2, 256, step):  # nearer to each other than an arc is long
        picture[:, place : place + 2] = picture[place : place + 2] = 30
    arcs = edge_arcs(Image(picture))
    assert len(arcs.curvature) > 100
    assert np.quantile(np.abs(arcs.curvature), 0.9) < 0.1


def test_the_strength_rises_with_the_bend() -> None:
    strengths = [bending(edge_arcs(Image(_grid(b)))).strength for b in (-0.2, 0, 0.2, 0.5)]
    assert strengths == sorted(strengths)
    assert strengths[0] < 0 < strengths[-1]


def test_arcs_of_a_bent_grid_agree_and_arcs_of_a_straight_one_are_straight() -> None:
    bent, straight = (bending(edge_arcs(Image(_grid(b)))) for b in (0.5, 0.0))
    assert bent.consistency > 0.6 > 0.2 > abs(straight.consistency)
    assert straight.straightness > 0.6 > bent.straightness


def test_a_mirrored_picture_bends_alike() -> None:
    picture = _grid(0.4)
    one, other = (
        bending(edge_arcs(Image(np.ascontiguousarray(p)))) for p in (picture, picture[:, ::-1])
    )
    assert other.strength == pytest.approx(one.strength, abs=0.08)


def test_rings_are_squeezed_along_the_radius_and_rays_around_it() -> None:
    y, x = np.mgrid[:300, :384].astype(np.float64)
    radius, angle = np.hypot(x - 191.5, y - 149.5), np.arctan2(y - 149.5, x - 191.5)
    rings = (127 + 100 * np.sin(radius / 3)).astype(np.uint8)
    rays = (127 + 100 * np.sin(angle * 40)).astype(np.uint8)
    assert min(radial_squeeze(Image(rings))) > 0.5
    assert max(radial_squeeze(Image(rays))) < -0.5


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (20, 20), (300, 400)])
def test_a_picture_without_edges_says_nothing(size: tuple[int, int]) -> None:
    image = Image(np.full((*size, 3), 90, np.uint8))
    assert bending(edge_arcs(image)) == Bending()
    assert not any(radial_squeeze(image))
