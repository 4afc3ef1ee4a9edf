"""A handful of photos to try QualiPy on: good ones, and the same ones spoilt in known ways.

``python -m tools.demo FOLDER``, with the Python of the environment. The good ones come with
scikit-image, in the public domain or free to use.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Photo = NDArray[np.uint8]
Region = tuple[int, int, int, int]  # x, y, width, height


def blurred(photo: Photo) -> Photo:
    """Return a photo that was out of focus."""
    return np.asarray(cv2.GaussianBlur(photo, (0, 0), sigmaX=6), np.uint8)


def overexposed(photo: Photo) -> Photo:
    """Return a photo that got two and a half stops of light too much."""
    light = (photo / 255.0) ** 2.2 * 2**2.5
    return np.asarray(np.clip(light, 0, 1) ** (1 / 2.2) * 255, np.uint8)


def underexposed(photo: Photo) -> Photo:
    """Return a photo that got four stops of light too little."""
    light = (photo / 255.0) ** 2.2 / 2**4
    return np.asarray(light ** (1 / 2.2) * 255, np.uint8)


def posterized(photo: Photo) -> Photo:
    """Return a photo with four tones per colour."""
    return np.asarray(photo // 64 * 85, np.uint8)


def framed(photo: Photo) -> Photo:
    """Return a photo with a white border."""
    width = max(photo.shape[:2]) // 16
    edges = (width,) * 4
    white = (255, 255, 255)
    return np.asarray(cv2.copyMakeBorder(photo, *edges, cv2.BORDER_CONSTANT, value=white), np.uint8)


def panorama(photo: Photo) -> Photo:
    """Return the middle third of a photo, three times as wide as high."""
    height, width = photo.shape[:2]
    top = (height - width // 3) // 2
    return photo[top : top + width // 3]


def untouched(photo: Photo) -> Photo:
    """Return a photo as it is."""
    return photo


# What each one is made of: a bundled photo, the region of it, and what is done to that.
PHOTOS: dict[str, tuple[str, Region | None, Callable[[Photo], Photo]]] = {
    "brick-wall.jpg": ("brick.png", None, untouched),
    "cat.jpg": ("chelsea.png", None, untouched),
    "cat-framed.jpg": ("chelsea.png", None, framed),
    "coffee.jpg": ("coffee.png", None, untouched),
    "coffee-blurred.jpg": ("coffee.png", None, blurred),
    "gravel.jpg": ("gravel.png", None, untouched),
    "motorcycle.jpg": ("motorcycle_left.png", (339, 190, 393, 295), untouched),
    "motorcycle-panorama.jpg": ("motorcycle_left.png", None, panorama),
    "motorcycle-underexposed.jpg": ("motorcycle_left.png", None, underexposed),
    "page-of-text.jpg": ("page.png", None, untouched),
    "portrait.jpg": ("astronaut.png", (33, 20, 267, 356), untouched),
    "portrait-overexposed.jpg": ("astronaut.png", (33, 20, 267, 356), overexposed),
    "portrait-posterized.jpg": ("astronaut.png", (33, 20, 267, 356), posterized),
}


def make(folder: Path) -> None:
    """Fill a folder; it is there whole or not at all.

    Parameters
    ----------
    folder : Path
        Made; left alone if it is there.
    """
    if folder.exists():
        return
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".demo-photos-") as scratch:
        bundled = _bundled(Path(scratch))
        photos = Path(scratch) / "photos"
        photos.mkdir()
        for name, (source, region, spoil) in PHOTOS.items():
            _write(photos / name, spoil(_cut(_read(bundled / source), region)))
        whole = (photos / "cat.jpg").read_bytes()
        (photos / "cat-truncated.jpg").write_bytes(whole[: len(whole) // 3])
        photos.rename(folder)


def _bundled(scratch: Path) -> Path:
    """Return the folder of scikit-image's photos, without installing it: its wheel holds them."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download"]
    options = ["--no-deps", "--only-binary=:all:", "--dest", str(scratch), "scikit-image>=0.25"]
    downloaded = subprocess.run([*pip, *options], capture_output=True, text=True, check=False)
    if downloaded.returncode:
        sys.exit(f"The demo photos cannot be downloaded:\n{downloaded.stderr}")
    (wheel,) = scratch.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        wanted = {source for source, _, _ in PHOTOS.values()}
        archive.extractall(scratch, [f"skimage/data/{name}" for name in sorted(wanted)])
    return scratch / "skimage" / "data"


def _read(path: Path) -> Photo:
    photo = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert photo is not None, path
    return np.asarray(photo, np.uint8)


def _cut(photo: Photo, region: Region | None) -> Photo:
    if region is None:
        return photo
    x, y, width, height = region
    return photo[y : y + height, x : x + width]


def _write(path: Path, photo: Photo) -> None:
    assert cv2.imwrite(str(path), photo, [cv2.IMWRITE_JPEG_QUALITY, 92]), path


if __name__ == "__main__":
    make(Path(sys.argv[1]))
