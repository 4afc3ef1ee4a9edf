"""Files that accidents and strangers have made: an outcome for each, and nothing printed."""

from __future__ import annotations

import io
import json
import math
import os
import re
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import PIL.features
import PIL.Image
import pytest
from bad_files import MUTATIONS, SMALL, absurd_exif, claiming, mutants, valid_files
from sample_files import jpeg_with_exif
from sample_filters import Brightness

from qualipy_core import Image, scan
from qualipy_core.errors import ImageReadError, ImageTooLargeError
from qualipy_core.headers import read_header
from qualipy_core.limits import Limits
from qualipy_core.roots import Roots

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="files of POSIX")

FILES = valid_files()
MULTI_PAGE = "pages.tiff"  # whole as far as it is looked at, once its first page is there


def outcome(source, **options):
    """The error of an image, or None when it is judged."""
    (result,) = scan([source], [Brightness()], **options)
    assert not result.failures
    return result.error


@pytest.mark.parametrize("name", FILES)
def test_a_whole_file_of_every_kind_is_read_and_its_size_stands_in_its_header(name, capfd):
    image = Image(FILES[name])
    header = read_header(io.BytesIO(FILES[name]))
    assert header is not None
    assert header.upright_size == image.size == image.pixels(None).shape[1::-1]
    assert outcome(FILES[name]) is None
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_of_every_kind_is_told_from_a_whole_one(name, capfd):
    data = FILES[name]
    cuts = {len(data) * part // 50 for part in range(50)}
    cuts |= {len(data) - behind for behind in (1, 2, 3, 4, 8, 16, 32) if behind < len(data)}
    if name == MULTI_PAGE:
        cuts = {cut for cut in cuts if cut < len(data) // 3}
    for cut in sorted(cuts):
        assert isinstance(outcome(data[:cut]), ImageReadError), f"{cut} of {len(data)} bytes"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", claiming())
def test_what_claims_to_be_huge_is_refused_before_memory_is_spent_on_it(name):
    data = claiming()[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    error = outcome(data)
    assert isinstance(error, ImageTooLargeError)
    assert "megapixels; the limit is 500" in str(error)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


@pytest.mark.parametrize("what", absurd_exif())
def test_absurd_exif_costs_nothing_but_itself(what):
    data = jpeg_with_exif(absurd_exif()[what])
    assert outcome(data) is None
    assert Image(data).size == (211, 150)


def test_exif_beyond_the_limit_is_not_looked_at():
    data = FILES["turned.jpg"]
    assert Image(data).size == (150, 211)
    assert Image(data, limits=Limits(max_exif=16)).size == (211, 150)


def test_a_bomb_is_refused_by_what_it_unpacks_to():
    picture = PIL.Image.new("1", (30_000, 30_000))
    file = io.BytesIO()
    picture.save(file, "PNG")
    assert len(file.getvalue()) < 200_000
    assert isinstance(outcome(file.getvalue()), ImageTooLargeError)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(max_pixels=10_000), r"has 0\.0108 megapixels; the limit is 0\.01 \(QUALIPY_MAX"),
        (Limits(max_bytes=2048), r"larger than 2 KiB, the limit \(QUALIPY_MAX_BYTES\)"),
    ],
)
def test_limits_are_the_users_to_set(limits, said, tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    path.write_bytes(FILES["jpeg.jpg"])
    for source in (path, str(path), FILES["jpeg.jpg"], Image(path)):
        error = outcome(source, limits=limits)
        assert isinstance(error, ImageTooLargeError)
        assert re.search(said, str(error))
        assert outcome(source) is None
    for name, value in limits.said().items():
        monkeypatch.setenv(f"QUALIPY_{name.upper()}", str(value))
    assert isinstance(outcome(path), ImageTooLargeError)
    assert outcome(path, limits=Limits(max_pixels=math.inf, max_bytes=math.inf)) is None


def test_limits_reach_workers(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(FILES["jpeg.jpg"])
    results = scan([path] * 3, [Brightness()], jobs=2, limits=Limits(max_bytes=100))
    assert all(isinstance(result.error, ImageTooLargeError) for result in results)


@pytest.fixture
def odd(tmp_path):
    """Paths of what stands where photos are expected, by what it is."""
    paths = {}

    def path(what):
        paths[what] = tmp_path / f"{what}.jpg"
        return paths[what]

    path("nothing").touch()
    path("text").write_text("I am no photo.\n" * 50)
    path("zeros").write_bytes(bytes(5000))
    path("page").write_text("<html><body>404 Not Found</body></html>")
    path("document").write_bytes(b"%PDF-1.7\n" + bytes(500))
    path("archive").write_bytes(b"PK\3\4" + bytes(500))
    path("program").write_bytes(b"\x7fELF" + bytes(500))
    path("folder").mkdir()
    os.mkfifo(path("fifo"))
    path("dangling").symlink_to(tmp_path / "nowhere.jpg")
    path("circle").symlink_to(tmp_path / "circle.jpg")
    path("device").symlink_to("/dev/zero")
    here = os.getcwd()
    os.chdir(tmp_path)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path("socket").name)
    os.chdir(here)
    paths["missing"] = tmp_path / "missing.jpg"
    paths["long"] = tmp_path / ("x" * 5000)
    paths["null byte"] = Path("a\0b.jpg")
    return paths


def test_what_is_no_file_of_an_image_has_an_error_that_names_it(odd, capfd):
    sources = list(odd.values())
    for jobs in (1, 2):
        results = list(scan(sources, [Brightness()], jobs=jobs))
        assert [result.image for result in results] == [str(path) for path in sources]
        for result, path in zip(results, sources, strict=True):
            assert type(result.error) is ImageReadError, path
            assert result.error.image == str(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_what_may_not_be_read_is_an_error_that_says_so(tmp_path):
    path = tmp_path / "secret.jpg"
    path.write_bytes(FILES["jpeg.jpg"])
    path.chmod(0)
    assert "Permission denied" in str(outcome(path))


def test_no_permission_is_told_to_root_as_well(tmp_path):
    """In a process that has given its rights away, for tests often run as root."""
    if os.geteuid() != 0:
        pytest.skip("only root can give rights away")
    path = tmp_path / "secret.jpg"
    path.write_bytes(FILES["jpeg.jpg"])
    path.chmod(0)
    (tmp_path / "open.jpg").write_bytes(FILES["jpeg.jpg"])
    tmp_path.chmod(0o755)
    code = (
        "import os; from qualipy_core import Image; from qualipy_core.errors import *\n"
        "Image('open.jpg').pixels()\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: Image('secret.jpg').pixels()\n"
        "except ImageReadError as error: print(error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "cannot be opened: Permission denied" in ran.stdout, ran.stderr


NAMES = [
    "with space.jpg", "new\nline.jpg", "tab\t.jpg", "größe-写真-📷.jpg", "-f.jpg", "[a]*?.jpg",
    "%s%n.jpg", "'quoted\".jpg", "<script>alert(1)</script>.jpg".replace("/", "⁄"),
    os.fsdecode(b"caf\xe9.jpg"), os.fsdecode(b"\xff\xfe.jpg"), "\u202egpj.a.jpg",
    "a" * 240 + ".jpg",
]  # fmt: skip


@pytest.mark.parametrize("jobs", [1, 2])
def test_no_name_is_too_odd(tmp_path, jobs):
    for name in NAMES:
        (tmp_path / name).write_bytes(FILES["jpeg.jpg"])
    paths = [os.fspath(tmp_path / name) for name in NAMES]
    results = list(scan(paths, [Brightness()], jobs=jobs))
    assert [result.image for result in results] == paths
    assert not any(result.failed for result in results)


def test_a_suffix_that_lies_changes_nothing(tmp_path):
    for name, data in FILES.items():
        path = tmp_path / f"{name}.jpg"
        path.write_bytes(data)
        assert outcome(path) is None, name


@pytest.mark.parametrize("name", ["animated.gif", "animated.png", "animated.webp", MULTI_PAGE])
def test_of_several_pictures_the_first_is_judged(name):
    first = PIL.Image.open(io.BytesIO(FILES[name])).convert("RGB")
    shown = Image(FILES[name]).pixels().astype(int)
    assert np.abs(shown - np.asarray(first)).mean() < 3


def test_a_large_file_that_shrinks_while_it_is_read_is_an_error_at_most(tmp_path):
    path = tmp_path / "a.png"
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    PIL.Image.fromarray(noise).save(path)
    image = Image(path)
    assert image.size == (400, 400)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ImageReadError, match="truncated"):
        image.pixels()


def test_a_small_file_is_judged_as_it_was_first_seen(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(FILES["png.png"])
    image = Image(path)
    assert image.size == (120, 90)
    path.write_bytes(FILES["png.png"][:5000])
    assert np.array_equal(image.pixels(), Image(FILES["png.png"]).pixels())


@pytest.mark.skipif(not PIL.features.check("avif"), reason="Pillow makes them here")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_avif_is_shown_upright(orientation):
    pixels = np.zeros((40, 64, 3), np.uint8)
    pixels[:20, :32] = (255, 0, 0)
    tags = PIL.Image.Exif()
    tags[0x0112] = orientation
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "AVIF", exif=tags, quality=90)
    image = Image(file.getvalue())
    assert image.size == ((40, 64) if orientation >= 5 else (64, 40))
    shown = image.pixels()
    assert shown.shape[1::-1] == image.size
    height, width = shown.shape[:2]
    right, bottom = orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)
    assert shown[int(height * (0.25 + bottom / 2)), int(width * (0.25 + right / 2)), 0] > 200
    assert (shown[..., 0] > 128).mean() == pytest.approx(0.25, abs=0.05)


_PEAK = r"""
import re, sys
from qualipy_core import Image
def peak():
    return int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1]) * 1024
Image(sys.argv[1]).pixels()
before = peak()
Image(sys.argv[2]).pixels(None if sys.argv[3] == "full" else 1024)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
@pytest.mark.parametrize(
    ("suffix", "convert", "side", "bytes_per_pixel"),
    [
        (".jpg", np.asarray, "working", 1),
        (".jpg", np.asarray, "full", 7),
        (".png", np.asarray, "full", 11),
        (".png", lambda pixels: pixels.astype(np.uint16) * 257, "full", 17),
        (".hdr", lambda pixels: (pixels / 255).astype(np.float32), "full", 25),
    ],
)
def test_memory_stays_under_what_is_stated(tmp_path, suffix, convert, side, bytes_per_pixel):
    small, path = tmp_path / "small.png", tmp_path / f"large{suffix}"
    small.write_bytes(FILES["png.png"])
    pixels = cv2.resize(SMALL, (4000, 3000), interpolation=cv2.INTER_CUBIC)
    assert cv2.imwrite(str(path), convert(pixels))
    command = [sys.executable, "-c", _PEAK, small, path, side]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    of_file = 0 if suffix == ".jpg" else path.stat().st_size
    assert int(ran.stdout) <= bytes_per_pixel * pixels[..., 0].size + of_file + 8e6


def test_an_offset_beyond_all_files_is_no_place_to_look(tmp_path):
    path = tmp_path / "a.tiff"
    for offset in (1 << 39, 1 << 45, (1 << 63) - 1, (1 << 64) - 1):
        data = FILES["big.tiff"]
        path.write_bytes(data[:8] + offset.to_bytes(8, "little") + data[16:])
        assert "damaged header" in str(outcome(path))


def test_a_disk_that_fails_is_that_images_error(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    path.write_bytes(FILES["jpeg.jpg"])

    class Failing(io.FileIO):
        def readinto(self, buffer, /):
            raise OSError(5, "Input/output error")

        def read(self, size=-1, /):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(Roots, "open", lambda self, path, name=None: Failing(path))
    assert str(outcome(path)) == f"{path} cannot be read: Input/output error."


def test_chunks_and_segments_without_end_take_no_time():
    fill = b"\xff\xd8" + b"\xff" * 5_000_000
    segments = b"\xff\xd8" + b"\xff\xe2\0\2" * 1_000_000
    for data in (fill, segments):
        started = time.perf_counter()
        assert isinstance(outcome(data), ImageReadError)
        assert time.perf_counter() - started < 2


def test_hundreds_of_damaged_files_have_an_outcome_each_and_nothing_is_printed(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    count = len(FILES) * len(MUTATIONS) * 3 // 2
    made = [name for name, data in mutants(count, seed=1) if (folder / name).write_bytes(data) >= 0]
    report = tmp_path / "report.jsonl"
    suffixes = {Path(name).suffix for name in made}
    command = [sys.executable, "-m", "qualipy", "scan", folder, "-j", "2", "-q", "-o", report]
    command += [f"--suffix={suffix}" for suffix in suffixes] + ["--fail-on", "never"]
    command += ["--filters", "exposure,framed,whole_blur"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    results = [json.loads(line) for line in report.read_text().splitlines()]
    assert sorted(Path(result["image"]).name for result in results) == sorted(made)
    kinds = {result["error"]["type"] for result in results if "error" in result}
    assert kinds <= {"ImageReadError", "ImageTooLargeError"}
    assert not any("failures" in result for result in results)
    assert 0.5 < sum("error" in result for result in results) / len(results) < 0.9
