"""Running the Tesseract program: the real one where it is installed, stand-ins for its faults."""

from __future__ import annotations

import shutil
import stat
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from qualipy_core.errors import ExternalProgramError
from qualipy_core.opencv import cv2
from qualipy_filters_builtin import tesseract
from qualipy_filters_builtin.tesseract import read_words
from qualipy_filters_builtin.text_detection import TextDetection

REAL = shutil.which("tesseract")
HEADER = (
    "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext"
)


def page(*lines: str) -> NDArray[np.uint8]:
    """A white page with lines of lettering."""
    pixels = np.full((60 + 60 * len(lines), 640, 3), 255, np.uint8)
    for number, line in enumerate(lines):
        cv2.putText(
            pixels, line, (30, 70 + 60 * number), cv2.FONT_HERSHEY_SIMPLEX, 1.4, (0,) * 3, 3
        )
    return pixels


def stand_in(folder: Path, body: str) -> str:
    """A program that takes Tesseract's place."""
    script = folder / "tesseract"
    script.write_text("#!/bin/sh\n" + body)
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return str(script)


def answering(folder: Path, *words: tuple[str, float]) -> str:
    rows = [f"5\t1\t1\t1\t1\t1\t0\t0\t9\t9\t{conf}\t{text}" for text, conf in words]
    (folder / "answer.tsv").write_text("\n".join([HEADER, *rows]) + "\n")
    return stand_in(folder, f"cat > /dev/null\ncat '{folder / 'answer.tsv'}'\n")


def test_it_reads_the_words_of_a_page() -> None:
    words = read_words(str(REAL), page("Hello world", "again and again"))
    assert {"Hello", "world", "again"} <= {word.text for word in words}
    assert all(0 <= word.confidence <= 1 for word in words)


def test_it_reads_nothing_on_an_empty_page() -> None:
    assert read_words(str(REAL), page()) == []


def test_the_filter_uses_the_program_that_it_is_given() -> None:
    reading = TextDetection(tesseract_path=REAL)
    assert reading.predict(page("Hello world")) is True
    assert reading.predict(page()) is False


def test_a_wrong_path_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ExternalProgramError, match="apt-get install tesseract-ocr") as caught:
        read_words(str(tmp_path / "no-such-program"), page())
    assert isinstance(caught.value, OSError)
    assert caught.value.program == str(tmp_path / "no-such-program")


def test_a_folder_or_a_text_file_is_no_program(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    for path in (tmp_path, text, "with\0zero"):
        with pytest.raises(ExternalProgramError, match="cannot be run"):
            read_words(str(path), page())


def test_a_wrong_path_reaches_the_caller_of_the_filter(tmp_path: Path) -> None:
    with pytest.raises(ExternalProgramError):
        TextDetection(tesseract_path=str(tmp_path / "absent")).predict(page("Hello"))


def test_a_program_that_hangs_is_stopped_with_all_that_it_started(tmp_path: Path) -> None:
    program = stand_in(tmp_path, "sleep 60 &\nsleep 60\n")
    start = time.monotonic()
    with pytest.raises(ExternalProgramError, match=r"within 0\.3 seconds"):
        read_words(program, page(), timeout=0.3)
    assert time.monotonic() - start < 10


def test_the_filter_waits_no_longer_than_the_time_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tesseract, "TIMEOUT", 0.2)
    with pytest.raises(ExternalProgramError, match="no answer"):
        TextDetection(tesseract_path=stand_in(tmp_path, "sleep 60\n")).predict(page())


def test_a_failure_hands_on_what_the_program_said(tmp_path: Path) -> None:
    program = stand_in(tmp_path, "cat > /dev/null\necho 'no language data' >&2\nexit 3\n")
    with pytest.raises(ExternalProgramError, match=r"exit status 3.*no language data"):
        read_words(program, page())


def test_a_program_that_does_not_read_its_input_is_reported_by_its_status(tmp_path: Path) -> None:
    with pytest.raises(ExternalProgramError, match="exit status 1"):
        read_words(stand_in(tmp_path, "exit 1\n"), np.zeros((900, 900, 3), np.uint8))


@pytest.mark.parametrize(
    "garbage",
    ["", "hello", HEADER.replace("conf", "sure") + "\n1\t2", HEADER + "\n5\t1\n", "\\377"],
)
def test_garbage_is_an_error_and_not_an_empty_page(tmp_path: Path, garbage: str) -> None:
    program = stand_in(tmp_path, f"cat > /dev/null\nprintf '{garbage}'\n")
    with pytest.raises(ExternalProgramError, match="did not answer as Tesseract does"):
        read_words(program, page())


def test_quotation_marks_are_letters_like_others(tmp_path: Path) -> None:
    program = answering(tmp_path, ('"Quoted', 90), ('it"s', 91), ("end", 92))
    assert [word.text for word in read_words(program, page())] == ['"Quoted', 'it"s', "end"]


def test_the_path_is_no_shell_command(tmp_path: Path) -> None:
    with pytest.raises(ExternalProgramError):
        read_words(f"tesseract; touch {tmp_path / 'touched'}", page())
    assert not (tmp_path / "touched").exists()


def test_words_without_confidence_are_no_text(tmp_path: Path) -> None:
    doubtful = answering(tmp_path, ("maybe", 20), ("perhaps", 35.5), ("", 95), ("~", 96))
    assert TextDetection(tesseract_path=doubtful).predict(page()) is False


def test_one_confident_word_is_text(tmp_path: Path) -> None:
    confident = answering(tmp_path, ("maybe", 20), ("Street", 93.2))
    assert TextDetection(tesseract_path=confident).predict(page()) is True
