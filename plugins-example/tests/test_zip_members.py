from __future__ import annotations

import zipfile

import numpy as np
import pytest
from qualipy_example_pack import zip_members
from qualipy_example_pack.low_resolution import LowResolution

from qualipy_core import Image, scan
from qualipy_core.errors import ImageForbiddenError
from qualipy_core.opencv import cv2
from qualipy_core.roots import Roots
from qualipy_core.testing import hooked

PICTURE = np.full((30, 40, 3), (200, 100, 50), np.uint8)


@pytest.fixture
def archive(tmp_path):
    encoded = cv2.imencode(".png", PICTURE[..., ::-1])[1].tobytes()
    path = tmp_path / "album.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("summer/beach.png", encoded)
        opened.writestr("notes.txt", "no photo")
    return path


@pytest.fixture
def in_use():
    with hooked(zip_members):
        yield


@pytest.mark.usefixtures("in_use")
def test_a_member_opens_like_a_file(archive):
    image = Image(f"{archive}!summer/beach.png")
    assert image.size == (40, 30)
    assert np.array_equal(image.pixels(None), PICTURE)


@pytest.mark.usefixtures("in_use")
def test_all_members_can_be_scanned(archive):
    results = list(scan(zip_members.members(archive), [LowResolution()]))
    assert [result.image for result in results] == [f"{archive}!summer/beach.png"]
    assert results[0].flagged == ("low_resolution",)


@pytest.mark.usefixtures("in_use")
def test_a_missing_member_is_the_error_of_that_image_alone(archive):
    missing, there = scan([f"{archive}!no.jpg", f"{archive}!summer/beach.png"], [LowResolution()])
    assert "no.jpg" in str(missing.error)
    assert isinstance(missing.error, OSError)
    assert there.error is None


def test_a_member_that_unpacks_to_too_much_is_refused(archive, monkeypatch):
    monkeypatch.setattr(zip_members, "LARGEST", 10)
    with pytest.raises(ValueError, match=r"beach\.png unpacks to"):
        zip_members.qualipy_open_source(f"{archive}!summer/beach.png", Roots())


@pytest.mark.parametrize("source", ["photo.jpg", "album.zip", "s3://bucket/photo.jpg"])
def test_other_sources_are_left_to_others(source):
    assert zip_members.qualipy_open_source(source, Roots()) is None


def test_a_file_that_is_really_called_so_is_left_alone(tmp_path):
    odd = tmp_path / "album.zip!odd.jpg"
    odd.write_bytes(b"")
    assert zip_members.qualipy_open_source(str(odd), Roots()) is None


@pytest.mark.usefixtures("in_use")
def test_an_archive_that_is_linked_from_outside_the_image_roots_stays_closed(archive, tmp_path):
    roots = [tmp_path / "photos"]
    roots[0].mkdir()
    (roots[0] / "album.zip").symlink_to(archive)
    source = f"{roots[0]}/album.zip!summer/beach.png"
    (result,) = scan(source, [LowResolution()], image_roots=roots)
    assert isinstance(result.error, ImageForbiddenError)
    (result,) = scan(source, [LowResolution()], image_roots=[tmp_path])
    assert result.error is None
