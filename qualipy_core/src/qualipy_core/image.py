"""One picture, opened lazily: header first, pixels when a filter asks, derived data once.

The way of the pixels, the same whoever asks and in whatever order::

    file ── header ── size
      └── decode at 1/1, 1/2, 1/4 or 1/8 ── upright ── crop ── working image ── smaller levels

A JPEG decoder yields the reduced sizes directly, at a fraction of the cost. Every level up to
`WORKING_SIDE` comes from the working image, so that what a filter sees depends on the picture and
the ROI alone, not on who else has asked for what.
"""

from __future__ import annotations

import functools
import io
import os
import stat
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, BinaryIO, Concatenate, ParamSpec, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from qualipy_core import plugins
from qualipy_core.errors import ImageError, ImageReadError, ImageTooLargeError, ImageTypeError
from qualipy_core.headers import DamagedHeaderError, Header, is_complete, read_header
from qualipy_core.limits import Limits, checked, shown_bytes
from qualipy_core.memory import keep_memory
from qualipy_core.opencv import cv2
from qualipy_core.pixels import RGB, fitted, resize, shrink, to_rgb, upright
from qualipy_core.quiet import quiet
from qualipy_core.roi import ROI
from qualipy_core.roots import Roots
from qualipy_core.urls import shown

WORKING_SIDE = 1024
"""The long side of the working image, in pixels, at most."""

_SMALLEST_WORKING_SIDE = 500  # a JPEG may be decoded down to this: 4000 px, the commonest, at 1/8

_AT_ONCE = 1 << 18  # bytes: so small a file is read with its header, not opened once more

_REDUCED_RGB = {  # OpenCV's names end in BGR order; RGB replaces the colour bit
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_COLOR_RGB | (cv2.IMREAD_REDUCED_COLOR_2 & ~cv2.IMREAD_COLOR),
    4: cv2.IMREAD_COLOR_RGB | (cv2.IMREAD_REDUCED_COLOR_4 & ~cv2.IMREAD_COLOR),
    8: cv2.IMREAD_COLOR_RGB | (cv2.IMREAD_REDUCED_COLOR_8 & ~cv2.IMREAD_COLOR),
}

ImageSource = str | os.PathLike[str] | bytes | NDArray[Any]
"""What an `Image` can be opened from: a path, an encoded file's bytes, or pixels (RGB order)."""

P = ParamSpec("P")
T = TypeVar("T")


