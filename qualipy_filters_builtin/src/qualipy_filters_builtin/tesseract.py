"""Reading words with the Tesseract program, for those who have it installed.

The picture goes in as a PNG on the standard input, the words come back as tab-separated values on
the standard output; no shell and no temporary file are involved.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import signal
import subprocess
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qualipy_core.errors import ExternalProgramError
from qualipy_core.opencv import cv2

TIMEOUT = 60.0
"""Seconds after which the program is taken to hang. A page of small print takes a few."""

_SPARSE_TEXT = "11"  # Tesseract's page segmentation for words scattered over a picture
_INSTALL = (
    "Install Tesseract (Debian and Ubuntu: `apt-get install tesseract-ocr`) and give the path that "
    "`command -v tesseract` prints, or leave tesseract_path out: text is then found without it."
)


class Word(NamedTuple):
    """A word as Tesseract read it, with its confidence in [0, 1] and where it stands.

    The box is x, y, width and height in shares of the picture.
    """

    text: str
    confidence: float
    box: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)


def read_words(program: str, pixels: NDArray[np.uint8], timeout: float | None = None) -> list[Word]:
    """Return the words that Tesseract reads in a picture.

    Parameters
    ----------
    program : str
        Path or name of the Tesseract program, version 4 or 5.
    pixels : ndarray of uint8, shape (H, W, 3) or (H, W)
        The picture: red, green, blue, or grey.
    timeout : float, optional
        Seconds after which the program is stopped; `TIMEOUT` by default.

    Returns
    -------
    list of Word
        In reading order; empty when there are none.

    Raises
    ------
    ExternalProgramError
        The program cannot be started, hangs, fails, or answers what Tesseract would not.
    """
    coded = cv2.imencode(".png", pixels[..., ::-1] if pixels.ndim == 3 else pixels)[1]
    answer = _run(program, coded.tobytes(), TIMEOUT if timeout is None else timeout)
    return _parse(program, answer, pixels.shape)


def _run(program: str, picture: bytes, timeout: float) -> bytes:
    command = [program, "stdin", "stdout", "--psm", _SPARSE_TEXT, "tsv"]
    try:
        process = subprocess.Popen(  # noqa: S603 - running the user's program is the purpose
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "OMP_THREAD_LIMIT": "1"},  # photos are what runs in parallel here
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ExternalProgramError(
            f"Tesseract cannot be run as {program!r}: {reason}. {_INSTALL}", program=program
        ) from error
    with process:
        try:
            answer, complaint = process.communicate(picture, timeout)
        except subprocess.TimeoutExpired:
            raise ExternalProgramError(
                f"Tesseract ({program!r}) gave no answer within {timeout:g} seconds and was "
                "stopped. Try it on the picture by hand, or leave tesseract_path out.",
                program=program,
            ) from None
        finally:
            _stop(process)
    if process.returncode != 0:
        said = complaint.decode(errors="replace").strip()[-300:] or "it said nothing"
        raise ExternalProgramError(
            f"Tesseract ({program!r}) failed with exit status {process.returncode}: {said}. "
            "`tesseract --list-langs` shows whether its language data is installed.",
            program=program,
        )
    return answer


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the program and what it has started: a child that lives on would hold the pipes."""
    if process.poll() is not None:
        return
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _parse(program: str, answer: bytes, shape: tuple[int, ...]) -> list[Word]:
    rows = csv.DictReader(
        io.StringIO(answer.decode("utf-8", errors="replace"), newline=""),
        delimiter="\t",
        quoting=csv.QUOTE_NONE,
    )
    try:
        if not {"conf", "text"} <= set(rows.fieldnames or ()):
            raise ValueError("no columns named conf and text")
        return [
            Word(row["text"].strip(), float(row["conf"]) / 100, _box(row, shape))
            for row in rows
            if float(row["conf"]) >= 0 and (row["text"] or "").strip()
        ]
    except (ValueError, TypeError, csv.Error) as error:
        raise ExternalProgramError(
            f"{program!r} did not answer as Tesseract does ({error}): is it another program, or a "
            f"version older than 3.05? {_INSTALL}",
            program=program,
        ) from error


def _box(row: dict[str, str], shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    x, y, width, height = (
        max(float(row.get(name) or 0), 0.0) for name in ("left", "top", "width", "height")
    )
    return x / shape[1], y / shape[0], width / shape[1], height / shape[0]
