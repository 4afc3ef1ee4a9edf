"""What is fuzzed: three functions of bytes that must end well or in an error of the tree.

``python fuzz/fuzz.py TARGET`` runs one under atheris; ``tests/robustness`` replays the seeds in
``fuzz/seeds/TARGET`` without it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

from qualipy_core import Filter, Image, gray, process_request
from qualipy_core.errors import ImageError, ImageForbiddenError, RequestError
from qualipy_core.headers import DamagedHeaderError, is_complete, read_header
from qualipy_core.limits import Limits
from qualipy_core.parameters import LocalPath
from qualipy_core.plan import Plan, Task
from qualipy_core.testing import registered

SMALL = Limits(max_pixels=4e6, max_bytes=1e6)  # that nothing takes long is not what is looked for


class Mean(Filter):
    """The first measurement: what a filter sees when a file gets through.

    Parameters
    ----------
    level : float
        What counts as white.
    file : str, optional
        What a request may not name.
    """

    name = "mean"
    level: float = 255.0
    file: LocalPath = None

    def measure(self, image: Image) -> float:
        """Return the mean luma, in [0, 1]."""
        return float(gray(image, 64).mean()) / self.level


_WORDS = (
    *("images", "filters", "return_predictions", "combine_results", "sort_filters", "mean"),
    *("threshold", "invert_threshold", "comparison", "level", "file", "a.jpg", "/etc/passwd", ""),
    *("\0", "\ud800", ">", "mean#2", "qualipy-core:mean", "../a.jpg", "https://host/a.jpg"),
)
_ATOMS = (None, True, False, 0, 1, -1, 0.5, 1e308, 10**400, -(2**63), 255.0, "x")


def _document(choices: Iterator[int], depth: int = 0) -> Any:
    """What bytes choose of all that JSON can hold, near to a request."""
    kind = next(choices, 0) % (4 if depth < 6 else 2)
    if kind == 0:
        return _ATOMS[next(choices, 0) % len(_ATOMS)]
    if kind == 1:
        return _WORDS[next(choices, 0) % len(_WORDS)]
    count = next(choices, 0) % 6
    if kind == 2:
        return [_document(choices, depth + 1) for _ in range(count)]
    keys = [_WORDS[next(choices, 0) % len(_WORDS)] for _ in range(count)]
    return {key: _document(choices, depth + 1) for key in keys}


def request(data: bytes) -> None:
    """A request, as it comes over a network: an answer, or an error of the tree.

    The text itself, or, for most first bytes, the document that the bytes choose: a text that is
    changed at random is hardly ever JSON.
    """
    if data[:1] not in (b"", b"{", b"["):
        made = _document(iter(data[1:]))
        if data[0] % 2:
            made = {"images": {}, "filters": {"mean": made}}
        data = json.dumps(made).encode()
    with registered(Mean):
        try:
            answer = process_request(data, image_roots=[], limits=SMALL)
        except (RequestError, ImageForbiddenError):
            return
    assert answer is True or isinstance(answer, dict)


def header(data: bytes) -> None:
    """A header and its Exif: sizes that make sense, an orientation, or no header."""
    try:
        found = read_header(io.BytesIO(data))
    except DamagedHeaderError:
        return
    if found is not None:
        assert found.width > 0
        assert found.height > 0
        assert 1 <= found.orientation <= 8
        assert is_complete(found, data) in (True, False)


def image(data: bytes) -> None:
    """A file, up to the first measurement: a prediction, or the image's error."""
    result = Plan((("mean", Mean()),), limits=SMALL).judge(Task(data))
    assert not result.failures
    if result.error is None:
        assert 0 <= result.predictions["mean"] <= 1
    else:
        assert isinstance(result.error, ImageError)
        assert "cannot be judged" not in str(result.error)  # what nobody has thought of


TARGETS: dict[str, Callable[[bytes], None]] = {"request": request, "header": header, "image": image}
