"""What decoders print is kept back, and nothing else."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest

from qualipy_core import Image
from qualipy_core.quiet import quiet

GLIBC = pytest.mark.skipif(
    sys.platform != "linux" or "CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="of glibc"
)


def damaged_jpeg():
    """A JPEG over which libjpeg has something to say, and which it decodes."""
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    data = bytearray(cv2.imencode(".jpg", noise)[1].tobytes())
    data[2000:2008] = b"\xff\xd0\xff\xd1\1\2\3\4"
    return bytes(data)


def c_prints(text):
    library = ctypes.CDLL(None)
    stream = ctypes.c_void_p.in_dll(library, "stderr")
    library.fputs(text, stream)
    library.fflush(stream)


@GLIBC
def test_libraries_are_silent_inside_and_speak_again_outside(capfd):
    with quiet():
        c_prints(b"inside\n")
        with quiet():
            pass
        c_prints(b"still inside\n")
        print("Python's own", file=sys.stderr)
        os.write(2, b"and the system's\n")
    c_prints(b"outside\n")
    assert sorted(capfd.readouterr().err.splitlines()) == [
        "Python's own", "and the system's", "outside",
    ]  # fmt: skip


@GLIBC
def test_a_damaged_photo_is_decoded_in_silence(capfd):
    cv2.imdecode(np.frombuffer(damaged_jpeg(), np.uint8), cv2.IMREAD_COLOR)
    assert "Corrupt JPEG data" in capfd.readouterr().err
    Image(damaged_jpeg()).pixels()
    assert capfd.readouterr().err == ""


def test_the_log_level_of_opencv_is_what_it_was():
    logging = cv2.utils.logging
    before = logging.getLogLevel()
    with quiet():
        assert logging.getLogLevel() == logging.LOG_LEVEL_SILENT
    assert logging.getLogLevel() == before


@GLIBC
def test_many_threads_decode_in_silence_and_leave_all_as_it_was(capfd):
    def decode():
        for _ in range(20):
            Image(damaged_jpeg()).pixels()

    threads = [threading.Thread(target=decode) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert capfd.readouterr().err == ""
    c_prints(b"back\n")
    assert capfd.readouterr().err == "back\n"


@GLIBC
def test_a_crash_report_of_pythons_comes_through():
    code = (
        "import faulthandler, ctypes, resource\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        "from qualipy_core.quiet import quiet_for_good\n"
        "quiet_for_good(); faulthandler.enable(); ctypes.string_at(0)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Segmentation fault" in ran.stderr