class Image:
    """A picture, or a region of one.

    Parameters
    ----------
    source : str, path, bytes or ndarray
        A file, the bytes of one, or pixels: ``(H, W)`` grey or ``(H, W, 3)`` in RGB order (for
        all that is accepted see `qualipy_core.pixels.to_rgb`).
    ROI : sequence of four int, optional
        ``(x, y, width, height)``: the image is that region alone.
    name : str, optional
        What errors and results call it; the path, by default.
    roots : Roots, optional
        What of paths and URLs may be read; everything, by default.
    limits : Limits, optional
        What it may cost; as the environment says, by default.

    Raises
    ------
    LimitsError
        The limits, or those in the environment, are no such.
    ImageTypeError
        The source is none of those kinds.
    ROITypeError, ROIValueError
        The ROI is no 4-sequence of integers, is empty, or lies outside the image.

    Notes
    -----
    Nothing is read before it is needed. An image belongs to one thread at a time.
    """

    def __init__(
        self,
        source: ImageSource,
        ROI: Any = None,
        *,
        name: str | None = None,
        roots: Roots | None = None,
        limits: Limits | None = None,
    ) -> None:
        keep_memory()
        picture = _Picture(source, name, roots or Roots(), checked(limits))
        self._become(picture, None if ROI is None else _parse_roi(ROI, picture))

    def _become(self, picture: _Picture, roi: ROI | None) -> None:
        self._picture = picture
        self._roi = roi
        self._derived: dict[Hashable, Any] = {}

    @classmethod
    def open(
        cls,
        source: ImageSource | Image,
        ROI: Any = None,
        *,
        roots: Roots | None = None,
        limits: Limits | None = None,
    ) -> Image:
        """Return an image for any accepted source; an `Image` is returned, or cropped.

        With roots or limits, an `Image` of a file is opened again, so that they hold for it as
        well.
        """
        if isinstance(source, Image):
            image = source._within(roots or Roots(), limits) if roots or limits else source
            return image if ROI is None else image.crop(ROI)
        return cls(source, ROI, roots=roots, limits=limits)

    @property
    def name(self) -> str:
        """What errors and results call this image."""
        return self._picture.name

    @property
    def ROI(self) -> ROI | None:  # noqa: N802
        """The region that this image is of its picture, or ``None`` for the whole."""
        return self._roi

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, upright, at full resolution. Reads the header alone."""
        return (self._roi.width, self._roi.height) if self._roi else self._picture.size

    @property
    def width(self) -> int:
        """Width in pixels, upright, at full resolution."""
        return self.size[0]

    @property
    def height(self) -> int:
        """Height in pixels, upright, at full resolution."""
        return self.size[1]

    def pixels(self, max_side: int | None = WORKING_SIDE) -> RGB:
        """Return the pixels, shrunk to a long side of at most ``max_side``.

        Parameters
        ----------
        max_side : int or None
            The resolution asked for. A smaller picture is returned as it is, never enlarged; of a
            large one that shrinks in decoding, the working image may have a long side between 500
            and `WORKING_SIDE`. ``None`` is full resolution, which costs a full decode.

        Returns
        -------
        ndarray of uint8, shape (H, W, 3)
            Red, green, blue; upright, C-contiguous, read-only, shared by all who ask.

        Raises
        ------
        ImageReadError
            The file is missing, unreadable, truncated or no image.
        """
        if max_side is not None and max_side < 1:
            raise ValueError(f"max_side must be at least 1 pixel, not {max_side}")
        if max_side is None:
            return self._cropped(1)
        return self.derived(("pixels", max_side), partial(self._level, max_side))

    def crop(self, ROI: Any) -> Image:
        """Return a region of this image, as an image; the decoded pixels are shared.

        Parameters
        ----------
        ROI : sequence of four int
            ``(x, y, width, height)`` in pixels of this image at full resolution.

        Raises
        ------
        ROITypeError, ROIValueError
            It is no 4-sequence of integers, is empty, or lies outside this image.
        """
        roi = _parse_roi(ROI, self._picture, self.size)
        image = object.__new__(Image)
        image._become(self._picture, roi.within(self._roi) if self._roi else roi)
        return image

    def derived(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return what was stored under ``key``, computing it first when nobody has.

        The mechanism under `derived`, which is what filters use.
        """
        try:
            return cast(T, self._derived[key])
        except KeyError:
            value = compute()
            _freeze(value)
            self._derived[key] = value
            return value

    def _reduction(self) -> int:
        if not self._picture.shrinks_in_decoding:
            return 1
        longest = max(self.size)
        return next(r for r in (8, 4, 2, 1) if r == 1 or longest // r >= _SMALLEST_WORKING_SIDE)

    def _cropped(self, reduction: int) -> RGB:
        roi = self._roi
        if roi is None:
            return self._picture.decoded(reduction)
        key = ("cropped", reduction)
        return self.derived(key, lambda: _cut(self._picture.decoded(reduction), roi, reduction))

    def _level(self, max_side: int) -> RGB:
        if max_side > WORKING_SIDE:
            return shrink(self._cropped(1), max_side)
        if max_side == WORKING_SIDE:
            return shrink(self._cropped(self._reduction()), max_side)
        # From the power of two above it, whoever asks: each of those is made once, for all below.
        above = self.pixels(1 << max_side.bit_length())
        if max(above.shape[:2]) <= max_side:
            return above
        return resize(above, fitted(above, max_side))

    def _within(self, roots: Roots, limits: Limits | None) -> Image:
        picture = self._picture
        if picture.path is None and not limits:
            return self
        roots = picture.roots + roots
        limits = picture.limits if limits is None else limits.within(picture.limits)
        image = object.__new__(Image)
        image._become(_Picture(picture.source, picture.name, roots, limits), self._roi)
        return image

    def __reduce__(self) -> tuple[Any, ...]:
        # What was decoded and derived stays behind; the other process makes its own.
        picture = self._picture
        make = partial(Image, name=self.name, roots=picture.roots, limits=picture.limits)
        return make, (picture.source, self._roi)

    def __repr__(self) -> str:
        roi = f", ROI={tuple(self._roi)}" if self._roi else ""
        return f"Image({self.name!r}{roi})"


def derived(
    function: Callable[Concatenate[Image, P], T],
) -> Callable[Concatenate[Image, P], T]:
    """Make a function of an image compute once per image, whoever asks first.

    Parameters
    ----------
    function : callable
        Takes an `Image` and, optionally, hashable positional arguments. Its result must depend on
        these alone and is shared by every filter: arrays in it are made read-only.

    Examples
    --------
    >>> @derived
    ... def mean_luma(image: Image) -> float:
    ...     return float(gray(image).mean())
    """

    @functools.wraps(function)
    def once(image: Image, /, *args: P.args, **kwargs: P.kwargs) -> T:
        key = (function, args, tuple(sorted(kwargs.items()))) if kwargs else (function, args)
        return image.derived(key, lambda: function(image, *args, **kwargs))

    return once


@derived
def gray(image: Image, max_side: int = WORKING_SIDE) -> NDArray[np.uint8]:
    """Return the luma of an image: ITU-R BT.601, 0.299 R + 0.587 G + 0.114 B.

    Parameters
    ----------
    image : Image
        The picture.
    max_side : int
        As in `Image.pixels`.

    Returns
    -------
    ndarray of uint8, shape (H, W)
        Read-only.
    """
    luma = cv2.cvtColor(image.pixels(max_side), cv2.COLOR_RGB2GRAY)
    return luma.astype(np.uint8, copy=False)


def name_of(source: object) -> str:
    """Return what errors and results call a source: its path, or its kind and size."""
    if isinstance(source, str | os.PathLike):
        return str(os.fspath(source))
    if isinstance(source, bytes | bytearray | memoryview):
        return f"<{len(source)} bytes>"
    if isinstance(source, np.ndarray):
        return f"<array {'×'.join(map(str, source.shape))}>"
    return f"<{type(source).__name__}>"


class _Picture:
    """A source and what has been decoded of it; shared by all crops of one image."""

    def __init__(self, source: ImageSource, name: str | None, roots: Roots, limits: Limits) -> None:
        self.source = source
        self.roots = roots
        self.limits = limits.in_force()
        self.name = name or name_of(source)
        self.path: str | None = None
        self.data: bytes | None = None
        self.header: Header | None = None
        self._ahead: bytes | None = None  # a small file, until it is decoded
        self._opened = False
        self._decoded: dict[int, RGB] = {}
        self._failure: ImageReadError | None = None
        if isinstance(source, str | os.PathLike):
            self.path = os.fspath(source)
            if not isinstance(self.path, str):
                raise ImageTypeError(f"An image's path must be text, not {self.path!r}.")
        elif isinstance(source, bytes | bytearray | memoryview):
            self.data = bytes(source)
        elif isinstance(source, np.ndarray):
            self._set_array(source)
        else:
            raise ImageTypeError(
                "An image is a path, the bytes of an image file, an array of pixels or an Image, "
                f"not {type(source).__name__}.",
                image=name,
            )

    def _set_array(self, array: NDArray[Any]) -> None:
        try:
            pixels = to_rgb(array)
        except ValueError as error:
            raise ImageTypeError(f"{shown(self.name)}: {error}.", image=self.name) from None
        # The caller keeps the right to change their array: a view of it is not ours to share.
        if np.shares_memory(pixels, array):
            pixels = pixels.copy()
        self._decoded[1] = self.source = _freeze(pixels)
        self._opened = True

    @property
    def size(self) -> tuple[int, int]:
        self._open()
        if self.header is not None:
            return self.header.upright_size
        height, width = self.decoded(1).shape[:2]
        return width, height

    @property
    def shrinks_in_decoding(self) -> bool:
        self._open()
        return self._is("JPEG")

    def decoded(self, reduction: int) -> RGB:
        """The upright pixels at 1/reduction of the full size."""
        self._open()
        if reduction not in self._decoded:
            try:
                self._decoded[reduction] = _freeze(self._decode(reduction))
            except MemoryError as error:
                raise self._error("does not fit into memory") from error
            except ImageReadError as error:
                self._failure = error
                raise
        return self._decoded[reduction]

    def _open(self) -> None:
        """Read the header, once; what went wrong then is raised again to everybody."""
        if self._failure is not None:
            raise self._failure
        if self._opened:
            return
        try:
            self._read_header()
        except ImageReadError as error:
            self._failure = error
            raise
        self._opened = True

    def _read_header(self) -> None:
        if self.path is not None:
            self.roots.check(self.path, self.name)
            replaced = plugins.open_source(self.path, self.roots, self.limits)
            if isinstance(replaced, np.ndarray):
                self._set_array(replaced)
                return
            if replaced is not None:
                self.data = bytes(replaced)
        if self.data is None and self.path is not None:
            with self._file(self.path) as file:
                size = self._size_of(file)
                if size <= _AT_ONCE:
                    self._ahead = self._read(file, size)
                    self.header = self._header_in(io.BytesIO(self._ahead))
                else:
                    self.header = self._header_in(file)
        else:
            self._check_bytes(len(self.data or b""))
            self.header = self._header_in(io.BytesIO(self.data or b""))
        if self.header is not None:
            self._check_pixels(self.header.width * self.header.height)

    def _header_in(self, file: BinaryIO) -> Header | None:
        try:
            return read_header(file, self.limits.max_exif or 0.0)
        except DamagedHeaderError:
            raise self._error("has a damaged header") from None
        except OSError as error:
            raise self._error(f"cannot be read: {error.strerror}") from error

    def _file(self, path: str) -> BinaryIO:
        self.roots.check(path, self.name)
        try:
            # A FIFO or a device would block or never end: look before opening.
            mode = os.stat(path).st_mode
            if not stat.S_ISREG(mode):
                kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
                raise self._error(f"is {kind}, not an image file")
            return self.roots.open(path, self.name)
        except (OSError, ValueError) as error:
            if isinstance(error, ImageError):
                raise
            self.roots.check(path, self.name)  # a link may lead elsewhere by now
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise self._error(f"cannot be opened: {reason}") from error

    def _size_of(self, file: BinaryIO) -> int:
        size = os.fstat(file.fileno()).st_size
        self._check_bytes(size)
        return size

    def _read(self, file: BinaryIO, size: int) -> bytes:
        try:
            return file.read(size)
        except OSError as error:
            raise self._error(f"cannot be read: {error.strerror}") from error

    def _content(self) -> bytes | None:
        """The whole file; of a small one, what was read with the header."""
        if self.data is not None or self.path is None:
            return self.data
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            return ahead
        with self._file(self.path) as file:
            return self._read(file, self._size_of(file))  # it may have grown since it was looked at

    def _decode(self, reduction: int) -> RGB:
        data = self._content()
        if not data:
            raise self._error("is empty")
        if self.header is not None and not is_complete(self.header, data):
            raise self._error(f"is truncated: the end of the {self.header.format} file is missing")
        jpeg = self.shrinks_in_decoding
        flags = _REDUCED_RGB[reduction] if jpeg else cv2.IMREAD_UNCHANGED
        buffer = np.frombuffer(data, np.uint8)
        try:
            with quiet():
                decoded = cv2.imdecode(buffer, flags | cv2.IMREAD_IGNORE_ORIENTATION)
        except cv2.error as error:
            raise self._error(f"cannot be decoded: {error.err}") from error
        if decoded is None:
            raise self._error("is not an image that can be decoded")
        self._check_pixels(decoded.shape[0] * decoded.shape[1])
        del data, buffer  # the memory is needed for what comes
        light = not self._is("TIFF")  # Radiance and its like: light without an end
        try:
            if jpeg:
                pixels = decoded.astype(np.uint8, copy=False)
            else:
                pixels = to_rgb(decoded, bgr=True, light=light)
        except ValueError as error:
            raise self._error(f"cannot be used: {error}") from error
        if self.header is None or self._is("TIFF"):
            return pixels  # OpenCV turns TIFF itself, whatever the flags
        return upright(pixels, self.header.orientation)

    def _is(self, kind: str) -> bool:
        return self.header is not None and self.header.format == kind

    def _check_pixels(self, count: int) -> None:
        most = self.limits.max_pixels or 0.0
        if count > most:
            raise ImageTooLargeError(
                f"{shown(self.name)} has {_mega(count)} megapixels; "
                f"the limit is {_mega(most)} (QUALIPY_MAX_PIXELS).",
                image=self.name,
            )

    def _check_bytes(self, count: int) -> None:
        most = self.limits.max_bytes or 0.0
        if count > most:
            raise ImageTooLargeError(
                f"{shown(self.name)} is larger than {shown_bytes(most)}, the limit "
                "(QUALIPY_MAX_BYTES).",
                image=self.name,
            )

    def _error(self, what: str) -> ImageReadError:
        return ImageReadError(f"{shown(self.name)} {what}.", image=self.name)


def _mega(count: float) -> str:
    return f"{count / 1e6:.0f}" if count >= 1e7 else f"{count / 1e6:.3g}"


def _parse_roi(value: Any, picture: _Picture, size: tuple[int, int] | None = None) -> ROI:
    roi = ROI.parse(value, picture.name)
    return roi.inside(size if size is not None else picture.size, picture.name)


def _cut(pixels: RGB, roi: ROI, reduction: int) -> RGB:
    """The region's pixels in a picture that was decoded at 1/reduction."""
    height, width = pixels.shape[:2]
    left, top = min(roi.x // reduction, width - 1), min(roi.y // reduction, height - 1)
    right = min(-(-(roi.x + roi.width) // reduction), width)
    bottom = min(-(-(roi.y + roi.height) // reduction), height)
    return np.ascontiguousarray(pixels[top : max(bottom, top + 1), left : max(right, left + 1)])


def _freeze(value: T) -> T:
    """Make the arrays in a derived value read-only: filters share them."""
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    elif isinstance(value, tuple | list):
        for item in value:
            _freeze(item)
    return value
