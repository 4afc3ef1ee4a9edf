"""The memory of one photo serves the next one."""

import os
import subprocess
import sys

import pytest

LOOP = """
import resource, sys
import numpy as np
from qualipy_core import Image
from qualipy_core.opencv import cv2

photo = cv2.imencode(".jpg", np.full((900, 1200, 3), 90, np.uint8))[1].tobytes()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for number in range(60):
    if number == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    Image(photo).pixels(None)
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 50)
"""


@pytest.mark.skipif(
    "CS_GNU_LIBC_VERSION" not in getattr(os, "confstr_names", {}), reason="other C libraries"
)
def test_the_system_clears_no_pages_for_the_second_photo():
    done = subprocess.run([sys.executable, "-c", LOOP], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 100  # of 4 kB each; the pixels are 800
